// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package statuscheck is the executable form of the table of states: which
// conditions may stand beside each other, and what every condition must carry.
// Every test of a controller ends with it. It shares no code with what writes
// the conditions.
package statuscheck

import (
	"fmt"
	"regexp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Subject is what is checked of a resource.
type Subject struct {
	// Kind is EventBroker, EventTopic, ReadStore or Projection.
	Kind               string
	Generation         int64
	ObservedGeneration int64
	Conditions         []metav1.Condition
}

// required are the conditions that a resource carries from the first visit on.
var required = map[string][]string{
	"EventBroker": {"Ready"},
	"EventTopic":  {"Ready", "ReplayPossible"},
	"ReadStore":   {"Ready"},
	"Projection":  {"Ready", "Available", "SpecAccepted", "SourceReady", "StoreReady"},
}

// optional are the conditions of a resource that declares what they are about.
var optional = map[string][]string{"EventBroker": {"SchemaRegistryReady"}}

// passing are the conditions that are there only while they are True.
var passing = []string{"Reconciling", "Stalled"}

var camelCase = regexp.MustCompile("^[A-Z][A-Za-z0-9]*$")

const maxMessage = 32768

// Check gives what is wrong, in words; nothing is right.
func Check(s Subject) []string {
	var bad []string
	report := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if s.ObservedGeneration != s.Generation {
		report("observedGeneration is %d, generation is %d", s.ObservedGeneration, s.Generation)
	}
	known := slices.Concat(required[s.Kind], optional[s.Kind], passing)
	seen := map[string]metav1.Condition{}
	for _, c := range s.Conditions {
		if _, twice := seen[c.Type]; twice {
			report("%s is there twice", c.Type)
		}
		seen[c.Type] = c
		if !slices.Contains(known, c.Type) {
			report("%s is no condition of %s", c.Type, s.Kind)
		}
		if !camelCase.MatchString(c.Reason) {
			report("%s has the reason %q", c.Type, c.Reason)
		}
		if c.Message == "" || len(c.Message) > maxMessage {
			report("%s has a message of %d bytes", c.Type, len(c.Message))
		}
		if c.LastTransitionTime.IsZero() {
			report("%s has no transition time", c.Type)
		}
		if c.ObservedGeneration != s.Generation {
			report("%s speaks of generation %d, not %d", c.Type, c.ObservedGeneration, s.Generation)
		}
		if !slices.Contains([]metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown}, c.Status) {
			report("%s has the status %q", c.Type, c.Status)
		}
	}
	for _, t := range required[s.Kind] {
		if _, ok := seen[t]; !ok {
			report("%s is missing", t)
		}
	}
	for _, t := range passing {
		if c, ok := seen[t]; ok && c.Status != metav1.ConditionTrue {
			report("%s is %s: it must be True or absent", t, c.Status)
		}
	}
	return append(bad, combination(seen)...)
}

// combination checks Ready, Reconciling and Stalled against each other, and
// that a projection is never Ready without serving an accepted spec.
func combination(seen map[string]metav1.Condition) []string {
	ready := seen["Ready"]
	_, reconciling := seen["Reconciling"]
	_, stalled := seen["Stalled"]
	var bad []string
	row := fmt.Sprintf("Ready=%s Reconciling=%t Stalled=%t", ready.Status, reconciling, stalled)
	legal := false
	switch ready.Status {
	case metav1.ConditionTrue:
		legal = !reconciling && !stalled
	case metav1.ConditionUnknown:
		legal = reconciling && !stalled
	case metav1.ConditionFalse:
		legal = reconciling != stalled || ((ready.Reason == "Suspended" || ready.Reason == "Pinned") && !reconciling && !stalled)
	}
	if !legal {
		bad = append(bad, row+" is not in the table of states")
	}
	for _, t := range passing {
		if c, ok := seen[t]; ok && c.Reason != ready.Reason {
			bad = append(bad, fmt.Sprintf("%s says %s, Ready says %s", t, c.Reason, ready.Reason))
		}
	}
	if ready.Status == metav1.ConditionTrue {
		for _, t := range []string{"Available", "SpecAccepted", "SourceReady", "StoreReady"} {
			if c, ok := seen[t]; ok && c.Status != metav1.ConditionTrue {
				bad = append(bad, fmt.Sprintf("Ready is True while %s is %s", t, c.Status))
			}
		}
	}
	return bad
}

// Kstatus is what Flux and Helm make of it: Current, InProgress or Failed.
func Kstatus(s Subject) string {
	if s.ObservedGeneration != s.Generation {
		return "InProgress"
	}
	status := map[string]metav1.ConditionStatus{}
	for _, c := range s.Conditions {
		status[c.Type] = c.Status
	}
	switch {
	case status["Reconciling"] == metav1.ConditionTrue:
		return "InProgress"
	case status["Stalled"] == metav1.ConditionTrue:
		return "Failed"
	case status["Ready"] == metav1.ConditionFalse, status["Ready"] == metav1.ConditionUnknown:
		return "InProgress"
	}
	return "Current"
}
