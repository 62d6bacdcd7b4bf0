// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/plan"
	"github.com/projectionist-dev/projectionist/controllers/plan/replay"
	"github.com/projectionist-dev/projectionist/controllers/plan/rollout"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// revision is what is known of one revision, with the objects that it was read from.
type revision struct {
	rollout.Revision
	record     *appsv1.ControllerRevision
	deployment *appsv1.Deployment
	// mounted is the contract that the Deployment runs, nil where it is gone.
	mounted *contract.Contract
	target  plan.Target
	pods    []corev1.Pod
	// requests are those of the actions, by action.
	requests map[contract.Action]request
}

// request is what a Job is asked, and its digest.
type request struct {
	contract.Request
	inputs string
}

// incarnation tells a revision apart from one of the same name that was dropped.
func (v *revision) incarnation() string {
	if v.record == nil {
		return ""
	}
	return string(v.record.UID)
}

func (v *revision) state(a contract.Action) *actions.State {
	switch a {
	case contract.ActionPromote:
		return &v.Promote
	case contract.ActionDiscard:
		return &v.Discard
	case contract.ActionVerify:
		return &v.Verify
	default:
		return &v.Prepare
	}
}

// the actions on one revision.
var onRevisions = []contract.Action{contract.ActionPrepare, contract.ActionPromote, contract.ActionDiscard, contract.ActionVerify}

// observeRevisions puts together what is known of each revision: from
// ControllerRevisions and Deployments, from what the bookkeeping last said, from
// Jobs, and from projectors.
func (r *ProjectionReconciler) observeRevisions(ctx context.Context, w *world) error {
	p := w.Projection
	pods, err := r.observeJobs(ctx, w)
	if err != nil {
		return err
	}
	told := actions.Facts(w.jobs, pods)
	w.Facts, w.factsJob, w.lost = told.Facts, told.Job, told.Lost
	w.revisions = revisionsOf(w)
	if w.replay, err = r.replayOf(ctx, w); err != nil {
		return err
	}
	if w.lost == "" {
		known := w.known()
		for i := range known {
			known[i].Progress = r.Tracker.Last(client.ObjectKeyFromObject(p), known[i].Name, w.Now)
		}
		w.lost = rollout.Outdated(told, w.jobs, known)
	}
	if w.lost != "" {
		// Readers may have been moved: nothing is, until a prepare has told.
		w.Facts = nil
	}
	var names []string
	for _, v := range w.revisions {
		names = append(names, v.Name)
		if err := r.observeRevision(w, v, pods); err != nil {
			return err
		}
	}
	w.orphans = actions.Orphans(w.jobs, names, w.factsJob)
	r.Tracker.Keep(client.ObjectKeyFromObject(p), names)
	return r.observeProgress(ctx, w)
}

// observeJobs reads the projection's Jobs and their pods.
func (r *ProjectionReconciler) observeJobs(ctx context.Context, w *world) ([]corev1.Pod, error) {
	p := w.Projection
	in, match := client.InNamespace(p.Namespace), client.MatchingLabels(resources.OwnerLabels(string(p.UID)))
	var jobs batchv1.JobList
	if err := r.Client.List(ctx, &jobs, in, match); err != nil {
		return nil, err
	}
	reader := client.Reader(r.Client)
	for i := range jobs.Items {
		if !metav1.IsControlledBy(&jobs.Items[i], p) {
			continue
		}
		w.jobs = append(w.jobs, jobs.Items[i])
		// The cache may show a Job's end before its pod's: what the pod left is read where it cannot be stale.
		if actions.Unread(&jobs.Items[i]) {
			reader = r.Live
		}
	}
	var pods corev1.PodList
	if len(w.jobs) == 0 {
		return nil, nil
	}
	err := reader.List(ctx, &pods, in, match)
	return pods.Items, err
}

