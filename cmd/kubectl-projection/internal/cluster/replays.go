// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// Replays gives the Replays of a projection, oldest first.
func (c *Cluster) Replays(ctx context.Context, projection string) ([]v1alpha1.Replay, error) {
	var list v1alpha1.ReplayList
	if err := c.client.List(ctx, &list, client.InNamespace(c.Namespace)); err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(list.Items, func(r v1alpha1.Replay) bool { return r.Spec.ProjectionRef.Name != projection })
	slices.SortFunc(out, func(a, b v1alpha1.Replay) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// CreateReplay makes a Replay, and into r what came of it.
func (c *Cluster) CreateReplay(ctx context.Context, r *v1alpha1.Replay) error {
	r.Namespace = c.Namespace
	if err := c.client.Create(ctx, r, client.FieldOwner("kubectl-projection")); err != nil {
		return fmt.Errorf("making Replay %s/%s: %w", c.Namespace, r.Name, err)
	}
	return nil
}

// DeleteReplay deletes a Replay, and no other of its name.
func (c *Cluster) DeleteReplay(ctx context.Context, r *v1alpha1.Replay) error {
	uid := r.UID
	if err := c.client.Delete(ctx, r, client.Preconditions{UID: &uid}); err != nil {
		return fmt.Errorf("deleting Replay %s/%s: %w", c.Namespace, r.Name, err)
	}
	return nil
}
