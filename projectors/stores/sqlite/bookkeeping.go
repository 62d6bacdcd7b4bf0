// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// bookVersion is the version of the bookkeeping. A change adds a step to book
// that brings the version before it here.
const bookVersion = 1

// bookTables are as in the PostgreSQL store, as far as SQLite needs them. ids are
// never used twice, so that a writer of a projection that was retired finds nothing.
var bookTables = []string{
	`CREATE TABLE projectionist_version (single INTEGER PRIMARY KEY CHECK (single = 1), version INTEGER NOT NULL)`,
	`CREATE TABLE projectionist_projections (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  cluster TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,
  active_revision TEXT, sequence INTEGER NOT NULL DEFAULT 0,
  UNIQUE (cluster, namespace, name))`,
	`CREATE TABLE projectionist_revisions (
  projection INTEGER NOT NULL, revision TEXT NOT NULL, data_hash TEXT NOT NULL, contract TEXT NOT NULL,
  PRIMARY KEY (projection, revision)) WITHOUT ROWID`,
	`CREATE TABLE projectionist_partitions (
  projection INTEGER NOT NULL, revision TEXT NOT NULL, topic TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (projection, revision, topic)) WITHOUT ROWID`,
	`CREATE TABLE projectionist_positions (
  projection INTEGER NOT NULL, revision TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
  next_offset INTEGER NOT NULL, epoch INTEGER NOT NULL DEFAULT 0, token TEXT NOT NULL DEFAULT '', owner TEXT NOT NULL DEFAULT '',
  topic_id TEXT NOT NULL DEFAULT '', leader_epoch INTEGER NOT NULL DEFAULT -1, held_version INTEGER NOT NULL DEFAULT 0, event_time TEXT,
  PRIMARY KEY (projection, revision, topic, partition)) WITHOUT ROWID`,
	`CREATE TABLE projectionist_barriers (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  projection INTEGER NOT NULL, topic TEXT NOT NULL, topic_id TEXT NOT NULL, before_count INTEGER NOT NULL, after_count INTEGER NOT NULL, ends TEXT NOT NULL,
  UNIQUE (projection, topic, topic_id, before_count))`,
	`CREATE TABLE projectionist_relations (
  name TEXT COLLATE NOCASE PRIMARY KEY, kind TEXT NOT NULL, projection INTEGER NOT NULL) WITHOUT ROWID`,
}

// book makes the bookkeeping where there is none.
func (s *session) book() error {
	version, err := s.bookVersion()
	if err != nil || version == bookVersion {
		return err
	}
	for _, ddl := range bookTables {
		if err := s.exec(ddl); err != nil {
			return err
		}
	}
	return s.exec("INSERT INTO projectionist_version VALUES (1, ?)", bookVersion)
}

// bookVersion is 0 where there is no bookkeeping. It fails on a newer one.
func (s *session) bookVersion() (int, error) {
	var there bool
	if err := s.row("SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = 'projectionist_version'").Scan(&there); err != nil || !there {
		return 0, err
	}
	var version int
	if err := s.row("SELECT version FROM projectionist_version").Scan(&version); err != nil {
		return 0, err
	}
	if version > bookVersion {
		return 0, &stores.EnvironmentError{Reason: stores.ReasonBookkeepingNewer, Message: fmt.Sprintf(
			"the bookkeeping in %s has version %d, this program knows %d: use a newer one", s.d.path, version, bookVersion)}
	}
	return version, nil
}

// projection gives the id of the projection that has the contract's revision.
func (s *session) projection(c *contract.Contract) (int64, error) {
	version, err := s.bookVersion()
	if err != nil {
		return 0, err
	}
	if version == 0 {
		return 0, notPrepared(c.Revision)
	}
	var id int64
	p := c.Projection
	err = s.row(`SELECT p.id FROM projectionist_projections p JOIN projectionist_revisions r ON r.projection = p.id
WHERE p.cluster = ? AND p.namespace = ? AND p.name = ? AND r.revision = ?`, p.Cluster, p.Namespace, p.Name, c.Revision).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, notPrepared(c.Revision)
	}
	return id, err
}
