// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package change

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract/compile"
)

// Spec tells what differs of the settings of two specs that are in no contract:
// how pods run and how revisions are rolled out. All of it takes effect in place.
// A field that is not set is taken for its default, so that a file compares with what an API server filled in.
func Spec(from, to *v1alpha1.ProjectionSpec) []compile.Change {
	var out []compile.Change
	add := func(path, format string, args ...any) {
		out = append(out, compile.Change{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if a, b := deref(from.Suspend, false), deref(to.Suspend, false); a != b {
		if b {
			add("suspend", "set: the projectors stop, tables and views stay")
		} else {
			add("suspend", "removed: the projectors go on where they stopped")
		}
	}
	if a, b := deletionPolicy(from), deletionPolicy(to); a != b {
		add("deletionPolicy", "changed from %s to %s", a, b)
	}
	a, b := Defaulted(from.Rollout), Defaulted(to.Rollout)
	if a.Strategy != b.Strategy {
		// What is kept follows from it.
		add("rollout.strategy", "changed from %s to %s", a.Strategy, b.Strategy)
		b.KeepRevisions, b.KeepSeconds = a.KeepRevisions, a.KeepSeconds
	}
	if a.Promotion != b.Promotion {
		add("rollout.promotion", "changed from %s to %s", a.Promotion, b.Promotion)
	}
	switch {
	case a.ActiveRevision == b.ActiveRevision:
	case b.ActiveRevision == "":
		add("rollout.activeRevision", "removed: rollout.promotion (%s) decides again what readers see", b.Promotion)
	default:
		add("rollout.activeRevision", "set to %s: readers are moved to it, and stay there", b.ActiveRevision)
	}
	for _, n := range []struct {
		path string
		a, b int32
	}{
		{"rollout.keepRevisions", *a.KeepRevisions, *b.KeepRevisions},
		{"rollout.keepSeconds", *a.KeepSeconds, *b.KeepSeconds},
		{"rollout.deadlineSeconds", a.DeadlineSeconds, b.DeadlineSeconds},
		{"rollout.lockTimeoutMilliseconds", a.LockTimeoutMilliseconds, b.LockTimeoutMilliseconds},
		{"projector.replicas", max(from.Projector.Replicas, 1), max(to.Projector.Replicas, 1)},
	} {
		if n.a != n.b {
			add(n.path, "changed from %d to %d", n.a, n.b)
		}
	}
	if !sameSet(a.Allow, b.Allow) {
		add("rollout.allow", "changed from %v to %v", a.Allow, b.Allow)
	}
	if said := verify(from.Rollout.Verify, to.Rollout.Verify); said != "" {
		add("rollout.verify", "%s", said)
	}
	x, y := from.Projector, to.Projector
	x.Replicas, y.Replicas = 0, 0
	if !equality.Semantic.DeepEqual(x, y) {
		add("projector", "changed: the pods are replaced one by one")
	}
	return out
}

// verify says what differs of how new revisions are verified, "" if nothing does.
func verify(from, to *v1alpha1.Verify) string {
	a, b := compile.VerificationBy(from), compile.VerificationBy(to)
	switch {
	case equality.Semantic.DeepEqual(a, b):
		return ""
	case a == nil:
		return "added: new revisions are verified before readers see them"
	case b == nil:
		return "removed: readers see new revisions without verification"
	}
	return "changed: new revisions are verified another way before readers see them"
}

// Defaulted gives a rollout the defaults of the API, and what its strategy keeps.
func Defaulted(r v1alpha1.Rollout) v1alpha1.Rollout {
	if r.Promotion == "" {
		r.Promotion = v1alpha1.PromotionAutomatic
	}
	if r.Strategy == "" {
		r.Strategy = v1alpha1.StrategyBlueGreen
	}
	keepRevisions, keepSeconds := deref(r.KeepRevisions, 1), deref(r.KeepSeconds, 3600)
	if r.Strategy == v1alpha1.StrategyInPlace {
		keepRevisions, keepSeconds = 0, 0
	}
	r.KeepRevisions, r.KeepSeconds = &keepRevisions, &keepSeconds
	if r.DeadlineSeconds == 0 {
		r.DeadlineSeconds = 86400
	}
	if r.LockTimeoutMilliseconds == 0 {
		r.LockTimeoutMilliseconds = 100
	}
	return r
}

func deletionPolicy(s *v1alpha1.ProjectionSpec) v1alpha1.DeletionPolicy {
	if s.DeletionPolicy == "" {
		return v1alpha1.DeletionPolicyRetain
	}
	return s.DeletionPolicy
}

func deref[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func sameSet(a, b []v1alpha1.Consent) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}
