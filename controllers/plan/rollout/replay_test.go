// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/plan/replay"
)

// simReplays are the Replays of the simulated projection, and what their reconciler knows of it.
type simReplays struct {
	replays []*v1alpha1.Replay
	made    int
	words   map[string]string
	// status is the Projection's, of the spec seen.
	status v1alpha1.ProjectionStatus
	seen   spec
	// known is whether the newest pass knew what readers see.
	known bool
	// shown are the attempts that readers have seen.
	shown map[string]bool
	// ended are the reasons of those that did.
	ended []string
	// found counts what verifications found, by their samples.
	found map[string]int
}

// make is kubectl apply of a Replay.
func (s *sim) make(name string) *v1alpha1.Replay {
	s.made++
	r := &v1alpha1.Replay{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(s.now)}}
	r.Spec.ProjectionRef.Name = "totals"
	s.replays = append(s.replays, r)
	return r
}

// rowsOfTheirOwn stands for the contract of a version that may begin anywhere: what it adds is its name here.
var rowsOfTheirOwn = &contract.Contract{
	Topics: []contract.Topic{{Name: "orders"}},
	Models: []contract.Model{{
		Name: "totals", Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "total", Type: "int64"}},
		Handlers: []contract.Handler{{Name: "placed", Topic: "orders", OnAbsent: "Create", Key: map[string]string{"id": "event.id"}, Set: map[string]string{"total": "event.total"}}},
	}},
}

// beyond is a position that the log does not have.
const beyond = "999"

