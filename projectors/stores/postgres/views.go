// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// viewSwitch is what a promotion does to the views, in the order of their names.
type viewSwitch struct {
	preparation
	steps []viewStep
	// breaks is true where a view that is there cannot be replaced as it is.
	breaks bool
}

// viewStep is one view. table is nil for one whose model is gone.
type viewStep struct {
	name    string
	table   *table
	view    view
	there   bool
	options []string // of one that is there
	broken  string   // what readers would lose, "" if nothing
}

// views finds out what is to be done. It fails with *stores.SwitchError where
// readers would lose something without consent.
func (p *promotion) views(ctx context.Context) (*viewSwitch, error) {
	v := &viewSwitch{preparation: preparation{cfg: p.cfg, contract: p.contract, tx: p.tx, id: p.id}}
	var err error
	if v.tables, err = newTables(p.contract); err != nil {
		return nil, &stores.EnvironmentError{Reason: ReasonInvalidDefinition, Message: err.Error()}
	}
	for _, t := range v.tables {
		s, err := v.step(ctx, t)
		if err != nil {
			return nil, err
		}
		v.steps = append(v.steps, s)
	}
	rows, err := p.tx.Query(ctx, "SELECT name FROM "+p.book("relations")+
		" WHERE projection = $1 AND revision = $2 AND kind = 'view' AND schema = $3", p.id, p.active, p.cfg.Schema)
	if err != nil {
		return nil, err
	}
	before, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	for _, name := range before {
		if slices.ContainsFunc(v.steps, func(s viewStep) bool { return s.name == name }) {
			continue
		}
		there, err := v.ours(ctx, name, "view")
		if err != nil {
			return nil, err
		}
		s := viewStep{name: name, there: there}
		if there {
			s.broken = "view " + quote(p.cfg.Schema, name) + " would go"
		}
		v.steps = append(v.steps, s)
	}
	slices.SortFunc(v.steps, func(a, b viewStep) int { return cmp.Compare(a.name, b.name) })
	var broken []string
	for _, s := range v.steps {
		if s.broken != "" {
			broken = append(broken, s.broken)
		}
	}
	v.breaks = len(broken) > 0
	if v.breaks && !p.s.Allow.BreakReaders {
		return nil, &stores.SwitchError{Code: stores.ReasonReadersWouldBreak, Message: strings.Join(broken, "; ") +
			": keep what readers may use, or consent to BreakReaders in spec.rollout.allow, which drops and makes these views anew"}
	}
	return v, nil
}

// step compares a view that is there with the one that is to be.
func (v *viewSwitch) step(ctx context.Context, t *table) (viewStep, error) {
	s := viewStep{name: t.model, table: t, view: newView(v.cfg.Schema, v.contract, v.tables, t.index)}
	var err error
	if s.there, err = v.ours(ctx, t.model, "view"); err != nil {
		return s, err
	}
	if !s.there {
		return s, checkName("models["+t.model+"].name", t.model)
	}
	there, err := v.catalog(ctx, t.model)
	if err != nil {
		return s, err
	}
	if err = v.tx.QueryRow(ctx, `SELECT coalesce(c.reloptions, '{}') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2`, v.cfg.Schema, t.model).Scan(&s.options); err != nil {
		return s, err
	}
	tables := map[string][]catalogColumn{}
	var names, lost []string
	for _, has := range there {
		names = append(names, has.Name)
		i := slices.IndexFunc(s.view.columns, func(c viewColumn) bool { return c.name == has.Name })
		if i < 0 {
			lost = append(lost, quote(has.Name)+" (gone)")
			continue
		}
		of := s.view.columns[i]
		if tables[of.table] == nil {
			if tables[of.table], err = v.catalog(ctx, of.table); err != nil {
				return s, err
			}
		}
		for _, will := range tables[of.table] {
			if will.Name == of.column.name && (will.Type != has.Type || will.Collation != has.Collation) {
				lost = append(lost, fmt.Sprintf("%s (%s becomes %s)", quote(has.Name), has.Type, will.Type))
			}
		}
	}
	if len(lost) > 0 {
		s.broken = fmt.Sprintf("view %s would lose or retype %s", quote(v.cfg.Schema, t.model), strings.Join(lost, ", "))
	} else {
		// Readers select by name: those that are there keep their places.
		s.view = s.view.following(names)
	}
	return s, nil
}

// catalogColumn is a column as the server has it: what CREATE OR REPLACE VIEW compares.
type catalogColumn struct {
	Name, Type string
	Collation  int64
}

