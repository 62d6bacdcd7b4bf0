// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producer writes to the real broker with a client that the project does not use.
var producer = sync.OnceValue(func() *kgo.Client {
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(parts()["KAFKA_BOOTSTRAP"], ",")...),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.ProducerLinger(5*time.Millisecond),
		// Topics appear while tests run.
		kgo.MetadataMinAge(250*time.Millisecond), kgo.UnknownTopicRetries(40))
	if err != nil {
		panic(err)
	}
	return c
})

// message is one event on its way.
type message struct{ topic, key, value string }

// produce sends messages to the space's topics, in order, and returns when the broker has them.
func (n *space) produce(messages ...message) {
	n.t.Helper()
	records := make([]*kgo.Record, 0, len(messages))
	for _, m := range messages {
		records = append(records, &kgo.Record{Topic: n.name + "." + m.topic, Key: []byte(m.key), Value: []byte(m.value)})
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	if err := producer().ProduceSync(ctx, records...).FirstErr(); err != nil {
		n.t.Fatalf("produce: %v", err)
	}
}

// groups are the consumer groups of a space at the broker.
func groups(ctx context.Context, space string) ([]string, error) {
	response, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, producer())
	if err != nil {
		return nil, err
	}
	var out []string
	for _, g := range response.Groups {
		if strings.Contains(g.Group, "."+space+".") {
			out = append(out, g.Group)
		}
	}
	return out, kerr.ErrorForCode(response.ErrorCode)
}

// database is the administrator's connections.
var database = sync.OnceValue(func() *pgxpool.Pool {
	pool, err := pgxpool.New(context.Background(), parts()["PG_URL"])
	if err != nil {
		panic(err)
	}
	return pool
})

func sql(t *testing.T, statement string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := database().Exec(ctx, statement, args...); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
}

// rows gives a query's rows as PostgreSQL's text of a row: (a,b).
func rows(ctx context.Context, query string) ([]string, error) {
	r, err := database().Query(ctx, "SELECT r::text FROM ("+query+") r", pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(r, pgx.RowTo[string])
}

// holds waits until a query of the space's schema ($SCHEMA) gives exactly these rows.
func (n *space) holds(query string, want ...string) {
	n.t.Helper()
	eventually(n.t, soon, query, func(ctx context.Context) string {
		got, err := rows(ctx, n.fill(query))
		if err != nil {
			return err.Error()
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			return fmt.Sprintf("got %q, want %q", got, want)
		}
		return ""
	})
}

// relations are the tables and views of the space's schema.
func (n *space) relations() []string {
	n.t.Helper()
	got, err := rows(n.t.Context(), n.fill("SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('$SCHEMA') AND relkind IN ('r', 'v', 'p') ORDER BY 1"))
	if err != nil {
		n.t.Fatal(err)
	}
	for i := range got {
		got[i] = strings.Trim(got[i], "()")
	}
	return got
}

// proxy forwards TCP from an address that pods reach, and can be down as a server can.
type proxy struct {
	t      *testing.T
	to     string
	listen net.Listener
	mu     sync.Mutex
	open   map[net.Conn]bool
	port   string
}

func newProxy(t *testing.T, to string) *proxy {
	p := &proxy{t: t, to: to, open: map[net.Conn]bool{}}
	p.up()
	t.Cleanup(p.down)
	return p
}

func (p *proxy) up() {
	p.t.Helper()
	port := p.port
	if port == "" {
		port = "0"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(parts()["PROJECTIONIST_HOST_IP"], port))
	if err != nil {
		p.t.Fatal(err)
	}
	_, p.port, _ = net.SplitHostPort(l.Addr().String())
	p.listen = l
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go p.forward(from)
		}
	}()
}

func (p *proxy) forward(from net.Conn) {
	to, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = from.Close()
		return
	}
	p.mu.Lock()
	p.open[from], p.open[to] = true, true
	p.mu.Unlock()
	copyTo := func(a, b net.Conn) {
		_, _ = io.Copy(a, b)
		_, _ = a.Close(), b.Close()
	}
	go copyTo(from, to)
	copyTo(to, from)
	p.mu.Lock()
	delete(p.open, from)
	delete(p.open, to)
	p.mu.Unlock()
}

// down refuses connections and cuts those that there are.
func (p *proxy) down() {
	_ = p.listen.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}
