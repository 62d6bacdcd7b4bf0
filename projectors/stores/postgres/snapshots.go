// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// advisorySnapshots is the key, beside advisoryDDL, of the lock that keeps
// awaitSnapshots from running twice in one database.
const advisorySnapshots = 2

// awaitSnapshots waits until no transaction of this database has a snapshot that
// is older than its call. After a switch such a transaction would read a table
// as it was before it was filled (CORRECTNESS 7).
//
// CREATE INDEX CONCURRENTLY waits for just that before it is done, and needs no
// right but the ownership of a table. Two on one table would be deadlocked.
func (a *Admin) awaitSnapshots(ctx context.Context) error {
	return a.alone(ctx, advisoryClass, advisorySnapshots, func(conn *pgx.Conn) error {
		// One that was cut off is left behind as invalid.
		drop := "DROP INDEX IF EXISTS " + quote(a.cfg.BookkeepingSchema, "snapshots_barrier")
		create := "CREATE INDEX CONCURRENTLY snapshots_barrier ON " + quote(a.cfg.BookkeepingSchema, "snapshots") + " (at)"
		for _, sql := range []string{drop, create, drop} {
			if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
		}
		return nil
	})
}

// oldestSnapshot tells who has held a snapshot for longest, as far as this role may know.
func (a *Admin) oldestSnapshot(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), factsTimeout)
	defer cancel()
	var pid int32
	var app string
	var since *float64
	err := a.cfg.rawTx(ctx, a.pool, pgx.ReadOnly, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT pid, coalesce(application_name, ''), extract(epoch FROM clock_timestamp() - xact_start)::float8
FROM pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
ORDER BY xact_start NULLS LAST, age(backend_xmin) DESC LIMIT 1`).Scan(&pid, &app, &since)
	})
	if err != nil {
		return "look for them in pg_stat_activity as an administrator, by backend_xmin"
	}
	age := ""
	if since != nil {
		age = ", in a transaction of " + (time.Duration(*since) * time.Second).String()
	}
	return fmt.Sprintf("the session with pid %d, application_name %q%s, may be the one: let it end, or run SELECT pg_terminate_backend(%d)", pid, app, age, pid)
}

func (p *promotion) snapshotError(ctx context.Context, a *Admin) error {
	return &stores.SwitchError{Code: stores.ReasonHandoverTimeout, Retryable: true, Message: fmt.Sprintf(
		"for %s, transactions have been open whose snapshots are older than the tables of revision %s: they would see these half-built; %s",
		p.limit, p.s.Revision, a.oldestSnapshot(ctx))}
}
