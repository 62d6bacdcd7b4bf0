// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/change"
	"github.com/projectionist-dev/projectionist/contract/compile"
)

// identity stands for a cluster's where there is none; it is in no name that is shown.
const identity = "plan"

// Offline plans the projections of some manifests against the manifests of before.
func Offline(now, before *workspace.Workspace) ([]*Plan, error) {
	var out []*Plan
	for _, p := range now.Projections {
		was, err := namesake(before, p)
		if err != nil {
			return nil, err
		}
		plan, err := offline(now, before, p, was)
		if err != nil {
			return nil, fmt.Errorf("projection %s: %w", p.Name, err)
		}
		out = append(out, plan)
	}
	return out, nil
}

// Gone gives the projections of before that are no longer among the manifests.
func Gone(now, before *workspace.Workspace) []string {
	var out []string
	for _, p := range before.Projections {
		if is, err := namesake(now, p); err == nil && is == nil {
			out = append(out, p.Name)
		}
	}
	return out
}

// namesake finds the projection of the same name, nil where there is none.
func namesake(in *workspace.Workspace, p manifests.Of[v1alpha1.Projection]) (*manifests.Of[v1alpha1.Projection], error) {
	var found *manifests.Of[v1alpha1.Projection]
	for i := range in.Projections {
		o := &in.Projections[i]
		if o.Name != p.Name || !manifests.SameNamespace(o.Namespace, p.Namespace) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("there are several of Projection %s: %s and %s; name the files of one", p.Name, found.File.Name, o.File.Name)
		}
		found = o
	}
	return found, nil
}

func offline(now, old *workspace.Workspace, p manifests.Of[v1alpha1.Projection], was *manifests.Of[v1alpha1.Projection]) (*Plan, error) {
	compiled, err := now.Compile(p, identity)
	if refused := new(workspace.RefusedError); errors.As(err, &refused) {
		return RefusedPlan(p.Value, refused.Lines), nil
	} else if err != nil {
		return nil, err
	}
	after := After{
		Projection: p.Value, Contract: compiled.Contract, Topics: compiled.Topics, KnowsBroker: compiled.HasBroker, KnowsStore: compiled.HasStore,
	}
	if was == nil {
		return Make(Before{}, after)
	}
	before := Before{Projection: was.Value}
	running, err := old.Compile(*was, identity)
	if refused := new(workspace.RefusedError); errors.As(err, &refused) {
		plan, err := Make(before, after)
		if err == nil {
			plan.Notes = append(plan.Notes, "the manifest of before is not accepted, so that it is not known what it made: "+refused.Lines[0])
		}
		return plan, err
	} else if err != nil {
		return nil, err
	}
	// Only what both sides know can be compared.
	after.KnowsBroker = after.KnowsBroker && running.HasBroker
	after.KnowsStore = after.KnowsStore && running.HasStore
	before.Contract = running.Contract
	change.Aim(nil, nil, before.Contract, was.Value.Spec.ReplayToken)
	return Make(before, after)
}

// Online plans the projections of some manifests against what runs in a cluster.
func Online(ctx context.Context, now *workspace.Workspace, c *cluster.Cluster) ([]*Plan, error) {
	var out []*Plan
	for _, p := range now.Projections {
		in := *c
		in.Namespace = cmp.Or(p.Namespace, c.Namespace)
		p.Value.Namespace = in.Namespace
		plan, err := online(ctx, now, &in, p)
		if err != nil {
			return nil, fmt.Errorf("projection %s/%s: %w", in.Namespace, p.Name, err)
		}
		out = append(out, plan)
	}
	return out, nil
}

