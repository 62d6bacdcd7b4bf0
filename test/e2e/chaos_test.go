// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// phase is a part of a roll-out, as status.revisions tells it.
type phase string

const (
	preparing   phase = "Preparing"
	building    phase = "Building"
	promoting   phase = "Promoting"
	kept        phase = "Kept"
	rollingBack phase = "Promoting back"
	discarding  phase = "Discarding"
	retiring    phase = "Deleting"
)

// stage is what can be hit in a phase.
type stage struct {
	phase
	victims []victim
	// action is that of the Job.
	action contract.Action
	// most is how long after its begin a victim is hit.
	most time.Duration
}

// stages are those of a cycle, in order, and the last one.
var stages = []stage{
	{preparing, []victim{theOperator, leftBehind, theJob, aBackend, thePostgres}, contract.ActionPrepare, moment},
	{building, []victim{theOperator, leftBehind, onItsWay, aBackend, thePostgres}, "", 2 * time.Second},
	{promoting, []victim{theOperator, leftBehind, onItsWay, theJob, aBackend, thePostgres}, contract.ActionPromote, moment},
	{kept, []victim{theOperator, leftBehind, onItsWay, aBackend, thePostgres}, "", time.Second},
	{rollingBack, []victim{theOperator, leftBehind, onItsWay, theJob, aBackend, thePostgres}, contract.ActionPromote, moment},
	{discarding, []victim{theOperator, leftBehind, onItsWay, theJob, aBackend, thePostgres}, contract.ActionDiscard, moment},
	{retiring, []victim{theOperator, theJob, aBackend, thePostgres}, contract.ActionRetire, moment},
}

// moment is about as long as an action takes.
const moment = 200 * time.Millisecond

// patience is how long a step may take with a process killed in the middle of it, or two: an operator's lease has to
// expire, and a dead projector's place in its group.
const patience = 4 * time.Minute

// chaos is a run in progress.
type chaos struct {
	*space
	*killer
	s     *stream
	known *factors

	kills, done, missed int
	counts              map[phase]map[victim]int
	began               time.Time

	// factor is what an event counts by the newest spec, most the highest so far.
	factor, most int
	token        string
	// old is what readers saw before target.
	old, target string
}

// TestRolloutChaos plays roll-outs (edits, replays, edits of an edit, rollbacks, discards, and a deletion) while a process
// is killed in every phase of them. Readers may find the database away; what they are answered is right, and positions
// never fall. In the end every row is what the oracle says, and nothing exists that should not. It runs alone, since it
// takes the database and the operator from everybody.
func TestRolloutChaos(t *testing.T) {
	seed := uint64(setting(t, "ROLLOUT_CHAOS_SEED", 1))
	events := setting(t, "ROLLOUT_CHAOS_EVENTS", 3_000)
	n := newSpace(t)
	rng := rand.New(rand.NewPCG(seed, 0xc4a05))
	c := &chaos{
		space: n, killer: &killer{n: n, rng: rng, from: time.Now(), struck: map[string]bool{}}, kills: setting(t, "ROLLOUT_CHAOS_KILLS", 8),
		known: &factors{of: map[string]int{}}, counts: map[phase]map[victim]int{}, began: time.Now(), factor: 1, most: 1,
	}
	t.Logf("seed %d: %d kills, %d events", seed, c.kills, events)
	n.apply(brokerAndStore + ordersTopic)
	n.ready(n.broker("main"), n.store("reads"), n.topic("orders"))
	before := n.inventory()
	c.s = n.stream()
	c.s.preload(events)
	c.change("keepSeconds: 3600")
	n.active("tally", soon+time.Duration(events/5_000)*time.Second, caughtUp)
	p := n.projection("tally")
	n.get(p)
	c.target = p.Status.ActiveRevision
	c.known.set(c.target, c.factor)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r := &readers{n: n, factors: c.known.get, down: c.down}
	r.lap()
	var work sync.WaitGroup
	work.Go(func() {
		if err := c.s.flow(ctx, 200); err != nil {
			t.Errorf("the flow of events: %v", err)
		}
	})
	for i := range 4 {
		work.Go(func() { r.read(ctx, 25, i > 0) })
	}

	const inCycle = 6
	atEnd := min(4, c.kills/8)
	cycles := max(1, (c.kills-atEnd)/8)
	for cycle := 0; c.done < c.kills-atEnd; cycle++ {
		if cycle > 2*cycles {
			t.Fatalf("%d kills in %d cycles, %d attempts found nothing to kill", c.done, cycle, c.missed)
		}
		due := func(i int) int {
			return min(c.kills-atEnd, (c.kills-atEnd)*(cycle*inCycle+i+1)/(cycles*inCycle))
		}
		c.cycle(due)
	}
	stop()
	work.Wait()
	m := r.lap()
	n.active("tally", patience, caughtUp)
	c.s.equals(c.target, c.factor)
	c.only(before)
	c.remove(before)
	// What a deletion was too quick for is made up for in the next one, of the projection made anew.
	for again := 0; c.done < c.kills && again < atEnd+2; again++ {
		c.change("keepSeconds: 3600")
		n.active("tally", patience, caughtUp)
		p := n.projection("tally")
		n.get(p)
		c.target = p.Status.ActiveRevision
		c.s.equals(c.target, c.factor)
		c.remove(before)
	}

	c.report(seed, c.s.ends(), m)
	r.fail(t)
	if m.failed > 0 || m.wrong > 0 {
		t.Error("readers were not served")
	}
	for _, what := range c.met {
		t.Error("an operator that was killed had logged: " + what)
	}
	if c.done < c.kills {
		t.Errorf("%d kills, want %d", c.done, c.kills)
	}
}

