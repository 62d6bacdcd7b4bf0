// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"cmp"
	"regexp"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// maxRevisions bounds how many revisions are taken from a result.
const maxRevisions = 64

var revisionName = regexp.MustCompile("^[0-9a-f]{10}$")

// Told is what the bookkeeping said of a projection's revisions in the newest answer of any Job. Also an action
// that failed tells what it found.
type Told struct {
	// Facts is nil where no Job has told.
	Facts *contract.RevisionFacts
	// Job is the name of the Job that told, At when it ended.
	Job string
	At  time.Time
	// Lost is the name of a promote that ended after that Job was made without telling what readers see, "" if none:
	// whether it took effect is then not known until another Job tells.
	Lost string
}

// Facts finds the newest answer: what the Job told that was made last, or one that ended only after that was made. Of
// these it is that with the highest sequence, and then the one that ended last. A lower sequence of a Job that was made
// once the others had ended is the newer one: a failover of the database may lose a switch that was told.
func Facts(jobs []batchv1.Job, pods []corev1.Pod) Told {
	var tellers []teller
	var silent *view
	for i := range jobs {
		if !jobs[i].DeletionTimestamp.IsZero() {
			continue
		}
		v := observe(&jobs[i], pods)
		if !v.finished {
			continue
		}
		result := outcome(v)
		f := told(result)
		if f == nil && result.Action == contract.ActionPromote && (silent == nil || v.at.After(silent.at)) {
			silent = &v
		}
		if f == nil {
			continue
		}
		tellers = append(tellers, teller{v, f})
	}
	if len(tellers) == 0 {
		return Told{}
	}
	last := slices.MaxFunc(tellers, func(a, b teller) int { return a.made().Compare(b.made()) }).made()
	// By clocks that differ, the newest may have ended before it was made.
	tellers = slices.DeleteFunc(tellers, func(t teller) bool { return t.at.Before(last) && t.made().Before(last) })
	newest := slices.MaxFunc(tellers, func(a, b teller) int {
		return cmp.Or(cmp.Compare(a.facts.Sequence, b.facts.Sequence), a.at.Compare(b.at), a.made().Compare(b.made()), cmp.Compare(a.job.Name, b.job.Name))
	})
	out := Told{Facts: newest.facts, Job: newest.job.Name, At: newest.at}
	if silent != nil && silent.at.After(newest.made()) {
		out.Lost = silent.job.Name
	}
	return out
}

// teller is a Job that has ended and told.
type teller struct {
	view
	facts *contract.RevisionFacts
}

func (t teller) made() time.Time { return t.job.CreationTimestamp.Time }

// UnderWay reports whether an action on a revision has not ended.
func UnderWay(jobs []batchv1.Job, action contract.Action, revision string) bool {
	return slices.ContainsFunc(Of(jobs, action, revision), func(job batchv1.Job) bool {
		done, _ := finished(&job)
		return !done
	})
}

// Busy reports whether a promote or discard is under way, whatever it was asked.
func Busy(jobs []batchv1.Job) bool {
	return slices.ContainsFunc(jobs, func(job batchv1.Job) bool {
		done, _ := finished(&job)
		a := job.Labels[resources.LabelAction]
		return !done && (a == string(contract.ActionPromote) || a == string(contract.ActionDiscard))
	})
}

// told gives what a result says of revisions, within the bounds of what it can
// be; a projector of the last release says it of a prepare only.
func told(r *contract.Result) *contract.RevisionFacts {
	f := new(contract.RevisionFacts)
	switch {
	case r.Revisions != nil && r.Revisions.Active != "":
		*f = *r.Revisions
	case r.OK && r.Prepare != nil && r.Prepare.ActiveRevision != "":
		f.Active, f.Sequence = r.Prepare.ActiveRevision, r.Prepare.Sequence
	}
	if !revisionName.MatchString(f.Active) || f.Sequence < 0 {
		return nil
	}
	f.Revisions = slices.DeleteFunc(slices.Clone(f.Revisions), func(r contract.RevisionFact) bool { return !revisionName.MatchString(r.Revision) })
	f.Revisions = f.Revisions[max(0, len(f.Revisions)-maxRevisions):]
	return f
}

// Of are those of an owner's Jobs that are about one action and revision.
func Of(jobs []batchv1.Job, action contract.Action, revision string) []batchv1.Job {
	var out []batchv1.Job
	for i := range jobs {
		if jobs[i].Labels[resources.LabelAction] == string(action) && jobs[i].Labels[resources.LabelRevision] == revision {
			out = append(out, jobs[i])
		}
	}
	return out
}

// OfRevisions are those of an owner's Jobs that are about one action and any of some revisions.
func OfRevisions(jobs []batchv1.Job, action contract.Action, revisions []string) []*batchv1.Job {
	var out []*batchv1.Job
	for i := range jobs {
		job := &jobs[i]
		if job.DeletionTimestamp.IsZero() && job.Labels[resources.LabelAction] == string(action) && slices.Contains(revisions, job.Labels[resources.LabelRevision]) {
			out = append(out, job)
		}
	}
	return out
}

// Took reports what is known of an action on one incarnation of a revision,
// whatever its inputs were: whether one went well, and whether one may have, or
// may yet: it is under way, or ended without an answer, or failed and could not
// tell what is there now, as after a connection that was lost while it committed.
func Took(jobs []batchv1.Job, pods []corev1.Pod, action contract.Action, revision, incarnation string) (done, maybe bool) {
	for _, job := range Of(jobs, action, revision) {
		if job.Annotations[resources.AnnotationIncarnation] != incarnation {
			continue
		}
		v := observe(&job, pods)
		if !v.finished {
			maybe = true
			continue
		}
		switch r := outcome(v); {
		case r.OK:
			done = true
		case r.Reason == ReasonProbeFailed, action == contract.ActionDiscard && told(r) == nil:
			maybe = true
		}
	}
	return done, maybe
}

// Orphans are the Jobs that ended, are about none of the revisions that are known, and are not the one to keep.
func Orphans(jobs []batchv1.Job, known []string, keep string) []*batchv1.Job {
	var out []*batchv1.Job
	for i := range jobs {
		job := &jobs[i]
		done, _ := finished(job)
		switch contract.Action(job.Labels[resources.LabelAction]) {
		case contract.ActionPrepare, contract.ActionPromote, contract.ActionDiscard, contract.ActionVerify:
			if done && job.DeletionTimestamp.IsZero() && job.Name != keep && !slices.Contains(known, job.Labels[resources.LabelRevision]) {
				out = append(out, job)
			}
		case contract.ActionProbeBroker, contract.ActionProbeStore, contract.ActionProbeTopic, contract.ActionRetire:
		}
	}
	return out
}
