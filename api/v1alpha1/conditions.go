// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// The types of conditions. Each kind carries those that mean something for it.
const (
	// ConditionReady is True when the newest spec is in effect and works: for a Projection, its rows are served and within
	// the lag target. Every kind has it.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the operator works on it or waits for something outside; absent otherwise.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when a human is needed; absent otherwise.
	ConditionStalled = "Stalled"
	// ConditionAvailable is True while readers can select from every view of a Projection.
	ConditionAvailable = "Available"
	// ConditionSpecAccepted is False when the newest spec of a Projection was refused; the running revision goes on.
	ConditionSpecAccepted = "SpecAccepted"
	// ConditionSourceReady is True when the broker and all topics of a Projection can be read.
	ConditionSourceReady = "SourceReady"
	// ConditionStoreReady is True when the store of a Projection can be written.
	ConditionStoreReady = "StoreReady"
	// ConditionReplayPossible is True when every event since the first is still on an EventTopic.
	ConditionReplayPossible = "ReplayPossible"
	// ConditionComplete is True once readers see what a Replay built; absent before.
	ConditionComplete = "Complete"
	// ConditionFailed is True once a Replay was given up; absent before.
	ConditionFailed = "Failed"
	// ConditionSuspended is True while a Replay is held by its spec.suspend; absent otherwise.
	ConditionSuspended = "Suspended"
	// ConditionSchemaRegistryReady is True when the schema registry of an EventBroker was reached; absent where it has none.
	ConditionSchemaRegistryReady = "SchemaRegistryReady"
)

