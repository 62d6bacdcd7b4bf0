// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/resources"
	"github.com/projectionist-dev/projectionist/controllers/statuscheck"
)

var config *rest.Config

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	env := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("..", "config", "crd", "bases")}, ErrorIfCRDPathMissing: true}
	var err error
	if config, err = env.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "envtest:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := env.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "envtest:", err)
	}
	os.Exit(code)
}

// world is a namespace with the reconcilers, a clock, an executor of Jobs, a
// stand-in for the workload controllers, and projectors that answer as told.
type world struct {
	t         *testing.T
	ctx       context.Context
	ns        string
	c         client.Client
	recorder  *events.FakeRecorder
	broker    *controllers.EventBrokerReconciler
	topic     *controllers.EventTopicReconciler
	store     *controllers.ReadStoreReconciler
	proj      *controllers.ProjectionReconciler
	replay    *controllers.ReplayReconciler
	now       time.Time
	mutations atomic.Int64
	// last says what the newest mutating request was.
	last atomic.Value
	// results answers Jobs; a nil answer leaves the Job running.
	results func(contract.Request) *contract.Result
	poller  *fakePoller
	options controllers.Options
	// book is what the store knows of revisions.
	book book
}

type fakePoller struct {
	mu     sync.Mutex
	answer func(progress.Target) (*contract.ProjectorStatus, error)
	asked  int
}

func (f *fakePoller) Poll(_ context.Context, t progress.Target) (*contract.ProjectorStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.answer(t)
}

var namespaceCount atomic.Int64

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := t.Context()
	scheme, err := controllers.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	direct, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ctx: ctx, c: direct, ns: fmt.Sprintf("t%d-%s", namespaceCount.Add(1), strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))), now: time.Now()}
	if len(w.ns) > 60 {
		w.ns = strings.TrimRight(w.ns[:60], "-")
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	w.must(direct.Create(ctx, ns))
	w.results = goodResult
	w.poller, w.book = &fakePoller{}, book{}
	w.poller.answer = func(target progress.Target) (*contract.ProjectorStatus, error) { return w.caughtUp(target) }
	w.options = controllers.Options{ProjectorImage: "example.com/projectionist:test", ClusterID: "cluster-1"}
	w.restart()
	return w
}

