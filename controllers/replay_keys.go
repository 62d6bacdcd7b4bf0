// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/plan/replay"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// keysRequest is what the Job of a Replay of some keys is asked.
func keysRequest(o *v1alpha1.Replay) contract.Request {
	return contract.Request{
		Version: contract.Version, Action: contract.ActionReplayKeys,
		Replay: &contract.KeyReplay{Model: o.Spec.Keys.Model, Keys: o.Spec.Keys.Values},
	}
}

// mounted is what the projectors of a revision run, incarnation the UID of their Deployment, and inputs what a Job for it is told by.
type mounted struct {
	contract                       *contract.Contract
	configMap, incarnation, inputs string
}

// jobOf is what is known of the Job of a Replay of some keys, and what a new one would mount. How to connect is none of its
// inputs, which revision is: rows of one that readers have left are not what was asked for.
func (r *ReplayReconciler) jobOf(ctx context.Context, o *v1alpha1.Replay, p *v1alpha1.Projection) (out replay.Job, m *mounted, err error) {
	request := keysRequest(o)
	text, err := resources.EncodeRequest(request)
	if err != nil {
		return out, nil, err
	}
	if len(text) > contract.MaxRequestBytes {
		out.TooLarge = len(text)
	}
	q := actions.Question{Final: true}
	if m, err = r.mounted(ctx, p); err != nil {
		return out, nil, err
	}
	if m != nil {
		if m.inputs, err = actions.Inputs(request, m.contract.Revision+"/"+m.incarnation); err != nil {
			return out, nil, err
		}
		out.Revision, q.Inputs = m.contract.Revision, m.inputs
	}
	jobs, err := r.jobs(ctx, o, request.Action)
	if err != nil {
		return out, nil, err
	}
	for _, job := range jobs {
		if at := job.GetCreationTimestamp().Time; out.Began.IsZero() || at.Before(out.Began) {
			out.Began = at
		}
	}
	out.State, err = r.askOf(ctx, o, request.Action, q, jobs)
	return out, m, err
}

// mounted finds what the projectors of the revision run that readers see, nil where there are none.
func (r *ReplayReconciler) mounted(ctx context.Context, p *v1alpha1.Projection) (*mounted, error) {
	if p == nil || p.Status.ActiveRevision == "" {
		return nil, nil
	}
	var d appsv1.Deployment
	key := client.ObjectKey{Namespace: p.Namespace, Name: resources.RevisionName(resources.Bounded(p.Name), p.Status.ActiveRevision)}
	if found, err := r.own(ctx, p, key, &d); err != nil || !found {
		return nil, err
	}
	var m corev1.ConfigMap
	key.Name = resources.ContractOf(&d.Spec.Template.Spec)
	if found, err := r.own(ctx, p, key, &m); err != nil || !found {
		return nil, err
	}
	c := new(contract.Contract)
	// One that cannot be read is written anew by the Projection's reconciler.
	if err := json.Unmarshal([]byte(m.Data[resources.ContractKey]), c); err != nil || c.Revision != p.Status.ActiveRevision {
		return nil, nil //nolint:nilerr // see above
	}
	return &mounted{contract: c, configMap: m.Name, incarnation: string(d.UID)}, nil
}

// own reads an object of a Projection, and reports whether it is there.
func (r *ReplayReconciler) own(ctx context.Context, p *v1alpha1.Projection, key client.ObjectKey, o client.Object) (bool, error) {
	if key.Name == "" {
		return false, nil
	}
	err := r.Client.Get(ctx, key, o)
	return err == nil && metav1.IsControlledBy(o, p) && o.GetDeletionTimestamp().IsZero(), client.IgnoreNotFound(err)
}

// replayKeys carries out what was decided of a Replay of some keys, and decides again where the API server refuses that.
func (r *ReplayReconciler) replayKeys(ctx context.Context, in replay.Input, m *mounted, d replay.Decision) (replay.Decision, error) {
	o, s := in.Replay, &in.Job.State
	if !d.Ask || m == nil {
		s.Create = nil
	}
	if d.State == replay.Failed {
		// Nothing waits for what still runs, and a Projection that is deleted waits for its pods to end.
		jobs, err := r.jobs(ctx, o, contract.ActionReplayKeys)
		if err != nil {
			return d, err
		}
		for _, job := range jobs {
			if j := job.(*batchv1.Job); !actions.Ended(j) && j.DeletionTimestamp.IsZero() {
				s.Delete = append(s.Delete, j)
			}
		}
	}
	err := r.attempt(ctx, o.Namespace, contract.ActionReplayKeys, s, func(c actions.Create) resources.Job {
		request := keysRequest(o)
		request.Sequence = c.Sequence
		return resources.Job{
			Owner: ownerOf(o, "Replay"), Request: request, Image: r.Options.ProjectorImage, PullPolicy: r.Options.PullPolicy,
			Inputs: m.inputs, Attempt: c.Attempt, LastGood: c.LastGood, DeadlineSeconds: replayKeysDeadline,
			Projector: in.Projection.Spec.Projector, Projection: resources.Bounded(in.Projection.Name), Revision: m.contract.Revision,
			// A projector's rights are enough.
			ContractConfigMap: m.configMap, Mounts: resources.Mounts{}.Add(&m.contract.Broker, &m.contract.Store, false),
		}
	})
	if err == nil && s.Create != nil && s.Hindered != nil {
		d = replay.Decide(in)
	}
	return d, err
}
