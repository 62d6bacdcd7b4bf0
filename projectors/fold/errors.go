// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import "fmt"

// OverflowError says that an add leaves the range of its column. It carries no value.
type OverflowError struct{ Model, Column string }

func (e *OverflowError) Error() string {
	return fmt.Sprintf("models[%s].columns[%s]: add leaves the range of the column's type", e.Model, e.Column)
}