// restart gives new reconcilers, as a restart of the operator does.
func (w *world) restart() {
	w.recorder = events.NewFakeRecorder(100)
	count := func(verb string, o any) {
		w.mutations.Add(1)
		data, _ := json.Marshal(o)
		w.last.Store(verb + " " + string(data))
	}
	counted := interceptor.NewClient(w.c.(client.WithWatch), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			count("create", o)
			return c.Create(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			count("delete", o)
			return c.Delete(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			count("patch", o)
			return c.Patch(ctx, o, p, opts...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			count("apply", o)
			return c.Apply(ctx, o, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			count("patch status", o)
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	})
	base := controllers.Base{Client: counted, Live: w.c, Scheme: w.c.Scheme(), Recorder: w.recorder, Now: func() time.Time { return w.now }, Options: w.options}
	w.broker = &controllers.EventBrokerReconciler{Base: base}
	w.topic = &controllers.EventTopicReconciler{Base: base}
	w.store = &controllers.ReadStoreReconciler{Base: base}
	w.proj = &controllers.ProjectionReconciler{Base: base, Poller: w.poller, Tracker: progress.NewTracker()}
	w.replay = &controllers.ReplayReconciler{Base: base, Tracker: w.proj.Tracker}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// pass reconciles everything once and gives the number of mutating requests.
func (w *world) pass() int64 {
	w.t.Helper()
	before := w.mutations.Load()
	for _, kind := range []struct {
		list client.ObjectList
		r    interface {
			Reconcile(context.Context, ctrl.Request) (ctrl.Result, error)
		}
	}{
		{&v1alpha1.EventBrokerList{}, w.broker}, {&v1alpha1.EventTopicList{}, w.topic},
		{&v1alpha1.ReadStoreList{}, w.store}, {&v1alpha1.ProjectionList{}, w.proj},
		{&v1alpha1.ReplayList{}, w.replay},
	} {
		w.must(w.c.List(w.ctx, kind.list, client.InNamespace(w.ns)))
		for _, name := range namesOf(kind.list) {
			if _, err := kind.r.Reconcile(w.ctx, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: w.ns, Name: name}}); err != nil {
				w.t.Fatalf("reconcile %s: %v", name, err)
			}
		}
	}
	return w.mutations.Load() - before
}

func namesOf(list client.ObjectList) []string {
	var out []string
	switch l := list.(type) {
	case *v1alpha1.EventBrokerList:
		for _, o := range l.Items {
			out = append(out, o.Name)
		}
	case *v1alpha1.EventTopicList:
		for _, o := range l.Items {
			out = append(out, o.Name)
		}
	case *v1alpha1.ReadStoreList:
		for _, o := range l.Items {
			out = append(out, o.Name)
		}
	case *v1alpha1.ProjectionList:
		for _, o := range l.Items {
			out = append(out, o.Name)
		}
	case *v1alpha1.ReplayList:
		for _, o := range l.Items {
			out = append(out, o.Name)
		}
	}
	return out
}

// settle lets the operator and the cluster work until nothing changes any more,
// and checks every status on the way.
func (w *world) settle() {
	w.t.Helper()
	for range 40 {
		changed := w.pass() > 0
		w.check()
		changed = w.runJobs() || changed
		changed = w.runDeployments() || changed
		if !changed {
			return
		}
		w.now = w.now.Add(time.Second)
	}
	w.t.Fatalf("it does not settle: %v", w.last.Load())
}

// check holds every status against the table of states.
func (w *world) check() {
	w.t.Helper()
	var subjects []statuscheck.Subject
	add := func(kind string, o client.Object, observed *int64, conditions []metav1.Condition) {
		if o.GetDeletionTimestamp().IsZero() {
			subjects = append(subjects, statuscheck.Subject{Kind: kind, Generation: o.GetGeneration(), ObservedGeneration: ptr.Deref(observed, -1), Conditions: conditions})
		}
	}
	var bs v1alpha1.EventBrokerList
	var ts v1alpha1.EventTopicList
	var ss v1alpha1.ReadStoreList
	var ps v1alpha1.ProjectionList
	var rs v1alpha1.ReplayList
	for _, l := range []client.ObjectList{&bs, &ts, &ss, &ps, &rs} {
		w.must(w.c.List(w.ctx, l, client.InNamespace(w.ns)))
	}
	for i := range bs.Items {
		add("EventBroker", &bs.Items[i], bs.Items[i].Status.ObservedGeneration, bs.Items[i].Status.Conditions)
	}
	for i := range ts.Items {
		add("EventTopic", &ts.Items[i], ts.Items[i].Status.ObservedGeneration, ts.Items[i].Status.Conditions)
	}
	for i := range ss.Items {
		add("ReadStore", &ss.Items[i], ss.Items[i].Status.ObservedGeneration, ss.Items[i].Status.Conditions)
	}
	for i := range ps.Items {
		add("Projection", &ps.Items[i], ps.Items[i].Status.ObservedGeneration, ps.Items[i].Status.Conditions)
	}
	for i := range rs.Items {
		add("Replay", &rs.Items[i], rs.Items[i].Status.ObservedGeneration, rs.Items[i].Status.Conditions)
	}
	for _, s := range subjects {
		for _, bad := range statuscheck.Check(s) {
			w.t.Errorf("%s: %s", s.Kind, bad)
		}
	}
}

// runJobs is the Job controller and the kubelet: each unfinished Job gets a pod
// that leaves a result.
func (w *world) runJobs() bool {
	w.t.Helper()
	var jobs batchv1.JobList
	w.must(w.c.List(w.ctx, &jobs, client.InNamespace(w.ns)))
	changed := false
	for i := range jobs.Items {
		job := &jobs.Items[i]
		if len(job.Status.Conditions) > 0 || !job.DeletionTimestamp.IsZero() {
			continue
		}
		var req contract.Request
		for _, e := range job.Spec.Template.Spec.Containers[0].Env {
			if e.Name == contract.RequestEnv {
				w.must(json.Unmarshal([]byte(e.Value), &req))
			}
		}
		result := w.results(req)
		if result == nil {
			continue
		}
		result.Version, result.Action, result.At = contract.Version, req.Action, w.now.UTC().Truncate(time.Second)
		w.book.act(job.Labels[resources.LabelProjection], job.Labels[resources.LabelRevision], req, result, w.now)
		w.leave(job, result)
		changed = true
	}
	return changed
}

// leave gives a Job its pod, its pod a termination message, and the Job its end.
func (w *world) leave(job *batchv1.Job, result *contract.Result) {
	w.t.Helper()
	message, err := json.Marshal(result)
	w.must(err)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.ns, Name: job.Name + "-pod", Labels: job.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec: job.Spec.Template.Spec,
	}
	w.must(w.c.Create(w.ctx, pod))
	code := int32(0)
	if !result.OK {
		code = 1
	}
	at := metav1.NewTime(w.now.Truncate(time.Second))
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: resources.ContainerName, Image: "x", ImageID: "x",
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: string(message), FinishedAt: at, StartedAt: at}},
	}}
	w.must(w.c.Status().Update(w.ctx, pod))
	job.Status.StartTime = &at
	condition := func(t batchv1.JobConditionType) batchv1.JobCondition {
		return batchv1.JobCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: at, LastProbeTime: at, Reason: "Test", Message: "test"}
	}
	if result.OK {
		job.Status.CompletionTime, job.Status.Succeeded = &at, 1
		job.Status.Conditions = []batchv1.JobCondition{condition(batchv1.JobSuccessCriteriaMet), condition(batchv1.JobComplete)}
	} else {
		job.Status.Failed = 1
		job.Status.Conditions = []batchv1.JobCondition{condition(batchv1.JobFailureTarget), condition(batchv1.JobFailed)}
	}
	w.must(w.c.Status().Update(w.ctx, job))
}

