// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// setting reads a number from the environment: the long run of docs/rollouts.md takes larger ones than CI.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// active waits until readers see a revision that the check agrees with, and gives its name.
func (n *space) active(projection string, within time.Duration, check func(*v1alpha1.Projection) string) string {
	n.t.Helper()
	p := n.projection(projection)
	eventually(n.t, within, "readers of "+projection+" move", func(ctx context.Context) string {
		if err := kube().Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err.Error()
		}
		if what := check(p); what != "" {
			return fmt.Sprintf("%s; status: %s, active %s, target %s, %v", what, p.Status.Status, p.Status.ActiveRevision, p.Status.TargetRevision, p.Status.Revisions)
		}
		return ""
	})
	return p.Status.ActiveRevision
}

func is(revision string) func(*v1alpha1.Projection) string {
	return func(p *v1alpha1.Projection) string {
		if p.Status.ActiveRevision != revision {
			return "it is not " + revision
		}
		return ""
	}
}

func not(revision string) func(*v1alpha1.Projection) string {
	return func(p *v1alpha1.Projection) string {
		if p.Status.ActiveRevision == revision {
			return "it is still " + revision
		}
		return ""
	}
}

// TestRollout changes a fold under readers and with events arriving: the new revision is built beside the old one and
// promoted by itself, rolled back and promoted again, and no reader meets an error, a wrong row or an older position.
func TestRollout(t *testing.T) {
	t.Parallel()
	events := setting(t, "ROLLOUT_EVENTS", 30_000)
	rate := setting(t, "ROLLOUT_RATE", 300)
	count := setting(t, "ROLLOUT_READERS", 4)
	runs := setting(t, "ROLLOUT_RUNS", 1)
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic)
	n.ready(n.topic("orders"))
	s := n.stream()
	for left := events; left > 0; left -= 30_000 {
		if err := s.send(t.Context(), min(left, 30_000)); err != nil {
			t.Fatal(err)
		}
	}
	n.apply(tally(1, "keepSeconds: 3600"))
	within := soon + time.Duration(events/10_000)*time.Second
	n.active("tally", within, func(p *v1alpha1.Projection) string {
		if p.Status.Status != v1alpha1.StatusCaughtUp {
			return "it has not caught up"
		}
		return ""
	})
	p := n.projection("tally")
	n.get(p)
	first := p.Status.ActiveRevision

	// What a revision counts is known before readers can see it.
	var mu sync.Mutex
	factors := map[string]int{first: 1}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r := &readers{n: n, seen: map[string]int{}, factors: func(revision string) int {
		mu.Lock()
		defer mu.Unlock()
		return factors[revision]
	}}
	var work sync.WaitGroup
	var longest time.Duration
	work.Go(func() {
		if err := s.flow(ctx, rate); err != nil {
			t.Errorf("the flow of events: %v", err)
		}
	})
	work.Go(func() { longest = n.lockWaits(ctx) })
	for i := range count {
		work.Go(func() { r.read(ctx, 50, i > 0) })
	}

	old := first
	for run := range runs {
		factor := run + 2
		began := time.Now()
		n.apply(tally(factor, "keepSeconds: 3600"))
		target := ""
		eventually(t, soon, "the change is accepted", func(ctx context.Context) string {
			if err := kube().Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
				return err.Error()
			}
			if target = p.Status.TargetRevision; target == old || *p.Status.ObservedGeneration != p.Generation {
				return "the target is " + target
			}
			return ""
		})
		mu.Lock()
		factors[target] = factor
		mu.Unlock()
		n.active("tally", within, is(target))
		t.Logf("run %d: %s took over from %s after %s", run+1, target, old, time.Since(began).Round(time.Millisecond))

		n.apply(tally(factor, "keepSeconds: 3600, activeRevision: "+old))
		began = time.Now()
		n.active("tally", soon, is(old))
		t.Logf("run %d: rolled back to %s after %s", run+1, old, time.Since(began).Round(time.Millisecond))
		n.condition(n.projection("tally"), "Ready", "False", "Pinned")
		n.apply(tally(factor, "keepSeconds: 3600"))
		n.active("tally", soon, is(target))
		old = target
	}
	stop()
	work.Wait()
	t.Logf("%s; longest wait for a lock on the view %s", r.report(), longest.Round(100*time.Microsecond))
	for _, what := range r.problems {
		t.Error(what)
	}
	if r.failed.Load() > 0 || r.wrong.Load() > 0 {
		t.Errorf("readers were not served: %s", r.report())
	}
	n.caughtUp("tally")

	// One revision is kept and the others are gone, tables, positions and objects.
	n.holds("SELECT count(*) FROM $SCHEMA_books.revisions", "(2)")
	n.merge(n.projection("tally"), `{"spec":{"rollout":{"keepSeconds":0}}}`)
	n.holds("SELECT revision FROM $SCHEMA_books.revisions", "("+old+")")
	if left := n.relations(); fmt.Sprint(left) != fmt.Sprint([]string{"tally", "tally__" + old}) {
		t.Errorf("relations %v, want the view and the table of %s", left, old)
	}
	eventually(t, soon, "only what serves is left in the cluster", func(ctx context.Context) string {
		var d appsv1.DeploymentList
		var c appsv1.ControllerRevisionList
		if err := kube().List(ctx, &d, client.InNamespace(n.name)); err != nil {
			return err.Error()
		}
		if err := kube().List(ctx, &c, client.InNamespace(n.name)); err != nil {
			return err.Error()
		}
		if left, err := groups(ctx, n.name); err != nil || len(left) != 1 || !strings.HasSuffix(left[0], "."+old) {
			return fmt.Sprintf("consumer groups %v (%v)", left, err)
		}
		if len(d.Items) != 1 || len(c.Items) != 1 {
			return fmt.Sprintf("%d Deployments, %d ControllerRevisions", len(d.Items), len(c.Items))
		}
		return ""
	})
	n.caughtUp("tally")
}