// Reasons of conditions. They are part of the API: alerts and scripts match them.
const (
	// ReasonPending says that nothing is known yet.
	ReasonPending = "Pending"
	// ReasonProbing says that a probe Job runs.
	ReasonProbing = "Probing"
	// ReasonProbeFailed says that a probe Job ended without a result.
	ReasonProbeFailed = "ProbeFailed"
	// ReasonReachable says that a probe reached the broker or store and may use it.
	ReasonReachable = "Reachable"
	// ReasonUnreachable says that broker or store could not be reached.
	ReasonUnreachable = "Unreachable"
	// ReasonAuthenticationFailed says that the credentials were refused.
	ReasonAuthenticationFailed = "AuthenticationFailed"
	// ReasonSecretMissing says that a Secret that is referred to is not there.
	ReasonSecretMissing = "SecretMissing"
	// ReasonSecretKeyMissing says that a Secret lacks a key.
	ReasonSecretKeyMissing = "SecretKeyMissing"

	// ReasonAccepted says that the newest spec was compiled.
	ReasonAccepted = "Accepted"
	// ReasonInvalidSpec says that the newest spec was refused.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonReferenceMissing says that a resource that is referred to does not exist.
	ReasonReferenceMissing = "ReferenceMissing"
	// ReasonUnsupported says that the newest spec asks for what this release does not offer.
	ReasonUnsupported = "Unsupported"
	// ReasonCompactedTopic says that rows would depend on events that compaction removes.
	ReasonCompactedTopic = "CompactedTopic"
	// ReasonOrderNotGuaranteed says that rows would depend on how partitions interleave.
	ReasonOrderNotGuaranteed = "OrderNotGuaranteed"

	// ReasonCaughtUp says that every event up to the end of the log is applied, or that fewer than 100 are not.
	ReasonCaughtUp = "CaughtUp"
	// ReasonWithinLagTarget says that events are still to be applied, and no partition is behind by more than the lag target.
	ReasonWithinLagTarget = "WithinLagTarget"
	// ReasonCatchingUp says that events are being applied that are older than the lag target.
	ReasonCatchingUp = "CatchingUp"
	// ReasonLagging says that a projection that was caught up is behind by more than the lag target.
	ReasonLagging = "Lagging"
	// ReasonPreparing says that tables are being made.
	ReasonPreparing = "Preparing"
	// ReasonPrepareFailed says that the tables could not be made.
	ReasonPrepareFailed = "PrepareFailed"
	// ReasonStarting says that projector pods are being started.
	ReasonStarting = "Starting"
	// ReasonServing says that readers can select from every view.
	ReasonServing = "Serving"
	// ReasonNotServing says that there is no view yet.
	ReasonNotServing = "NotServing"
	// ReasonSuspended says that spec.suspend is set.
	ReasonSuspended = "Suspended"
	// ReasonProjectorsUnreachable says that no projector pod answers.
	ReasonProjectorsUnreachable = "ProjectorsUnreachable"
	// ReasonLimitedByPartitions says that fewer projectors run than asked for, since there are fewer partitions.
	ReasonLimitedByPartitions = "LimitedByPartitions"
	// ReasonPodsFailing says that projector pods cannot be started or keep ending.
	ReasonPodsFailing = "PodsFailing"
	// ReasonDeleting says that it is being deleted.
	ReasonDeleting = "Deleting"
	// ReasonRetireFailed says that its tables could not be dropped.
	ReasonRetireFailed = "RetireFailed"
	// ReasonQueued says that other projections of the store are built first (ReadStore.spec.maxConcurrentReplays).
	ReasonQueued = "Queued"
	// ReasonBuilding says that a new revision is built beside the one that readers see.
	ReasonBuilding = "Building"
	// ReasonReplayingKeys says that a Job makes the rows of some keys anew.
	ReasonReplayingKeys = "ReplayingKeys"
	// ReasonPromoting says that readers are being moved to another revision.
	ReasonPromoting = "Promoting"
	// ReasonAwaitingPromotion says that a new revision is ready and waits for a human to promote it.
	ReasonAwaitingPromotion = "AwaitingPromotion"
	// ReasonPinned says that spec.rollout.activeRevision keeps readers on another revision than the newest spec's.
	ReasonPinned = "Pinned"
	// ReasonUnknownRevision says that spec.rollout.activeRevision names a revision that does not exist.
	ReasonUnknownRevision = "UnknownRevision"
	// ReasonDeadlineExceeded says that a new revision has not caught up within spec.rollout.deadlineSeconds.
	ReasonDeadlineExceeded = "DeadlineExceeded"
	// ReasonReplayNotPossible says that a rebuild would lack events that the broker no longer has.
	ReasonReplayNotPossible = "ReplayNotPossible"
	// ReasonStartNotPossible says that a Replay cannot begin where its spec.from asks for: rows would be wrong, or the broker does not have it.
	ReasonStartNotPossible = "StartNotPossible"
	// ReasonReadersWouldBreak says that the switch would take a column from readers, which needs consent.
	ReasonReadersWouldBreak = "ReadersWouldBreak"
	// ReasonHandoverTimeout says that the new revision did not reach the positions of the old one in time for the switch.
	ReasonHandoverTimeout = "HandoverTimeout"
	// ReasonComplete says that readers see what a Replay built.
	ReasonComplete = "Complete"
	// ReasonSuperseded says that the Projection was edited while a Replay of it was under way.
	ReasonSuperseded = "Superseded"
	// ReasonProjectionDeleted says that the Projection of a Replay that was under way is gone.
	ReasonProjectionDeleted = "ProjectionDeleted"
	// ReasonReplayInProgress says that an earlier Replay of the same Projection comes first.
	ReasonReplayInProgress = "ReplayInProgress"
	// ReasonRolloutInProgress says that a change of the Projection is rolled out first.
	ReasonRolloutInProgress = "RolloutInProgress"
	// ReasonSpecNotAccepted says that the newest spec of the Projection is not accepted.
	ReasonSpecNotAccepted = "SpecNotAccepted"
	// ReasonProjectionSuspended says that the Projection of a Replay is suspended.
	ReasonProjectionSuspended = "ProjectionSuspended"
	// ReasonVerifying says that a new revision has caught up and is verified before readers are moved to it.
	ReasonVerifying = "Verifying"
	// ReasonVerificationFailed says that rows of a new revision are not what the log says.
	ReasonVerificationFailed = "VerificationFailed"
	// ReasonAssertionFailed says that a new revision does not meet an assertion of spec.rollout.verify, or of its Replay's spec.verify.
	ReasonAssertionFailed = "AssertionFailed"
	// ReasonVerificationNotPossible says that whether a new revision is right cannot be found out.
	ReasonVerificationNotPossible = "VerificationNotPossible"
	// ReasonObjectTaken says that an object of the cluster that is another's stands where one of the projection's should.
	ReasonObjectTaken = "ObjectTaken"
	// ReasonObjectRefused says that the API server refuses an object that is needed: a field of projector, a quota, or an
	// admission rule.
	ReasonObjectRefused = "ObjectRefused"
	// ReasonNameTaken says that a relation of a model's name exists that is not this projection's.
	ReasonNameTaken = "NameTaken"
	// ReasonWaitingForSource says that broker or topics are not ready.
	ReasonWaitingForSource = "WaitingForSource"
	// ReasonWaitingForStore says that the store is not ready.
	ReasonWaitingForStore = "WaitingForStore"
	// ReasonWaitingForBroker says that the broker of a topic is not ready.
	ReasonWaitingForBroker = "WaitingForBroker"
	// ReasonReadOnly says that the store accepts no writes: it is a replica.
	ReasonReadOnly = "ReadOnly"

	// ReasonDecodeError says that a payload could not be decoded.
	ReasonDecodeError = "DecodeError"
	// ReasonHandlerError says that an expression failed on an event.
	ReasonHandlerError = "HandlerError"
	// ReasonKeyMismatch says that a message key is not what keyedBy says.
	ReasonKeyMismatch = "KeyMismatch"
	// ReasonConstraintViolation says that a value does not fit its column.
	ReasonConstraintViolation = "ConstraintViolation"
	// ReasonOffsetOutOfRange says that events were deleted by the broker before they were applied.
	ReasonOffsetOutOfRange = "OffsetOutOfRange"
	// ReasonTopicMissing says that the broker does not have the topic.
	ReasonTopicMissing = "TopicMissing"
	// ReasonTopicRecreated says that the topic was deleted and created again.
	ReasonTopicRecreated = "TopicRecreated"

	// ReasonFullHistory says that every event since the first is still there.
	ReasonFullHistory = "FullHistory"
	// ReasonEventsTrimmed says that the first events are gone.
	ReasonEventsTrimmed = "EventsTrimmed"
	// ReasonRetentionLimited says that the broker will delete events after some time or size.
	ReasonRetentionLimited = "RetentionLimited"
	// ReasonCompacted says that the broker keeps only the last event of each key.
	ReasonCompacted = "Compacted"
)

// The words of Projection.status.status.
const (
	StatusPending     = "Pending"
	StatusRefused     = "Refused"
	StatusPreparing   = "Preparing"
	StatusCatchingUp  = "CatchingUp"
	StatusCaughtUp    = "CaughtUp"
	StatusRebuilding  = "Rebuilding"
	StatusSuspended   = "Suspended"
	StatusWaiting     = "Waiting"
	StatusStalled     = "Stalled"
	StatusUnreachable = "Unreachable"
	StatusDeleting    = "Deleting"
)
