// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ReplaySpec asks for one rebuild of a projection's tables from the log. Nothing but suspend can be changed later.
// +kubebuilder:validation:XValidation:rule="self.projectionRef == oldSelf.projectionRef && has(self.promotion) == has(oldSelf.promotion) && (!has(self.promotion) || self.promotion == oldSelf.promotion) && has(self.ttlSecondsAfterFinished) == has(oldSelf.ttlSecondsAfterFinished) && (!has(self.ttlSecondsAfterFinished) || self.ttlSecondsAfterFinished == oldSelf.ttlSecondsAfterFinished) && has(self.keys) == has(oldSelf.keys) && (!has(self.keys) || self.keys == oldSelf.keys) && has(self.from) == has(oldSelf.from) && (!has(self.from) || self.from == oldSelf.from)",message="a Replay asks once: only suspend can be changed; delete it and make another"
// +kubebuilder:validation:XValidation:rule="!has(self.keys) || !has(self.promotion)",message="rows of some keys are made anew in the tables that readers see, so that there is nothing to promote: give keys or promotion, not both"
// +kubebuilder:validation:XValidation:rule="!has(self.keys) || !has(self.from)",message="rows of some keys are made anew from where the tables that readers see begin: give keys or from, not both"
// +kubebuilder:validation:XValidation:rule="has(self.verify) == has(oldSelf.verify) && (!has(self.verify) || self.verify == oldSelf.verify)",message="a Replay asks once: only suspend can be changed; delete it and make another"
// +kubebuilder:validation:XValidation:rule="!has(self.keys) || !has(self.verify)",message="rows of some keys are made anew in the tables that readers see, so that nothing is verified before readers see it: give keys or verify, not both"
type ReplaySpec struct {
	// projectionRef names the Projection, in the same namespace, whose tables are built anew beside those that readers see.
	// Example: {name: order-summary}.
	// +required
	ProjectionRef LocalRef `json:"projectionRef,omitzero"`

	// keys are whose rows are made anew, in the tables that readers see and while projectors go on, instead of all tables
	// beside them. Default: everything is built anew.
	// +optional
	Keys ReplayKeys `json:"keys,omitzero"`

	// from is where the new tables begin: they hold what events from there on have made, as if those before had never been.
	// It is refused where rows would be wrong, and not only missing. Default: the earliest events.
	// +optional
	From ReplayFrom `json:"from,omitzero"`

	// promotion says who moves readers to the new tables once they have caught up: Automatic, or Manual, where they wait
	// for rollout.activeRevision of the Projection (what "kubectl projection promote" sets). Default: the rollout.promotion
	// of the Projection.
	// +optional
	Promotion Promotion `json:"promotion,omitempty"`

	// verify has the new tables compared with the log, and tested, once they have caught up and before readers are moved to
	// them, as rollout.verify of a Projection does, and in its place: none of that applies. Assertions that do not fit the
	// models are refused before anything is made. Default: the rollout.verify of the Projection. Example: {sample: 1%}.
	// +optional
	Verify *Verify `json:"verify,omitempty"`

	// suspend holds the Replay: one that has not begun does not begin, and others go first; of one that has begun the
	// projectors end, its tables and positions stay, and it goes on from there once this is false. With keys, a Job that runs
	// goes on to its end. Default: false.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// ttlSecondsAfterFinished is how long the Replay stays once it is Complete or Failed; then it is deleted, which changes
	// nothing of the tables. Unit: seconds. Default: it stays. Example: 86400.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`
}

// ReplayKeys name rows of one model.
// +kubebuilder:validation:XValidation:rule="self.values.map(v, bytes(v).size()).sum() <= 65536",message="the keys are longer than 65536 bytes together: split them over several Replays"
type ReplayKeys struct {
	// model is whose rows they are. Example: order_summary.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=51
	// +required
	Model string `json:"model,omitempty"`

	// values are the keys, each as a text: a JSON array of the values of the key columns in their order, or, where the key is
	// one column, that value's text as it is. A text that begins with [ is an array. One that is there twice counts once; one
	// without events loses its row. At most 1,000 of 64 KiB together. Example: ["o-17", "o-18"], or ['["berlin", 5]'].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=4096
	// +listType=atomic
	// +required
	Values []string `json:"values,omitempty"`
}

