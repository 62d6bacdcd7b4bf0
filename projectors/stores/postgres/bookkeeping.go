// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// bookkeepingVersion is the version of the schema below. A change adds a step
// to bookSteps that brings the version before it here.
//
// Projectors of the release before keep running while a newer one upgrades the
// schema: a Writer never looks at the version, so a step may add tables and
// columns that have defaults, and change nothing that a Writer names. Action Jobs
// of the release before are refused (stores.ReasonBookkeepingNewer).
const bookkeepingVersion = 2

// advisoryClass and its key serialise all DDL of the project in one database.
const (
	advisoryClass = 0x70726f6a // "proj"
	advisoryDDL   = 1
	// advisoryIndexes is the class of the locks that keep one table's indexes from being made twice at once.
	advisoryIndexes = 0x70726f69 // "proi"
)

type bookTable struct {
	name, comment, ddl string
	columns            [][2]string // name, comment
}

// bookTables are in the order of creation; @ stands for the quoted schema.
var bookTables = []bookTable{
	{
		name: "version", comment: "Version of this schema; one row.",
		ddl: `CREATE TABLE @.version (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  version integer NOT NULL)`,
		columns: [][2]string{{"version", "Version of the bookkeeping schema; actions of an older release refuse a newer one, its projectors go on."}},
	},
	{
		name: "projections", comment: "One row per projection that has, or had and kept, tables in this database.",
		ddl: `CREATE TABLE @.projections (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  cluster text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  uid text COLLATE "C" NOT NULL,
  active_revision text COLLATE "C",
  sequence bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (cluster, namespace, name))`,
		columns: [][2]string{
			{"id", "Number that the other tables refer to."},
			{"cluster", "Cluster that the Projection lives in: several may share this database."},
			{"namespace", "Namespace of the Projection."},
			{"name", "Name of the Projection."},
			{"uid", "UID of the Projection that prepared last. Another UID with the same cluster, namespace and name adopts the tables."},
			{"active_revision", "Revision that the views show."},
			{"sequence", "Raised by each change of active_revision, so that a late or repeated job does nothing."},
			{"created_at", "When the first revision was prepared."},
		},
	},
	{
		name: "revisions", comment: "One row per revision that has tables.",
		ddl: `CREATE TABLE @.revisions (
  projection bigint NOT NULL REFERENCES @.projections (id),
  revision text COLLATE "C" NOT NULL,
  data_hash text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN ('following')),
  partitions jsonb NOT NULL DEFAULT '{}',
  contract jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  promoted_at timestamptz,
  left_at timestamptz,
  PRIMARY KEY (projection, revision))`,
		columns: [][2]string{
			{"projection", "projections.id."},
			{"revision", "Ten hex digits that table names end in: the first of data_hash, or, for a rebuild of the same data, of a hash of its own."},
			{"data_hash", "Identity of what the rows are a function of."},
			{"state", "following: projectors apply events as they come."},
			{"partitions", "Number of partitions per topic that have a row in positions. A row below that number is never made again: it would count events twice."},
			{"contract", "What was prepared, as the operator handed it over; without credentials."},
			{"created_at", "When it was prepared."},
			{"promoted_at", "When the views last began to show it; NULL if they never did."},
			{"left_at", "When the views last ceased to show it; NULL if they never did."},
		},
	},
	{
		name: "positions", comment: "Where each partition is. The row commits together with the rows that it accounts for.",
		ddl: `CREATE TABLE @.positions (
  projection bigint NOT NULL,
  revision text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition integer NOT NULL CHECK (partition >= 0),
  next_position text COLLATE "C" NOT NULL CHECK (next_position ~ '^(0|[1-9][0-9]*)$'),
  epoch bigint NOT NULL DEFAULT 0,
  token text COLLATE "C" NOT NULL DEFAULT '',
  owner text COLLATE "C" NOT NULL DEFAULT '',
  held_version bigint NOT NULL DEFAULT 0,
  topic_id text COLLATE "C" NOT NULL DEFAULT '',
  leader_epoch integer NOT NULL DEFAULT -1,
  event_time timestamptz,
  claimed_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (projection, revision, topic, partition),
  FOREIGN KEY (projection, revision) REFERENCES @.revisions (projection, revision))
  WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)`,
		columns: [][2]string{
			{"projection", "projections.id."},
			{"revision", "revisions.revision."},
			{"topic", "Name of the EventTopic."},
			{"partition", "Index of the partition."},
			{"next_position", "Next position to apply, as decimal digits; everything before it is in the tables. For Kafka an offset."},
			{"epoch", "Raised by each claim; never falls."},
			{"token", "Random, minted with the epoch: a failover can lose a claim and mint the same epoch twice."},
			{"owner", "Pod that claimed it last; (building) behind its name: for a bulk build that has not come to its end."},
			{"held_version", "Raised when the set of held keys changes."},
			{"topic_id", "The broker's id of the topic when it was first read; empty when unknown."},
			{"leader_epoch", "Leader epoch of the last record batch applied; -1 when unknown."},
			{"event_time", "Time of the newest event applied."},
			{"claimed_at", "When the owner claimed it."},
			{"updated_at", "When the position was committed."},
		},
	},
	{
		name: "relations", comment: "Tables and views that the project made, and for whom. It touches no other relation.",
		ddl: `CREATE TABLE @.relations (
  schema text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK (kind IN ('table', 'view')),
  model text COLLATE "C" NOT NULL,
  projection bigint NOT NULL REFERENCES @.projections (id),
  revision text COLLATE "C" NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (schema, name),
  FOREIGN KEY (projection, revision) REFERENCES @.revisions (projection, revision))`,
		columns: [][2]string{
			{"schema", "Schema of the relation."},
			{"name", "Name of the relation."},
			{"kind", "table: the rows of a model in one revision; view: what readers select from, or, where there is none yet, its name kept free."},
			{"model", "Model of the Projection."},
			{"projection", "projections.id of the owner."},
			{"revision", "Revision of a table; of a view the one that it shows, or that will need its name."},
			{"created_at", "When it was made."},
		},
	},
	{
		name: "barriers", comment: "Growth of topics: partitions from before_count on wait until those below have passed ends.",
		ddl: `CREATE TABLE @.barriers (
  projection bigint NOT NULL REFERENCES @.projections (id),
  topic text COLLATE "C" NOT NULL,
  topic_id text COLLATE "C" NOT NULL DEFAULT '',
  before_count integer NOT NULL CHECK (before_count >= 0),
  after_count integer NOT NULL CHECK (after_count > before_count),
  ends text[] COLLATE "C" NOT NULL CHECK (cardinality(ends) = before_count),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (projection, topic, topic_id, before_count))`,
		columns: [][2]string{
			{"projection", "projections.id."},
			{"topic", "Name of the EventTopic."},
			{"topic_id", "The broker's id of the topic; empty when unknown."},
			{"before_count", "Number of partitions before."},
			{"after_count", "Number of partitions after."},
			{"ends", "High watermark of each partition below before_count when growth was seen."},
			{"created_at", "When growth was seen."},
		},
	},
	{
		name: "switches", comment: "History: when readers were moved from one revision to another. The newest 1000 per projection.",
		ddl: `CREATE TABLE @.switches (
  projection bigint NOT NULL REFERENCES @.projections (id),
  sequence bigint NOT NULL,
  from_revision text COLLATE "C" NOT NULL,
  to_revision text COLLATE "C" NOT NULL,
  at timestamptz NOT NULL,
  stale boolean NOT NULL,
  broke_readers boolean NOT NULL,
  PRIMARY KEY (projection, sequence))`,
		columns: [][2]string{
			{"projection", "projections.id."},
			{"sequence", "projections.sequence after the switch."},
			{"from_revision", "Revision that the views showed before."},
			{"to_revision", "Revision that they show since."},
			{"at", "When it was done."},
			{"stale", "True where to_revision was behind from_revision, by consent: readers went back in time."},
			{"broke_readers", "True where a view lost or retyped a column, or went, by consent."},
		},
	},
	{
		name: "snapshots", comment: "Always empty. An index on it is made and dropped before a switch, to wait for older snapshots to end.",
		ddl:     `CREATE TABLE @.snapshots (at timestamptz)`,
		columns: [][2]string{{"at", "Never set."}},
	},
}

