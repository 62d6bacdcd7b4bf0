// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"slices"
	"time"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/change"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/progress"
)

// Decision is what should be, and the one thing to do about it next.
type Decision struct {
	// Active is what readers see, as far as is known; Target what the newest spec asks for; Wanted what readers should see.
	Active, Target, Wanted string
	// Attempt is the attempt of the target where that is to be made.
	Attempt string
	// Record are the ControllerRevisions to be made, Forget those to be deleted; Roles are the labels of the others.
	Record []Record
	Forget []string
	Roles  map[string]Role
	// Run are the revisions that are to have projectors once they are prepared; what else has them loses them.
	Run []Run
	// Ask is the action to ask for now, nil if none.
	Ask *Ask
	// Cancel are the revisions whose verification is of no more use, under way or not.
	Cancel []string
	// Revisions are the statuses, newest first.
	Revisions []v1alpha1.RevisionStatus
	// Say is what this means for who waits for the newest spec; nil where readers see it.
	Say *Say
	// Note is what a user should know of what readers see and of connections, "" if nothing.
	Note string
	// Wake is when to look again if nothing happens; zero: no need.
	Wake time.Duration
}

// Record is a ControllerRevision to be made.
type Record struct {
	Contract *contract.Contract
	Attempts []string
	// Role is RoleCandidate where readers see another revision.
	Role Role
	// Replay is the name of the Replay that asked for it, empty where none did.
	Replay string
}

// Run is a revision that is to have projectors.
type Run struct {
	Revision string
	Role     Role
	// Paused is true where it is to have none of its pods, since its Replay is suspended.
	Paused bool
}

// Ask is an action at the store on one revision.
type Ask struct {
	Action   contract.Action
	Revision string
}

// decider holds one decision.
type decider struct {
	Input
	out Decision
	// fresh is the target's contract where it does not exist yet.
	fresh *contract.Contract
	// unknownPin and incomplete are why the newest spec is not followed.
	unknownPin bool
	incomplete bool
	keptUntil  map[string]time.Time
	// about is the revision that Say is about, empty where it is about none that is on its way.
	about string
}

// Decide decides. Revisions that are known by the facts alone are to be in the input, too; see Known.
func Decide(in Input) Decision {
	d := &decider{Input: in, keptUntil: map[string]time.Time{}}
	d.Revisions = slices.Clone(in.Revisions)
	slices.SortFunc(d.Revisions, func(a, b Revision) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.Name, b.Name))
	})
	d.out.Roles = map[string]Role{}
	d.findActive()
	d.aim()
	d.want()
	d.cast()
	d.run()
	d.ask()
	d.cancel()
	d.out.Say = d.say()
	d.out.Note = d.note()
	d.statuses()
	return d.out
}

func (d *decider) find(name string) *Revision {
	for i := range d.Revisions {
		if name != "" && d.Revisions[i].Name == name {
			return &d.Revisions[i]
		}
	}
	return nil
}

// findActive takes what the bookkeeping says. Until it is heard, what was last
// seen to be active, else the oldest that runs, stands in: nothing is moved on its account.
func (d *decider) findActive() {
	if d.Facts != nil {
		d.out.Active = d.Facts.Active
		return
	}
	var oldest *Revision
	for i := range d.Revisions {
		r := &d.Revisions[i]
		if r.Role == RoleActive {
			d.out.Active = r.Name
			return
		}
		if r.Deployed && (oldest == nil || r.DeployedAt.Before(oldest.DeployedAt)) {
			oldest = r
		}
	}
	if oldest != nil {
		d.out.Active = oldest.Name
	}
}

