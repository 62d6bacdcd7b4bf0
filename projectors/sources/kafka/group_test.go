// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/sourcetest"
)

// next takes generations until one has n partitions.
func next(t *testing.T, g sources.Group, n int) sources.Generation {
	t.Helper()
	ctx := sourcetest.Context(t)
	for {
		gen, err := g.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				t.Fatal(err)
			}
			continue
		}
		if len(gen.Assigned) == n {
			return gen
		}
		gen.Done()
	}
}

func TestCoordinatorMoves(t *testing.T) {
	c, h := fakeHarness(t)
	h.CreateTopic(t, "orders", 4)
	g := h.Join(t, "g")
	for range 3 {
		gen := next(t, g, 4)
		// It may hash to where it was: then the fault says that it moved.
		c.RehashCoordinators()
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.NotCoordinator, TopLevel: true, Count: 1})
		<-gen.Context.Done()
		gen.Done()
	}
	next(t, g, 4).Done()
}

func TestEvictedMember(t *testing.T) {
	c, h := fakeHarness(t)
	h.CreateTopic(t, "orders", 4)
	g := h.Join(t, "g")
	for _, code := range []*kerr.Error{kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.RebalanceInProgress} {
		gen := next(t, g, 4)
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: code, TopLevel: true, Count: 1})
		<-gen.Context.Done()
		if err := gen.CommitAdvisory(nil); err == nil {
			t.Errorf("%v: an ended generation commits", code)
		}
		gen.Done()
	}
	next(t, g, 4).Done()
}

func TestForbiddenGroup(t *testing.T) {
	c, h := fakeHarness(t)
	h.CreateTopic(t, "orders", 1)
	f := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.GroupAuthorizationFailed, TopLevel: true, Count: -1})
	g := h.Join(t, "g")
	if _, err := g.Next(sourcetest.Context(t)); sources.ReasonOf(err) != sources.ReasonAuthorizationFailed {
		t.Fatalf("got %v", err)
	}
	f.Remove()
	next(t, g, 1).Done()
}
