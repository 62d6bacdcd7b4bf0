// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

// How the objects of a projection are found in its cluster by those who did not make them.
const (
	// LabelProjection is the name of the Projection that an object belongs to.
	LabelProjection = "projectionist.dev/projection"
	// LabelRevision is the revision that an object belongs to.
	LabelRevision = "projectionist.dev/revision"
	// LabelComponent says what an object is for.
	LabelComponent = "app.kubernetes.io/component"
	// ComponentProjector is its value on projectors.
	ComponentProjector = "projector"
	// AnnotationAttempts on ControllerRevisions is a JSON list of the replayTokens that count as done.
	AnnotationAttempts = "projectionist.dev/attempts"
	// ContractKey is the key of a ConfigMap that holds a Contract. The data of a ControllerRevision is the Contract itself.
	ContractKey = "contract.json"
)

// The most connections to a store that the processes of the data plane hold at a time.
const (
	// ProjectorConnections is for a projector.
	ProjectorConnections = 3
	// ActionConnections is for an action Job.
	ActionConnections = 2
	// VerifyConnections is for a verify, which may run beside another action Job.
	VerifyConnections = 1
)