func online(ctx context.Context, now *workspace.Workspace, c *cluster.Cluster, p manifests.Of[v1alpha1.Projection]) (*Plan, error) {
	add := func(in *compile.Input) error { return complete(ctx, c, in) }
	compiled, err := now.CompileWith(p, identity, add)
	if refused := new(workspace.RefusedError); errors.As(err, &refused) {
		return RefusedPlan(p.Value, refused.Lines), nil
	} else if err != nil {
		return nil, err
	}
	after := After{
		Projection: p.Value, Contract: compiled.Contract, Topics: compiled.Topics, KnowsBroker: compiled.HasBroker, KnowsStore: compiled.HasStore, TopicStatus: true,
	}
	live := new(v1alpha1.Projection)
	there, err := c.Get(ctx, p.Name, live)
	if err != nil {
		return nil, err
	}
	if !there {
		plan, err := Make(Before{}, after)
		if err == nil && plan.Replay != nil {
			plan.unknown(nothingRuns)
		}
		return plan, err
	}
	before := Before{Projection: live}
	active := live.Status.ActiveRevision
	if active != "" {
		all, err := c.Revisions(ctx, live)
		if err != nil {
			return nil, fmt.Errorf("what revision %s is made of: %w; plan --against works without a cluster", active, err)
		}
		for _, r := range all {
			if r.Contract.Revision == active {
				before.Contract, before.Attempts = r.Contract, r.Attempts
			} else {
				before.Others = append(before.Others, r)
			}
		}
		if before.Contract == nil {
			return nil, fmt.Errorf("what revision %s is made of is not in the cluster (neither its ControllerRevision nor its ConfigMap); use --against", active)
		}
	}
	plan, err := Make(before, after)
	if err != nil || plan.Replay == nil {
		return plan, err
	}
	if before.Contract == nil {
		plan.unknown(nothingRuns)
		return plan, nil
	}
	all, err := c.Projectors(ctx, live)
	plan.figures(all, err, live.Status.Revisions, after)
	return plan, nil
}

// complete adds to the resources of the manifests those of the cluster that are referred to, and what is known of topics.
func complete(ctx context.Context, c *cluster.Cluster, in *compile.Input) error {
	in.Facts = map[string]contract.TopicFacts{}
	for _, ref := range in.Projection.Spec.Topics {
		live := new(v1alpha1.EventTopic)
		there, err := c.Get(ctx, ref.Name, live)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if at := find(in.Topics, func(t *v1alpha1.EventTopic) bool { return t.Name == ref.Name }); at != nil {
			if cmp.Or(at.Spec.Topic, at.Name) != cmp.Or(live.Spec.Topic, live.Name) || at.Spec.BrokerRef != live.Spec.BrokerRef {
				continue // What is known is of another log.
			}
			at.Status = live.Status
		} else {
			in.Topics = append(in.Topics, *live)
		}
		if live.Status.Partitions > 0 {
			in.Facts[ref.Name] = contract.TopicFacts{
				ID: live.Status.TopicID, Partitions: live.Status.Partitions, CleanupPolicy: live.Status.CleanupPolicy,
			}
		}
	}
	for i := range in.Topics {
		name := in.Topics[i].Spec.BrokerRef.Name
		if find(in.Brokers, func(b *v1alpha1.EventBroker) bool { return b.Name == name }) != nil {
			continue
		}
		b := new(v1alpha1.EventBroker)
		if there, err := readable(c.Get(ctx, name, b)); err != nil {
			return err
		} else if there {
			in.Brokers = append(in.Brokers, *b)
		}
	}
	if len(in.Stores) == 0 {
		s := new(v1alpha1.ReadStore)
		if there, err := readable(c.Get(ctx, in.Projection.Spec.StoreRef.Name, s)); err != nil {
			return err
		} else if there {
			in.Stores = append(in.Stores, *s)
		}
	}
	return nil
}

// readable takes what the user may not read for what is not there: the role view has no right on brokers and stores.
func readable(there bool, err error) (bool, error) {
	if cluster.Forbidden(err) {
		return false, nil
	}
	return there, err
}

func find[T any](in []T, is func(*T) bool) *T {
	for i := range in {
		if is(&in[i]) {
			return &in[i]
		}
	}
	return nil
}
