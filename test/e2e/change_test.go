// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func line(id string, n int) message {
	return message{"orders", id, fmt.Sprintf(`{"type":"line","id":%q,"n":%d}`, id, n)}
}

// TestChangeWhileItRuns changes a fold while it runs: the new rows are built beside the old ones, and then readers see them.
func TestChangeWhileItRuns(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + counts)
	n.caughtUp("counts")
	n.produce(line("a", 1))
	n.holds("SELECT events, last FROM $SCHEMA.counts", "(1,1)")
	p := n.projection("counts")
	n.get(p)
	revision := p.Status.ActiveRevision

	// A refused spec does not touch what runs.
	n.apply(strings.Replace(counts, "last: event.n", "last: nonsense(", 1))
	refused := n.condition(p, "SpecAccepted", "False", "InvalidSpec")
	says(t, refused.Message, "handlers[line].set.last", "goes on")
	n.produce(line("a", 2))
	n.holds("SELECT events, last FROM $SCHEMA.counts", "(2,2)")

	n.apply(strings.Replace(counts, `add: {events: "1"}`, `add: {events: "2"}`, 1))
	n.holds("SELECT events, last FROM $SCHEMA.counts", "(4,2)")
	n.caughtUp("counts")
	n.get(p)
	if p.Status.ActiveRevision == revision || p.Status.TargetRevision != p.Status.ActiveRevision {
		t.Errorf("active %s, target %s; the active one was %s", p.Status.ActiveRevision, p.Status.TargetRevision, revision)
	}
	// Both follow the log, and putting the spec back moves readers back without a build.
	n.produce(line("a", 3))
	n.holds("SELECT events, last FROM $SCHEMA.counts", "(6,3)")
	n.apply(counts)
	n.holds("SELECT events, last FROM $SCHEMA.counts", "(3,3)")
	n.caughtUp("counts")
	n.get(p)
	if p.Status.ActiveRevision != revision || p.Status.TargetRevision != revision {
		t.Errorf("after putting the spec back: active %s, target %s, want %s", p.Status.ActiveRevision, p.Status.TargetRevision, revision)
	}
}

// TestSuspend stops and goes on where it stopped.
func TestSuspend(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + counts)
	n.caughtUp("counts")
	n.produce(line("a", 1))
	n.holds("SELECT events, last FROM $SCHEMA.counts", "(1,1)")
	n.merge(n.projection("counts"), `{"spec":{"suspend":true}}`)
	n.condition(n.projection("counts"), "Ready", "False", "Suspended")
	n.running("counts", 0)
	n.produce(line("a", 2))
	n.condition(n.projection("counts"), "Available", "True", "")
	n.merge(n.projection("counts"), `{"spec":{"suspend":null}}`)
	n.caughtUp("counts")
	n.holds("SELECT events, last FROM $SCHEMA.counts", "(2,2)")
}

// TestDeletionRetain keeps rows by default, and the same projection made again goes on with them.
func TestDeletionRetain(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + counts)
	n.caughtUp("counts")
	n.produce(line("a", 1), line("b", 1))
	n.holds("SELECT count(*), sum(events) FROM $SCHEMA.counts", "(2,2)")
	before := n.relations()
	p := n.projection("counts")
	n.get(p)
	if len(p.Finalizers) != 0 {
		t.Errorf("finalizers %v", p.Finalizers)
	}
	n.delete(p)
	n.gone(n.projection("counts"), quick)
	n.running("counts", 0)
	if after := n.relations(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("relations were %v and are %v", before, after)
	}
	n.produce(line("a", 2))
	n.apply(counts)
	n.caughtUp("counts")
	n.holds("SELECT id, events, last FROM $SCHEMA.counts ORDER BY id", "(a,2,2)", "(b,1,1)")
	if after := n.relations(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("relations were %v and are %v", before, after)
	}
}

var deleting = strings.NewReplacer("storeRef: {name: reads}", "storeRef: {name: reads}\n  deletionPolicy: Delete")