// aim finds the revision that the newest spec asks for: the active one, another
// that exists, else a new one.
func (d *decider) aim() {
	active := d.find(d.out.Active)
	for i := range d.Revisions {
		// What runs without a ControllerRevision is from an older release, or a hand deleted it.
		if r := &d.Revisions[i]; r.Contract != nil && !r.Recorded && !r.Discarding && (r.Deployed || r == active) {
			d.record(r.Contract, nil)
		}
	}
	if d.Newest == nil {
		// A spec that is refused touches nothing, and a build that goes on is no exception.
		d.out.Target = d.out.Active
		for i := range d.Revisions {
			if r := &d.Revisions[i]; (r.Role == RoleCandidate || r.Role == RoleReady) && !r.Discarding && !d.abandoned(r) {
				d.out.Target = r.Name
				break
			}
		}
		return
	}
	if active != nil && d.fits(active) {
		d.out.Target = active.Name
		if d.Replay != nil && !d.replayed() {
			d.replay(active)
		}
		return
	}
	for i := range d.Revisions {
		// One that a Replay made from a later start was asked for by that, and by no spec.
		if r := &d.Revisions[i]; r.whole() && d.fits(r) && !r.Discarding {
			d.out.Target = r.Name
			return
		}
	}
	fresh := *d.Newest
	compile.Rename(&fresh, d.Token)
	d.out.Target, d.out.Attempt = fresh.Revision, d.Token
	if r := d.find(fresh.Revision); r != nil && (r.Recorded || r.Discarding) {
		return // What is left of it goes first.
	}
	d.fresh = &fresh
	if d.out.Active != "" && d.out.Active != fresh.Revision {
		// Only a prepare tells what readers see: where the active revision's contract is lost, it is the new one's.
		if d.Suspended || (d.Facts == nil && active != nil && active.Contract != nil) {
			return
		}
		if d.incomplete = d.Incomplete != ""; d.incomplete {
			return
		}
	}
	var done []string
	if active != nil {
		done = active.Attempts
	}
	d.record(&fresh, done)
}

func (d *decider) record(c *contract.Contract, done []string) {
	r := Record{Contract: c, Attempts: attempts(done, c.Attempt)}
	if d.fresh == c && d.out.Active != "" && d.out.Active != c.Revision {
		r.Role = RoleCandidate
	}
	if d.Replay != nil && d.Replay.UID == c.Attempt {
		r.Replay = d.Replay.Name
	}
	d.out.Record = append(d.out.Record, r)
}

// fits reports whether a revision is what the newest spec and its token ask for.
func (d *decider) fits(r *Revision) bool {
	known := change.Revision{Contract: r.Contract, Attempts: r.Attempts}
	return known.Fits(d.Newest, d.Token)
}

// whole reports whether a revision begins with the first events.
func (r *Revision) whole() bool { return (&change.Revision{Contract: r.Contract}).Whole() }

// want says what readers should see.
func (d *decider) want() {
	pin := d.Rollout.ActiveRevision
	d.out.Wanted = d.out.Active
	switch {
	case pin != "":
		if r := d.find(pin); pin == d.out.Active || (r != nil && r.Contract != nil && !r.Discarding) {
			d.out.Wanted = pin
		} else {
			d.unknownPin = d.fresh == nil || d.fresh.Revision != pin || d.incomplete
		}
	case d.promotion() != v1alpha1.PromotionManual:
		d.out.Wanted = d.out.Target
	}
	if d.out.Active == "" {
		d.out.Wanted = d.out.Target
	}
}

// cast gives every revision its role.
func (d *decider) cast() {
	var left []*Revision
	for i := range d.Revisions {
		r := &d.Revisions[i]
		fact := d.Facts.Find(r.Name)
		// What may be on its way to readers stays until it is known.
		needed := r.Name == d.out.Target || r.Name == d.out.Wanted || r.Promoting
		switch {
		case r.Name == d.out.Active && d.Facts != nil:
			d.cut(r, RoleActive)
		case r.Discarding:
			d.cut(r, RoleLeaving)
		case d.Facts == nil:
			// A first build that was never prepared leaves nothing behind; anything else stays as it is.
			if d.out.Active == "" && !needed && !r.Prepared && !r.Deployed {
				d.cut(r, RoleLeaving)
				continue
			}
			d.cut(r, r.Role)
		case needed && fact != nil && !fact.LeftAt.IsZero():
			d.cut(r, RoleKept)
		case needed && (r.Role == RoleReady || d.ready(r)):
			d.cut(r, RoleReady)
		case needed:
			d.cut(r, RoleCandidate)
		case d.Suspended:
			d.cut(r, r.Role)
		case fact != nil && !fact.LeftAt.IsZero():
			left = append(left, r)
		default:
			d.cut(r, RoleLeaving)
		}
	}
	d.keep(left)
}

