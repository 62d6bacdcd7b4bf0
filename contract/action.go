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
	// ActionPromote makes the views of a projection show another revision.
	ActionPromote Action = "promote"
	// ActionDiscard drops one revision that readers do not see.
	ActionDiscard Action = "discard"
	// ActionReplayKeys makes the rows of some keys anew from the log while projectors go on.
	ActionReplayKeys Action = "replay-keys"
	// ActionVerify compares the rows of a revision with the log, and tests assertions; it changes nothing.
	ActionVerify Action = "verify"
)

// Request is the input of an action Job. Prepare, retire, verify and replay-keys also read the
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
	// Owner is whose relations a retire, promote or discard may touch.
	Owner *Identity `json:"owner,omitempty"`
	// Switch is what a promote or discard does.
	Switch *Switch `json:"switch,omitempty"`
	// Group is the consumer group at Broker that a discard removes; empty: none.
	Group string `json:"group,omitempty"`
	// Verify is what a verify does.
	Verify *Verification `json:"verify,omitempty"`
	// Groups are those at Broker that a retire removes.
	Groups []string `json:"groups,omitempty"`
	// Replay is what a replay-keys makes anew.
	Replay *KeyReplay `json:"replay,omitempty"`
}

// MaxRequestBytes bounds a Request's JSON: it travels in an environment variable, of which Linux takes 128 KiB with its name.
const MaxRequestBytes = 128<<10 - 1<<10

// Limits of a KeyReplay. Its JSON may be longer than its keys, and is bounded by MaxRequestBytes as well.
const (
	MaxReplayKeys     = 1000
	MaxReplayKeyBytes = 64 << 10
)

// KeyReplay names rows of the contract's revision by their keys.
type KeyReplay struct {
	// Model is whose rows they are.
	Model string `json:"model"`
	// Keys are texts, at most MaxReplayKeys of MaxReplayKeyBytes together: a JSON array of the values of the key columns
	// in their order, or, where the key is one column, that value's text. A text that begins with [ is an array.
	Keys []string `json:"keys"`
}

// Switch names the revision that an action concerns, and the state of the
// projection in which alone it may take effect: an action that runs twice or late
// finds another sequence and changes nothing.
type Switch struct {
	// Revision is the one to show (promote) or to drop (discard).
	Revision string `json:"revision"`
	// Active and Sequence are what the bookkeeping must say of the projection.
	Active   string `json:"active"`
	Sequence int64  `json:"sequence"`
	// LockTimeoutMillis bounds how long a promote waits for the lock on one view, behind which readers queue.
	LockTimeoutMillis int32 `json:"lockTimeoutMillis,omitempty"`
	// DeadlineSeconds bounds how long a promote tries; then it fails with HandoverTimeout.
	DeadlineSeconds int32 `json:"deadlineSeconds,omitempty"`
	// Allow is what the user has consented to.
	Allow Consents `json:"allow,omitzero"`
}

// Consents are the steps that a promotion takes only when the user has agreed.
type Consents struct {
	// BreakReaders allows views to lose or retype columns, or to go: they are dropped and made anew.
	BreakReaders bool `json:"breakReaders,omitempty"`
	// StaleRevision allows a revision that is behind what readers see now: they go back in time.
	StaleRevision bool `json:"staleRevision,omitempty"`
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
	Verify    *VerifyFacts  `json:"verify,omitempty"`
	// Revisions is what the bookkeeping says after a prepare, promote or discard; also of one that failed, where it is known.
	Revisions *RevisionFacts `json:"revisions,omitempty"`
	// Replay is what a replay-keys did.
	Replay *ReplayFacts `json:"replay,omitempty"`
	At     time.Time    `json:"at"`
}

// BrokerFacts is what a probe learnt about a broker.
type BrokerFacts struct {
	ClusterID string `json:"clusterID,omitempty"`
	Brokers   int32  `json:"brokers"`
	// Registry is nil where the broker has no schema registry.
	Registry *RegistryFacts `json:"registry,omitempty"`
}

// RegistryFacts is what a probe learnt about the schema registry of a broker. One that cannot be used does not make the
// probe fail: topics without schemas and schemas that are known need no registry.
type RegistryFacts struct {
	OK bool `json:"ok"`
	// Reason and Message say why it cannot be used, as those of a Result do.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
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

// ReplayFacts is what a replay-keys did. A key that was given twice counts once.
type ReplayFacts struct {
	Revision string `json:"revision"`
	// Written rows were another, or none; Deleted ones have no event in the log; Equal ones, and those that are absent
	// on both sides, were as the log says.
	Written int64 `json:"written"`
	Deleted int64 `json:"deleted"`
	Equal   int64 `json:"equal"`
	// Events counts the records of the log that were read.
	Events int64 `json:"events"`
	// Positions are those that the rows are of, by topic, in the order of the partitions. Of topics with many partitions they are left out.
	Positions map[string][]Position `json:"positions,omitempty"`
}

// RevisionFacts is what the bookkeeping of a store says of a projection's revisions.
type RevisionFacts struct {
	// Active is the revision that the views show; empty before the first prepare.
	Active   string `json:"active,omitempty"`
	Sequence int64  `json:"sequence,omitempty"`
	// Revisions are those that have tables, oldest first.
	Revisions []RevisionFact `json:"revisions,omitempty"`
}

// RevisionFact is one revision that has tables.
type RevisionFact struct {
	Revision string `json:"revision"`
	// PromotedAt is when views last began to show it, LeftAt when they last ceased to; zero if never.
	PromotedAt time.Time `json:"promotedAt,omitzero"`
	LeftAt     time.Time `json:"leftAt,omitzero"`
}

// Find gives the fact of a revision, nil if it has no tables.
func (f *RevisionFacts) Find(revision string) *RevisionFact {
	if f == nil {
		return nil
	}
	for i := range f.Revisions {
		if f.Revisions[i].Revision == revision {
			return &f.Revisions[i]
		}
	}
	return nil
}