// report prints what was done, as a table.
func (c *chaos) report(seed uint64, ends [streamPartitions]int64, m met) {
	sum := int64(0)
	for _, end := range ends {
		sum += end
	}
	head := "| phase |"
	for _, v := range victims {
		head += " " + string(v) + " |"
	}
	lines := []string{head, "|" + strings.Repeat(" --- |", len(victims)+1)}
	for _, ph := range stages {
		line := "| " + string(ph.phase) + " |"
		for _, v := range victims {
			line += fmt.Sprintf(" %d |", c.counts[ph.phase][v])
		}
		lines = append(lines, line)
	}
	c.t.Logf("chaos: seed %d, %d SIGKILLs in %s, %d events, %d attempts found nothing to kill; readers: %s\n%s",
		seed, c.done, time.Since(c.began).Round(time.Second), sum, c.missed, m, strings.Join(lines, "\n"))
}

// change applies the projection as it is to be now.
func (c *chaos) change(rollout string) {
	c.t.Helper()
	c.apply(c.yaml(rollout))
}

func (c *chaos) yaml(rollout string) string {
	more := "spec:\n  deletionPolicy: Delete\n"
	if c.token != "" {
		more += "  replayToken: " + c.token + "\n"
	}
	return strings.Replace(tally(c.factor, rollout), "spec:\n", more, 1)
}

// cycle is one roll-out from an edit to the end of the old tables. due gives how many kills there are to be after a phase.
func (c *chaos) cycle(due func(int) int) {
	c.t.Helper()
	c.old = c.target
	c.edit()
	in := func(states ...string) func(*v1alpha1.Projection) bool {
		return func(p *v1alpha1.Projection) bool { return slices.Contains(states, state(p, c.target)) }
	}
	sees := func(revision string) func(*v1alpha1.Projection) bool {
		return func(p *v1alpha1.Projection) bool { return p.Status.ActiveRevision == revision }
	}
	c.harm(preparing, due(0), in(v1alpha1.RevisionQueued, v1alpha1.RevisionPreparing),
		in(v1alpha1.RevisionBuilding, v1alpha1.RevisionReady, v1alpha1.RevisionPromoting, v1alpha1.RevisionActive))
	passed := in(v1alpha1.RevisionReady, v1alpha1.RevisionPromoting, v1alpha1.RevisionActive)
	c.harm(building, due(1), in(v1alpha1.RevisionBuilding), passed)
	if c.rng.IntN(3) == 0 {
		c.editAgain()
	}
	c.harm(promoting, due(2), in(v1alpha1.RevisionReady, v1alpha1.RevisionPromoting), sees(c.target))
	c.active("tally", patience, is(c.target))

	// Where an edit overtook a build, readers may have left another revision than the one that they saw first.
	back := ""
	eventually(c.t, patience, "the revision that readers left is kept", func(ctx context.Context) string {
		p := c.look()
		for _, r := range p.Status.Revisions {
			if r.State == v1alpha1.RevisionKept {
				back = r.Name
			}
		}
		if back == "" {
			return fmt.Sprint(p.Status.Revisions)
		}
		return ""
	})
	c.old = back
	c.harm(kept, due(3), func(p *v1alpha1.Projection) bool { return state(p, back) == v1alpha1.RevisionKept }, never)
	c.change("keepSeconds: 3600, activeRevision: " + strconv.Quote(back))
	c.harm(rollingBack, due(4), func(p *v1alpha1.Projection) bool { return !sees(back)(p) }, sees(back))
	c.active("tally", patience, is(back))
	c.change("keepSeconds: 3600")
	c.active("tally", patience, is(c.target))
	c.change("keepSeconds: 0")
	alone := func(p *v1alpha1.Projection) bool { return len(p.Status.Revisions) == 1 && sees(c.target)(p) }
	c.harm(discarding, due(5), func(p *v1alpha1.Projection) bool { return state(p, back) == v1alpha1.RevisionDiscarding }, alone)
	c.active("tally", patience, func(p *v1alpha1.Projection) string {
		if alone(p) {
			return ""
		}
		return "more than one revision is left"
	})
}