// revisionsOf finds the revisions that exist in any form.
func revisionsOf(w *world) []*revision {
	var out []*revision
	at := func(name string) *revision {
		if i := slices.IndexFunc(out, func(v *revision) bool { return v.Name == name }); i >= 0 {
			return out[i]
		}
		v := &revision{Revision: rollout.Revision{Name: name}}
		out = append(out, v)
		return v
	}
	for _, o := range w.children {
		name := o.GetLabels()[resources.LabelRevision]
		if name == "" || !o.GetDeletionTimestamp().IsZero() {
			continue
		}
		switch o := o.(type) {
		case *appsv1.ControllerRevision:
			v := at(name)
			v.record, v.Recorded, v.CreatedAt = o, true, o.CreationTimestamp.Time
			v.Role, v.Asked, v.Built = rollout.Role(o.Labels[resources.LabelRole]), resources.Asked(o), resources.Built(o)
			// One that cannot be read counts as lost: what runs goes on, and what it was is taken from there.
			known, _ := resources.Recorded(o)
			v.Contract, v.Attempts, v.Replay = known.Contract, known.Attempts, known.Replay
		case *appsv1.Deployment:
			v := at(name)
			v.deployment, v.Deployed, v.DeployedAt = o, true, o.CreationTimestamp.Time
		}
	}
	var names []string
	for _, v := range out {
		names = append(names, v.Name)
	}
	for _, name := range rollout.Known(names, w.Facts) {
		at(name)
	}
	for _, v := range out {
		v.mounted = mountedContract(w, v)
		if v.Contract == nil {
			v.Contract = v.mounted
		}
	}
	return out
}

// mountedContract reads what the Deployment mounts, nil where that is gone or is not what it says.
func mountedContract(w *world, v *revision) *contract.Contract {
	if v.deployment == nil {
		return nil
	}
	mounted := map[string]bool{}
	for _, volume := range v.deployment.Spec.Template.Spec.Volumes {
		if volume.ConfigMap != nil {
			mounted[volume.ConfigMap.Name] = true
		}
	}
	for _, o := range w.children {
		m, ok := o.(*corev1.ConfigMap)
		if !ok || !mounted[m.Name] {
			continue
		}
		c := new(contract.Contract)
		if json.Unmarshal([]byte(m.Data[resources.ContractKey]), c) == nil && c.Revision == v.Name {
			return c
		}
	}
	return nil
}

// observeRevision works out what a revision is to run, and what is known of the actions on it.
func (r *ProjectionReconciler) observeRevision(w *world, v *revision, pods []corev1.Pod) error {
	base := v.Contract
	if w.Spec.Contract == nil && v.mounted != nil {
		base = v.mounted
	}
	v.Run = rollout.InPlace(base, w.Spec.Contract)
	var err error
	if v.target, err = plan.Aim(v.Run, v.incarnation()); err != nil {
		return err
	}
	if w.lost != "" {
		v.target.Inputs = resources.Digest(16, v.target.Inputs, w.lost)
	}
	if err := r.requests(w, v); err != nil {
		return err
	}
	promote := v.requests[contract.ActionPromote]
	promote.inputs = rollout.Again(promote.inputs, v.Name, w.Facts, w.jobs, pods, w.Now)
	v.requests[contract.ActionPromote] = promote
	for _, a := range onRevisions {
		q, asked := v.requests[a]
		if !asked {
			continue
		}
		*v.state(a) = actions.Decide(actions.Question{Inputs: q.inputs, Keep: w.factsJob, Final: a == contract.ActionVerify},
			actions.Of(w.jobs, a, v.Name), pods, w.Now)
	}
	done, maybe := actions.Took(w.jobs, pods, contract.ActionPrepare, v.Name, v.incarnation())
	v.Prepared = done || maybe
	v.Promoting = actions.UnderWay(w.jobs, contract.ActionPromote, v.Name)
	done, maybe = actions.Took(w.jobs, pods, contract.ActionDiscard, v.Name, v.incarnation())
	v.Discarding, v.Discarded = done || maybe, done
	return nil
}

