// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// column is a model's column as PostgreSQL sees it.
type column struct {
	name string
	typ  value.Type
	// def is the value of a new row's column that nothing has touched; nil is NULL.
	def value.Value
	// native is the server's own type that the column has; "" is the one of typ.
	native  string
	notNull bool
	enum    []string
	// min and max are both included; nil is none.
	min, max value.Value
	// maxItems keeps the newest elements of a list; 0 is all.
	maxItems int
	comment  string
}

// table is a model of one revision.
type table struct {
	index   int // into Contract.Models
	model   string
	name    string // physical
	comment string
	columns []column
	key     []int
	// deleted is the column that marks a row as a tombstone, -1 where the model keeps none.
	deleted int
	indexes []index
	// rules are what the server checks beside the types, by the constraint's name.
	rules map[string]rule
}

func newTable(c *contract.Contract, at int) (*table, error) {
	m := &c.Models[at]
	t := &table{index: at, model: m.Name, name: c.Physical(m.Name), comment: m.Comment, deleted: -1}
	if err := checkName("models["+m.Name+"].name", t.name); err != nil {
		return nil, fmt.Errorf("%w (the table's name has a revision of 12 bytes at its end: %d bytes remain)", err, MaxModelBytes)
	}
	byName := map[string]int{}
	for i, mc := range m.StoredColumns() {
		path := "models[" + m.Name + "].columns[" + mc.Name + "]"
		if _, twice := byName[mc.Name]; twice {
			return nil, fmt.Errorf("%s: is there twice", path)
		}
		col, err := newColumn(path, mc)
		if err != nil {
			return nil, err
		}
		byName[mc.Name] = i
		t.columns = append(t.columns, col)
	}
	if m.KeepsDeleted() {
		t.deleted = len(t.columns) - 1
	}
	for _, k := range m.Key {
		i, ok := byName[k]
		if !ok {
			return nil, fmt.Errorf("models[%s].key: no column %q", m.Name, k)
		}
		if t.columns[i].native != "" {
			return nil, fmt.Errorf("models[%s].columns[%s].native: a key column has no native type: rows are found by the type's own order", m.Name, k)
		}
		t.key = append(t.key, i)
	}
	if len(t.key) == 0 {
		return nil, fmt.Errorf("models[%s].key: is empty", m.Name)
	}
	for _, ix := range m.Indexes {
		if err := t.addIndex(ix, byName); err != nil {
			return nil, err
		}
	}
	t.addRules()
	return t, nil
}

// newTables gives the tables of a contract in the order of its models.
func newTables(c *contract.Contract) ([]*table, error) {
	out := make([]*table, len(c.Models))
	for i := range c.Models {
		var err error
		if out[i], err = newTable(c, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func newColumn(path string, mc contract.Column) (column, error) {
	col := column{
		name: mc.Name, native: mc.Native, notNull: mc.NotNull, enum: mc.Enum, maxItems: int(mc.MaxItems), comment: mc.Comment,
	}
	if err := checkName(path, mc.Name); err != nil {
		return col, err
	}
	if systemColumns[mc.Name] {
		return col, fmt.Errorf("%s: every PostgreSQL table has a hidden column of that name: use another", path)
	}
	var err error
	if col.typ, err = value.Parse(mc.Type); err != nil {
		return col, fmt.Errorf("%s.type: %w", path, err)
	}
	if mc.Native != "" && !nativeType.MatchString(mc.Native) {
		return col, fmt.Errorf("%s.native: is not the name of a type", path)
	}
	for _, text := range []struct {
		field string
		in    *string
		out   *value.Value
	}{{"default", mc.Default, &col.def}, {"range.min", mc.Min, &col.min}, {"range.max", mc.Max, &col.max}} {
		if text.in == nil {
			continue
		}
		if *text.out, err = col.typ.ParseText(*text.in); err != nil {
			return col, fmt.Errorf("%s.%s: %w", path, text.field, err)
		}
	}
	return col, nil
}

var systemColumns = map[string]bool{"tableoid": true, "xmin": true, "cmin": true, "xmax": true, "cmax": true, "ctid": true}

func (t *table) isKey(col int) bool {
	for _, k := range t.key {
		if k == col {
			return true
		}
	}
	return false
}

// baseType is a column's type without modifiers and array mark.
func baseType(t value.Type) string {
	switch t.Kind {
	case value.Text:
		return "text"
	case value.Bool:
		return "boolean"
	case value.Int32:
		return "integer"
	case value.Int64:
		return "bigint"
	case value.Float64:
		return "double precision"
	case value.Decimal:
		return "numeric"
	case value.Timestamp:
		return "timestamptz"
	case value.Date:
		return "date"
	case value.Time:
		return "time"
	case value.UUID:
		return "uuid"
	case value.JSONKind:
		return "jsonb"
	case value.Bytes:
		return "bytea"
	default:
		return "unknown"
	}
}

// columnType is what CREATE TABLE says.
func (c column) columnType() string {
	if c.native != "" {
		return c.native
	}
	t := c.typ
	s := baseType(t)
	if t.Kind == value.Decimal {
		s = fmt.Sprintf("numeric(%d,%d)", t.Precision, t.Scale)
	}
	if t.Array {
		s += "[]"
	}
	if t.Kind == value.Text {
		// Key order, min and max are bytewise everywhere (CORRECTNESS 2).
		s += ` COLLATE "C"`
	}
	return s
}

// literal is an SQL expression of a value of the column's type.
func (c column) literal(v value.Value) string {
	if v == nil {
		return "NULL::" + c.cast()
	}
	return literal(wireText(c.typ, v)) + "::" + c.cast()
}

// cast is the type that an operand of the column is cast to.
func (c column) cast() string {
	if c.native != "" {
		return nativeCast(c.native)
	}
	return cast(c.typ)
}

func cast(t value.Type) string {
	if t.Array {
		return baseType(t) + "[]"
	}
	return baseType(t)
}

// wireText is the text that PostgreSQL's input function of the type reads.
func wireText(t value.Type, v value.Value) string {
	switch x := v.(type) {
	case []byte:
		return `\x` + hex.EncodeToString(x)
	case []value.Value:
		var b strings.Builder
		b.WriteByte('{')
		elem := t.Elem()
		for i, e := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			if e == nil {
				b.WriteString("NULL")
				continue
			}
			b.WriteByte('"')
			for _, ch := range []byte(wireText(elem, e)) {
				if ch == '"' || ch == '\\' {
					b.WriteByte('\\')
				}
				b.WriteByte(ch)
			}
			b.WriteByte('"')
		}
		b.WriteByte('}')
		return b.String()
	case time.Time:
		return timeText(t, x)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return t.Format(v)
}

// timeText writes years beyond 9999 and before 1 the way PostgreSQL reads them.
func timeText(t value.Type, x time.Time) string {
	year, era := x.Year(), ""
	if year <= 0 {
		year, era = 1-year, " BC"
	}
	s := fmt.Sprintf("%04d-%02d-%02d", year, x.Month(), x.Day())
	if t.Kind == value.Timestamp {
		s += x.Format(" 15:04:05.999999") + "+00"
	}
	return s + era
}
