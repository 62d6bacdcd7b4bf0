// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/change"
)

// Projection gives the projection of a name, or an error that says what to do.
func (c *Cluster) Projection(ctx context.Context, name string) (*v1alpha1.Projection, error) {
	p := new(v1alpha1.Projection)
	found, err := c.Get(ctx, name, p)
	switch {
	case err != nil:
		return nil, fmt.Errorf("Projection %s/%s: %w", c.Namespace, name, err)
	case !found:
		return nil, fmt.Errorf("there is no Projection %q in namespace %s; kubectl get proj -A lists all", name, c.Namespace)
	}
	return p, nil
}

// Get reads an object of the namespace, and tells whether it is there.
func (c *Cluster) Get(ctx context.Context, name string, into client.Object) (bool, error) {
	err := c.client.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: name}, into)
	return err == nil, client.IgnoreNotFound(err)
}

// Forbidden tells whether an error is a right that the user lacks.
func Forbidden(err error) bool { return apierrors.IsForbidden(err) }

// Names lists the projections of the namespace.
func (c *Cluster) Names(ctx context.Context) ([]string, error) {
	list := new(v1alpha1.ProjectionList)
	if err := c.client.List(ctx, list, client.InNamespace(c.Namespace)); err != nil {
		return nil, err
	}
	var out []string
	for i := range list.Items {
		out = append(out, list.Items[i].Name)
	}
	return out, nil
}

// Revisions gives what the revisions of a projection are made of, newest first:
// from ControllerRevisions, and for the one that readers see, where it has none
// (an older release made it), from the ConfigMap that its projectors mount.
func (c *Cluster) Revisions(ctx context.Context, p *v1alpha1.Projection) ([]change.Revision, error) {
	var records appsv1.ControllerRevisionList
	err := c.client.List(ctx, &records, client.InNamespace(c.Namespace), client.MatchingLabels{contract.LabelProjection: p.Name})
	if err != nil && !Forbidden(err) {
		return nil, err
	}
	slices.SortFunc(records.Items, func(a, b appsv1.ControllerRevision) int { return cmp.Compare(b.Revision, a.Revision) })
	var out []change.Revision
	active := p.Status.ActiveRevision
	found := false
	for i := range records.Items {
		o := &records.Items[i]
		known := decode(p, o, o.Data.Raw, o.Labels[contract.LabelRevision])
		if known == nil || !o.DeletionTimestamp.IsZero() {
			continue
		}
		r := change.Revision{Contract: known}
		if list := o.Annotations[contract.AnnotationAttempts]; list != "" && json.Unmarshal([]byte(list), &r.Attempts) != nil {
			return nil, fmt.Errorf("ControllerRevision %s: annotation %s is no list", o.Name, contract.AnnotationAttempts)
		}
		out = append(out, r)
		found = found || known.Revision == active
	}
	// The data of a ControllerRevision never changes; how to connect, which does, is in what is mounted.
	mounted, err := c.mounted(ctx, p, active)
	switch {
	case mounted == nil && found:
	case err != nil:
		return nil, err
	case mounted == nil:
	case !found:
		out = append(out, change.Revision{Contract: mounted})
	default:
		for i := range out {
			if out[i].Contract.Revision == active {
				out[i].Contract = mounted
			}
		}
	}
	return out, nil
}

// mounted gives the contract that the projectors of a revision run, nil where there are none.
func (c *Cluster) mounted(ctx context.Context, p *v1alpha1.Projection, revision string) (*contract.Contract, error) {
	of := []client.ListOption{client.InNamespace(c.Namespace), client.MatchingLabels{
		contract.LabelProjection: p.Name, contract.LabelRevision: revision,
	}}
	var deployments appsv1.DeploymentList
	var maps corev1.ConfigMapList
	for _, list := range []client.ObjectList{&deployments, &maps} {
		if err := c.client.List(ctx, list, of...); err != nil {
			return nil, err
		}
	}
	names := map[string]bool{}
	for i := range deployments.Items {
		if !metav1.IsControlledBy(&deployments.Items[i], p) {
			continue
		}
		for _, v := range deployments.Items[i].Spec.Template.Spec.Volumes {
			if v.ConfigMap != nil {
				names[v.ConfigMap.Name] = true
			}
		}
	}
	for i := range maps.Items {
		m := &maps.Items[i]
		if !names[m.Name] {
			continue
		}
		if known := decode(p, m, []byte(m.Data[contract.ContractKey]), revision); known != nil {
			return known, nil
		}
	}
	return nil, nil
}

// decode gives the contract that an object of the projection holds, nil where it is none of that revision.
func decode(p *v1alpha1.Projection, o metav1.Object, data []byte, revision string) *contract.Contract {
	out := new(contract.Contract)
	if !metav1.IsControlledBy(o, p) || json.Unmarshal(data, out) != nil || out.Revision != revision {
		return nil
	}
	return out
}

// Limits of asking pods.
const (
	askTime     = 5 * time.Second
	maxParallel = 8
)

// Projectors asks the pods of a projection how they are. What they say is of
// their revision each; pods that do not answer are left out. The error says why none did, where there are some.
func (c *Cluster) Projectors(ctx context.Context, p *v1alpha1.Projection) ([]contract.ProjectorStatus, error) {
	var pods corev1.PodList
	if err := c.client.List(ctx, &pods, client.InNamespace(c.Namespace), client.MatchingLabels{
		contract.LabelProjection: p.Name, contract.LabelComponent: contract.ComponentProjector,
	}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	answers, errs := make([]*contract.ProjectorStatus, len(pods.Items)), make([]error, len(pods.Items))
	slots := make(chan struct{}, maxParallel)
	var wg sync.WaitGroup
	for i := range pods.Items {
		if pods.Items[i].Status.Phase != corev1.PodRunning {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			answers[i], errs[i] = c.status(ctx, c.Namespace, pods.Items[i].Name)
		})
	}
	wg.Wait()
	var out []contract.ProjectorStatus
	for _, s := range answers {
		// Labels can be given to any pod; the UID is not in them.
		if s != nil && (s.Projection.UID == "" || s.Projection.UID == string(p.UID)) {
			out = append(out, *s)
		}
	}
	if len(out) == 0 {
		if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
			return nil, errs[i]
		}
	}
	return out, nil
}

// Patch merges fields into the spec of a projection, and into p what came of it.
// Only these fields are sent, so that nothing else is set back.
func (c *Cluster) Patch(ctx context.Context, p *v1alpha1.Projection, spec map[string]any) error {
	data, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return err
	}
	if err := c.client.Patch(ctx, p, client.RawPatch("application/merge-patch+json", data), client.FieldOwner("kubectl-projection")); err != nil {
		return fmt.Errorf("Projection %s/%s: %w", c.Namespace, p.Name, err)
	}
	return nil
}
