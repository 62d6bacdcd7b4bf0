// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"time"

	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/actions"
)

// OfKeys reports whether a Replay is of some keys, so that it makes no revision and is no business of a roll-out.
func OfKeys(r *v1alpha1.Replay) bool { return len(r.Spec.Keys.Values) > 0 }

// Job is what is known of the Job of a Replay of some keys.
type Job struct {
	// State is of the question that the revision of now answers.
	actions.State
	// Revision is the one that readers see; "" where it is not known what its projectors run.
	Revision string
	// Began is when the first of the Jobs that are there was made, zero where there is none.
	Began time.Time
	// TooLarge is how many bytes the request has, 0 where it fits.
	TooLarge int
}

// keys decides about a Replay of some keys. Its Jobs are what it remembers: it needs no record.
func (d *decider) keys() Decision {
	out := d.ofKeys()
	out.Reads, out.StartedAt = d.Job.Revision, d.Job.Began
	if out.Wake == 0 {
		out.Wake = d.Job.RequeueAfter
	}
	return out
}

func (d *decider) ofKeys() Decision {
	p, j := d.Projection, &d.Job
	gone := p == nil || !p.DeletionTimestamp.IsZero()
	switch {
	case j.OK() && !gone:
		return d.replayed()
	case gone && !j.Began.IsZero():
		return d.failed(v1alpha1.ReasonProjectionDeleted, "Projection %s was deleted before the rows were made anew", d.name())
	case gone:
		return d.absent()
	case j.TooLarge > 0:
		return d.failed(v1alpha1.ReasonInvalidSpec, "spec.keys.values: they travel as JSON in an environment variable, have %d bytes there, and at most %d are taken: split them over several Replays",
			j.TooLarge, contract.MaxRequestBytes)
	case j.Running != "" && j.Hindered == nil:
		return d.replaying()
	case j.Hindered != nil:
		return d.hindered(j.Hindered, "the rows are not made anew yet")
	case j.Final():
		return d.failed(actions.Reason(j.Result.Reason, v1alpha1.ReasonProbeFailed), "nothing was changed: %s", actions.At(j.Result.Path, j.Result.Message))
	}
	if wait := d.keysWait(); wait != nil {
		return *wait
	}
	out := d.replaying()
	if j.Failed() {
		out = d.hindered(j.Result, "the rows could not be made anew yet, and it is tried again")
	}
	out.Ask = true
	return out
}

// keysWait says why no Job may be made now, nil if one may.
func (d *decider) keysWait() *Decision {
	p := d.Projection
	wait := func(out Decision) *Decision { return &out }
	if ptr.Deref(d.Replay.Spec.Suspend, false) {
		return wait(d.suspended("no Job is made for its keys, and other Replays of Projection %s go first", d.name()))
	}
	if first, n := d.before(); first != "" {
		return wait(d.queued(first, n))
	}
	if out := d.unsettled(); out != nil {
		return out
	}
	for i := range p.Status.Revisions {
		if r := &p.Status.Revisions[i]; r.State == v1alpha1.RevisionPromoting {
			return wait(working(v1alpha1.ReplayPending, v1alpha1.ReasonRolloutInProgress, "readers of Projection %s are being moved to revision %s: it begins once that is done", d.name(), r.Name))
		}
	}
	switch {
	case p.Status.ActiveRevision == "":
		return wait(working(v1alpha1.ReplayPending, v1alpha1.ReasonRolloutInProgress, "Projection %s is being built for the first time", d.name()))
	case d.Job.Revision == "":
		out := working(v1alpha1.ReplayPending, v1alpha1.ReasonStarting, "the projectors of revision %s of Projection %s are not there: it begins once they are", p.Status.ActiveRevision, d.name())
		out.Wake = lookAgain
		return wait(out)
	}
	return nil
}

// lookAgain is when to look for what no event tells of.
const lookAgain = 10 * time.Second

func (d *decider) replaying() Decision {
	k := d.Replay.Spec.Keys
	out := working(v1alpha1.ReplayRunning, v1alpha1.ReasonReplayingKeys, "the log is read for the rows of %s of model %s, which are made anew in revision %s",
		count(len(k.Values), "key"), k.Model, d.Job.Revision)
	if ptr.Deref(d.Replay.Spec.Suspend, false) {
		out.Message += "; spec.suspend does not hold up a Job that runs"
	}
	return out
}

func (d *decider) replayed() Decision {
	r := d.Job.Result
	out := Decision{State: Complete, Word: v1alpha1.ReplayComplete, Reason: v1alpha1.ReasonComplete, FinishedAt: r.At, Rows: r.Replay, Message: "the rows are as the log says"}
	if out.FinishedAt.IsZero() {
		out.FinishedAt = d.Now
	}
	if f := r.Replay; f != nil {
		out.Message = fmt.Sprintf("%s written, %d deleted, %d %s right already; %s read, in revision %s",
			count(int(f.Written), "row"), f.Deleted, f.Equal, were(f.Equal), count(int(f.Events), "event"), d.Job.Revision)
	}
	return out
}

// hindered is what a result says that is no end.
func (d *decider) hindered(r *contract.Result, what string) Decision {
	out := working(v1alpha1.ReplayRunning, actions.Reason(r.Reason, v1alpha1.ReasonProbeFailed), "%s: %s", what, actions.At(r.Path, r.Message))
	if !r.Retryable {
		out.State, out.Word = Stuck, v1alpha1.ReplayStalled
	}
	return out
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func were(n int64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}
