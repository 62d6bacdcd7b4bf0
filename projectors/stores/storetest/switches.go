// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// wider is one with its columns in another order, one more of them, and one more model.
func wider() []contract.Model {
	m := one()
	was := m[0].Columns
	m[0].Columns = []contract.Column{{Name: "extra", Type: "int64"}, was[2], was[0], was[1]}
	return append(m, contract.Model{Name: "stop", Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "text"}}})
}

// sides are two revisions of a projection, of which readers see the first.
type sides struct {
	a, b *fixture
	s    stores.Switcher
}

// sides is nil where the store declares that it has no Switcher, which it is held to.
func (h Harness) sides(t *testing.T, models []contract.Model) *sides {
	t.Helper()
	lacks := h.lacks(t, Switches)
	db := h.Open(t)
	s, has := db.Admin().(stores.Switcher)
	if has == lacks {
		t.Fatalf("the Admin is a stores.Switcher: %v; the harness says that it lacks that: %v", has, lacks)
	}
	if lacks {
		return nil
	}
	return &sides{a: prepared(t, db, contractOf("summary", revisionA, one())), b: prepared(t, db, contractOf("summary", revisionB, models)), s: s}
}

func (s *sides) facts() contract.RevisionFacts {
	s.a.Helper()
	facts, err := s.s.Revisions(s.a.ctx, s.a.c.Projection)
	if err != nil {
		s.a.Fatal(err)
	}
	return facts
}

// to asks for a revision from where the projection is now.
func (s *sides) to(revision string, allow contract.Consents) contract.Switch {
	s.a.Helper()
	facts := s.facts()
	return contract.Switch{Revision: revision, Active: facts.Active, Sequence: facts.Sequence, DeadlineSeconds: 60, Allow: allow}
}

func (s *sides) promote(sw contract.Switch) (contract.RevisionFacts, error) {
	return s.s.Promote(s.a.ctx, s.a.c.Projection, sw)
}

// refused holds a switch to its reason, and to changing nothing.
func (s *sides) refused(reason string, do func(context.Context, contract.Identity, contract.Switch) (contract.RevisionFacts, error), sw contract.Switch) *stores.SwitchError {
	s.a.Helper()
	before, relations := s.facts(), s.a.db.Relations(s.a)
	facts, err := do(s.a.ctx, s.a.c.Projection, sw)
	var e *stores.SwitchError
	if !errors.As(err, &e) || e.Code != reason {
		s.a.Fatalf("err = %v, want %s", err, reason)
	}
	if !sameFacts(facts, before) || !sameFacts(s.facts(), before) {
		s.a.Fatalf("facts %+v, before %+v", facts, before)
	}
	if after := s.a.db.Relations(s.a); !slices.Equal(after, relations) {
		s.a.Fatalf("relations %v, before %v", after, relations)
	}
	return e
}

func sameFacts(a, b contract.RevisionFacts) bool {
	return a.Active == b.Active && a.Sequence == b.Sequence && slices.Equal(a.Revisions, b.Revisions)
}

func (s *sides) done(facts contract.RevisionFacts, err error) {
	s.a.Helper()
	if err != nil {
		s.a.Fatal(err)
	}
	if now := s.facts(); !sameFacts(facts, now) {
		s.a.Fatalf("facts %+v, then %+v", facts, now)
	}
}

// view compares what a reader of the first model's view sees in the columns of f's contract.
func (s *sides) view(f *fixture, want ...[]value.Value) {
	s.a.Helper()
	m := fold.Model{Name: f.c.Models[0].Name}
	for _, c := range f.c.ViewColumns(0) {
		m.Columns = append(m.Columns, fold.Column{Name: c.Name, Type: value.MustParse(c.Type)})
	}
	if d := diff(&m, f.db.ViewRows(s.a, f.c, 0), want); d != "" {
		s.a.Fatalf("readers see %s", d)
	}
}

func row(v ...value.Value) []value.Value { return v }

