// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/apply"
	"github.com/projectionist-dev/projectionist/controllers/plan/rollout"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/statuscheck"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func readyCondition() []metav1.Condition {
	return []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Reachable", Message: "m"}}
}

func compiled(revision string) *contract.Contract {
	return &contract.Contract{Version: 1, Revision: revision, DataHash: "1:" + revision, LagTargetSeconds: 60}
}

func partition(n int32, edit func(*progress.Partition)) progress.Partition {
	p := progress.Partition{PartitionStatus: contract.PartitionStatus{Topic: "orders", Partition: n, CaughtUp: true, UpdatedAt: now}, Known: true, Once: true, Owned: true}
	if edit != nil {
		edit(&p)
	}
	return p
}

// healthy is a projection that is caught up.
func healthy() *Observation {
	c := compiled("aaaaaaaaaa")
	d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: ptr.To[int32](1)}, Status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1}}
	return &Observation{
		Now:        now,
		Projection: &v1alpha1.Projection{ObjectMeta: metav1.ObjectMeta{Name: "totals", Namespace: "shop", Generation: 3}, Spec: v1alpha1.ProjectionSpec{Topics: []v1alpha1.TopicRef{{Name: "orders"}}, LagTargetSeconds: 60, Projector: v1alpha1.ProjectorSpec{Replicas: 1}}},
		Store:      &v1alpha1.ReadStore{Status: v1alpha1.ReadStoreStatus{ObservedGeneration: ptr.To[int64](0), Conditions: readyCondition()}},
		Broker:     &v1alpha1.EventBroker{Status: v1alpha1.EventBrokerStatus{ObservedGeneration: ptr.To[int64](0), Conditions: readyCondition()}},
		Topics:     map[string]*v1alpha1.EventTopic{"orders": {Status: v1alpha1.EventTopicStatus{ObservedGeneration: ptr.To[int64](0), Partitions: 2, Conditions: readyCondition()}}},
		Spec:       Spec{Contract: c}, Running: &Running{Revision: c.Revision, Deployment: d}, Target: Target{Contract: c},
		Facts:   &contract.RevisionFacts{Active: c.Revision, Sequence: 1},
		Rollout: rollout.Decision{Active: c.Revision, Target: c.Revision, Wanted: c.Revision},
		Prepare: actions.State{Result: &contract.Result{OK: true}},
		Progress: progress.Snapshot{
			Asked: 1, Answered: 1, Fresh: true, Heard: true, Source: contract.Health{OK: true}, Store: contract.Health{OK: true},
			Expected: map[string]int32{"orders": 2}, Partitions: []progress.Partition{partition(0, nil), partition(1, nil)},
		},
	}
}

func fresh(o *Observation) {
	o.Running, o.Prepare, o.Progress, o.Facts, o.Rollout.Active = nil, actions.State{}, progress.Snapshot{}, nil, ""
}

