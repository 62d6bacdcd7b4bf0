// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// Log reads topics of a Kafka cluster. It is a sources.Log.
type Log struct {
	cfg       Config
	transport *kafka.Transport
	bootstrap string
	// topics are the broker's names, sorted.
	topics []string

	// life ends with Close and bounds the round trips that outlive a call.
	life  context.Context //nolint:containedctx // it is the Log's life
	close context.CancelFunc
	tasks sync.WaitGroup

	// refreshing is held by the one who asks for metadata.
	refreshing sync.Mutex

	mu       sync.Mutex
	closed   bool
	meta     *clusterMeta
	stale    bool
	fetchVer map[string]int16
	parts    map[event.TopicPartition]*partition
	parked   []*flight
	served   int64
}

var (
	_ sources.Log   = (*Log)(nil)
	_ sources.Timed = (*Log)(nil)
)

// metadataAge is how old metadata may get when nothing says that it is wrong.
const metadataAge = 5 * time.Minute

// NewLog makes a Log. It does not connect.
func NewLog(cfg Config) (*Log, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{
		cfg:       cfg,
		bootstrap: strings.Join(cfg.Bootstrap, ","),
		topics:    slices.Compact(slices.Sorted(maps.Values(cfg.Topics))),
		transport: newTransport(cfg, []string{}),
		fetchVer:  map[string]int16{},
		parts:     map[event.TopicPartition]*partition{},
	}
	l.life, l.close = context.WithCancel(context.Background())
	return l, nil
}

// newTransport makes kafka-go's pool of connections. topics is what its own
// metadata covers: none, since requests go to addresses that our metadata gives.
func newTransport(cfg Config, topics []string) *kafka.Transport {
	d := &dialer{sec: cfg.Security, opTimeout: cfg.RequestTimeout}
	d.net.Timeout = cfg.DialTimeout
	d.net.KeepAlive = 15 * time.Second
	return &kafka.Transport{
		Dial:           d.dial,
		DialTimeout:    cfg.DialTimeout,
		IdleTimeout:    2 * time.Minute,
		MetadataTTL:    metadataAge,
		MetadataTopics: topics,
		ClientID:       cfg.ClientID,
		SASL:           newMechanism(cfg.Security),
	}
}

// Close ends the calls under way and closes the connections.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	parked := l.parked
	l.parked = nil
	l.mu.Unlock()
	l.close()
	l.tasks.Wait()
	for _, f := range parked {
		f.discard()
	}
	l.transport.CloseIdleConnections()
	return nil
}

// roundTrip sends one request to addr, with a deadline. An error has a reason.
func (l *Log) roundTrip(ctx context.Context, addr string, wait time.Duration, r *rawRequest) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.RequestTimeout+wait)
	defer cancel()
	res, err := l.transport.RoundTrip(ctx, tcp(addr), r)
	if err != nil {
		return nil, classify(ctx, addr, err)
	}
	raw, ok := res.(*rawResponse)
	if !ok {
		return nil, &sources.Unreachable{Address: addr, Err: errShort}
	}
	return raw.data, nil
}

// tcp makes an address of one, or of several with commas between.
func tcp(addr string) net.Addr { return kafka.TCP(strings.Split(addr, ",")...) }

// call is roundTrip, done again when a connection turns out to have died while
// it lay idle: that says nothing of the broker. build makes a new request.
func (l *Log) call(ctx context.Context, addr string, build func() *rawRequest) ([]byte, error) {
	data, err := l.roundTrip(ctx, addr, 0, build())
	for range maxIdle {
		if !hungUp(err) {
			break
		}
		data, err = l.roundTrip(ctx, addr, 0, build())
	}
	return data, err
}

// maxIdle is how many connections to one address may lie idle and die together.
const maxIdle = 4

func hungUp(err error) bool {
	return sources.ReasonOf(err) == sources.ReasonUnreachable &&
		(errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET))
}

func (l *Log) markStale() {
	l.mu.Lock()
	l.stale = true
	l.mu.Unlock()
}

// metadata gives the cluster's layout, from the cache unless that is marked
// stale, too old, or older than notBefore.
func (l *Log) metadata(ctx context.Context, notBefore time.Time) (*clusterMeta, error) {
	cached := func() (*clusterMeta, bool, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.closed {
			return nil, false, sources.ErrClosed
		}
		m := l.meta
		return m, m != nil && !l.stale && time.Since(m.at) < metadataAge && !m.at.Before(notBefore), nil
	}
	if m, ok, err := cached(); ok || err != nil {
		return m, err
	}
	l.refreshing.Lock()
	defer l.refreshing.Unlock()
	if m, ok, err := cached(); ok || err != nil {
		return m, err
	}
	l.mu.Lock()
	first := l.meta == nil
	l.mu.Unlock()
	if first {
		// A broker that is too old just closes the connection: ask before.
		if _, err := l.versionOf(ctx, l.bootstrap); err != nil {
			return nil, err
		}
	}
	data, err := l.askMetadata(ctx)
	if err != nil {
		return nil, err
	}
	m, err := parseMetadata(data)
	if err != nil {
		return nil, &sources.Unreachable{Address: l.bootstrap, Err: err}
	}
	l.mu.Lock()
	l.meta, l.stale = m, false
	l.mu.Unlock()
	return m, nil
}

