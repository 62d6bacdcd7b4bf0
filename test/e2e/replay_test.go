// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// TestReplay builds a projection's tables anew by a Replay: one is held before it begins and then goes on, the next waits for
// it and goes when its time is over, and one is given up while it waits for a human. The projection is Ready all of the time.
func TestReplay(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.fed(setting(t, "REPLAY_EVENTS", 30_000))
	n.apply(tally(1, "keepSeconds: 0"))
	n.caughtUp("tally")
	p := n.projection("tally")
	n.get(p)
	first, hash := p.Status.ActiveRevision, p.Status.DataHash

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	unready := make(chan string, 1)
	go func() { unready <- n.whenNotReady(ctx, p.ResourceVersion) }()

	// Somebody has written into the table by hand: what a replay is for.
	sql(t, n.fill("UPDATE $SCHEMA.tally__"+first+" SET events = 7 WHERE id = '0-0'"))
	n.apply(replayOf("one", "suspend: true"))
	n.condition(n.replay("one"), "Suspended", "True", "Suspended")
	n.merge(n.replay("one"), `{"spec":{"suspend":false}}`)
	n.apply(replayOf("two", "ttlSecondsAfterFinished: 0"))
	one := n.replay("one")
	n.condition(one, "Complete", "True", "Complete")
	second := one.Status.Revision
	n.active("tally", soon, not(first))
	n.holds("SELECT count(DISTINCT events) FROM $SCHEMA.tally", "(1)")
	st := one.Status
	if st.FinishedAt == nil || st.StartedAt == nil || st.Progress != "100%" || st.EventsDone == nil || *st.EventsDone == 0 || *st.EventsDone != *st.EventsTotal || len(st.Partitions) == 0 {
		t.Errorf("status of one that is complete: %+v", st)
	}
	t.Logf("%s\n%s", meta.FindStatusCondition(st.Conditions, "Ready").Message, n.kubectl("get", "rpl", "-o", "wide"))

	eventually(t, soon, "the second one has built, and is gone", func(ctx context.Context) string {
		if err := kube().Get(ctx, client.ObjectKeyFromObject(n.replay("two")), n.replay("two")); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("it is there (%v)", err)
		}
		return ""
	})
	third := n.active("tally", soon, not(second))
	n.holds("SELECT revision FROM $SCHEMA_books.revisions", "("+third+")")

	n.apply(replayOf("three", "promotion: Manual"))
	three := n.replay("three")
	c := n.condition(three, "Ready", "False", "AwaitingPromotion")
	says(t, c.Message, three.Status.Revision, third, "kubectl projection promote")
	n.holds("SELECT count(*) FROM $SCHEMA_books.revisions", "(2)")
	n.delete(three)
	n.holds("SELECT revision FROM $SCHEMA_books.revisions", "("+third+")")
	n.get(p)
	if p.Status.ActiveRevision != third || p.Status.DataHash != hash {
		t.Errorf("status: %+v", p.Status)
	}
	if left := n.relations(); !slices.Equal(left, []string{"tally", "tally__" + third}) {
		t.Errorf("relations %v, want the view and the table of %s", left, third)
	}
	n.caughtUp("tally")
	stop()
	if what := <-unready; what != "" {
		t.Errorf("the projection was not Ready on the way: %s", what)
	}
}

// TestReplayKeys makes rows anew that were changed, deleted and made by hand, in the tables that readers see and while events
// come in.
func TestReplayKeys(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	s := n.fed(3_000)
	n.apply(tally(1, "keepSeconds: 0"))
	n.caughtUp("tally")
	p := n.projection("tally")
	n.get(p)
	active := p.Status.ActiveRevision
	table := "$SCHEMA.tally__" + active
	read := func(query string) []string {
		t.Helper()
		out, err := rows(t.Context(), n.fill(query))
		if err != nil || len(out) < 3 {
			t.Fatalf("%s: %v, %v", query, out, err)
		}
		return out
	}
	ids := read("SELECT id FROM " + table + " ORDER BY id LIMIT 3")
	text := func(i int) string { return strings.Trim(ids[i], "()") }
	const rest = "SELECT id, events FROM $SCHEMA.tally ORDER BY id"
	before := read(rest)
	sql(t, n.fill("UPDATE "+table+" SET events = 7 WHERE id = '"+text(0)+"'"))
	sql(t, n.fill("DELETE FROM "+table+" WHERE id = '"+text(1)+"'"))
	sql(t, n.fill("INSERT INTO "+table+" (id, events) VALUES ('never', 1)"))

	n.apply(replayOf("some", fmt.Sprintf("keys: {model: tally, values: [%q, %q, %q, never]}", text(0), text(1), text(2))))
	some := n.replay("some")
	c := n.condition(some, "Complete", "True", "Complete")
	says(t, c.Message, "2 rows written, 1 deleted, 1 was right already", active)
	if r := some.Status.Rows; r == nil || *r.Written != 2 || *r.Deleted != 1 || *r.Equal != 1 || *r.EventsRead < 3_000 || some.Status.Revision != active {
		t.Errorf("status of one that is complete: %+v", some.Status)
	}
	n.holds(rest, before...)
	n.holds("SELECT revision FROM $SCHEMA_books.revisions", "("+active+")")

	n.apply(replayOf("none", "keys: {model: other, values: [a]}"))
	c = n.condition(n.replay("none"), "Failed", "True", "BadRequest")
	says(t, c.Message, "nothing was changed", "other")
	if err := s.send(t.Context(), 300); err != nil {
		t.Fatal(err)
	}
	n.caughtUp("tally")
}

