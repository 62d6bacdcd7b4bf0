// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

// RecordWeight is what one record counts in the budget beside its bytes.
const RecordWeight = recordWeight
