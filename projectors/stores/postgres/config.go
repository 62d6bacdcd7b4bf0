// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Endpoint is where and as whom to connect. Host may be a directory that holds
// a Unix socket.
type Endpoint struct {
	Host     string
	Port     uint16
	Database string
	User     string
	Password string
	TLS      TLS
}

// TLS says how the server is checked.
type TLS struct {
	// Mode is disable (also ""), require, verify-ca or verify-full, with libpq's
	// meanings: require checks nothing, unless CA is set, which makes it verify-ca.
	Mode string
	// CA is a PEM bundle; empty means the system's roots.
	CA []byte
	// ServerName is checked instead of Endpoint.Host.
	ServerName string
	// Certificate and PrivateKey are PEM; both or neither.
	Certificate, PrivateKey []byte
}

// Resolver reads the endpoint. It is called before every new connection, so
// that rotated credentials need no restart.
type Resolver func(context.Context) (Endpoint, error)

// Config is how to reach a store.
type Config struct {
	// Resolve must be set.
	Resolve Resolver
	// Application is shown by pg_stat_activity: projectionist/<namespace>/<name>/<pod>.
	Application string
	// Schema holds the read models, BookkeepingSchema the project's own tables.
	Schema, BookkeepingSchema string
	// MaxConns bounds the connections of this process; 0 means contract.ProjectorConnections for a Writer and contract.ActionConnections for an Admin.
	MaxConns int32
	// ConnectTimeout bounds a connection attempt (default 5 s).
	ConnectTimeout time.Duration
	// StatementTimeout bounds one statement (default 30 s).
	StatementTimeout time.Duration
	// LockTimeout bounds one wait for a lock (default 15 s). It is longer than
	// IdleInTransactionTimeout, so that a frozen holder is gone before a claim gives up.
	LockTimeout time.Duration
	// IdleInTransactionTimeout is after which the server ends the session of a
	// projector that froze in the middle of a transaction (default 10 s).
	IdleInTransactionTimeout time.Duration
	// NetworkTimeout is after how long unacknowledged data ends a connection, on both sides (default 20 s).
	NetworkTimeout time.Duration
	// Attempts is how often a commit is tried on contention or a lost connection (default 8).
	Attempts int
}

func (c Config) withDefaults(maxConns int32) (Config, error) {
	if c.Resolve == nil {
		return c, errors.New("postgres: no resolver of credentials")
	}
	for what, name := range map[string]string{"schema": c.Schema, "bookkeepingSchema": c.BookkeepingSchema} {
		if err := checkName(what, name); err != nil {
			return c, err
		}
	}
	if c.Schema == c.BookkeepingSchema {
		return c, fmt.Errorf("schema and bookkeepingSchema are both %q: a model could take a bookkeeping table's name; set them apart", c.Schema)
	}
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&c.ConnectTimeout, 5*time.Second)
	set(&c.StatementTimeout, 30*time.Second)
	set(&c.LockTimeout, 15*time.Second)
	set(&c.IdleInTransactionTimeout, 10*time.Second)
	set(&c.NetworkTimeout, 20*time.Second)
	if c.MaxConns <= 0 {
		c.MaxConns = maxConns
	}
	if c.Attempts <= 0 {
		c.Attempts = 8
	}
	return c, nil
}

// config makes the tls.Config for a connection to host; nil means plain text.
func (t TLS) config(host string) (*tls.Config, error) {
	mode := t.Mode
	if mode == "require" && len(t.CA) > 0 {
		mode = "verify-ca"
	}
	if mode == "" || mode == "disable" {
		return nil, nil
	}
	name := t.ServerName
	if name == "" {
		name = host
	}
	out := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	if len(t.CA) > 0 {
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(t.CA) {
			return nil, errors.New("the CA bundle holds no PEM certificate")
		}
	}
	if len(t.Certificate) > 0 || len(t.PrivateKey) > 0 {
		pair, err := tls.X509KeyPair(t.Certificate, t.PrivateKey)
		if err != nil {
			return nil, errors.New("client certificate and private key are not a PEM pair")
		}
		out.Certificates = []tls.Certificate{pair}
	}
	switch mode {
	case "verify-full":
	case "require":
		out.InsecureSkipVerify = true
	case "verify-ca":
		// Go can only check chain and name together: the chain alone is checked by hand.
		out.InsecureSkipVerify = true
		out.VerifyConnection = verifyChain(out.RootCAs)
	default:
		return nil, fmt.Errorf("TLS mode %q is none of disable, require, verify-ca, verify-full", mode)
	}
	return out, nil
}

func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
}
