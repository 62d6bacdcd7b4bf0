// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// cut is where the proxy cuts a connection.
type cut int32

const (
	cutNever cut = iota
	cutBeforeCommit
	cutAfterCommit
)

func (c cut) String() string {
	return [...]string{"never", "before the server sees COMMIT", "after the server has committed"}[c]
}

// proxy stands between client and server and can cut a connection at its COMMIT.
type proxy struct {
	tb            testing.TB
	server        Endpoint
	l             net.Listener
	next          atomic.Int32
	cuts          atomic.Int32
	closeAfterCut atomic.Bool
	closed        atomic.Bool // refuses new connections
	mu            sync.Mutex
	open          []net.Conn
}

// vanish is the death of the client: nothing more is said on any connection, and no new one is made.
func (p *proxy) vanish() {
	p.closed.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		_ = c.Close()
	}
	p.open = nil
}

func newProxy(tb testing.TB, server Endpoint) *proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{tb: tb, server: server, l: l}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if p.closed.Load() {
				_ = c.Close()
				continue
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) address() (string, uint16) {
	a := p.l.Addr().(*net.TCPAddr)
	return a.IP.String(), uint16(a.Port)
}

// cutNext cuts the connection that sends the next COMMIT.
func (p *proxy) cutNext(where cut) { p.next.Store(int32(where)) }

func (p *proxy) take(where cut) bool {
	if !p.next.CompareAndSwap(int32(where), int32(cutNever)) {
		return false
	}
	p.cuts.Add(1)
	if p.closeAfterCut.Load() {
		p.closed.Store(true)
	}
	return true
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", net.JoinHostPort(p.server.Host, strconv.Itoa(int(p.server.Port))))
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.open = append(p.open, client, server)
	p.mu.Unlock()
	shut := func() { _ = client.Close(); _ = server.Close() }
	go func() { p.fromServer(client, server); shut() }()
	p.fromClient(client, server)
	shut()
}

// message reads one message of the protocol: type byte, length, body.
func message(r io.Reader) ([]byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	m := make([]byte, 1+binary.BigEndian.Uint32(head[1:]))
	copy(m, head)
	_, err := io.ReadFull(r, m[5:])
	return m, err
}

func (p *proxy) fromClient(client, server net.Conn) {
	// The first message has no type byte.
	size := make([]byte, 4)
	if _, err := io.ReadFull(client, size); err != nil {
		return
	}
	body := make([]byte, binary.BigEndian.Uint32(size)-4)
	if _, err := io.ReadFull(client, body); err != nil {
		return
	}
	if _, err := server.Write(append(size, body...)); err != nil {
		return
	}
	commits := map[string]bool{}
	for {
		m, err := message(client)
		if err != nil {
			return
		}
		switch m[0] {
		case 'Q':
			if bytes.EqualFold(m[5:], []byte("commit\x00")) && p.take(cutBeforeCommit) {
				return
			}
		case 'P':
			var parse pgproto3.Parse
			if parse.Decode(bytes.Clone(m[5:])) == nil && parse.Query == "COMMIT" {
				commits[parse.Name] = true
			}
		case 'B':
			var bind pgproto3.Bind
			if bind.Decode(bytes.Clone(m[5:])) == nil && commits[bind.PreparedStatement] && p.take(cutBeforeCommit) {
				return
			}
		}
		if _, err := server.Write(m); err != nil {
			return
		}
	}
}

func (p *proxy) fromServer(client, server net.Conn) {
	for {
		m, err := message(server)
		if err != nil {
			return
		}
		if m[0] == 'C' && bytes.Equal(m[5:], []byte("COMMIT\x00")) && p.take(cutAfterCommit) {
			return
		}
		if _, err := client.Write(m); err != nil {
			return
		}
	}
}
