// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// Rollout says how readers move from one revision to the next.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'InPlace' || !has(self.keepRevisions) && !has(self.keepSeconds)",message="strategy InPlace keeps no revision after the switch: remove keepRevisions and keepSeconds, or use strategy BlueGreen"
type Rollout struct {
	// strategy says what becomes of the revision that readers have left: BlueGreen keeps it for a while, by keepRevisions and
	// keepSeconds, as a way back; InPlace drops it at once, and there is no way back but another build. Both build
	// the new revision beside the old one and then move readers. Default: BlueGreen.
	// +kubebuilder:default="BlueGreen"
	// +optional
	Strategy Strategy `json:"strategy,omitempty"`

	// promotion says who moves readers to a new revision once it has caught up: Automatic, or Manual, where it waits for
	// activeRevision (what "kubectl projection promote" sets). Default: Automatic.
	// +kubebuilder:default="Automatic"
	// +optional
	Promotion Promotion `json:"promotion,omitempty"`

	// activeRevision pins what readers see: the revision of this name, which has to exist. Newer specs are still built
	// beside it. Setting it to an earlier revision that is kept is a rollback; removing it lets promotion decide again.
	// Default: none. Example: 7c9f41a0b2.
	// +kubebuilder:validation:MinLength=10
	// +kubebuilder:validation:MaxLength=10
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{10}$`
	// +optional
	ActiveRevision string `json:"activeRevision,omitempty"`

	// keepRevisions is how many revisions that readers have left stay, with projectors that keep them up to date, so
	// that a rollback is as quick as a promotion. Default: 1; with strategy InPlace none is kept.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=5
	// +optional
	KeepRevisions *int32 `json:"keepRevisions,omitempty"`

	// keepSeconds is how long a revision stays after readers have left it; then its tables are dropped. Unit: seconds.
	// Default: 3600; with strategy InPlace at once.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2592000
	// +optional
	KeepSeconds *int32 `json:"keepSeconds,omitempty"`

	// deadlineSeconds is how long a new revision may take to be built and to catch up before the projection is Stalled
	// (it goes on building). Unit: seconds. Default: 86400.
	// +kubebuilder:default=86400
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=2592000
	// +optional
	DeadlineSeconds int32 `json:"deadlineSeconds,omitempty"`

	// lockTimeoutMilliseconds is how long the switch waits for the lock on one view, behind which new queries queue,
	// before it gives way and tries again. Unit: milliseconds. Default: 100.
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=450
	// +optional
	LockTimeoutMilliseconds int32 `json:"lockTimeoutMilliseconds,omitempty"`

	// build says how a new revision is built. Default: in bulk, where that is possible and worth while.
	// +optional
	Build *Build `json:"build,omitempty"`

	// allow lists what a switch does only with consent: BreakReaders (a view loses or retypes a column, or goes: it is
	// dropped and made anew, and objects that depend on it stop it), StaleRevision (activeRevision names a revision that is
	// behind what readers see now, for example one that is stopped: readers go back in time). Default: none.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +listType=set
	// +optional
	Allow []Consent `json:"allow,omitempty"`

	// verify has a new revision compared with the log, and tested, once it has caught up and before readers are moved to it.
	// A revision that fails is not promoted by itself: activeRevision shows it all the same. {} compares every row.
	// Default: no verification. Example: {sample: 1%}.
	// +optional
	Verify *Verify `json:"verify,omitempty"`
}

// Verify says how a revision is verified.
type Verify struct {
	// sample is the share of the keys whose rows are compared with the log, always the same keys; the grain is 1/4096. 0%
	// compares nothing, so that the log is not read and the assertions alone are tested. Default: 100%. Example: 1%.
	// +kubebuilder:default="100%"
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:Pattern=`^(100|[0-9]{1,2}(\.[0-9]{1,4})?)%$`
	// +optional
	Sample string `json:"sample,omitempty"`

	// assertions are conditions on rows, or on a table as a whole. They are tested on every row, whatever sample is.
	// Default: none.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	// +optional
	Assertions []Assertion `json:"assertions,omitempty"`

	// deadlineSeconds is how long a verification may take; it reads the log once, from its beginning. Unit: seconds.
	// Default: 3600.
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=604800
	// +optional
	DeadlineSeconds int32 `json:"deadlineSeconds,omitempty"`
}

// Assertion is a condition that a revision must meet before it is promoted.
// +kubebuilder:validation:XValidation:rule="has(self.row) != has(self.all)",message="give row (a condition on every row) or all (one on the whole table), not both"
type Assertion struct {
	// name names the assertion in messages. Example: no-negative-totals.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-_A-Za-z0-9]*[A-Za-z0-9])?$`
	// +required
	Name string `json:"name,omitempty"`

	// model is the model that it is about. Example: order_summary.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=51
	// +required
	Model string `json:"model,omitempty"`

	// row is a condition that every row meets, as a CEL expression over row that yields a bool. Example: row.total >= 0.
	// +optional
	Row AssertionExpression `json:"row,omitempty"`

	// all is a condition on the table as a whole, as a CEL expression that yields a bool: count is the number of rows, and
	// sum.x, min.x and max.x are over the values of column x that are not NULL. A sum is a decimal, 0 of no value; min and
	// max are null of no value. Example: "count > 1000 && sum.total > 0.0".
	// +optional
	All AssertionExpression `json:"all,omitempty"`
}

