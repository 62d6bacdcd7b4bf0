// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract/change"
)

// Decision is what to write and what to say of it.
type Decision struct {
	// Spec are the fields to merge into the spec; nil takes a field away.
	Spec map[string]any
	// Target is the revision that readers are to see then; empty where it has no name yet.
	Target string
	// Says is what is done, in one line.
	Says string
	// InGit is what has to stand in a manifest that a tool applies, lest it be set back.
	InGit string
	// Warnings are what may keep it from happening.
	Warnings []string
}

// Promote moves readers to a revision; "" is that of the newest spec. A prefix that is unique will do.
func Promote(p *v1alpha1.Projection, revision string) (*Decision, error) {
	if revision == "" {
		if revision = p.Status.TargetRevision; revision == "" {
			return nil, fmt.Errorf("%s has no revision yet: its status is %s", title(p), p.Status.Status)
		}
	}
	r, err := lookUp(p, revision)
	if err != nil {
		return nil, err
	}
	if err := movable(p, r); err != nil {
		return nil, err
	}
	spec := change.Defaulted(p.Spec.Rollout)
	newest := r.Name == p.Status.TargetRevision
	if newest && r.Reason == v1alpha1.ReasonAwaitingPromotion && spec.Promotion == v1alpha1.PromotionAutomatic {
		// Its Replay says so, not the projection: a pin is the one way, and stands in that of later specs.
		d := pin(p, r)
		d.Warnings = append(d.Warnings, "remove rollout.activeRevision again once readers have moved: later specs are built, and not shown, as long as it is set")
		return d, nil
	}
	if newest && spec.Promotion == v1alpha1.PromotionAutomatic {
		if spec.ActiveRevision == "" || spec.ActiveRevision == r.Name {
			return nil, fmt.Errorf("%s: revision %s is promoted without being asked (rollout.promotion is Automatic)%s", title(p), r.Name, because(r))
		}
		return &Decision{
			Spec: map[string]any{"rollout": map[string]any{"activeRevision": nil}}, Target: r.Name,
			Says:     fmt.Sprintf("removed the pin of %s to %s: rollout.promotion is Automatic, and moves readers to %s", title(p), spec.ActiveRevision, r.Name),
			InGit:    "remove spec.rollout.activeRevision",
			Warnings: warnings(p, r),
		}, nil
	}
	return pin(p, r), nil
}

// Rollback moves readers back to a revision that is kept; "" is the one that they saw last.
func Rollback(p *v1alpha1.Projection, revision string) (*Decision, error) {
	if revision != "" {
		r, err := lookUp(p, revision)
		if err != nil {
			return nil, err
		}
		if err := movable(p, r); err != nil {
			return nil, err
		}
		if r.State != v1alpha1.RevisionKept {
			return nil, fmt.Errorf("%s: revision %s is %s, and readers have not seen it yet; kubectl projection promote %s %s moves them forward to it",
				title(p), r.Name, r.State, p.Name, r.Name)
		}
		return pin(p, r), nil
	}
	var last *v1alpha1.RevisionStatus
	for i := range p.Status.Revisions {
		r := &p.Status.Revisions[i]
		if r.State == v1alpha1.RevisionKept && (last == nil || later(r, last)) {
			last = r
		}
	}
	if last == nil {
		return nil, fmt.Errorf("%s keeps no revision to go back to (rollout.keepRevisions, rollout.keepSeconds); "+
			"with the old spec applied again its tables are built anew beside those that readers see", title(p))
	}
	return pin(p, last), nil
}

func later(a, b *v1alpha1.RevisionStatus) bool {
	return a.PromotedAt != nil && (b.PromotedAt == nil || a.PromotedAt.After(b.PromotedAt.Time))
}

func pin(p *v1alpha1.Projection, r *v1alpha1.RevisionStatus) *Decision {
	return &Decision{
		Spec: map[string]any{"rollout": map[string]any{"activeRevision": r.Name}}, Target: r.Name,
		Says: fmt.Sprintf("set rollout.activeRevision of %s to %s: readers are moved from %s, and stay there until it is changed", title(p), r.Name, p.Status.ActiveRevision),
		// Quoted, since YAML takes 12345e6789 for a number.
		InGit:    fmt.Sprintf("spec:\n  rollout:\n    activeRevision: %q", r.Name),
		Warnings: warnings(p, r),
	}
}

// near are the lags at which a promotion is a matter of moments.
var near = []string{"", "0", "<100", "<1k"}

func warnings(p *v1alpha1.Projection, r *v1alpha1.RevisionStatus) []string {
	var out []string
	switch r.State {
	case v1alpha1.RevisionVerifying:
		out = append(out, fmt.Sprintf("revision %s is being verified, and is shown without waiting for what comes of it", r.Name))
	case v1alpha1.RevisionUnverified:
		out = append(out, fmt.Sprintf("revision %s is shown although %s", r.Name, cmp.Or(r.Message, "its verification failed")))
	}
	if !slices.Contains(near, r.Lag) && !slices.Contains(p.Spec.Rollout.Allow, v1alpha1.ConsentStaleRevision) {
		out = append(out, fmt.Sprintf("revision %s is behind (lag %s): it is not shown before it has reached what readers see now, "+
			"unless rollout.allow has StaleRevision, with which they go back in time", r.Name, r.Lag))
	}
	return out
}

// lookUp finds a revision by its name or the beginning of it.
func lookUp(p *v1alpha1.Projection, name string) (*v1alpha1.RevisionStatus, error) {
	var found []*v1alpha1.RevisionStatus
	var all []string
	for i := range p.Status.Revisions {
		r := &p.Status.Revisions[i]
		all = append(all, r.Name)
		if strings.HasPrefix(r.Name, name) {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("%s has several revisions that begin with %s; give all ten digits", title(p), name)
	case len(all) == 0:
		return nil, fmt.Errorf("%s has no revision %s; its status names none", title(p), name)
	}
	return nil, fmt.Errorf("%s has no revision %s; there are %s (kubectl projection revisions %s)", title(p), name, strings.Join(all, ", "), p.Name)
}

// movable fails where readers cannot be moved to a revision now.
func movable(p *v1alpha1.Projection, r *v1alpha1.RevisionStatus) error {
	switch r.State {
	case v1alpha1.RevisionReady, v1alpha1.RevisionKept, v1alpha1.RevisionVerifying, v1alpha1.RevisionUnverified:
		if r.Name != p.Status.ActiveRevision {
			return nil
		}
		fallthrough
	case v1alpha1.RevisionActive:
		return fmt.Errorf("%s: readers see revision %s already", title(p), r.Name)
	case v1alpha1.RevisionPromoting:
		return fmt.Errorf("%s: readers are being moved to revision %s already; kubectl projection status %s --watch follows it", title(p), r.Name, p.Name)
	case v1alpha1.RevisionDiscarding:
		return fmt.Errorf("%s: revision %s is being dropped; with its spec applied again it is built anew", title(p), r.Name)
	}
	lag := r.Lag
	if lag == "" {
		lag = "unknown"
	}
	return fmt.Errorf("%s: revision %s is %s (lag %s)%s: it can be promoted once it is Ready; kubectl projection status %s --watch follows it",
		title(p), r.Name, r.State, lag, because(r), p.Name)
}

func because(r *v1alpha1.RevisionStatus) string {
	if r.Message == "" {
		return ""
	}
	return ": " + r.Message
}

func title(p *v1alpha1.Projection) string { return "Projection " + p.Namespace + "/" + p.Name }
