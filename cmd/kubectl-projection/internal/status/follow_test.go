// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"bytes"
	"strings"
	"testing"

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
