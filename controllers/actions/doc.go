// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package actions decides, from the Jobs and pods that exist, what is known of
// an action at a store or broker and which Job comes next.
//
// Nothing is remembered outside of the Jobs (Law 8): a Job's annotations carry
// its inputs, its sequence, how many attempts failed in a row, its result, and
// the newest good result before it. Deleting a status, or restarting the
// operator, therefore changes nothing. Decide is pure.
//
// Neighbours: controllers/resources builds the Jobs, the reconcilers create and
// delete what Decide says.
package actions
