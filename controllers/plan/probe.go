// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/actions"
)

// probed says what a probe's state means; good is the message where it went well.
func probed(s actions.State, subject, good string) Verdict {
	switch {
	case s.OK():
		return ready(v1alpha1.ReasonReachable, good)
	case s.Failed():
		return failed(s.Result)
	case s.Hindered != nil:
		return failed(s.Hindered)
	}
	return unknown(v1alpha1.ReasonProbing, "a Job asks "+subject)
}

// failed turns a result that says no into a verdict: an environment fault
// waits, anything else needs a human.
func failed(r *contract.Result) Verdict {
	reason, message := actions.Reason(r.Reason, v1alpha1.ReasonProbeFailed), actions.At(r.Path, r.Message)
	if message == "" {
		message = "the Job said no more than " + reason
	}
	if r.Retryable {
		return working(reason, message)
	}
	return stuck(reason, message)
}

// Broker gives the status of an EventBroker.
func Broker(b *v1alpha1.EventBroker, s actions.State, now time.Time) v1alpha1.EventBrokerStatus {
	out := v1alpha1.EventBrokerStatus{ObservedGeneration: ptr.To(b.Generation)}
	good := ""
	if g := s.LastGood; g != nil && g.Broker != nil {
		out.ClusterID, out.Brokers = bounded(g.Broker.ClusterID, 256), max(g.Broker.Brokers, 0)
		good = fmt.Sprintf("the Kafka cluster %s with %d %s was reached", out.ClusterID, out.Brokers, plural(int64(out.Brokers), "broker"))
	}
	v := probed(s, "the broker", orElse(good, "the broker was reached"))
	var facts []Fact
	if len(b.Spec.SchemaRegistry.URLs) > 0 {
		facts = append(facts, schemaRegistry(s.LastGood))
	}
	out.Conditions = Conditions(b.Status.Conditions, b.Generation, now, v, facts...)
	return out
}

// schemaRegistry says whether the registry of a broker can be used. A broker is ready without it: only events whose schema
// is not known yet wait for it.
func schemaRegistry(probe *contract.Result) Fact {
	fact := Fact{Type: v1alpha1.ConditionSchemaRegistryReady, Status: metav1.ConditionUnknown,
		Reason: v1alpha1.ReasonPending, Message: "the schema registry was not asked yet"}
	if probe == nil || probe.Broker == nil || probe.Broker.Registry == nil {
		return fact
	}
	r := probe.Broker.Registry
	if r.OK {
		fact.Status, fact.Reason, fact.Message = metav1.ConditionTrue, v1alpha1.ReasonReachable, "the schema registry was reached and may be used"
		return fact
	}
	fact.Status, fact.Reason = metav1.ConditionFalse, actions.Reason(r.Reason, v1alpha1.ReasonUnreachable)
	fact.Message = r.Message + ". Events whose schema is known are applied; others wait"
	return fact
}

// Store gives the status of a ReadStore.
func Store(r *v1alpha1.ReadStore, s actions.State, now time.Time) v1alpha1.ReadStoreStatus {
	out := v1alpha1.ReadStoreStatus{ObservedGeneration: ptr.To(r.Generation)}
	v := probed(s, "the store", "the store was reached and may be used")
	if g := s.LastGood; g != nil && g.Store != nil {
		out.ServerVersion, out.Database = bounded(g.Store.ServerVersion, 128), bounded(g.Store.Database, 63)
		if s.OK() {
			v.Message = fmt.Sprintf("database %s on PostgreSQL %s was reached and may be used", out.Database, out.ServerVersion)
			if g.Store.InRecovery {
				v = working(v1alpha1.ReasonReadOnly, fmt.Sprintf("database %s is a replica and takes no writes: name the primary in spec.postgres.host, or promote it", out.Database))
			}
		}
	}
	out.Conditions = Conditions(r.Status.Conditions, r.Generation, now, v)
	return out
}

// TopicInput is what a topic's status is made of.
type TopicInput struct {
	Topic *v1alpha1.EventTopic
	// Broker is nil where it does not exist.
	Broker *v1alpha1.EventBroker
	// Reason and Problems say why the topic's own expressions are refused; "" if they are not.
	Reason, Problems string
	Probe            actions.State
}

