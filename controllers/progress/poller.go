// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
)

// Limits of one poll.
const (
	Timeout = 2 * time.Second
	// MaxBytes is room for about a thousand partitions of one pod.
	MaxBytes = 256 << 10
	// MaxParallel bounds the polls of one projection that are under way at once,
	// maxPolls those of the operator, and askTime how long one projection's take.
	MaxParallel = 16
	maxPolls    = 64
	askTime     = 2 * Timeout
	// MaxPartitions bounds what pods can make the operator remember of one projection.
	MaxPartitions = 16384
	// maxLag bounds a reported lag, so that sums stay within their type.
	maxLag = 1 << 48
)

// Target is a pod that was proven to be a projection's own.
type Target struct {
	Pod string
	IP  string
}

// Answer is what one pod said; exactly one of Status and Err is set.
type Answer struct {
	Target Target
	Status *contract.ProjectorStatus
	// Err names a class of failure, never bytes of the peer.
	Err error
}

// Poller asks one pod. It is an interface so that tests need no network.
type Poller interface {
	Poll(ctx context.Context, t Target) (*contract.ProjectorStatus, error)
}

// HTTP is the Poller of a cluster.
type HTTP struct {
	client *http.Client
	port   int
	slots  chan struct{}
}

// NewHTTP makes a Poller that speaks to pods' port.
func NewHTTP() *HTTP { return newHTTP(contract.Port) }

func newHTTP(port int) *HTTP {
	return &HTTP{port: port, slots: make(chan struct{}, maxPolls), client: &http.Client{
		Timeout: Timeout,
		Transport: &http.Transport{
			// No proxy: a pod's address is reached directly or not at all.
			Proxy:                  nil,
			DialContext:            (&net.Dialer{Timeout: Timeout}).DialContext,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			ResponseHeaderTimeout:  Timeout,
			MaxResponseHeaderBytes: 8 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

var (
	errUnreachable = errors.New("cannot be reached")
	errTooLong     = errors.New("answer is longer than 256 KiB")
	errForm        = errors.New("answer is not a projector's status")
)

// Poll implements Poller.
func (h *HTTP) Poll(ctx context.Context, t Target) (*contract.ProjectorStatus, error) {
	if net.ParseIP(t.IP) == nil {
		return nil, errUnreachable
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, errUnreachable
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	url := "http://" + net.JoinHostPort(t.IP, strconv.Itoa(h.port)) + "/status"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, errUnreachable
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, errUnreachable
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answers with HTTP status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBytes+1))
	switch {
	case err != nil:
		return nil, errUnreachable
	case len(body) > MaxBytes:
		return nil, errTooLong
	}
	status := new(contract.ProjectorStatus)
	if json.Unmarshal(body, status) != nil || status.Version < 1 {
		return nil, errForm
	}
	return status, nil
}

// Ask polls all targets, a bounded number at once and for a bounded time, and
// keeps what speaks of this projection, revision and topics. A pod is its
// tenant's: what it says must cost nobody else anything.
func Ask(ctx context.Context, p Poller, projectionUID, revision string, topics []string, targets []Target) []Answer {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	answers := make([]Answer, len(targets))
	slots := make(chan struct{}, MaxParallel)
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			answers[i] = Answer{Target: t}
			status, err := p.Poll(ctx, t)
			switch {
			case err != nil:
				answers[i].Err = err
			case status.Projection.UID != projectionUID || status.Revision != revision:
				answers[i].Err = errors.New("answers for another projection or revision")
			default:
				answers[i].Status = sane(status, topics)
			}
		})
	}
	wg.Wait()
	return answers
}

// sane drops what the projection does not have, and what is beyond all bounds.
func sane(s *contract.ProjectorStatus, topics []string) *contract.ProjectorStatus {
	counts := map[string]int32{}
	left := int32(MaxPartitions)
	for _, topic := range topics {
		if n := min(s.TopicPartitions[topic], left); n > 0 {
			counts[topic] = n
			left -= n
		}
	}
	s.TopicPartitions = counts
	s.Partitions = slices.DeleteFunc(s.Partitions, func(p contract.PartitionStatus) bool {
		return p.Partition < 0 || p.Partition >= MaxPartitions || !slices.Contains(topics, p.Topic)
	})
	for i := range s.Partitions {
		s.Partitions[i].Lag = min(max(s.Partitions[i].Lag, 0), maxLag)
	}
	return s
}
