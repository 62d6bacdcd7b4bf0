// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// The SASL mechanisms.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
)

// Security says how each new connection is protected. The functions are called
// for every connection, so that what they read may rotate.
type Security struct {
	// TLS gives the configuration of one connection; nil for plaintext. The
	// server name is filled in when empty.
	TLS func() (*tls.Config, error)
	// SASL gives the mechanism, with credentials, of one connection; nil for none.
	SASL func(context.Context) (sasl.Mechanism, error)
}

// Credentials is what a mounted Secret holds at the moment of a connection.
type Credentials struct {
	Username, Password string
	// CA is PEM; when empty the system's roots are trusted.
	CA []byte
	// Certificate and Key are PEM, for mutual TLS; both or neither.
	Certificate, Key []byte
	// ServerName, when not empty, is the name that the broker's certificate must have.
	ServerName string
}

// NewSecurity makes a Security whose credentials resolve reads anew for every
// connection. mechanism is "" for none. An error of resolve reaches the caller
// of the source unchanged.
func NewSecurity(mechanism string, useTLS bool, resolve func() (Credentials, error)) (Security, error) {
	var s Security
	if useTLS {
		s.TLS = func() (*tls.Config, error) {
			c, err := resolve()
			if err != nil {
				return nil, err
			}
			return c.tlsConfig()
		}
	}
	switch mechanism {
	case "":
	case Plain, ScramSHA256, ScramSHA512:
		s.SASL = func(context.Context) (sasl.Mechanism, error) {
			c, err := resolve()
			if err != nil {
				return nil, err
			}
			switch mechanism {
			case ScramSHA256:
				return scram.Mechanism(scram.SHA256, c.Username, c.Password)
			case ScramSHA512:
				return scram.Mechanism(scram.SHA512, c.Username, c.Password)
			}
			return plain.Mechanism{Username: c.Username, Password: c.Password}, nil
		}
	default:
		return s, fmt.Errorf("kafka: unknown SASL mechanism %q: use %s, %s or %s", mechanism, Plain, ScramSHA256, ScramSHA512)
	}
	return s, nil
}

func (c *Credentials) tlsConfig() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if len(c.CA) > 0 {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, &credentialError{errors.New("the CA holds no PEM certificate")}
		}
	}
	if len(c.Certificate) > 0 || len(c.Key) > 0 {
		pair, err := tls.X509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, &credentialError{fmt.Errorf("client certificate and key: %w", err)}
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// credentialError marks a fault of the credentials themselves.
type credentialError struct{ err error }

func (e *credentialError) Error() string { return e.err.Error() }
func (e *credentialError) Unwrap() error { return e.err }

// dialer makes connections for kafka-go: TCP, then TLS, resolved anew each time.
type dialer struct {
	sec Security
	net net.Dialer
	// opTimeout bounds each read and write for which kafka-go set no deadline.
	opTimeout time.Duration
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if d.sec.SASL != nil {
		// kafka-go asks for the mechanism's name before its start, and a name has no
		// error: faults in the credentials must show here.
		if _, err := d.sec.SASL(ctx); err != nil {
			return nil, err
		}
	}
	var cfg *tls.Config
	if d.sec.TLS != nil {
		var err error
		if cfg, err = d.sec.TLS(); err != nil {
			return nil, err
		}
	}
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if cfg == nil {
		return &timedConn{Conn: conn, timeout: d.opTimeout}, nil
	}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &timedConn{Conn: secure, timeout: d.opTimeout}, nil
}

// timedConn gives every read and write a deadline when none is set. kafka-go
// takes the deadline away before SASL, and a silent broker would hold the
// connection's goroutine for ever.
type timedConn struct {
	net.Conn
	timeout time.Duration

	mu          sync.Mutex
	read, write bool
	// ready is set with the first request that belongs to neither the hello nor
	// SASL; authenticating is set during SASL.
	ready, authenticating bool
}

// observe looks at the API key of a request that is about to be written.
func (c *timedConn) observe(b []byte) {
	if c.ready || len(b) < 6 {
		return
	}
	switch protocol.ApiKey(binary.BigEndian.Uint16(b[4:])) {
	case protocol.SaslHandshake, protocol.SaslAuthenticate:
		c.authenticating = true
	case protocol.ApiVersions:
	default:
		c.ready, c.authenticating = true, false
	}
}

func (c *timedConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	set, authenticating := c.read, c.authenticating
	c.mu.Unlock()
	if !set {
		if err := c.Conn.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(b)
	if authenticating && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		// Some brokers say no by hanging up, and kafka-go then tells of a lost connection.
		err = fmt.Errorf("%w: the broker closed the connection", kafka.SASLAuthenticationFailed)
	}
	return n, err
}

func (c *timedConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	set := c.write
	c.observe(b)
	c.mu.Unlock()
	if !set {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

func (c *timedConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	c.read, c.write = !t.IsZero(), !t.IsZero()
	c.mu.Unlock()
	return c.Conn.SetDeadline(t)
}

func (c *timedConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.read = !t.IsZero()
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(t)
}

func (c *timedConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.write = !t.IsZero()
	c.mu.Unlock()
	return c.Conn.SetWriteDeadline(t)
}

// mechanism resolves the real one at each start.
type mechanism struct {
	resolve func(context.Context) (sasl.Mechanism, error)

	mu   sync.Mutex
	name string
}

func newMechanism(s Security) sasl.Mechanism {
	if s.SASL == nil {
		return nil
	}
	return &mechanism{resolve: s.SASL}
}

func (m *mechanism) Name() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if real, err := m.resolve(context.Background()); err == nil {
		m.name = real.Name()
	}
	return m.name
}

func (m *mechanism) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	real, err := m.resolve(ctx)
	if err != nil {
		return nil, nil, err
	}
	sm, first, err := real.Start(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", kafka.SASLAuthenticationFailed, err)
	}
	return &conversation{sm}, first, nil
}

type conversation struct{ sasl.StateMachine }

func (c *conversation) Next(ctx context.Context, challenge []byte) (bool, []byte, error) {
	done, out, err := c.StateMachine.Next(ctx, challenge)
	if err != nil {
		// SCRAM: the server's answer does not fit our password, or it is not the server.
		return false, nil, fmt.Errorf("%w: %w", kafka.SASLAuthenticationFailed, err)
	}
	return done, out, nil
}
