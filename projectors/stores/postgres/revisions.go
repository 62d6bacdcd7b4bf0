// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

var _ stores.Switcher = (*Admin)(nil)

// Revisions implements stores.Switcher.
func (a *Admin) Revisions(ctx context.Context, owner contract.Identity) (contract.RevisionFacts, error) {
	var facts contract.RevisionFacts
	err := a.cfg.inTx(ctx, a.pool, pgx.ReadOnly, func(tx pgx.Tx) (err error) {
		facts, err = revisionFacts(ctx, tx, a.cfg.BookkeepingSchema, owner)
		return err
	})
	return facts, err
}

// factsTimeout bounds how long the facts of something that has failed are waited for.
const factsTimeout = 5 * time.Second

// factsAfter reads the facts when the caller's time may be over. What was done and is not told is no success: who asked
// asks again, and is told then.
//
// A failure may be that of a COMMIT whose answer did not come, and which waits for a disk or a standby: it is not to be
// seen yet, and takes effect all the same. So the facts of a failure are read behind the lock that a switch has until it has
// ended; where that is not to be had in time, nothing is told: old facts would be taken for those after it.
func (a *Admin) factsAfter(ctx context.Context, owner contract.Identity, err error) (contract.RevisionFacts, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), factsTimeout)
	defer cancel()
	read := a.Revisions
	if err != nil {
		read = a.settledRevisions
	}
	facts, unread := read(ctx, owner)
	if unread == nil {
		return facts, err
	}
	if err == nil {
		err = unread
	}
	return contract.RevisionFacts{}, err
}

// settledRevisions is Revisions when no switch is in the middle of its transaction.
func (a *Admin) settledRevisions(ctx context.Context, owner contract.Identity) (facts contract.RevisionFacts, err error) {
	err = a.cfg.inTx(ctx, a.pool, pgx.ReadWrite, func(tx pgx.Tx) error {
		version, err := bookkeeping(ctx, tx, a.cfg.BookkeepingSchema)
		if err != nil || version == 0 {
			return err
		}
		if _, err = tx.Exec(ctx, "SELECT FROM "+quote(a.cfg.BookkeepingSchema, "projections")+" WHERE cluster = $1 AND namespace = $2 AND name = $3 FOR SHARE",
			owner.Cluster, owner.Namespace, owner.Name); err != nil {
			return err
		}
		// A statement of its own: what it joins would be as of before the wait.
		facts, err = revisionFacts(ctx, tx, a.cfg.BookkeepingSchema, owner)
		return err
	})
	return facts, err
}

func revisionFacts(ctx context.Context, tx pgx.Tx, schema string, owner contract.Identity) (facts contract.RevisionFacts, err error) {
	version, err := bookkeeping(ctx, tx, schema)
	if err != nil || version == 0 {
		return facts, err
	}
	times := "r.promoted_at, r.left_at"
	if version < 2 {
		times = "NULL::timestamptz, NULL::timestamptz"
	}
	rows, err := tx.Query(ctx, "SELECT coalesce(p.active_revision, ''), p.sequence, r.revision, "+times+
		" FROM "+quote(schema, "projections")+" p LEFT JOIN "+quote(schema, "revisions")+` r ON r.projection = p.id
WHERE p.cluster = $1 AND p.namespace = $2 AND p.name = $3 ORDER BY r.created_at, r.revision`, owner.Cluster, owner.Namespace, owner.Name)
	if err != nil {
		return facts, err
	}
	var revision *string
	var promoted, left *time.Time
	_, err = pgx.ForEachRow(rows, []any{&facts.Active, &facts.Sequence, &revision, &promoted, &left}, func() error {
		if revision == nil {
			return nil
		}
		f := contract.RevisionFact{Revision: *revision}
		if promoted != nil {
			f.PromotedAt = promoted.UTC()
		}
		if left != nil {
			f.LeftAt = left.UTC()
		}
		facts.Revisions = append(facts.Revisions, f)
		return nil
	})
	return facts, err
}
