// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// ofWholeRows is a projection whose events make whole rows, of a topic that has lost its first events.
func (w *world) ofWholeRows() *v1alpha1.Projection {
	w.t.Helper()
	b, topic, s, p := w.objects()
	h := &p.Spec.Models[0].Handlers[0]
	h.Set, h.Add = h.Add, nil
	w.create(b, topic, s, p)
	w.settle()
	w.trim()
	return w.projection()
}

// since is a Replay from a time on.
func since(at time.Time) func(*v1alpha1.ReplaySpec) {
	return func(s *v1alpha1.ReplaySpec) { s.From.Time = ptr.To(metav1.NewTime(at)) }
}

// mounts is the contract that the pods of a revision mount.
func (w *world) mounts(revision string) *contract.Contract {
	w.t.Helper()
	var maps corev1.ConfigMapList
	w.must(w.c.List(w.ctx, &maps, client.InNamespace(w.ns), client.MatchingLabels{resources.LabelRevision: revision}))
	for i := range maps.Items {
		c := &contract.Contract{}
		if json.Unmarshal([]byte(maps.Items[i].Data[resources.ContractKey]), c) == nil && c.Revision == revision {
			return c
		}
	}
	w.t.Fatalf("no contract of %s", revision)
	return nil
}

// A Replay from a time on, of a topic whose first events are gone: readers move, who looks is told, an edit in place keeps
// the start, and a spec that is put back asks for all rows.
func TestReplayFrom(t *testing.T) {
	w := newWorld(t)
	a := w.ofWholeRows().Status.ActiveRevision
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	w.ask("since", since(at))
	w.settle()
	if m := w.says("since", "Complete", v1alpha1.ReasonComplete); !strings.Contains(m, "what events from 2026-11-01T00:00:00Z on have made") {
		t.Errorf("message: %s", m)
	}
	p := w.projection()
	b := p.Status.ActiveRevision
	if b == a || w.serves() != b || p.Status.TargetRevision != b {
		t.Fatalf("status: %s", form(p.Status))
	}
	if c := w.mounts(b); c.From == nil || !c.From.Time.Equal(at) || c.From.Begins != nil {
		t.Errorf("contract: %+v", c.From)
	}
	for _, r := range p.Status.Revisions {
		if want := map[string]string{b: "2026-11-01T00:00:00Z"}[r.Name]; r.From != want {
			t.Errorf("revision %s is from %q", r.Name, r.From)
		}
	}
	if m := w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp); !strings.Contains(m, "revision "+b+": it holds what events from 2026-11-01T00:00:00Z on have made") {
		t.Errorf("message: %s", m)
	}

	w.change(func(p *v1alpha1.Projection) { p.Spec.LagTargetSeconds = 7 })
	w.settle()
	if c := w.mounts(b); w.serves() != b || c.From == nil || !c.From.Time.Equal(at) || c.LagTargetSeconds != 7 {
		t.Errorf("readers see %s, contract %+v", w.serves(), c)
	}

	w.results = goodResult
	w.now = w.now.Add(2 * time.Hour)
	w.settle()
	before := p.Spec.Models[0].Handlers[0].Set
	w.change(func(p *v1alpha1.Projection) {
		p.Spec.Models[0].Handlers[0].Set = map[string]v1alpha1.Expression{"total": "event.amount + 1"}
	})
	w.settle()
	w.change(func(p *v1alpha1.Projection) { p.Spec.Models[0].Handlers[0].Set = before })
	w.settle()
	p = w.projection()
	if c := p.Status.ActiveRevision; c == b || w.serves() != c || w.mounts(c).From != nil {
		t.Errorf("readers see %s: %s", c, form(p.Status))
	}
}

