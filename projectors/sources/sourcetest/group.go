// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// crew is what the workers of a test tell of their generations.
type crew struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
}

func newCrew() *crew { return &crew{changed: make(chan struct{})} }

// worker takes the generations of a member as the engine does: it leaves when
// one ends, and says so.
type worker struct {
	crew   *crew
	member sources.Group
	latest sources.Generation // guarded by crew.mu
}

func (c *crew) work(t *testing.T, g sources.Group) *worker {
	w := &worker{crew: c, member: g}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			gen, err := g.Next(ctx)
			if errors.Is(err, sources.ErrClosed) || ctx.Err() != nil {
				return
			}
			if err != nil {
				continue
			}
			c.mu.Lock()
			w.latest = gen
			close(c.changed)
			c.changed = make(chan struct{})
			c.mu.Unlock()
			select {
			case <-gen.Context.Done():
			case <-ctx.Done():
			}
			gen.Done()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

// settle waits until the workers' latest generations are one, and cover want
// between them, none twice, in equal shares.
func (c *crew) settle(t *testing.T, want []event.TopicPartition, ws ...*worker) []sources.Generation {
	t.Helper()
	ctx := Context(t)
	for {
		c.mu.Lock()
		changed := c.changed
		latest := make([]sources.Generation, len(ws))
		for i, w := range ws {
			latest[i] = w.latest
		}
		c.mu.Unlock()
		if covers(latest, want) {
			return latest
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("the group did not settle on %v; last seen: %+v", want, latest)
		}
	}
}

func covers(gens []sources.Generation, want []event.TopicPartition) bool {
	seen := map[event.TopicPartition]int{}
	low, high := len(want), 0
	for _, gen := range gens {
		if gen.Context == nil || gen.Context.Err() != nil || gen.ID != gens[0].ID {
			return false
		}
		low, high = min(low, len(gen.Assigned)), max(high, len(gen.Assigned))
		for _, tp := range gen.Assigned {
			seen[tp]++
		}
	}
	for _, tp := range want {
		if seen[tp] != 1 {
			return false
		}
	}
	return len(seen) == len(want) && high-low <= 1
}

func parts(topic string, n int32) []event.TopicPartition {
	var out []event.TopicPartition
	for p := range n {
		out = append(out, at(topic, p))
	}
	return out
}

func one(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 3)
	h.CreateTopic(t, "payments", 2)
	want := append(parts("orders", 3), parts("payments", 2)...)
	c := newCrew()
	w := c.work(t, h.Join(t, "g"))
	gen := c.settle(t, want, w)[0]
	for i, tp := range want {
		if gen.Assigned[i] != tp {
			t.Fatalf("assigned %v, want %v in order", gen.Assigned, want)
		}
	}
	if gen.Counts["orders"] != 3 || gen.Counts["payments"] != 2 {
		t.Errorf("counts %v", gen.Counts)
	}
	if err := gen.CommitAdvisory(map[event.TopicPartition]int64{at("orders", 1): 7}); err != nil {
		t.Errorf("advisory commit: %v", err)
	}
	if err := w.member.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := w.member.Next(Context(t)); !errors.Is(err, sources.ErrClosed) {
		t.Errorf("Next after Close gives %v", err)
	}
}

func several(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 6)
	h.CreateTopic(t, "payments", 2)
	want := append(parts("orders", 6), parts("payments", 2)...)
	cr := newCrew()
	a := cr.work(t, h.Join(t, "g"))
	cr.settle(t, want, a)
	b := cr.work(t, h.Join(t, "g"))
	two := cr.settle(t, want, a, b)
	c := cr.work(t, h.Join(t, "g"))
	three := cr.settle(t, want, a, b, c)
	for i := range two {
		kept := map[event.TopicPartition]bool{}
		for _, tp := range two[i].Assigned {
			kept[tp] = true
		}
		for _, tp := range three[i].Assigned {
			if !kept[tp] {
				t.Errorf("member %d got %v, which it did not have: %v, then %v", i, tp, two[i].Assigned, three[i].Assigned)
			}
		}
	}
	if err := b.member.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	cr.settle(t, want, a, c)
	if err := a.member.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	cr.settle(t, want, c)
}

func growth(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 2)
	cr := newCrew()
	a, b := cr.work(t, h.Join(t, "g")), cr.work(t, h.Join(t, "g"))
	cr.settle(t, parts("orders", 2), a, b)
	h.Grow(t, "orders", 6)
	for _, gen := range cr.settle(t, parts("orders", 6), a, b) {
		if gen.Counts["orders"] != 6 {
			t.Errorf("counts %v", gen.Counts)
		}
	}
	// A topic that did not exist when the group began.
	h.CreateTopic(t, "payments", 2)
	cr.settle(t, append(parts("orders", 6), parts("payments", 2)...), a, b)
}

func doneEnds(t *testing.T, h Harness) {
	h.CreateTopic(t, "orders", 2)
	g := h.Join(t, "g")
	ctx := Context(t)
	next := func() sources.Generation {
		for {
			gen, err := g.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if len(gen.Assigned) == 2 {
				return gen
			}
			gen.Done()
		}
	}
	first := next()
	first.Done()
	first.Done()
	if first.Context.Err() == nil {
		t.Error("the generation lives on after Done")
	}
	second := next()
	if second.ID == first.ID {
		t.Errorf("generation %d twice", second.ID)
	}

	// There is no next generation before Done.
	other := h.Join(t, "g")
	defer func() { _ = other.Close() }()
	select {
	case <-second.Context.Done():
	case <-ctx.Done():
		t.Fatal("a second member did not end the generation")
	}
	early, cancel := context.WithCancel(ctx)
	got := make(chan error, 1)
	go func() {
		gen, err := g.Next(early)
		if err == nil {
			gen.Done()
		}
		got <- err
	}()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("Next before Done gives %v", err)
	}
	second.Done()
}
