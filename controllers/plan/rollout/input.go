// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// Role is what a revision is there for, as its ControllerRevision's label says.
type Role string

// The roles of revisions.
const (
	// RoleActive is the one that readers see.
	RoleActive Role = "active"
	// RoleCandidate is built, or waits to be; it counts against maxConcurrentReplays.
	RoleCandidate Role = "candidate"
	// RoleReady has caught up once; it waits to be promoted and takes no place in the queue.
	RoleReady Role = "ready"
	// RoleKept was left by readers and stays for a while.
	RoleKept Role = "kept"
	// RoleLeaving is being dropped.
	RoleLeaving Role = "leaving"
)

// Input is what is known at one moment.
type Input struct {
	Now     time.Time
	Rollout v1alpha1.Rollout
	// Token is spec.replayToken.
	Token string
	// Replay is the Replay resource that is under way, nil where there is none. It is of the newest spec: one that is not is no
	// business of a roll-out any more.
	Replay    *Replay
	LagTarget time.Duration
	Suspended bool
	// Newest is the contract of the newest spec under its first revision; nil where that was refused.
	Newest *contract.Contract
	// Incomplete says why a new revision would lack events; "" if it would not.
	Incomplete string
	// MayPrepare and MayWrite report whether source and store, or the store, are in a state to be worked on.
	MayPrepare, MayWrite bool
	// Ahead is how many revisions of other projections of the store are built or come first, of Limit that may be at once.
	Ahead, Limit int
	Store        string
	Connections  Connections
	// Busy is true while a promote or discard is under way.
	Busy bool
	// Facts is what the bookkeeping says; nil while no action has told.
	Facts *contract.RevisionFacts
	// Revisions are all that are known, in any order; see Known for those of Facts alone.
	Revisions []Revision
}

// Replay is a Replay resource that has begun.
type Replay struct {
	// Name is for messages, UID the attempt that it asks for.
	Name, UID string
	// Promotion is empty where it is that of the projection.
	Promotion v1alpha1.Promotion
	Suspended bool
	// From is where its revision begins, nil for the first events.
	From *contract.From
}

// Revision is what is known of one revision.
type Revision struct {
	Name string
	// Contract is what it was made with, nil where that is gone. Run is what it is to run now.
	Contract, Run *contract.Contract
	// Recorded is true where it has a ControllerRevision, with Role, CreatedAt, Replay and the Attempts that count as done.
	Recorded  bool
	Role      Role
	CreatedAt time.Time
	Attempts  []string
	// Replay is the name of the Replay that asked for it, empty where none did.
	Replay string
	// Asked is the number of the last promote of it, written down before that was asked for (NextPromote); 0: none was.
	Asked int64
	// Deployed is true where it has a Deployment, made at DeployedAt; Pods, where a pod of it, or of an action on it, still runs.
	Deployed   bool
	DeployedAt time.Time
	Pods       bool
	// Prepare, Promote and Discard are what is known of these actions in the state of now; Verify, of a verification as
	// it is asked for now.
	Prepare, Promote, Discard, Verify actions.State
	// ToVerify is true where it is to be verified before readers see it, VerifyOf the name of the Replay whose own spec.verify
	// says how; empty: rollout.verify of the projection.
	ToVerify bool
	VerifyOf string
	// Prepared is true where a prepare of it, however it is to run, went well or is under way; Discarding where a discard is,
	// and Discarded where one went well. Promoting is true where a promote is under way.
	Prepared, Promoting, Discarding, Discarded bool
	// Built is what its build took, as its ControllerRevision says; nil where that is not known. It is for people.
	Built *v1alpha1.Built
	// Progress is what its projectors say; Trouble why its pods do not run.
	Progress progress.Snapshot
	Trouble  string
}

// InPlace gives a revision's contract what of the newest spec takes effect
// without another revision: all of it where it makes the same rows, else how to
// reach the same broker and store, so that a new CA or address is not held up.
func InPlace(stored, newest *contract.Contract) *contract.Contract {
	if stored == nil || newest == nil {
		return stored
	}
	fresh := *newest
	if compile.KeepIdentity(stored, &fresh) {
		return &fresh
	}
	out := *stored
	if newest.Broker.Name == stored.Broker.Name && groupPrefix(newest) == groupPrefix(stored) {
		out.Broker = newest.Broker
	}
	if newest.Store.Name == stored.Store.Name {
		out.Store = newest.Store
	}
	out.LagTargetSeconds, out.Build = newest.LagTargetSeconds, newest.Build
	return &out
}

func groupPrefix(c *contract.Contract) string {
	if c.Broker.Kafka == nil {
		return ""
	}
	return c.Broker.Kafka.GroupPrefix
}

