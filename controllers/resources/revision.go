// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"encoding/json"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// Revision is what a ControllerRevision is built from: the record that a
// revision was asked for, with its contract, for as long as it may have tables.
type Revision struct {
	Owner      Owner
	Projection string
	Contract   *contract.Contract
	// Number is above those of older revisions.
	Number int64
	// Role is the value of LabelRole; empty: none.
	Role string
	// Attempts are the replayTokens and UIDs of Replays that count as done once it is there.
	Attempts []string
	// Replay is the name of the Replay that asked for it; empty: none did.
	Replay string
}

// Build gives the ControllerRevision. Its data never changes.
func (r Revision) Build() (*appsv1.ControllerRevision, error) {
	data, err := json.Marshal(r.Contract)
	if err != nil {
		return nil, err
	}
	labels := ProjectionLabels(r.Projection, r.Contract.Revision)
	labels[LabelStore] = Bounded(r.Contract.Store.Name)
	if r.Role != "" {
		labels[LabelRole] = r.Role
	}
	out := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: RevisionName(r.Projection, r.Contract.Revision), Namespace: r.Owner.Namespace, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: r.Owner.APIVersion, Kind: r.Owner.Kind, Name: r.Owner.Name, UID: types.UID(r.Owner.UID), Controller: ptr.To(true),
			}},
		},
		Data:     runtime.RawExtension{Raw: data},
		Revision: r.Number,
	}
	if len(r.Attempts) > 0 {
		list, err := json.Marshal(r.Attempts)
		if err != nil {
			return nil, err
		}
		metav1.SetMetaDataAnnotation(&out.ObjectMeta, AnnotationAttempts, string(list))
	}
	if r.Replay != "" {
		metav1.SetMetaDataAnnotation(&out.ObjectMeta, AnnotationReplay, r.Replay)
	}
	return out, nil
}

// Asked reads AnnotationAsked of a ControllerRevision or Job, 0 where there is none.
func Asked(o metav1.Object) int64 {
	number, _ := strconv.ParseInt(o.GetAnnotations()[AnnotationAsked], 10, 64)
	return number
}

// Built reads AnnotationBuilt of a ControllerRevision, nil where there is none that makes sense.
func Built(o *appsv1.ControllerRevision) *v1alpha1.Built {
	out := new(v1alpha1.Built)
	if json.Unmarshal([]byte(o.Annotations[AnnotationBuilt]), out) != nil || out.Events < 1 || out.Seconds < 1 {
		return nil
	}
	return out
}

// Recorded reads what a ControllerRevision was built from: its Contract, Attempts and Replay.
func Recorded(o *appsv1.ControllerRevision) (Revision, error) {
	c := new(contract.Contract)
	if err := json.Unmarshal(o.Data.Raw, c); err != nil {
		return Revision{}, fmt.Errorf("ControllerRevision %s holds no contract: %w", o.Name, err)
	}
	if c.Revision != o.Labels[LabelRevision] {
		return Revision{}, fmt.Errorf("ControllerRevision %s holds the contract of another revision", o.Name)
	}
	out := Revision{Contract: c, Replay: o.Annotations[AnnotationReplay]}
	if list := o.Annotations[AnnotationAttempts]; list != "" {
		if err := json.Unmarshal([]byte(list), &out.Attempts); err != nil {
			return Revision{}, fmt.Errorf("ControllerRevision %s: annotation %s is no list: %w", o.Name, AnnotationAttempts, err)
		}
	}
	return out, nil
}