func (d *decider) cut(r *Revision, role Role) { d.out.Roles[r.Name] = role }

func (d *decider) role(r *Revision) Role { return d.out.Roles[r.Name] }

// keep decides which revisions that readers have left stay, and until when.
func (d *decider) keep(left []*Revision) {
	at := func(r *Revision) time.Time { return d.Facts.Find(r.Name).LeftAt }
	slices.SortStableFunc(left, func(a, b *Revision) int { return at(b).Compare(at(a)) })
	keep := change.Defaulted(d.Rollout)
	seconds := time.Duration(*keep.KeepSeconds) * time.Second
	for i, r := range left {
		until := at(r).Add(seconds)
		if i >= int(*keep.KeepRevisions) || !d.Now.Before(until) {
			d.cut(r, RoleLeaving)
			continue
		}
		d.cut(r, RoleKept)
		d.keptUntil[r.Name] = until
		d.wake(until.Sub(d.Now))
	}
}

func (d *decider) wake(in time.Duration) {
	if in > 0 && (d.out.Wake == 0 || in < d.out.Wake) {
		d.out.Wake = in
	}
}

// queued reports whether a revision has to wait for others of the store.
func (d *decider) queued(r *Revision) bool { return d.outranked(r) || d.crowded(r) }

// outranked reports whether other projections of the store come first.
func (d *decider) outranked(r *Revision) bool {
	return d.role(r) == RoleCandidate && !r.Deployed && !r.Prepared && d.Ahead >= max(d.Limit, 1)
}

// held reports whether a revision that is not built yet cannot be, for lack of events.
func (d *decider) held(r *Revision) bool {
	return d.Incomplete != "" && r.whole() && d.role(r) == RoleCandidate && !r.Deployed && !r.Prepared
}

// run says who has projectors. Of what readers see it takes nothing down (Law 6).
func (d *decider) run() {
	for i := range d.Revisions {
		r := &d.Revisions[i]
		role := d.role(r)
		switch {
		case role == RoleLeaving:
			if r.Recorded && !r.Deployed && (r.Discarded || (!r.Prepared && d.Facts.Find(r.Name) == nil)) {
				d.out.Forget = append(d.out.Forget, r.Name)
			}
		case r.Deployed, d.mayStart(r):
			d.out.Run = append(d.out.Run, Run{r.Name, role, d.paused(r)})
		case d.crowded(r):
			d.wake(roomPoll)
		}
	}
}

// mayStart reports whether a revision without projectors may get them, once it
// is prepared. The ControllerRevision comes first.
func (d *decider) mayStart(r *Revision) bool {
	switch {
	case r.Contract == nil || !r.Recorded || d.queued(r) || d.held(r) || d.paused(r):
		return false
	case d.out.Active == "":
		return r.Name == d.out.Target
	case d.Suspended:
		return r.Name == d.out.Active
	}
	return d.Facts != nil || d.role(r) != ""
}

// ask picks the one action to ask for: first what readers depend on.
func (d *decider) ask() {
	if d.Busy {
		return
	}
	indexing := false
	for i := range d.Revisions {
		r := &d.Revisions[i]
		if r.Promote.Running != "" || r.Discard.Running != "" || (r.Prepare.Running != "" && !r.Deployed) {
			return
		}
		indexing = indexing || r.Prepare.Running != ""
	}
	if indexing {
		// What is prepared in place may take an hour for an index: readers are moved meanwhile, and nothing else is done.
		d.promote()
		return
	}
	first := d.find(d.out.Active)
	if d.out.Active == "" {
		first = d.find(d.out.Target)
	}
	if first != nil && !d.queued(first) && d.prepare(first) {
		return
	}
	if d.Facts == nil {
		for i := range d.Revisions {
			if r := &d.Revisions[i]; first != nil && first.Contract == nil && d.prepare(r) {
				return
			}
		}
		return
	}
	if d.verify(d.find(d.out.Target)) {
		return
	}
	if d.promote() {
		return
	}
	for i := range d.Revisions {
		r := &d.Revisions[i]
		if d.role(r) != RoleLeaving && !d.Suspended && !d.queued(r) && !d.held(r) && !d.paused(r) && d.prepare(r) {
			return
		}
	}
	for i := range d.Revisions {
		r := &d.Revisions[i]
		if d.role(r) == RoleLeaving && d.MayWrite && !d.Suspended && !r.Deployed && !r.Pods && !r.Discarded &&
			(r.Prepared || d.Facts.Find(r.Name) != nil) && d.askFor(contract.ActionDiscard, r, &r.Discard) {
			return
		}
	}
}

