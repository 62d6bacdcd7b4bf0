// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// prepareLimit bounds the transaction of Prepare, in which everybody else's definitions wait.
const prepareLimit = 4 * time.Minute

// Prepare is one transaction, but for indexes of tables that are there already (lateIndex). A revision that is already there gets no position
// row again: a row that has gone missing since must stop its partition
// (CORRECTNESS 4), and new partitions come through Writer.AddPartitions. The
// views and the active revision change only where there is none yet.
func (a *Admin) Prepare(ctx context.Context, c *contract.Contract, starts []stores.Start) (contract.PrepareFacts, error) {
	var facts contract.PrepareFacts
	p := &preparation{cfg: a.cfg, contract: c}
	var err error
	if p.tables, err = newTables(c); err != nil {
		return facts, &stores.EnvironmentError{Reason: ReasonInvalidDefinition, Message: err.Error()}
	}
	grantee, err := a.grantee(ctx)
	if err != nil {
		return facts, err
	}
	if facts, err = a.prepare(ctx, p, starts, grantee); err != nil {
		return facts, err
	}
	for _, late := range p.late {
		if err := a.makeIndex(ctx, late); err != nil {
			return facts, err
		}
	}
	return facts, nil
}

func (a *Admin) prepare(ctx context.Context, p *preparation, starts []stores.Start, grantee string) (facts contract.PrepareFacts, err error) {
	ctx, cancel := context.WithTimeout(ctx, prepareLimit)
	defer cancel()
	err = a.cfg.inTx(ctx, a.pool, pgx.ReadWrite, func(tx pgx.Tx) error {
		p.tx = tx
		if err = lockDDL(ctx, tx); err != nil {
			return err
		}
		if err = createBookkeeping(ctx, tx, a.cfg.BookkeepingSchema); err != nil {
			return err
		}
		if _, err = createSchema(ctx, tx, a.cfg.Schema); err != nil {
			return err
		}
		if facts, err = p.run(ctx, starts); err != nil {
			return err
		}
		return p.grant(ctx, grantee)
	})
	if _, code := sqlState(err); code == stateDuplicateTable || code == stateDuplicateObject {
		// Somebody else's DDL came between the check and the CREATE.
		err = &stores.NameTakenError{Relation: p.current}
	}
	return facts, err
}

// grantee is the projector's user, "" when it is the one that does the DDL.
func (a *Admin) grantee(ctx context.Context) (string, error) {
	if a.projector == nil {
		return "", nil
	}
	owner, err := a.cfg.Resolve(ctx)
	if err != nil {
		return "", resolveError(err)
	}
	projector, err := a.projector(ctx)
	if err != nil {
		return "", resolveError(err)
	}
	if owner.User == projector.User {
		return "", nil
	}
	return projector.User, nil
}

type preparation struct {
	cfg      Config
	contract *contract.Contract
	tables   []*table
	tx       pgx.Tx
	id       int64
	current  string // the relation being made, for messages
	late     []lateIndex
}

func (p *preparation) book(name string) string { return quote(p.cfg.BookkeepingSchema, name) }

func (p *preparation) run(ctx context.Context, starts []stores.Start) (facts contract.PrepareFacts, err error) {
	who := p.contract.Projection
	var active *string
	var uid string
	if err = p.tx.QueryRow(ctx, "INSERT INTO "+p.book("projections")+` AS p (cluster, namespace, name, uid) VALUES ($1, $2, $3, $4)
ON CONFLICT (cluster, namespace, name) DO UPDATE SET name = EXCLUDED.name RETURNING id, uid, active_revision, sequence`,
		who.Cluster, who.Namespace, who.Name, who.UID).Scan(&p.id, &uid, &active, &facts.Sequence); err != nil {
		return facts, err
	}
	isNew, err := p.revision(ctx)
	if err != nil {
		return facts, err
	}
	facts.Adopted = !isNew && uid != who.UID
	if uid != who.UID {
		if _, err := p.tx.Exec(ctx, "UPDATE "+p.book("projections")+" SET uid = $2 WHERE id = $1", p.id, who.UID); err != nil {
			return facts, err
		}
	}
	for _, t := range p.tables {
		if err := p.table(ctx, t); err != nil {
			return facts, err
		}
	}
	if active == nil {
		active = &p.contract.Revision
		facts.Sequence++
		if _, err := p.tx.Exec(ctx, "UPDATE "+p.book("projections")+" SET active_revision = $2, sequence = $3 WHERE id = $1",
			p.id, *active, facts.Sequence); err != nil {
			return facts, err
		}
		if _, err := p.tx.Exec(ctx, "UPDATE "+p.book("revisions")+" SET promoted_at = clock_timestamp() WHERE projection = $1 AND revision = $2",
			p.id, *active); err != nil {
			return facts, err
		}
	}
	facts.ActiveRevision = *active
	view := p.view
	if *active != p.contract.Revision {
		view = p.reserve
	}
	for _, t := range p.tables {
		if err := view(ctx, t); err != nil {
			return facts, err
		}
	}
	if isNew {
		if err := p.positions(ctx, starts); err != nil {
			return facts, err
		}
	}
	var partitions []byte
	if err := p.tx.QueryRow(ctx, "SELECT partitions FROM "+p.book("revisions")+" WHERE projection = $1 AND revision = $2",
		p.id, p.contract.Revision).Scan(&partitions); err != nil {
		return facts, err
	}
	if err := json.Unmarshal(partitions, &facts.Partitions); err != nil {
		return facts, damaged("numbers of partitions of revision "+p.contract.Revision, err)
	}
	return facts, nil
}

