// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the project as a user meets it: YAML applied to a real
// cluster, a real Kafka and a real PostgreSQL, statuses read back as people and
// tools read them. Its tests carry the build tag e2e.
//
// hack/test/setup brings up what they need; hack/test/run e2e does that and runs
// them. Each test has a namespace of its own that enforces the Pod Security
// Standard "restricted", topics and a PostgreSQL schema of its own, and leaves
// nothing behind. Pods reach Kafka and PostgreSQL, which run on this host,
// through Services without selectors.
//
// TestRollout and TestRolloutChaos are small here and large by ROLLOUT_EVENTS, ROLLOUT_RATE, ROLLOUT_READERS and
// ROLLOUT_RUNS, and by ROLLOUT_CHAOS_KILLS, ROLLOUT_CHAOS_EVENTS and ROLLOUT_CHAOS_SEED: make rollout-load and make
// chaos-rollout set them.
//
// What rows must be comes from test/oracle, which shares no code with the
// projector.
package e2e
