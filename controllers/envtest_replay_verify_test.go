// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// A Replay's own verify goes before the Projection's, also after a restart and with the status lost. What fails is not shown.
func TestReplayVerifiesItself(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	w.change(func(p *v1alpha1.Projection) {
		p.Spec.Rollout.Verify = &v1alpha1.Verify{Sample: "1%", DeadlineSeconds: 600}
	})
	var asked []contract.Verification
	w.results = func(q contract.Request) *contract.Result {
		if q.Action != contract.ActionVerify {
			return goodResult(q)
		}
		asked = append(asked, *q.Verify)
		if len(q.Verify.Assertions) > 0 && q.Verify.Assertions[0].Name == "few" {
			return &contract.Result{Reason: "AssertionFailed", Path: "spec.rollout.verify.assertions[few]", Message: "totals with its 9 rows does not meet it"}
		}
		return &contract.Result{OK: true, Message: "9 rows are what the log says"}
	}
	w.settle()
	own := func(name string) func(*v1alpha1.ReplaySpec) {
		return func(s *v1alpha1.ReplaySpec) {
			s.Verify = &v1alpha1.Verify{Sample: "7%", DeadlineSeconds: 60, Assertions: []v1alpha1.Assertion{{Name: name, Model: "totals", All: "count < 3"}}}
		}
	}
	w.ask("one", own("few"))
	w.settle()
	message := w.says("one", "Stalled", v1alpha1.ReasonAssertionFailed)
	for _, part := range []string{"Replay one: spec.verify.assertions[few]", "with its 9 rows", "Readers go on with revision " + a, "delete Replay one and make another"} {
		if !strings.Contains(message, part) {
			t.Errorf("message: %s, which lacks %q", message, part)
		}
	}
	if len(asked) != 1 || asked[0].Sample != "7%" || asked[0].DeadlineSeconds != 60 || w.serves() != a {
		t.Errorf("asked %+v, readers see %s", asked, w.serves())
	}
	w.restart()
	p, r := w.projection(), w.replayNamed("one")
	p.Status, r.Status = v1alpha1.ProjectionStatus{ObservedGeneration: ptr.To[int64](-1)}, v1alpha1.ReplayStatus{ObservedGeneration: ptr.To[int64](-1)}
	w.must(w.c.Status().Update(w.ctx, p))
	w.must(w.c.Status().Update(w.ctx, r))
	w.now = w.now.Add(time.Hour)
	w.settle()
	// Another one of the Projection's, which this would meet, is no way around it.
	w.change(func(p *v1alpha1.Projection) {
		p.Spec.Rollout.Verify = &v1alpha1.Verify{Sample: "2%", DeadlineSeconds: 600}
	})
	w.settle()
	w.says("one", "Stalled", v1alpha1.ReasonAssertionFailed)
	if len(asked) != 1 || w.serves() != a {
		t.Errorf("asked %+v, readers see %s", asked, w.serves())
	}
	w.must(w.c.Delete(w.ctx, w.replayNamed("one")))
	w.settle()
	w.ask("two", own("many"))
	w.settle()
	w.says("two", "Complete", v1alpha1.ReasonComplete)
	p = w.projection()
	if b := p.Status.ActiveRevision; len(asked) != 2 || asked[1].Assertions[0].Name != "many" || b == a || w.serves() != b {
		t.Errorf("asked %+v, readers see %s", asked, w.serves())
	}
	w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

// A verify that does not fit the models is refused on the Replay, before anything is made.
func TestReplayVerifyRefused(t *testing.T) {
	w := newWorld(t)
	a := w.running().Status.ActiveRevision
	w.ask("wrong", func(s *v1alpha1.ReplaySpec) {
		s.Verify = &v1alpha1.Verify{Assertions: []v1alpha1.Assertion{{Name: "few", Model: "totals", All: "sum.toll < 3"}, {Name: "none", Model: "total", All: "count < 3"}}}
	})
	w.settle()
	message := w.says("wrong", "Failed", v1alpha1.ReasonInvalidSpec)
	for _, part := range []string{"spec.verify.assertions[few].all: ", "spec.verify.assertions[none].model: there is no model total; use one of totals", "Nothing of Projection totals was changed: make another Replay"} {
		if !strings.Contains(message, part) {
			t.Errorf("message: %s, which lacks %q", message, part)
		}
	}
	if got := w.records(); len(got) != 1 || got[0] != a {
		t.Errorf("records %v", got)
	}
	if r := w.replayNamed("wrong"); len(r.Annotations) > 0 {
		t.Errorf("it has begun: %v", r.Annotations)
	}
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}
