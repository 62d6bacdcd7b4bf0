// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// TestVerified: a change that is verified well is promoted by itself; one that does not meet an assertion, and one whose
// rows somebody changed by hand, are not, say so, and leave readers alone; putting the spec back ends it.
func TestVerified(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.fed(3_000)
	rollout := func(more string) string {
		return "keepSeconds: 0, verify: {assertions: [{name: whole, model: tally, all: count == 300 && sum.events >= 3000}, {name: positive, model: tally, row: row.events > 0}" + more + "]}"
	}
	good := rollout("")
	n.apply(tally(1, good))
	n.caughtUp("tally")
	p := n.projection("tally")
	n.get(p)
	first := p.Status.ActiveRevision

	n.apply(tally(2, good))
	second := n.active("tally", soon, not(first))
	n.caughtUp("tally")
	n.holds("SELECT sum(events) FROM $SCHEMA.tally", "(6000)")
	eventually(t, soon, "the status says what was verified", func(ctx context.Context) string {
		if err := kube().Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err.Error()
		}
		for _, r := range p.Status.Revisions {
			if r.Name == second && r.Message == "verified: 300 rows are what the log says, and 2 assertions hold" {
				return ""
			}
		}
		return "status.revisions does not say so"
	})

	bad := rollout(", {name: capped, model: tally, row: row.events < 30}")
	n.apply(tally(3, bad))
	c := n.condition(p, "Ready", "False", "AssertionFailed")
	t.Log(c.Message)
	says(t, c.Message, "assertion capped: 300 of 300 rows of tally do not meet it", "Readers go on with revision "+second, "kubectl projection verify tally --revision "+p.Status.TargetRevision)
	n.condition(p, "Stalled", "True", "AssertionFailed")
	n.condition(p, "Available", "True", "Serving")
	n.get(p)
	third := p.Status.TargetRevision
	if p.Status.ActiveRevision != second || third == second {
		t.Errorf("active %s, target %s", p.Status.ActiveRevision, third)
	}
	n.holds("SELECT sum(events) FROM $SCHEMA.tally", "(6000)")

	// Its rows are meddled with, and the settings are edited, so that it is verified once more.
	if _, err := database().Exec(t.Context(), n.fill("UPDATE $SCHEMA.tally__"+third+" SET events = events + 1 WHERE id = '0-7'")); err != nil {
		t.Fatal(err)
	}
	n.apply(tally(3, good))
	c = n.condition(p, "Ready", "False", "VerificationFailed")
	t.Log(c.Message)
	says(t, c.Message, "tally: 1 of 300 rows differ from the log (1 changed, 0 missing, 0 extra)")
	if strings.Contains(c.Message, "0-") {
		t.Errorf("a key is in the status: %s", c.Message)
	}

	n.apply(tally(2, good))
	n.caughtUp("tally")
	n.active("tally", soon, is(second))
	eventually(t, soon, "nothing is left of what was not shown", func(ctx context.Context) string {
		var jobs batchv1.JobList
		if err := kube().List(ctx, &jobs, client.InNamespace(n.name), client.MatchingLabels{contract.LabelRevision: third, "projectionist.dev/action": "verify"}); err != nil {
			return err.Error()
		}
		got, err := rows(ctx, n.fill("SELECT revision FROM $SCHEMA_books.revisions"))
		if err != nil || len(got) != 1 || len(jobs.Items) > 0 {
			return strings.Join(got, ", ")
		}
		return ""
	})
	n.condition(p, "Ready", "True", v1alpha1.ReasonCaughtUp)
}
