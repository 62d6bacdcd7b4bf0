// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// What a build took is written down once it is over, and is still known when the operator was started anew and the status is lost.
func TestBuildIsMeasured(t *testing.T) {
	w, none := newWorld(t), v1alpha1.Built{}
	a := w.running().Status.ActiveRevision
	at := w.reading(a)
	w.fold("event.amount * 2")
	w.settle()
	b := w.projection().Status.TargetRevision
	built := func(name string) v1alpha1.Built {
		p := w.projection()
		i := slices.IndexFunc(p.Status.Revisions, func(r v1alpha1.RevisionStatus) bool { return r.Name == name })
		if i < 0 {
			t.Fatalf("no revision %s: %s", name, form(p.Status.Revisions))
		}
		return p.Status.Revisions[i].Built
	}
	for _, next := range []string{"300", "500", "700"} {
		*at = next
		w.now = w.now.Add(6 * time.Second)
		w.pass()
	}
	if got := built(b); got != none {
		t.Errorf("a build that goes on took %+v", got)
	}
	*at = "1000"
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	if p := w.projection(); p.Status.ActiveRevision != b {
		t.Fatalf("status: %s", form(p.Status))
	}
	want := v1alpha1.Built{Events: 2400, Seconds: 19}
	if got := built(b); got != want {
		t.Errorf("the build took %+v, want %+v", got, want)
	}
	if got := built(a); got != none {
		t.Errorf("a build of which nothing was seen took %+v", got)
	}
	record := &appsv1.ControllerRevision{}
	w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: resources.RevisionName("totals", b)}, record))
	if got := record.Annotations[resources.AnnotationBuilt]; got != `{"events":2400,"seconds":19}` {
		t.Errorf("record: %q", got)
	}
	w.restart()
	p := w.projection()
	p.Status = v1alpha1.ProjectionStatus{ObservedGeneration: ptr.To[int64](-1)}
	w.must(w.c.Status().Update(w.ctx, p))
	w.settle()
	if got := built(b); got != want {
		t.Errorf("without a status and after a restart the build took %+v", got)
	}
	// One that somebody spoiled is none, and nothing else suffers.
	record.Annotations[resources.AnnotationBuilt] = "soon"
	w.must(w.c.Update(w.ctx, record))
	w.settle()
	if p = w.projection(); built(b) != none || p.Status.ActiveRevision != b || p.Status.Status != "CaughtUp" {
		t.Errorf("status: %s", form(p.Status))
	}
	if n := w.pass(); n != 0 {
		t.Errorf("%d mutating requests from a projection at rest: %v", n, w.last.Load())
	}
}