// requests are what the actions on a revision would be asked now.
func (r *ProjectionReconciler) requests(w *world, v *revision) error {
	p := w.Projection
	v.requests = map[contract.Action]request{
		contract.ActionPrepare: {contract.Request{Action: contract.ActionPrepare}, v.target.Inputs},
	}
	for _, a := range []contract.Action{contract.ActionPromote, contract.ActionDiscard} {
		s := rollout.Switch(v.Name, w.Facts, p.Spec.Rollout)
		if a == contract.ActionDiscard {
			s = contract.Switch{Revision: s.Revision, Active: s.Active, Sequence: s.Sequence}
		}
		q := contract.Request{Action: a, Switch: &s, Owner: &contract.Identity{
			Cluster: r.Options.ClusterID, Namespace: p.Namespace, Name: p.Name, UID: string(p.UID),
		}}
		if w.Store != nil {
			connection := compile.Store(w.Store)
			q.Store = &connection
		}
		if c := v.target.Contract; a == contract.ActionDiscard && c != nil {
			q.Broker, q.Group = &c.Broker, c.Group
		}
		inputs, err := actions.Inputs(q, v.incarnation())
		if err != nil {
			return err
		}
		v.requests[a] = request{q, inputs}
	}
	return r.verifyRequest(w, v)
}

// verifyRequest is what a verify of a revision would be asked, where it is to be verified: as its Replay says, or else the
// spec. How to connect is none of its inputs: what was found stays found.
func (r *ProjectionReconciler) verifyRequest(w *world, v *revision) error {
	what := compile.Verification(w.Projection)
	if o := w.replay; o != nil && o.Spec.Verify != nil && v.Contract != nil && v.Contract.Attempt == string(o.UID) {
		what, v.VerifyOf = compile.VerificationBy(o.Spec.Verify), o.Name
	}
	if v.ToVerify = what != nil; what == nil || v.target.Contract == nil {
		return nil
	}
	q := contract.Request{Action: contract.ActionVerify, Verify: what}
	inputs, err := actions.Inputs(q, v.incarnation())
	if err != nil {
		return err
	}
	what.Arrival = compile.Arrival(v.target.Contract)
	v.requests[contract.ActionVerify] = request{q, inputs}
	return nil
}

// observeProgress finds the pods of every revision, and asks the projectors.
func (r *ProjectionReconciler) observeProgress(ctx context.Context, w *world) error {
	p := w.Projection
	in := client.InNamespace(p.Namespace)
	match := client.MatchingLabels{resources.LabelProjection: resources.Bounded(p.Name), resources.LabelManagedBy: resources.ManagedBy}
	var pods corev1.PodList
	var sets appsv1.ReplicaSetList
	if len(w.revisions) == 0 {
		return nil
	}
	if err := r.Client.List(ctx, &pods, in, match); err != nil {
		return err
	}
	if err := r.Client.List(ctx, &sets, in, match); err != nil {
		return err
	}
	w.mounts = map[string]bool{}
	for _, v := range w.revisions {
		for i := range pods.Items {
			pod := &pods.Items[i]
			ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
			if name := resources.ContractOf(&pod.Spec); name != "" && !ended {
				w.mounts[name] = true
			}
			if pod.Labels[resources.LabelRevision] == v.Name && !ended && pod.Labels[resources.LabelAction] != string(contract.ActionDiscard) {
				v.Pods = true
			}
		}
		if v.deployment == nil {
			continue
		}
		v.pods = progress.Own(p.UID, v.deployment, sets.Items, pods.Items)
		targets := progress.Targets(p.UID, v.deployment, sets.Items, pods.Items)
		answers := progress.Ask(ctx, r.Poller, string(p.UID), v.Name, topicNames(w, v), targets)
		v.Progress = r.Tracker.Merge(client.ObjectKeyFromObject(p), p.UID, v.Name, answers, w.Now)
		if len(targets) == 0 && (suspended(p) || ptr.Deref(v.deployment.Spec.Replicas, 1) == 0) {
			v.Progress = progress.Snapshot{}
		}
		v.Trouble = plan.PodTrouble(v.pods, v.deployment, w.Now)
	}
	return nil
}

// topicNames are the topics that the projectors which run consume.
func topicNames(w *world, v *revision) []string {
	var names []string
	c := v.mounted
	if c == nil {
		c = v.Contract
	}
	if c != nil {
		for i := range c.Topics {
			names = append(names, c.Topics[i].Name)
		}
		return names
	}
	for _, t := range w.Projection.Spec.Topics {
		names = append(names, t.Name)
	}
	return names
}

