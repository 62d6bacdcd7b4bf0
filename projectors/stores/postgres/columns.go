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
}

// table is a model of one revision.
type table struct {
	index   int // into Contract.Models
	model   string
	name    string // physical
	columns []column
	key     []int
}

func newTable(c *contract.Contract, index int) (*table, error) {
	m := &c.Models[index]
	t := &table{index: index, model: m.Name, name: c.Physical(m.Name)}
	if err := checkName("models["+m.Name+"].name", t.name); err != nil {
		return nil, fmt.Errorf("%w (the table's name has a revision of 12 bytes at its end: %d bytes remain)", err, MaxModelBytes)
	}
	byName := map[string]int{}
	for i, mc := range m.Columns {
		path := "models[" + m.Name + "].columns[" + mc.Name + "]"
		if err := checkName(path, mc.Name); err != nil {
			return nil, err
		}
		if systemColumns[mc.Name] {
			return nil, fmt.Errorf("%s: every PostgreSQL table has a hidden column of that name: use another", path)
		}
		typ, err := value.Parse(mc.Type)
		if err != nil {
			return nil, fmt.Errorf("%s.type: %w", path, err)
		}
		col := column{name: mc.Name, typ: typ}
		if mc.Default != nil {
			if col.def, err = typ.ParseText(*mc.Default); err != nil {
				return nil, fmt.Errorf("%s.default: %w", path, err)
			}
		}
		if _, twice := byName[mc.Name]; twice {
			return nil, fmt.Errorf("%s: is there twice", path)
		}
		byName[mc.Name] = i
		t.columns = append(t.columns, col)
	}
	for _, k := range m.Key {
		i, ok := byName[k]
		if !ok {
			return nil, fmt.Errorf("models[%s].key: no column %q", m.Name, k)
		}
		t.key = append(t.key, i)
	}
	if len(t.key) == 0 {
		return nil, fmt.Errorf("models[%s].key: is empty", m.Name)
	}
	return t, nil
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
func columnType(t value.Type) string {
	s := baseType(t)
	if t.Kind == value.Decimal {
		s = fmt.Sprintf("numeric(%d,%d)", t.Precision, t.Scale)
	}
	if t.Array {
		s += "[]"
	}
	if t.Kind == value.Text {
		// Key order and max are bytewise everywhere (CORRECTNESS 2).
		s += ` COLLATE "C"`
	}
	return s
}

// definition is a column in CREATE TABLE. Defaults are the fold's business:
// the table has them too, for whoever reads its definition.
func (c column) definition(notNull bool) string {
	s := quote(c.name) + " " + columnType(c.typ)
	if notNull {
		s += " NOT NULL"
	}
	if c.def != nil {
		s += " DEFAULT " + c.literal(c.def)
	}
	return s
}

// literal is an SQL expression of a value of the column's type.
func (c column) literal(v value.Value) string {
	if v == nil {
		return "NULL::" + cast(c.typ)
	}
	return literal(wireText(c.typ, v)) + "::" + cast(c.typ)
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
