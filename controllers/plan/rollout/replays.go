// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract/compile"
)

// replayed reports whether readers have seen what the Replay asked for, whatever they see now.
func (d *decider) replayed() bool {
	for i := range d.Revisions {
		r := &d.Revisions[i]
		if r.Contract == nil || (r.Contract.Attempt != d.Replay.UID && !slices.Contains(r.Attempts, d.Replay.UID)) {
			continue
		}
		fact := d.Facts.Find(r.Name)
		if r.Name == d.out.Active || r.Role == RoleKept || (fact != nil && !fact.PromotedAt.IsZero()) {
			return true
		}
	}
	return false
}

// abandoned reports whether a revision is that of a Replay which is not under way any more.
func (d *decider) abandoned(r *Revision) bool {
	return r.Replay != "" && r.Contract != nil && (d.Replay == nil || d.Replay.UID != r.Contract.Attempt)
}

// replay aims at the revision of the Replay that is under way. It is only asked where readers see the newest spec already:
// a change of that comes first, and takes the Replay's place.
func (d *decider) replay(active *Revision) {
	for i := range d.Revisions {
		if r := &d.Revisions[i]; r.Contract != nil && r.Contract.Attempt == d.Replay.UID && compile.SameData(r.Contract, d.Newest) && !r.Discarding {
			d.out.Target = r.Name
			return
		}
	}
	if d.Suspended || d.Replay.Suspended || d.Facts == nil || (d.Incomplete != "" && d.Replay.From == nil) {
		return
	}
	fresh := *d.Newest
	compile.Rename(&fresh, d.Replay.UID)
	fresh.From = d.Replay.From
	d.out.Target, d.out.Attempt = fresh.Revision, d.Replay.UID
	if r := d.find(fresh.Revision); r != nil && (r.Recorded || r.Discarding) {
		return // What is left of it goes first.
	}
	d.fresh = &fresh
	d.record(&fresh, active.Attempts)
}

// replays reports whether a revision is that of the Replay that is under way, on its way to readers.
func (d *decider) replays(name string) bool {
	if d.Replay == nil || name == "" || name == d.out.Active || name != d.out.Target {
		return false
	}
	r := d.find(name)
	return d.out.Attempt == d.Replay.UID || (r != nil && r.Contract != nil && r.Contract.Attempt == d.Replay.UID && !d.replayed())
}

// paused reports whether a revision's Replay is suspended. What may be on its way to readers goes on until that is known.
func (d *decider) paused(r *Revision) bool {
	return d.replays(r.Name) && d.Replay.Suspended && !r.Promoting
}

// promotion says who moves readers to the target.
func (d *decider) promotion() v1alpha1.Promotion {
	switch {
	case !d.replays(d.out.Target):
	case d.Replay.Suspended:
		return v1alpha1.PromotionManual
	case d.Replay.Promotion != "":
		return d.Replay.Promotion
	}
	return d.Rollout.Promotion
}
