// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk_test

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract/compile/admittest"
	"github.com/projectionist-dev/projectionist/contract/compile/compiletest"
	"github.com/projectionist-dev/projectionist/projectors/bulk"
	"github.com/projectionist-dev/projectionist/projectors/event"
	sourcemem "github.com/projectionist-dev/projectionist/projectors/sources/memory"
)

// TestRandomSpecs: what is admitted is built to what the interpreter makes of the log, event by event,
// with memory and without; and where one event is refused, or the spec is not suited, nothing is touched.
func TestRandomSpecs(t *testing.T) {
	built, spilled, refused, unsuited := 0, 0, 0, 0
	check := func(rt *rapid.T) {
		c, _ := admittest.Admit(t, compiletest.Spec(rt))
		if c == nil {
			return
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		w := newWorld(t, c, 2)
		ours := map[string]bool{}
		for _, topic := range c.Topics {
			ours[topic.Name] = true
		}
		const rounds = 3
		for round := range rounds {
			for _, m := range compiletest.Interleave(random, compiletest.Partitions(random)) {
				// Of events with one version the later one wins, which between partitions is nobody's to say.
				m.Version = rounds*m.Version + round
				tp := event.TopicPartition{Topic: m.Topic}
				if m.Key() == "2" {
					tp.Partition = 1
				}
				if ours[m.Topic] {
					w.append(tp, event.Record{Key: []byte(m.Key()), Value: m.JSON()})
				}
			}
		}
		tiny := random.IntN(2) == 0
		w.build(func(cfg *bulk.Config) {
			cfg.Log.(*sourcemem.Log).MaxRecords = 1 + random.IntN(100)
			if tiny {
				cfg.MaxMemory = 1
			}
		})
		n, stops := w.expected(nil)
		switch {
		case bulk.Unsuited(c) != "", len(w.feed) == 0:
			unsuited++
			if wrong := w.untouched(); wrong != "" {
				rt.Fatalf("unsuited: %s", wrong)
			}
		case stops:
			refused++
			if wrong := w.untouched(); wrong != "" {
				rt.Fatalf("an event is refused: %s\n%+v", wrong, c.Models[0])
			}
		default:
			built++
			if tiny {
				spilled++
			}
			if wrong := w.holds(n) + w.built(); wrong != "" {
				rt.Fatalf("tiny %t: %s\n%+v", tiny, wrong, c.Models[0])
			}
		}
	}
	for range 10 {
		rapid.Check(t, check)
	}
	t.Logf("%d were built, %d of them with nothing in memory, %d gave up at an event, %d are not suited", built, spilled, refused, unsuited)
	if built < 80 || spilled < 30 || refused == 0 || unsuited < 20 {
		t.Error("they are too few to tell anything")
	}
}
