// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
	"github.com/projectionist-dev/projectionist/projectors/sources/sourcetest"
)

// secret is what a mounted Secret would hold.
type secret struct {
	mu  sync.Mutex
	c   kafka.Credentials
	err error
}

func (s *secret) set(c kafka.Credentials, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.c, s.err = c, err
}

func (s *secret) resolve() (kafka.Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.c, s.err
}

func secured(t testing.TB, addrs []string, mechanism string, useTLS bool, s *secret) kafka.Config {
	t.Helper()
	sec, err := kafka.NewSecurity(mechanism, useTLS, s.resolve)
	if err != nil {
		t.Fatal(err)
	}
	return kafka.Config{Bootstrap: addrs, Topics: map[string]string{"orders": "orders"}, Security: sec, Group: "g",
		DialTimeout: 2 * time.Second, RequestTimeout: 5 * time.Second, JoinBackoff: 50 * time.Millisecond}
}

// tries describes a topic and joins a group, and gives both errors.
func tries(t testing.TB, l *kafka.Log, cfg kafka.Config) (error, error) {
	t.Helper()
	ctx := sourcetest.Context(t)
	_, err := l.Describe(ctx, "orders")
	g, gerr := kafka.NewGroup(cfg, l)
	if gerr != nil {
		t.Fatal(gerr)
	}
	defer func() { _ = g.Close() }()
	gen, gerr := g.Next(ctx)
	if gerr == nil {
		gen.Done()
	}
	return err, gerr
}

func open(t testing.TB, cfg kafka.Config) *kafka.Log {
	t.Helper()
	l, err := kafka.NewLog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func wantReason(t testing.TB, reason string, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if sources.ReasonOf(err) != reason {
			t.Errorf("got %v, want %s", err, reason)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("the password is in %v", err)
		}
	}
}

func TestSASL(t *testing.T) {
	for _, m := range []string{kafka.Plain, kafka.ScramSHA256, kafka.ScramSHA512} {
		t.Run(m, func(t *testing.T) {
			c := fake(t, kfake.EnableSASL(), kfake.Superuser(m, "user", "s3cr3t-right"), kfake.SeedTopics(1, "orders"))
			s := &secret{}
			s.set(kafka.Credentials{Username: "user", Password: "s3cr3t-wrong"}, nil)
			cfg := secured(t, c.ListenAddrs(), m, false, s)
			l := open(t, cfg)
			err, gerr := tries(t, l, cfg)
			wantReason(t, sources.ReasonAuthenticationFailed, err, gerr)

			// The file is not there: its own error comes through.
			missing := errors.New("SecretKeyMissing: orders-app/password")
			s.set(kafka.Credentials{}, missing)
			err, gerr = tries(t, l, cfg)
			if !errors.Is(err, missing) || !errors.Is(gerr, missing) {
				t.Errorf("got %v and %v", err, gerr)
			}

			// The password is mended without a restart.
			s.set(kafka.Credentials{Username: "user", Password: "s3cr3t-right"}, nil)
			err, gerr = tries(t, l, cfg)
			if err != nil || gerr != nil {
				t.Errorf("with the right password: %v, %v", err, gerr)
			}
		})
	}
	if _, err := kafka.NewSecurity("GSSAPI", false, nil); err == nil {
		t.Error("an unknown mechanism is accepted")
	}
}

func TestWrongMechanism(t *testing.T) {
	c := fake(t, kfake.EnableSASL(), kfake.Superuser(kafka.ScramSHA256, "user", "s3cr3t"))
	s := &secret{}
	s.set(kafka.Credentials{Username: "user", Password: "s3cr3t"}, nil)
	cfg := secured(t, c.ListenAddrs(), kafka.Plain, false, s)
	err, gerr := tries(t, open(t, cfg), cfg)
	wantReason(t, sources.ReasonAuthenticationFailed, err, gerr)
}

func TestNoSASLWhereNeeded(t *testing.T) {
	c := fake(t, kfake.EnableSASL(), kfake.Superuser(kafka.Plain, "user", "s3cr3t"))
	cfg := secured(t, c.ListenAddrs(), "", false, &secret{})
	err, gerr := tries(t, open(t, cfg), cfg)
	wantReason(t, sources.ReasonUnreachable, err, gerr)
	if err != nil && !strings.Contains(err.Error(), "SASL") {
		t.Errorf("no hint at SASL in %v", err)
	}
}

// authority is a CA.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *authority) issue(t testing.TB, hosts ...string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "leaf"}, NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: kder})
}

func TestTLS(t *testing.T) {
	good, other := newAuthority(t), newAuthority(t)
	serverCert, serverKey := good.issue(t, "127.0.0.1")
	pair, err := tls.X509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(good.pem)
	c := fake(t, kfake.SeedTopics(1, "orders"), kfake.TLS(&tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}))
	clientCert, clientKey := good.issue(t)
	strangeCert, strangeKey := other.issue(t)

	s := &secret{}
	cfg := secured(t, c.ListenAddrs(), "", true, s)
	l := open(t, cfg)
	for name, c := range map[string]kafka.Credentials{
		"another CA":                {CA: other.pem, Certificate: clientCert, Key: clientKey},
		"the system's roots":        {Certificate: clientCert, Key: clientKey},
		"no client certificate":     {CA: good.pem},
		"a stranger's certificate":  {CA: good.pem, Certificate: strangeCert, Key: strangeKey},
		"another server name":       {CA: good.pem, Certificate: clientCert, Key: clientKey, ServerName: "kafka.example"},
		"a CA that is no PEM":       {CA: []byte("s3cr3t"), Certificate: clientCert, Key: clientKey},
		"a key of another":          {CA: good.pem, Certificate: clientCert, Key: strangeKey},
		"a certificate without key": {CA: good.pem, Certificate: clientCert},
	} {
		t.Run(name, func(t *testing.T) {
			s.set(c, nil)
			err, gerr := tries(t, l, cfg)
			wantReason(t, sources.ReasonAuthenticationFailed, err, gerr)
		})
	}
	// The CA and the client's certificate are mended without a restart.
	s.set(kafka.Credentials{CA: good.pem, Certificate: clientCert, Key: clientKey}, nil)
	if err, gerr := tries(t, l, cfg); err != nil || gerr != nil {
		t.Errorf("with the right certificates: %v, %v", err, gerr)
	}

	t.Run("no TLS", func(t *testing.T) {
		cfg := secured(t, c.ListenAddrs(), "", false, s)
		err, gerr := tries(t, open(t, cfg), cfg)
		wantReason(t, sources.ReasonUnreachable, err, gerr)
	})
	t.Run("TLS to a plain listener", func(t *testing.T) {
		plain := fake(t)
		cfg := secured(t, plain.ListenAddrs(), "", true, s)
		cfg.DialTimeout = 200 * time.Millisecond
		err, gerr := tries(t, open(t, cfg), cfg)
		wantReason(t, sources.ReasonUnreachable, err, gerr)
	})
}