// revisionLock is how long the row of a revision is waited for: longer than a Replace with its default holds it. A bulk build
// holds it, and its tables, for as long as it writes, and whoever waits here keeps everybody else's definitions waiting.
const revisionLock = stores.DefaultHold + time.Second

func (p *preparation) lockTimeout(ctx context.Context, limit time.Duration) error {
	_, err := p.tx.Exec(ctx, "SELECT pg_catalog.set_config('lock_timeout', $1, true)", strconv.FormatInt(limit.Milliseconds(), 10))
	return err
}

// revision makes the row of the revision and tells whether it is new.
func (p *preparation) revision(ctx context.Context) (isNew bool, err error) {
	var hash string
	var stored []byte
	if err = p.lockTimeout(ctx, revisionLock); err != nil {
		return false, err
	}
	err = p.tx.QueryRow(ctx, "SELECT data_hash, contract FROM "+p.book("revisions")+" WHERE projection = $1 AND revision = $2 FOR UPDATE",
		p.id, p.contract.Revision).Scan(&hash, &stored)
	if _, code := sqlState(err); code == stateLockNotAvailable {
		return false, &stores.EnvironmentError{Reason: ReasonContention, Err: err, Message: fmt.Sprintf(
			"revision %s is locked: it is being built, and nothing of its tables can be changed until the rows are written; it is tried again", p.contract.Revision)}
	}
	if err == nil || errors.Is(err, pgx.ErrNoRows) {
		if failed := p.lockTimeout(ctx, p.cfg.LockTimeout); failed != nil {
			return false, failed
		}
	}
	text, failed := stores.Recording(p.contract, stored)
	if failed != nil {
		return false, failed
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		_, err = p.tx.Exec(ctx, "INSERT INTO "+p.book("revisions")+" (projection, revision, data_hash, state, contract) VALUES ($1, $2, $3, 'following', $4)",
			p.id, p.contract.Revision, p.contract.DataHash, string(text))
		return true, err
	case err != nil:
		return false, err
	case hash != p.contract.DataHash:
		return false, &stores.EnvironmentError{Reason: ReasonInvalidDefinition, Message: fmt.Sprintf(
			"revision %s is there with another data hash: two specs have the same first ten digits; change the spec a little", p.contract.Revision)}
	}
	_, err = p.tx.Exec(ctx, "UPDATE "+p.book("revisions")+" SET contract = $3 WHERE projection = $1 AND revision = $2 AND contract <> $3",
		p.id, p.contract.Revision, string(text))
	return false, err
}

// ours tells whether a relation is there and is this projection's. Anything
// else by that name is NameTaken.
func (p *preparation) ours(ctx context.Context, name, kind string) (bool, error) {
	p.current = quote(p.cfg.Schema, name)
	var relkind, recorded, owner *string
	var id *int64
	if err := p.tx.QueryRow(ctx, `SELECT c.relkind::text, r.kind, r.projection, o.cluster || '/' || o.namespace || '/' || o.name
FROM (SELECT 1) one
LEFT JOIN (SELECT c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2) c ON true
LEFT JOIN `+p.book("relations")+` r ON r.schema = $1 AND r.name = $2
LEFT JOIN `+p.book("projections")+` o ON o.id = r.projection`, p.cfg.Schema, name).Scan(&relkind, &recorded, &id, &owner); err != nil {
		return false, err
	}
	want := map[string]string{"table": "r", "view": "v"}[kind]
	switch {
	case id != nil && *id != p.id:
		return false, &stores.NameTakenError{Relation: p.current, Owner: *owner}
	case relkind == nil:
		return false, nil
	case id == nil || *relkind != want || *recorded != kind:
		return false, &stores.NameTakenError{Relation: p.current}
	}
	return true, nil
}

