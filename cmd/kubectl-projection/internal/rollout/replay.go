// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/change"
)

// Wishes are what a Replay is to be like.
type Wishes struct {
	// Promotion is Automatic, Manual, or empty for that of the projection.
	Promotion string
	// TTL is how long it stays once it has ended; negative: for ever.
	TTL time.Duration
	// Verify is how the new tables are verified: all, sample=SHARE, or empty for as the projection says.
	Verify string
	// Keys are texts of keys whose rows alone are made anew, and Model whose they are, empty for the only one; no keys: everything.
	Keys  []string
	Model string
	// From is where the new tables begin, as ParseFrom reads it; empty for the earliest events.
	From string
}

// Rebuild makes a Replay of a projection, named after the time.
func Rebuild(p *v1alpha1.Projection, w Wishes, now time.Time) (*v1alpha1.Replay, *Decision, error) {
	if err := accepted(p); err != nil {
		return nil, nil, err
	}
	r := &v1alpha1.Replay{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Replay"},
		ObjectMeta: metav1.ObjectMeta{Name: p.Name + now.UTC().Format("-20060102-150405"), Namespace: p.Namespace},
		Spec:       v1alpha1.ReplaySpec{ProjectionRef: v1alpha1.LocalRef{Name: p.Name}, Promotion: v1alpha1.Promotion(w.Promotion)},
	}
	switch r.Spec.Promotion {
	case "", v1alpha1.PromotionAutomatic, v1alpha1.PromotionManual:
	default:
		return nil, nil, fmt.Errorf("--promotion is %q; it is Automatic or Manual", w.Promotion)
	}
	var err error
	if r.Spec.Verify, err = verification(w.Verify); err != nil {
		return nil, nil, err
	}
	if w.TTL >= 0 {
		r.Spec.TTLSecondsAfterFinished = ptr.To(int32(min(w.TTL/time.Second, 365*24*3600)))
	}
	if w.From != "" {
		if r.Spec.From, err = ParseFrom(w.From, now); err != nil {
			return nil, nil, err
		}
	}
	if len(w.Keys) > 0 {
		d, err := someKeys(p, w, r)
		return r, d, err
	}
	d := &Decision{Says: fmt.Sprintf("made Replay %s of %s: a new revision is built beside the one that readers see", r.Name, title(p))}
	if v := r.Spec.Verify; v != nil {
		d.Says += fmt.Sprintf(", and compared with the log before readers see it (%s of the keys)", v.Sample)
	}
	if r.Spec.From.Time != nil || len(r.Spec.From.Positions) > 0 {
		from := w.From
		if at := r.Spec.From.Time; at != nil {
			from = at.UTC().Format(time.RFC3339)
		}
		d.Says += ", from " + from + " on: rows that only events before that have made will be missing from it"
	}
	d.Warnings = held(p, cmp.Or(r.Spec.Promotion, change.Defaulted(p.Spec.Rollout).Promotion))
	return r, d, nil
}

// verification reads --verify.
func verification(text string) (*v1alpha1.Verify, error) {
	share, isSample := strings.CutPrefix(text, "sample=")
	switch {
	case text == "":
		return nil, nil
	case text == "all":
		share = "100%"
	case !isSample:
		return nil, fmt.Errorf("--verify is %q; it is all, or sample=SHARE, such as sample=1%%", text)
	}
	if buckets, ok := contract.SampleBuckets(share); !ok || buckets == 0 {
		return nil, fmt.Errorf("--verify is %q, and %q is no share of the keys; write sample=1%% or sample=0.5%%", text, share)
	}
	return &v1alpha1.Verify{Sample: share}, nil
}

// someKeys makes it one of keys.
func someKeys(p *v1alpha1.Projection, w Wishes, r *v1alpha1.Replay) (*Decision, error) {
	names := make([]string, len(p.Spec.Models))
	for i := range names {
		names[i] = p.Spec.Models[i].Name
	}
	model, list := w.Model, strings.Join(names, ", ")
	switch {
	case model == "" && len(names) != 1:
		return nil, fmt.Errorf("%s has several models, %s: say with --model whose keys they are", title(p), list)
	case model == "":
		model = names[0]
	case !slices.Contains(names, model):
		return nil, fmt.Errorf("%s has no model %q; there is %s", title(p), model, list)
	}
	size := 0
	for _, key := range w.Keys {
		size += len(key)
	}
	if len(w.Keys) > contract.MaxReplayKeys || size > contract.MaxReplayKeyBytes {
		return nil, fmt.Errorf("there are %d keys of %d bytes, and a Replay takes at most %d of %d: split them, or replay them from here with -f", len(w.Keys), size, contract.MaxReplayKeys, contract.MaxReplayKeyBytes)
	}
	r.Spec.Keys = v1alpha1.ReplayKeys{Model: model, Values: w.Keys}
	some := fmt.Sprintf("%d keys", len(w.Keys))
	if len(w.Keys) == 1 {
		some = "1 key"
	}
	d := &Decision{Says: fmt.Sprintf("made Replay %s of %s: the rows of %s of model %s are made anew in the tables that readers see", r.Name, title(p), some, model)}
	if ptr.Deref(p.Spec.Suspend, false) {
		d.Warnings = append(d.Warnings, "spec.suspend is set: nothing is done until it is removed")
	}
	return d, nil
}

