// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

func of(action contract.Action, revision string) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		j.Labels = map[string]string{resources.LabelAction: string(action), resources.LabelRevision: revision}
		j.Annotations[resources.AnnotationIncarnation] = "uid-1"
	}
}

func says(action contract.Action, active string, sequence int64, ok bool) func(*batchv1.Job) {
	return stamped(&contract.Result{Version: 1, Action: action, OK: ok, Revisions: &contract.RevisionFacts{Active: active, Sequence: sequence}})
}

func madeAt(at time.Time) func(*batchv1.Job) {
	return func(j *batchv1.Job) { j.CreationTimestamp = metav1.NewTime(at) }
}

const (
	revA = "aaaaaaaaaa"
	revB = "bbbbbbbbbb"
)

func TestFacts(t *testing.T) {
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	prepared := job(1, "p", 1, at(5), of(contract.ActionPrepare, revA), says(contract.ActionPrepare, revA, 1, true))
	promoted := job(2, "q", 1, at(10), of(contract.ActionPromote, revB), says(contract.ActionPromote, revB, 2, true), madeAt(at(8)))
	refused := job(3, "r", 1, at(20), of(contract.ActionDiscard, revA), says(contract.ActionDiscard, revB, 2, false), madeAt(at(18)))
	silent := job(4, "s", 1, at(30), of(contract.ActionPromote, revA), madeAt(at(28)))
	mute := job(4, "s", 1, at(30), of(contract.ActionPromote, revA), madeAt(at(28)), stamped(&contract.Result{Version: 1, Action: contract.ActionPromote, OK: true}))
	told := job(5, "t", 1, at(40), of(contract.ActionPrepare, revB), says(contract.ActionPrepare, revB, 2, true), madeAt(at(35)))
	old := job(6, "u", 1, at(5), of(contract.ActionPrepare, revA), stamped(&contract.Result{
		Version: 1, Action: contract.ActionPrepare, OK: true, Prepare: &contract.PrepareFacts{ActiveRevision: revA, Sequence: 1}}))
	back := job(9, "x", 1, at(60), of(contract.ActionPrepare, revA), says(contract.ActionPrepare, revA, 1, true), madeAt(at(50)))
	beside := job(10, "y", 1, at(60), of(contract.ActionPrepare, revA), says(contract.ActionPrepare, revA, 1, true), madeAt(at(9)))
	skewed := job(11, "z", 1, at(90), of(contract.ActionPrepare, revA), says(contract.ActionPrepare, revA, 1, true), madeAt(at(100)))
	odd := job(7, "v", 1, at(50), of(contract.ActionPrepare, revA), says(contract.ActionPrepare, "../../etc", 9, true))
	for name, c := range map[string]struct {
		jobs              []batchv1.Job
		active, job, lost string
	}{
		"nothing":                                          {nil, "", "", ""},
		"a prepare":                                        {[]batchv1.Job{prepared}, revA, "job-1", ""},
		"a prepare of the last release":                    {[]batchv1.Job{old}, revA, "job-6", ""},
		"the highest sequence":                             {[]batchv1.Job{promoted, prepared}, revB, "job-2", ""},
		"a refusal tells, too":                             {[]batchv1.Job{prepared, promoted, refused}, revB, "job-3", ""},
		"a promote without an answer":                      {[]batchv1.Job{promoted, silent}, revB, "job-2", "job-4"},
		"a promote that tells nothing":                     {[]batchv1.Job{promoted, mute}, revB, "job-2", "job-4"},
		"what was told after it":                           {[]batchv1.Job{promoted, silent, told}, revB, "job-5", ""},
		"a switch that was lost":                           {[]batchv1.Job{prepared, promoted, back}, revA, "job-9", ""},
		"one that overlaps with a switch":                  {[]batchv1.Job{prepared, promoted, beside}, revB, "job-2", ""},
		"one that ended before it was made, by its clocks": {[]batchv1.Job{prepared, skewed}, revA, "job-11", ""},
		"what no revision can be":                          {[]batchv1.Job{odd}, "", "", ""},
		"a Job that is still under way":                    {[]batchv1.Job{job(8, "w", 1, time.Time{}, of(contract.ActionPrepare, revA))}, "", "", ""},
		"an answer that is not the Job's":                  {[]batchv1.Job{prepared, odd}, revA, "job-1", ""},
	} {
		told := Facts(c.jobs, nil)
		active := ""
		if told.Facts != nil {
			active = told.Facts.Active
		}
		if active != c.active || told.Job != c.job || told.Lost != c.lost {
			t.Errorf("%s: %q by %q, lost %q", name, active, told.Job, told.Lost)
		}
	}
}

func TestTook(t *testing.T) {
	end := start.Add(time.Second)
	for name, c := range map[string]struct {
		jobs        []batchv1.Job
		done, maybe bool
	}{
		"nothing":          {nil, false, false},
		"went well":        {[]batchv1.Job{job(1, "p", 1, end, of(contract.ActionDiscard, revA), says(contract.ActionDiscard, revB, 2, true))}, true, false},
		"under way":        {[]batchv1.Job{job(1, "p", 1, time.Time{}, of(contract.ActionDiscard, revA))}, false, true},
		"without answer":   {[]batchv1.Job{job(1, "p", 1, end, of(contract.ActionDiscard, revA))}, false, true},
		"refused":          {[]batchv1.Job{job(1, "p", 1, end, of(contract.ActionDiscard, revA), says(contract.ActionDiscard, revB, 2, false))}, false, false},
		"told nothing":     {[]batchv1.Job{job(1, "p", 1, end, of(contract.ActionDiscard, revA), stamped(&contract.Result{Version: 1, Action: contract.ActionDiscard, Reason: "Unreachable"}))}, false, true},
		"another revision": {[]batchv1.Job{job(1, "p", 1, end, of(contract.ActionDiscard, revB), says(contract.ActionDiscard, revB, 2, true))}, false, false},
	} {
		if done, maybe := Took(c.jobs, nil, contract.ActionDiscard, revA, "uid-1"); done != c.done || maybe != c.maybe {
			t.Errorf("%s: %t %t", name, done, maybe)
		}
		if done, maybe := Took(c.jobs, nil, contract.ActionDiscard, revA, "uid-2"); done || maybe {
			t.Errorf("%s: what was done before it was built again counts", name)
		}
	}
}

func TestOrphansAndBusy(t *testing.T) {
	end := start.Add(time.Second)
	jobs := []batchv1.Job{
		job(1, "p", 1, end, of(contract.ActionPrepare, revA)), job(2, "p", 1, end, of(contract.ActionPromote, revB)),
		job(3, "p", 1, time.Time{}, of(contract.ActionDiscard, revB)), job(4, "p", 1, end, of(contract.ActionDiscard, revB)),
		job(5, "p", 1, end, of(contract.ActionRetire, "")),
	}
	got := Orphans(jobs, []string{revA}, "job-4")
	if len(got) != 1 || got[0].Name != "job-2" {
		t.Errorf("%d orphans", len(got))
	}
	if !Busy(jobs) || Busy(jobs[:2]) || !UnderWay(jobs, contract.ActionDiscard, revB) || UnderWay(jobs, contract.ActionPromote, revB) {
		t.Error("what is under way is not seen")
	}
}
