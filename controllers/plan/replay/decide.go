// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// Input is what is known at one moment.
type Input struct {
	Now    time.Time
	Replay *v1alpha1.Replay
	// All are the Replays of the same Projection; whether this one is among them does not matter.
	All []v1alpha1.Replay
	// Projection is nil where there is none.
	Projection *v1alpha1.Projection
	// Done are the attempts that count as done with the revision that readers see.
	Done []string
	// Refused says of a Replay that has not begun what is wrong with spec.verify, by the models of the newest spec; "" if nothing is, or that is not known.
	Refused string
	// Missing says which events the new tables would lack; "" if none.
	Missing string
	// Contract is what the projectors of the revision run that readers see; nil where that is not known. It is asked for where the
	// Replay begins elsewhere than with the earliest events.
	Contract *contract.Contract
	// Job is what is known of the Job of a Replay of some keys.
	Job Job
}

// State is what a Decision means for who waits.
type State int

// The states.
const (
	// Working goes on by itself, or once something outside of it happens.
	Working State = iota
	// Stuck needs a human.
	Stuck
	// Resting is as the user wishes.
	Resting
	// Suspended is held by spec.suspend.
	Suspended
	// Complete and Failed are the ends.
	Complete
	Failed
)

// Decision is what becomes of a Replay.
type Decision struct {
	State State
	// Word is one word for it.
	Word            string
	Reason, Message string
	// Revision is what the Projection's status says of the revision that it builds, nil where that is not known.
	Revision *v1alpha1.RevisionStatus
	// FinishedAt is when it ended, zero where it has not.
	FinishedAt time.Time
	// Begin is the record to write, nil if none.
	Begin *Record
	// Ask is true where the Job of a Replay of some keys may be made, as far as its State has one to make. Reads is the
	// revision whose rows are made anew, StartedAt when that began, Rows what became of them, nil where that is not known.
	Ask       bool
	Reads     string
	StartedAt time.Time
	Rows      *contract.ReplayFacts
	// Delete is true once nobody wants to see it any more.
	Delete bool
	// Wake is when to look again if nothing happens; zero: no need.
	Wake time.Duration
}