func TestProjectionStates(t *testing.T) {
	late := func(p *progress.Partition) { p.Behind = 2 * time.Minute }
	for name, c := range map[string]struct {
		edit                func(*Observation)
		ready               metav1.ConditionStatus
		reason, word, lag   string
		kstatus             string
		available, accepted metav1.ConditionStatus
		contains            string
	}{
		"caught up": {nil, "True", "CaughtUp", "CaughtUp", "0", "Current", "True", "True", ""},
		"refused while running": {func(o *Observation) { o.Spec = Spec{Reason: "InvalidSpec", Message: "models[x]: wrong"} },
			"False", "InvalidSpec", "Refused", "0", "Failed", "True", "False", "Revision aaaaaaaaaa goes on"},
		"refused at first": {func(o *Observation) {
			fresh(o)
			o.Spec = Spec{Reason: "OrderNotGuaranteed", Message: "m"}
			o.Target = Target{}
		},
			"False", "OrderNotGuaranteed", "Refused", "", "Failed", "False", "False", ""},
		"reference missing": {func(o *Observation) {
			fresh(o)
			o.Spec = Spec{Reason: "ReferenceMissing", Message: "m"}
			o.Target = Target{}
			o.Topics = nil
			o.Store = nil
		},
			"False", "ReferenceMissing", "Waiting", "", "InProgress", "False", "Unknown", ""},
		"building": {func(o *Observation) { o.Rollout.Say = &rollout.Say{Reason: "Building", Message: "3 of 12 partitions"} },
			"False", "Building", "Rebuilding", "0", "InProgress", "True", "True", "3 of 12"},
		"a build that needs a human": {func(o *Observation) {
			o.Rollout.Say = &rollout.Say{Kind: rollout.Stuck, Reason: "ReplayNotPossible", Message: "gone"}
		},
			"False", "ReplayNotPossible", "Stalled", "0", "Failed", "True", "True", "gone"},
		"pinned": {func(o *Observation) {
			o.Rollout.Say = &rollout.Say{Kind: rollout.Resting, Reason: "Pinned", Message: "kept"}
		},
			"False", "Pinned", "Waiting", "0", "InProgress", "True", "True", "kept"},
		"what mends it is on its way": {func(o *Observation) {
			o.Rollout.Say = &rollout.Say{Reason: "Building", Message: "on its way"}
			o.Progress.Partitions[1] = partition(1, func(p *progress.Partition) {
				p.Stopped = &contract.Stop{Position: "7", Reason: "HandlerError", Message: "m"}
			})
		},
			"False", "Building", "Rebuilding", "0", "InProgress", "True", "True", "Of the revision that readers see: Partition orders/1 stopped"},
		"the store is down while it builds": {func(o *Observation) {
			o.Rollout.Say = &rollout.Say{Reason: "Building", Message: "on its way"}
			o.Progress.Store = contract.Health{Reason: "Unreachable", Message: "m"}
		},
			"False", "WaitingForStore", "Waiting", "0", "InProgress", "True", "True", ""},
		"store not ready": {func(o *Observation) {
			fresh(o)
			o.Store.Status.Conditions[0].Status = "False"
			o.Store.Status.Conditions[0].Reason = "Unreachable"
		},
			"False", "WaitingForStore", "Waiting", "", "InProgress", "False", "True", ""},
		"topic changed, not looked at": {func(o *Observation) { fresh(o); o.Topics["orders"].Generation = 7 },
			"False", "WaitingForSource", "Waiting", "", "InProgress", "False", "True", ""},
		"preparing": {fresh, "False", "Preparing", "Preparing", "", "InProgress", "False", "True", ""},
		"name taken": {func(o *Observation) {
			fresh(o)
			o.Prepare = actions.State{Result: &contract.Result{Reason: "NameTaken", Path: "spec.models", Message: "taken"}}
		},
			"False", "NameTaken", "Stalled", "", "Failed", "False", "True", "spec.models: taken"},
		"prepare failed for now": {func(o *Observation) {
			fresh(o)
			o.Prepare = actions.State{Result: &contract.Result{Reason: "Unreachable", Message: "m", Retryable: true}}
		},
			"False", "Unreachable", "Waiting", "", "InProgress", "False", "True", ""},
		"a reason of no form": {func(o *Observation) {
			fresh(o)
			o.Prepare = actions.State{Result: &contract.Result{Reason: "not a reason!", Message: "m"}}
		},
			"False", "ProbeFailed", "Stalled", "", "Failed", "False", "True", ""},
		"starting": {func(o *Observation) { o.Running = nil; o.Progress = progress.Snapshot{} },
			"False", "Starting", "Preparing", "", "InProgress", "True", "True", ""},
		"rolling": {func(o *Observation) { o.Running.Deployment.Status.UpdatedReplicas = 0 },
			"False", "Starting", "Preparing", "0", "InProgress", "True", "True", ""},
		"suspended": {func(o *Observation) { o.Projection.Spec.Suspend = ptr.To(true); o.Progress = progress.Snapshot{} },
			"False", "Suspended", "Suspended", "", "InProgress", "True", "True", ""},
		"catching up": {func(o *Observation) {
			o.Progress.Partitions[1] = partition(1, func(p *progress.Partition) { late(p); p.Once, p.Lag = false, 5000 })
		},
			"False", "CatchingUp", "CatchingUp", "<10k", "InProgress", "True", "True", ""},
		"behind, within the target": {func(o *Observation) {
			o.Progress.Partitions[1] = partition(1, func(p *progress.Partition) { p.CaughtUp, p.Lag = false, 5000 })
		},
			"True", "WithinLagTarget", "CatchingUp", "<10k", "Current", "True", "True", "1 of 2 partitions"},
		"the newest events on their way": {func(o *Observation) {
			o.Progress.Partitions[1] = partition(1, func(p *progress.Partition) { p.CaughtUp, p.Lag = false, 99 })
		},
			"True", "CaughtUp", "CaughtUp", "<100", "Current", "True", "True", "fewer than 100"},
		"lagging": {func(o *Observation) { o.Progress.Partitions[1] = partition(1, late) },
			"False", "Lagging", "CatchingUp", "0", "InProgress", "True", "True", ""},
		"unowned": {func(o *Observation) {
			o.Progress.Partitions[1] = partition(1, func(p *progress.Partition) { p.Known, p.Owned, p.UpdatedAt = false, false, time.Time{} })
		},
			"False", "Starting", "Preparing", "", "InProgress", "True", "True", ""},
		"between owners for a moment": {func(o *Observation) {
			o.Progress.Partitions[1] = partition(1, func(p *progress.Partition) { p.Owned = false })
		},
			"True", "CaughtUp", "CaughtUp", "0", "Current", "True", "True", ""},
		"stopped": {func(o *Observation) {
			o.Progress.Partitions[1] = partition(1, func(p *progress.Partition) {
				p.Stopped = &contract.Stop{Position: "7", Reason: "DecodeError", Message: "the payload is not JSON."}
			})
		}, "False", "DecodeError", "Stalled", "0", "Failed", "True", "True", "Partition orders/1 stopped at position 7: the payload is not JSON. Nothing after"},
		"source down": {func(o *Observation) { o.Progress.Source = contract.Health{Reason: "Unreachable", Message: "m"} },
			"False", "WaitingForSource", "Waiting", "0", "InProgress", "True", "True", ""},
		"taken": {func(o *Observation) { o.Blocked = Blocked(&apply.TakenError{Kind: "Service", Name: "totals"}) }, "False", "ObjectTaken", "Stalled", "0", "Failed", "True", "True", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := healthy()
			if c.edit != nil {
				c.edit(o)
			}
			s := Projection(o)
			subject := statuscheck.Subject{Kind: "Projection", Generation: 3, ObservedGeneration: *s.ObservedGeneration, Conditions: s.Conditions}
			for _, bad := range statuscheck.Check(subject) {
				t.Error(bad)
			}
			r := Find(s.Conditions, "Ready")
			if r.Status != c.ready || r.Reason != c.reason || s.Status != c.word || s.Lag != c.lag {
				t.Errorf("Ready %s %s (%s), %s, lag %q", r.Status, r.Reason, r.Message, s.Status, s.Lag)
			}
			if !strings.Contains(r.Message, c.contains) {
				t.Errorf("message: %s", r.Message)
			}
			if k := statuscheck.Kstatus(subject); k != c.kstatus {
				t.Errorf("kstatus %s", k)
			}
			if a := Find(s.Conditions, "Available").Status; a != c.available {
				t.Errorf("Available %s", a)
			}
			if a := Find(s.Conditions, "SpecAccepted").Status; a != c.accepted {
				t.Errorf("SpecAccepted %s", a)
			}
		})
	}
}

