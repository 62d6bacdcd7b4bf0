// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/goldentest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/contract"
)

const (
	before = "internal/plan/testdata/before.yaml"
	// next is a revision of another spec than before.yaml's, old one that readers have left.
	next, old = "b2d10f00aa", "0c5e1f00aa"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// world is a cluster with one projection, which a test changes before and while a command runs.
type world struct {
	t          *testing.T
	client     client.Client
	now        time.Time
	projection *v1alpha1.Projection
	active     *contract.Contract
	pods       map[string]*contract.ProjectorStatus
	// forbidden makes pods/proxy fail.
	forbidden bool
	// steps are what happens while a command waits, one at each look.
	steps []func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	set, err := manifests.Load([]string{before}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws := workspace.New(set)
	compiled, err := ws.Compile(ws.Projections[0], "c-1")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: noon, projection: ws.Projections[0].Value, active: compiled.Contract, pods: map[string]*contract.ProjectorStatus{}}
	p := w.projection
	p.UID, p.Generation = "u-1", 4
	p.Status = v1alpha1.ProjectionStatus{
		ObservedGeneration: ptr.To[int64](4), Status: v1alpha1.StatusCaughtUp, Partitions: 3, ActiveRevision: w.active.Revision, TargetRevision: w.active.Revision,
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCaughtUp, Message: "every event is applied"},
			{Type: v1alpha1.ConditionSourceReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReachable},
			{Type: v1alpha1.ConditionStoreReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReachable},
		},
		Revisions: []v1alpha1.RevisionStatus{{Name: w.active.Revision, State: v1alpha1.RevisionActive, Lag: "0", CreatedAt: at(-72), PromotedAt: at(-71)}},
	}
	data, err := json.Marshal(w.active)
	if err != nil {
		t.Fatal(err)
	}
	topic := ws.Topics[0].Value
	topic.Namespace = p.Namespace
	topic.Status = v1alpha1.EventTopicStatus{Partitions: 3, CleanupPolicy: "delete", Conditions: []metav1.Condition{
		{Type: v1alpha1.ConditionReplayPossible, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonFullHistory},
	}}
	broker, store := ws.Brokers[0].Value, ws.Stores[0].Value
	broker.Namespace, store.Namespace = p.Namespace, p.Namespace
	w.client = fake.NewClientBuilder().WithScheme(cluster.Scheme()).WithStatusSubresource(p, &v1alpha1.Replay{}).WithObjects(p, topic, broker, store,
		&appsv1.ControllerRevision{
			ObjectMeta: w.owned("order-summary-"+w.active.Revision, w.active.Revision), Revision: 1, Data: runtime.RawExtension{Raw: data},
		}).Build()
	return w
}

// at is some hours after noon.
func at(hours int) *metav1.Time {
	return &metav1.Time{Time: noon.Add(time.Duration(hours) * time.Hour)}
}

func (w *world) owned(name, revision string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name, Namespace: w.projection.Namespace,
		Labels: map[string]string{contract.LabelProjection: w.projection.Name, contract.LabelRevision: revision, contract.LabelComponent: contract.ComponentProjector},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "Projection", Name: w.projection.Name, UID: types.UID("u-1"), Controller: ptr.To(true),
		}},
	}
}

// status changes the status as the operator would.
func (w *world) status(edit func(*v1alpha1.ProjectionStatus)) {
	w.t.Helper()
	p := w.read()
	edit(&p.Status)
	if err := w.client.Status().Update(w.t.Context(), p); err != nil {
		w.t.Fatal(err)
	}
}

