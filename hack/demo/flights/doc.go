// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package flights turns a file of real flights and a file of airports into the demo's events, and computes what two
// read models of these events must hold.
//
// Topic "flights" is keyed by the origin airport, topic "airports" by the airport's code. The expected tables come from
// the rows of the input files and not from the events, and share no code with the projector: a fault in either, or in
// the events themselves, shows as a difference.
//
// Order of events and the content of each are the same in every run. Neighbours: hack/demo/feed sends the events to a
// broker, hack/demo/data is the command line.
package flights
