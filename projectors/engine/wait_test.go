// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	storemem "github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

// schemas is a registry that knows some ids, and forgets them when told to.
type schemas struct {
	mu    sync.Mutex
	known map[int]bool
	asked int
}

func (s *schemas) learn(ids ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = map[int]bool{}
	for _, id := range ids {
		s.known[id] = true
	}
}

func (s *schemas) Schema(id int) (codecs.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if !s.known[id] {
		return codecs.Schema{}, &codecs.UnavailableError{Reason: codecs.ReasonSchemaMissing, Message: "no such schema"}
	}
	return codecs.Schema{Type: codecs.SchemaAvro, Text: `{"type":"record","name":"E","fields":[
		{"name":"k","type":"string"},{"name":"i","type":"long"},{"name":"s","type":"long"}]}`}, nil
}

// useAvro makes the topic's events Avro with schemas that the returned registry knows.
func (w *world) useAvro() *schemas {
	w.t.Helper()
	s := &schemas{}
	w.contract.Topics[0].Format = "Avro"
	var err error
	if w.program, err = handlers.Compile(w.contract, s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// sendAs appends an event of a schema that adds small.
func (w *world) sendAs(id uint32, partition int32, key string, small int64) int64 {
	w.next++
	w.sent[key] = append(w.sent[key], w.next)
	b := binary.BigEndian.AppendUint32([]byte{0}, id)
	b = append(binary.AppendVarint(b, int64(len(key))), key...)
	b = binary.AppendVarint(binary.AppendVarint(b, w.next), small)
	return w.raw(partition, key, string(b))
}

func TestAnUnknownSchemaIsWaitedForByItsPartitionAlone(t *testing.T) {
	inBubble(t, 2, func(w *world) {
		registry := w.useAvro()
		registry.learn(1)
		for range 150 {
			w.sendAs(1, 0, "a", 0)
		}
		waitsAt := w.sendAs(2, 0, "a", 0)
		for range 150 { // several batches behind it
			w.sendAs(1, 0, "a", 0)
			w.sendAs(1, 1, "b", 0)
		}
		p := w.start("p", nil)
		w.until("the other partition is done", func() bool { return p.partition(1).CaughtUp })
		w.until("what is before the event is committed", func() bool {
			n, _ := p.partition(0).Position.Offset()
			return n == waitsAt
		})
		for range 100 { // a long outage
			time.Sleep(6 * time.Second)
			st := p.partition(0)
			n, _ := st.Position.Offset()
			if n != waitsAt || !strings.HasPrefix(st.Waiting, codecs.ReasonSchemaMissing+": ") || st.Stopped != nil || st.CaughtUp {
				t.Fatalf("position %s, waiting %q, stopped %v, caught up %v", st.Position, st.Waiting, st.Stopped, st.CaughtUp)
			}
			if h := p.Status().Source; h.OK || h.Reason != codecs.ReasonSchemaMissing || h.Message != "no such schema" {
				t.Fatalf("the source is %+v", h)
			}
			if !p.Ready() || !p.Alive() {
				t.Fatal("a wait must not make the process unready or dead")
			}
		}
		for _, row := range w.store.Rows(w.contract, "tally") {
			if row[0] == "a" && row[1].(int64) != waitsAt {
				t.Errorf("%d events of the waiting partition are applied, want %d", row[1], waitsAt)
			}
		}
		if registry.asked > 400 {
			t.Errorf("asked %d times in ten minutes", registry.asked)
		}
		w.sendAs(1, 1, "b", 0)
		w.until("the other partition goes on", func() bool { n, _ := p.partition(1).Position.Offset(); return n == 151 })

		registry.learn(1, 2)
		w.until("caught up", func() bool { return w.caughtUp() && p.partition(0).CaughtUp })
		w.until("healthy", func() bool { return p.Status().Source.OK && p.partition(0).Waiting == "" })
		w.check()
	})
}

func TestDrainDoesNotWaitForASchema(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		registry := w.useAvro()
		registry.learn(1)
		w.sendAs(1, 0, "a", 0)
		w.sendAs(2, 0, "a", 0)
		p := w.start("p", nil)
		w.until("waiting", func() bool { return p.partition(0).Waiting != "" })
		begin := time.Now() // of the bubble: nothing but timers takes time in it
		p.kill()
		if d := time.Since(begin); d > time.Second {
			t.Errorf("the drain took %v", d)
		}
		registry.learn(1, 2)
		w.start("q", nil)
		w.until("caught up", w.caughtUp)
		w.check()
	})
}