// Token asks for a rebuild by spec.replayToken.
func Token(p *v1alpha1.Projection, token string) (*Decision, error) {
	const longest = 128
	if len(token) > longest {
		return nil, fmt.Errorf("--token has %d characters; at most %d are taken", len(token), longest)
	}
	used := token == p.Spec.ReplayToken || slices.ContainsFunc(p.Status.Revisions, func(r v1alpha1.RevisionStatus) bool { return r.Attempt == token })
	if used {
		return nil, fmt.Errorf("%s was rebuilt with token %q before: each token asks for one rebuild; give another one", title(p), token)
	}
	if err := accepted(p); err != nil {
		return nil, err
	}
	return &Decision{
		Spec:     map[string]any{"replayToken": token},
		Says:     fmt.Sprintf("asked %s for a rebuild with token %q: a new revision is built beside the one that readers see", title(p), token),
		InGit:    fmt.Sprintf("spec:\n  replayToken: %q", token),
		Warnings: held(p, change.Defaulted(p.Spec.Rollout).Promotion),
	}, nil
}

func accepted(p *v1alpha1.Projection) error {
	for _, c := range p.Status.Conditions {
		if c.Type == v1alpha1.ConditionSpecAccepted && c.Status == "False" {
			return fmt.Errorf("%s: its spec is not accepted, so that nothing would be built: %s", title(p), c.Message)
		}
	}
	return nil
}

// held says what keeps readers from what is built.
func held(p *v1alpha1.Projection, promotion v1alpha1.Promotion) []string {
	var out []string
	switch {
	case p.Spec.Rollout.ActiveRevision != "":
		out = append(out, fmt.Sprintf("rollout.activeRevision keeps readers on %s: once it has caught up, kubectl projection promote %s moves them", p.Spec.Rollout.ActiveRevision, p.Name))
	case promotion == v1alpha1.PromotionManual:
		out = append(out, fmt.Sprintf("promotion is Manual: once it has caught up, kubectl projection promote %s moves readers", p.Name))
	}
	if p.Spec.Suspend != nil && *p.Spec.Suspend {
		out = append(out, "spec.suspend is set: nothing is built until it is removed")
	}
	return out
}

// Ended is how a Replay ended: the condition's type and message; "" where it has not.
func Ended(r *v1alpha1.Replay) (how, message string) {
	for _, c := range r.Status.Conditions {
		if (c.Type == v1alpha1.ConditionComplete || c.Type == v1alpha1.ConditionFailed) && c.Status == metav1.ConditionTrue {
			return c.Type, c.Message
		}
	}
	return "", ""
}

// Abort picks the Replay of a projection to be deleted: the one that is named, else the one that is under way. The error
// says what to do where none of them is what is being built.
func Abort(p *v1alpha1.Projection, all []v1alpha1.Replay, named string) (*v1alpha1.Replay, *Decision, error) {
	var open []*v1alpha1.Replay
	var names []string
	for i := range all {
		if how, _ := Ended(&all[i]); how == "" && all[i].DeletionTimestamp.IsZero() {
			open = append(open, &all[i])
			names = append(names, all[i].Name)
		}
	}
	if len(open) == 0 {
		return nil, nil, noReplay(p)
	}
	r := open[0]
	for _, o := range open {
		if o.Status.Revision != "" && len(o.Spec.Keys.Values) == 0 {
			r = o
		}
	}
	if named != "" {
		i := slices.Index(names, named)
		if i < 0 {
			return nil, nil, fmt.Errorf("%s has no unfinished Replay %s; there is %s", title(p), named, strings.Join(names, ", "))
		}
		r = open[i]
	}
	d := &Decision{Says: fmt.Sprintf("deleted Replay %s of %s, which had not begun", r.Name, title(p))}
	switch {
	case len(r.Spec.Keys.Values) > 0:
		d.Says = fmt.Sprintf("deleted Replay %s of %s: its Job ends, which has made all of its rows anew or none", r.Name, title(p))
	case r.Status.Revision != "":
		d.Says = fmt.Sprintf("deleted Replay %s of %s: revision %s is dropped, and readers stay with %s", r.Name, title(p), r.Status.Revision, p.Status.ActiveRevision)
	}
	if r.Status.Status == v1alpha1.RevisionPromoting {
		d.Warnings = append(d.Warnings, fmt.Sprintf("readers were being moved to revision %s: where that is done already, kubectl projection rollback %s moves them back", r.Status.Revision, p.Name))
	}
	if n := len(open) - 1; n > 0 {
		rest := slices.DeleteFunc(names, func(s string) bool { return s == r.Name })
		d.Warnings = append(d.Warnings, "there are others, one of which is next or goes on: "+strings.Join(rest, ", "))
	}
	return r, d, nil
}

// noReplay says how to give up what is built without a Replay.
func noReplay(p *v1alpha1.Projection) error {
	target := p.Status.TargetRevision
	if target == "" || target == p.Status.ActiveRevision {
		return fmt.Errorf("%s has no unfinished Replay, and builds nothing: readers see what its newest spec asks for", title(p))
	}
	i := slices.IndexFunc(p.Status.Revisions, func(r v1alpha1.RevisionStatus) bool { return r.Name == target })
	switch {
	case i < 0:
		return fmt.Errorf("%s has no unfinished Replay: nothing is made yet for revision %s, which is to be built. Where a Replay asked for it that is gone, it is forgotten in a moment; "+
			"where the newest spec asks for it, put that back to what readers see", title(p), target)
	case p.Status.Revisions[i].Attempt == "":
	case p.Status.Revisions[i].Attempt == p.Spec.ReplayToken:
		return fmt.Errorf("%s builds revision %s since spec.replayToken asks for it, and no Replay does: set the token back to what it was, and what was built is dropped", title(p), target)
	default:
		return fmt.Errorf("%s has no unfinished Replay: the one that asked for revision %s is gone, and what was built for it is being dropped", title(p), target)
	}
	return fmt.Errorf("%s builds revision %s since its newest spec asks for it, and no Replay does: put the spec back to what readers see (git revert), and what was built is dropped. "+
		"kubectl projection plan says what differs", title(p), target)
}