// rolloutInput is what the decision is made from.
func (r *ProjectionReconciler) rolloutInput(ctx context.Context, w *world) (rollout.Input, error) {
	p := w.Projection
	in := rollout.Input{
		Now: w.Now, Rollout: p.Spec.Rollout, Token: p.Spec.ReplayToken, Suspended: suspended(p),
		LagTarget: time.Duration(max(p.Spec.LagTargetSeconds, 1)) * time.Second,
		Newest:    w.Spec.Contract, Facts: w.Facts, Store: p.Spec.StoreRef.Name,
		Busy: actions.Busy(w.jobs), MayPrepare: plan.MayPrepare(&w.Observation), MayWrite: plan.MayWrite(&w.Observation),
	}
	if w.Spec.Contract != nil {
		in.Incomplete = plan.Incomplete(w.Spec.Contract, w.Topics)
	}
	if w.Store != nil {
		in.Limit = int(w.Store.Spec.MaxConcurrentReplays)
	}
	in.Revisions = w.known()
	if o := w.replay; o != nil {
		in.Replay = &rollout.Replay{Name: o.Name, UID: string(o.UID), Promotion: o.Spec.Promotion, Suspended: ptr.Deref(o.Spec.Suspend, false), From: replay.FromOf(o)}
	}
	var err error
	if in.Ahead, err = r.ahead(ctx, w); err != nil {
		return in, err
	}
	in.Connections, err = r.connections(ctx, w)
	return in, err
}

// replayOf is the Replay that is under way, nil if there is none.
func (r *ProjectionReconciler) replayOf(ctx context.Context, w *world) (*v1alpha1.Replay, error) {
	p := w.Projection
	all, err := r.replaysOf(ctx, p)
	if err != nil {
		return nil, err
	}
	hash := ""
	if w.Spec.Contract != nil {
		hash = w.Spec.Contract.DataHash
	}
	return replay.UnderWay(all, p.UID, hash, p.Spec.ReplayToken), nil
}

// look makes the active revision, before there is one the first, what the status is about.
func (r *ProjectionReconciler) look(w *world) {
	subject := w.Rollout.Active
	if subject == "" {
		subject = w.Rollout.Target
	}
	if v := w.revision(subject); v != nil {
		w.Target, w.Prepare, w.Pods, w.Progress = v.target, v.Prepare, v.pods, v.Progress
		if v.deployment != nil {
			w.Running = &plan.Running{Revision: v.Name, Deployment: v.deployment}
		}
	}
	// The newest spec goes by the name of the revision that has its rows.
	if w.Spec.Contract == nil {
		return
	}
	named := *w.Spec.Contract
	if v := w.revision(w.Rollout.Target); v == nil || v.Contract == nil || !compile.KeepIdentity(v.Contract, &named) {
		compile.Rename(&named, w.Rollout.Attempt)
	}
	w.Spec.Contract = &named
}

func (w *world) revision(name string) *revision {
	for _, v := range w.revisions {
		if name != "" && v.Name == name {
			return v
		}
	}
	return nil
}

// known is what is known of all revisions.
func (w *world) known() []rollout.Revision {
	var out []rollout.Revision
	for _, v := range w.revisions {
		out = append(out, v.Revision)
	}
	return out
}

// number is above that of every revision so far.
func (w *world) number() int64 {
	var n int64
	for _, v := range w.revisions {
		if v.record != nil {
			n = max(n, v.record.Revision)
		}
	}
	return n + 1
}

// standing is the patch that gives a ControllerRevision its role, and writes down that a promote of it is to be asked for,
// and what its build took; nil where it says so.
func standing(w *world, v *revision) (client.Patch, error) {
	role, marks := w.Rollout.Roles[v.Name], map[string]any{}
	if ask := w.Rollout.Ask; ask != nil && *ask == (rollout.Ask{Action: contract.ActionPromote, Revision: v.Name}) {
		if n := rollout.NextPromote(v.Name, w.known(), w.jobs); n != v.Asked {
			marks[resources.AnnotationAsked] = strconv.FormatInt(n, 10)
		}
	}
	if b := v.Progress.Built; b != nil && v.Built == nil {
		data, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		marks[resources.AnnotationBuilt] = string(data)
	}
	if role == v.Role && len(marks) == 0 {
		return nil, nil
	}
	var label any
	if role != "" {
		label = string(role)
	}
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"labels": map[string]any{resources.LabelRole: label}, "annotations": marks,
	}})
	return client.RawPatch(types.MergePatchType, data), err
}