// spec changes the spec as a user would.
func (w *world) spec(edit func(*v1alpha1.ProjectionSpec)) {
	w.t.Helper()
	p := w.read()
	edit(&p.Spec)
	if err := w.client.Update(w.t.Context(), p); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read() *v1alpha1.Projection {
	w.t.Helper()
	p := new(v1alpha1.Projection)
	if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(w.projection), p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// building gives the projection a second revision in some state.
func (w *world) building(state, lag, message string) {
	w.status(func(s *v1alpha1.ProjectionStatus) {
		s.Status, s.TargetRevision = v1alpha1.StatusRebuilding, next
		s.Revisions = append([]v1alpha1.RevisionStatus{{Name: next, State: state, Lag: lag, CreatedAt: at(-1), Message: message}}, s.Revisions...)
	})
}

// kept gives it one that readers have left.
func (w *world) kept(lag string) {
	w.status(func(s *v1alpha1.ProjectionStatus) {
		s.Revisions = append(s.Revisions, v1alpha1.RevisionStatus{Name: old, State: v1alpha1.RevisionKept, Lag: lag, CreatedAt: at(-100), PromotedAt: at(-99), KeptUntil: at(1)})
	})
}

// promoted is what the operator's status says once readers have moved to next.
func (w *world) promoted() {
	w.status(func(s *v1alpha1.ProjectionStatus) {
		s.ActiveRevision, s.Status = next, v1alpha1.StatusCaughtUp
		for i := range s.Revisions {
			switch r := &s.Revisions[i]; r.Name {
			case next:
				r.State, r.Message, r.Lag, r.PromotedAt = v1alpha1.RevisionActive, "", "0", &metav1.Time{Time: w.now}
			case w.active.Revision:
				r.State, r.KeptUntil = v1alpha1.RevisionKept, &metav1.Time{Time: w.now.Add(time.Hour)}
			}
		}
	})
}

// pod makes a projector that answers.
func (w *world) pod(name, revision string, rate float64, partitions ...contract.PartitionStatus) {
	w.t.Helper()
	if w.pods[name] == nil {
		pod := &corev1.Pod{ObjectMeta: w.owned(name, revision), Status: corev1.PodStatus{Phase: corev1.PodRunning}}
		if err := w.client.Create(w.t.Context(), pod); err != nil {
			w.t.Fatal(err)
		}
	}
	w.pods[name] = &contract.ProjectorStatus{
		Projection: contract.Identity{UID: "u-1"}, Revision: revision, Pod: name, EventsPerSecond: rate, Partitions: partitions,
	}
}

func partition(n int32, position, end int64, more ...func(*contract.PartitionStatus)) contract.PartitionStatus {
	ps := contract.PartitionStatus{
		Topic: "orders", Partition: n, Position: contract.OffsetPosition(position), End: contract.OffsetPosition(end), Lag: end - position, EventTime: noon.Add(-time.Second),
	}
	for _, f := range more {
		f(&ps)
	}
	return ps
}

func (w *world) environment() *environment {
	return &environment{
		now: func() time.Time { return w.now },
		connect: func(f *cluster.Flags) (*cluster.Cluster, error) {
			if f.Namespace == "" {
				f.Namespace = w.projection.Namespace
			}
			return cluster.New(w.client, f.Namespace, func(_ context.Context, _, pod string) (*contract.ProjectorStatus, error) {
				if w.forbidden {
					return nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods/proxy"}, pod, nil)
				}
				return w.pods[pod], nil
			}), nil
		},
		after: func(d time.Duration) <-chan time.Time {
			w.now = w.now.Add(d)
			if len(w.steps) > 0 {
				w.steps[0]()
				w.steps = w.steps[1:]
			}
			c := make(chan time.Time, 1)
			c <- w.now
			return c
		},
	}
}

func (w *world) call(args ...string) string {
	w.t.Helper()
	var out, errs bytes.Buffer
	code := execute(w.t.Context(), w.environment(), append([]string{"/usr/local/bin/kubectl-projection"}, args...), strings.NewReader(""), &out, &errs)
	got := fmt.Sprintf("$ kubectl projection %s\n%s", strings.Join(args, " "), out.String())
	if errs.Len() > 0 {
		got += "-- standard error\n" + errs.String()
	}
	p := w.read()
	got += fmt.Sprintf("-- exit code %d; replayToken %q, activeRevision %q\n", code, p.Spec.ReplayToken, p.Spec.Rollout.ActiveRevision)
	var replays v1alpha1.ReplayList
	if err := w.client.List(w.t.Context(), &replays); err != nil {
		w.t.Fatal(err)
	}
	for i := range replays.Items {
		data, _ := json.Marshal(replays.Items[i].Spec)
		got += fmt.Sprintf("-- Replay %s %s\n", replays.Items[i].Name, data)
	}
	return got
}

// replay makes one in some state.
func (w *world) replay(name, state, message string, edit func(*v1alpha1.ReplayStatus)) {
	w.t.Helper()
	r := &v1alpha1.Replay{ObjectMeta: metav1.ObjectMeta{Namespace: w.projection.Namespace, Name: name, UID: types.UID("u-" + name)}}
	r.Spec.ProjectionRef.Name = w.projection.Name
	if err := w.client.Create(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
	w.replayStatus(name, func(s *v1alpha1.ReplayStatus) {
		s.Status = state
		s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: state, Message: message}}
		if edit != nil {
			edit(s)
		}
	})
}

func (w *world) replayStatus(name string, edit func(*v1alpha1.ReplayStatus)) {
	w.t.Helper()
	r := new(v1alpha1.Replay)
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: w.projection.Namespace, Name: name}, r); err != nil {
		w.t.Fatal(err)
	}
	edit(&r.Status)
	if err := w.client.Status().Update(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
}