// TestRolloutManual waits for a human, lets a superseded build go, and returns to a kept revision without building.
func TestRolloutManual(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic)
	n.ready(n.topic("orders"))
	s := n.stream()
	if err := s.send(t.Context(), 3_000); err != nil {
		t.Fatal(err)
	}
	const manual = "promotion: Manual, keepSeconds: 3600"
	n.apply(tally(1, manual))
	n.caughtUp("tally")
	p := n.projection("tally")
	n.get(p)
	first := p.Status.ActiveRevision

	n.apply(tally(2, manual))
	c := n.condition(p, "Ready", "False", "AwaitingPromotion")
	t.Log(c.Message)
	second := p.Status.TargetRevision
	says(t, c.Message, second, first, "activeRevision")
	n.holds("SELECT sum(events) FROM $SCHEMA.tally", "(3000)")

	n.apply(tally(3, manual))
	eventually(t, soon, "the superseded build is gone", func(ctx context.Context) string {
		got, err := rows(ctx, n.fill("SELECT revision FROM $SCHEMA_books.revisions WHERE revision = '"+second+"'"))
		if err != nil || len(got) > 0 {
			return fmt.Sprint(got, err)
		}
		return ""
	})
	n.condition(p, "Ready", "False", "AwaitingPromotion")
	third := p.Status.TargetRevision
	n.merge(n.projection("tally"), `{"spec":{"rollout":{"activeRevision":"`+third+`"}}}`)
	n.active("tally", soon, is(third))
	n.holds("SELECT sum(events) FROM $SCHEMA.tally", "(9000)")
	n.caughtUp("tally")

	// git revert: the revision is kept, and readers go back to it when told to.
	n.apply(tally(1, manual+", activeRevision: "+first))
	n.active("tally", soon, is(first))
	n.holds("SELECT sum(events) FROM $SCHEMA.tally", "(3000)")
	n.caughtUp("tally")

	n.merge(n.projection("tally"), `{"spec":{"rollout":{"activeRevision":"0123456789"}}}`)
	c = n.condition(p, "Ready", "False", "UnknownRevision")
	t.Log(c.Message)
	says(t, c.Message, "spec.rollout.activeRevision", "0123456789", first)
	n.holds("SELECT sum(events) FROM $SCHEMA.tally", "(3000)")
}

