// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// barriers reads those of a projection that meet a condition, oldest first.
func (s *session) barriers(id int64, where string, args ...any) ([]stores.Barrier, error) {
	var out []stores.Barrier
	err := s.query("SELECT b.topic, b.before_count, b.after_count, b.ends FROM projectionist_barriers b WHERE b.projection = ? AND "+where+" ORDER BY b.id",
		append([]any{id}, args...), func(rows *sql.Rows) error {
			var b stores.Barrier
			var ends string
			if err := rows.Scan(&b.Topic, &b.Before, &b.After, &ends); err != nil {
				return err
			}
			b.Ends = make([]int64, 0, b.Before)
			for _, f := range strings.Fields(ends) {
				n, err := strconv.ParseInt(f, 10, 64)
				if err != nil {
					return fmt.Errorf("barrier of topic %s: %w", b.Topic, err)
				}
				b.Ends = append(b.Ends, n)
			}
			out = append(out, b)
			return nil
		})
	return out, err
}

func formatEnds(ends []int64) string {
	out := make([]string, len(ends))
	for i, e := range ends {
		out[i] = strconv.FormatInt(e, 10)
	}
	return strings.Join(out, " ")
}