// began says that what readers see began later than with the earliest events.
func (w *world) began() {
	w.status(func(s *v1alpha1.ProjectionStatus) {
		for i := range s.Revisions {
			if r := &s.Revisions[i]; r.Name == w.active.Revision {
				r.From, r.Message = "2026-11-01T00:00:00Z", "it holds what events from 2026-11-01T00:00:00Z on have made, as a Replay asked for"
			}
		}
	})
}

// replayed is a Replay that is under way, with what the projection's status says of it.
func (w *world) replayed(name string) {
	w.replay(name, v1alpha1.RevisionBuilding, "revision "+next+" is built", func(s *v1alpha1.ReplayStatus) { s.Revision = next })
	w.building(v1alpha1.RevisionBuilding, ">1M", "revision "+next+" is built")
	w.status(func(s *v1alpha1.ProjectionStatus) {
		s.Revisions[0].Attempt, s.Revisions[0].Reason = "u-"+name, v1alpha1.ReasonBuilding
		s.Revisions[0].Progress = &v1alpha1.BuildProgress{
			EventsDone: ptr.To[int64](11_500_000), EventsTotal: ptr.To[int64](18_200_000), EventsPerSecond: ptr.To[int64](81000), EstimatedSecondsLeft: ptr.To[int64](90),
		}
	})
}

// manual makes humans promote.
func manual(s *v1alpha1.ProjectionSpec) { s.Rollout.Promotion = v1alpha1.PromotionManual }

