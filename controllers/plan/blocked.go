// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/apply"
)

// Blocked says what an error of making an object means for whoever waits, nil
// where it is no answer about the object: a conflict, a lost connection, or a
// namespace that is being deleted.
func Blocked(err error) *Verdict {
	var taken *apply.TakenError
	if errors.As(err, &taken) {
		v := stuck(v1alpha1.ReasonObjectTaken, taken.Error())
		if taken.Leaving {
			v = working(v1alpha1.ReasonStarting, taken.Error())
		}
		return &v
	}
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	message := "the API server refuses an object that is needed: " + bounded(err.Error(), 1024)
	switch {
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		v := stuck(v1alpha1.ReasonObjectRefused, message+". Correct the field of the spec that this comes from, most often below spec.projector")
		return &v
	case apierrors.IsForbidden(err), apierrors.IsInternalError(err):
		v := working(v1alpha1.ReasonObjectRefused, message+". It is tried again; a quota or an admission rule may have to change")
		return &v
	}
	return nil
}

// Refused is Blocked for an action's Job, as the result that it could not leave.
func Refused(err error, action contract.Action) *contract.Result {
	v := Blocked(err)
	if v == nil {
		return nil
	}
	return &contract.Result{
		Version: contract.Version, Action: action, Reason: v.Reason, Message: v.Message, Retryable: v.Kind != Stuck,
	}
}
