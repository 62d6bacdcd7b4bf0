// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	sqlite3 "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// ReasonInvalidDefinition is that of a contract which SQLite cannot hold.
const ReasonInvalidDefinition = "InvalidDefinition"

func invalid(format string, args ...any) error {
	return &stores.EnvironmentError{Reason: ReasonInvalidDefinition, Message: fmt.Sprintf(format, args...)}
}

func notPrepared(revision string) error {
	return &stores.EnvironmentError{
		Reason: stores.ReasonNotPrepared, Message: "revision " + revision + " was not prepared in this database, or somebody dropped its tables",
	}
}

func missing(tp event.TopicPartition, revision string) error {
	return fmt.Errorf("%s of revision %s: %w", tp, revision, stores.ErrNoPosition)
}

// environment is what to do about faults by SQLite's primary result code.
var environment = map[int]string{
	lib.SQLITE_BUSY:     "another process has been writing to the database for long: end it, or wait",
	lib.SQLITE_LOCKED:   "another process has been writing to the database for long: end it, or wait",
	lib.SQLITE_READONLY: "the file may not be written to: check its rights and those of its directory",
	lib.SQLITE_PERM:     "the file may not be used: check its rights",
	lib.SQLITE_CANTOPEN: "the file cannot be opened: check that its directory exists and may be written to",
	lib.SQLITE_FULL:     "the disk is full",
	lib.SQLITE_IOERR:    "the disk gives an error: check its space and its health",
	lib.SQLITE_CORRUPT:  "the file is damaged: move it away and let the projection be built again",
	lib.SQLITE_NOTADB:   "the file is no SQLite database: choose another path",
	lib.SQLITE_SCHEMA:   "the tables are being changed",
	lib.SQLITE_NOMEM:    "there is no memory left",
}

// explain makes of what the driver says the errors of package stores. Nothing of
// SQLite's own message is kept, which may show a value, but for names of columns.
func (d *Database) explain(ctx context.Context, err error) error {
	var e *sqlite3.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.As(err, &e)):
		return ctx.Err()
	case !errors.As(err, &e):
		return err
	}
	code := e.Code() & 0xff
	if what, ok := environment[code]; ok {
		return &stores.EnvironmentError{Reason: stores.ReasonUnreachable, Message: d.path + ": " + what, Err: err}
	}
	if code == lib.SQLITE_TOOBIG {
		return &stores.DataError{Reason: "OutOfRange", Message: "a value is too large for the database"}
	}
	return &stores.EnvironmentError{Reason: stores.ReasonNotPrepared, Message: fmt.Sprintf(
		"%s: SQLite refuses a statement with code %d: tables were dropped or changed by hand; bring them back, or remove the file and build anew", d.path, e.Code()), Err: err}
}

// violation tells which columns of the table would not be unique any more.
func (t *table) violation(err error) error {
	var e *sqlite3.Error
	if !errors.As(err, &e) || e.Code() != lib.SQLITE_CONSTRAINT_UNIQUE {
		return err
	}
	out := &stores.DataError{Model: t.model.Name, Reason: "ConstraintViolation", Message: "two rows would have the same values in the columns of a unique index: correct the events, or make the index an ordinary one"}
	for _, u := range t.uniques {
		// The message ends in the columns of one index, each after its table's name.
		names := make([]string, len(u))
		for i, c := range u {
			names[i] = t.model.Columns[c].Name
		}
		if strings.Contains(e.Error(), t.name+"."+strings.Join(names, ", "+t.name+".")) {
			out.Path = "models[" + t.model.Name + "].indexes[" + strings.Join(names, ",") + "]"
			out.Message = "two rows would have the same " + strings.Join(names, ", ") + ", which are unique: correct the events, or make the index an ordinary one"
		}
	}
	return out
}
