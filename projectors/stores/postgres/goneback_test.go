// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	sourcemem "github.com/projectionist-dev/projectionist/projectors/sources/memory"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// The database goes back to before the last commit, as by a failover that lost it,
// and no event comes any more: the projector sees it and applies the event again, once.
func TestProjectorSeesThatTheDatabaseWentBack(t *testing.T) {
	w, zero := newWorld(t), "0"
	c := &contract.Contract{
		Version: contract.Version, Projection: contract.Identity{Cluster: "c1", Namespace: "shop", Name: "tally", UID: "u1"},
		Revision: "0123456789", DataHash: "1:0123456789", Topics: []contract.Topic{{Name: "orders", BrokerTopic: "orders", Format: "JSON"}},
		Models: []contract.Model{{
			Name: "tally", Key: []string{"k"}, Columns: []contract.Column{{Name: "k", Type: "text"}, {Name: "n", Type: "int64", Default: &zero}},
			Handlers: []contract.Handler{{Name: "count", Topic: "orders", OnAbsent: "Create", Key: map[string]string{"k": "event.k"}, Add: map[string]string{"n": "1"}}},
		}},
	}
	program, err := handlers.Compile(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = w.admin(w.config()).Prepare(t.Context(), c, []stores.Start{{TopicPartition: orders(0)}}); err != nil {
		t.Fatal(err)
	}
	broker := sourcemem.NewBroker()
	broker.CreateTopic("orders", 1)
	send := func() { broker.Append(orders(0), event.Record{Value: []byte(`{"k":"a"}`)}) }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	e := engine.New(engine.Config{
		Log: broker.Log(), Group: broker.Join("g", "orders"), Writer: w.writer(w.config(), c), Models: program.Models(),
		NewEvaluator: func() engine.Evaluator { return program.NewEvaluator() }, Topics: []string{"orders"}, Owner: "pod",
		WatchInterval: 50 * time.Millisecond, LookInterval: 50 * time.Millisecond, ReclaimAfter: 100 * time.Millisecond,
	})
	go func() { done <- e.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	until := func(position, n string) {
		t.Helper()
		limit := time.After(time.Minute)
		for {
			got := w.text("SELECT next_position || ' ' || coalesce((SELECT n FROM shop.tally), 0) FROM projectionist.positions")
			if got == position+" "+n {
				return
			}
			select {
			case err := <-done:
				t.Fatal("the projector has ended: ", err)
			case <-limit:
				t.Fatalf("position and count %s, want %s %s", got, position, n)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	send()
	send()
	until("2", "2")
	w.exec("CREATE TABLE replica_positions AS TABLE projectionist.positions")
	w.exec("CREATE TABLE replica_tally AS TABLE shop.tally__0123456789")
	send()
	until("3", "3")
	w.exec(`WITH p AS (UPDATE projectionist.positions p SET next_position = r.next_position, epoch = r.epoch, token = r.token FROM replica_positions r)
UPDATE shop.tally__0123456789 t SET n = r.n FROM replica_tally r WHERE t.k = r.k`)
	until("3", "3")
	if got := w.text("SELECT epoch FROM projectionist.positions"); got != "2" {
		t.Errorf("epoch %s: it was not claimed anew, once", got)
	}
}
