// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

// WayOut is what a person can do about the event that a partition stopped at, "" where Message says it. An event is never skipped
// in this release.
func (s *Stop) WayOut() string {
	switch s.Reason {
	case "HandlerError", "ConstraintViolation", "OutOfRange":
		return "Correct the producer, and change the handler or the column so that such events are taken: the tables are built anew beside these, and readers are moved over"
	case "DecodeError":
		return "Correct the producer, and project a topic without this event: this release does not skip events"
	}
	return ""
}
