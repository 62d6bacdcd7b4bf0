// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package statuscheck

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func condition(kind, status, reason string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionStatus(status), Reason: reason, Message: "m", ObservedGeneration: 2, LastTransitionTime: metav1.NewTime(time.Unix(1, 0))}
}

// Each way to lie is noticed.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		subject Subject
		says    string
	}{
		"legal":                  {Subject{"EventBroker", 2, 2, []metav1.Condition{condition("Ready", "True", "Reachable")}}, ""},
		"waiting":                {Subject{"EventBroker", 2, 2, []metav1.Condition{condition("Ready", "False", "X"), condition("Reconciling", "True", "X")}}, ""},
		"old generation":         {Subject{"EventBroker", 3, 2, []metav1.Condition{condition("Ready", "True", "X")}}, "observedGeneration is 2"},
		"neither":                {Subject{"EventBroker", 2, 2, []metav1.Condition{condition("Ready", "False", "X")}}, "not in the table"},
		"both":                   {Subject{"EventBroker", 2, 2, []metav1.Condition{condition("Ready", "False", "X"), condition("Reconciling", "True", "X"), condition("Stalled", "True", "X")}}, "not in the table"},
		"ready and stalled":      {Subject{"EventBroker", 2, 2, []metav1.Condition{condition("Ready", "True", "X"), condition("Stalled", "True", "X")}}, "not in the table"},
		"unknown and still":      {Subject{"EventBroker", 2, 2, []metav1.Condition{condition("Ready", "Unknown", "X")}}, "not in the table"},
		"two stories":            {Subject{"EventBroker", 2, 2, []metav1.Condition{condition("Ready", "False", "X"), condition("Stalled", "True", "Y")}}, "Stalled says Y"},
		"present and false":      {Subject{"EventBroker", 2, 2, []metav1.Condition{condition("Ready", "True", "X"), condition("Stalled", "False", "X")}}, "True or absent"},
		"unknown type":           {Subject{"EventBroker", 2, 2, []metav1.Condition{condition("Ready", "True", "X"), condition("Happy", "True", "X")}}, "no condition of"},
		"twice":                  {Subject{"EventBroker", 2, 2, []metav1.Condition{condition("Ready", "True", "X"), condition("Ready", "True", "X")}}, "twice"},
		"bad reason":             {Subject{"EventBroker", 2, 2, []metav1.Condition{condition("Ready", "True", "not camel")}}, "reason"},
		"missing":                {Subject{"EventTopic", 2, 2, []metav1.Condition{condition("Ready", "True", "X")}}, "ReplayPossible is missing"},
		"ready without store":    {Subject{"Projection", 2, 2, []metav1.Condition{condition("Ready", "True", "X"), condition("Available", "True", "X"), condition("SpecAccepted", "True", "X"), condition("SourceReady", "True", "X"), condition("StoreReady", "False", "X")}}, "StoreReady is False"},
		"a Replay that ended":    {Subject{"Replay", 2, 2, []metav1.Condition{condition("Ready", "True", "Complete"), condition("Complete", "True", "Complete")}}, ""},
		"a Replay that failed":   {Subject{"Replay", 2, 2, []metav1.Condition{condition("Ready", "False", "X"), condition("Failed", "True", "X"), condition("Stalled", "True", "X")}}, ""},
		"a Replay that is held":  {Subject{"Replay", 2, 2, []metav1.Condition{condition("Ready", "False", "Suspended"), condition("Suspended", "True", "Suspended")}}, ""},
		"ready, not complete":    {Subject{"Replay", 2, 2, []metav1.Condition{condition("Ready", "True", "X")}}, "Complete=false"},
		"failed, not stalled":    {Subject{"Replay", 2, 2, []metav1.Condition{condition("Ready", "False", "X"), condition("Failed", "True", "X"), condition("Reconciling", "True", "X")}}, "Failed=true Stalled=false"},
		"two ends":               {Subject{"Replay", 2, 2, []metav1.Condition{condition("Ready", "True", "X"), condition("Complete", "True", "X"), condition("Failed", "True", "X")}}, "at once"},
		"ends of another reason": {Subject{"Replay", 2, 2, []metav1.Condition{condition("Ready", "True", "X"), condition("Complete", "True", "Y")}}, "Complete says Y"},
		"no Replay":              {Subject{"ReadStore", 2, 2, []metav1.Condition{condition("Ready", "True", "X"), condition("Complete", "True", "X")}}, "no condition of"},
		"suspended, by itself":   {Subject{"Projection", 2, 2, []metav1.Condition{condition("Ready", "False", "Suspended"), condition("Available", "True", "X"), condition("SpecAccepted", "True", "X"), condition("SourceReady", "True", "X"), condition("StoreReady", "True", "X")}}, ""},
	} {
		got := strings.Join(Check(c.subject), "; ")
		if (c.says == "") != (got == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