func (p *preparation) record(ctx context.Context, name, kind, model string) error {
	_, err := p.tx.Exec(ctx, "INSERT INTO "+p.book("relations")+` (schema, name, kind, model, projection, revision) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (schema, name) DO UPDATE SET kind = EXCLUDED.kind, model = EXCLUDED.model, revision = EXCLUDED.revision`,
		p.cfg.Schema, name, kind, model, p.id, p.contract.Revision)
	return err
}

func (p *preparation) table(ctx context.Context, t *table) error {
	there, err := p.ours(ctx, t.name, "table")
	if err != nil {
		return err
	}
	if !there {
		if _, err := p.tx.Exec(ctx, createTable(p.cfg.Schema, t)); err != nil {
			return err
		}
		if err := p.record(ctx, t.name, "table", t.model); err != nil {
			return err
		}
	}
	if err := p.comment(ctx, "TABLE", t.name, t.tableComments(p.contract.Projection, p.contract.Revision)); err != nil {
		return err
	}
	if there {
		if err := p.rules(ctx, t); err != nil {
			return err
		}
	}
	for _, ix := range t.indexes {
		if err := p.index(ctx, t, ix, !there); err != nil {
			return err
		}
	}
	return nil
}

// index makes an index of a table that this transaction makes. Of another the unique ones are made
// here, too: they are constraints, and a revision is made with them.
func (p *preparation) index(ctx context.Context, t *table, ix index, fresh bool) error {
	p.current = quote(p.cfg.Schema, ix.name)
	var there, onTable, valid bool
	if err := p.tx.QueryRow(ctx, `SELECT count(*) > 0, coalesce(bool_or(ic.relname = $3), false), coalesce(bool_or(i.indisvalid), false)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class ic ON ic.oid = i.indrelid
WHERE n.nspname = $1 AND c.relname = $2`, p.cfg.Schema, ix.name, t.name).Scan(&there, &onTable, &valid); err != nil {
		return err
	}
	if there && !onTable {
		return &stores.NameTakenError{Relation: p.current}
	}
	switch {
	case there && (valid || ix.unique):
		return nil
	case !fresh && !ix.unique:
		p.late = append(p.late, lateIndex{t, ix})
		return nil
	}
	_, err := p.tx.Exec(ctx, createIndex(p.cfg.Schema, t, ix))
	if _, code := sqlState(err); code == stateUniqueViolation {
		return &stores.EnvironmentError{Reason: ReasonInvalidDefinition, Message: fmt.Sprintf(
			"%s: rows in %s have the same %s already: make the index an ordinary one, or rebuild with handlers that keep them apart",
			t.rules[ix.name].path, quote(p.cfg.Schema, t.name), strings.Join(ix.columns, ", "))}
	}
	return err
}

// ourConstraint is how the names of constraints end that constraintName made for a rule.
var ourConstraint = regexp.MustCompile("_[0-9a-f]{24}_(" + strings.Join([]string{purposeUnique, purposeNotNull, purposeEnum, purposeRange, purposeSize}, "|") + ")$")

// rules brings the constraints of a table that is there to what the contract says. One
// that it no longer has would refuse events, so it goes; ordinary indexes stay, they
// change no row. A check that is new holds for rows that are written from now on.
func (p *preparation) rules(ctx context.Context, t *table) error {
	rows, err := p.tx.Query(ctx, `SELECT k.conname::text FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND k.contype IN ('u', 'c') ORDER BY 1`, p.cfg.Schema, t.name)
	if err != nil {
		return err
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range there {
		if _, wanted := t.rules[name]; wanted || !ourConstraint.MatchString(name) {
			continue
		}
		if _, err := p.tx.Exec(ctx, "ALTER TABLE "+quote(p.cfg.Schema, t.name)+" DROP CONSTRAINT "+quote(name)); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.rules)) {
		r := t.rules[name]
		if r.check == "" || slices.Contains(there, name) {
			continue
		}
		if _, err := p.tx.Exec(ctx, "ALTER TABLE "+quote(p.cfg.Schema, t.name)+" ADD CONSTRAINT "+quote(name)+" CHECK ("+r.check+") NOT VALID"); err != nil {
			return err
		}
	}
	return nil
}

