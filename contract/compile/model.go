// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"regexp"
	"slices"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// Limits of names, in bytes. PostgreSQL cuts names at 63, and a table's name is
// the model's, two underscores and ten hex digits.
const (
	maxName      = 63
	maxModelName = maxName - len("__0123456789")
)

// orderedTypes are those of value.Type.CanMax, and keyTypes those of CanKey, for messages.
const (
	orderedTypes = "text, int32, int64, float64, decimal, timestamp, date and time"
	keyTypes     = "text, bool, int32, int64, uuid, date, time or timestamp"
)

var (
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// physicalName is the form that tables of other models have.
	physicalName = regexp.MustCompile(`__[0-9a-f]{10}$`)
	// systemColumns are the names that every table of PostgreSQL has already.
	systemColumns = []string{"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
)

// model is a model of the contract with what the checks need to know of it.
type model struct {
	reporter
	path  string
	out   contract.Model
	types map[string]value.Type // columns whose type is known
	index map[string]int        // of each column in out.Columns
	// generatedFrom holds the columns that each generated column reads.
	generatedFrom map[string][]string
	handlers      []*handler
	// unsure is true where version groups are wrong, so that nothing can be said of order.
	unsure bool
}

func newModel(r reporter, out contract.Model) *model {
	return &model{
		reporter: r, path: "models[" + out.Name + "]", out: out,
		types: map[string]value.Type{}, index: map[string]int{}, generatedFrom: map[string][]string{},
	}
}

// parseTypes learns the types of columns from a contract.
func (m *model) parseTypes() {
	for i := range m.out.Columns {
		if t, err := value.Parse(m.out.Columns[i].Type); err == nil {
			m.types[m.out.Columns[i].Name] = t
		}
	}
}

// has tells whether the model declares a column.
func (m *model) has(column string) bool {
	_, ok := m.index[column]
	return ok
}

// column gives a column that the model has.
func (m *model) column(name string) *contract.Column { return &m.out.Columns[m.index[name]] }

func (m *model) isKey(column string) bool { return slices.Contains(m.out.Key, column) }

// models compiles in rounds: what a round looks up, the one before has declared.
func (c *compiler) models(out *contract.Contract) {
	specs := c.in.Projection.Spec.Models
	if len(specs) == 0 {
		c.invalid("models", "there is no model; declare at least one table")
	}
	var models []*model
	var declared []*v1alpha1.Model
	for i := range specs {
		spec := &specs[i]
		m := newModel(c.reporter, contract.Model{Name: spec.Name, Comment: spec.Comment, Key: slices.Clone(spec.Key)})
		if slices.ContainsFunc(models, func(o *model) bool { return o.out.Name == spec.Name }) {
			m.invalid(m.path, "there are two models of this name; rename one")
			continue
		}
		if spec.Order == v1alpha1.ModelOrderArrival {
			m.out.Order = string(spec.Order)
		}
		m.checkName(spec.Name)
		m.checkColumns(spec.Columns)
		m.checkKey(spec)
		models, declared = append(models, m), append(declared, spec)
	}
	for i, m := range models {
		m.checkJoins(declared[i].Joins, models)
		m.checkGenerated()
		m.checkChecks(declared[i].Checks)
		m.checkVersions(declared[i].Versions)
		m.checkIndexes(declared[i].Indexes)
		c.handlers(m, declared[i].Handlers)
		m.checkTombstoneRows()
		c.checkOrder(m)
		m.adviseAll()
		out.Models = append(out.Models, m.out)
	}
	c.adviseTypes(models)
	c.verification(models)
}

func (m *model) checkName(name string) {
	switch {
	case !identifier.MatchString(name):
		m.invalid(m.path, "the name must be letters, digits and _, and begin with no digit")
	case len(name) > maxModelName:
		m.invalid(m.path, "the name has %d bytes; shorten it to %d, since tables add __ and ten digits to it and PostgreSQL cuts names at %d",
			len(name), maxModelName, maxName)
	case physicalName.MatchString(name):
		m.invalid(m.path, "names that end with __ and ten hex digits are those of the tables behind the views; rename it")
	}
}

func (m *model) checkKey(spec *v1alpha1.Model) {
	path := m.path + ".key"
	if len(spec.Key) == 0 {
		m.invalid(path, "there is no key column; name the columns that identify a row")
	}
	for i, name := range spec.Key {
		t, known := m.types[name]
		switch {
		case slices.Contains(spec.Key[:i], name):
			m.invalid(path, "column %s is in the key twice; remove one", name)
		case !m.has(name):
			m.invalid(path, "there is no column %s; declare it in columns%s", name, yamlTrap(name))
		case known && !t.CanKey():
			m.invalid(path, "column %s is %s, which cannot be part of a key; use %s", name, t, keyTypes)
		}
	}
	for i := range spec.Columns {
		if col := &spec.Columns[i]; col.Default != nil && slices.Contains(spec.Key, col.Name) {
			m.invalid(m.path+".columns["+col.Name+"].default", "a key column always has a value; remove the default")
		}
	}
}

// checkTombstoneRows holds a model whose deleted rows stay to what such a row
// looks like: the key, the version, and every other column at its default.
func (m *model) checkTombstoneRows() {
	if !m.out.KeepsDeleted() {
		return
	}
	for i := range m.out.Columns {
		col := &m.out.Columns[i]
		if col.NotNull && col.Default == nil && col.Generated == "" && m.groupOf(col.Name) == nil {
			m.invalid(m.path+".columns["+col.Name+"].notNull",
				"a delete with versionBy keeps the row, with its version and with defaults in the other columns, and this one has none; give it a default, or remove notNull")
		}
	}
	for i := range m.out.Indexes {
		index := &m.out.Indexes[i]
		nullable := func(name string) bool {
			return m.has(name) && !m.isKey(name) && m.column(name).Default == nil && m.groupOf(name) == nil
		}
		if index.Unique && !slices.ContainsFunc(index.Columns, nullable) {
			m.invalid(indexPath(m.path, index.Columns),
				"a delete with versionBy keeps the row, with defaults in its columns, so that two deleted rows could have the same values; let one of the columns have no default")
		}
	}
}
