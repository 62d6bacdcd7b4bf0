// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/status"
)

// made is the Replay that a command makes at noon.
const made = "order-summary-20261126-120000"

func stalled(generation int64, reason, message string) metav1.Condition {
	return metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: reason, Message: message, ObservedGeneration: generation}
}

// stalled makes a human needed, for the sake of a revision, or of none where that is empty.
func (w *world) stalled(revision, reason, message string) {
	generation := w.read().Generation
	w.status(func(s *v1alpha1.ProjectionStatus) {
		s.Status, s.ObservedGeneration = v1alpha1.StatusStalled, &generation
		s.Conditions = append(s.Conditions[:3:3], stalled(generation, reason, message))
		for i := range s.Revisions {
			if r := &s.Revisions[i]; r.Name == revision {
				r.Stalled, r.Reason = ptr.To(true), reason
			}
		}
	})
}

// asks moves the newest spec on, as an API server does for a patch.
func (w *world) asks() {
	w.t.Helper()
	p := w.read()
	p.Generation++
	if err := w.client.Update(w.t.Context(), p); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) replayStalled(generation int64, reason, message string) {
	w.replayStatus(made, func(s *v1alpha1.ReplayStatus) {
		s.Status, s.Revision, s.Conditions = v1alpha1.ReplayStalled, next, []metav1.Condition{stalled(generation, reason, message)}
	})
}

func (w *world) replayComplete() {
	w.promoted()
	w.replayStatus(made, func(s *v1alpha1.ReplayStatus) {
		s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue}}
	})
}

// TestFollowedEnds: what is followed ends where a human is needed for it, and goes on where it mends by itself, or where that is needed
// for something else.
func TestFollowedEnds(t *testing.T) {
	promote := []string{"promote", "order-summary", "--wait", "--timeout", "5s"}
	replay := []string{"replay", "order-summary", "--wait", "--timeout", "5s"}
	token := []string{"replay", "order-summary", "--token", "fix", "--watch", "--timeout", "5s"}
	ready := func(w *world) { w.spec(manual); w.building(v1alpha1.RevisionReady, "0", "") }
	const broken = "readers could not be moved: view order_summary would lose lines. To agree to it, set spec.rollout.allow: [BreakReaders]"
	clusterScreens(t, []clusterScreen{
		{"follow-readers-would-break", promote, func(w *world) {
			ready(w)
			w.steps = []func(){func() {}, func() { w.stalled(next, v1alpha1.ReasonReadersWouldBreak, broken) }}
		}},
		{"follow-unknown-revision", promote, func(w *world) {
			ready(w)
			w.steps = []func(){func() {
				w.stalled("", v1alpha1.ReasonUnknownRevision, "spec.rollout.activeRevision: there is no revision "+next)
			}}
		}},
		{"follow-stalled-before", promote, func(w *world) {
			ready(w)
			// The operator has not looked at what was just asked for.
			w.stalled(next, v1alpha1.ReasonAssertionFailed, "its verification failed")
			w.asks()
			w.steps = []func(){func() {}, func() {}, w.promoted}
		}},
		{"follow-stalled-other", promote, func(w *world) {
			ready(w)
			w.stalled(w.active.Revision, v1alpha1.ReasonHandlerError, "Partition orders/1 stopped at position 7020118")
			w.steps = []func(){func() {}, func() { w.stalled("", v1alpha1.ReasonInvalidSpec, "models: there is none") }, w.promoted}
		}},
		{"follow-blocked-before", promote, func(w *world) {
			ready(w)
			w.stalled("", v1alpha1.ReasonObjectTaken, "Service order-summary is not this projection's")
			w.steps = []func(){func() {}, w.promoted}
		}},
		{"follow-blocked", promote, func(w *world) {
			ready(w)
			w.steps = []func(){func() {
				w.stalled("", v1alpha1.ReasonObjectTaken, "ConfigMap order-summary-"+next+" is not this projection's")
			}}
		}},
		{"follow-token-stopped", token, func(w *world) {
			w.steps = []func(){func() {
				w.building(v1alpha1.RevisionBuilding, ">1M", "")
				w.stalled(next, v1alpha1.ReasonHandlerError, "revision "+next+" is built beside, and its partition orders/1 stopped at position 7020118")
			}}
		}},
		{"follow-token-trimmed", token, func(w *world) {
			w.steps = []func(){func() {
				w.status(func(s *v1alpha1.ProjectionStatus) { s.TargetRevision = next })
				w.stalled("", v1alpha1.ReasonReplayNotPossible, "revision "+next+" would be built without events that are gone")
			}}
		}},
		{"follow-token-late", token, func(w *world) {
			w.steps = []func(){func() {
				w.building(v1alpha1.RevisionBuilding, ">1M", "")
				w.status(func(s *v1alpha1.ProjectionStatus) { s.Revisions[0].Attempt = "fix" })
				w.stalled(next, v1alpha1.ReasonDeadlineExceeded, "it goes on")
			}, func() {}, w.promoted}
		}},
		{"follow-token-refused", token, func(w *world) {
			w.steps = []func(){func() {
				w.stalled("", v1alpha1.ReasonInvalidSpec, "models: there is none")
				w.status(func(s *v1alpha1.ProjectionStatus) {
					s.Conditions = append(s.Conditions, metav1.Condition{Type: v1alpha1.ConditionSpecAccepted, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInvalidSpec, Message: "models: there is none"})
				})
			}}
		}},
		{"follow-assertion-failed", replay, func(w *world) {
			w.steps = []func(){func() {}, func() {
				w.replayStalled(0, v1alpha1.ReasonAssertionFailed, "revision "+next+" is not shown, since its verification failed: Replay "+made+": spec.verify.assertions[paid]: 2 of 9 rows do not meet it")
			}}
		}},
		{"follow-replay-not-looked-at", replay, func(w *world) {
			w.steps = []func(){func() { w.replayStalled(-1, v1alpha1.ReasonAssertionFailed, "its verification failed") }}
		}},
		{"follow-replay-late", replay, func(w *world) {
			w.steps = []func(){func() {
				w.building(v1alpha1.RevisionBuilding, ">1M", "")
				w.replayStalled(0, v1alpha1.ReasonDeadlineExceeded, "it goes on")
			}, func() {}, w.replayComplete}
		}},
		{"follow-replay-stopped-before", replay, func(w *world) {
			// It may be what mends it.
			w.stalled(w.active.Revision, v1alpha1.ReasonHandlerError, "Partition orders/1 stopped at position 7020118")
			w.steps = []func(){func() { w.building(v1alpha1.RevisionBuilding, ">1M", "") }, func() {}, w.replayComplete}
		}},
		{"follow-replay-unknown-revision", replay, func(w *world) {
			w.stalled("", v1alpha1.ReasonUnknownRevision, "spec.rollout.activeRevision: there is no revision 0123456789")
		}},
	})
}

