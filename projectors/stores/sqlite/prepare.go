// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	sqlite3 "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Prepare is one transaction. A revision that is already there gets no position
// row again: a row that has gone missing since must stop its partition
// (CORRECTNESS 4), and new partitions come through Writer.AddPartitions. The
// views and the active revision change only where there is none yet.
func (a admin) Prepare(ctx context.Context, c *contract.Contract, starts []stores.Start) (contract.PrepareFacts, error) {
	var facts contract.PrepareFacts
	tables, err := tablesOf(c)
	if err != nil {
		return facts, err
	}
	err = a.d.write(ctx, func(s *session) error {
		if err := s.book(); err != nil {
			return err
		}
		p := &preparation{session: s, c: c, tables: tables}
		return p.run(starts, &facts)
	})
	return facts, err
}

type preparation struct {
	*session
	c      *contract.Contract
	tables []*table
	id     int64
}

func (p *preparation) run(starts []stores.Start, facts *contract.PrepareFacts) error {
	who := p.c.Projection
	var active sql.NullString
	var uid string
	if err := p.row(`INSERT INTO projectionist_projections (cluster, namespace, name, uid) VALUES (?, ?, ?, ?)
ON CONFLICT (cluster, namespace, name) DO UPDATE SET name = excluded.name RETURNING id, uid, active_revision, sequence`,
		who.Cluster, who.Namespace, who.Name, who.UID).Scan(&p.id, &uid, &active, &facts.Sequence); err != nil {
		return err
	}
	isNew, err := p.revision()
	if err != nil {
		return err
	}
	facts.Adopted = !isNew && uid != who.UID
	if !active.Valid {
		active.String = p.c.Revision
		facts.Sequence++
	}
	facts.ActiveRevision = active.String
	if err := p.exec("UPDATE projectionist_projections SET uid = ?, active_revision = ?, sequence = ? WHERE id = ?", who.UID, active.String, facts.Sequence, p.id); err != nil {
		return err
	}
	for _, t := range p.tables {
		if err := p.table(t); err != nil {
			return err
		}
	}
	if active.String == p.c.Revision {
		for m := range p.tables {
			if err := p.view(m); err != nil {
				return err
			}
		}
	}
	if isNew {
		if err := p.positions(starts); err != nil {
			return err
		}
	}
	facts.Partitions, err = p.partitions(p.id, p.c.Revision)
	return err
}

// revision makes the row of the revision and tells whether it is new.
func (p *preparation) revision() (isNew bool, err error) {
	var hash, stored string
	err = p.row("SELECT data_hash, contract FROM projectionist_revisions WHERE projection = ? AND revision = ?", p.id, p.c.Revision).Scan(&hash, &stored)
	text, failed := stores.Recording(p.c, []byte(stored))
	if failed != nil {
		return false, failed
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return true, p.exec("INSERT INTO projectionist_revisions VALUES (?, ?, ?, ?)", p.id, p.c.Revision, p.c.DataHash, string(text))
	case err != nil:
		return false, err
	case hash != p.c.DataHash:
		return false, invalid("revision %s is there with another data hash: two specs have the same first ten digits; change the spec a little", p.c.Revision)
	}
	return false, p.exec("UPDATE projectionist_revisions SET contract = ? WHERE projection = ? AND revision = ?", string(text), p.id, p.c.Revision)
}

// ours tells whether a relation is there and is this projection's. Anything
// else by that name is NameTaken. What is not there is recorded, to be made.
func (p *preparation) ours(name, kind string) (bool, error) {
	var is, recorded, owner sql.NullString
	var id sql.NullInt64
	if err := p.row(`SELECT m.type, r.kind, r.projection, o.cluster || '/' || o.namespace || '/' || o.name FROM (SELECT 1) one
LEFT JOIN sqlite_master m ON m.name = ?1 COLLATE NOCASE
LEFT JOIN projectionist_relations r ON r.name = ?1
LEFT JOIN projectionist_projections o ON o.id = r.projection`, name).Scan(&is, &recorded, &id, &owner); err != nil {
		return false, err
	}
	switch {
	case id.Valid && id.Int64 != p.id:
		return false, &stores.NameTakenError{Relation: quote(name), Owner: owner.String}
	case is.Valid && (is.String != kind || recorded.String != kind):
		return false, &stores.NameTakenError{Relation: quote(name)}
	case is.Valid:
		return true, nil
	}
	return false, p.exec("INSERT INTO projectionist_relations VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET kind = excluded.kind", name, kind, p.id)
}

