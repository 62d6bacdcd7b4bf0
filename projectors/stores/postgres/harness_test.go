// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// serverURL is where the tests' PostgreSQL is: a role that may create databases and roles.
func serverURL(tb testing.TB) *url.URL {
	tb.Helper()
	text := os.Getenv("PG_URL")
	if text == "" {
		out, err := exec.Command(filepath.Join("..", "..", "..", "hack", "postgres", "env")).Output()
		if m := regexp.MustCompile(`(?m)^export PG_URL=(\S+)$`).FindSubmatch(out); err == nil && m != nil {
			text = string(m[1])
		}
	}
	if text == "" {
		tb.Fatal("no PostgreSQL: set PG_URL to a superuser's URL, or start one with hack/postgres/up")
	}
	u, err := url.Parse(text)
	if err != nil {
		tb.Fatal("PG_URL is no URL")
	}
	return u
}

func endpoint(u *url.URL) Endpoint {
	port, _ := strconv.Atoi(u.Port())
	password, _ := u.User.Password()
	return Endpoint{Host: u.Hostname(), Port: uint16(port), Database: strings.TrimPrefix(u.Path, "/"), User: u.User.Username(), Password: password}
}

var databases atomic.Int64

// world is a database of a test's own.
type world struct {
	testing.TB
	ep Endpoint
	// sql is a plain connection of the superuser, for looking and for meddling.
	sql *pgx.Conn
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	ctx := tb.Context()
	ep := endpoint(serverURL(tb))
	root := dial(tb, ep)
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	if _, err := root.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		c := dial(tb, endpoint(serverURL(tb)))
		if _, err := c.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	ep.Database = name
	return &world{TB: tb, ep: ep, sql: dial(tb, ep)}
}

func dial(tb testing.TB, ep Endpoint) *pgx.Conn {
	tb.Helper()
	cfg, err := pgx.ParseConfig("sslmode=disable")
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = ep.Host, ep.Port, ep.Database, ep.User, ep.Password
	conn, err := pgx.ConnectConfig(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (w *world) config() Config {
	return Config{
		Resolve:     func(context.Context) (Endpoint, error) { return w.ep, nil },
		Application: "projectionist/shop/orders/pod-1", Schema: "shop", BookkeepingSchema: "projectionist",
	}
}

func (w *world) admin(cfg Config) *Admin {
	w.Helper()
	a, err := OpenAdmin(AdminConfig{Config: cfg})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(a.Close)
	return a
}

func (w *world) writer(cfg Config, c *contract.Contract) *Writer {
	w.Helper()
	wr, err := OpenWriter(cfg, c)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(wr.Close)
	return wr
}

// prepared makes a contract's tables with n partitions per topic, and a Writer.
func (w *world) prepared(c *contract.Contract, n int32) *Writer {
	w.Helper()
	if _, err := w.admin(w.config()).Prepare(w.Context(), c, starts(c, n)); err != nil {
		w.Fatal(err)
	}
	return w.writer(w.config(), c)
}

func starts(c *contract.Contract, n int32) []stores.Start {
	var out []stores.Start
	for _, t := range c.Topics {
		for p := range n {
			out = append(out, stores.Start{TopicPartition: event.TopicPartition{Topic: t.Name, Partition: p}, TopicID: "id-" + t.Name})
		}
	}
	return out
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.sql.Exec(w.Context(), sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

// text gives the first column of the first row as text.
func (w *world) text(sql string, args ...any) string {
	w.Helper()
	var s *string
	if err := w.sql.QueryRow(w.Context(), "SELECT (x.v)::text FROM ("+sql+") AS x(v)", args...).Scan(&s); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	if s == nil {
		return "NULL"
	}
	return *s
}

func ptr(s string) *string { return &s }

// ordersContract has one model with a column for each kind of change.
func ordersContract() *contract.Contract {
	return &contract.Contract{
		Version: contract.Version, Projection: contract.Identity{Cluster: "c1", Namespace: "shop", Name: "orders", UID: "u1"},
		Revision: "0123456789", DataHash: "1:0123456789abcdef", Topics: []contract.Topic{{Name: "orders"}},
		Models: []contract.Model{{
			Name: "order_summary", Key: []string{"id"},
			Columns: []contract.Column{
				{Name: "id", Type: "text"},
				{Name: "status", Type: "text"},
				{Name: "n", Type: "int32", Default: ptr("10")},
				{Name: "total", Type: "decimal(12,2)"},
				{Name: "best", Type: "int64"},
				{Name: "log", Type: "text[]", Default: ptr(`["made"]`)},
			},
			Indexes: []contract.Index{{Columns: []string{"status"}}},
		}},
	}
}

// batch folds effects for a contract.
func batch(tb testing.TB, c *contract.Contract, effects ...fold.Effect) *fold.Batch {
	tb.Helper()
	models, err := fold.ModelsOf(c)
	if err != nil {
		tb.Fatal(err)
	}
	b := fold.NewBatch(models)
	for _, e := range effects {
		if err := b.Apply(e); err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

func key(v ...value.Value) []value.Value { return v }

func change(col int, op fold.Op, v value.Value) fold.Change {
	return fold.Change{Column: col, Op: op, Operand: v}
}

func effect(id string, changes ...fold.Change) fold.Effect {
	return fold.Effect{Key: key(id), Changes: changes}
}

// move is a commit of one claim.
func move(c stores.Claim, to int64, rows *fold.Batch) stores.Commit {
	return stores.Commit{Advances: []stores.Advance{{Claim: c, Next: to, LeaderEpoch: 3, EventTime: time.UnixMilli(1_700_000_000_000)}}, Rows: rows}
}

func claim(tb testing.TB, w stores.Writer, owner string, tps ...event.TopicPartition) []stores.Claim {
	tb.Helper()
	cs, err := w.Claim(tb.Context(), owner, tps)
	if err != nil {
		tb.Fatal(err)
	}
	return cs
}

func orders(p int32) event.TopicPartition { return event.TopicPartition{Topic: "orders", Partition: p} }

func wantFenced(tb testing.TB, err error, tps ...event.TopicPartition) {
	tb.Helper()
	var fe *stores.FencedError
	if !errors.As(err, &fe) || fmt.Sprint(fe.Partitions) != fmt.Sprint(tps) {
		tb.Fatalf("got %v, want fenced %v", err, tps)
	}
}

func wantReason(tb testing.TB, err error, reason string) *stores.EnvironmentError {
	tb.Helper()
	var ee *stores.EnvironmentError
	if !errors.As(err, &ee) || ee.Reason != reason {
		tb.Fatalf("got %v, want reason %s", err, reason)
	}
	return ee
}