// What cannot begin elsewhere is refused: by the spec before anything is made, and by the prepare before readers notice.
func TestReplayFromRefused(t *testing.T) {
	w := newWorld(t)
	w.running()
	w.ask("sums", since(w.now.Add(-time.Hour)))
	w.settle()
	if m := w.says("sums", "Failed", v1alpha1.ReasonStartNotPossible); !strings.Contains(m, "models[totals].handlers[placed].add.total: add builds on") {
		t.Errorf("message: %s", m)
	}
	if got := w.records(); len(got) != 1 {
		t.Errorf("records %v", got)
	}

	w.change(func(p *v1alpha1.Projection) {
		h := &p.Spec.Models[0].Handlers[0]
		h.Set, h.Add = h.Add, nil
	})
	w.settle()
	a := w.projection().Status.ActiveRevision
	w.ask("future", since(w.now.Add(time.Hour)))
	w.settle()
	if m := w.says("future", "Failed", v1alpha1.ReasonStartNotPossible); !strings.Contains(m, "spec.from.time: it lies in the future") {
		t.Errorf("message: %s", m)
	}
	at := func(topic string) func(*v1alpha1.ReplaySpec) {
		return func(s *v1alpha1.ReplaySpec) {
			s.From.Positions = []v1alpha1.ReplayPosition{{Topic: topic, Partition: ptr.To[int32](0), Position: "99"}}
		}
	}
	w.ask("elsewhere", at("payments"))
	w.settle()
	if m := w.says("elsewhere", "Failed", v1alpha1.ReasonStartNotPossible); !strings.Contains(m, "spec.from.positions[0].topic: the projection reads no topic payments") {
		t.Errorf("message: %s", m)
	}
	w.results = func(r contract.Request) *contract.Result {
		if r.Action == contract.ActionPrepare {
			return &contract.Result{Reason: "StartNotPossible", Path: "spec.from.positions[0].position", Message: "orders/0 begins at position 100"}
		}
		return goodResult(r)
	}
	w.ask("trimmed", at("orders"))
	w.settle()
	if m := w.says("trimmed", "Failed", v1alpha1.ReasonStartNotPossible); !strings.Contains(m, "spec.from.positions[0].position: orders/0 begins at position 100") {
		t.Errorf("message: %s", m)
	}
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if w.serves() != a {
		t.Errorf("readers see %s", w.serves())
	}
}

// What the API server admits of a from, and that it stays.
func TestReplayFromIsOneOf(t *testing.T) {
	w := newWorld(t)
	now := metav1.NewTime(w.now)
	position := func(topic, position string) v1alpha1.ReplayPosition {
		return v1alpha1.ReplayPosition{Topic: topic, Partition: ptr.To[int32](0), Position: position}
	}
	for name, c := range map[string]struct {
		edit    func(*v1alpha1.ReplaySpec)
		refused string
	}{
		"earliest":  {func(s *v1alpha1.ReplaySpec) { s.From.Earliest = &v1alpha1.ReplayEarliest{} }, ""},
		"time":      {func(s *v1alpha1.ReplaySpec) { s.From.Time = &now }, ""},
		"positions": {func(s *v1alpha1.ReplaySpec) { s.From.Positions = []v1alpha1.ReplayPosition{position("orders", "0")} }, ""},
		"two":       {func(s *v1alpha1.ReplaySpec) { s.From.Earliest, s.From.Time = &v1alpha1.ReplayEarliest{}, &now }, "exactly one"},
		"no number": {func(s *v1alpha1.ReplaySpec) { s.From.Positions = []v1alpha1.ReplayPosition{position("orders", "007")} }, "should match"},
		"twice": {func(s *v1alpha1.ReplaySpec) {
			s.From.Positions = []v1alpha1.ReplayPosition{position("orders", "0"), position("orders", "1")}
		}, "Duplicate"},
		"none": {func(s *v1alpha1.ReplaySpec) { s.From.Positions = []v1alpha1.ReplayPosition{} }, "spec.from"},
		"beside some key": {func(s *v1alpha1.ReplaySpec) {
			s.From.Time, s.Keys = &now, v1alpha1.ReplayKeys{Model: "totals", Values: []string{"a"}}
		}, "give keys or from"},
	} {
		r := &v1alpha1.Replay{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, GenerateName: "from-"}, Spec: v1alpha1.ReplaySpec{ProjectionRef: v1alpha1.LocalRef{Name: "totals"}}}
		c.edit(&r.Spec)
		err := w.c.Create(w.ctx, r)
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		r.Spec.From = v1alpha1.ReplayFrom{Positions: []v1alpha1.ReplayPosition{position("orders", "5")}}
		if err := w.c.Update(w.ctx, r); err == nil || !strings.Contains(err.Error(), "only suspend can be changed") {
			t.Errorf("%s: it was changed: %v", name, err)
		}
	}
}
