// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"

	"github.com/projectionist-dev/projectionist/contract"
)

// Count implements stores.Reader.
func (a admin) Count(ctx context.Context, c *contract.Contract, model int) (n int64, err error) {
	tables, err := tablesOf(c)
	if err != nil {
		return 0, err
	}
	query, err := selection(c, tables, model)
	if err != nil {
		return 0, err
	}
	err = a.d.with(ctx, func(s *session) error {
		if _, err := s.projection(c); err != nil {
			return err
		}
		return s.row("SELECT count(*) FROM (" + query + ")").Scan(&n)
	})
	return n, err
}
