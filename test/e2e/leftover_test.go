// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// inventory is everything that exists in the space, of every kind that the cluster knows, Events aside.
func (n *space) inventory() []string {
	n.t.Helper()
	kinds := slices.DeleteFunc(strings.Fields(n.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name")), func(kind string) bool {
		return kind == "events" || strings.HasPrefix(kind, "events.")
	})
	out := strings.Fields(n.kubectl("get", strings.Join(kinds, ","), "-o", "name", "--ignore-not-found"))
	slices.Sort(out)
	return out
}

// since are the objects that were not there before, by kind.
func (n *space) since(before []string) map[string][]string {
	n.t.Helper()
	out := map[string][]string{}
	for _, o := range n.inventory() {
		if !slices.Contains(before, o) {
			kind, name, _ := strings.Cut(o, "/")
			kind, _, _ = strings.Cut(kind, ".")
			out[kind] = append(out[kind], name)
		}
	}
	return out
}

// only waits until nothing of the projection exists but what its one revision needs: objects, relations, bookkeeping and
// consumer groups.
func (c *chaos) only(before []string) {
	c.t.Helper()
	revision := c.target
	eventually(c.t, patience, "nothing but what serves is left", func(ctx context.Context) string {
		if got := c.storeHolds(ctx); got != "relations "+fmt.Sprint([]string{"tally", "tally__" + revision})+", rows "+
			fmt.Sprint([]string{"positions 3", "projections 1", "relations 2", "revisions 1"}) {
			return got
		}
		if got, err := groups(ctx, c.name); err != nil || len(got) != 1 || !strings.HasSuffix(got[0], "."+revision) {
			return fmt.Sprintf("consumer groups %v (%v)", got, err)
		}
		var jobs batchv1.JobList
		if err := kube().List(ctx, &jobs, client.InNamespace(c.name), client.MatchingLabels{"projectionist.dev/projection": "tally"}); err != nil {
			return err.Error()
		}
		// The newest answer about revisions may be that of a Job about one that is gone.
		others := 0
		for i := range jobs.Items {
			if jobs.Items[i].Labels["projectionist.dev/revision"] != revision {
				others++
			}
		}
		if others > 1 {
			return fmt.Sprintf("%d Jobs about revisions that are gone", others)
		}
		got := c.since(before)
		got["pod"] = slices.DeleteFunc(got["pod"], func(pod string) bool {
			return slices.ContainsFunc(jobs.Items, func(job batchv1.Job) bool { return strings.HasPrefix(pod, job.Name+"-") })
		})
		delete(got, "job")
		for kind, want := range map[string]int{
			"projection": 1, "deployment": 1, "replicaset": 1, "pod": 1, "poddisruptionbudget": 1, "configmap": 1, "controllerrevision": 1,
			"service": 1, "endpointslice": 1, "serviceaccount": 1,
		} {
			if len(got[kind]) != want {
				return fmt.Sprintf("%d of kind %s: %v", len(got[kind]), kind, got)
			}
		}
		for _, kind := range []string{"deployment", "replicaset", "pod", "poddisruptionbudget", "configmap", "controllerrevision"} {
			if !strings.Contains(got[kind][0], revision) {
				return fmt.Sprintf("%s %s is not of revision %s", kind, got[kind][0], revision)
			}
		}
		return ""
	})
	eventually(c.t, soon, "every switch goes on from the one before", func(ctx context.Context) string {
		got, err := rows(ctx, c.fill(`SELECT (SELECT count(*) FROM $SCHEMA_books.switches a JOIN $SCHEMA_books.switches b ON b.sequence = a.sequence + 1 WHERE b.from_revision <> a.to_revision),
(SELECT count(*) FROM $SCHEMA_books.projections p JOIN $SCHEMA_books.switches s ON s.sequence = p.sequence AND s.to_revision = p.active_revision)`))
		if err != nil || fmt.Sprint(got) != "[(0,1)]" {
			return fmt.Sprint(got, err)
		}
		return ""
	})
}

// remove deletes the projection, with kills on the way, and waits until nothing of it exists anywhere.
func (c *chaos) remove(before []string) {
	c.t.Helper()
	c.delete(c.projection("tally"))
	c.harm(retiring, c.kills, func(p *v1alpha1.Projection) bool { return !p.DeletionTimestamp.IsZero() }, func(p *v1alpha1.Projection) bool { return p.UID == "" })
	c.gone(c.projection("tally"), 2*patience)
	eventually(c.t, patience, "nothing is left of the projection", func(ctx context.Context) string {
		if got := c.storeHolds(ctx); got != "relations [], rows []" {
			return got
		}
		if got, err := groups(ctx, c.name); err != nil || len(got) > 0 {
			return fmt.Sprintf("consumer groups %v (%v)", got, err)
		}
		if got := c.since(before); len(got) > 0 {
			return fmt.Sprint(got)
		}
		return ""
	})
}

// storeHolds is what the projection has in PostgreSQL: relations, and how many rows of which tables of the bookkeeping. The
// history of switches is left out while there is a projection.
func (c *chaos) storeHolds(ctx context.Context) string {
	relations, err := rows(ctx, c.fill("SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('$SCHEMA') AND relkind NOT IN ('i', 't', 'c') ORDER BY 1"))
	if err != nil {
		return err.Error()
	}
	tables, err := rows(ctx, c.fill("SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('$SCHEMA_books') AND relkind = 'r' AND relname <> 'version' ORDER BY 1"))
	if err != nil {
		return err.Error()
	}
	var held []string
	for _, table := range tables {
		table = strings.Trim(table, "()")
		count, err := rows(ctx, c.fill("SELECT count(*) FROM $SCHEMA_books."+table))
		if err != nil {
			return err.Error()
		}
		if n := strings.Trim(count[0], "()"); n != "0" && (table != "switches" || len(relations) == 0) {
			held = append(held, table+" "+n)
		}
	}
	for i := range relations {
		relations[i] = strings.Trim(relations[i], "()")
	}
	return fmt.Sprintf("relations %v, rows %v", relations, held)
}