func working(word, reason, format string, args ...any) Decision {
	return Decision{State: Working, Word: word, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// decider holds one decision.
type decider struct {
	Input
	record *Record
	// built is what the Projection's status says of the Replay's revision, nil if nothing.
	built *v1alpha1.RevisionStatus
}

// Decide decides.
func Decide(in Input) Decision {
	d := &decider{Input: in, record: RecordOf(in.Replay)}
	if Finished(in.Replay) {
		return d.finished()
	}
	if p := in.Projection; p != nil {
		for i := range p.Status.Revisions {
			if r := &p.Status.Revisions[i]; r.Attempt == string(in.Replay.UID) {
				d.built = r
			}
		}
	}
	var out Decision
	if OfKeys(in.Replay) {
		out = d.keys()
	} else {
		out = d.decide()
		out.Revision = d.built
	}
	if out.State == Failed {
		out.FinishedAt = in.Now
	}
	return out
}

func (d *decider) decide() Decision {
	switch {
	case d.record != nil && (d.Projection == nil || d.Projection.UID != d.record.Projection || !d.Projection.DeletionTimestamp.IsZero()):
		return d.failed(v1alpha1.ReasonProjectionDeleted, "Projection %s was deleted before readers saw what was built", d.name())
	case d.Projection == nil || !d.Projection.DeletionTimestamp.IsZero():
		return d.absent()
	case (d.built != nil && d.built.PromotedAt != nil) || slices.Contains(d.Done, string(d.Replay.UID)):
		return d.complete()
	case d.record != nil:
		return d.begun()
	}
	return d.toBegin()
}

// absent is a Replay that has not begun and whose Projection is not there.
func (d *decider) absent() Decision {
	if d.Projection == nil {
		return working(v1alpha1.ReplayPending, v1alpha1.ReasonReferenceMissing, "Projection %s does not exist in namespace %s. It begins once there is one", d.name(), d.Replay.Namespace)
	}
	return working(v1alpha1.ReplayPending, v1alpha1.ReasonReferenceMissing, "Projection %s is being deleted", d.name())
}

// finished keeps what has ended as it is, until its time is over.
func (d *decider) finished() Decision {
	out := Decision{State: Complete, Word: v1alpha1.ReplayComplete}
	if ending(d.Replay) == v1alpha1.ConditionFailed {
		out.State, out.Word = Failed, v1alpha1.ReplayFailed
	}
	for _, c := range d.Replay.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady {
			out.Reason, out.Message = c.Reason, c.Message
		}
	}
	if at := d.Replay.Status.FinishedAt; at != nil {
		out.FinishedAt = at.Time
	}
	if ttl := d.Replay.Spec.TTLSecondsAfterFinished; ttl != nil {
		left := out.FinishedAt.Add(time.Duration(*ttl) * time.Second).Sub(d.Now)
		out.Delete, out.Wake = left <= 0, max(left, 0)
	}
	return out
}

func (d *decider) name() string { return d.Replay.Spec.ProjectionRef.Name }

func (d *decider) failed(reason, format string, args ...any) Decision {
	return Decision{State: Failed, Word: v1alpha1.ReplayFailed, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func (d *decider) lacking() Decision {
	return d.failed(v1alpha1.ReasonReplayNotPossible,
		"the new tables would be built without events that are gone: %s. Nothing of Projection %s was changed", strings.TrimRight(d.Missing, "."), d.name())
}

func (d *decider) complete() Decision {
	out := Decision{State: Complete, Word: v1alpha1.ReplayComplete, Reason: v1alpha1.ReasonComplete, FinishedAt: d.Now, Message: "readers see the tables that were built"}
	if b := d.built; b != nil && b.PromotedAt != nil {
		out.FinishedAt = b.PromotedAt.Time
		out.Message = fmt.Sprintf("readers see revision %s, which was built, since %s", b.Name, b.PromotedAt.UTC().Format(time.RFC3339))
		if from := FromOf(d.Replay); from != nil {
			out.Message += fmt.Sprintf("; it holds what events from %s on have made", from)
		}
	}
	return out
}

// begun is a Replay whose revision is built, or is about to be.
func (d *decider) begun() Decision {
	p, b := d.Projection, d.built
	promoting := b != nil && b.State == v1alpha1.RevisionPromoting
	if why := d.superseded(); why != "" {
		message := fmt.Sprintf("Projection %s was changed meanwhile (%s)", d.name(), why)
		// Until the Projection gives its revision up, a promotion may be under way for which it is too late.
		if p.Status.Sequence == 0 || (b != nil && b.State != v1alpha1.RevisionDiscarding) {
			return working(v1alpha1.ReplayPending, v1alpha1.ReasonSuperseded, "%s: what was built is being given up", message)
		}
		return d.failed(v1alpha1.ReasonSuperseded, "%s: what was built is dropped, and the newest spec is built where it asks for that. Make another Replay if one is still wanted", message)
	}
	if b != nil && b.Reason == v1alpha1.ReasonStartNotPossible && ptr.Deref(b.Stalled, false) {
		return d.failed(v1alpha1.ReasonStartNotPossible, "%s. Nothing that readers of Projection %s see was changed", strings.TrimRight(b.Message, "."), d.name())
	}
	if (b == nil && d.Missing != "" && FromOf(d.Replay) == nil) || (b != nil && b.Reason == v1alpha1.ReasonReplayNotPossible) {
		return d.lacking()
	}
	switch {
	case ptr.Deref(d.Replay.Spec.Suspend, false) && !promoting:
		return d.suspended("what is built already stays, and it goes on from there once this is false")
	case ptr.Deref(p.Spec.Suspend, false):
		return working(v1alpha1.ReplayPending, v1alpha1.ReasonProjectionSuspended, "spec.suspend of Projection %s is set: nothing is built until it is false", d.name())
	case b == nil:
		return working(v1alpha1.RevisionPreparing, v1alpha1.ReasonPreparing, "its revision of Projection %s is about to be made", d.name())
	}
	out := working(b.State, orElse(b.Reason, v1alpha1.ReasonPreparing), "%s", orElse(b.Message, "revision "+b.Name+" is being prepared"))
	switch {
	case ptr.Deref(b.Stalled, false):
		out.State, out.Word = Stuck, v1alpha1.ReplayStalled
	case b.Reason == v1alpha1.ReasonPinned:
		out.State = Resting
	case b.Reason == v1alpha1.ReasonSuspended:
		// It is not any more, and the Projection has not been looked at since.
		out.Reason, out.Message = v1alpha1.ReasonPreparing, "revision "+b.Name+" goes on"
	}
	return out
}

// superseded says what of the Projection is another than when it began, "" if nothing is, as far as the operator has looked.
func (d *decider) superseded() string {
	p := d.Projection
	switch {
	case !observed(p):
		return ""
	case !accepted(p):
		return d.record.Superseded("", p.Spec.ReplayToken)
	}
	return d.record.Superseded(p.Status.DataHash, p.Spec.ReplayToken)
}

func (d *decider) suspended(format string, args ...any) Decision {
	return Decision{
		State: Suspended, Word: v1alpha1.ReplaySuspended, Reason: v1alpha1.ReasonSuspended,
		Message: "spec.suspend is set: " + fmt.Sprintf(format, args...),
	}
}

// toBegin is a Replay that has not begun.
func (d *decider) toBegin() Decision {
	p := d.Projection
	if d.Refused != "" {
		return d.failed(v1alpha1.ReasonInvalidSpec, "%s. Nothing of Projection %s was changed: make another Replay, with that corrected", strings.TrimRight(d.Refused, "."), d.name())
	}
	if ptr.Deref(d.Replay.Spec.Suspend, false) {
		return d.suspended("it has not begun, and other Replays of Projection %s go first", d.name())
	}
	if first, n := d.before(); first != "" {
		return d.queued(first, n)
	}
	if out := d.unsettled(); out != nil {
		return *out
	}
	switch {
	case p.Status.ActiveRevision == "" || p.Status.DataHash == "":
		return working(v1alpha1.ReplayPending, v1alpha1.ReasonRolloutInProgress, "Projection %s is being built for the first time", d.name())
	case p.Status.ActiveRevision != p.Status.TargetRevision:
		return working(v1alpha1.ReplayPending, v1alpha1.ReasonRolloutInProgress,
			"readers of Projection %s see revision %s, and not yet %s, which its newest spec asks for. It begins once they do", d.name(), p.Status.ActiveRevision, p.Status.TargetRevision)
	}
	if from := FromOf(d.Replay); from != nil {
		if out := d.elsewhere(from); out != nil {
			return *out
		}
	} else if d.Missing != "" {
		return d.lacking()
	}
	out := working(v1alpha1.RevisionPreparing, v1alpha1.ReasonPreparing, "its revision of Projection %s is about to be made", d.name())
	out.Begin = &Record{Projection: p.UID, DataHash: p.Status.DataHash, ReplayToken: p.Spec.ReplayToken}
	return out
}

// queued is one that waits for others.
func (d *decider) queued(first string, n int) Decision {
	out := working(v1alpha1.ReplayQueued, v1alpha1.ReasonReplayInProgress, "Replay %s of Projection %s goes first", first, d.name())
	if n > 1 {
		out.Message += fmt.Sprintf(", and %d more", n-1)
	}
	return out
}

// unsettled is one whose Projection is held, or has a spec that nothing is made of yet; nil where neither is so.
func (d *decider) unsettled() *Decision {
	p := d.Projection
	var out Decision
	switch {
	case ptr.Deref(p.Spec.Suspend, false):
		out = working(v1alpha1.ReplayPending, v1alpha1.ReasonProjectionSuspended, "spec.suspend of Projection %s is set: it begins once that is false", d.name())
	case !observed(p):
		out = working(v1alpha1.ReplayPending, v1alpha1.ReasonPending, "the newest spec of Projection %s has not been looked at yet", d.name())
	case !accepted(p):
		out = working(v1alpha1.ReplayPending, v1alpha1.ReasonSpecNotAccepted, "the newest spec of Projection %s is not accepted: kubectl projection status %s says why. It begins once there is one that is", d.name(), d.name())
	default:
		return nil
	}
	return &out
}

// before is the Replay of the same Projection that goes first, and how many do in all. Those of keys and those of all rows
// are in nobody's way but their own.
func (d *decider) before() (first string, n int) {
	older := true
	for _, r := range oldestFirst(d.All) {
		if r.UID == d.Replay.UID {
			older = false
			continue
		}
		if Finished(&r) || !r.DeletionTimestamp.IsZero() || OfKeys(&r) != OfKeys(d.Replay) {
			continue
		}
		begun := RecordOf(&r) != nil
		if !begun && (!older || ptr.Deref(r.Spec.Suspend, false)) {
			continue
		}
		n++
		if first == "" || begun {
			first = r.Name
		}
	}
	return first, n
}

func observed(p *v1alpha1.Projection) bool {
	return ptr.Deref(p.Status.ObservedGeneration, -1) == p.Generation
}

func accepted(p *v1alpha1.Projection) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == v1alpha1.ConditionSpecAccepted {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