// TestClusterScreens holds what a user sees of a cluster, and what is written to it.
func TestClusterScreens(t *testing.T) {
	clusterScreens(t, []clusterScreen{
		{"status", []string{"status", "order-summary"}, func(w *world) {
			w.pod("order-summary-a", w.active.Revision, 12, partition(0, 8112400, 8112402), partition(1, 5, 5), partition(2, 7, 7))
		}},
		{"status-stopped", []string{"status", "order-summary"}, func(w *world) {
			w.status(func(s *v1alpha1.ProjectionStatus) {
				s.Status = v1alpha1.StatusStalled
				s.Conditions[0].Status, s.Conditions[0].Reason = metav1.ConditionFalse, v1alpha1.ReasonHandlerError
				s.Conditions[0].Message = "Partition orders/1 stopped at position 7020118: event.price is a string, expected a number"
				s.Conditions[2].Status, s.Conditions[2].Reason, s.Conditions[2].Message = metav1.ConditionFalse, v1alpha1.ReasonUnreachable, "the database does not answer"
			})
			w.building(v1alpha1.RevisionQueued, "", "projection route-stats of ReadStore reads is built first")
			w.kept("0")
			w.pod("order-summary-a", w.active.Revision, 12, partition(0, 8112400, 8112402), partition(1, 7020118, 8100551, func(ps *contract.PartitionStatus) {
				ps.EventTime = noon.Add(-2*time.Hour - 4*time.Minute)
				ps.Stopped = &contract.Stop{Position: "7020118", Reason: "HandlerError", Path: "models[order_summary].handlers[line-added].add.total",
					Message: "event.price is a string, expected a number: fix the handler, or add an upcast on EventTopic orders", Since: noon.Add(-2 * time.Hour)}
			}), partition(2, 100, 1300, func(ps *contract.PartitionStatus) { ps.Waiting = "the store does not answer" }))
		}},
		{"status-no-rights", []string{"status", "order-summary"}, func(w *world) {
			w.pod("order-summary-a", w.active.Revision, 0)
			w.forbidden = true
		}},
		{"status-missing", []string{"status", "order-summry"}, nil},
		{"revisions", []string{"revisions", "order-summary"}, func(w *world) {
			w.building(v1alpha1.RevisionReady, "<100", "waits for rollout.activeRevision")
			w.kept("<1k")
		}},
		{"revisions-none", []string{"revisions", "order-summary"}, func(w *world) {
			w.status(func(s *v1alpha1.ProjectionStatus) { s.Revisions = nil })
		}},
		{"promote", []string{"promote", "order-summary"}, func(w *world) { w.spec(manual); w.building(v1alpha1.RevisionReady, "<100", "") }},
		{"promote-wait", []string{"promote", "order-summary", "b2d", "--wait", "--timeout", "10s"}, func(w *world) {
			w.spec(manual)
			w.building(v1alpha1.RevisionReady, "<100", "")
			w.steps = []func(){func() {}, w.promoted}
		}},
		{"promote-unverified", []string{"promote", "order-summary"}, func(w *world) {
			w.spec(manual)
			w.building(v1alpha1.RevisionUnverified, "0", "its verification failed: order_summary: 2 of 9 rows differ from the log (2 changed, 0 missing, 0 extra)")
		}},
		{"promote-verifying", []string{"promote", "order-summary"}, func(w *world) { w.spec(manual); w.building(v1alpha1.RevisionVerifying, "0", "") }},
		{"verify-unknown", []string{"verify", "order-summary", "--revision", "ffff"}, func(*world) {}},
		{"verify-nothing", []string{"verify"}, func(*world) {}},
		{"promote-timeout", []string{"promote", "order-summary", "--wait", "--timeout", "3s"}, func(w *world) { w.spec(manual); w.building(v1alpha1.RevisionReady, "0", "") }},
		{"promote-building", []string{"promote", "order-summary"}, func(w *world) { w.spec(manual); w.building(v1alpha1.RevisionBuilding, "<1M", "") }},
		{"promote-active", []string{"promote", "order-summary"}, nil},
		{"promote-unknown", []string{"promote", "order-summary", "ffff"}, nil},
		{"promote-automatic", []string{"promote", "order-summary"}, func(w *world) {
			w.building(v1alpha1.RevisionReady, "0", "view order_summary would lose lines: consent to BreakReaders")
		}},
		{"promote-unpin", []string{"promote", "order-summary"}, func(w *world) {
			w.spec(func(s *v1alpha1.ProjectionSpec) { s.Rollout.ActiveRevision = w.active.Revision })
			w.building(v1alpha1.RevisionReady, "0", "")
		}},
		{"rollback", []string{"rollback", "order-summary"}, func(w *world) { w.kept("0") }},
		{"rollback-behind", []string{"rollback", "order-summary", "--to", old}, func(w *world) { w.kept("<1M") }},
		{"rollback-none", []string{"rollback", "order-summary"}, nil},
		{"rollback-forward", []string{"rollback", "order-summary", "--to", next}, func(w *world) { w.building(v1alpha1.RevisionReady, "0", "") }},
		{"replay", []string{"replay", "order-summary"}, nil},
		{"replay-manual", []string{"replay", "order-summary", "--promotion", "Manual", "--ttl", "24h"}, nil},
		{"replay-from", []string{"replay", "order-summary", "--from", "36h"}, nil},
		{"replay-from-positions", []string{"replay", "order-summary", "--from", "orders/0=5,orders/1=7"}, nil},
		{"replay-from-nowhere", []string{"replay", "order-summary", "--from", "latest"}, nil},
		{"replay-from-and-keys", []string{"replay", "order-summary", "--from", "36h", "--key", "o-17"}, nil},
		{"revisions-from", []string{"revisions", "order-summary"}, func(w *world) { w.replayed("again"); w.began() }},
		{"status-from", []string{"status", "order-summary"}, func(w *world) { w.replayed("again"); w.began() }},
		{"replay-verify", []string{"replay", "order-summary", "--verify", "sample=1%"}, nil},
		{"replay-wrong-verify", []string{"replay", "order-summary", "--verify", "1%"}, nil},
		{"replay-verify-of-nothing", []string{"replay", "order-summary", "--verify", "sample=0%"}, nil},
		{"replay-keys-and-verify", []string{"replay", "order-summary", "--key", "o-17", "--verify", "all"}, nil},
		{"replay-wrong-promotion", []string{"replay", "order-summary", "--promotion", "manual"}, nil},
		{"replay-keys", []string{"replay", "order-summary", "--key", "o-17", "--key", `["o-18"]`, "--wait"}, func(w *world) {
			says := func(kind string, status metav1.ConditionStatus, message string) func() {
				return func() {
					w.replayStatus("order-summary-20261126-120000", func(s *v1alpha1.ReplayStatus) {
						s.Status, s.Revision = v1alpha1.ReplayRunning, w.active.Revision
						s.Conditions = []metav1.Condition{{Type: kind, Status: status, Reason: v1alpha1.ReasonReplayingKeys, Message: message}}
					})
				}
			}
			w.steps = []func(){
				says(v1alpha1.ConditionReady, metav1.ConditionFalse, "the log is read"),
				says(v1alpha1.ConditionComplete, metav1.ConditionTrue, "1 row written, 0 deleted, 1 was right already; 4013 events read, in revision bda9dc5f26"),
			}
		}},
		{"replay-keys-watch", []string{"replay", "order-summary", "--model", "order_summary", "--key", "o-17", "--watch"}, func(w *world) {
			w.steps = []func(){func() {
				w.replayStatus("order-summary-20261126-120000", func(s *v1alpha1.ReplayStatus) {
					s.Status, s.Revision = v1alpha1.ReplayRunning, w.active.Revision
					s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonReplayingKeys, Message: "the log is read"}}
				})
			}, func() {
				w.replayStatus("order-summary-20261126-120000", func(s *v1alpha1.ReplayStatus) {
					s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionFailed, Status: metav1.ConditionTrue, Reason: "OrderArrival", Message: "nothing was changed: model order_summary has order: Arrival"}}
				})
			}}
		}},
		{"replay-keys-of-no-model", []string{"replay", "order-summary", "--model", "orders", "--key", "o-17"}, nil},
		{"replay-keys-and-promotion", []string{"replay", "order-summary", "--promotion", "Manual", "--key", "o-17"}, nil},
		{"replay-keys-too-large", []string{"replay", "order-summary", "--keys", "testdata/cluster/keys.txt"}, nil},
		{"replay-model-alone", []string{"replay", "order-summary", "--model", "order_summary"}, nil},
		{"abort-keys", []string{"abort", "order-summary"}, func(w *world) {
			w.replay("some", v1alpha1.ReplayRunning, "the log is read", func(s *v1alpha1.ReplayStatus) { s.Revision = w.active.Revision })
			r := new(v1alpha1.Replay)
			if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: w.projection.Namespace, Name: "some"}, r); err != nil {
				w.t.Fatal(err)
			}
			r.Spec.Keys = v1alpha1.ReplayKeys{Model: "order_summary", Values: []string{"o-17"}}
			if err := w.client.Update(w.t.Context(), r); err != nil {
				w.t.Fatal(err)
			}
		}},
		{"replay-failed", []string{"replay", "order-summary", "--wait"}, func(w *world) {
			w.steps = []func(){func() {
				w.replayStatus("order-summary-20261126-120000", func(s *v1alpha1.ReplayStatus) {
					s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionFailed, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReplayNotPossible, Message: "events are gone"}}
				})
			}}
		}},
		{"replay-token", []string{"replay", "order-summary", "--token", "fix"}, nil},
		{"replay-store", []string{"replay", "order-summary", "--store", "postgres://localhost/shop"}, nil},
		{"replay-broker", []string{"replay", "order-summary", "--key", "o-17", "--broker", "localhost:9092"}, nil},
		{"replay-here-timeout", []string{"replay", "-f", "testdata/stock", "--key", "A-7", "--timeout", "1m"}, nil},
		{"replay-here-kubeconfig", []string{"replay", "-f", "testdata/stock", "--key", "A-7", "--kubeconfig", "config"}, nil},
		{"status-help", []string{"status", "--help"}, nil},
		{"replay-help", []string{"replay", "--help"}, nil},
		{"replay-token-and-ttl", []string{"replay", "order-summary", "--token", "fix", "--ttl", "1h"}, nil},
		{"abort", []string{"abort", "order-summary"}, func(w *world) {
			w.replayed("again")
			w.replay("once-more", v1alpha1.ReplayQueued, "Replay again of Projection order-summary goes first", nil)
		}},
		{"abort-named", []string{"abort", "order-summary", "--replay", "once-more"}, func(w *world) {
			w.replayed("again")
			w.replay("once-more", v1alpha1.ReplayQueued, "Replay again of Projection order-summary goes first", nil)
		}},
		{"abort-unknown", []string{"abort", "order-summary", "--replay", "other"}, func(w *world) { w.replayed("again") }},
		{"abort-nothing", []string{"abort", "order-summary"}, func(w *world) {
			w.replay("done", v1alpha1.ReplayComplete, "", func(s *v1alpha1.ReplayStatus) {
				s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue}}
			})
		}},
		{"abort-spec", []string{"abort", "order-summary"}, func(w *world) { w.building(v1alpha1.RevisionBuilding, ">1M", "") }},
		{"abort-token", []string{"abort", "order-summary"}, func(w *world) {
			w.building(v1alpha1.RevisionBuilding, ">1M", "")
			w.status(func(s *v1alpha1.ProjectionStatus) { s.Revisions[0].Attempt = "fix" })
			w.spec(func(s *v1alpha1.ProjectionSpec) { s.ReplayToken = "fix" })
		}},
		{"abort-gone", []string{"abort", "order-summary"}, func(w *world) {
			w.building(v1alpha1.RevisionBuilding, ">1M", "")
			w.status(func(s *v1alpha1.ProjectionStatus) { s.Revisions[0].Attempt = "3f0d7a52-5d35-4a35-9a5d-6a1d2b1d2f11" })
		}},
		{"abort-begins", []string{"abort", "order-summary"}, func(w *world) {
			w.status(func(s *v1alpha1.ProjectionStatus) { s.TargetRevision = next })
		}},
		{"promote-replay", []string{"promote", "order-summary"}, func(w *world) {
			w.building(v1alpha1.RevisionReady, "0", "it waits to be promoted")
			w.status(func(s *v1alpha1.ProjectionStatus) { s.Revisions[0].Reason = v1alpha1.ReasonAwaitingPromotion })
		}},
		{"status-replay", []string{"status", "order-summary"}, func(w *world) {
			w.replayed("again")
			w.replay("once-more", v1alpha1.ReplayQueued, "Replay again of Projection order-summary goes first", nil)
		}},
		{"revisions-replay", []string{"revisions", "order-summary"}, func(w *world) { w.replayed("again") }},
		{"replay-again", []string{"replay", "order-summary", "--token", "once"}, func(w *world) { w.spec(func(s *v1alpha1.ProjectionSpec) { s.ReplayToken = "once" }) }},
		{"replay-watch", []string{"replay", "order-summary", "--watch"}, func(w *world) {
			w.pod("order-summary-a", w.active.Revision, 12, partition(0, 6000000, 6000000), partition(1, 6000000, 6000014), partition(2, 6000000, 6000000))
			figures := func(position int64) func() {
				return func() {
					w.pod("order-summary-b", next, 81300, partition(0, position, 6000000), partition(1, position, 6000014), partition(2, position, 6000000))
				}
			}
			w.steps = []func(){
				func() {
					w.building(v1alpha1.RevisionBuilding, ">1M", "")
					w.status(func(s *v1alpha1.ProjectionStatus) { s.Revisions[0].Attempt = "u-again" })
				},
				figures(3800000), figures(3810000), figures(5990000),
				func() {
					w.status(func(s *v1alpha1.ProjectionStatus) {
						s.Revisions[0].State, s.Revisions[0].Lag = v1alpha1.RevisionPromoting, "0"
					})
				},
				w.promoted,
				func() {
					w.replayStatus("order-summary-20261126-120000", func(s *v1alpha1.ReplayStatus) {
						s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue}}
					})
				},
			}
		}},
		{"promote-help", []string{"promote", "--help"}, nil},
	})
}

