// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// bounded are starts whose log goes from 100 to 200, with a time at 150.
func bounded() []stores.Start {
	out := starts()
	for i := range out {
		out[i].End, out[i].At = 200, 150
	}
	return out
}

// startsElsewhere: a revision begins where it was asked to, once and for all, and whoever looks at its positions is told.
func startsElsewhere(t *testing.T, h Harness) {
	f := h.open(t, one())
	c := contractOf("summary", revisionB, one())
	c.From = &contract.From{Time: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	for i, given := range [][]stores.Start{bounded(), starts(), nil} {
		// A Job that runs again finds another log, and changes nothing.
		if _, err := f.db.Admin().Prepare(f.ctx, c, given); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	w := f.db.Writer(t, c)
	t.Cleanup(w.Close)
	if _, err := w.AddPartitions(f.ctx, stores.Barrier{Topic: "orders", Before: 4, After: 5, Ends: []int64{160, 160, 160, 160}}); err != nil {
		t.Fatal(err)
	}
	claims, err := w.Claim(f.ctx, "pod", []event.TopicPartition{tp("orders", 0), tp("orders", 4)})
	if err != nil {
		t.Fatal(err)
	}
	if claims[0].Next != 150 || claims[0].Begin != 150 || claims[1].Next != 0 || claims[1].Begin != 0 {
		t.Fatalf("claims %+v", claims)
	}
	if err := w.Commit(f.ctx, stores.Commit{Advances: []stores.Advance{{Claim: claims[0], Next: 155}}}); err != nil {
		t.Fatal(err)
	}
	begin := func(tp event.TopicPartition) int64 {
		if tp == (event.TopicPartition{Topic: "orders", Partition: 4}) {
			return 0
		}
		return 150
	}
	told := func(how string, claims []stores.Claim, err error) {
		t.Helper()
		if err != nil || len(claims) != 7 {
			t.Fatalf("%s: %+v, err %v", how, claims, err)
		}
		for _, c := range claims {
			if c.Begin != begin(c.TopicPartition) {
				t.Errorf("%s: %+v begins at %d", how, c, c.Begin)
			}
		}
	}
	claims, err = w.Peek(f.ctx)
	told("Peek", claims, err)
	// What began with the first events says so, and a contract of which somebody has lost the start is told of it.
	plain := *c
	plain.From = nil
	g := &fixture{TB: t, ctx: f.ctx, db: f.db, c: &plain, models: f.models}
	told("Snapshot", g.snapshot(everyRow).claims, nil)
	for _, c := range f.snapshot(everyRow).claims {
		if c.Begin != 0 {
			t.Errorf("%+v begins at %d", c.TopicPartition, c.Begin)
		}
	}
	if r, ok := f.db.Admin().(stores.Replacer); ok {
		claims, _, err := r.Positions(f.ctx, &plain)
		told("Positions", claims, err)
		done, err := r.Replace(f.ctx, &plain, stores.Replacement{Owner: "test", Fold: func(_ context.Context, claims []stores.Claim, _ []stores.Barrier) ([]stores.Row, error) {
			told("Fold", claims, nil)
			return nil, nil
		}})
		told("Replace", done.Claims, err)
	}
}

// startsRefused: what cannot begin where it was asked to is not made at all.
func startsRefused(t *testing.T, h Harness) {
	at := func(topic string, partition int32, position contract.Position) contract.FromPosition {
		return contract.FromPosition{Topic: topic, Partition: partition, Position: position}
	}
	var all []contract.FromPosition
	for _, p := range allPartitions() {
		all = append(all, at(p.Topic, p.Partition, "120"))
	}
	with := func(change contract.FromPosition) []contract.FromPosition {
		return append([]contract.FromPosition{change}, all...)
	}
	grown := append(bounded(), stores.Start{TopicPartition: tp("orders", 4), TopicID: "id-orders", End: 10, At: 5})
	f := h.open(t, one())
	n := 1
	prepare := func(from *contract.From, given []stores.Start) error {
		c := contractOf("summary", fmt.Sprintf("%010d", n), one())
		c.From = from
		_, err := f.db.Admin().Prepare(f.ctx, c, given)
		return err
	}
	past := &contract.From{Time: time.Unix(1_700_000_000, 0)}
	refused := func(what string, err error, code, path string) {
		t.Helper()
		var e *stores.StartError
		if !errors.As(err, &e) || e.Code != code || e.Path != path || e.Message == "" {
			t.Fatalf("%s: %v (%+v)", what, err, e)
		}
		// Nothing of it was made: it can be another one.
		c := contractOf("summary", fmt.Sprintf("%010d", n), one())
		c.DataHash = "1:another"
		if _, err := f.db.Admin().Prepare(f.ctx, c, bounded()); err != nil {
			t.Fatalf("%s: the revision is there: %v", what, err)
		}
		n++
	}
	for _, tc := range []struct {
		what       string
		from       *contract.From
		given      []stores.Start
		code, path string
	}{
		{"below the log", &contract.From{Positions: with(at("orders", 0, "99"))}, bounded(), stores.ReasonStartNotPossible, "from.positions[0].position"},
		{"above the log", &contract.From{Positions: with(at("orders", 0, "201"))}, bounded(), stores.ReasonStartNotPossible, "from.positions[0].position"},
		{"no such partition", &contract.From{Positions: with(at("orders", 9, "120"))}, bounded(), stores.ReasonStartNotPossible, "from.positions[0]"},
		{"not named, and trimmed", &contract.From{Positions: all[1:]}, bounded(), stores.ReasonStartNotPossible, "from.positions"},
		{"growth that nobody has seen", past, grown, stores.ReasonTopicGrown, "from"},
	} {
		refused(tc.what, prepare(tc.from, tc.given), tc.code, tc.path)
	}
	// Orders grows where its partitions are at 160.
	if _, err := f.w.AddPartitions(f.ctx, stores.Barrier{Topic: "orders", Before: 4, After: 5, Ends: []int64{160, 160, 160, 160}}); err != nil {
		t.Fatal(err)
	}
	refused("on both sides of a growth", prepare(past, grown), stores.ReasonStartNotPossible, "from")
	for what, fifth := range map[string]struct{ old, grown int64 }{"before the growth": {150, 0}, "after it": {170, 5}, "at it": {160, 5}} {
		given := append(bounded(), stores.Start{TopicPartition: tp("orders", 4), TopicID: "id-orders", End: 10, At: fifth.grown})
		for i := range given[:6] {
			given[i].At = fifth.old
		}
		if err := prepare(past, given); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		n++
	}
}