// view makes the view of a model. One that is there shows what it has to: a
// contract with other joins or columns is another revision.
func (p *preparation) view(ctx context.Context, t *table) error {
	there, err := p.ours(ctx, t.model, "view")
	if err != nil {
		return err
	}
	v := newView(p.cfg.Schema, p.contract, p.tables, t.index)
	if !there {
		if err := checkName("models["+t.model+"].name", t.model); err != nil {
			return err
		}
		if _, err := p.tx.Exec(ctx, createView(p.cfg.Schema, t.model, v)); err != nil {
			return err
		}
		if err := p.record(ctx, t.model, "view", t.model); err != nil {
			return err
		}
	}
	return p.comment(ctx, "VIEW", t.model, t.viewComments(p.contract.Projection, v))
}

// reserve keeps the name of a view free that a promotion will make: it must not
// fail after hours of building because somebody has taken the name.
func (p *preparation) reserve(ctx context.Context, t *table) error {
	if err := checkName("models["+t.model+"].name", t.model); err != nil {
		return err
	}
	if _, err := p.ours(ctx, t.model, "view"); err != nil {
		return err
	}
	_, err := p.tx.Exec(ctx, "INSERT INTO "+p.book("relations")+` (schema, name, kind, model, projection, revision) VALUES ($1, $2, 'view', $2, $3, $4)
ON CONFLICT (schema, name) DO NOTHING`, p.cfg.Schema, t.model, p.id, p.contract.Revision)
	return err
}

// positions makes the rows of a new revision and records how many there are.
func (p *preparation) positions(ctx context.Context, starts []stores.Start) error {
	rows, err := p.tx.Query(ctx, "SELECT p.topic, p.topic_id, pg_catalog.max((r.partitions->>p.topic)::int) FROM "+p.book("revisions")+" r JOIN "+p.book("positions")+
		" p ON p.projection = r.projection AND p.revision = r.revision WHERE r.projection = $1 AND r.revision <> $2 GROUP BY p.topic, p.topic_id", p.id, p.contract.Revision)
	if err != nil {
		return err
	}
	recorded, err := pgx.CollectRows(rows, pgx.RowToStructByPos[stores.Recorded])
	if err != nil {
		return err
	}
	starts, resolved, err := stores.Resolve(p.contract, starts, recorded)
	if err != nil {
		return err
	}
	counts := map[string]int32{}
	for _, t := range p.contract.Topics {
		counts[t.Name] = 0
	}
	var topics, next, ids []string
	var partitions []int32
	for _, s := range starts {
		if want := counts[s.Topic]; s.Partition != want {
			return usagef("starts of topic %s have partition %d where %d is due", s.Topic, s.Partition, want)
		}
		counts[s.Topic]++
		topics, partitions = append(topics, s.Topic), append(partitions, s.Partition)
		next, ids = append(next, string(contract.OffsetPosition(s.Next))), append(ids, s.TopicID)
	}
	if _, err := p.tx.Exec(ctx, "INSERT INTO "+p.book("positions")+` (projection, revision, topic, partition, next_position, topic_id)
SELECT $1, $2, u.* FROM unnest($3::text[], $4::int[], $5::text[], $6::text[]) u`,
		p.id, p.contract.Revision, topics, partitions, next, ids); err != nil {
		return err
	}
	barriers, err := p.cfg.barriers(ctx, p.tx, p.id, p.contract.Revision)
	if err != nil {
		return err
	}
	if err := stores.CheckGrowth(p.contract, starts, barriers); err != nil {
		return err
	}
	made, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	text, err := json.Marshal(resolved)
	if err != nil {
		return err
	}
	_, err = p.tx.Exec(ctx, "UPDATE "+p.book("revisions")+" SET partitions = $3, contract = $4 WHERE projection = $1 AND revision = $2",
		p.id, p.contract.Revision, string(made), string(text))
	return err
}

// grant gives the projector's role what it needs, when another role owns the relations.
func (p *preparation) grant(ctx context.Context, role string) error {
	if role == "" {
		return nil
	}
	to := " TO " + quote(role)
	stmts := []string{
		"GRANT USAGE ON SCHEMA " + quote(p.cfg.Schema) + to,
		"GRANT USAGE ON SCHEMA " + quote(p.cfg.BookkeepingSchema) + to,
	}
	for _, g := range projectorGrants {
		stmts = append(stmts, "GRANT "+g[0]+" ON "+p.book(g[1])+to)
	}
	for _, t := range p.tables {
		stmts = append(stmts, "GRANT SELECT, INSERT, UPDATE, DELETE ON "+quote(p.cfg.Schema, t.name)+to)
	}
	_, err := p.tx.Exec(ctx, strings.Join(stmts, ";\n"), pgx.QueryExecModeSimpleProtocol)
	return err
}
