// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bench measures one projector process on a real broker and a real
// database of this machine, all on the same cores: how fast it takes a backlog,
// how much memory it needs, how long until its first row, and how long an event
// takes from producer to visible row at a steady rate. It prints a table in
// Markdown with the machine, and checks the table's content before it does.
//
// A second table is of replays: five interleaved runs of a bulk build, the live
// path, reading the log alone, and copying the final rows alone. A third one is of the live path beside such builds.
//
//	make bench
//
// BENCH_EVENTS, BENCH_KEYS, BENCH_RATE and BENCH_SECONDS set its size;
// BENCH_REPLAY_EVENTS, BENCH_REPLAY_KEYS and BENCH_REPLAY_RUNS that of the replays;
// BENCH_PROFILE names a file for a CPU profile of the projector.
package bench
