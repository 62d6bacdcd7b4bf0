// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"errors"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/history"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

// elsewhere is a revision that began at position 100 and 0 of the two partitions of 500 events, and has caught up.
func elsewhere(t *testing.T) (whole, part *world) {
	t.Helper()
	w := newWorld(t, orders(), 2)
	w.Fill(500)
	p := &world{w.From(&contract.From{Positions: []contract.FromPosition{{Topic: "orders", Partition: 1, Position: "100"}}})}
	for tp := range p.Claims {
		if err := p.Apply(tp, -1); err != nil {
			t.Fatal(err)
		}
	}
	return w, p
}

// A revision that began elsewhere is compared from there: equal to the fold of the rest, and not to that of all.
func TestFrom(t *testing.T) {
	w, p := elsewhere(t)
	r := p.verify()
	if !r.Equal() || r.Events != 400 || r.Models[0].Compared() == 0 {
		t.Fatalf("%+v", r)
	}
	if r := w.verify(); !r.Equal() || r.Events != 500 {
		t.Fatalf("the other one: %+v", r)
	}
	key := p.Store.Rows(p.Contract, "order")[0][:2:2]
	p.Meddle(key, func([]value.Value) []value.Value { return nil })
	if m := p.verify().Models[0]; m.Missing != 1 || m.Differing() != 1 {
		t.Errorf("a row was deleted: %+v", m)
	}
	// A log that has lost what came before the beginning has lost nothing of it.
	p.Meddle(key, func([]value.Value) []value.Value { return nil })
	p.Broker.DeleteRecords(partition(1), 100)
	if r := p.verify(); r.Events != 400 {
		t.Errorf("%+v", r)
	}
	for tp, at := range map[event.TopicPartition]int64{partition(1): 101, partition(0): 1} {
		p.Broker.DeleteRecords(tp, at)
		var refused *history.RefusedError
		if _, err := verify.Run(p.Context(), p.options()); !errors.As(err, &refused) || refused.Code != history.ReasonHistoryMissing {
			t.Errorf("%s begins at %d: %v", tp, at, err)
		}
	}
}

// Where nobody has written down where it began, nothing is said of its rows.
func TestFromUnknown(t *testing.T) {
	_, p := elsewhere(t)
	p.Store.ForgetBegins(p.Contract)
	var refused *history.RefusedError
	if _, err := verify.Run(p.Context(), p.options()); !errors.As(err, &refused) || refused.Code != history.ReasonBeginUnknown {
		t.Errorf("%v", err)
	}
}