// ReplayStatus is what the operator knows about a replay.
// +kubebuilder:validation:MinProperties=1
type ReplayStatus struct {
	// conditions say how the replay is: Ready (True once it is Complete), Reconciling, Stalled, Complete, Failed, Suspended.
	// Each carries a reason and a message that says what to do.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first visit.
	// +optional
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`

	// status is one word for how it is: Pending, Queued, Preparing, Building, Verifying (it has caught up, and is verified
	// first), Ready (it waits to be promoted), Promoting, Running (its keys are replayed), Suspended, Stalled, Complete or
	// Failed.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +optional
	Status string `json:"status,omitempty"`

	// revision is the revision of the Projection that is built, or was, or whose rows are made anew: ten hex digits that the
	// names of its tables end with.
	// +kubebuilder:validation:MinLength=10
	// +kubebuilder:validation:MaxLength=10
	// +optional
	Revision string `json:"revision,omitempty"`

	// startedAt is when the new revision, or the Job for the keys, was asked for.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`

	// finishedAt is when it was Complete or Failed.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`

	// rows says what became of the rows of the keys.
	// +optional
	Rows *ReplayedRows `json:"rows,omitempty"`

	// progress says how far it is, for people: a percentage, with 100% only at the end of the log.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +optional
	Progress string `json:"progress,omitempty"`

	// rate is eventsPerSecond for people. Example: 41k/s.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +optional
	Rate string `json:"rate,omitempty"`

	// left is estimatedSecondsLeft for people. Example: 3m20s.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +optional
	Left string `json:"left,omitempty"`

	BuildProgress `json:",inline"`

	// partitions are the positions of the first 64 partitions, by topic and number.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Partitions []ReplayPartition `json:"partitions,omitempty"`
}

// ReplayedRows is what became of the rows of some keys.
type ReplayedRows struct {
	// written rows were another than the log says, or missing.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Written *int64 `json:"written,omitempty"`

	// deleted rows have no event in the log.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Deleted *int64 `json:"deleted,omitempty"`

	// equal rows were as the log says already, or are absent on both sides.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Equal *int64 `json:"equal,omitempty"`

	// eventsRead is how many events of the log were read for it.
	// +kubebuilder:validation:Minimum=0
	// +optional
	EventsRead *int64 `json:"eventsRead,omitempty"`
}

// BuildProgress is how far a revision is that is built. Figures are those of positions in the log, to which control records
// and events that no handler takes belong, too.
type BuildProgress struct {
	// eventsDone is how many positions of the log are behind it, over all partitions.
	// +kubebuilder:validation:Minimum=0
	// +optional
	EventsDone *int64 `json:"eventsDone,omitempty"`

	// eventsTotal is how many positions the log had, over all partitions, when it was last looked at.
	// +kubebuilder:validation:Minimum=0
	// +optional
	EventsTotal *int64 `json:"eventsTotal,omitempty"`

	// eventsPerSecond is the rate of about the last minute, in two digits. Unknown when empty.
	// +kubebuilder:validation:Minimum=0
	// +optional
	EventsPerSecond *int64 `json:"eventsPerSecond,omitempty"`

	// estimatedSecondsLeft is what is left at that rate, in steps. Unknown when empty. Unit: seconds.
	// +kubebuilder:validation:Minimum=0
	// +optional
	EstimatedSecondsLeft *int64 `json:"estimatedSecondsLeft,omitempty"`
}

// ReplayPartition is how far a replay is on one partition.
type ReplayPartition struct {
	// topic is the name of the EventTopic.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Topic string `json:"topic,omitempty"`

	// partition is its number at the broker.
	// +kubebuilder:validation:Minimum=0
	// +required
	Partition *int32 `json:"partition,omitempty"`

	// position is the next position to be read.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Position string `json:"position,omitempty"`

	// end is the end of the log, as last seen.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	End string `json:"end,omitempty"`
}

// The words of Replay.status.status, beside the states of a revision.
const (
	ReplayPending   = "Pending"
	ReplayQueued    = "Queued"
	ReplayRunning   = "Running"
	ReplaySuspended = "Suspended"
	ReplayStalled   = "Stalled"
	ReplayComplete  = "Complete"
	ReplayFailed    = "Failed"
)

// Replay asks once for the tables of a Projection to be built anew from the log, beside those that readers see, like a Job;
// or for the rows of some keys to be made anew in place.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=rpl,categories=cqrs
// +kubebuilder:printcolumn:name="Projection",type=string,JSONPath=`.spec.projectionRef.name`,description="the Projection whose tables are built anew"
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.status`,description="one word for how it is"
// +kubebuilder:printcolumn:name="Progress",type=string,JSONPath=`.status.progress`,description="how far it is in the log"
// +kubebuilder:printcolumn:name="Rate",type=string,JSONPath=`.status.rate`,description="events in a second"
// +kubebuilder:printcolumn:name="Left",type=string,JSONPath=`.status.left`,description="what is left at that rate"
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.revision`,priority=1,description="the revision that is built"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1,description="why it is ready or not"
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1,description="what it waits for and what to do"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Replay struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata: name, namespace, labels, annotations.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says what is built anew.
	// +required
	Spec ReplaySpec `json:"spec,omitzero"`

	// status is what the operator last learnt; it is written by the operator alone.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status ReplayStatus `json:"status,omitzero"` //nolint:kubeapilinter // it takes the inlined BuildProgress for a field without a name
}

// ReplayList is a list of Replays.
//
// +kubebuilder:object:root=true
type ReplayList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Replay `json:"items"`
}
