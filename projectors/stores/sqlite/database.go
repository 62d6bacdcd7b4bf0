// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/url"

	"github.com/cockroachdb/apd/v3"
	sqlite3 "modernc.org/sqlite"
)

// Memory is the path of a database that lives as long as its Database does.
const Memory = ":memory:"

// Database is one SQLite database. Its methods may be called concurrently.
type Database struct {
	path string
	pool *sql.DB
	turn chan struct{} // holds the connection's one user
	conn *sql.Conn     // nil until it is needed
	// statements are prepared on conn. A contract has few, so none is thrown away.
	statements map[string]*sql.Stmt
}

// pragmas of every connection. WAL lets others read while a commit is under way;
// a full sync makes it durable (Law 6). A page that many commits write is copied from
// the log into the file once per 32 MB of log.
var pragmas = []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(8000)", "cache_size(-32000)", "foreign_keys(0)"}

// Open gives the database in the file at path, which is made when it is first
// used, or Memory. It does not touch the file: the first use does.
func Open(path string) *Database {
	q := url.Values{"_pragma": pragmas}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	if path == Memory {
		dsn = path + "?" + q.Encode()
	}
	pool := sql.OpenDB(connector(dsn))
	pool.SetMaxOpenConns(1)
	return &Database{path: path, pool: pool, turn: make(chan struct{}, 1), statements: map[string]*sql.Stmt{}}
}

// Close ends the connection, after what is under way.
func (d *Database) Close() error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	for _, s := range d.statements {
		_ = s.Close() // the connection goes with them
	}
	clear(d.statements)
	if d.conn != nil {
		_ = d.conn.Close()
		d.conn = nil
	}
	return d.pool.Close()
}

// connector opens connections that know the collation of long decimals.
type connector string

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return withCollation.Open(string(c))
}

func (connector) Driver() driver.Driver { return withCollation }

// collation has the name that SQLite's own extension for decimals gives it, so
// that the sqlite3 shell orders such columns, too.
const collation = "decimal"

var withCollation = func() *sqlite3.Driver {
	d := &sqlite3.Driver{}
	d.MustRegisterCollationUtf8(collation, compareDecimals)
	return d
}()

// compareDecimals orders texts by the numbers that they are; what is none comes last, bytewise.
func compareDecimals(a, b string) int {
	x, _, errX := apd.NewFromString(a)
	y, _, errY := apd.NewFromString(b)
	switch {
	case errX == nil && errY == nil:
		return x.Cmp(y)
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// session is the use of the connection by one caller.
type session struct {
	d   *Database
	ctx context.Context //nolint:containedctx // a session lives for one call
}

// with runs fn when the connection is free.
func (d *Database) with(ctx context.Context, fn func(*session) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-d.turn }()
	if d.conn == nil {
		conn, err := d.pool.Conn(ctx)
		if err != nil {
			return d.explain(ctx, err)
		}
		d.conn = conn
	}
	return d.explain(ctx, fn(&session{d: d, ctx: ctx}))
}

// write runs fn in a transaction that excludes all other writers from its beginning.
func (d *Database) write(ctx context.Context, fn func(*session) error) error {
	return d.with(ctx, func(s *session) (err error) {
		if err = s.exec("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				// A connection that cannot go back is of no use to the next one.
				if _, failed := d.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK"); failed != nil {
					d.drop()
				}
			}
		}()
		if err = fn(s); err != nil {
			return err
		}
		return s.exec("COMMIT")
	})
}

// drop gives up the connection; the next use makes another.
func (d *Database) drop() {
	clear(d.statements)
	_ = d.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = d.conn.Close()
	d.conn = nil
}

func (s *session) exec(query string, args ...any) error {
	_, err := s.d.conn.ExecContext(s.ctx, query, args...)
	return err
}

func (s *session) row(query string, args ...any) *sql.Row {
	return s.d.conn.QueryRowContext(s.ctx, query, args...)
}

// prepared gives a statement that is kept for the next use.
func (s *session) prepared(query string) (*sql.Stmt, error) {
	if stmt, ok := s.d.statements[query]; ok {
		return stmt, nil
	}
	stmt, err := s.d.conn.PrepareContext(s.ctx, query)
	if err == nil {
		s.d.statements[query] = stmt
	}
	return stmt, err
}

// run is exec for a statement that is kept for the next use.
func (s *session) run(query string, args ...any) error {
	stmt, err := s.prepared(query) //nolint:sqlclosecheck // it is kept
	if err == nil {
		_, err = stmt.ExecContext(s.ctx, args...)
	}
	return err
}

// query calls each for every row of a prepared statement.
func (s *session) query(query string, args []any, each func(*sql.Rows) error) error {
	stmt, err := s.prepared(query) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(s.ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
