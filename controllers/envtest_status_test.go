// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/progress"
)

// behind makes partition 0 lag so far.
func (w *world) behind(lag *int64) {
	good := w.poller.answer
	w.poller.answer = func(target progress.Target) (*contract.ProjectorStatus, error) {
		s, err := good(target)
		if err == nil && len(s.Partitions) > 0 {
			s.Partitions[0].Lag, s.Partitions[0].CaughtUp = *lag, *lag == 0
		}
		return s, err
	}
}

// passes lets all work for some seconds, while something is tried again and again.
func (w *world) passes(n int) {
	w.t.Helper()
	for range n {
		w.pass()
		w.check()
		w.runJobs()
		w.runDeployments()
		w.now = w.now.Add(time.Second)
	}
}

// recorded empties the recorder.
func (w *world) recorded() []string {
	var out []string
	for len(w.recorder.Events) > 0 {
		out = append(out, <-w.recorder.Events)
	}
	return out
}

// The word and the lag are written together, never contradict, and a busy
// projection changes them at most every 30 seconds, without an Event.
func TestWordAndLagAgree(t *testing.T) {
	w := newWorld(t)
	w.running()
	w.recorded()
	lag := int64(5000)
	w.behind(&lag)
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	p := w.projection()
	message := w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonWithinLagTarget)
	if p.Status.Status != "CatchingUp" || p.Status.Lag != "<10k" || !strings.Contains(message, "1 of 4 partitions") {
		t.Errorf("%s, lag %s: %s", p.Status.Status, p.Status.Lag, message)
	}
	lag = 99
	w.now = w.now.Add(31 * time.Second)
	w.settle()
	if p = w.projection(); p.Status.Status != "CaughtUp" || p.Status.Lag != "<100" {
		t.Errorf("%s, lag %s", p.Status.Status, p.Status.Lag)
	}
	var writes int64
	for i := range 24 {
		lag = int64(i%3) * 40_000
		w.now = w.now.Add(5 * time.Second)
		writes += w.pass()
		w.check()
		p = w.projection()
		caughtUp := p.Status.Lag == "0" || p.Status.Lag == "<100"
		if (p.Status.Status == "CaughtUp") != caughtUp {
			t.Fatalf("%s with lag %s", p.Status.Status, p.Status.Lag)
		}
	}
	if writes == 0 || writes > 5 {
		t.Errorf("%d writes in two minutes in which nothing but how far it is changed", writes)
	}
	if events := w.recorded(); len(events) != 0 {
		t.Errorf("events: %q", events)
	}
}

// A pod that is replaced is no news while its answers are remembered.
func TestReplacedPodIsNoEvent(t *testing.T) {
	w := newWorld(t)
	w.running()
	w.recorded()
	d := w.deployment()
	d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas = 0, 0, 0, 0
	w.must(w.c.Status().Update(w.ctx, d))
	w.must(w.c.DeleteAllOf(w.ctx, &corev1.Pod{}, client.InNamespace(w.ns), client.MatchingLabels{"app.kubernetes.io/component": "projector"}, client.GracePeriodSeconds(0)))
	w.now = w.now.Add(time.Second)
	w.pass()
	w.check()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	w.now = w.now.Add(2 * time.Second)
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	if events := w.recorded(); len(events) != 0 {
		t.Errorf("events: %q", events)
	}
}