// The lag target takes effect without another prepare, a connection does not.
func TestInputs(t *testing.T) {
	aim := func(edit func(*contract.Contract)) Target {
		c := compiled("aaaaaaaaaa")
		edit(c)
		got, err := Aim(c, "uid-1")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	base := aim(func(*contract.Contract) {})
	lag := aim(func(c *contract.Contract) { c.LagTargetSeconds = 5 })
	store := aim(func(c *contract.Contract) { c.Store.Name = "x" })
	if lag.Inputs != base.Inputs || lag.Digest == base.Digest || store.Inputs == base.Inputs {
		t.Errorf("%+v %+v %+v", base, lag, store)
	}
	again, err := Aim(compiled("aaaaaaaaaa"), "uid-2")
	if err != nil || again.Inputs == base.Inputs || again.Digest != base.Digest {
		t.Errorf("a revision that is built again is taken for prepared: %+v", again)
	}
}

func TestReplicas(t *testing.T) {
	p := healthy().Projection
	for _, c := range []struct {
		asked, partitions, want int32
		suspend                 bool
	}{{1, 0, 1, false}, {9, 0, 9, false}, {9, 4, 4, false}, {4, 4, 4, false}, {0, 4, 1, false}, {9, 4, 0, true}} {
		p.Spec.Projector.Replicas, p.Spec.Suspend = c.asked, ptr.To(c.suspend)
		n, limited := Replicas(p, c.partitions)
		if n != c.want || (limited != "") != (c.asked > c.partitions && c.partitions > 0 && !c.suspend) {
			t.Errorf("%+v: %d %q", c, n, limited)
		}
	}
}

// A transition time moves only with the status it belongs to.
func TestTransitionTimes(t *testing.T) {
	before := Conditions(nil, 1, now, working("Probing", "m"))
	same := Conditions(before, 2, now.Add(time.Hour), working("Unreachable", "m"))
	other := Conditions(before, 2, now.Add(time.Hour), ready("Reachable", "m"))
	if !same[0].LastTransitionTime.Time.Equal(now) || other[0].LastTransitionTime.Time.Equal(now) {
		t.Errorf("%v %v", same[0].LastTransitionTime, other[0].LastTransitionTime)
	}
}

func TestTopicStates(t *testing.T) {
	for name, c := range map[string]struct {
		facts          contract.TopicFacts
		status, reason string
	}{
		"kept for ever": {contract.TopicFacts{Partitions: 3, CleanupPolicy: "delete", RetentionMillis: -1, RetentionBytes: -1}, "True", "FullHistory"},
		"still there":   {contract.TopicFacts{Partitions: 3, CleanupPolicy: "delete", RetentionMillis: 86400000, RetentionBytes: -1}, "True", "RetentionLimited"},
		"trimmed":       {contract.TopicFacts{Partitions: 3, CleanupPolicy: "delete", RetentionMillis: -1, RetentionBytes: -1, Trimmed: 1}, "False", "EventsTrimmed"},
		"compacted":     {contract.TopicFacts{Partitions: 3, CleanupPolicy: "compact,delete", RetentionMillis: -1, RetentionBytes: -1}, "False", "Compacted"},
	} {
		o := healthy()
		result := &contract.Result{OK: true, Topic: &c.facts}
		topic := &v1alpha1.EventTopic{ObjectMeta: metav1.ObjectMeta{Name: "orders", Generation: 2}}
		s := Topic(TopicInput{Topic: topic, Broker: o.Broker, Probe: actions.State{Result: result, LastGood: result}}, now)
		got := Find(s.Conditions, "ReplayPossible")
		if string(got.Status) != c.status || got.Reason != c.reason || s.Partitions != 3 {
			t.Errorf("%s: %+v", name, got)
		}
		for _, bad := range statuscheck.Check(statuscheck.Subject{Kind: "EventTopic", Generation: 2, ObservedGeneration: *s.ObservedGeneration, Conditions: s.Conditions}) {
			t.Errorf("%s: %s", name, bad)
		}
	}
}

func TestSchemaRegistryOfABroker(t *testing.T) {
	with := v1alpha1.EventBrokerSpec{SchemaRegistry: v1alpha1.SchemaRegistry{URLs: []string{"http://registry:8081"}}}
	for name, c := range map[string]struct {
		spec           v1alpha1.EventBrokerSpec
		facts          *contract.RegistryFacts
		status, reason string
	}{
		"none":             {v1alpha1.EventBrokerSpec{}, nil, "", ""},
		"not asked yet":    {with, nil, "Unknown", "Pending"},
		"there":            {with, &contract.RegistryFacts{OK: true}, "True", "Reachable"},
		"away":             {with, &contract.RegistryFacts{Reason: "SchemaRegistryUnreachable", Message: "x"}, "False", "SchemaRegistryUnreachable"},
		"without a reason": {with, &contract.RegistryFacts{}, "False", "Unreachable"},
	} {
		result := &contract.Result{OK: true, Broker: &contract.BrokerFacts{ClusterID: "k", Brokers: 3, Registry: c.facts}}
		s := Broker(&v1alpha1.EventBroker{Spec: c.spec}, actions.State{Result: result, LastGood: result}, now)
		if r := Find(s.Conditions, "Ready"); r.Status != metav1.ConditionTrue {
			t.Errorf("%s: the broker itself is not ready: %+v", name, r)
		}
		got := Find(s.Conditions, "SchemaRegistryReady")
		if c.status == "" {
			if got != nil {
				t.Errorf("%s: %+v", name, got)
			}
			continue
		}
		if got == nil || string(got.Status) != c.status || got.Reason != c.reason {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
