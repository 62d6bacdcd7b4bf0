// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// Annotation on a Replay that has begun is the JSON form of its Record.
const Annotation = v1alpha1.GroupName + "/replays"

// Record is what a Replay that has begun is of.
type Record struct {
	// Projection is the UID of the Projection.
	Projection types.UID `json:"projection"`
	// DataHash identifies what rows are a function of, ReplayToken is what the spec asked for, both when it began.
	DataHash    string `json:"dataHash"`
	ReplayToken string `json:"replayToken,omitempty"`
}

// RecordOf gives a Replay's record, nil where it has not begun. One that cannot be read counts as none: it begins anew.
func RecordOf(r *v1alpha1.Replay) *Record {
	text := r.Annotations[Annotation]
	out := new(Record)
	if text == "" || json.Unmarshal([]byte(text), out) != nil || out.Projection == "" {
		return nil
	}
	return out
}

// Superseded says what of a Projection's newest spec is another than recorded,
// "" if nothing is. An empty hash is that of a spec that was not accepted, which touches nothing.
func (r *Record) Superseded(dataHash, token string) string {
	switch {
	case token != "" && token != r.ReplayToken:
		return "spec.replayToken"
	case differ(r.DataHash, dataHash):
		return "what rows are made of"
	}
	return ""
}

// differ reports whether two hashes are of other data. Those of two algorithms cannot be compared, and say nothing.
func differ(a, b string) bool {
	x, _, known := strings.Cut(a, ":")
	y, _, also := strings.Cut(b, ":")
	return known && also && x == y && a != b
}

// Finished reports whether a Replay has ended.
func Finished(r *v1alpha1.Replay) bool { return ending(r) != "" }

// ending is the condition that says how a Replay ended, "" if it has not.
func ending(r *v1alpha1.Replay) string {
	for _, c := range r.Status.Conditions {
		if (c.Type == v1alpha1.ConditionComplete || c.Type == v1alpha1.ConditionFailed) && c.Status == "True" {
			return c.Type
		}
	}
	return ""
}

// UnderWay is the Replay whose UID is the attempt that a Projection is asked for, nil if there is none.
func UnderWay(all []v1alpha1.Replay, projection types.UID, dataHash, token string) *v1alpha1.Replay {
	sorted := oldestFirst(all)
	for i := range sorted {
		r := &sorted[i]
		record := RecordOf(r)
		if record != nil && record.Projection == projection && r.DeletionTimestamp.IsZero() && !Finished(r) && !OfKeys(r) && record.Superseded(dataHash, token) == "" {
			return r
		}
	}
	return nil
}

// Verifies reports whether a Replay of a Projection that has not ended says how what it builds is verified.
func Verifies(all []v1alpha1.Replay, projection string) bool {
	return slices.ContainsFunc(all, func(r v1alpha1.Replay) bool {
		return r.Spec.ProjectionRef.Name == projection && r.Spec.Verify != nil && !Finished(&r)
	})
}

// Keys reports whether a Projection has a Replay of some keys that has not ended. However many there are, one runs at a time.
func Keys(all []v1alpha1.Replay, projection string) bool {
	return slices.ContainsFunc(all, func(r v1alpha1.Replay) bool {
		return r.Spec.ProjectionRef.Name == projection && OfKeys(&r) && !Finished(&r)
	})
}

func oldestFirst(all []v1alpha1.Replay) []v1alpha1.Replay {
	out := slices.Clone(all)
	slices.SortFunc(out, func(a, b v1alpha1.Replay) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return out
}