// clusterScreen is what a command says, and writes, in a world.
type clusterScreen struct {
	name  string
	args  []string
	given func(*world)
}

func clusterScreens(t *testing.T, all []clusterScreen) {
	t.Helper()
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.given != nil {
				c.given(w)
			}
			goldentest.Equal(t, filepath.Join("testdata", "cluster", c.name+".golden"), w.call(c.args...))
		})
	}
}

// attempt makes the active revision one that a Replay of that UID asked for.
func (w *world) attempt(uid string) {
	w.t.Helper()
	o := new(appsv1.ControllerRevision)
	key := client.ObjectKey{Namespace: w.projection.Namespace, Name: "order-summary-" + w.active.Revision}
	if err := w.client.Get(w.t.Context(), key, o); err != nil {
		w.t.Fatal(err)
	}
	asked := *w.active
	asked.Attempt = uid
	data, err := json.Marshal(asked)
	if err != nil {
		w.t.Fatal(err)
	}
	o.Data.Raw = data
	if err := w.client.Update(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

// TestReplayVerify: --verify is the Replay's own verify, and without it there is none.
func TestReplayVerify(t *testing.T) {
	for text, want := range map[string]*v1alpha1.Verify{"": nil, "all": {Sample: "100%"}, "sample=0.5%": {Sample: "0.5%"}} {
		w := newWorld(t)
		w.call("replay", "order-summary", "--verify", text)
		var list v1alpha1.ReplayList
		if err := w.client.List(t.Context(), &list); err != nil || len(list.Items) != 1 {
			t.Fatalf("%q: %d Replays (%v)", text, len(list.Items), err)
		}
		if got := list.Items[0].Spec.Verify; (got == nil) != (want == nil) || want != nil && got.Sample != want.Sample {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// TestCompletion completes names from the cluster, and says nothing where there is none.
func TestCompletion(t *testing.T) {
	if got := newWorld(t).call("__complete", "promote", ""); !strings.Contains(got, "order-summary\n") {
		t.Error(got)
	}
}