// Known are the names of the revisions that exist in any form: those given, and
// those that have tables by the facts, whose bookkeeping an earlier Projection
// of the same name may have left behind.
func Known(given []string, facts *contract.RevisionFacts) []string {
	out := slices.Clone(given)
	if facts != nil {
		for _, f := range facts.Revisions {
			if !slices.Contains(out, f.Revision) {
				out = append(out, f.Revision)
			}
		}
		if facts.Active != "" && !slices.Contains(out, facts.Active) {
			out = append(out, facts.Active)
		}
	}
	return out
}

// Outdated says why what was told may not be so any more, "" if nothing speaks against it: only a Job that is made from now on can tell.
// A promote is written down before it is asked for: where its Job is gone, somebody has deleted it, and it may have taken
// effect. And what projectors saw later may be something else: a database that was set back, or a failover, may have lost a switch.
func Outdated(told actions.Told, jobs []batchv1.Job, revisions []Revision) string {
	i := slices.IndexFunc(jobs, func(j batchv1.Job) bool { return j.Name == told.Job })
	if told.Facts == nil || i < 0 {
		return ""
	}
	knows := resources.Asked(&jobs[i])
	for i := range revisions {
		r := &revisions[i]
		there := slices.ContainsFunc(actions.Of(jobs, contract.ActionPromote, r.Name), func(j batchv1.Job) bool {
			return j.DeletionTimestamp.IsZero() && resources.Asked(&j) >= r.Asked
		})
		if r.Asked > knows && !there {
			return fmt.Sprintf("promote %d", r.Asked)
		}
		if s := r.Progress.Shown; s != nil && s.At.After(told.At.Add(clockSkew)) && !actions.Busy(jobs) &&
			(s.Revision != told.Facts.Active || s.Sequence != told.Facts.Sequence) {
			return "seen after " + told.Job
		}
	}
	return ""
}

// clockSkew is by how much the clocks of nodes and control plane may differ. What projectors saw is compared with what was
// told only once it is later by more than that: before, it may be of before a switch.
const clockSkew = time.Minute

// NextPromote numbers a promote of a revision that is asked for now. One number stands for one Job: a Job that was made
// between two promotes to the same sequence knows of the first, and not of the second. A number that was written
// down and has no Job yet is taken again, so that an API server that refuses the Job sees one write and no more.
func NextPromote(revision string, revisions []Revision, jobs []batchv1.Job) int64 {
	own, highest, used := int64(0), int64(0), int64(0)
	for i := range revisions {
		if highest = max(highest, revisions[i].Asked); revisions[i].Name == revision {
			own = revisions[i].Asked
		}
	}
	for i := range jobs {
		used = max(used, resources.Asked(&jobs[i]))
	}
	if own > used && own == highest {
		return own
	}
	return max(highest, used) + 1
}

// Asked is the highest number of a promote that a Job for what is asked for now knows of.
func Asked(ask Ask, revisions []Revision, jobs []batchv1.Job) int64 {
	if ask.Action == contract.ActionPromote {
		return NextPromote(ask.Revision, revisions, jobs)
	}
	out := int64(0)
	for i := range revisions {
		out = max(out, revisions[i].Asked)
	}
	return out
}

// Switch is what a promote or discard of a revision says to the store: it takes
// effect only in the state that the facts speak of.
func Switch(revision string, facts *contract.RevisionFacts, r v1alpha1.Rollout) contract.Switch {
	s := contract.Switch{Revision: revision}
	if facts != nil {
		s.Active, s.Sequence = facts.Active, facts.Sequence
	}
	s.LockTimeoutMillis = r.LockTimeoutMilliseconds
	s.DeadlineSeconds = promoteSeconds
	s.Allow.BreakReaders = slices.Contains(r.Allow, v1alpha1.ConsentBreakReaders)
	s.Allow.StaleRevision = slices.Contains(r.Allow, v1alpha1.ConsentStaleRevision)
	return s
}

// Again gives the inputs of a promote's question, which are others where one that went well was lost since: by the facts
// readers do not see the revision, in the very state that it was asked for in.
func Again(inputs, revision string, facts *contract.RevisionFacts, jobs []batchv1.Job, pods []corev1.Pod, now time.Time) string {
	if facts == nil || facts.Active == revision {
		return inputs
	}
	promotes := actions.Of(jobs, contract.ActionPromote, revision)
	for actions.Decide(actions.Question{Inputs: inputs}, promotes, pods, now).OK() {
		inputs = resources.Digest(16, inputs, "lost")
	}
	return inputs
}

// promoteSeconds is how long one promote Job tries.
const promoteSeconds = 120

// maxAttempts bounds how many attempts a ControllerRevision remembers.
const maxAttempts = 32

// attempts are those that count as done once a revision made for attempt is there.
func attempts(before []string, attempt string) []string {
	out := slices.Clone(before)
	if attempt != "" && !slices.Contains(out, attempt) {
		out = append(out, attempt)
	}
	return out[max(0, len(out)-maxAttempts):]
}