// bookSteps bring a schema of version i+1 to i+2; @ stands for the quoted schema.
// Tables that a step names are made as they are in bookTables.
var bookSteps = []struct {
	tables, ddl []string
}{
	{ // 1 to 2: revisions side by side
		tables: []string{"switches", "snapshots"},
		ddl: []string{
			"ALTER TABLE @.revisions ADD COLUMN promoted_at timestamptz, ADD COLUMN left_at timestamptz",
			`UPDATE @.revisions r SET promoted_at = r.created_at FROM @.projections p
WHERE p.id = r.projection AND p.active_revision = r.revision`,
		},
	},
}

// projectorGrants are the rights of a projector that does not own the tables.
var projectorGrants = [][2]string{
	{"SELECT", "version"},
	{"SELECT", "projections"},
	{"SELECT, UPDATE (partitions)", "revisions"},
	{"SELECT, INSERT, UPDATE", "positions"},
	{"SELECT", "relations"},
	{"SELECT, INSERT", "barriers"},
}

// lockDDL makes this transaction the only one of the project that changes
// definitions in the database.
func lockDDL(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, fmt.Sprintf("SELECT pg_catalog.pg_advisory_xact_lock(%d, %d)", advisoryClass, advisoryDDL))
	return err
}

// bookkeeping reads the state of the bookkeeping schema: 0 when there is none.
// A schema whose tables belong to a role that this one is no member of is
// refused: its triggers would run with this role's rights.
func bookkeeping(ctx context.Context, tx pgx.Tx, schema string) (version int, err error) {
	var owner string
	var trusted bool
	err = tx.QueryRow(ctx, `SELECT r.rolname, pg_has_role(current_user, c.relowner, 'USAGE')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
WHERE n.nspname = $1 AND c.relname = 'version'`, schema).Scan(&owner, &trusted)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !trusted {
		return 0, &stores.EnvironmentError{Reason: stores.ReasonForbidden, Message: fmt.Sprintf(
			"the bookkeeping schema %s belongs to role %s: use credentials of that role, name another spec.postgres.bookkeepingSchema, "+
				"or run: GRANT %s TO the role of the credentials", quote(schema), quote(owner), quote(owner))}
	}
	if err := tx.QueryRow(ctx, "SELECT version FROM "+quote(schema, "version")).Scan(&version); err != nil {
		return 0, err
	}
	if version > bookkeepingVersion {
		return 0, &stores.EnvironmentError{Reason: stores.ReasonBookkeepingNewer, Message: fmt.Sprintf(
			"the bookkeeping schema %s has version %d, this program knows %d: a newer release uses it; upgrade this one",
			quote(schema), version, bookkeepingVersion)}
	}
	return version, nil
}

