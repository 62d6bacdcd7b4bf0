// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// blocked are the reasons for which the operator comes no further with a projection, whatever it was about to do.
var blocked = []string{v1alpha1.ReasonObjectTaken, v1alpha1.ReasonObjectRefused}

// Stall is why a human is needed.
type Stall struct {
	Reason, Message string
}

// Stalled says why a human is needed before readers see a revision, nil where none is, or where the operator has not looked at the
// newest spec yet. The revision is that of the newest spec where it is empty. What is wrong with another one is no reason, nor is
// what blocked the projection before, by its conditions then.
//
// Late builds go on (DeadlineExceeded).
func (v *View) Stalled(revision string, before []metav1.Condition) *Stall {
	c := stalled(v.Status.Conditions, v.Generation)
	if c == nil {
		return nil
	}
	why := &Stall{c.Reason, c.Message}
	r := v.Revision(cmp.Or(revision, v.Status.TargetRevision))
	switch {
	case c.Reason == v1alpha1.ReasonUnknownRevision:
		return why
	case slices.Contains(blocked, c.Reason):
		if was := find(before, v1alpha1.ConditionStalled); was != nil && was.Reason == c.Reason {
			return nil
		}
		return why
	case r != nil && ptr.Deref(r.Stalled, false) && r.Reason != v1alpha1.ReasonDeadlineExceeded:
		if r.Reason != c.Reason {
			why = &Stall{r.Reason, r.Message}
		}
		return why
	case revision == "" && c.Reason == v1alpha1.ReasonReplayNotPossible:
		return why // There is no revision to say so.
	case revision == "":
		if spec := find(v.Status.Conditions, v1alpha1.ConditionSpecAccepted); spec != nil && spec.Status == metav1.ConditionFalse {
			return &Stall{spec.Reason, spec.Message}
		}
	}
	return nil
}

// ReplayStalled is Stalled for what a Replay builds.
func (v *View) ReplayStalled(name string) *Stall {
	i := slices.IndexFunc(v.Replays, func(r Replay) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	r := &v.Replays[i]
	if c := stalled(r.Status.Conditions, r.generation); c != nil && c.Reason != v1alpha1.ReasonDeadlineExceeded {
		return &Stall{c.Reason, c.Message}
	}
	// Where readers are held on what is not there, nothing is promoted. Rows of some keys are where they are.
	if c := stalled(v.Status.Conditions, v.Generation); c != nil && c.Reason == v1alpha1.ReasonUnknownRevision && r.Keys == 0 {
		return &Stall{c.Reason, c.Message}
	}
	return nil
}

// stalled is the condition Stalled where it is True of a generation.
func stalled(conditions []metav1.Condition, generation int64) *metav1.Condition {
	if c := find(conditions, v1alpha1.ConditionStalled); c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == generation {
		return c
	}
	return nil
}

func find(conditions []metav1.Condition, kind string) *metav1.Condition {
	for i := range conditions {
		if conditions[i].Type == kind {
			return &conditions[i]
		}
	}
	return nil
}
