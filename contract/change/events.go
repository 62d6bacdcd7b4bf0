// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package change

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// Missing says which events of topics are gone, by their status, "" if none; nil is a topic of which nothing is known.
func Missing(topics []*v1alpha1.EventTopic) string {
	var out []string
	for _, t := range topics {
		if t == nil {
			continue
		}
		for _, c := range t.Status.Conditions {
			if c.Type == v1alpha1.ConditionReplayPossible && c.Status == metav1.ConditionFalse && c.Reason == v1alpha1.ReasonEventsTrimmed {
				out = append(out, "EventTopic "+t.Name+": "+c.Message)
			}
		}
	}
	return strings.Join(out, "; ")
}

// Lacking says why a revision is not built beside the active one, given what Missing says.
func Lacking(target, active, missing string) string {
	return fmt.Sprintf("revision %s would be built without events that are gone: %s. Readers go on with revision %s", target, strings.TrimRight(missing, "."), active)
}

// LackingWayOut is what a person can do about it where a change of the spec asked for the revision.
const LackingWayOut = "Put the spec back, or read from a topic that has them all"