func (p *preparation) table(t *table) error {
	there, err := p.ours(t.name, "table")
	if err != nil {
		return err
	}
	if !there {
		if err := p.exec(t.create()); err != nil {
			return err
		}
	}
	wanted := map[string]string{}
	for _, index := range t.indexes {
		name, ddl := t.createIndex(index)
		wanted[name] = ddl
	}
	if err := p.dropIndexes(t, wanted); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		err := p.exec(wanted[name])
		var e *sqlite3.Error
		if errors.As(err, &e) && e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE {
			return invalid("models[%s].indexes: rows have the same values already in columns that are to be unique", t.model.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropIndexes drops those that were made for an earlier form of the contract.
func (p *preparation) dropIndexes(t *table, wanted map[string]string) error {
	var drop []string
	if err := p.query("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL", []any{t.name}, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		if _, keep := wanted[name]; !keep && strings.HasPrefix(name, t.name+"_") && strings.HasSuffix(name, indexSuffix) {
			drop = append(drop, name)
		}
		return err
	}); err != nil {
		return err
	}
	for _, name := range drop {
		if err := p.exec("DROP INDEX " + quote(name)); err != nil {
			return err
		}
	}
	return nil
}

func (p *preparation) view(model int) error {
	name := p.tables[model].model.Name
	there, err := p.ours(name, "view")
	if err != nil || there {
		return err
	}
	query, err := selection(p.c, p.tables, model)
	if err != nil {
		return err
	}
	return p.exec("CREATE VIEW " + quote(name) + " AS " + query)
}

// positions makes the rows of a new revision and records how many there are.
func (p *preparation) positions(starts []stores.Start) error {
	var recorded []stores.Recorded
	if err := p.query(`SELECT DISTINCT c.topic, p.topic_id, c.count FROM projectionist_partitions c JOIN projectionist_positions p
ON p.projection = c.projection AND p.revision = c.revision AND p.topic = c.topic WHERE c.projection = ? AND c.revision <> ?`,
		[]any{p.id, p.c.Revision}, func(rows *sql.Rows) error {
			var r stores.Recorded
			err := rows.Scan(&r.Topic, &r.TopicID, &r.Count)
			recorded = append(recorded, r)
			return err
		}); err != nil {
		return err
	}
	starts, resolved, err := stores.Resolve(p.c, starts, recorded)
	if err != nil {
		return err
	}
	counts := map[string]int32{}
	for _, t := range p.c.Topics {
		counts[t.Name] = 0
	}
	for _, s := range starts {
		if want := counts[s.Topic]; s.Partition != want {
			return invalid("starts of topic %s have partition %d where %d is due", s.Topic, s.Partition, want)
		}
		counts[s.Topic]++
		if err := p.exec("INSERT INTO projectionist_positions (projection, revision, topic, partition, next_offset, topic_id) VALUES (?, ?, ?, ?, ?, ?)",
			p.id, p.c.Revision, s.Topic, s.Partition, s.Next, s.TopicID); err != nil {
			return err
		}
	}
	for topic, count := range counts {
		if err := p.exec("INSERT INTO projectionist_partitions VALUES (?, ?, ?, ?)", p.id, p.c.Revision, topic, count); err != nil {
			return err
		}
	}
	barriers, err := p.barriersOf(p.id, p.c.Revision)
	if err != nil {
		return err
	}
	if err := stores.CheckGrowth(p.c, starts, barriers); err != nil {
		return err
	}
	text, err := json.Marshal(resolved)
	if err != nil {
		return err
	}
	return p.exec("UPDATE projectionist_revisions SET contract = ? WHERE projection = ? AND revision = ?", string(text), p.id, p.c.Revision)
}

// partitions is how many position rows were made per topic.
func (s *session) partitions(id int64, revision string) (map[string]int32, error) {
	out := map[string]int32{}
	err := s.query("SELECT topic, count FROM projectionist_partitions WHERE projection = ? AND revision = ?", []any{id, revision}, func(rows *sql.Rows) error {
		var topic string
		var count int32
		err := rows.Scan(&topic, &count)
		out[topic] = count
		return err
	})
	return out, err
}
