// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package historytest is a projection in memory whose projector takes a step when it is told to, for tests of what
// folds its log once more.
package historytest