// createBookkeeping creates what is missing, and brings what an older release
// made to bookkeepingVersion. The caller holds lockDDL.
func createBookkeeping(ctx context.Context, tx pgx.Tx, schema string) error {
	version, err := bookkeeping(ctx, tx, schema)
	if err != nil || version == bookkeepingVersion {
		return err
	}
	var b strings.Builder
	if version > 0 {
		upgradeBookkeeping(&b, version)
		_, err = tx.Exec(ctx, strings.ReplaceAll(b.String(), "@", quote(schema)), pgx.QueryExecModeSimpleProtocol)
		return err
	}
	created, err := createSchema(ctx, tx, schema)
	if err != nil {
		return err
	}
	if created {
		fmt.Fprintf(&b, "COMMENT ON SCHEMA @ IS %s;\n", literal("Bookkeeping of Projectionist. Reading is safe; writing is not."))
	}
	for i := range bookTables {
		b.WriteString(bookTables[i].ddl + ";\n")
		bookTables[i].comments(&b)
	}
	fmt.Fprintf(&b, "INSERT INTO @.version (version) VALUES (%d);\n", bookkeepingVersion)
	_, err = tx.Exec(ctx, strings.ReplaceAll(b.String(), "@", quote(schema)), pgx.QueryExecModeSimpleProtocol)
	return err
}

// upgradeBookkeeping writes the statements that lead on from a version. Comments
// are written anew for all: they say what the newest version means.
func upgradeBookkeeping(b *strings.Builder, version int) {
	for _, step := range bookSteps[version-1:] {
		for _, ddl := range step.ddl {
			b.WriteString(ddl + ";\n")
		}
		for i := range bookTables {
			if slices.Contains(step.tables, bookTables[i].name) {
				b.WriteString(bookTables[i].ddl + ";\n")
			}
		}
	}
	for i := range bookTables {
		bookTables[i].comments(b)
	}
	fmt.Fprintf(b, "UPDATE @.version SET version = %d;\n", bookkeepingVersion)
}

func (t *bookTable) comments(b *strings.Builder) {
	fmt.Fprintf(b, "COMMENT ON TABLE @.%s IS %s;\n", quote(t.name), literal(t.comment))
	for _, c := range t.columns {
		fmt.Fprintf(b, "COMMENT ON COLUMN @.%s.%s IS %s;\n", quote(t.name), quote(c[0]), literal(c[1]))
	}
}

// createSchema is CREATE SCHEMA IF NOT EXISTS for a role that may lack the right
// to create one that is there.
func createSchema(ctx context.Context, tx pgx.Tx, schema string) (created bool, err error) {
	var there bool
	if err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema).Scan(&there); err != nil || there {
		return false, err
	}
	_, err = tx.Exec(ctx, "CREATE SCHEMA "+quote(schema))
	return err == nil, err
}