// TestRolloutFails builds a revision whose handlers stop at an event: readers and the live revision do not notice.
func TestRolloutFails(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic)
	n.ready(n.topic("orders"))
	s := n.stream()
	if err := s.send(t.Context(), 300); err != nil {
		t.Fatal(err)
	}
	n.apply(tally(1, "keepSeconds: 3600"))
	n.caughtUp("tally")
	p := n.projection("tally")
	n.get(p)
	first := p.Status.ActiveRevision
	wrong := strings.Replace(tally(2, "keepSeconds: 3600"), "last: event.n", "last: event.missing", 1)
	n.apply(wrong)
	c := n.condition(p, "Stalled", "True", "HandlerError")
	t.Log(c.Message)
	says(t, c.Message, "models[tally].handlers[line].set.last", first)
	n.condition(p, "Available", "True", "")
	if err := s.send(t.Context(), 300); err != nil {
		t.Fatal(err)
	}
	n.holds("SELECT sum(events) FROM $SCHEMA.tally", "(600)")
	// A spec that is refused leaves what runs alone as well.
	n.apply(strings.Replace(tally(2, "keepSeconds: 3600"), "last: event.n", "last: nonsense(", 1))
	says(t, n.condition(p, "SpecAccepted", "False", "InvalidSpec").Message, "handlers[line].set.last", "goes on")
	n.apply(tally(2, "keepSeconds: 3600"))
	second := n.active("tally", soon, not(first))
	n.holds("SELECT sum(events) FROM $SCHEMA.tally", "(1200)")
	n.caughtUp("tally")
	n.holds("SELECT count(*) FROM $SCHEMA_books.revisions", "(2)")
	t.Logf("%s took over from %s", second, first)
}

// TestReplayToken rebuilds the same spec from the log.
func TestReplayToken(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic)
	n.ready(n.topic("orders"))
	s := n.stream()
	if err := s.send(t.Context(), 3_000); err != nil {
		t.Fatal(err)
	}
	n.apply(tally(1, "keepSeconds: 0"))
	n.caughtUp("tally")
	p := n.projection("tally")
	n.get(p)
	first, hash := p.Status.ActiveRevision, p.Status.DataHash
	// Somebody has written into the table by hand: what a replay is for.
	sql(t, n.fill("UPDATE $SCHEMA.tally__"+first+" SET events = 7 WHERE id = '0-0'"))
	n.merge(n.projection("tally"), `{"spec":{"replayToken":"after the accident"}}`)
	second := n.active("tally", soon, not(first))
	n.holds("SELECT events FROM $SCHEMA.tally WHERE id = '0-0'", "(10)")
	n.caughtUp("tally")
	n.get(p)
	if p.Status.DataHash != hash {
		t.Errorf("the data hash was %s and is %s", hash, p.Status.DataHash)
	}
	n.holds("SELECT revision FROM $SCHEMA_books.revisions", "("+second+")")
	// The same token asks for nothing more, and taking it away neither.
	n.merge(n.projection("tally"), `{"spec":{"replayToken":null}}`)
	n.caughtUp("tally")
	eventually(t, soon, "it is the only revision", func(ctx context.Context) string {
		if err := kube().Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err.Error()
		}
		if p.Status.ActiveRevision != second || len(p.Status.Revisions) != 1 {
			return fmt.Sprintf("active %s of %v, want %s alone", p.Status.ActiveRevision, p.Status.Revisions, second)
		}
		return ""
	})
	var jobs batchv1.JobList
	if err := kube().List(t.Context(), &jobs, client.InNamespace(n.name)); err != nil {
		t.Fatal(err)
	}
	for i := range jobs.Items {
		if jobs.Items[i].Status.Failed > 0 {
			t.Errorf("Job %s failed: %v", jobs.Items[i].Name, jobs.Items[i].Annotations)
		}
	}
}