// TestBuiltSays: the end of a build that was followed says what it has taken.
func TestBuiltSays(t *testing.T) {
	watch := []string{"replay", "order-summary", "--watch", "--timeout", "60s"}
	build := func(w *world, lags ...int64) {
		w.status(func(s *v1alpha1.ProjectionStatus) { s.Revisions[0].Lag = "<1k" })
		w.steps = []func(){func() { w.building(v1alpha1.RevisionBuilding, ">1M", "") }}
		for _, lag := range lags {
			w.steps = append(w.steps, func() {
				w.pod("order-summary-a", w.active.Revision, 12, partition(0, 6000000-lag, 6000000), partition(1, 6000000, 6000014), partition(2, 6000000, 6000000))
			})
		}
		w.steps = append(w.steps, func() {
			w.replayComplete()
			w.status(func(s *v1alpha1.ProjectionStatus) {
				r := &s.Revisions[0]
				r.Built, r.Message = v1alpha1.Built{Events: 18_231_907, Seconds: 231}, "verified: 2004 rows are what the log says"
			})
			// What readers of the new revision lag behind is none of it.
			w.pod("order-summary-b", next, 12, partition(0, 0, 6000000), partition(1, 0, 6000000), partition(2, 0, 6000000))
		})
	}
	clusterScreens(t, []clusterScreen{
		{"built", watch, func(w *world) {
			w.pod("order-summary-a", w.active.Revision, 12, partition(0, 6000000, 6000000), partition(1, 6000000, 6000014), partition(2, 6000000, 6000000))
			build(w, 100, 198, 0)
		}},
		{"built-no-rights", watch, func(w *world) {
			w.forbidden = true
			build(w, 100)
		}},
		{"built-waited", []string{"replay", "order-summary", "--wait"}, func(w *world) { build(w, 100) }},
	})
}

// TestLookIsOfOneTime: a Replay that ends between two reads is not shown beside a Projection of before.
func TestLookIsOfOneTime(t *testing.T) {
	w := newWorld(t)
	w.building(v1alpha1.RevisionBuilding, "0", "")
	if err := w.client.Create(t.Context(), &v1alpha1.Replay{ObjectMeta: metav1.ObjectMeta{Namespace: w.projection.Namespace, Name: made},
		Spec: v1alpha1.ReplaySpec{ProjectionRef: v1alpha1.LocalRef{Name: "order-summary"}}}); err != nil {
		t.Fatal(err)
	}
	ends := sync.OnceFunc(w.replayComplete)
	c := cluster.New(interceptor.NewClient(w.client.(client.WithWatch), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, key, o, opts...)
			ends()
			return err
		},
		List: func(ctx context.Context, c client.WithWatch, o client.ObjectList, opts ...client.ListOption) error {
			err := c.List(ctx, o, opts...)
			ends()
			return err
		},
	}), w.projection.Namespace, nil)
	v, err := status.Read(t.Context(), c, "order-summary", false, noon)
	if err != nil {
		t.Fatal(err)
	}
	if how, _ := v.Replay(made); how != "" && v.Status.ActiveRevision != next {
		t.Errorf("the Replay is %s and readers see %s", how, v.Status.ActiveRevision)
	}
}
