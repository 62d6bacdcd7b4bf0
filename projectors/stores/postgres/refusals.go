// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"strings"

	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Reasons of a *stores.DataError.
const (
	reasonOutOfRange = "OutOfRange"
	reasonConstraint = "ConstraintViolation"
)

const messageNotNull = "a value is missing in a column that must not be NULL"

// addColumns are the columns in which a statement of the shape can overflow:
// every other operand was checked against its type before it came here.
func addColumns(t *table, s fold.Shape) []string {
	var out []string
	for i, c := range t.columns {
		if s.Touch(i) == fold.Add {
			out = append(out, c.name)
		}
	}
	return out
}

// explain turns an error of one of the table's statements into a *stores.DataError
// where the rows are to blame. Of the server's message nothing is kept: it may show a value.
func (t *table) explain(adds []string) func(error) error {
	return func(err error) error {
		pe, code := sqlState(err)
		if pe == nil || !isData(err) {
			return err
		}
		if r, ours := t.rules[pe.ConstraintName]; ours {
			out := &stores.DataError{Model: t.model, Path: r.path, Reason: r.reason, Message: r.message}
			if len(r.columns) == 1 {
				out.Column = r.columns[0]
			}
			return out
		}
		out := &stores.DataError{Model: t.model, Column: pe.ColumnName, Reason: reasonConstraint}
		switch {
		case strings.HasPrefix(code, "22"):
			out.Reason, out.Message = reasonOutOfRange, "the server refuses a value (SQLSTATE "+code+")"
			if code == "22003" {
				out.Message = "a number leaves the range of the column's type"
				if out.Column == "" && len(adds) == 1 {
					out.Column = adds[0]
				}
			}
		case code == stateLimitExceeded:
			out.Reason = reasonOutOfRange
			out.Message = "a value is too large for the database: an indexed text takes some 2,700 bytes, an array 1 GB"
		case code == stateNotNullViolation:
			out.Message = messageNotNull
		case pe.ConstraintName != "":
			out.Message = "constraint " + quote(pe.ConstraintName) + " does not hold (SQLSTATE " + code + ")"
		default:
			out.Message = "a constraint does not hold (SQLSTATE " + code + ")"
		}
		return out
	}
}

// explainCommit finds the table whose deferred constraint does not hold: those
// are tested at COMMIT.
func (w *Writer) explainCommit(err error) error { return explainCommit(w.cfg.Schema, w.tables, err) }

func explainCommit(schema string, tables []*table, err error) error {
	if pe, _ := sqlState(err); pe != nil && pe.SchemaName == schema {
		for _, t := range tables {
			if t.name == pe.TableName {
				return t.explain(nil)(err)
			}
		}
	}
	return err
}