// AssertionExpression is a CEL expression of an assertion.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
type AssertionExpression string

// Strategy says what becomes of a revision that readers have left.
// +kubebuilder:validation:Enum=BlueGreen;InPlace
type Strategy string

// The strategies.
const (
	StrategyBlueGreen Strategy = "BlueGreen"
	StrategyInPlace   Strategy = "InPlace"
)

// Build says how a new revision is built. A change takes effect in place: a build under way begins anew.
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'Live' || !has(self.maxEventsPerSecond)",message="maxEventsPerSecond bounds a build in bulk; mode Live makes none"
type Build struct {
	// mode is Auto or Live. Auto: one projector reads and folds the log as it is now and writes each row once, which is
	// more than twice as fast as applying event by event; logs of less than 200,000 events, and specs with fan-outs, unique
	// indexes or order: Arrival, are applied event by event. Live: always event by event. Default: Auto.
	// +kubebuilder:default="Auto"
	// +optional
	Mode BuildMode `json:"mode,omitempty"`

	// maxEventsPerSecond bounds how fast a build in bulk reads, so that it takes no more than its share of broker and
	// processor from what runs beside it. Unit: events per second. Default: no bound. Example: 20000.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	// +optional
	MaxEventsPerSecond int32 `json:"maxEventsPerSecond,omitempty"`

	// spillLimit bounds what a build in bulk writes to the disk of its node (an emptyDir) when the rows do not fit into a
	// third of the projector's memory limit. When it is reached, events are applied event by event instead. 64Mi to 1Ti.
	// Default: 1Gi.
	// +optional
	SpillLimit *resource.Quantity `json:"spillLimit,omitempty"`
}

// BuildMode says how a new revision is built.
// +kubebuilder:validation:Enum=Auto;Live
type BuildMode string

// The modes.
const (
	BuildAuto BuildMode = "Auto"
	BuildLive BuildMode = "Live"
)

// Promotion says who moves readers to a new revision.
// +kubebuilder:validation:Enum=Automatic;Manual
type Promotion string

// The ways of promotion.
const (
	PromotionAutomatic Promotion = "Automatic"
	PromotionManual    Promotion = "Manual"
)

// Consent is a step that is taken only when the user agrees.
// +kubebuilder:validation:Enum=BreakReaders;StaleRevision
type Consent string

// The consents.
const (
	ConsentBreakReaders  Consent = "BreakReaders"
	ConsentStaleRevision Consent = "StaleRevision"
)
