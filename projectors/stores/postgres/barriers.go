// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// AddPartitions inserts only rows from the recorded number of partitions on: a
// row below that number is never made again (CORRECTNESS 4). A barrier is shared
// by all revisions of a projection, so the first one recorded decides After.
func (w *Writer) AddPartitions(ctx context.Context, b stores.Barrier) (stores.Barrier, error) {
	if int(b.Before) != len(b.Ends) || b.After <= b.Before {
		return b, usagef("barrier of topic %s from %d to %d partitions has %d ends", b.Topic, b.Before, b.After, len(b.Ends))
	}
	ends := make([]string, len(b.Ends))
	for i, e := range b.Ends {
		ends[i] = string(contract.OffsetPosition(e))
	}
	var first stores.Barrier
	err := w.retry(ctx, func() error {
		return w.cfg.rawTx(ctx, w.pool, pgx.ReadWrite, func(tx pgx.Tx) error {
			id, err := w.projection(ctx, tx)
			if err != nil {
				return err
			}
			var count int32
			if err = tx.QueryRow(ctx, "SELECT coalesce((partitions->>$3)::int, 0) FROM "+w.book("revisions")+
				" WHERE projection = $1 AND revision = $2 FOR NO KEY UPDATE", id, w.revision, b.Topic).Scan(&count); err != nil {
				return err
			}
			if b.Before > count {
				return usagef("topic %s has %d position rows, a barrier from %d on leaves a gap", b.Topic, count, b.Before)
			}
			var topicID string
			if err = tx.QueryRow(ctx, "SELECT coalesce(pg_catalog.max(topic_id), '') FROM "+w.book("positions")+
				" WHERE projection = $1 AND revision = $2 AND topic = $3", id, w.revision, b.Topic).Scan(&topicID); err != nil {
				return err
			}
			if b.Before == count {
				if _, err = tx.Exec(ctx, "INSERT INTO "+w.book("barriers")+` (projection, topic, topic_id, before_count, after_count, ends)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (projection, topic, topic_id, before_count) DO NOTHING`,
					id, b.Topic, topicID, b.Before, b.After, ends); err != nil {
					return err
				}
			}
			rows, err := tx.Query(ctx, "SELECT topic, before_count, after_count, ends FROM "+w.book("barriers")+
				" WHERE projection = $1 AND topic = $2 AND topic_id = $3 AND before_count = $4", id, b.Topic, topicID, b.Before)
			if err != nil {
				return err
			}
			first, err = pgx.CollectExactlyOneRow(rows, scanBarrier)
			if errors.Is(err, pgx.ErrNoRows) {
				return fmt.Errorf("topic %s had %d position rows and has %d, where no growth is recorded: %w", b.Topic, count, b.Before, stores.ErrNoPosition)
			}
			if err != nil {
				return err
			}
			if first.After <= count {
				return nil
			}
			if _, err = tx.Exec(ctx, "INSERT INTO "+w.book("positions")+` (projection, revision, topic, partition, next_position, topic_id)
SELECT $1, $2, $3, g, '0', $6 FROM pg_catalog.generate_series($4::int, $5::int - 1) g`,
				id, w.revision, b.Topic, count, first.After, topicID); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, "UPDATE "+w.book("revisions")+
				" SET partitions = partitions || pg_catalog.jsonb_build_object($3::text, $4::int) WHERE projection = $1 AND revision = $2",
				id, w.revision, b.Topic, first.After)
			return err
		})
	})
	return first, err
}

// Barriers lists those of the topics as this revision reads them: a topic that
// was made anew has none of the old one's.
func (w *Writer) Barriers(ctx context.Context) ([]stores.Barrier, error) {
	var out []stores.Barrier
	err := w.cfg.inTx(ctx, w.pool, pgx.ReadOnly, func(tx pgx.Tx) error {
		id, err := w.projection(ctx, tx)
		if err != nil {
			return err
		}
		out, err = w.cfg.barriers(ctx, tx, id, w.revision)
		return err
	})
	return out, err
}

func (c Config) barriers(ctx context.Context, tx pgx.Tx, id int64, revision string) ([]stores.Barrier, error) {
	rows, err := tx.Query(ctx, "SELECT b.topic, b.before_count, b.after_count, b.ends FROM "+quote(c.BookkeepingSchema, "barriers")+` b
JOIN (SELECT topic, pg_catalog.max(topic_id) AS topic_id FROM `+quote(c.BookkeepingSchema, "positions")+` WHERE projection = $1 AND revision = $2 GROUP BY topic) p
  ON p.topic = b.topic AND (b.topic_id = p.topic_id OR b.topic_id = '')
WHERE b.projection = $1 ORDER BY b.created_at, b.topic, b.before_count`, id, revision)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanBarrier)
}

func scanBarrier(row pgx.CollectableRow) (stores.Barrier, error) {
	var b stores.Barrier
	var ends []string
	if err := row.Scan(&b.Topic, &b.Before, &b.After, &ends); err != nil {
		return b, err
	}
	b.Ends = make([]int64, len(ends))
	for i, e := range ends {
		var err error
		if b.Ends[i], err = contract.Position(e).Offset(); err != nil {
			return b, damaged("a barrier of topic "+b.Topic, err)
		}
	}
	return b, nil
}