// TestDeletionDelete drops what the projection made and nothing else.
func TestDeletionDelete(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + deleting.Replace(counts) + strings.NewReplacer("name: counts", "name: others").Replace(counts))
	n.caughtUp("counts")
	n.caughtUp("others")
	n.produce(line("a", 1))
	n.holds("SELECT events FROM $SCHEMA.counts", "(1)")
	n.holds("SELECT events FROM $SCHEMA.others", "(1)")
	n.delete(n.projection("counts"))
	n.gone(n.projection("counts"), soon)
	for _, r := range n.relations() {
		if strings.HasPrefix(r, "counts") {
			t.Errorf("%s is still there", r)
		}
	}
	n.holds("SELECT events FROM $SCHEMA.others", "(1)")
	says(t, n.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}"), "Retired")
}

// TestDeletionWithoutStore lets go with a warning that names what remains.
func TestDeletionWithoutStore(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + deleting.Replace(counts))
	n.caughtUp("counts")
	n.delete(n.store("reads"))
	c := n.condition(n.projection("counts"), "Ready", "False", "")
	t.Logf("%s: %s", c.Reason, c.Message)
	says(t, c.Message, `no ReadStore "reads"`, "create it")
	n.delete(n.projection("counts"))
	n.gone(n.projection("counts"), soon)
	says(t, n.kubectl("get", "events", "-o", "jsonpath={.items[*].message}"), "without dropping its tables", "ReadStore reads is gone")
}

// TestNamespaceDeletion does not hang on our finalizer.
func TestNamespaceDeletion(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + deleting.Replace(counts))
	n.caughtUp("counts")
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n.name}}
	if err := kube().Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Minute, "the namespace is gone", func(ctx context.Context) string {
		err := kube().Get(ctx, client.ObjectKeyFromObject(ns), ns)
		if apierrors.IsNotFound(err) {
			return ""
		}
		return fmt.Sprint(ns.Status.Conditions, err)
	})
}

// role makes a role named as the space's schema, which may do what a projection needs there and nothing else.
func (n *space) role(password string) {
	role := n.schema
	sql(n.t, "CREATE ROLE "+role+" LOGIN PASSWORD '"+password+"'")
	sql(n.t, "GRANT CONNECT ON DATABASE "+parts()["PG_DATABASE"]+" TO "+role)
	sql(n.t, "CREATE SCHEMA "+n.schema+" AUTHORIZATION "+role)
	sql(n.t, "CREATE SCHEMA "+n.schema+"_books AUTHORIZATION "+role)
	n.t.Cleanup(func() {
		sql(n.t, "DROP OWNED BY "+role+" CASCADE")
		sql(n.t, "DROP ROLE "+role)
	})
}

// TestRotation changes passwords in the database and the Secret under a running projector.
func TestRotation(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	role := n.schema
	n.role("first")
	n.apply(`
apiVersion: v1
kind: Secret
metadata: {name: own}
stringData: {username: ` + role + `, password: first, host: postgres, dbname: $PG_DATABASE}
---
` + strings.Replace(brokerAndStore, "secretRef: {name: reads-app}", "secretRef: {name: own}", 1) + ordersTopic + counts)
	n.caughtUp("counts")
	n.produce(line("a", 1))
	n.holds("SELECT events, last FROM $SCHEMA.counts", "(1,1)")
	pod := n.running("counts", 1)[0]

	sql(t, "ALTER ROLE "+role+" PASSWORD 'second'")
	n.merge(&corev1.Secret{ObjectMeta: n.meta("own")}, `{"stringData":{"password":"second"}}`)
	// Sessions that are open would go on; a cut one has to log in with the new password.
	sql(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role)
	n.produce(line("a", 2))
	n.holds("SELECT events, last FROM $SCHEMA.counts", "(2,2)")
	n.caughtUp("counts")
	after := &corev1.Pod{ObjectMeta: n.meta(pod)}
	n.get(after)
	if r := after.Status.ContainerStatuses[0].RestartCount; r != 0 {
		t.Errorf("the projector was restarted %d times", r)
	}
	var d appsv1.DeploymentList
	if err := kube().List(t.Context(), &d, client.InNamespace(n.name)); err != nil || len(d.Items) != 1 || d.Items[0].Generation != 1 {
		t.Errorf("the Deployment was changed (%v)", err)
	}
}
