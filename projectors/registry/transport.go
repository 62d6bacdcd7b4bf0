// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"sync"
)

// Access is what a mounted Secret holds at the moment of a request.
type Access struct {
	// Token is a bearer token; it goes before Username and Password.
	Token              string
	Username, Password string
	// CA is PEM; when empty the system's roots are trusted.
	CA []byte
	// ServerName, when not empty, is the name that the registry's certificate must have.
	ServerName string
}

// transport sends requests with the access of now.
type transport struct {
	access func() (Access, error)

	mu         sync.Mutex
	http       *http.Transport
	ca         []byte
	serverName string
}

func newTransport(access func() (Access, error)) *transport {
	if access == nil {
		access = func() (Access, error) { return Access{}, nil }
	}
	return &transport{access: access}
}

var errCA = errors.New("the CA holds no PEM certificate")

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	a, err := t.access()
	if err != nil {
		return nil, err
	}
	next, err := t.secured(a)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	switch {
	case a.Token != "":
		req.Header.Set("Authorization", "Bearer "+a.Token)
	case a.Username != "" || a.Password != "":
		req.SetBasicAuth(a.Username, a.Password)
	}
	resp, err := next.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, MaxSchemaBytes)
	}
	return resp, err
}

// secured gives the connections that trust a's CA; another CA needs others.
func (t *transport) secured(a Access) (*http.Transport, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.http != nil && bytes.Equal(t.ca, a.CA) && t.serverName == a.ServerName {
		return t.http, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.ServerName}
	if len(a.CA) > 0 {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(a.CA) {
			return nil, errCA
		}
	}
	if t.http != nil {
		t.http.CloseIdleConnections()
	}
	next := http.DefaultTransport.(*http.Transport).Clone()
	next.TLSClientConfig = cfg
	t.http, t.ca, t.serverName = next, bytes.Clone(a.CA), a.ServerName
	return next, nil
}
