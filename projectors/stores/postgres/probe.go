// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// minServerVersion is PostgreSQL 13, in the form of server_version_num.
const minServerVersion = 130000

// AdminConfig is how to reach a store for DDL.
type AdminConfig struct {
	// Config connects as the role that owns the relations (the ReadStore's DDL
	// credentials where it has them, its credentials otherwise).
	Config
	// Projector resolves the projector's own credentials. Its user is granted
	// what it needs when it is another one. Nil: the same user.
	Projector Resolver
}

// Admin is the DDL side; it implements stores.Admin.
type Admin struct {
	cfg       Config
	projector Resolver
	pool      *pgxpool.Pool
}

var _ stores.Admin = (*Admin)(nil)

// OpenAdmin makes an Admin. It does not connect: the first use does.
func OpenAdmin(cfg AdminConfig) (*Admin, error) {
	// Two, since awaitSnapshots holds a lock beside what it does.
	c, err := cfg.withDefaults(contract.ActionConnections)
	if err != nil {
		return nil, err
	}
	pool, err := connect(c)
	if err != nil {
		return nil, err
	}
	return &Admin{cfg: c, projector: cfg.Projector, pool: pool}, nil
}

// Close ends the connections.
func (a *Admin) Close() { a.pool.Close() }

// Probe reaches the server and checks version, role and rights. The facts are
// as far as it came, also with an error.
func (a *Admin) Probe(ctx context.Context) (contract.StoreFacts, error) {
	var facts contract.StoreFacts
	err := a.cfg.inTx(ctx, a.pool, pgx.ReadOnly, func(tx pgx.Tx) error {
		var (
			version    int
			readOnly   bool
			user       string
			mayCreate  bool
			schemas    = []string{a.cfg.Schema, a.cfg.BookkeepingSchema}
			missing    []string
			needCreate []string
		)
		if err := tx.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num')::int,
  current_database(), pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool, current_user,
  has_database_privilege(current_user, current_database(), 'CREATE')`).
			Scan(&facts.ServerVersion, &version, &facts.Database, &facts.InRecovery, &readOnly, &user, &mayCreate); err != nil {
			return err
		}
		if version < minServerVersion {
			return &stores.EnvironmentError{Reason: ReasonVersionTooOld, Message: fmt.Sprintf(
				"the server is PostgreSQL %s; 13 or newer is needed", facts.ServerVersion)}
		}
		if facts.InRecovery {
			return &stores.EnvironmentError{Reason: ReasonReadOnly, Message: "the server is a replica in recovery: connect to the primary (spec.postgres.host)"}
		}
		if readOnly {
			return &stores.EnvironmentError{Reason: ReasonReadOnly, Message: fmt.Sprintf(
				"default_transaction_read_only is on for role %s in database %s: turn it off for this role, or connect to the primary", quote(user), quote(facts.Database))}
		}
		for _, s := range schemas {
			var there, create, usage bool
			if err := tx.QueryRow(ctx, `SELECT count(*) > 0,
  coalesce(bool_or(has_schema_privilege(current_user, oid, 'CREATE')), false),
  coalesce(bool_or(has_schema_privilege(current_user, oid, 'USAGE')), false)
FROM pg_namespace WHERE nspname = $1`, s).Scan(&there, &create, &usage); err != nil {
				return err
			}
			switch {
			case !there && !mayCreate:
				needCreate = append(needCreate, s)
			case there && (!create || !usage):
				missing = append(missing, fmt.Sprintf("GRANT USAGE, CREATE ON SCHEMA %s TO %s;", quote(s), quote(user)))
			}
		}
		if len(needCreate) > 0 {
			missing = append(missing, fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s;", quote(facts.Database), quote(user)))
		}
		if len(missing) > 0 {
			return &stores.EnvironmentError{Reason: stores.ReasonForbidden, Message: fmt.Sprintf(
				"role %s may not create what a projection needs; as an administrator of the database run: %s", quote(user), strings.Join(missing, " "))}
		}
		_, err := bookkeeping(ctx, tx, a.cfg.BookkeepingSchema)
		return err
	})
	return facts, err
}
