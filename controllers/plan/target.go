// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// Spec is what compiling the newest spec gave.
type Spec struct {
	// Contract is nil where the spec was refused or refers to what does not exist.
	Contract *contract.Contract
	// Reason and Message say why it is nil.
	Reason, Message string
	// SameData is true where Contract makes the same rows as the running one, whose identity it then has.
	SameData bool
	// Changes says what differs from the running contract where the hashes differ.
	Changes string
}

// Running is the revision that has a Deployment.
type Running struct {
	Revision string
	// Contract is what it was started with, nil where its ConfigMap is gone.
	Contract   *contract.Contract
	Deployment *appsv1.Deployment
}

// Target is the contract that is to run, and why.
type Target struct {
	// Contract is nil where there is nothing to run.
	Contract *contract.Contract
	// JSON and Digest are those of Contract.
	JSON   []byte
	Digest string
	// Inputs is the digest of what a prepare depends on.
	Inputs string
	// Rebuild is true where the newest spec needs another revision than the running one.
	Rebuild bool
	// Lost is true where the running revision's contract is gone and the newest spec is another revision.
	Lost bool
}

// Aim decides which contract is to run. What a running revision's rows are a
// function of is never changed under it: it goes on until a rebuild.
func Aim(spec Spec, running *Running) (Target, error) {
	t := Target{}
	switch {
	case running == nil:
		t.Contract = spec.Contract
	case running.Contract == nil:
		if spec.Contract != nil && spec.Contract.Revision == running.Revision {
			t.Contract = spec.Contract
		} else {
			t.Lost = true
		}
	case spec.Contract == nil:
		t.Contract = running.Contract
	case spec.SameData:
		t.Contract = spec.Contract
	default:
		t.Rebuild = true
		t.Contract = reconnect(running.Contract, spec.Contract)
	}
	if t.Contract == nil {
		return t, nil
	}
	var err error
	if t.JSON, t.Digest, err = resources.EncodeContract(t.Contract); err != nil {
		return t, err
	}
	// The lag target is nothing to a store: changing it asks for no prepare.
	essence := *t.Contract
	essence.LagTargetSeconds = 0
	_, t.Inputs, err = resources.EncodeContract(&essence)
	return t, err
}

// reconnect gives the running contract the newest way to reach the same broker
// and store, so that a new CA or address is not held up by a spec that waits.
func reconnect(running, newest *contract.Contract) *contract.Contract {
	out := *running
	if newest.Broker.Name == running.Broker.Name {
		out.Broker = newest.Broker
		if prefix := groupPrefix(running); prefix != groupPrefix(newest) {
			out.Broker = running.Broker
		}
	}
	if newest.Store.Name == running.Store.Name {
		out.Store = newest.Store
	}
	out.LagTargetSeconds = newest.LagTargetSeconds
	return &out
}

func groupPrefix(c *contract.Contract) string {
	if c.Broker.Kafka == nil {
		return ""
	}
	return c.Broker.Kafka.GroupPrefix
}

// Partitions is the number of partitions of all topics of a projection, which
// bounds the useful replicas, since each partition has one projector. Projectors
// know better than the last probe. It is 0 while it is not known.
func Partitions(p *v1alpha1.Projection, seen map[string]int32, topics map[string]*v1alpha1.EventTopic) int32 {
	var sum int32
	for _, ref := range p.Spec.Topics {
		n := seen[ref.Name]
		if t := topics[ref.Name]; t != nil {
			n = max(n, t.Status.Partitions)
		}
		if n <= 0 {
			return 0
		}
		sum += n
	}
	return sum
}

// Replicas is how many projectors run, and what to say where these are fewer than asked for.
func Replicas(p *v1alpha1.Projection, partitions int32) (n int32, limited string) {
	n = max(p.Spec.Projector.Replicas, 1)
	if p.Spec.Suspend != nil && *p.Spec.Suspend {
		return 0, ""
	}
	if partitions > 0 && n > partitions {
		limited = fmt.Sprintf("%s: %d projectors were asked for and %d run, since more than one for each of the %d partitions would have no work",
			v1alpha1.ReasonLimitedByPartitions, n, partitions, partitions)
		n = partitions
	}
	return n, limited
}

func joined(parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, ". ")
}
