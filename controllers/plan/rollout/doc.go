// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout decides how a projection gets from the revision that readers
// see to the one that its newest spec asks for: which revisions run side by
// side, which one action at the store comes next, and what is to be dropped.
//
// Decide is pure and remembers nothing: revisions are known from their
// ControllerRevisions and Deployments, what readers see from the newest result
// of an action (Law 8). It holds that
//   - the revision that readers see is never taken down (Law 6);
//   - nothing that exists is moved while it is not known what readers see;
//   - at most one action at the store is asked for at a time, and each names the
//     state in which alone it may take effect.
//
// Neighbours: controllers/plan makes a status of a Decision, the reconciler
// carries it out, controllers/actions says what is known of a Job.
package rollout