// What a cache shows that is behind is neither written over nor announced twice.
func TestStaleCache(t *testing.T) {
	w := newWorld(t)
	b, topic, s, p := w.objects()
	w.create(b, topic, s, p)
	w.pass()
	stale := w.projection()
	w.settle()
	w.recorded()
	fresh := w.projection()
	w.proj.Client = interceptor.NewClient(w.c.(client.WithWatch), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if p, ok := o.(*v1alpha1.Projection); ok {
				stale.DeepCopyInto(p)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	if _, err := w.proj.Reconcile(w.ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(stale)}); err != nil {
		t.Fatal(err)
	}
	if events := w.recorded(); len(events) != 0 {
		t.Errorf("events: %q", events)
	}
	if got := w.projection(); got.ResourceVersion != fresh.ResourceVersion {
		t.Error("the status was written over")
	}
}

// A broker that moved is followed although the projectors, which know only its
// old address, say that it is down.
func TestNewAddressMendsAnOutage(t *testing.T) {
	w := newWorld(t)
	w.running()
	good, before := w.poller.answer, w.deployment()
	w.poller.answer = func(target progress.Target) (*contract.ProjectorStatus, error) {
		s, err := good(target)
		if err == nil {
			s.Source = contract.Health{Reason: "Unreachable", Message: "kafka:9092 does not answer"}
			s.Store = contract.Health{Reason: "AuthenticationFailed", Message: "the password of app is refused"}
		}
		return s, err
	}
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	w.wants(w.projection(), "SourceReady", metav1.ConditionFalse, "Unreachable")
	var b v1alpha1.EventBroker
	w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: "main"}, &b))
	b.Spec.Kafka.BootstrapServers = []string{"kafka-2:9092"}
	w.must(w.c.Update(w.ctx, &b))
	w.settle()
	if d := w.deployment(); d.Generation == before.Generation {
		t.Fatal("the projectors keep the old address for ever")
	}
	w.poller.answer = good
	w.now = w.now.Add(5 * time.Second)
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

// An expression of a topic that does not compile shows on the topic.
func TestTopicWithBadExpression(t *testing.T) {
	w := newWorld(t)
	b, topic, _, _ := w.objects()
	topic.Spec.KeyedBy = "event.("
	w.create(b, topic)
	w.settle()
	w.must(w.c.Get(w.ctx, client.ObjectKeyFromObject(topic), topic))
	c := find(topic.Status.Conditions, "Stalled")
	if c == nil || c.Reason != v1alpha1.ReasonInvalidSpec || !strings.HasPrefix(c.Message, "keyedBy: ") {
		t.Errorf("%+v", topic.Status.Conditions)
	}
	topic.Spec.KeyedBy = "event.id"
	w.must(w.c.Update(w.ctx, topic))
	w.settle()
	w.must(w.c.Get(w.ctx, client.ObjectKeyFromObject(topic), topic))
	if c := find(topic.Status.Conditions, "Ready"); c == nil || c.Status != metav1.ConditionTrue {
		t.Errorf("%+v", topic.Status.Conditions)
	}
}

// What the API server refuses is said in the status, and mends with the spec.
func TestRefusedObject(t *testing.T) {
	w := newWorld(t)
	w.running()
	w.change(func(p *v1alpha1.Projection) {
		p.Spec.Projector.ServiceAccountName = "no such name"
		p.Spec.Projector.Labels = map[string]v1alpha1.LabelValue{"no such key!": "x"}
	})
	w.passes(8)
	message := w.wants(w.projection(), "Stalled", metav1.ConditionTrue, v1alpha1.ReasonObjectRefused)
	if !strings.Contains(message, "Deployment") || !strings.Contains(message, "no such key!") {
		t.Errorf("message: %s", message)
	}
	w.change(func(p *v1alpha1.Projection) { p.Spec.Projector.Labels, p.Spec.Projector.ServiceAccountName = nil, "" })
	w.settle()
	w.wants(w.projection(), "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
}

// A quota that forbids Jobs is waited for, and said.
func TestQuota(t *testing.T) {
	w := newWorld(t)
	none := corev1.ResourceList{"count/jobs.batch": resource.MustParse("0")}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
	w.create(quota)
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none}
	w.must(w.c.Status().Update(w.ctx, quota))
	b, _, s, _ := w.objects()
	w.create(b, s)
	w.passes(3)
	w.must(w.c.Get(w.ctx, client.ObjectKeyFromObject(b), b))
	c := find(b.Status.Conditions, "Reconciling")
	if c == nil || c.Reason != v1alpha1.ReasonObjectRefused || !strings.Contains(c.Message, "quota") {
		t.Fatalf("%+v", b.Status.Conditions)
	}
}

