// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProjectionSpec declares a read model: which topics it is made of, its tables, and how events fold into rows.
type ProjectionSpec struct {
	// storeRef names the ReadStore that holds the tables. Cannot be changed later. Example: {name: orders-read}.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="storeRef cannot be changed: the tables would be left behind in the old store; make a new Projection"
	// +required
	StoreRef LocalRef `json:"storeRef,omitzero"`

	// topics are the EventTopics that it consumes, all on one EventBroker. Example: [{name: orders}].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	// +required
	Topics []TopicRef `json:"topics,omitempty"`

	// models are the tables. All models of a projection commit together.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	// +required
	Models []Model `json:"models,omitempty"`

	// suspend stops the projectors; tables, views and positions stay, and going on later loses nothing that the broker
	// still has. Default: false.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// lagTargetSeconds is how long a partition may go without having been at the end of its log before the projection
	// stops being Ready. Unit: seconds. Default: 60.
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	// +optional
	LagTargetSeconds int32 `json:"lagTargetSeconds,omitempty"`

	// deletionPolicy says what happens to the tables when the Projection is deleted: Retain keeps them, and a Projection
	// of the same name takes them over again; Delete drops them. Default: Retain.
	// +kubebuilder:default="Retain"
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// rollout says how a change that needs the tables built anew takes effect: a new revision is built beside the one that
	// readers see, catches up, and then readers are switched over in one transaction. Default: automatically.
	// +kubebuilder:default={"promotion":"Automatic"}
	// +optional
	Rollout Rollout `json:"rollout,omitzero"`

	// replayToken asks for one rebuild of the tables from the log whenever it changes to a value that was not used
	// before: the form of a replay for GitOps. Default: none. Example: "2026-11-26 after the price fix".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	ReplayToken string `json:"replayToken,omitempty"`

	// projector says how the pods that do the work are run. Default: one pod.
	// +kubebuilder:default={"replicas":1}
	// +optional
	Projector ProjectorSpec `json:"projector,omitzero"`
}

// DeletionPolicy says what happens to tables when their Projection is deleted.
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

// The deletion policies.
const (
	DeletionPolicyRetain DeletionPolicy = "Retain"
	DeletionPolicyDelete DeletionPolicy = "Delete"
)

// TopicRef names an EventTopic that a projection consumes.
type TopicRef struct {
	// name is the name of an EventTopic in this namespace. Example: orders.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	// +required
	Name string `json:"name,omitempty"`
}

