// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/change"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/progress"
)

// Kind is what a Say means for who waits.
type Kind int

// The kinds.
const (
	// Working goes on by itself, or once something outside of it happens.
	Working Kind = iota
	// Stuck needs a human.
	Stuck
	// Resting is as the user wishes.
	Resting
)

// Say is why readers do not see the newest spec.
type Say struct {
	Kind            Kind
	Reason, Message string
	// Replay is the name of the Replay that is under way where readers do see the newest spec; empty where they do not.
	Replay string
}

func working(reason, format string, args ...any) *Say {
	return &Say{Kind: Working, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func stuck(reason, format string, args ...any) *Say {
	return &Say{Kind: Stuck, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func (d *decider) say() *Say {
	active, target, wanted := d.out.Active, d.out.Target, d.out.Wanted
	if r := d.find(target); active == "" && r != nil && !d.Suspended && d.crowded(r) {
		return working(v1alpha1.ReasonQueued, "%s", d.room())
	}
	switch {
	case d.Suspended || active == "":
		return nil
	case d.unknownPin:
		return stuck(v1alpha1.ReasonUnknownRevision,
			"spec.rollout.activeRevision: there is no revision %s. Known are %s; readers stay with %s. Name one of these, or remove the field", d.Rollout.ActiveRevision, d.names(), active)
	case target == active && wanted == active:
		return nil
	case d.incomplete:
		return d.lacking(target)
	case d.Facts == nil:
		return working(v1alpha1.ReasonPreparing, "what readers see is asked of the store before anything is changed")
	}
	next := wanted
	if wanted == active {
		next = target
	}
	s := d.next(next)
	d.about = next
	if d.replays(next) {
		s.Replay = d.Replay.Name
	}
	return s
}

// next is a revision that readers do not see yet.
func (d *decider) next(next string) *Say {
	active := d.out.Active
	r := d.find(next)
	switch {
	case r == nil:
		return working(v1alpha1.ReasonBuilding, "revision %s is to be built beside %s%s", next, active, d.why(next))
	case r.Discarding:
		return working(v1alpha1.ReasonBuilding, "revision %s was being dropped: that is finished first, then it is built anew beside %s", next, active)
	case d.held(r):
		return d.lacking(next)
	case d.queued(r):
		return working(v1alpha1.ReasonQueued, "%s. Readers go on with revision %s", d.queue(r), active)
	case d.paused(r):
		return &Say{Kind: Resting, Reason: v1alpha1.ReasonSuspended, Message: fmt.Sprintf(
			"its spec.suspend is set: revision %s, which is built beside %s, stays as it is. Set it to false to go on", next, active)}
	}
	return d.progress(r)
}

func (d *decider) lacking(target string) *Say {
	what := change.Lacking(target, d.out.Active, d.Incomplete)
	if d.replays(target) {
		// The Replay ends with this.
		return stuck(v1alpha1.ReasonReplayNotPossible, "%s", what)
	}
	return stuck(v1alpha1.ReasonReplayNotPossible, "%s. %s", what, change.LackingWayOut)
}

// progress is a revision on its way to readers.
func (d *decider) progress(r *Revision) *Say {
	active := d.out.Active
	beside := fmt.Sprintf("revision %s is built beside %s", r.Name, active)
	if d.role(r) == RoleKept {
		beside = fmt.Sprintf("revision %s, which is kept, is to be shown instead of %s", r.Name, active)
	}
	switch {
	case r.Prepare.Failed():
		return from(r.Prepare.Result, beside+", and its tables could not be made")
	case r.Prepare.Hindered != nil:
		return from(r.Prepare.Hindered, beside+", and its tables are not made yet")
	case !r.Prepare.OK():
		return working(v1alpha1.ReasonBuilding, "%s: its tables are made%s", beside, d.why(r.Name))
	}
	if p := stopped(r.Progress); p != nil && !d.promotable(r) {
		return stuck(actions.Reason(p.Stopped.Reason, v1alpha1.ReasonHandlerError),
			"%s, and its partition %s/%d stopped at position %s: %s. Readers go on with revision %s. Correct the spec, and it is built anew",
			beside, p.Topic, p.Partition, p.Stopped.Position, strings.TrimRight(actions.At(p.Stopped.Path, p.Stopped.Message), "."), active)
	}
	if d.unverified(r) && (d.ready(r) || r.Verify.Final()) {
		return d.verifying(r)
	}
	if d.out.Wanted == r.Name && d.promotable(r) {
		return d.promoting(r)
	}
	if d.ready(r) {
		if d.Rollout.ActiveRevision != "" && d.promotion() != v1alpha1.PromotionManual {
			return &Say{Kind: Resting, Reason: v1alpha1.ReasonPinned, Message: fmt.Sprintf(
				"revision %s is ready, and spec.rollout.activeRevision keeps readers on %s. Set it to %q, or remove it, to move them", r.Name, active, r.Name)}
		}
		return working(v1alpha1.ReasonAwaitingPromotion,
			"revision %s is ready beside %s and waits to be promoted: kubectl projection promote, or spec.rollout.activeRevision: %q%s", r.Name, active, r.Name, d.breaks(r))
	}
	if limit := time.Duration(d.Rollout.DeadlineSeconds) * time.Second; limit > 0 && r.Deployed {
		if d.Now.Sub(r.DeployedAt) > limit {
			return stuck(v1alpha1.ReasonDeadlineExceeded, "%s, and has not caught up within spec.rollout.deadlineSeconds (%s): %s. It goes on; more replicas or a longer deadline may help",
				beside, limit, far(r.Progress))
		}
		d.wake(limit - d.Now.Sub(r.DeployedAt))
	}
	if r.Trouble != "" {
		return working(v1alpha1.ReasonPodsFailing, "%s: %s", beside, r.Trouble)
	}
	return working(v1alpha1.ReasonBuilding, "%s: %s%s%s", beside, far(r.Progress), d.why(r.Name), d.breaks(r))
}

// verifying is a revision that could be shown, once it is known to be right.
func (d *decider) verifying(r *Revision) *Say {
	what := fmt.Sprintf("revision %s is ready beside %s, and is verified before readers move", r.Name, d.out.Active)
	switch {
	case r.Verify.Final():
		s := from(r.verdict(), fmt.Sprintf("revision %s is not shown, since its verification failed", r.Name))
		lead := "Correct the spec, or build anew with another replayToken"
		if r.VerifyOf != "" {
			lead = fmt.Sprintf("Correct the spec, or delete Replay %s and make another with another verify", r.VerifyOf)
		}
		s.Message += fmt.Sprintf(". Readers go on with revision %s. %s%s; spec.rollout.activeRevision: %q shows it all the same", d.out.Active, look(r), lead, r.Name)
		return s
	case r.Verify.Failed():
		return from(r.verdict(), what+", which is tried again")
	case r.Verify.Hindered != nil:
		return from(r.Verify.Hindered, what)
	}
	return working(v1alpha1.ReasonVerifying, "%s: rows are compared with the log%s", what, d.breaks(r))
}

// verdict is what a verification found. What a Job says of rollout.verify is about the Replay's own verify, where it has one.
func (r *Revision) verdict() *contract.Result {
	below, ok := strings.CutPrefix(r.Verify.Result.Path, "spec."+compile.VerifyPath)
	if !ok || r.VerifyOf == "" {
		return r.Verify.Result
	}
	out := *r.Verify.Result
	out.Path = "Replay " + r.VerifyOf + ": spec.verify" + below
	return &out
}

// look says how to see the rows, which are in no status (Law 7).
func look(r *Revision) string {
	if r.Verify.Result.Reason == v1alpha1.ReasonVerificationNotPossible || r.Contract == nil {
		return ""
	}
	return fmt.Sprintf("kubectl projection verify %s --revision %s shows the rows. ", r.Contract.Projection.Name, r.Name)
}

func (d *decider) promoting(r *Revision) *Say {
	what := fmt.Sprintf("readers are being moved from revision %s to %s", d.out.Active, r.Name)
	if r.ToVerify && r.Name == d.Rollout.ActiveRevision && !r.Verify.OK() && d.role(r) != RoleKept {
		what += ", which spec.rollout.activeRevision names and which was not found right by a verification"
	}
	switch {
	case r.Promote.Failed() && r.Promote.Result.Reason == reasonSuperseded:
		// What it found instead comes with its result; where it does not, it is asked again.
		return working(v1alpha1.ReasonPromoting, "%s: the projection was in another state than expected, and is looked at again", what)
	case r.Promote.Failed():
		s := from(r.Promote.Result, fmt.Sprintf("readers could not be moved from revision %s to %s", d.out.Active, r.Name))
		if s.Reason == v1alpha1.ReasonReadersWouldBreak {
			s.Message += ". Readers go on with revision " + d.out.Active
		}
		return s
	case r.Promote.Hindered != nil:
		return from(r.Promote.Hindered, what)
	}
	return working(v1alpha1.ReasonPromoting, "%s", what)
}

// reasonSuperseded is the store's word for an action that found another state than it expected.
const reasonSuperseded = "Superseded"

// from says what a Job's result means.
func from(r *contract.Result, what string) *Say {
	s := stuck(actions.Reason(r.Reason, v1alpha1.ReasonPrepareFailed), "%s: %s", what, strings.TrimRight(actions.At(r.Path, r.Message), "."))
	if r.Retryable {
		s.Kind = Working
	}
	return s
}

// why says what asked for a revision that is new.
func (d *decider) why(name string) string {
	active, to := d.find(d.out.Active), d.fresh
	if r := d.find(name); r != nil {
		to = r.Contract
	}
	if d.Newest == nil || name != d.out.Target || d.replays(name) || active == nil || active.Contract == nil || to == nil {
		return ""
	}
	if message := rebuilt(active.Contract, to); message != "" {
		return ". " + strings.TrimRight(message, ".\n")
	}
	return ""
}

// breaks warns of what a switch will be refused for.
func (d *decider) breaks(r *Revision) string {
	active := d.find(d.out.Active)
	for _, consent := range d.Rollout.Allow {
		if consent == v1alpha1.ConsentBreakReaders {
			return ""
		}
	}
	if active == nil || active.Contract == nil {
		return ""
	}
	if what := taken(active.Contract, r.Contract); what != "" {
		return ". The switch takes from readers: " + what + ", which needs spec.rollout.allow: [BreakReaders]"
	}
	return ""
}

func stopped(s progress.Snapshot) *progress.Partition {
	for i := range s.Partitions {
		if s.Partitions[i].Stopped != nil {
			return &s.Partitions[i]
		}
	}
	return nil
}

// far says how far projectors are.
func far(s progress.Snapshot) string {
	if !s.Heard || len(s.Partitions) == 0 {
		return "its projectors are being started"
	}
	if s.Build != nil {
		if text := built(s.Build); text != "" {
			return text + pace(s)
		}
	}
	done := 0
	for i := range s.Partitions {
		if s.Partitions[i].Once {
			done++
		}
	}
	lag, known := s.Lag()
	if !known {
		return fmt.Sprintf("%d of %d partitions caught up", done, len(s.Partitions))
	}
	out := fmt.Sprintf("%d of %d partitions caught up, %s events to go", done, len(s.Partitions), progress.Count(lag))
	if lag > 0 {
		out += pace(s)
	}
	return out
}

// pace says how fast it is, and what is left; "" while nothing is known.
func pace(s progress.Snapshot) string {
	out := ""
	if rate, ok := s.Rate(); ok {
		out = fmt.Sprintf(", %s/s", progress.Count(rate))
	}
	if left, ok := s.Left(); ok {
		out += fmt.Sprintf(", about %s left", progress.Span(left))
	}
	return out
}

// built says how far a bulk build is; "" where nobody says.
func built(b *contract.BuildStatus) string {
	switch b.Phase {
	case contract.BuildReading:
		return fmt.Sprintf("in bulk, %s of %s events read", progress.Count(b.Events), progress.Count(b.Of))
	case contract.BuildWriting:
		return fmt.Sprintf("in bulk, all %s events read, rows are being written", progress.Count(b.Of))
	case contract.BuildIndexing:
		return fmt.Sprintf("in bulk, all %s events read, indexes are being made", progress.Count(b.Of))
	}
	return ""
}

func (d *decider) names() string {
	var out []string
	for i := range d.Revisions {
		if r := &d.Revisions[i]; r.Contract != nil && !r.Discarding {
			out = append(out, r.Name)
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// maxStatuses is how many revisions a status shows.
const maxStatuses = 16

func (d *decider) statuses() {
	for i := range d.Revisions {
		r := &d.Revisions[i]
		if (!r.Recorded && r.Discarded) || len(d.out.Revisions) == maxStatuses {
			continue
		}
		s := v1alpha1.RevisionStatus{Name: r.Name, State: d.state(r), Message: clip(d.message(r))}
		if r.Contract != nil {
			s.DataHash, s.Attempt, s.From = r.Contract.DataHash, r.Contract.Attempt, r.Contract.From.String()
		}
		if lag, ok := r.Progress.Lag(); ok {
			s.Lag = progress.Bucket(lag)
		}
		s.CreatedAt, s.Built = seconds(r.CreatedAt), ptr.Deref(r.Built, v1alpha1.Built{})
		d.onTheWay(r, &s)
		if f := d.Facts.Find(r.Name); f != nil {
			s.PromotedAt = seconds(f.PromotedAt)
		}
		s.KeptUntil = seconds(d.keptUntil[r.Name])
		d.out.Revisions = append(d.out.Revisions, s)
	}
}

// onTheWay says of a revision that readers do not see yet how far it is and why.
func (d *decider) onTheWay(r *Revision, s *v1alpha1.RevisionStatus) {
	if s.State == v1alpha1.RevisionBuilding {
		s.Progress = r.Progress.Figures()
	}
	say := d.out.Say
	if say == nil || d.about != r.Name {
		return
	}
	s.Reason = say.Reason
	if say.Kind == Stuck {
		s.Stalled = ptr.To(true)
	}
	if say.Replay != "" {
		s.Message = clip(say.Message)
	}
}

func seconds(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	out := metav1.NewTime(t.Truncate(time.Second))
	return &out
}

func clip(s string) string {
	const limit = 1024
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return s
}

// state is the word for one revision.
func (d *decider) state(r *Revision) string {
	switch role := d.role(r); {
	case role == RoleActive:
		return v1alpha1.RevisionActive
	case role == RoleLeaving:
		return v1alpha1.RevisionDiscarding
	case !r.Promote.Failed() && (r.Promote.Running != "" || (d.out.Ask != nil && *d.out.Ask == Ask{contract.ActionPromote, r.Name})):
		// One that is tried again does not go to and fro between two words.
		return v1alpha1.RevisionPromoting
	case role == RoleKept:
		return v1alpha1.RevisionKept
	case d.Facts == nil && r.Name == d.out.Active && r.Deployed:
		return v1alpha1.RevisionActive
	case d.queued(r):
		return v1alpha1.RevisionQueued
	case d.paused(r):
		return v1alpha1.RevisionSuspended
	case !r.Prepare.OK() || !r.Deployed:
		return v1alpha1.RevisionPreparing
	case d.unverified(r) && r.Verify.Final():
		return v1alpha1.RevisionUnverified
	case d.unverified(r) && (d.ready(r) || r.Verify.Running != ""):
		return v1alpha1.RevisionVerifying
	case d.ready(r):
		return v1alpha1.RevisionReady
	}
	return v1alpha1.RevisionBuilding
}

func (d *decider) message(r *Revision) string {
	switch role := d.role(r); {
	case role == RoleLeaving && r.Discard.Failed():
		return "it could not be dropped yet: " + actions.At(r.Discard.Result.Path, r.Discard.Result.Message)
	case role == RoleLeaving && r.Discard.Hindered != nil:
		return r.Discard.Hindered.Message
	case role == RoleLeaving && (r.Deployed || r.Pods):
		return "its projectors end first, then its tables are dropped"
	case role == RoleLeaving:
		return ""
	case role == RoleActive:
		return sentences(began(r), d.verified(r))
	case d.queued(r):
		return d.queue(r)
	case r.Prepare.Failed():
		return actions.At(r.Prepare.Result.Path, r.Prepare.Result.Message)
	}
	if p := stopped(r.Progress); p != nil {
		return fmt.Sprintf("partition %s/%d stopped at position %s: %s", p.Topic, p.Partition, p.Stopped.Position, actions.At(p.Stopped.Path, p.Stopped.Message))
	}
	if r.Trouble != "" {
		return r.Trouble
	}
	return d.verified(r)
}

// began says of a revision that began elsewhere than with the earliest events what it holds, "" of any other.
func began(r *Revision) string {
	if r == nil || r.whole() {
		return ""
	}
	return fmt.Sprintf("it holds what events from %s on have made, as a Replay asked for", r.Contract.From)
}

// note is what a user should know of what readers see, however well it is.
func (d *decider) note() string {
	active := d.find(d.out.Active)
	text := began(active)
	if text != "" {
		text = "revision " + active.Name + ": " + text
	}
	return sentences(text, d.overdrawn())
}

// sentences joins what is not empty.
func sentences(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), ". ")
}

// verified says what a verification found, "" where there was none.
func (d *decider) verified(r *Revision) string {
	if !r.ToVerify || r.Verify.Result == nil {
		return ""
	}
	found := r.verdict()
	switch {
	case r.Verify.OK():
		return "verified: " + found.Message
	case !r.Verify.Final():
		return "it could not be verified yet: " + actions.At(found.Path, found.Message)
	case r.Name == d.out.Active:
		return "readers see it although its verification failed: " + actions.At(found.Path, found.Message)
	}
	return "its verification failed: " + actions.At(found.Path, found.Message)
}