// edit asks for another revision: of other rows, of rows that there were before, or of the same rows once more.
func (c *chaos) edit() {
	c.t.Helper()
	switch before := c.factor - 1; c.rng.IntN(4) {
	case 0:
		c.token = fmt.Sprintf("again-%d", c.done)
	case 1:
		if before > 0 {
			c.factor, c.token = before, ""
			break
		}
		fallthrough
	default:
		c.most++
		c.factor = c.most
	}
	c.target = c.space.edit(c.yaml("keepSeconds: 3600"), c.known, c.factor, patience, c.target)
}

// editAgain overtakes an edit.
func (c *chaos) editAgain() {
	c.t.Helper()
	c.most++
	c.factor = c.most
	c.target = c.space.edit(c.yaml("keepSeconds: 3600"), c.known, c.factor, patience, c.target)
}

// look reads the projection; one that does not exist is empty.
func (c *chaos) look() *v1alpha1.Projection {
	c.t.Helper()
	p := c.projection("tally")
	if err := kube().Get(c.t.Context(), client.ObjectKeyFromObject(p), p); apierrors.IsNotFound(err) {
		return &v1alpha1.Projection{}
	} else if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// state is that of a revision, "" where it is not told of.
func state(p *v1alpha1.Projection, revision string) string {
	for _, r := range p.Status.Revisions {
		if r.Name == revision {
			return r.State
		}
	}
	return ""
}

// harm kills in a phase until so many are done in all, or the phase is over: what is missing then is made up for later.
func (c *chaos) harm(ph phase, due int, on, over func(*v1alpha1.Projection) bool) {
	c.t.Helper()
	i := slices.IndexFunc(stages, func(s stage) bool { return s.phase == ph })
	left := slices.Clone(stages[i].victims)
	for c.done < due && len(left) > 0 {
		if !c.begins(ph, on, over) {
			return
		}
		c.pause(stages[i].most)
		if !on(c.look()) {
			continue
		}
		v := c.choose(ph, left)
		what := c.kill(v, c.old, c.target, stages[i].action)
		if what == "" {
			c.missed++
			left = slices.DeleteFunc(left, func(o victim) bool { return o == v })
			continue
		}
		c.done++
		if c.counts[ph] == nil {
			c.counts[ph] = map[victim]int{}
		}
		c.counts[ph][v]++
		c.t.Logf("%6s kill %d of %d: %s: %s: %s", time.Since(c.began).Round(100*time.Millisecond), c.done, c.kills, ph, v, what)
	}
}

// begins waits until a phase is on, and reports whether it is and not over.
func (c *chaos) begins(ph phase, on, over func(*v1alpha1.Projection) bool) bool {
	c.t.Helper()
	var p *v1alpha1.Projection
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if p = c.look(); on(p) {
			return true
		}
		if over(p) {
			return false
		}
	}
	c.t.Fatalf("%s is not reached within %s; status: %s, active %s, target %s, %v", ph, patience, p.Status.Status, p.Status.ActiveRevision, p.Status.TargetRevision, p.Status.Revisions)
	return false
}

// choose takes the victim that was hit least often, in this phase and at all.
func (c *chaos) choose(ph phase, from []victim) victim {
	total := func(v victim) (n int) {
		for _, of := range c.counts {
			n += of[v]
		}
		return n
	}
	from = slices.Clone(from)
	c.rng.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
	return slices.MinFunc(from, func(a, b victim) int {
		return cmp.Or(cmp.Compare(c.counts[ph][a], c.counts[ph][b]), cmp.Compare(total(a), total(b)))
	})
}

// never is no phase's end.
func never(*v1alpha1.Projection) bool { return false }
