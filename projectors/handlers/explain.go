// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import "github.com/projectionist-dev/projectionist/projectors/fold"

// Observe makes Handle tell of each effect which handler made it, by its field
// path: for tools that explain. An event that fails may have told of effects before.
func (e *Evaluator) Observe(f func(handler string, effect *fold.Effect)) { e.observe = f }
