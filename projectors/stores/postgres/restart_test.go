// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// ownServer starts a server that the test may stop, beside the usual one.
func ownServer(t *testing.T) (u *url.URL, caFile string, run func(script string)) {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "hack", "postgres")
	env := append(os.Environ(), "PROJECTIONIST_INSTANCE=pgstore")
	run = func(script string) {
		cmd := exec.Command(filepath.Join(dir, script))
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("hack/postgres/%s: %v\n%s", script, err, out)
		}
	}
	run("up")
	t.Cleanup(func() { run("down") })
	cmd := exec.Command(filepath.Join(dir, "env"))
	cmd.Env = env
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string) string {
		m := regexp.MustCompile(`(?m)^export ` + name + `=(\S+)$`).FindSubmatch(out)
		if m == nil {
			t.Fatal("hack/postgres/env gives no ", name)
		}
		return string(m[1])
	}
	if u, err = url.Parse(get("PG_URL")); err != nil {
		t.Fatal("PG_URL is no URL")
	}
	return u, get("PG_CA_FILE"), run
}

// The server is stopped as by a crash, and restarted, under load: every effect is there once, in order.
func TestServerCrashesUnderLoad(t *testing.T) {
	u, caFile, run := ownServer(t)
	ca, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	w, c := &world{TB: t, ep: endpoint(u)}, ordersContract()
	w.ep.TLS = TLS{Mode: "verify-full", CA: ca}
	wr := w.prepared(c, 2)
	for _, mode := range []string{"require", "verify-ca"} {
		cfg := w.config()
		cfg.Resolve = func(context.Context) (Endpoint, error) { ep := w.ep; ep.TLS.Mode = mode; return ep, nil }
		if err := w.writer(cfg, c).Ping(t.Context()); err != nil {
			t.Fatal(mode, err)
		}
	}
	cfg := w.config()
	cfg.Resolve = func(context.Context) (Endpoint, error) { ep := w.ep; ep.TLS.CA = nil; return ep, nil }
	_ = wantReason(t, w.writer(cfg, c).Ping(t.Context()), ReasonTLS)

	cs := claim(t, wr, "a", orders(0), orders(1))
	var progress, stop atomic.Int64
	steps := make([]int64, len(cs))
	moved := make(chan struct{}, 1)
	var wg sync.WaitGroup
	for i := range cs {
		wg.Go(func() {
			cl := cs[i]
			for stop.Load() == 0 {
				req := move(cl, cl.Next+2, batch(t, c, effect(fmt.Sprint("o", i), change(4, fold.OpAdd, int64(1)), change(5, fold.OpAppend, fmt.Sprint(cl.Next)))))
				for wait := time.NewTicker(50 * time.Millisecond); ; <-wait.C {
					err := wr.Commit(t.Context(), req)
					if err == nil {
						break
					}
					if !stores.Transient(err) {
						t.Error(err)
						return
					}
				}
				cl.Next += 2
				steps[i]++
				if progress.Add(1)%40 == 0 {
					select {
					case moved <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	for range 3 {
		<-moved
		run("stop-immediate")
		run("up")
		<-moved
		<-moved
		run("restart")
		<-moved
	}
	stop.Store(1)
	wg.Wait()
	w.ep.TLS = TLS{}
	w.sql = dial(t, w.ep)
	for i := range cs {
		// The log holds every position once, in order, behind the default.
		if got := w.text(`SELECT best = $2 AND log[2:] = (SELECT array_agg((2 * g)::text ORDER BY g) FROM generate_series(0, $2::bigint - 1) g)
FROM shop.order_summary WHERE id = $1`, fmt.Sprint("o", i), steps[i]); got != "true" {
			t.Fatal("partition", i, "after", steps[i], "commits: the rows are not what was committed")
		}
		if got := w.text("SELECT next_position FROM projectionist.positions WHERE partition = $1", i); got != fmt.Sprint(2*steps[i]) {
			t.Fatal("position", got, "after", steps[i], "commits")
		}
	}
	t.Logf("%v commits, 3 crashes and 3 restarts", steps)
}
