// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
)

// comment is a text beside a table or view, or one of its columns.
type comment struct {
	column string // "" for the relation itself
	text   string
}

// tableComments are the user's words, and for whoever finds the table what it is.
func (t *table) tableComments(who contract.Identity, revision string) []comment {
	out := []comment{{text: beside(t.comment, fmt.Sprintf(
		"Rows of model %s of projection %s/%s, revision %s. Select from the view %s instead: it stays when revisions change.",
		t.model, who.Namespace, who.Name, revision, t.model))}}
	for i, c := range t.columns {
		text := c.comment
		if i == t.deleted {
			text = "True for a row that was deleted. It stays with its version, so that an older event does not bring it back; views leave it out."
		}
		out = append(out, comment{c.name, text})
	}
	return out
}

func (t *table) viewComments(who contract.Identity, v view) []comment {
	out := []comment{{text: beside(t.comment, fmt.Sprintf("Read model %s of projection %s/%s.", t.model, who.Namespace, who.Name))}}
	for _, c := range v.columns {
		out = append(out, comment{c.name, c.comment})
	}
	return out
}

func beside(users, ours string) string {
	if users == "" {
		return ours
	}
	return users + "\n\n" + ours
}

// comment writes the comments that differ from what is there: each takes a lock.
// A column without one in the contract keeps what an administrator may have written.
func (p *preparation) comment(ctx context.Context, kind, relation string, wanted []comment) error {
	rows, err := p.tx.Query(ctx, `SELECT coalesce(a.attname::text, ''), d.description
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
WHERE n.nspname = $1 AND c.relname = $2`, p.cfg.Schema, relation)
	if err != nil {
		return err
	}
	there := map[string]string{}
	var column, text string
	if _, err := pgx.ForEachRow(rows, []any{&column, &text}, func() error { there[column] = text; return nil }); err != nil {
		return err
	}
	for _, c := range wanted {
		if c.text == "" || c.text == there[c.column] {
			continue
		}
		if _, err := p.tx.Exec(ctx, commentOn(p.cfg.Schema, kind, relation, c)); err != nil {
			return err
		}
	}
	return nil
}

func commentOn(schema, kind, relation string, c comment) string {
	on := "COLUMN " + quote(schema, relation, c.column)
	if c.column == "" {
		on = kind + " " + quote(schema, relation)
	}
	return "COMMENT ON " + on + " IS " + literal(c.text)
}