// promote asks for the switch to what readers should see, once that can be.
func (d *decider) promote() bool {
	wanted := d.find(d.out.Wanted)
	return wanted != nil && d.Facts != nil && d.out.Wanted != d.out.Active && d.MayWrite && !d.Suspended && d.promotable(wanted) && !d.unverified(wanted) &&
		d.askFor(contract.ActionPromote, wanted, &wanted.Promote)
}

// verify asks whether a revision is right, once it could be shown. It stands in nobody's way but its own.
func (d *decider) verify(r *Revision) bool {
	return r != nil && d.unverified(r) && d.ready(r) && d.MayPrepare && !d.Suspended && r.Verify.Running == "" && d.askFor(contract.ActionVerify, r, &r.Verify)
}

// unverified reports whether a revision is to be verified before it is shown, and was not found right. What readers
// have seen before, and what a human names, needs none.
func (d *decider) unverified(r *Revision) bool {
	if !r.ToVerify || r.Name == d.out.Active || r.Name == d.Rollout.ActiveRevision || r.Verify.OK() {
		return false
	}
	fact := d.Facts.Find(r.Name)
	return fact == nil || fact.PromotedAt.IsZero()
}

// cancel ends verifications that nobody waits for.
func (d *decider) cancel() {
	for i := range d.Revisions {
		if r := &d.Revisions[i]; !r.ToVerify || d.role(r) == RoleLeaving {
			d.out.Cancel = append(d.out.Cancel, r.Name)
		}
	}
}

func (d *decider) prepare(r *Revision) bool {
	return r != nil && r.Contract != nil && r.Recorded && d.MayPrepare && !r.Prepare.OK() && d.askFor(contract.ActionPrepare, r, &r.Prepare)
}

func (d *decider) askFor(action contract.Action, r *Revision, s *actions.State) bool {
	if s.Create == nil {
		return false
	}
	d.out.Ask = &Ask{action, r.Name}
	return true
}

// ready reports whether a revision could be shown to readers.
func (d *decider) ready(r *Revision) bool {
	return !r.Discarding && r.Contract != nil && r.Prepare.OK() && CaughtUp(r.Progress, r.Contract, d.LagTarget)
}

// promotable is ready, or what the user has agreed to show as it is.
func (d *decider) promotable(r *Revision) bool {
	if r.Name == d.Rollout.ActiveRevision && slices.Contains(d.Rollout.Allow, v1alpha1.ConsentStaleRevision) {
		return !r.Discarding && r.Prepared
	}
	return d.ready(r)
}

// CaughtUp reports whether projectors have every partition of every topic, none
// of them stopped, each having reached the end of its log at least once, and now
// within the target or fewer than 100 events from it.
func CaughtUp(s progress.Snapshot, c *contract.Contract, target time.Duration) bool {
	if !s.Heard || !s.Source.OK || !s.Store.OK {
		return false
	}
	seen := map[string]int32{}
	late := false
	for _, p := range s.Partitions {
		if p.Stopped != nil || !p.Once || p.UpdatedAt.IsZero() {
			return false
		}
		seen[p.Topic]++
		late = late || !p.Known || p.Behind > target
	}
	for _, t := range c.Topics {
		if n := s.Expected[t.Name]; n == 0 || seen[t.Name] < n {
			return false
		}
	}
	lag, known := s.Lag()
	return !late || (known && progress.Low(lag))
}