// A Projection that is deleted and made again at once waits for what its
// predecessor leaves behind: that needs no human.
func TestMadeAgainAtOnce(t *testing.T) {
	w := newWorld(t)
	p := w.running()
	w.must(w.c.Delete(w.ctx, p))
	_, _, _, again := w.objects()
	w.create(again)
	w.settle() // There is no garbage collector here: the old objects stay.
	p = w.projection()
	message := w.wants(p, "Reconciling", metav1.ConditionTrue, v1alpha1.ReasonStarting)
	if !strings.Contains(message, "deleted") || statusOf(p, "Stalled") != "" {
		t.Errorf("message: %s", message)
	}
}

// Contracts that were never run do not pile up.
func TestContractsDoNotPileUp(t *testing.T) {
	w := newWorld(t)
	w.results = func(r contract.Request) *contract.Result {
		if r.Action == contract.ActionPrepare {
			return &contract.Result{Reason: "NameTaken", Message: "table totals exists and is not this projection's"}
		}
		return goodResult(r)
	}
	b, topic, s, p := w.objects()
	w.create(b, topic, s, p)
	for i := range 4 {
		for range 6 {
			w.pass()
			w.check()
			w.runJobs()
		}
		w.now = w.now.Add(2 * time.Minute)
		w.change(func(p *v1alpha1.Projection) {
			p.Spec.Models[0].Handlers[0].Add["total"] = v1alpha1.Expression(fmt.Sprintf("event.amount * %d", i+2))
		})
	}
	w.pass()
	w.pass()
	var maps corev1.ConfigMapList
	w.must(w.c.List(w.ctx, &maps, client.InNamespace(w.ns), client.MatchingLabels{"app.kubernetes.io/managed-by": "projectionist"}))
	if len(maps.Items) != 1 {
		t.Errorf("%d contracts are kept", len(maps.Items))
	}
}

// Until the tables are dropped, the word says that it is being deleted.
func TestDeletingSaysSo(t *testing.T) {
	w := newWorld(t)
	w.running()
	w.change(func(p *v1alpha1.Projection) { p.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete })
	w.settle()
	p := w.projection()
	w.must(w.c.Delete(w.ctx, p))
	w.pass()
	if got := w.projection(); got.Status.Status != "Deleting" || statusOf(got, "Ready") != metav1.ConditionFalse {
		t.Errorf("status: %+v", got.Status)
	}
	w.deleting(p)
}

// A schema registry that is away leaves its broker ready, and is asked again soon.
func TestSchemaRegistryIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	away := true
	w.results = func(r contract.Request) *contract.Result {
		out := goodResult(r)
		if r.Action == contract.ActionProbeBroker {
			out.Broker.Registry = &contract.RegistryFacts{OK: !away}
			if away {
				out.Broker.Registry.Reason, out.Broker.Registry.Message = "SchemaRegistryUnreachable", "the schema registry does not answer"
			}
		}
		return out
	}
	b, _, _, _ := w.objects()
	b.Spec.SchemaRegistry.URLs = []string{"http://registry:8081"}
	w.create(b)
	wants := func(condition string, status metav1.ConditionStatus, reason string) {
		t.Helper()
		w.settle()
		w.must(w.c.Get(w.ctx, client.ObjectKeyFromObject(b), b))
		if c := find(b.Status.Conditions, condition); c == nil || c.Status != status || c.Reason != reason {
			t.Errorf("%s: %+v", condition, b.Status.Conditions)
		}
	}
	wants("Ready", metav1.ConditionTrue, v1alpha1.ReasonReachable)
	wants("SchemaRegistryReady", metav1.ConditionFalse, "SchemaRegistryUnreachable")
	away = false
	w.now = w.now.Add(3 * time.Minute)
	wants("SchemaRegistryReady", metav1.ConditionTrue, v1alpha1.ReasonReachable)
}