func replayOf(name, more string) string {
	return `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: Replay
metadata: {name: ` + name + `}
spec:
  projectionRef: {name: tally}
  ` + more + "\n"
}

// whenNotReady watches the projection from a version on until the context ends, and says how it was when it was not Ready.
func (n *space) whenNotReady(ctx context.Context, from string) string {
	for {
		w, err := kube().Watch(ctx, &v1alpha1.ProjectionList{}, client.InNamespace(n.name), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: from}})
		if ctx.Err() != nil {
			return ""
		}
		if err != nil {
			return err.Error()
		}
		// The API server ends a watch now and then: it goes on where that ended.
		for e := range w.ResultChan() {
			p, is := e.Object.(*v1alpha1.Projection)
			if !is {
				w.Stop()
				if ctx.Err() != nil {
					return ""
				}
				return fmt.Sprintf("the watch ended with %v", e.Object)
			}
			from = p.ResourceVersion
			c := meta.FindStatusCondition(p.Status.Conditions, "Ready")
			// That pods did not answer for a while on a busy machine says nothing of the Replay.
			if c == nil || (c.Status != "True" && c.Reason != v1alpha1.ReasonProjectorsUnreachable) {
				w.Stop()
				return fmt.Sprintf("%+v", c)
			}
		}
	}
}

// latest keeps the newest n of a key: each event makes the whole row.
func latest(plus int) string {
	return fmt.Sprintf(`
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: Projection
metadata: {name: latest}
spec:
  storeRef: {name: reads}
  topics: [{name: orders}]
  rollout: {keepSeconds: 0}
  models:
  - name: latest
    key: [id]
    columns:
    - {name: id, type: text}
    - {name: last, type: int64}
    handlers:
    - {name: line, events: [line], key: {id: event.id}, set: {last: "event.n + %d"}}
`, plus)
}

// TestReplayFrom rebuilds from a position in the middle of a partition, where the fold bears that: rows of older events
// alone are missing, nobody takes that for a difference, and the next change has them all again.
func TestReplayFrom(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.fed(3_000)
	n.apply(latest(0))
	n.apply(tally(1, "keepSeconds: 0"))
	n.caughtUp("latest")
	n.caughtUp("tally")
	const rows = "SELECT count(*), sum(last) FROM $SCHEMA.latest"
	whole := int64(0)
	for k := range int64(streamKeys) {
		whole += streamPartitions * (900 + k)
	}
	n.holds(rows, fmt.Sprintf("(300,%d)", whole))
	p := n.projection("latest")
	n.get(p)
	first := p.Status.ActiveRevision

	// The newest 50 events of partition 0 are those of the upper half of its keys.
	n.plugin(0, []string{"from orders/0=950 on", "will be missing"}, "replay", "latest", "--from", "orders/0=950", "--wait", "--timeout", "90s")
	second := n.active("latest", soon, not(first))
	part := whole
	for k := range int64(50) {
		part -= 900 + k
	}
	n.holds(rows, fmt.Sprintf("(250,%d)", part))
	n.caughtUp("latest")
	n.plugin(0, []string{second, "orders/0@950"}, "revisions", "latest")
	n.verifies("latest", "250 rows: 250 equal", "orders/0@950")

	n.apply(replayOf("sums", "from: {positions: [{topic: orders, partition: 0, position: '950'}]}"))
	c := n.condition(n.replay("sums"), "Failed", "True", "StartNotPossible")
	says(t, c.Message, "models[tally].handlers[line].add.events")
	n.apply(strings.ReplaceAll(replayOf("beyond", "from: {positions: [{topic: orders, partition: 2, position: '1001'}]}"), "{name: tally}", "{name: latest}"))
	c = n.condition(n.replay("beyond"), "Failed", "True", "StartNotPossible")
	says(t, c.Message, "spec.from.positions[0]", "orders/2")
	n.active("latest", soon, is(second))

	n.apply(latest(1))
	n.active("latest", soon, not(second))
	n.holds(rows, fmt.Sprintf("(300,%d)", whole+300))
	n.verifies("latest", "300 rows: 300 equal")
}