// runDeployments is the Deployment controller, the kubelet, and the garbage collector of what a Deployment leaves.
func (w *world) runDeployments() bool {
	w.t.Helper()
	var list appsv1.DeploymentList
	w.must(w.c.List(w.ctx, &list, client.InNamespace(w.ns)))
	changed := false
	live := map[string]bool{}
	for i := range list.Items {
		live[list.Items[i].Labels[resources.LabelProjection]+"/"+list.Items[i].Labels[resources.LabelRevision]] = true
		changed = w.runDeployment(&list.Items[i]) || changed
	}
	var pods corev1.PodList
	w.must(w.c.List(w.ctx, &pods, client.InNamespace(w.ns), client.MatchingLabels{resources.LabelComponent: resources.ComponentProjector}))
	for i := range pods.Items {
		if l := pods.Items[i].Labels; !live[l[resources.LabelProjection]+"/"+l[resources.LabelRevision]] {
			w.must(w.c.Delete(w.ctx, &pods.Items[i], client.GracePeriodSeconds(0)))
			changed = true
		}
	}
	return changed
}

func (w *world) runDeployment(d *appsv1.Deployment) bool {
	w.t.Helper()
	template, err := json.Marshal(d.Spec.Template)
	w.must(err)
	set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.ns, Name: resources.Bounded(d.Name, resources.Digest(8, string(template))), Labels: d.Spec.Template.Labels,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
	}, Spec: appsv1.ReplicaSetSpec{Replicas: d.Spec.Replicas, Selector: d.Spec.Selector, Template: d.Spec.Template}}
	changed := false
	if err := w.c.Create(w.ctx, set); err == nil {
		changed = true
	}
	w.must(w.c.Get(w.ctx, client.ObjectKeyFromObject(set), set))
	want := ptr.Deref(d.Spec.Replicas, 1)
	var pods corev1.PodList
	w.must(w.c.List(w.ctx, &pods, client.InNamespace(w.ns), client.MatchingLabels(d.Spec.Selector.MatchLabels)))
	have := int32(0)
	for i := range pods.Items {
		if metav1.IsControlledBy(&pods.Items[i], set) && have < want {
			have++
			continue
		}
		w.must(w.c.Delete(w.ctx, &pods.Items[i], client.GracePeriodSeconds(0)))
		changed = true
	}
	for ; have < want; have++ {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: w.ns, GenerateName: set.Name + "-", Labels: d.Spec.Template.Labels, Annotations: d.Spec.Template.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))},
		}, Spec: d.Spec.Template.Spec}
		pod.Spec.ServiceAccountName = "default"
		w.must(w.c.Create(w.ctx, pod))
		pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, fmt.Sprintf("10.0.0.%d", have+1)
		pod.Status.PodIPs = []corev1.PodIP{{IP: pod.Status.PodIP}}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		w.must(w.c.Status().Update(w.ctx, pod))
		changed = true
	}
	before := d.DeepCopy()
	d.Status.ObservedGeneration, d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas = d.Generation, want, want, want, want
	if before.Status.ObservedGeneration != d.Status.ObservedGeneration || before.Status.Replicas != want {
		w.must(w.c.Status().Update(w.ctx, d))
		changed = true
	}
	return changed
}