// ProjectorSpec says how the pods that do the work are run.
// +kubebuilder:validation:MinProperties=1
type ProjectorSpec struct {
	// replicas is the number of projector pods; they share the partitions. More than there are partitions is of no use,
	// and the operator starts no more than that. It is what "kubectl scale" and autoscalers set. Default: 1.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=512
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// resources are the requests and limits of each projector's container. Default: requests of 50m CPU and 64Mi of
	// memory, and a limit of 512Mi. Example: {requests: {cpu: 500m, memory: 256Mi}, limits: {memory: 1Gi}}.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// nodeSelector are the labels that a node must have. Default: any node. Example: {kubernetes.io/arch: arm64}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=32
	// +optional
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`

	// tolerations are the node taints that the pods put up with. Default: none.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity says near or far from what the pods should run. Default: spread over nodes where possible.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// priorityClassName is the PriorityClass of the pods. Default: the cluster's default.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// imagePullSecrets are the Secrets, in this namespace, with which the projector's image is pulled. Default: none.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	// +optional
	ImagePullSecrets []LocalRef `json:"imagePullSecrets,omitempty"`

	// labels are put on the pods beside the project's own, which win. Default: none. Example: {team: shop}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are put on the pods beside the project's own, which win. Default: none.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// serviceAccountName is the ServiceAccount that the pods run as, for workload identity. Its token is not mounted.
	// Default: one that the operator makes, with no rights.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`
type LabelValue string

// AnnotationValue is the value of an annotation.
// +kubebuilder:validation:MaxLength=16384
type AnnotationValue string

// ProjectionStatus is what the operator knows about a projection.
// +kubebuilder:validation:MinProperties=1
type ProjectionStatus struct {
	// conditions say how the projection is: Ready, Available, Reconciling, Stalled, SpecAccepted, SourceReady, StoreReady.
	// Each carries a reason and a message that says what to do.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first visit.
	// +optional
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`

	// status is one word for how it is: Pending, Refused, Preparing, CatchingUp, CaughtUp, Rebuilding, Suspended, Waiting,
	// Stalled, Unreachable or Deleting. CaughtUp means that every partition was at its end, or that lag is below 100.
	// CatchingUp with Ready is behind by less than lagTargetSeconds. Rebuilding means that the newest spec is built beside
	// the revision that readers see. The conditions and revisions say more.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +optional
	Status string `json:"status,omitempty"`

	// activeRevision is the revision that readers see: ten hex digits that the names of its tables end with.
	// +kubebuilder:validation:MinLength=10
	// +kubebuilder:validation:MaxLength=10
	// +optional
	ActiveRevision string `json:"activeRevision,omitempty"`

	// targetRevision is the revision of the newest accepted spec. Another one than activeRevision is still to be built.
	// +kubebuilder:validation:MinLength=10
	// +kubebuilder:validation:MaxLength=10
	// +optional
	TargetRevision string `json:"targetRevision,omitempty"`

	// revisions are those that have or are to have tables: the one that readers see, the one that is built, and those that
	// are kept, newest first.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	// +optional
	Revisions []RevisionStatus `json:"revisions,omitempty"`

	// dataHash identifies what the rows of the target revision are a function of: "<algorithm version>:<sha256 in hex>".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	// +optional
	DataHash string `json:"dataHash,omitempty"`

	// sequence counts what was done to the projection in the store; an action commits only on the sequence that it expects.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Sequence int64 `json:"sequence,omitempty"`

	// lag is how many events are still to be applied, in steps: 0, <100, <1k, <10k, <100k, <1M, >1M. Unknown when empty.
	// Where nothing else changes, it is written together with status at most every 30 seconds; projectors serve exact
	// figures per partition.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +optional
	Lag string `json:"lag,omitempty"`

	// replicas is the number of projector pods that exist.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// selector matches the projector pods of the active revision, for autoscalers.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Selector string `json:"selector,omitempty"`

	// partitions is the number of partitions of all its topics together: the most replicas that have work to do.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Partitions int32 `json:"partitions,omitempty"`
}

// RevisionStatus is what the operator knows about one revision.
type RevisionStatus struct {
	// name is the ten hex digits that the names of its tables end with.
	// +kubebuilder:validation:MinLength=10
	// +kubebuilder:validation:MaxLength=10
	// +required
	Name string `json:"name,omitempty"`

	// state is Queued (other projections of the store build first), Preparing, Building (it has not caught up yet),
	// Suspended (its Replay is), Verifying (it has caught up, and is verified first), Unverified (it failed that), Ready (it
	// waits for promotion), Promoting, Active (readers see it), Kept (readers have left it) or Discarding.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +required
	State string `json:"state,omitempty"`

	// dataHash identifies what its rows are a function of.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	// +optional
	DataHash string `json:"dataHash,omitempty"`

	// attempt is the replayToken, or the UID of the Replay, that asked for it; empty for the first build of a spec.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Attempt string `json:"attempt,omitempty"`

	// from is where it began to read, where a Replay asked for another place than the earliest events: a time, or positions. Rows
	// that only events before it have made are missing from its tables. Example: "2026-11-01T00:00:00Z".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	From string `json:"from,omitempty"`

	// lag is how many events are still to be applied, in steps: 0, <100, <1k, <10k, <100k, <1M, >1M. Unknown when empty.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +optional
	Lag string `json:"lag,omitempty"`

	// progress is how far it is in the log, while it is built. Where nothing else changes, it is written at most every 30
	// seconds.
	// +optional
	Progress *BuildProgress `json:"progress,omitempty"`

	// built is what of its build was seen, once that is over; it is for people, and what "kubectl projection plan" estimates
	// from. Unknown when empty: it was over too soon, or nobody looked.
	// +optional
	Built Built `json:"built,omitzero"`

	// createdAt is when it was first asked for.
	// +optional
	CreatedAt *metav1.Time `json:"createdAt,omitempty"`

	// promotedAt is when readers last moved to it.
	// +optional
	PromotedAt *metav1.Time `json:"promotedAt,omitempty"`

	// keptUntil is when its tables are dropped, unless readers come back to it.
	// +optional
	KeptUntil *metav1.Time `json:"keptUntil,omitempty"`

	// reason is why readers do not see it yet, in one word, where it is on its way to them.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Reason string `json:"reason,omitempty"`

	// stalled is true where a human is needed for readers to see it. Default: false.
	// +optional
	Stalled *bool `json:"stalled,omitempty"`

	// message says what it waits for or what is wrong.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Message string `json:"message,omitempty"`
}

// Built is what a build took, over the times in which it was seen to go on.
type Built struct {
	// events is how many positions of the log were passed meanwhile.
	// +kubebuilder:validation:Minimum=1
	// +required
	Events int64 `json:"events,omitempty"`

	// seconds is how long that took. Unit: seconds.
	// +kubebuilder:validation:Minimum=1
	// +required
	Seconds int64 `json:"seconds,omitempty"`
}

// The states of a revision.
const (
	RevisionQueued     = "Queued"
	RevisionPreparing  = "Preparing"
	RevisionBuilding   = "Building"
	RevisionSuspended  = "Suspended"
	RevisionVerifying  = "Verifying"
	RevisionUnverified = "Unverified"
	RevisionReady      = "Ready"
	RevisionPromoting  = "Promoting"
	RevisionActive     = "Active"
	RevisionKept       = "Kept"
	RevisionDiscarding = "Discarding"
)

// Projection is a read model: tables in a ReadStore that follow the events of EventTopics exactly, each event taking
// effect once, and readers seeing only whole transactions.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.projector.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:scope=Namespaced,shortName=proj,categories=cqrs
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="the name of a Projection becomes part of the names of its pods and Service: at most 40 characters, lower-case letters, digits and '-', beginning with a letter"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="whether the newest spec serves and its lag is within the target"
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.status`,description="one word for how it is"
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.activeRevision`,description="the revision that readers see"
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.status.targetRevision`,priority=1,description="the revision of the newest spec"
// +kubebuilder:printcolumn:name="Replicas",type=integer,JSONPath=`.status.replicas`,description="projector pods"
// +kubebuilder:printcolumn:name="Lag",type=string,JSONPath=`.status.lag`,description="events still to be applied, in steps"
// +kubebuilder:printcolumn:name="Store",type=string,JSONPath=`.spec.storeRef.name`,description="the ReadStore that holds its tables"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1,description="why it is ready or not"
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1,description="what is wrong and what to do"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Projection struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata: name, namespace, labels, annotations.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec declares the read model.
	// +required
	Spec ProjectionSpec `json:"spec,omitzero"`

	// status is what the operator last learnt; it is written by the operator alone.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status ProjectionStatus `json:"status,omitzero"`
}

// ProjectionList is a list of Projections.
//
// +kubebuilder:object:root=true
type ProjectionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Projection `json:"items"`
}