// The next attempt begins where the commits before it end.
func TestAWaitLetsCommitsBeforeItFinish(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		registry := w.useAvro()
		registry.learn(1)
		held := make(chan struct{})
		w.store.SetHooks(storemem.Hooks{AfterCommit: func(context.Context, stores.Commit) error {
			<-held // it has happened, and the answer takes its time
			return nil
		}})
		for range 100 {
			w.sendAs(1, 0, "a", 0)
		}
		w.sendAs(2, 0, "a", 0)
		w.sendAs(1, 0, "a", 0)
		p := w.start("p", nil)
		w.until("waiting", func() bool { return p.partition(0).Waiting != "" })
		time.Sleep(time.Minute)
		close(held)
		time.Sleep(time.Minute) // attempts, with nothing else to wake the fetcher
		registry.learn(1, 2)
		w.until("caught up", w.caughtUp)
		w.check()
	})
}

// A wait is over when another claim has passed its event, though no event follows that would show it.
func TestAWaitEndsWithTheClaim(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		registry := w.useAvro()
		registry.learn(1)
		held := make(chan struct{})
		w.store.SetHooks(storemem.Hooks{BeforeCommit: func(_ context.Context, c stores.Commit) error {
			if c.Advances[0].Claim.Owner == "p" {
				<-held
			}
			return nil
		}})
		w.sendAs(1, 0, "a", 0)
		end := w.sendAs(2, 0, "a", 0) + 1
		p := w.start("p", func(c *engine.Config) { c.ReclaimAfter = 2 * time.Second })
		w.until("waiting", func() bool { return p.partition(0).Waiting != "" })
		other := w.store.Writer(w.contract)
		claims, err := other.Claim(t.Context(), "other", []event.TopicPartition{tp(0)})
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Commit(t.Context(), stores.Commit{Advances: []stores.Advance{{Claim: claims[0], Next: end}}}); err != nil {
			t.Fatal(err)
		}
		close(held) // what came before the event is fenced
		w.until("healthy", func() bool { return p.Status().Source.OK && p.partition(0).Waiting == "" && p.partition(0).CaughtUp })
	})
}

// A batch that the store refuses is evaluated again in pieces, by an evaluator
// that has to learn the schemas once more.
func TestNarrowingWaitsForASchema(t *testing.T) {
	inBubble(t, 1, func(w *world) {
		registry := w.useAvro()
		registry.learn(1)
		w.sendAs(1, 0, "a", 1<<31-1)
		p := w.start("p", nil)
		w.until("caught up", w.caughtUp)
		w.store.SetHooks(storemem.Hooks{BeforeCommit: func(_ context.Context, c stores.Commit) error {
			if c.Rows != nil {
				registry.learn() // forgets all
			}
			return nil
		}})
		for range 5 {
			w.sendAs(1, 0, "b", 0)
		}
		bad := w.sendAs(1, 0, "a", 1)
		w.sendAs(1, 0, "b", 0)
		w.until("the outage shows", func() bool { return p.Status().Source.Reason == codecs.ReasonSchemaMissing })
		w.store.SetHooks(storemem.Hooks{})
		registry.learn(1)
		w.until("stopped", func() bool { return p.partition(0).Stopped != nil })
		if n, _ := p.partition(0).Stopped.Position.Offset(); n != bad || p.partition(0).Stopped.Reason != "OutOfRange" {
			t.Errorf("stopped at %d by %s, want %d", n, p.partition(0).Stopped.Reason, bad)
		}
		rows := w.store.Rows(w.contract, "tally")
		if i := slices.IndexFunc(rows, func(r []any) bool { return r[0] == "b" }); i < 0 || rows[i][1].(int64) != 5 {
			t.Errorf("rows: %v", rows)
		}
	})
}
