// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Plan is what this store makes of a model, for tools that explain: the texts
// are those that Prepare and Commit send.
type Plan struct {
	// DDL makes the table, its indexes, its comments and the view, in the order of execution.
	DDL    []string
	table  *table
	schema string
}

// Statement is one statement of a batch and what it is for.
type Statement struct {
	Purpose string `json:"purpose"`
	SQL     string `json:"sql"`
}

// Explain plans the models of a contract in their order. It fails where Prepare would refuse the definition.
func Explain(c *contract.Contract) ([]Plan, error) {
	if c.Store.Postgres == nil {
		return nil, fmt.Errorf("store %s is no PostgreSQL", c.Store.Name)
	}
	schema := c.Store.Postgres.Schema
	tables := make([]*table, len(c.Models))
	for i := range c.Models {
		var err error
		if tables[i], err = newTable(c, i); err != nil {
			return nil, err
		}
	}
	out := make([]Plan, len(tables))
	for i, t := range tables {
		p := Plan{table: t, schema: schema, DDL: []string{createTable(schema, t)}}
		for _, ix := range t.indexes {
			p.DDL = append(p.DDL, createIndex(schema, t, ix))
		}
		v := newView(schema, c, tables, i)
		p.comments("TABLE", t.name, t.tableComments(c.Projection, c.Revision))
		p.DDL = append(p.DDL, createView(schema, t.model, v))
		p.comments("VIEW", t.model, t.viewComments(c.Projection, v))
		out[i] = p
	}
	return out, nil
}

func (p *Plan) comments(kind, relation string, comments []comment) {
	for _, c := range comments {
		if c.text != "" {
			p.DDL = append(p.DDL, commentOn(p.schema, kind, relation, c))
		}
	}
}

// Blind gives the statements for mutations of one shape.
func (p *Plan) Blind(s fold.Shape) []Statement {
	if p.table.mustLoad(s) {
		return p.Loading(false)
	}
	sql, _ := p.table.statement(p.schema, fold.Group{Shape: s})
	out := []Statement{{s.Arms.String(), sql}}
	if needsLock([]fold.Group{{Shape: s}}) {
		out = append([]Statement{{"lock", p.table.sqlLock(p.schema)}}, out...)
	}
	return out
}

// Loading gives the statements for rows that are read first; deletes tells whether rows may go away.
func (p *Plan) Loading(deletes bool) []Statement {
	return p.changes([]Statement{{"read", p.table.sqlLoad(p.schema)}}, true, deletes)
}

// FanOut gives the statements for all rows whose columns (by index) have given values; the second and later chunks of
// rows begin after the last key of the one before.
func (p *Plan) FanOut(where []int, deletes bool) []Statement {
	return p.changes([]Statement{
		{"read the first rows", p.table.sqlMatch(p.schema, where, false)},
		{"read the next rows", p.table.sqlMatch(p.schema, where, true)},
	}, false, deletes)
}

func (p *Plan) changes(out []Statement, creates, deletes bool) []Statement {
	if deletes {
		out = append(out, Statement{"delete", p.table.sqlDelete(p.schema)})
	} else {
		out = append(out, Statement{"write back", p.table.sqlWriteBack(p.schema)})
	}
	if creates && !deletes {
		out = append(out, Statement{"create", p.table.sqlCreate(p.schema)})
	}
	return out
}
