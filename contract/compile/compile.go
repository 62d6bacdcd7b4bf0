// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// Input is what a contract is made from. The slices may hold more than is
// referred to: a namespace's whole list will do.
type Input struct {
	Projection *v1alpha1.Projection
	Topics     []v1alpha1.EventTopic
	Brokers    []v1alpha1.EventBroker
	Stores     []v1alpha1.ReadStore
	// Cluster identifies the cluster among those that share a store.
	Cluster string
	// Facts is what a probe learnt about topics, by EventTopic name; a topic that
	// is not in it is taken to be not compacted.
	Facts map[string]contract.TopicFacts
}

// defaultLagTargetSeconds is the CRD's default of lagTargetSeconds, for specs that never saw an API server.
const defaultLagTargetSeconds = 60

// compiler holds one compilation.
type compiler struct {
	reporter
	in     Input
	topics map[string]*topic
	facts  map[string]contract.TopicFacts
}

// Compile gives the contract of a projection, and all problems found. The
// contract is nil when a problem is an Error.
func Compile(in Input) (*contract.Contract, []Problem) {
	var problems []Problem
	c := &compiler{reporter: reporter{problems: &problems}, in: in, topics: map[string]*topic{}, facts: in.Facts}
	p := in.Projection
	out := &contract.Contract{
		Version:          contract.Version,
		Projection:       contract.Identity{Cluster: in.Cluster, Namespace: p.Namespace, Name: p.Name, UID: string(p.UID)},
		LagTargetSeconds: p.Spec.LagTargetSeconds,
	}
	if out.LagTargetSeconds == 0 {
		out.LagTargetSeconds = defaultLagTargetSeconds
	}
	out.Build = c.build(p.Spec.Rollout.Build)
	c.store(out)
	c.sources(out)
	c.models(out)
	problems = sortProblems(problems)
	if len(Errors(problems)) > 0 {
		return nil, problems
	}
	out.DataHash = DataHash(out)
	out.Revision = Revision(out.DataHash)
	out.Group = group(out)
	return out, problems
}

// build gives how the revision is built; nil where all is at its defaults, so
// that a contract says nothing of what its spec says nothing of.
func (c *compiler) build(in *v1alpha1.Build) *contract.Build {
	if in == nil {
		return nil
	}
	out := contract.Build{MaxEventsPerSecond: in.MaxEventsPerSecond}
	if in.Mode == v1alpha1.BuildLive {
		out.Mode = contract.BuildLive
	}
	if q := in.SpillLimit; q != nil {
		out.SpillBytes = q.Value()
		if out.SpillBytes < leastSpill || out.SpillBytes > mostSpill {
			c.invalid("spec.rollout.build.spillLimit", "is %s: it is at least 64Mi and at most 1Ti", q.String())
		}
		if out.SpillBytes == contract.DefaultSpillBytes {
			out.SpillBytes = 0
		}
	}
	if out == (contract.Build{}) {
		return nil
	}
	return &out
}

// The bounds of spec.rollout.build.spillLimit.
const (
	leastSpill = 64 << 20
	mostSpill  = 1 << 40
)

// group names the consumer group of a revision.
func group(c *contract.Contract) string {
	prefix := ""
	if c.Broker.Kafka != nil {
		prefix = c.Broker.Kafka.GroupPrefix
	}
	return prefix + "projectionist." + c.Projection.Namespace + "." + c.Projection.Name + "." + c.Revision
}

func (c *compiler) store(out *contract.Contract) {
	name := c.in.Projection.Spec.StoreRef.Name
	i := slices.IndexFunc(c.in.Stores, func(s v1alpha1.ReadStore) bool { return s.Name == name })
	if i < 0 {
		c.add(Error, ReasonReferenceMissing, "storeRef", "there is no ReadStore %q in this namespace; create it, or correct the name", name)
		return
	}
	out.Store = Store(&c.in.Stores[i])
	if out.Store.Postgres.Credentials.Name == "" {
		reporter{object: "ReadStore " + name, problems: c.problems}.invalid("postgres.secretRef", "there is no Secret; name the one with the credentials")
	}
}

// broker gives the EventBroker of a topic, nil where it does not exist.
func (c *compiler) broker(t *v1alpha1.EventTopic) *v1alpha1.EventBroker {
	i := slices.IndexFunc(c.in.Brokers, func(b v1alpha1.EventBroker) bool { return b.Name == t.Spec.BrokerRef.Name })
	if i < 0 {
		return nil
	}
	return &c.in.Brokers[i]
}

func (c *compiler) sources(out *contract.Contract) {
	spec := c.in.Projection.Spec
	if len(spec.Topics) == 0 {
		c.invalid("topics", "there is no topic; name at least one EventTopic")
	}
	brokers := map[string]bool{}
	var firstBroker, firstTopic string
	atBroker := map[string]string{}
	for _, ref := range spec.Topics {
		path := "topics[" + ref.Name + "]"
		if _, twice := c.topics[ref.Name]; twice {
			c.invalid(path, "topic %q is named twice; remove one", ref.Name)
			continue
		}
		c.topics[ref.Name] = nil
		i := slices.IndexFunc(c.in.Topics, func(t v1alpha1.EventTopic) bool { return t.Name == ref.Name })
		if i < 0 {
			c.add(Error, ReasonReferenceMissing, path, "there is no EventTopic %q in this namespace; create it, or correct the name", ref.Name)
			continue
		}
		resource := &c.in.Topics[i]
		t := compileTopic(resource, c.broker(resource), c.problems)
		c.topics[ref.Name] = t
		out.Topics = append(out.Topics, t.Topic)
		if other, same := atBroker[t.BrokerTopic]; same {
			c.invalid(path, "EventTopics %s and %s are the same topic %q at the broker, so that every event would be consumed twice; use one of them",
				other, ref.Name, t.BrokerTopic)
		}
		atBroker[t.BrokerTopic] = ref.Name
		broker := resource.Spec.BrokerRef.Name
		if firstBroker == "" {
			firstBroker, firstTopic = broker, ref.Name
		}
		if broker != firstBroker {
			c.add(Error, ReasonUnsupported, path, "topic %s is on EventBroker %s, and topic %s on %s; a projection reads from one broker, so make a projection for each",
				ref.Name, broker, firstTopic, firstBroker)
		}
		if brokers[broker] {
			continue
		}
		brokers[broker] = true
		j := slices.IndexFunc(c.in.Brokers, func(b v1alpha1.EventBroker) bool { return b.Name == broker })
		if j < 0 {
			r := reporter{object: "EventTopic " + ref.Name, problems: c.problems}
			r.add(Error, ReasonReferenceMissing, "brokerRef", "there is no EventBroker %q in this namespace; create it, or correct the name", broker)
			continue
		}
		if broker == firstBroker {
			out.Broker = Broker(&c.in.Brokers[j])
		}
		if c.in.Brokers[j].Spec.Kafka == nil {
			reporter{object: "EventBroker " + broker, problems: c.problems}.invalid("kafka", "it says nothing on how to connect; set kafka")
		}
	}
}
