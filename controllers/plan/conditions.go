// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// maxMessage keeps a condition's message well below the API's limit and readable.
const maxMessage = 4096

// Kind of progress that a verdict makes.
type Kind int

// What a verdict means for who waits.
const (
	// Done needs nothing: Reconciling and Stalled are absent.
	Done Kind = iota
	// Working goes on by itself: Reconciling is True.
	Working
	// Stuck needs a human: Stalled is True.
	Stuck
)

// Verdict is what Ready, Reconciling and Stalled say together.
type Verdict struct {
	Ready   metav1.ConditionStatus
	Kind    Kind
	Reason  string
	Message string
}

func ready(reason, message string) Verdict {
	return Verdict{metav1.ConditionTrue, Done, reason, message}
}

func working(reason, message string) Verdict {
	return Verdict{metav1.ConditionFalse, Working, reason, message}
}

func stuck(reason, message string) Verdict {
	return Verdict{metav1.ConditionFalse, Stuck, reason, message}
}

func unknown(reason, message string) Verdict {
	return Verdict{metav1.ConditionUnknown, Working, reason, message}
}

// Fact is one further condition.
type Fact struct {
	Type    string
	Status  metav1.ConditionStatus
	Reason  string
	Message string
}

// Conditions gives the list for a status: the verdict, then the facts in their
// order. A condition whose status did not change keeps its transition time.
func Conditions(old []metav1.Condition, generation int64, now time.Time, v Verdict, facts ...Fact) []metav1.Condition {
	all := []Fact{{v1alpha1.ConditionReady, v.Ready, v.Reason, v.Message}}
	all = append(all, facts...)
	switch v.Kind {
	case Working:
		all = append(all, Fact{v1alpha1.ConditionReconciling, metav1.ConditionTrue, v.Reason, v.Message})
	case Stuck:
		all = append(all, Fact{v1alpha1.ConditionStalled, metav1.ConditionTrue, v.Reason, v.Message})
	case Done:
	}
	out := make([]metav1.Condition, 0, len(all))
	for _, f := range all {
		c := metav1.Condition{
			Type: f.Type, Status: f.Status, Reason: f.Reason, Message: clip(f.Message),
			ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		}
		for _, o := range old {
			if o.Type == c.Type && o.Status == c.Status && !o.LastTransitionTime.IsZero() {
				c.LastTransitionTime = o.LastTransitionTime
			}
		}
		out = append(out, c)
	}
	return out
}

// expected are the reasons for which Ready is not True on the way to it, or by the
// user's own wish; those that map to false only where it was not True before.
var expected = map[string]bool{
	v1alpha1.ReasonPending: true, v1alpha1.ReasonProbing: true, v1alpha1.ReasonPreparing: true, v1alpha1.ReasonStarting: true,
	v1alpha1.ReasonQueued: true, v1alpha1.ReasonBuilding: true, v1alpha1.ReasonVerifying: true, v1alpha1.ReasonPromoting: true,
	v1alpha1.ReasonAwaitingPromotion: true, v1alpha1.ReasonPinned: true,
	v1alpha1.ReasonReplayingKeys: true, v1alpha1.ReasonReplayInProgress: true, v1alpha1.ReasonRolloutInProgress: true, v1alpha1.ReasonProjectionSuspended: true, v1alpha1.ReasonSpecNotAccepted: true,
	v1alpha1.ReasonCatchingUp: true, v1alpha1.ReasonSuspended: true, v1alpha1.ReasonDeleting: true, "Connecting": true,
	v1alpha1.ReasonReferenceMissing: false, v1alpha1.ReasonWaitingForBroker: false, v1alpha1.ReasonWaitingForSource: false,
	v1alpha1.ReasonWaitingForStore: false,
}

// Expected reports whether it is nothing to warn of that Ready is not True for this
// reason, given whether it was True before.
func Expected(reason string, wasReady bool) bool {
	always, known := expected[reason]
	return known && (always || !wasReady)
}

// Find gives the condition of a type, nil if there is none.
func Find(conditions []metav1.Condition, kind string) *metav1.Condition {
	for i := range conditions {
		if conditions[i].Type == kind {
			return &conditions[i]
		}
	}
	return nil
}

func isTrue(conditions []metav1.Condition, kind string) bool {
	c := Find(conditions, kind)
	return c != nil && c.Status == metav1.ConditionTrue
}

func clip(s string) string {
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "..."
	}
	return s
}