// fromTime and fromPosition let a Replay begin elsewhere.
func fromTime(r *v1alpha1.Replay) {
	at := metav1.NewTime(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	r.Spec.From.Time = &at
}

func fromPosition(r *v1alpha1.Replay, position string) {
	r.Spec.From.Positions = []v1alpha1.ReplayPosition{{Topic: "orders", Partition: ptr.To[int32](0), Position: position}}
}

// checkStarts holds that a revision which began elsewhere is only shown on the account of its Replay, or of a pin: a spec that is put back asks for all rows.
func (s *sim) checkStarts(ask *Ask) {
	rec := s.records[ask.Revision]
	if ask.Action != contract.ActionPromote || rec == nil || rec.contract.From == nil || ask.Revision == s.spec.rollout.ActiveRevision {
		return
	}
	if f := s.book.Find(ask.Revision); f != nil && !f.LeftAt.IsZero() {
		s.bad = append(s.bad, fmt.Sprintf("tick %d: %s is shown again, which began at %s", s.tick, s.version(ask.Revision), rec.contract.From))
	}
}

func (s *sim) find(name string) *v1alpha1.Replay {
	i := slices.IndexFunc(s.replays, func(r *v1alpha1.Replay) bool { return r.Name == name })
	return s.replays[i]
}

// delete is kubectl delete of a Replay.
func (s *sim) delete(name string) {
	s.replays = slices.DeleteFunc(s.replays, func(r *v1alpha1.Replay) bool { return r.Name == name })
}

func (s *sim) all() []v1alpha1.Replay {
	var out []v1alpha1.Replay
	for _, r := range s.replays {
		out = append(out, *r)
	}
	return out
}

// underWay is what the Projection's reconciler knows of Replays.
func (s *sim) underWay(newest *contract.Contract) *Replay {
	hash := ""
	if newest != nil {
		hash = newest.DataHash
	}
	r := replay.UnderWay(s.all(), "p", hash, s.spec.token)
	if r == nil {
		return nil
	}
	return &Replay{Name: r.Name, UID: string(r.UID), Promotion: r.Spec.Promotion, Suspended: ptr.Deref(r.Spec.Suspend, false), From: replay.FromOf(r)}
}

// neverHolds is the sample of a verification that fails.
const neverHolds = "9%"

// verify is how a revision is to be verified, nil if it is not, and the Replay that says so.
func (s *sim) verify(name string) (*v1alpha1.Verify, string) {
	hash := ""
	if !s.spec.refused {
		hash = contractOf(s.spec.version).DataHash
	}
	r, rec := replay.UnderWay(s.all(), "p", hash, s.spec.token), s.records[name]
	if r != nil && r.Spec.Verify != nil && rec != nil && rec.contract.Attempt == string(r.UID) {
		return r.Spec.Verify, r.Name
	}
	return s.spec.rollout.Verify, ""
}

// observed is the status that the Projection's reconciler writes last.
func (s *sim) observed() {
	s.seen = s.spec
	accepted := metav1.Condition{Type: v1alpha1.ConditionSpecAccepted, Status: metav1.ConditionTrue}
	s.status = v1alpha1.ProjectionStatus{ObservedGeneration: ptr.To[int64](1), ActiveRevision: s.last.Active, TargetRevision: s.last.Target, Revisions: s.last.Revisions}
	if s.last.Active != "" && s.known {
		s.status.Sequence = s.book.Sequence
	}
	if s.spec.refused {
		accepted.Status = metav1.ConditionFalse
		s.status.TargetRevision = ""
	} else {
		s.status.DataHash = contractOf(s.spec.version).DataHash
	}
	s.status.Conditions = []metav1.Condition{accepted}
}

func (s *sim) projection() *v1alpha1.Projection {
	p := &v1alpha1.Projection{ObjectMeta: metav1.ObjectMeta{Name: "totals", UID: "p", Generation: 1}, Status: s.status}
	p.Spec.ReplayToken, p.Spec.Suspend = s.spec.token, ptr.To(s.spec.suspended)
	if !reflect.DeepEqual(s.seen, s.spec) {
		p.Generation = 2
	}
	return p
}

// replayPass is one reconciliation of each Replay.
func (s *sim) replayPass() {
	if s.words = map[string]string{}; s.made == 0 {
		return
	}
	for _, r := range slices.Clone(s.replays) {
		in := replay.Input{Now: s.now, Replay: r, All: s.all(), Projection: s.projection(), Missing: s.spec.incomplete, Contract: rowsOfTheirOwn}
		if rec := s.records[s.status.ActiveRevision]; rec != nil {
			in.Done = rec.attempts
		}
		d := replay.Decide(in)
		s.words[r.Name] = d.Word + " (" + d.Reason + ")"
		switch {
		case d.Delete:
			s.write(func() { s.delete(r.Name) })
		case d.Begin != nil:
			s.write(func() {
				data, _ := json.Marshal(d.Begin)
				r.Annotations = map[string]string{replay.Annotation: string(data)}
			})
		case (d.State == replay.Complete || d.State == replay.Failed) && !replay.Finished(r):
			s.write(func() {
				kind := v1alpha1.ConditionFailed
				if d.State == replay.Complete {
					kind = v1alpha1.ConditionComplete
				}
				r.Status.Conditions = []metav1.Condition{
					{Type: v1alpha1.ConditionReady, Reason: d.Reason, Message: d.Message},
					{Type: kind, Status: metav1.ConditionTrue},
				}
				s.ended = append(s.ended, d.Reason)
				r.Status.FinishedAt = ptr.To(metav1.NewTime(d.FinishedAt))
				if failed := d.State == replay.Failed; failed == s.shown[string(r.UID)] {
					s.bad = append(s.bad, fmt.Sprintf("tick %d: Replay %s is %s (%s), shown: %t", s.tick, r.Name, kind, d.Reason, failed))
				}
			})
		}
	}
}

// checkReplays holds of Replays what must hold after every step.
func (s *sim) checkReplays() {
	if rec := s.records[s.book.Active]; rec != nil && rec.contract.Attempt != "" {
		s.shown[rec.contract.Attempt] = true
	}
	begun := 0
	for _, r := range s.replays {
		if replay.RecordOf(r) != nil && !replay.Finished(r) && r.DeletionTimestamp.IsZero() {
			begun++
		}
	}
	if begun > 1 {
		s.bad = append(s.bad, fmt.Sprintf("tick %d: %d Replays are under way", s.tick, begun))
	}
}

// replaysEnded holds that none waits for ever.
func (s *sim) replaysEnded() {
	for _, r := range s.replays {
		if !replay.Finished(r) {
			s.bad = append(s.bad, fmt.Sprintf("Replay %s is %s in the end", r.Name, s.words[r.Name]))
		}
	}
}

// replayLine says of the Replays how they are.
func (s *sim) replayLine() string {
	var out []string
	for _, r := range s.replays {
		out = append(out, fmt.Sprintf("; Replay %s %s", r.Name, s.words[r.Name]))
	}
	return strings.Join(out, "")
}
