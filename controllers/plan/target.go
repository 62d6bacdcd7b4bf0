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
}

// Running is the revision that readers see, where it has a Deployment.
type Running struct {
	Revision   string
	Deployment *appsv1.Deployment
}

// Target is the contract that a revision is to run.
type Target struct {
	// Contract is nil where there is nothing to run.
	Contract *contract.Contract
	// JSON and Digest are those of Contract.
	JSON   []byte
	Digest string
	// Inputs is the digest of what a prepare depends on.
	Inputs string
}

// Aim gives the target of a contract, which may be nil; incarnation is the UID of
// the revision's ControllerRevision.
func Aim(c *contract.Contract, incarnation string) (Target, error) {
	t := Target{Contract: c}
	if c == nil {
		return t, nil
	}
	var err error
	if t.JSON, t.Digest, err = resources.EncodeContract(c); err != nil {
		return t, err
	}
	// The lag target, and how rows come in, are nothing to a prepare: changing them asks for none.
	essence := *c
	essence.LagTargetSeconds, essence.Build = 0, nil
	data, _, err := resources.EncodeContract(&essence)
	t.Inputs = resources.Digest(16, string(data), incarnation)
	return t, err
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
