// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/sqlite"
	"github.com/projectionist-dev/projectionist/projectors/stores/storetest"
)

// database is a file that each writer opens for itself, as processes do, or a
// database in memory that all share.
type database struct {
	*sqlite.Database
	path string
}

func open(t testing.TB, path string) *sqlite.Database {
	d := sqlite.Open(path)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d database) Writer(t testing.TB, c *contract.Contract) stores.Writer {
	t.Helper()
	from := d.Database
	if d.path != sqlite.Memory {
		from = open(t, d.path)
	}
	w, err := from.Writer(c)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (d database) Rows(t testing.TB, c *contract.Contract, model int) [][]value.Value {
	t.Helper()
	rows, err := d.Database.Rows(t.Context(), c, model)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (d database) ViewCount(t testing.TB, model string) int {
	t.Helper()
	return len(d.strings(t, "SELECT 'x' FROM "+quoted(model)))
}

func (d database) strings(t testing.TB, query string, args ...any) []string {
	t.Helper()
	out, err := d.Strings(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (d database) ViewRows(t testing.TB, c *contract.Contract, model int) [][]value.Value {
	t.Helper()
	out, err := d.Database.ViewRows(t.Context(), c, model)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (d database) CreateForeign(t testing.TB, name string) {
	t.Helper()
	d.exec(t, "CREATE TABLE "+quoted(name)+" (x)")
}

func (d database) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if err := d.Exec(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

func (d database) Relations(t testing.TB) []string {
	t.Helper()
	return d.strings(t, "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name NOT LIKE 'projectionist~_%' ESCAPE '~' ORDER BY name")
}

// position is the condition of one position row.
const position = ` WHERE topic = ? AND partition = ? AND revision = ? AND projection = (SELECT id FROM projectionist_projections WHERE cluster = ? AND namespace = ? AND name = ?)`

func positionArgs(c *contract.Contract, tp event.TopicPartition) []any {
	return []any{tp.Topic, tp.Partition, c.Revision, c.Projection.Cluster, c.Projection.Namespace, c.Projection.Name}
}

func (d database) DeletePosition(t testing.TB, c *contract.Contract, tp event.TopicPartition) {
	t.Helper()
	d.exec(t, "DELETE FROM projectionist_positions"+position, positionArgs(c, tp)...)
}

func (d database) RaiseHeldVersion(t testing.TB, c *contract.Contract, tp event.TopicPartition) {
	t.Helper()
	d.exec(t, "UPDATE projectionist_positions SET held_version = held_version + 1"+position, positionArgs(c, tp)...)
}

func TestConformance(t *testing.T) {
	for name, path := range map[string]func(testing.TB) string{
		"file":   func(t testing.TB) string { return filepath.Join(t.TempDir(), "read models?.db") },
		"memory": func(testing.TB) string { return sqlite.Memory },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Harness{
				Open: func(t testing.TB) storetest.Database {
					p := path(t)
					return database{open(t, p), p}
				},
				Lacks: map[storetest.Capability]string{
					storetest.NativeTypes:        "SQLite has no types but those that columns have anyway",
					storetest.Builds:             "its tables are for development, and small",
					storetest.Switches:           "its one writer at a time would hold up the new revision with the old one",
					storetest.CaseSensitiveNames: "SQLite ignores the case of ASCII letters in names",
				},
			})
		})
	}
}

// Values of every type come back, and SQL orders and compares them as the fold does.
func TestSQLOrdersAsTheFoldDoes(t *testing.T) {
	for typ, texts := range map[string][]string{
		"decimal(12,2)":  {"-9999999999.99", "-10.00", "-9.50", "0.00", "0.01", "9.99", "10.00", "100.00", "9999999999.99"},
		"decimal(15,15)": {"-0.999999999999999", "0.000000000000001", "0.100000000000000", "0.300000000000000"},
		"decimal(15,0)":  {"-999999999999999", "-1", "0", "999999999999999"},
		"decimal(38,2)":  {"-100.00", "-9.50", "0.00", "9.99", "10.00", "900719925474099.30", "900719925474099.31", "999999999999999999999999999999999999.99"},
		"decimal(16,1)":  {"999999999999999.8", "999999999999999.9"},
		"timestamp":      {"0001-01-01T00:00:00Z", "2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000001Z", "2024-02-29T12:00:00.5Z", "2024-02-29T12:00:01Z"},
		"date":           {"0001-01-01", "2024-02-29", "9999-12-31"},
		"time":           {"00:00:00", "00:00:00.000001", "00:00:00.1", "23:59:59.999999"},
		"text":           {"", "A", "Z", "a", "a b", "ab", "é"},
		"bool":           {"false", "true"},
		"uuid":           {"00000000-0000-0000-0000-000000000001", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
		"float64":        {"-1.5", "0", "5e-324", "0.1", "1", "1e+100"},
	} {
		t.Run(typ, func(t *testing.T) {
			d := database{open(t, sqlite.Memory), sqlite.Memory}
			vt := value.MustParse(typ)
			sqlType, form := sqlite.Declared(vt), func(s string) any {
				v, err := vt.ParseText(s)
				if err != nil {
					t.Fatal(err)
				}
				return sqlite.Encode(vt, v)
			}
			d.exec(t, "CREATE TABLE t (i INTEGER, v "+sqlType+")")
			for i, s := range texts {
				d.exec(t, "INSERT INTO t VALUES (?, ?)", i, form(s))
			}
			want := make([]string, len(texts))
			for i := range texts {
				want[i] = fmt.Sprint(i)
			}
			if got := d.strings(t, "SELECT i FROM t ORDER BY v"); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("ordered %v", got)
			}
			for i, s := range texts {
				if got := d.strings(t, "SELECT i FROM t WHERE v = ? UNION ALL SELECT count(*) FROM t WHERE v < ?", form(s), form(s)); strings.Join(got, " ") != fmt.Sprint(i, " ", i) {
					t.Errorf("%s is found as, and comes after %v", s, got)
				}
			}
			if vt.Kind == value.Decimal {
				// As somebody writes it in SQL.
				for i, s := range texts {
					if got := d.strings(t, "SELECT count(*) FROM t WHERE v < "+s); vt.Precision <= 15 && got[0] != fmt.Sprint(i) {
						t.Errorf("%s rows are less than %s", got, s)
					}
				}
			}
		})
	}
}
