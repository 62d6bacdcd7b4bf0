// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

const (
	// bookPrefix begins the names of the bookkeeping's tables.
	bookPrefix = "projectionist_"
	// indexSuffix ends the names of indexes.
	indexSuffix = "_idx"
)

// table is where the rows of one model are.
type table struct {
	name    string
	model   *fold.Model
	deleted int // the column of tombstones, or -1
	indexes []contract.Index
	uniques [][]int // columns of unique indexes
	indexed []int   // columns of all indexes
	// Parts of statements: columns by name, as they are read, those of the key, and
	// what an insert does to a row that is there: to all columns, or to those that
	// no index has, since SQLite writes an index whose columns it sets.
	columns, readColumns, keyColumns, upsert, upsertUnindexed string
}

// tables are those of a contract. They fail on names that SQLite cannot tell
// apart: it ignores the case of ASCII letters.
func tablesOf(c *contract.Contract) ([]*table, error) {
	models, err := fold.ModelsOf(c)
	if err != nil {
		return nil, invalid("%v", err)
	}
	names := map[string]string{}
	out := make([]*table, len(models))
	for i := range models {
		m := &models[i]
		path := "models[" + m.Name + "]"
		for _, name := range []string{m.Name, c.Physical(m.Name)} {
			if err := distinct(names, name, path+".name"); err != nil {
				return nil, err
			}
		}
		columns := map[string]string{}
		for _, col := range c.ViewColumns(i) {
			if err := distinct(columns, col.Name, path+".columns["+col.Name+"].name"); err != nil {
				return nil, err
			}
		}
		out[i] = newTable(c, i, m)
		for _, index := range out[i].indexes {
			for _, name := range index.Columns {
				if columnAt(m, name) < 0 {
					return nil, invalid("%s.indexes: there is no column %s", path, name)
				}
			}
		}
	}
	return out, nil
}

func distinct(seen map[string]string, name, path string) error {
	folded := asciiLower(name)
	if strings.HasPrefix(folded, "sqlite_") || strings.HasPrefix(folded, bookPrefix) {
		return invalid("%s: names that begin with sqlite_ or %s are kept for others: choose another name", path, bookPrefix)
	}
	if other, there := seen[folded]; there {
		return invalid("%s: SQLite does not tell %q and %q apart: choose names that differ in more than the case of letters", path, other, name)
	}
	seen[folded] = name
	return nil
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func columnAt(m *fold.Model, name string) int {
	return slices.IndexFunc(m.Columns, func(c fold.Column) bool { return c.Name == name })
}

func newTable(c *contract.Contract, model int, m *fold.Model) *table {
	t := &table{name: c.Physical(m.Name), model: m, deleted: columnAt(m, contract.DeletedColumn), indexes: c.Models[model].Indexes}
	for _, index := range t.indexes {
		at := make([]int, len(index.Columns))
		for i, name := range index.Columns {
			at[i] = columnAt(m, name)
		}
		t.indexed = append(t.indexed, at...)
		if index.Unique {
			t.uniques = append(t.uniques, at)
		}
	}
	var columns, reads, set, unindexed []string
	for i, col := range m.Columns {
		columns, reads = append(columns, quote(col.Name)), append(reads, read("t."+quote(col.Name), col.Type))
		if slices.Contains(m.Key, i) {
			continue
		}
		assign := quote(col.Name) + " = excluded." + quote(col.Name)
		set = append(set, assign)
		if !slices.Contains(t.indexed, i) {
			unindexed = append(unindexed, assign)
		}
	}
	t.columns, t.readColumns, t.keyColumns = strings.Join(columns, ", "), strings.Join(reads, ", "), t.keyList()
	t.upsert, t.upsertUnindexed = t.onConflict(set), t.onConflict(unindexed)
	return t
}

func (t *table) onConflict(set []string) string {
	if len(set) == 0 {
		return " ON CONFLICT (" + t.keyColumns + ") DO NOTHING"
	}
	return " ON CONFLICT (" + t.keyColumns + ") DO UPDATE SET " + strings.Join(set, ", ")
}

// quote makes an identifier of any name.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (t *table) keyList() string {
	out := make([]string, len(t.model.Key))
	for i, k := range t.model.Key {
		out[i] = quote(t.model.Columns[k].Name)
	}
	return strings.Join(out, ", ")
}

// read is how a column is selected: the driver gives an empty BLOB as NULL, so
// that it comes as an empty text.
func read(name string, t value.Type) string {
	if t.Kind == value.Bytes {
		return "iif(length(" + name + ") = 0, '', " + name + ")"
	}
	return name
}

// create makes the table: the fold has tested all rules but that of unique indexes.
func (t *table) create() string {
	var defs []string
	for i, c := range t.model.Columns {
		def := "  " + quote(c.Name) + " " + declared(c.Type)
		if slices.Contains(t.model.Key, i) {
			def += " NOT NULL"
		}
		defs = append(defs, def)
	}
	defs = append(defs, "  PRIMARY KEY ("+t.keyColumns+")")
	return "CREATE TABLE " + quote(t.name) + " (\n" + strings.Join(defs, ",\n") + "\n) WITHOUT ROWID"
}

// createIndex names an index after what it is, so that another one has another
// name. All methods are SQLite's own.
func (t *table) createIndex(index contract.Index) (name, ddl string) {
	unique := ""
	if index.Unique {
		unique = "UNIQUE "
	}
	columns := make([]string, len(index.Columns))
	for i, name := range index.Columns {
		columns[i] = quote(name)
	}
	list := strings.Join(columns, ", ")
	sum := sha256.Sum256([]byte(unique + list))
	name = t.name + "_" + hex.EncodeToString(sum[:8]) + indexSuffix
	return name, "CREATE " + unique + "INDEX IF NOT EXISTS " + quote(name) + " ON " + quote(t.name) + " (" + list + ")"
}

// selection is what readers of a model see: no tombstones, and joined columns (CORRECTNESS 2).
func selection(c *contract.Contract, tables []*table, model int) (string, error) {
	t := tables[model]
	var columns []string
	for _, col := range c.Models[model].Columns {
		columns = append(columns, "t."+quote(col.Name)+" AS "+quote(col.Name))
	}
	var joins strings.Builder
	for n, j := range c.Models[model].Joins {
		at := slices.IndexFunc(tables, func(o *table) bool { return o.model.Name == j.Model })
		if at < 0 {
			return "", invalid("models[%s].joins: there is no model %s", t.model.Name, j.Model)
		}
		other, alias := tables[at], fmt.Sprintf("j%d", n)
		var on []string
		for _, k := range other.model.Key {
			name := other.model.Columns[k].Name
			on = append(on, alias+"."+quote(name)+" = t."+quote(j.Match[name]))
		}
		if other.deleted >= 0 {
			on = append(on, "NOT "+alias+"."+quote(contract.DeletedColumn))
		}
		fmt.Fprintf(&joins, " LEFT JOIN %s AS %s ON %s", quote(other.name), alias, strings.Join(on, " AND "))
		for _, name := range slices.Sorted(maps.Keys(j.Set)) {
			columns = append(columns, alias+"."+quote(j.Set[name])+" AS "+quote(name))
		}
	}
	out := "SELECT " + strings.Join(columns, ", ") + " FROM " + quote(t.name) + " AS t" + joins.String()
	if t.deleted >= 0 {
		out += " WHERE NOT t." + quote(contract.DeletedColumn)
	}
	return out, nil
}