func (v *viewSwitch) catalog(ctx context.Context, relation string) ([]catalogColumn, error) {
	rows, err := v.tx.Query(ctx, `SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attcollation::bigint
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, v.cfg.Schema, relation)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[catalogColumn])
}

// replace makes the views show the new revision. It gives way when a view's
// lock is not to be had: new readers queue behind who waits for it, and below
// half of deadlock_timeout no reader is ever chosen as the victim of a deadlock.
func (v *viewSwitch) replace(ctx context.Context, p *promotion) error {
	if _, err := p.tx.Exec(ctx, `SELECT set_config('lock_timeout', least($1::int, greatest(setting::int / 2 - 1, 1))::text, true)
FROM pg_settings WHERE name = 'deadlock_timeout'`, p.viewLock()); err != nil {
		return err
	}
	for _, s := range v.steps {
		p.view = quote(p.cfg.Schema, s.name)
		if err := v.one(ctx, s); err != nil {
			if pe, code := sqlState(err); code == stateDependents {
				return &stores.SwitchError{Code: stores.ReasonReadersWouldBreak, Message: fmt.Sprintf(
					"view %s has to be dropped, and other objects depend on it (%s): drop or change these first", p.view, pe.Detail)}
			}
			return err
		}
	}
	p.view = ""
	return nil
}

func (p *promotion) viewLock() int32 {
	return cmp.Or(max(p.s.LockTimeoutMillis, 0), defaultViewLockMillis)
}

func (v *viewSwitch) one(ctx context.Context, s viewStep) error {
	exec := func(sql string, args ...any) error { _, err := v.tx.Exec(ctx, sql, args...); return err }
	drop := "DROP VIEW " + quote(v.cfg.Schema, s.name)
	if s.table == nil {
		if s.there {
			if err := exec(drop); err != nil {
				return err
			}
		}
		return exec("DELETE FROM "+v.book("relations")+" WHERE schema = $1 AND name = $2 AND projection = $3", v.cfg.Schema, s.name, v.id)
	}
	var rights []right
	if s.broken != "" {
		var err error
		if rights, err = v.rights(ctx, s.name); err != nil {
			return err
		}
		if err = exec(drop); err != nil {
			return err
		}
	}
	if err := exec(createView(v.cfg.Schema, s.name, s.view, s.options...)); err != nil {
		return err
	}
	if s.broken != "" {
		if err := v.restore(ctx, s, rights); err != nil {
			return err
		}
	}
	if err := v.record(ctx, s.name, "view", s.table.model); err != nil {
		return err
	}
	return v.comment(ctx, "VIEW", s.name, s.table.viewComments(v.contract.Projection, s.view))
}

// right is a privilege on a view, or on one of its columns, of another role than its owner.
type right struct {
	Column, Grantee, Privilege string // Grantee is quoted, or PUBLIC
	WithGrant                  bool
}

func (v *viewSwitch) rights(ctx context.Context, name string) ([]right, error) {
	rows, err := v.tx.Query(ctx, `SELECT x.attname, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, x.privilege_type, x.is_grantable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL (
  SELECT '' AS attname, e.* FROM aclexplode(c.relacl) e
  UNION ALL SELECT a.attname::text, e.* FROM pg_attribute a, aclexplode(a.attacl) e WHERE a.attrelid = c.oid AND NOT a.attisdropped) x
WHERE n.nspname = $1 AND c.relname = $2 AND x.grantee <> c.relowner ORDER BY 1, 2, 3`, v.cfg.Schema, name)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[right])
}

// restore gives a view that was made anew just the rights that the old one had:
// default privileges may say something else by now.
func (v *viewSwitch) restore(ctx context.Context, s viewStep, old []right) error {
	defaults, err := v.rights(ctx, s.name)
	if err != nil {
		return err
	}
	on := " ON " + quote(v.cfg.Schema, s.name)
	var stmts []string
	for _, r := range defaults {
		stmts = append(stmts, "REVOKE ALL"+on+" FROM "+r.Grantee)
	}
	for _, r := range old {
		what, with := r.Privilege, ""
		if r.Column != "" {
			if !slices.ContainsFunc(s.view.columns, func(c viewColumn) bool { return c.name == r.Column }) {
				continue
			}
			what += " (" + quote(r.Column) + ")"
		}
		if r.WithGrant {
			with = " WITH GRANT OPTION"
		}
		stmts = append(stmts, "GRANT "+what+on+" TO "+r.Grantee+with)
	}
	_, err = v.tx.Exec(ctx, strings.Join(slices.Compact(stmts), ";\n"), pgx.QueryExecModeSimpleProtocol)
	return err
}
