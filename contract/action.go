// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import "time"

// Action is what a Job does at a store or broker.
type Action string

// The actions. Each is a sub-command of the projector binary.
const (
	// ActionProbeBroker reaches a broker and checks that it can be used.
	ActionProbeBroker Action = "probe-broker"
	// ActionProbeTopic reads a topic's partitions and retention, creating it first where that was declared.
	ActionProbeTopic Action = "probe-topic"
	// ActionProbeStore reaches a store and checks rights and version.
	ActionProbeStore Action = "probe-store"
	// ActionPrepare creates tables, indexes, view, bookkeeping and position rows of a revision.
	ActionPrepare Action = "prepare"
	// ActionRetire drops everything that a projection owns in its store.
	ActionRetire Action = "retire"
)

// Request is the input of an action Job. Prepare and retire also read the
// Contract from ContractPath.
type Request struct {
	Version int    `json:"version"`
	Action  Action `json:"action"`
	// Sequence makes a repeated request another one.
	Sequence int64          `json:"sequence"`
	Broker   *Broker        `json:"broker,omitempty"`
	Store    *Store         `json:"store,omitempty"`
	Topic    *Topic         `json:"topic,omitempty"`
	Create   *TopicCreation `json:"create,omitempty"`
	// Owner is whose relations a retire may drop.
	Owner *Identity `json:"owner,omitempty"`
}

// TopicCreation asks for a topic that may not exist yet.
type TopicCreation struct {
	Partitions        int32             `json:"partitions"`
	ReplicationFactor int32             `json:"replicationFactor"`
	Config            map[string]string `json:"config,omitempty"`
}

// MaxResultBytes bounds a Result's JSON: what a termination message may carry.
const MaxResultBytes = 3 << 10

// Result is what an action Job writes to its termination message.
type Result struct {
	Version int    `json:"version"`
	Action  Action `json:"action"`
	OK      bool   `json:"ok"`
	// Reason is CamelCase (Unreachable, AuthenticationFailed, SecretKeyMissing, TopicMissing, NameTaken, ...).
	Reason string `json:"reason,omitempty"`
	// Message says what is wrong and what to do; no secret and no payload.
	Message string `json:"message,omitempty"`
	// Path is the field path of the resource's spec to look at.
	Path string `json:"path,omitempty"`
	// Retryable is true where waiting may help (an environment fault).
	Retryable bool          `json:"retryable,omitempty"`
	Broker    *BrokerFacts  `json:"broker,omitempty"`
	Topic     *TopicFacts   `json:"topic,omitempty"`
	Store     *StoreFacts   `json:"store,omitempty"`
	Prepare   *PrepareFacts `json:"prepare,omitempty"`
	At        time.Time     `json:"at"`
}

// BrokerFacts is what a probe learnt about a broker.
type BrokerFacts struct {
	ClusterID string `json:"clusterID,omitempty"`
	Brokers   int32  `json:"brokers"`
}

// TopicFacts is what a probe learnt about a topic.
type TopicFacts struct {
	ID                string `json:"id,omitempty"`
	Partitions        int32  `json:"partitions"`
	ReplicationFactor int32  `json:"replicationFactor"`
	// CleanupPolicy is delete, compact or both ("compact,delete").
	CleanupPolicy string `json:"cleanupPolicy,omitempty"`
	// RetentionMillis and RetentionBytes are -1 when unlimited.
	RetentionMillis       int64 `json:"retentionMillis"`
	RetentionBytes        int64 `json:"retentionBytes"`
	DeleteRetentionMillis int64 `json:"deleteRetentionMillis,omitempty"`
	// Trimmed counts partitions whose first event is gone (earliest position above 0).
	Trimmed int32 `json:"trimmed"`
	// Events is the number of positions between earliest and end, over all partitions.
	Events  int64 `json:"events"`
	Created bool  `json:"created,omitempty"`
}

// StoreFacts is what a probe learnt about a store.
type StoreFacts struct {
	ServerVersion string `json:"serverVersion,omitempty"`
	Database      string `json:"database,omitempty"`
	// InRecovery is true for a read-only replica.
	InRecovery bool `json:"inRecovery,omitempty"`
}

// PrepareFacts is what a prepare did.
type PrepareFacts struct {
	// Partitions is the number of position rows per topic.
	Partitions map[string]int32 `json:"partitions,omitempty"`
	// Adopted is true when the tables of a retained projection were taken over.
	Adopted bool `json:"adopted,omitempty"`
	// ActiveRevision is the revision that readers see after this prepare.
	ActiveRevision string `json:"activeRevision,omitempty"`
	Sequence       int64  `json:"sequence,omitempty"`
}
