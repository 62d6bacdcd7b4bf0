// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// FieldManager owns every field that the operator sets.
const FieldManager = "projectionist"

// AnnotationApplied is the hash of the desired object that was last applied.
const AnnotationApplied = "projectionist.dev/applied"

// TakenError says that an object of the desired name belongs to someone else.
type TakenError struct {
	Kind, Name string
	// Leaving is true where it is being deleted, or was made for a resource of the
	// same kind and name that is gone, with which it will go.
	Leaving bool
}

// Error implements error.
func (e *TakenError) Error() string {
	if e.Leaving {
		return fmt.Sprintf("%s %s of a resource of the same name that was deleted is still there: it is waited for until it is gone", e.Kind, e.Name)
	}
	return fmt.Sprintf("%s %s exists and was not made for this resource: delete or rename it, or give this resource another name", e.Kind, e.Name)
}

func taken(live metav1.Object, want *unstructured.Unstructured) *TakenError {
	has, wants := metav1.GetControllerOf(live), metav1.GetControllerOf(want)
	return &TakenError{
		Kind: want.GetKind(), Name: want.GetName(),
		Leaving: !live.GetDeletionTimestamp().IsZero() || (has != nil && wants != nil && has.Kind == wants.Kind && has.Name == wants.Name),
	}
}

// Applier applies desired objects for one owner.
type Applier struct {
	// Client reads from the cache, which holds only objects labelled as the operator's.
	Client client.Client
	// Live reads from the API server.
	Live   client.Reader
	Scheme *runtime.Scheme
}

// Apply makes the object so. It reports whether a request was sent. Errors are
// those of the API server, or *TakenError.
func (a *Applier) Apply(ctx context.Context, owner types.UID, desired runtime.ApplyConfiguration) (bool, error) {
	want, err := stamp(desired)
	if err != nil {
		return false, err
	}
	typed, err := a.Scheme.New(want.GroupVersionKind())
	if err != nil {
		return false, err
	}
	live, ok := typed.(client.Object)
	if !ok {
		return false, fmt.Errorf("%s is no object", want.GetKind())
	}
	err = a.Client.Get(ctx, client.ObjectKeyFromObject(want), live)
	switch {
	case apierrors.IsNotFound(err):
		if err := a.checkFree(ctx, owner, want); err != nil {
			return false, err
		}
	case err != nil:
		return false, err
	default:
		if !controlledBy(live, owner) {
			return false, taken(live, want)
		}
		have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
		if err != nil {
			return false, err
		}
		// The cache's typed objects do not carry these.
		have["apiVersion"], have["kind"] = want.GetAPIVersion(), want.GetKind()
		if covers(have, want.Object) {
			return false, nil
		}
	}
	err = a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(want),
		client.FieldOwner(FieldManager), client.ForceOwnership)
	return true, err
}

// checkFree asks the API server, since the cache does not show what is not labelled.
func (a *Applier) checkFree(ctx context.Context, owner types.UID, want *unstructured.Unstructured) error {
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(want.GroupVersionKind())
	err := a.Live.Get(ctx, client.ObjectKeyFromObject(want), live)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case !controlledBy(live, owner):
		return taken(live, want)
	}
	return nil
}

func controlledBy(o metav1.Object, owner types.UID) bool {
	ref := metav1.GetControllerOf(o)
	return ref != nil && ref.UID == owner
}

// stamp turns the desired object into its JSON form, with its own hash as an annotation.
func stamp(desired runtime.ApplyConfiguration) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(desired)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationApplied] = resources.Digest(16, string(data))
	u.SetAnnotations(annotations)
	return u, nil
}
