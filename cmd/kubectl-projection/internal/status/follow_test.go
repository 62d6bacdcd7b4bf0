// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"bytes"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/goldentest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/contract"
)

func building(position int64) *View {
	return &View{
		Name: "order-summary",
		Status: v1alpha1.ProjectionStatus{Partitions: 1, Revisions: []v1alpha1.RevisionStatus{
			{Name: "7c9f400000", State: v1alpha1.RevisionActive}, {Name: "b2d1000000", State: v1alpha1.RevisionBuilding, Message: "reads the log"},
		}},
		Projectors: []contract.ProjectorStatus{
			{Revision: "7c9f400000", Partitions: []contract.PartitionStatus{{Position: "18199986", End: "18200000", Lag: 14}}},
			{Revision: "b2d1000000", EventsPerSecond: 81300, Partitions: []contract.PartitionStatus{
				{Position: contract.OffsetPosition(position), End: "18200000", Lag: 18200000 - position},
			}},
		},
	}
}

// TestTerminal draws each view over the one before.
func TestTerminal(t *testing.T) {
	var out bytes.Buffer
	p := output.New(nil, &out, nil)
	p.Terminal = true
	f := NewFollower(p)
	f.Show(building(11_500_000))
	last := building(18_199_999)
	last.Note = "no exact figures"
	f.Show(last)
	goldentest.Equal(t, "testdata/terminal.txt", strings.ReplaceAll(out.String(), "\x1b", "ESC"))
}

// TestTerminalByStatus draws what the status says where projectors may not be asked, and Replays that wait.
func TestTerminalByStatus(t *testing.T) {
	var out bytes.Buffer
	p := output.New(nil, &out, nil)
	p.Terminal = true
	v := building(0)
	v.Projectors = nil
	r := &v.Status.Revisions[1]
	r.Reason, r.Attempt = v1alpha1.ReasonBuilding, "u"
	r.Progress = &v1alpha1.BuildProgress{
		EventsDone: ptr.To[int64](11_500_000), EventsTotal: ptr.To[int64](18_200_000), EventsPerSecond: ptr.To[int64](81_000), EstimatedSecondsLeft: ptr.To[int64](90),
	}
	v.Replays = []Replay{
		{Name: "again", UID: "u", Status: v1alpha1.ReplayStatus{Revision: r.Name, Status: v1alpha1.RevisionBuilding}},
		{Name: "once-more", Status: v1alpha1.ReplayStatus{
			Status: v1alpha1.ReplayQueued, Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Message: "Replay again goes first"}},
		}},
	}
	NewFollower(p).Show(v)
	goldentest.Equal(t, "testdata/terminal-status.txt", strings.ReplaceAll(out.String(), "\x1b", "ESC"))
}