// goodResult is what a healthy broker and store say: every topic has four partitions.
func goodResult(r contract.Request) *contract.Result {
	out := &contract.Result{OK: true}
	switch r.Action {
	case contract.ActionProbeBroker:
		out.Broker = &contract.BrokerFacts{ClusterID: "kafka-1", Brokers: 3}
	case contract.ActionProbeTopic:
		out.Topic = &contract.TopicFacts{ID: "t", Partitions: 4, ReplicationFactor: 3, CleanupPolicy: "delete", RetentionMillis: -1, RetentionBytes: -1}
	case contract.ActionProbeStore:
		out.Store = &contract.StoreFacts{ServerVersion: "15.8", Database: "reads"}
	case contract.ActionPrepare:
		out.Prepare = &contract.PrepareFacts{Sequence: 1, Partitions: map[string]int32{"orders": 4}}
	case contract.ActionRetire:
	}
	return out
}

// caughtUp is a projector's answer that says all is well; the first pod of a revision owns all partitions.
func (w *world) caughtUp(target progress.Target) (*contract.ProjectorStatus, error) {
	pod := &corev1.Pod{}
	if err := w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: target.Pod}, pod); err != nil {
		return nil, err
	}
	p := &v1alpha1.Projection{}
	if err := w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: pod.Labels[resources.LabelProjection]}, p); err != nil {
		return nil, err
	}
	s := &contract.ProjectorStatus{
		Version: 1, Projection: contract.Identity{UID: string(p.UID)}, Revision: pod.Labels[resources.LabelRevision], Pod: target.Pod,
		Source: contract.Health{OK: true}, Store: contract.Health{OK: true}, TopicPartitions: map[string]int32{"orders": 4},
	}
	if target.IP == "10.0.0.1" {
		for i := range int32(4) {
			s.Partitions = append(s.Partitions, contract.PartitionStatus{
				Topic: "orders", Partition: i, Position: "10", End: "10", CaughtUp: true, UpdatedAt: w.now, EventTime: w.now,
			})
		}
	}
	return s, nil
}

