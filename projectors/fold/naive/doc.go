// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package naive applies effects one by one to rows in a map. It is the meaning
// of an effect, written to be obviously right and nothing else: the fold and
// every store are tested against it (projectors/stores/storetest). It shares
// the words of package fold and none of its arithmetic.
package naive