func switchMovesReaders(t *testing.T, h Harness) {
	s := h.sides(t, wider())
	if s == nil {
		return
	}
	s.a.commit(on("r", add(1, int64(5))))
	s.b.commit(on("r", add(3, int64(6)), set(0, int64(1))), fold.Effect{Model: 1, Key: row("s")})
	s.view(s.a, row("r", int64(5), nil))
	first := s.facts()
	if first.Active != revisionA || first.Sequence != 1 || len(first.Revisions) != 2 || first.Revisions[0].Revision != revisionA ||
		first.Find(revisionA).PromotedAt.IsZero() || !first.Find(revisionB).PromotedAt.IsZero() {
		t.Fatalf("facts %+v", first)
	}
	forth := s.to(revisionB, contract.Consents{})
	for range 2 { // the second time it does nothing
		s.done(s.promote(forth))
		s.view(s.b, row(int64(1), nil, "r", int64(6)))
		s.view(s.a, row("r", int64(6), nil))
		if n := s.b.db.ViewCount(t, "stop"); n != 1 {
			t.Fatalf("the new model's view shows %d rows", n)
		}
		facts := s.facts()
		if facts.Active != revisionB || facts.Sequence != 2 || facts.Find(revisionA).LeftAt.IsZero() || facts.Find(revisionB).PromotedAt.IsZero() {
			t.Fatalf("facts %+v", facts)
		}
	}
	// The writers of both go on with the claims that they have.
	s.a.commit(on("r", add(1, int64(1))))
	s.b.commit(on("r", add(3, int64(10))))
	s.view(s.a, row("r", int64(16), nil))
	s.a.wants(0, row("r", int64(6), nil))

	_ = s.refused(stores.ReasonReadersWouldBreak, s.s.Promote, s.to(revisionA, contract.Consents{}))
	s.view(s.a, row("r", int64(16), nil))
	s.done(s.promote(s.to(revisionA, contract.Consents{BreakReaders: true})))
	s.view(s.a, row("r", int64(6), nil))
	if left := s.a.db.Relations(t); slices.Contains(left, "stop") || !slices.Contains(left, "stop__"+revisionB) {
		t.Fatalf("relations %v", left)
	}
	// A late one changes nothing, although its revision exists and is not active.
	if e := s.refused(stores.ReasonSuperseded, s.s.Promote, forth); e.Retryable {
		t.Fatal("waiting does not help")
	}
	s.done(s.promote(s.to(revisionB, contract.Consents{})))
	s.view(s.b, row(int64(1), nil, "r", int64(16)))
	h.did("switches", 3)
}

func switchBehind(t *testing.T, h Harness) {
	s := h.sides(t, one())
	if s == nil {
		return
	}
	s.a.commit(on("r", add(1, int64(5))))
	s.a.commit(on("r", add(1, int64(5))))
	sw := s.to(revisionB, contract.Consents{})
	sw.DeadlineSeconds = 1
	e := s.refused(stores.ReasonHandoverTimeout, s.s.Promote, sw)
	if !e.Retryable || !strings.Contains(e.Message, tp("orders", 0).String()) || !strings.Contains(e.Message, "2 positions behind") {
		t.Fatalf("%+v", e)
	}
	s.a.commit(on("r", add(1, int64(5)))) // nothing holds it up any more
	s.view(s.a, row("r", int64(15), nil))
	s.done(s.promote(s.to(revisionB, contract.Consents{StaleRevision: true})))
	s.view(s.a)
}

