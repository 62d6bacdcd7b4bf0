// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import "github.com/projectionist-dev/projectionist/contract"

// The labels of everything that the operator makes. The operator's caches hold
// only objects that carry LabelManagedBy.
const (
	LabelName      = "app.kubernetes.io/name"
	LabelInstance  = "app.kubernetes.io/instance"
	LabelComponent = contract.LabelComponent
	LabelManagedBy = "app.kubernetes.io/managed-by"

	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "projectionist"

	// LabelProjection is the name of the Projection.
	LabelProjection = contract.LabelProjection
	// LabelRevision is the revision that an object belongs to.
	LabelRevision = contract.LabelRevision
	// LabelRole on ControllerRevisions says what the revision is there for, and LabelStore, on Deployments as well, in which
	// ReadStore its tables are: they are how the projections of a store know of each other's builds and connections.
	LabelRole  = "projectionist.dev/role"
	LabelStore = "projectionist.dev/store"
	// LabelOwnerUID is the UID of the resource that a Job acts for.
	LabelOwnerUID = "projectionist.dev/owner-uid"
	// LabelAction is the contract.Action of a Job.
	LabelAction = "projectionist.dev/action"

	// AnnotationContractHash on pods is the digest of the contract that they run.
	AnnotationContractHash = "projectionist.dev/contract-hash"
	// AnnotationInputs on Jobs is the digest of what the Job was asked.
	AnnotationInputs = "projectionist.dev/inputs"
	// AnnotationSequence on Jobs counts the Jobs of one owner and action.
	AnnotationSequence = "projectionist.dev/sequence"
	// AnnotationAttempt on Jobs counts those in a row that asked the same and failed, from 1.
	AnnotationAttempt = "projectionist.dev/attempt"
	// AnnotationResult on Jobs is the contract.Result that the Job ended with.
	AnnotationResult = "projectionist.dev/result"
	// AnnotationLastGood on Jobs is the newest successful contract.Result before this Job, for the same inputs.
	AnnotationLastGood = "projectionist.dev/last-good-result"

	// AnnotationIncarnation on Jobs is the UID of the ControllerRevision that they were made for: a revision that was
	// dropped and is built again knows nothing of what was done before.
	AnnotationIncarnation = "projectionist.dev/revision-uid"
	// AnnotationAttempts on ControllerRevisions is a JSON list of the replayTokens and UIDs of Replays that count as done,
	// AnnotationReplay the name of the Replay that asked for it.
	AnnotationAttempts = contract.AnnotationAttempts
	AnnotationReplay   = "projectionist.dev/replay"
	// AnnotationAsked on ControllerRevisions is the number of the last promote of the revision, written down before it is
	// asked for; on Jobs, the highest that was written down when they were made. An answer of a Job that did not know
	// of the promote does not say what readers see.
	AnnotationAsked = "projectionist.dev/asked-promote"
	// AnnotationBuilt on ControllerRevisions is the JSON form of a v1alpha1.Built: what the build took. Nothing is decided by it.
	AnnotationBuilt = "projectionist.dev/built"

	// ComponentProjector and ComponentAction are values of LabelComponent.
	ComponentProjector = contract.ComponentProjector
	ComponentAction    = "action"
)

// ProjectionLabels are on every object of a projection; revision may be empty.
func ProjectionLabels(projection, revision string) map[string]string {
	l := map[string]string{
		LabelName:       "projectionist",
		LabelInstance:   projection,
		LabelComponent:  ComponentProjector,
		LabelManagedBy:  ManagedBy,
		LabelProjection: projection,
	}
	if revision != "" {
		l[LabelRevision] = revision
	}
	return l
}

// ProjectorSelector selects the pods of a projection; with a revision, of that
// revision only.
func ProjectorSelector(projection, revision string) map[string]string {
	s := map[string]string{LabelProjection: projection, LabelComponent: ComponentProjector}
	if revision != "" {
		s[LabelRevision] = revision
	}
	return s
}
