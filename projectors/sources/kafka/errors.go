// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/segmentio/kafka-go"

	"github.com/projectionist-dev/projectionist/projectors/sources"
)

func hostPort(host string, port int32) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }

// classify turns an error of kafka-go, of the network or of TLS into one with a
// reason. Errors that have one already pass, and so does the end of the caller's context.
func classify(ctx context.Context, addr string, err error) error {
	var own sources.Error
	var code kafka.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case ctx.Err() != nil && errors.Is(err, ctx.Err()) && errors.Is(ctx.Err(), context.Canceled):
		return err
	case isAuthentication(err):
		return &sources.AuthenticationFailed{Address: addr, Err: trim(err)}
	case errors.As(err, &code):
		if right := rightOf(code); right != "" {
			return &sources.AuthorizationFailed{Resource: "the cluster", Needs: right}
		}
	}
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		err = fmt.Errorf("%w (is the listener one without TLS?)", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errShort):
		err = fmt.Errorf("it closed the connection (%w); a listener that expects TLS or SASL does so to a client without", err)
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New("no answer in time")
	}
	return &sources.Unreachable{Address: addr, Err: err}
}

// trim takes kafka-go's own wrapping off.
func trim(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

func isAuthentication(err error) bool {
	for _, e := range []error{kafka.SASLAuthenticationFailed, kafka.UnsupportedSASLMechanism, kafka.IllegalSASLState} {
		if errors.Is(err, e) {
			return true
		}
	}
	var (
		cred      *credentialError
		verify    *tls.CertificateVerificationError
		alert     tls.AlertError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	if errors.As(err, &cred) || errors.As(err, &verify) || errors.As(err, &alert) || errors.As(err, &authority) ||
		errors.As(err, &host) || errors.As(err, &invalid) {
		return true
	}
	// What the peer says in a TLS alert has no exported type.
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

func rightOf(code kafka.Error) string {
	switch code {
	case kafka.TopicAuthorizationFailed:
		return "READ and DESCRIBE on the topic"
	case kafka.GroupAuthorizationFailed:
		return "READ on the group"
	case kafka.ClusterAuthorizationFailed:
		return "the right to do this on the cluster"
	case kafka.BrokerAuthorizationFailed:
		return "the right to use the broker"
	}
	return ""
}

func topicForbidden(brokerTopic string) error {
	return &sources.AuthorizationFailed{Resource: fmt.Sprintf("topic %q", brokerTopic), Needs: "READ and DESCRIBE"}
}