// switchUnderWrites: at no instant is the follower sure to have what the leader has, unless the leader is held up.
func switchUnderWrites(t *testing.T, h Harness) {
	s := h.sides(t, one())
	if s == nil {
		return
	}
	var over atomic.Bool
	committed, begun := make(chan struct{}, 16), make(chan struct{})
	ended := make(chan error, 2)
	lead := func() {
		defer close(committed)
		for n := 0; !over.Load(); n++ {
			if n == 10 {
				close(begun)
			}
			if err := s.a.try(s.a.batch(on("r", add(1, int64(1))))); err != nil {
				ended <- err
				return
			}
			committed <- struct{}{}
		}
		ended <- nil
	}
	follow := func() {
		for range committed {
			if err := s.b.try(s.b.batch(on("r", add(1, int64(1))))); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}
	go lead()
	go follow()
	select {
	case <-begun:
	case err := <-ended:
		t.Fatal(err)
	}
	facts, err := s.promote(s.to(revisionB, contract.Consents{}))
	over.Store(true)
	for range 2 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	s.done(facts, err)
	a, b := s.a.db.Rows(t, s.a.c, 0), s.b.db.Rows(t, s.b.c, 0)
	if len(a) != 1 || len(b) != 1 || !Equal(a[0][1], b[0][1]) {
		t.Fatalf("rows %v and %v: a writer of either revision did not go on", a, b)
	}
	s.view(s.a, b[0])
}

func switchWhilePartitionsAreAdded(t *testing.T, h Harness) {
	s := h.sides(t, one())
	if s == nil {
		return
	}
	grown := stores.Barrier{Topic: "orders", Before: 4, After: 5, Ends: []int64{100, 100, 100, 100}}
	if _, err := s.a.w.AddPartitions(s.a.ctx, grown); err != nil {
		t.Fatal(err)
	}
	sw := s.to(revisionB, contract.Consents{})
	sw.DeadlineSeconds = 1
	if e := s.refused(stores.ReasonHandoverTimeout, s.s.Promote, sw); !strings.Contains(e.Message, tp("orders", 4).String()) {
		t.Fatal(e)
	}
	ended := make(chan error, 2)
	go func() {
		_, err := s.b.w.AddPartitions(s.b.ctx, grown)
		ended <- err
	}()
	go func() {
		_, err := s.a.w.AddPartitions(s.a.ctx, stores.Barrier{Topic: "customers", Before: 2, After: 3, Ends: []int64{100, 100}})
		if err == nil {
			_, err = s.b.w.AddPartitions(s.b.ctx, stores.Barrier{Topic: "customers", Before: 2, After: 3, Ends: []int64{100, 100}})
		}
		ended <- err
	}()
	s.done(s.promote(s.to(revisionB, contract.Consents{})))
	for range 2 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if claims, err := s.b.w.Claim(s.b.ctx, "pod-b", []event.TopicPartition{tp("orders", 4), tp("customers", 2)}); err != nil || len(claims) != 2 {
		t.Fatal(claims, err)
	}
}

// A topic that the new revision no longer reads is not waited for, one that only it reads has nothing to be
// compared with, and one that both read is: there and back.
func switchOfTopics(t *testing.T, h Harness) {
	s := h.sides(t, one())
	if s == nil {
		return
	}
	c := contractOf("summary", "cccccccccc", one())
	c.Topics = []contract.Topic{{Name: "clicks", BrokerTopic: "clicks", Format: "JSON"}, {Name: "orders", BrokerTopic: "orders", Format: "JSON"}}
	given := append([]stores.Start{{TopicPartition: tp("clicks", 0)}}, starts()[2:]...)
	if _, err := s.a.db.Admin().Prepare(s.a.ctx, c, given); err != nil {
		t.Fatal(err)
	}
	w := s.a.db.Writer(t, c)
	t.Cleanup(w.Close)
	ahead, shared := s.a.advance(tp("customers", 1)), s.a.advance(tp("orders", 1))
	if err := s.a.w.Commit(s.a.ctx, stores.Commit{Advances: []stores.Advance{ahead, shared}}); err != nil {
		t.Fatal(err)
	}
	sw := s.to(c.Revision, contract.Consents{})
	sw.DeadlineSeconds = 1
	if e := s.refused(stores.ReasonHandoverTimeout, s.s.Promote, sw); !strings.Contains(e.Message, tp("orders", 1).String()) {
		t.Fatal(e)
	}
	claims, err := w.Claim(s.a.ctx, "pod", []event.TopicPartition{tp("clicks", 0), tp("orders", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err = w.Commit(s.a.ctx, stores.Commit{Advances: []stores.Advance{{Claim: claims[0], Next: 7}, {Claim: claims[1], Next: shared.Next}}}); err != nil {
		t.Fatal(err)
	}
	s.done(s.promote(s.to(c.Revision, contract.Consents{})))
	s.done(s.promote(s.to(revisionA, contract.Consents{})))
}

func switchRefuses(t *testing.T, h Harness) {
	s := h.sides(t, one())
	if s == nil {
		return
	}
	_ = s.refused(stores.ReasonRevisionMissing, s.s.Promote, s.to("cccccccccc", contract.Consents{}))
	late := s.to(revisionB, contract.Consents{})
	late.Sequence--
	_ = s.refused(stores.ReasonSuperseded, s.s.Promote, late)
	other := s.to(revisionB, contract.Consents{})
	other.Active = "cccccccccc"
	_ = s.refused(stores.ReasonSuperseded, s.s.Promote, other)
	nobody := s.a.c.Projection
	nobody.Name = "nobody"
	if facts, err := s.s.Revisions(s.a.ctx, nobody); err != nil || facts.Active != "" || len(facts.Revisions) != 0 {
		t.Fatal(facts, err)
	}
	var e *stores.SwitchError
	if _, err := s.s.Promote(s.a.ctx, nobody, s.to(revisionB, contract.Consents{})); !errors.As(err, &e) || e.Code != stores.ReasonRevisionMissing {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.a.ctx)
	cancel()
	if _, err := s.s.Promote(ctx, s.a.c.Projection, s.to(revisionB, contract.Consents{})); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if f := s.facts(); f.Active != revisionA || f.Sequence != 1 {
		t.Fatalf("%+v", f)
	}
	retyped := one()
	retyped[0].Columns[1].Type = "int64"
	c := contractOf("summary", "dddddddddd", retyped)
	_ = prepared(t, s.a.db, c)
	if e := s.refused(stores.ReasonReadersWouldBreak, s.s.Promote, s.to(c.Revision, contract.Consents{})); e.Retryable || !strings.Contains(e.Message, `"n"`) {
		t.Fatalf("%+v", e)
	}
}

// switchKeepsNames: a promotion does not fail after hours because a name was taken meanwhile.
func switchKeepsNames(t *testing.T, h Harness) {
	s := h.sides(t, wider())
	if s == nil {
		return
	}
	taken := contractOf("other", revisionA, wider()[1:])
	var e *stores.NameTakenError
	if _, err := s.a.db.Admin().Prepare(s.a.ctx, taken, starts()); !errors.As(err, &e) || e.Owner != "test/shop/summary" {
		t.Fatal(err)
	}
	s.done(s.s.Discard(s.a.ctx, s.a.c.Projection, s.to(revisionB, contract.Consents{})))
	if _, err := s.a.db.Admin().Prepare(s.a.ctx, taken, starts()); err != nil {
		t.Fatal(err)
	}
	before := s.a.db.Relations(t)
	if _, err := s.a.db.Admin().Prepare(s.a.ctx, s.b.c, starts()); !errors.As(err, &e) || e.Owner != "test/shop/other" {
		t.Fatal(err)
	}
	if after := s.a.db.Relations(t); !slices.Equal(after, before) {
		t.Fatalf("relations %v, before %v", after, before)
	}
}

func discard(t *testing.T, h Harness) {
	s := h.sides(t, wider())
	if s == nil {
		return
	}
	s.a.commit(on("r", add(1, int64(5))))
	s.b.commit(on("r", add(3, int64(6))))
	if e := s.refused(stores.ReasonRevisionActive, s.s.Discard, s.to(revisionA, contract.Consents{})); e.Retryable {
		t.Fatal(e)
	}
	late := s.to(revisionB, contract.Consents{})
	late.Sequence++
	_ = s.refused(stores.ReasonSuperseded, s.s.Discard, late)
	sw := s.to(revisionB, contract.Consents{})
	for range 2 {
		s.done(s.s.Discard(s.a.ctx, s.a.c.Projection, sw))
		if facts := s.facts(); facts.Active != revisionA || len(facts.Revisions) != 1 || facts.Sequence != 1 {
			t.Fatalf("facts %+v", facts)
		}
		if left := s.a.db.Relations(t); !slices.Equal(left, []string{"route", "route__" + revisionA}) {
			t.Fatalf("relations %v", left)
		}
	}
	if err := s.b.try(s.b.batch(on("r", add(3, int64(1))))); err == nil {
		t.Fatal("a commit into tables that are gone")
	}
	s.a.commit(on("r", add(1, int64(1))))
	s.view(s.a, row("r", int64(6), nil))
	again := prepared(t, s.a.db, s.b.c)
	again.wants(0)
	if c := again.claims[tp("orders", 0)]; c.Next != 100 {
		t.Fatalf("a revision that is prepared again starts at %d", c.Next)
	}
	again.commit(on("r", add(3, int64(6))))
	again.commit(on("r", add(3, int64(6))))
	s.done(s.promote(s.to(revisionB, contract.Consents{})))
	s.done(s.s.Discard(s.a.ctx, s.a.c.Projection, s.to(revisionA, contract.Consents{})))
	s.view(again, row(nil, nil, "r", int64(12)))
}