// TopicHolds reports whether the topic cannot be asked yet, and what to say then.
func TopicHolds(t *v1alpha1.EventTopic, b *v1alpha1.EventBroker) (Verdict, bool) {
	if b == nil {
		return working(v1alpha1.ReasonReferenceMissing, fmt.Sprintf(
			"spec.brokerRef: EventBroker %s does not exist in namespace %s: create it, or correct the name", t.Spec.BrokerRef.Name, t.Namespace)), true
	}
	c := Find(b.Status.Conditions, v1alpha1.ConditionReady)
	if c != nil && c.Status == metav1.ConditionTrue && ptr.Deref(b.Status.ObservedGeneration, -1) == b.Generation {
		return Verdict{}, false
	}
	why := "it has not been asked yet"
	if c != nil {
		why = c.Message
	}
	return working(v1alpha1.ReasonWaitingForBroker, fmt.Sprintf("EventBroker %s is not ready: %s", b.Name, why)), true
}

// Topic gives the status of an EventTopic.
func Topic(in TopicInput, now time.Time) v1alpha1.EventTopicStatus {
	t := in.Topic
	out := v1alpha1.EventTopicStatus{ObservedGeneration: ptr.To(t.Generation), BrokerTopic: t.BrokerTopic()}
	replay := Fact{v1alpha1.ConditionReplayPossible, metav1.ConditionUnknown, v1alpha1.ReasonPending, "the topic has not been seen yet"}
	good := "the topic is there"
	if g := in.Probe.LastGood; g != nil && g.Topic != nil {
		f := g.Topic
		out.TopicID, out.CleanupPolicy = bounded(f.ID, 64), bounded(f.CleanupPolicy, 32)
		out.Partitions, out.ReplicationFactor = max(f.Partitions, 0), max(f.ReplicationFactor, 0)
		out.RetentionMillis, out.RetentionBytes = ptr.To(f.RetentionMillis), ptr.To(f.RetentionBytes)
		out.TrimmedPartitions = ptr.To(max(f.Trimmed, 0))
		if strings.Contains(f.CleanupPolicy, "compact") {
			out.DeleteRetentionMillis = ptr.To(f.DeleteRetentionMillis)
		}
		replay = replayPossible(f)
		// What a probe that went well still says is where the topic differs from spec.create.
		good = joined(fmt.Sprintf("topic %s has %d %s", out.BrokerTopic, f.Partitions, plural(int64(f.Partitions), "partition")), g.Message)
	}
	v, holds := TopicHolds(t, in.Broker)
	switch {
	case in.Problems != "":
		v = stuck(actions.Reason(in.Reason, v1alpha1.ReasonInvalidSpec), in.Problems)
	case !holds:
		v = probed(in.Probe, "the broker for the topic", good)
	}
	out.Conditions = Conditions(t.Status.Conditions, t.Generation, now, v, replay)
	return out
}

// replayPossible says whether every event since the first is still there.
func replayPossible(f *contract.TopicFacts) Fact {
	fact := Fact{Type: v1alpha1.ConditionReplayPossible, Status: metav1.ConditionTrue}
	switch {
	case strings.Contains(f.CleanupPolicy, "compact"):
		fact.Status, fact.Reason = metav1.ConditionFalse, v1alpha1.ReasonCompacted
		fact.Message = "the broker keeps only the last event of each key (cleanup.policy has compact): a rebuild sees no earlier ones"
	case f.Trimmed > 0:
		fact.Status, fact.Reason = metav1.ConditionFalse, v1alpha1.ReasonEventsTrimmed
		fact.Message = fmt.Sprintf("the first events of %d of %d partitions are gone: a rebuild would start in the middle; a read model that exists goes on", f.Trimmed, f.Partitions)
	case f.RetentionMillis >= 0 || f.RetentionBytes >= 0:
		fact.Reason = v1alpha1.ReasonRetentionLimited
		fact.Message = "every event since the first is still there, but the broker will delete them (" + retention(f) + "): set retention.ms and retention.bytes to -1 to stay able to rebuild"
	default:
		fact.Reason, fact.Message = v1alpha1.ReasonFullHistory, "every event since the first is still there, and the broker keeps them for ever"
	}
	return fact
}

func retention(f *contract.TopicFacts) string {
	var parts []string
	if f.RetentionMillis >= 0 {
		parts = append(parts, "after "+(time.Duration(f.RetentionMillis)*time.Millisecond).String())
	}
	if f.RetentionBytes >= 0 {
		parts = append(parts, fmt.Sprintf("beyond %d bytes a partition", f.RetentionBytes))
	}
	return strings.Join(parts, ", or ")
}

func plural(n int64, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// bounded keeps what a pod says within the limits of a status field.
func bounded(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