// objects are a broker, a topic, a store and a projection that go together.
func (w *world) objects() (*v1alpha1.EventBroker, *v1alpha1.EventTopic, *v1alpha1.ReadStore, *v1alpha1.Projection) {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: w.ns, Name: name} }
	return &v1alpha1.EventBroker{ObjectMeta: meta("main"), Spec: v1alpha1.EventBrokerSpec{Kafka: &v1alpha1.KafkaBroker{
			BootstrapServers: []string{"kafka:9092"},
			Authentication:   v1alpha1.KafkaAuthentication{Mechanism: "SCRAM-SHA-512", SecretRef: v1alpha1.LocalRef{Name: "kafka-user"}},
		}}},
		&v1alpha1.EventTopic{ObjectMeta: meta("orders"), Spec: v1alpha1.EventTopicSpec{
			BrokerRef: v1alpha1.LocalRef{Name: "main"}, Topic: "shop.orders", KeyedBy: "event.id", Event: v1alpha1.EventFields{Type: "event.type"},
		}},
		&v1alpha1.ReadStore{ObjectMeta: meta("reads"), Spec: v1alpha1.ReadStoreSpec{Postgres: v1alpha1.PostgresStore{
			SecretRef: v1alpha1.LocalRef{Name: "reads-app"}, DDLSecretRef: v1alpha1.LocalRef{Name: "reads-owner"},
		}}},
		&v1alpha1.Projection{ObjectMeta: meta("totals"), Spec: v1alpha1.ProjectionSpec{
			StoreRef: v1alpha1.LocalRef{Name: "reads"}, Topics: []v1alpha1.TopicRef{{Name: "orders"}},
			Models: []v1alpha1.Model{{
				Name: "totals", Key: []string{"id"},
				Columns: []v1alpha1.Column{{Name: "id", Type: "text"}, {Name: "total", Type: "int64", Default: ptr.To("0")}},
				Handlers: []v1alpha1.Handler{{
					Name: "placed", Events: []string{"Placed"},
					Key: map[string]v1alpha1.Expression{"id": "event.id"}, Add: map[string]v1alpha1.Expression{"total": "event.amount"},
				}},
			}},
			Projector: v1alpha1.ProjectorSpec{Replicas: 1},
		}}
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		w.must(w.c.Create(w.ctx, o))
	}
}

// running brings up the happy case.
func (w *world) running() *v1alpha1.Projection {
	w.t.Helper()
	b, t, s, p := w.objects()
	w.create(b, t, s, p)
	w.settle()
	p = w.projection()
	w.wants(p, "Ready", metav1.ConditionTrue, v1alpha1.ReasonCaughtUp)
	return p
}

func (w *world) projection() *v1alpha1.Projection {
	w.t.Helper()
	p := &v1alpha1.Projection{}
	w.must(w.c.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: "totals"}, p))
	return p
}

func (w *world) deployment() *appsv1.Deployment {
	w.t.Helper()
	var ds appsv1.DeploymentList
	w.must(w.c.List(w.ctx, &ds, client.InNamespace(w.ns)))
	if len(ds.Items) != 1 {
		w.t.Fatalf("%d Deployments, want 1", len(ds.Items))
	}
	return &ds.Items[0]
}

// wants checks one condition.
func (w *world) wants(p *v1alpha1.Projection, kind string, status metav1.ConditionStatus, reason string) string {
	w.t.Helper()
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			if c.Status != status || c.Reason != reason {
				w.t.Fatalf("%s is %s %s (%s), want %s %s", kind, c.Status, c.Reason, c.Message, status, reason)
			}
			return c.Message
		}
	}
	w.t.Fatalf("there is no condition %s, want %s %s", kind, status, reason)
	return ""
}

// change edits the projection's spec.
func (w *world) change(edit func(*v1alpha1.Projection)) {
	w.t.Helper()
	p := w.projection()
	edit(p)
	w.must(w.c.Update(w.ctx, p))
}
