// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/controllers/resources"
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
// Events come at a quarter of what the live path was seen to bear in this run, at most ROLLOUT_RATE a second.
func TestRollout(t *testing.T) {
	t.Parallel()
	events := setting(t, "ROLLOUT_EVENTS", 30_000)
	rate := setting(t, "ROLLOUT_RATE", 300)
	count := setting(t, "ROLLOUT_READERS", 4)
	runs := setting(t, "ROLLOUT_RUNS", 1)
	// How long readers wait behind a switch is a figure of the machine, too: beside other tests it is only told.
	limit := time.Duration(setting(t, "ROLLOUT_LOCK_WAIT", 0)) * time.Millisecond
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic)
	n.ready(n.topic("orders"))
	s := n.stream()
	began := time.Now()
	s.preload(events)
	t.Logf("%d events produced in %s", events, time.Since(began).Round(time.Millisecond))
	began = time.Now()
	n.apply(tally(1, "keepSeconds: 3600"))
	within := soon + time.Duration(events/5_000)*time.Second
	n.active("tally", within, caughtUp)
	p := n.projection("tally")
	n.get(p)
	first := p.Status.ActiveRevision
	t.Logf("the first revision, %s, has caught up after %s", first, time.Since(began).Round(time.Millisecond))
	capacity := s.capacity(first, min(max(events/10, 5_000), 200_000))
	rate = min(rate, capacity/4)
	t.Logf("the live path bears %d events/s; from now on %d/s arrive", capacity, rate)

	// What a revision counts is known before readers can see it.
	known := &factors{of: map[string]int{first: 1}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r := &readers{n: n, factors: known.get}
	waits := &lockWaits{n: n}
	var work sync.WaitGroup
	work.Go(func() {
		if err := s.flow(ctx, rate); err != nil {
			t.Errorf("the flow of events: %v", err)
		}
	})
	work.Go(func() { waits.sample(ctx) })
	r.lap()
	for i := range count {
		work.Go(func() { r.read(ctx, 50, i > 0) })
	}

	var table []string
	old := first
	for run := range runs {
		factor := run + 2
		began := time.Now()
		target := n.edit(tally(factor, "keepSeconds: 3600"), known, factor, soon)
		n.active("tally", within, is(target))
		forward := time.Since(began)

		n.apply(tally(factor, "keepSeconds: 3600, activeRevision: "+strconv.Quote(old)))
		began = time.Now()
		n.active("tally", soon, is(old))
		back := time.Since(began)
		n.condition(n.projection("tally"), "Ready", "False", "Pinned")
		n.apply(tally(factor, "keepSeconds: 3600"))
		n.active("tally", soon, is(target))
		if run+1 == runs {
			stop()
			work.Wait()
		}
		m := r.lap()
		longest, mode := waits.lap()
		t.Logf("run %d: %s took over from %s after %s, was rolled back after %s; %s; longest wait for a lock on the view %s (%s)", run+1, target, old,
			forward.Round(100*time.Millisecond), back.Round(100*time.Millisecond), m, longest.Round(100*time.Microsecond), mode)
		table = append(table, fmt.Sprintf("| %d | %.1f s | %.1f s | %d | %d | %d | %s | %s | %s | %s |", run+1, forward.Seconds(), back.Seconds(),
			m.queries, m.failed, m.wrong, m.at(0.5), m.at(0.99), m.at(1), longest.Round(100*time.Microsecond)))
		if m.failed > 0 || m.wrong > 0 {
			t.Errorf("run %d: readers were not served", run+1)
		}
		if limit > 0 && longest > limit {
			t.Errorf("run %d: somebody waited %s for the lock %s on the view, the limit is %s", run+1, longest, mode, limit)
		}
		old = target
	}
	t.Logf("%d events, then %d/s; %d readers at 50/s\n| run | promoted after | rolled back after | queries | failed | wrong | p50 | p99 | max | longest lock wait |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n%s",
		events, rate, count, strings.Join(table, "\n"))
	r.fail(t)
	n.caughtUp("tally")
	s.equals(old, runs+1)

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

func caughtUp(p *v1alpha1.Projection) string {
	if p.Status.Status != v1alpha1.StatusCaughtUp {
		return "it has not caught up"
	}
	return ""
}

// factors are what the revisions of tally count for an event.
type factors struct {
	mu sync.Mutex
	of map[string]int
}

func (f *factors) get(revision string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of[revision]
}

func (f *factors) set(revision string, factor int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of[revision] = factor
}

// edit applies a projection tally that asks for another revision than readers see, and than the others given, and gives
// its name as soon as it is known: long before readers can see it.
func (n *space) edit(yaml string, known *factors, factor int, within time.Duration, others ...string) string {
	n.t.Helper()
	n.apply(yaml)
	p := n.projection("tally")
	eventually(n.t, within, "the change is accepted", func(ctx context.Context) string {
		if err := kube().Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err.Error()
		}
		target := p.Status.TargetRevision
		if target == p.Status.ActiveRevision || slices.Contains(others, target) || *p.Status.ObservedGeneration != p.Generation {
			return "the target is " + target
		}
		known.set(target, factor)
		return ""
	})
	return p.Status.TargetRevision
}

// TestRolloutManual waits for a human, lets a superseded build go, and returns to a kept revision without building.
func TestRolloutManual(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.fed(3_000)
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
	n.apply(tally(1, manual+", activeRevision: "+strconv.Quote(first)))
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
	s := n.fed(300)
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
	n.fed(3_000)
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
		// What may be tried again is: a busy machine is no defect.
		if result := jobs.Items[i].Annotations[resources.AnnotationResult]; jobs.Items[i].Status.Failed > 0 && !strings.Contains(result, `"retryable":true`) {
			t.Errorf("Job %s failed: %s", jobs.Items[i].Name, result)
		}
	}
}
