// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ReplayFrom is where the new tables begin. Exactly one of its fields is set.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="(has(self.earliest) ? 1 : 0) + (has(self.time) ? 1 : 0) + (has(self.positions) ? 1 : 0) == 1",message="from is one of earliest, time and positions: give exactly one"
type ReplayFrom struct {
	// earliest is the beginning of the log, as where there is no from. Example: {}.
	// +optional
	Earliest *ReplayEarliest `json:"earliest,omitempty"`

	// time begins each partition with its first record whose timestamp, as the broker has it, is at or after it, and at its
	// end where there is none. It must not lie in the future. Example: "2026-11-01T00:00:00Z".
	// +optional
	Time *metav1.Time `json:"time,omitempty"`

	// positions begin the partitions that they name there. Partitions that are not named begin with their first event, which
	// the broker must still have. Example: [{topic: readings, partition: 0, position: "123456"}].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +listType=map
	// +listMapKey=topic
	// +listMapKey=partition
	// +optional
	Positions []ReplayPosition `json:"positions,omitempty"`
}

// ReplayEarliest has no settings.
type ReplayEarliest struct{}

// ReplayPosition is where one partition begins.
type ReplayPosition struct {
	// topic is the name of the EventTopic. Example: readings.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Topic string `json:"topic,omitempty"`

	// partition is its number at the broker. Example: 0.
	// +kubebuilder:validation:Minimum=0
	// +required
	Partition *int32 `json:"partition,omitempty"`

	// position is the first to be read, as decimal digits; for Kafka an offset. Example: "123456".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=19
	// +kubebuilder:validation:Pattern=`^(0|[1-9][0-9]*)$`
	// +required
	Position string `json:"position,omitempty"`
}
