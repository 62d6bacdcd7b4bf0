// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import "time"

// SpillDir is where a projector may write what does not fit into memory while it
// builds. What is there belongs to one process and is gone with it.
const SpillDir = "/var/run/projectionist/spill"

// DefaultSpillBytes is Build.SpillBytes where nothing is said.
const DefaultSpillBytes = 1 << 30

// BuildLive is the Build.Mode that builds as events are applied otherwise.
const BuildLive = "Live"

// Build is how a new revision is built. It is no part of what the rows are a
// function of: the zero value stands for the defaults.
type Build struct {
	// Mode is BuildLive; empty: in bulk where that is possible and worth while.
	Mode string `json:"mode,omitempty"`
	// MaxEventsPerSecond bounds a bulk build; 0 is no bound.
	MaxEventsPerSecond int32 `json:"maxEventsPerSecond,omitempty"`
	// SpillBytes bounds what a bulk build writes to SpillDir; 0 is DefaultSpillBytes.
	SpillBytes int64 `json:"spillBytes,omitempty"`
}

// Spill is SpillBytes, or its default.
func (b *Build) Spill() int64 {
	if b == nil || b.SpillBytes <= 0 {
		return DefaultSpillBytes
	}
	return b.SpillBytes
}

// Live tells whether revisions are never built in bulk.
func (b *Build) Live() bool { return b != nil && b.Mode == BuildLive }

// The phases of a bulk build.
const (
	// BuildWaiting: another projector of the revision builds.
	BuildWaiting = "Waiting"
	// BuildReading: events are read and folded. Nothing is in the tables yet.
	BuildReading = "Reading"
	// BuildWriting: the rows are written.
	BuildWriting = "Writing"
	// BuildIndexing: keys and indexes are made.
	BuildIndexing = "Indexing"
)

// BuildStatus is a bulk build under way.
type BuildStatus struct {
	Phase string `json:"phase"`
	// Events is how many positions of the log are folded, Of how many there are to fold; not of one that waits.
	Events int64 `json:"events"`
	Of     int64 `json:"of"`
	// Since is when the phase began.
	Since time.Time `json:"since"`
}
