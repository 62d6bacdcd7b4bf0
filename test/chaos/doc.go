// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chaos kills projectors, freezes them past their sessions, crashes the
// database and the broker, for as long as events come, and then compares whole
// tables with the oracle and the committed moves with the audit.
//
// A fault counts only when its victim held a partition that lagged, by the
// truth of broker and bookkeeping while the victim stood still, and when
// positions have advanced since the last fault. The run is repeated, as far as
// scheduling allows, by its seed.
//
// That a clean result means something is shown by mutants: projectors with a
// fault in the commit, each forced by a failpoint in a scenario without luck,
// which the audit or the oracle must report.
//
//	go test -tags integration ./test/chaos              a short run, and the mutants
//	make chaos                                          the long run
//
// CHAOS_KILLS, CHAOS_ZOMBIES, CHAOS_DATABASE, CHAOS_BROKER, CHAOS_EVENTS,
// CHAOS_PROJECTORS and CHAOS_SEED set its size.
package chaos