// askMetadata asks the bootstrap addresses, and when none of them answers the
// brokers that are known.
func (l *Log) askMetadata(ctx context.Context) ([]byte, error) {
	ask := func(addr string) ([]byte, error) {
		return l.call(ctx, addr, func() *rawRequest { return metadataRequest(l.cfg.ClientID, l.topics) })
	}
	data, err := ask(l.bootstrap)
	l.mu.Lock()
	known := l.meta
	l.mu.Unlock()
	if sources.ReasonOf(err) != sources.ReasonUnreachable || known == nil {
		return data, err
	}
	for _, addr := range known.brokers {
		if slices.Contains(l.cfg.Bootstrap, addr) {
			continue
		}
		if other, otherErr := ask(addr); otherErr == nil {
			return other, nil
		}
	}
	return nil, err
}

// Describe implements sources.Log.
func (l *Log) Describe(ctx context.Context, topics ...string) (map[string]sources.TopicInfo, error) {
	ctx, cancel := l.bind(ctx)
	defer cancel()
	m, err := l.metadata(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	out := make(map[string]sources.TopicInfo, len(topics))
	var errs []error
	for _, name := range topics {
		brokerTopic, ok := l.cfg.Topics[name]
		if !ok {
			return nil, fmt.Errorf("kafka: EventTopic %s is not configured", name)
		}
		t := m.topics[brokerTopic]
		switch {
		case t == nil || t.code == int16(kafka.UnknownTopicOrPartition) || t.code == int16(kafka.InvalidTopic):
			errs = append(errs, &sources.TopicMissing{Topic: name, BrokerTopic: brokerTopic})
		case t.code == int16(kafka.TopicAuthorizationFailed):
			errs = append(errs, topicForbidden(brokerTopic))
		case t.code != 0 && t.code != int16(kafka.LeaderNotAvailable):
			errs = append(errs, &sources.Unreachable{Address: l.bootstrap, Err: kafka.Error(t.code)})
		default:
			out[name] = sources.TopicInfo{ID: t.id.String(), Partitions: int32(len(t.partitions))}
		}
	}
	return out, errors.Join(errs...)
}

// bind makes a context that ends with the caller's and with the Log.
func (l *Log) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// versionOf gives the newest Fetch version that both sides speak.
func (l *Log) versionOf(ctx context.Context, addr string) (int16, error) {
	l.mu.Lock()
	v, ok := l.fetchVer[addr]
	l.mu.Unlock()
	if ok {
		return v, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.RequestTimeout)
	defer cancel()
	client := kafka.Client{Transport: l.transport}
	var res *kafka.ApiVersionsResponse
	var err error
	for range maxIdle + 1 {
		if res, err = client.ApiVersions(ctx, &kafka.ApiVersionsRequest{Addr: tcp(addr)}); err == nil {
			err = res.Error
		}
		if err = classify(ctx, addr, err); !hungUp(err) {
			break
		}
	}
	if err != nil {
		return 0, err
	}
	if err := checkVersions(addr, res.ApiKeys); err != nil {
		return 0, err
	}
	v = fetchVersion
	for _, k := range res.ApiKeys {
		if k.ApiKey == int(protocol.Fetch) && k.MaxVersion >= fetchVersionByID {
			v = fetchVersionByID
		}
	}
	l.mu.Lock()
	l.fetchVer[addr] = v
	l.mu.Unlock()
	return v, nil
}

func checkVersions(addr string, keys []kafka.ApiVersionsResponseApiKey) error {
	need := map[int]int{
		int(protocol.Fetch): fetchVersion, int(protocol.Metadata): metadataVersion, int(protocol.ListOffsets): listOffsetsVersion,
	}
	for _, k := range keys {
		if v, ok := need[k.ApiKey]; ok {
			if k.MaxVersion < v {
				return &sources.UnsupportedBroker{Address: addr, Why: fmt.Sprintf("it speaks %s up to version %d, and %d is needed",
					protocol.ApiKey(k.ApiKey), k.MaxVersion, v)}
			}
			delete(need, k.ApiKey)
		}
	}
	for k := range need {
		return &sources.UnsupportedBroker{Address: addr, Why: fmt.Sprintf("it does not speak %s", protocol.ApiKey(k))}
	}
	return nil
}
