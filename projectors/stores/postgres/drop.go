// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// DropSchemas removes the schemas of cfg with all that is in them, whoever made
// it. It is for schemas that a tool has made for a time (tests of projections).
func DropSchemas(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults(1)
	if err != nil {
		return err
	}
	pool, err := connect(cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	return cfg.inTx(ctx, pool, pgx.ReadWrite, func(tx pgx.Tx) error {
		for _, schema := range []string{cfg.Schema, cfg.BookkeepingSchema} {
			if _, err := tx.Exec(ctx, "DROP SCHEMA IF EXISTS "+quote(schema)+" CASCADE"); err != nil {
				return fmt.Errorf("schema %s could not be dropped: %w", schema, err)
			}
		}
		return nil
	})
}
