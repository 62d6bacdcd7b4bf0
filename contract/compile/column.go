// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// nativeType is what a column's native may be: it goes into DDL as it is.
var nativeType = regexp.MustCompile(`^([a-z_][a-z0-9_]*[.])?[a-z_][a-z0-9_]*( [a-z]+)*(\([0-9]{1,5}(, ?[0-9]{1,5})?\))?$`)

func (m *model) checkColumns(columns []v1alpha1.Column) {
	if len(columns) == 0 {
		m.invalid(m.path+".columns", "there is no column; declare at least those of the key")
	}
	for i := range columns {
		spec := &columns[i]
		path := m.path + ".columns[" + spec.Name + "]"
		if m.has(spec.Name) {
			m.invalid(path, "there are two columns of this name; remove one")
			continue
		}
		m.checkColumnName(path, spec.Name)
		out := contract.Column{
			Name: spec.Name, Type: spec.Type, Generated: string(spec.Generated), Native: spec.Native, Comment: spec.Comment,
			// A key column is never NULL anyway: one form, so that the hash has one, too.
			NotNull: isTrue(spec.NotNull) && !slices.Contains(m.out.Key, spec.Name),
		}
		m.index[spec.Name] = len(m.out.Columns)
		t, err := value.Parse(spec.Type)
		if err != nil {
			m.invalid(path+".type", "%s", err)
		} else {
			m.types[spec.Name] = t
			out.Type = t.String()
			m.checkRules(path, t, spec, &out)
		}
		m.checkNative(path, spec)
		m.checkWrittenByNobody(path, spec)
		m.out.Columns = append(m.out.Columns, out)
	}
}

// checkColumnName holds names of columns, of tables and of views, to what every store can have.
func (m *model) checkColumnName(path, name string) {
	switch {
	case !identifier.MatchString(name):
		m.invalid(path, "the name must be letters, digits and _, and begin with no digit")
	case len(name) > maxName:
		m.invalid(path, "the name has %d bytes; shorten it to %d, where PostgreSQL cuts names", len(name), maxName)
	case slices.Contains(systemColumns, name):
		m.invalid(path, "PostgreSQL has a column %s of its own in every table; rename it", name)
	case name == contract.DeletedColumn:
		m.invalid(path, "the name is taken: tables mark deleted rows in a column %s; rename it", name)
	case yamlTrap(name) != "":
		m.advise(path, "the column is named %q%s", name, yamlTrap(name))
	}
}

func (m *model) checkRules(path string, t value.Type, spec *v1alpha1.Column, out *contract.Column) {
	out.Default = m.parseText(path+".default", "default", t, spec.Default)
	m.checkEnum(path, t, spec, out)
	m.checkRange(path, t, spec, out)
	if !t.Array && (spec.List.MaxItems != 0 || isTrue(spec.List.Distinct)) {
		m.invalid(path+".list", "column %s is %s, and list is about lists; remove it, or declare the column as a list, such as text[]", spec.Name, t)
		return
	}
	out.MaxItems, out.Distinct = spec.List.MaxItems, isTrue(spec.List.Distinct)
	if out.MaxItems < 0 || out.MaxItems > value.MaxArrayElements {
		m.invalid(path+".list.maxItems", "a list has at most %d elements; give a number from 1 to that", value.MaxArrayElements)
	}
	if out.Default != nil {
		m.checkDefault(path+".default", t, out)
	}
}

func (m *model) checkEnum(path string, t value.Type, spec *v1alpha1.Column, out *contract.Column) {
	out.Enum = slices.Clone(spec.Enum)
	if len(spec.Enum) > 0 && t != (value.Type{Kind: value.Text}) {
		m.invalid(path+".enum", "column %s is %s, and enum lists the values of a text column; remove it, or use range", spec.Name, t)
		out.Enum = nil
	}
	for i, v := range spec.Enum {
		if slices.Contains(spec.Enum[:i], v) {
			m.invalid(path+".enum", "value %q is listed twice; remove one", v)
		}
	}
}

func (m *model) checkRange(path string, t value.Type, spec *v1alpha1.Column, out *contract.Column) {
	if spec.Range == (v1alpha1.ValueRange{}) {
		return
	}
	if !t.CanMax() {
		m.invalid(path+".range", "column %s is %s, whose values have no order; a range works on %s", spec.Name, t, orderedTypes)
		return
	}
	bound := func(name, text string) *string {
		if text == "" {
			return nil
		}
		return m.parseText(path+".range."+name, name, t, &text)
	}
	out.Min, out.Max = bound("min", spec.Range.Min), bound("max", spec.Range.Max)
	if out.Min != nil && out.Max != nil && compareTexts(t, *out.Min, *out.Max) > 0 {
		m.invalid(path+".range", "min is greater than max, so that no value is allowed; swap them")
	}
}

// parseText gives the canonical text of a value that a spec gives as text; nil without one and after a problem.
func (m *model) parseText(path, what string, t value.Type, text *string) *string {
	if text == nil {
		return nil
	}
	v, err := t.ParseText(*text)
	if err != nil {
		m.invalid(path, "the %s is %s; the column is %s", what, err, t)
		return nil
	}
	s := t.Format(v)
	return &s
}

// compareTexts compares two canonical texts.
func compareTexts(t value.Type, a, b string) int {
	x, err := t.ParseText(a)
	y, err2 := t.ParseText(b)
	if err != nil || err2 != nil {
		return 0 // Reported where it was parsed first.
	}
	return value.Compare(x, y)
}

func (m *model) checkDefault(path string, t value.Type, col *contract.Column) {
	v, err := t.ParseText(*col.Default)
	if err != nil {
		return
	}
	if broken := brokenRule(t, col, v); broken != "" {
		m.invalid(path, "the default %s; change one of them", broken)
	}
}

// brokenRule says which rule of a column a value breaks, to follow a subject; "" for none. NULL breaks none: see
// checkNotNull.
func brokenRule(t value.Type, col *contract.Column, v value.Value) string {
	if v == nil {
		return ""
	}
	if list, ok := v.([]value.Value); ok {
		if col.MaxItems > 0 && len(list) > int(col.MaxItems) {
			return "has more elements than list.maxItems"
		}
		for i := range list {
			for j := range i {
				if col.Distinct && value.Compare(list[i], list[j]) == 0 {
					return "has an element twice, which list.distinct refuses"
				}
			}
		}
		return ""
	}
	switch {
	case len(col.Enum) > 0 && !slices.Contains(col.Enum, t.Format(v)):
		return "is not one of the values in enum (" + strings.Join(col.Enum, ", ") + ")"
	case col.Min != nil && compareTexts(t, t.Format(v), *col.Min) < 0:
		return "is less than range.min, " + *col.Min
	case col.Max != nil && compareTexts(t, t.Format(v), *col.Max) > 0:
		return "is greater than range.max, " + *col.Max
	}
	return ""
}

func (m *model) checkNative(path string, spec *v1alpha1.Column) {
	switch {
	case spec.Native == "":
	case !nativeType.MatchString(spec.Native):
		m.invalid(path+".native", "it must be the name of a type in lower case, such as inet, varchar(3) or public.citext")
	case slices.Contains(m.out.Key, spec.Name):
		m.invalid(path+".native", "a key column has the usual type of the database, so that keys are the same everywhere; remove native")
	}
}

// checkWrittenByNobody holds generated columns to having no value of their own.
func (m *model) checkWrittenByNobody(path string, spec *v1alpha1.Column) {
	switch {
	case spec.Generated == "":
	case slices.Contains(m.out.Key, spec.Name):
		m.invalid(path+".generated", "a key column's value comes from the handlers' key; remove generated")
	case spec.Default != nil:
		m.invalid(path+".default", "the column is generated, so that it always has the value of that expression; remove the default")
	case spec.Native != "":
		m.invalid(path+".native", "a column with a native type can be set and nothing else; remove native, or generated")
	}
}

// row lists the columns as expressions see them. A column that may not be NULL is
// NULL all the same in a row of defaults; whole is true where the row exists.
func (m *model) row(whole bool) []expr.Column {
	out := make([]expr.Column, 0, len(m.out.Columns))
	for i := range m.out.Columns {
		col := &m.out.Columns[i]
		isKey := slices.Contains(m.out.Key, col.Name)
		out = append(out, expr.Column{
			Name: col.Name, Type: m.types[col.Name],
			NotNull: isKey || col.NotNull && (whole || col.Default != nil),
		})
	}
	return out
}

// rowExpression compiles an expression over row alone. It gives the columns that it reads; nil, false after a problem.
func (m *model) rowExpression(path, source string) (p *expr.Program, reads []string, ok bool) {
	p, err := expr.Compile(source, expr.Options{Scope: expr.ScopeRow, Row: m.row(true)})
	if err != nil {
		if !m.untyped() {
			m.refuse(path, source, err, m.joinHint(source))
		}
		return nil, nil, false
	}
	reads = m.rowReads(p)
	m.checkReads(path, reads)
	return p, reads, true
}

// untyped tells whether the type of a column is not known; what row's expressions say is then worth nothing.
func (m *model) untyped() bool { return len(m.types) < len(m.out.Columns) }

// rowReads lists the columns of row that an expression reads.
func (m *model) rowReads(p *expr.Program) []string {
	var out []string
	for i := range m.out.Columns {
		if name := m.out.Columns[i].Name; p.Uses("row." + name) {
			out = append(out, name)
		}
	}
	return out
}

// checkReads refuses to read what the database may spell in another way than the event did.
func (m *model) checkReads(path string, columns []string) {
	for _, name := range columns {
		if col := m.column(name); col.Native != "" {
			m.invalid(path, "row.%s cannot be read: the database keeps it as %s, whose text may be another one than what was written; keep a second column without native",
				name, col.Native)
		}
	}
}

// joinHint explains why row lacks a column that readers see.
func (m *model) joinHint(source string) string {
	for _, j := range m.out.Joins {
		for name := range j.Set {
			if strings.Contains(source, "row."+name) {
				return "; " + name + " comes from a join, which is looked up when readers read: expressions cannot see it"
			}
		}
	}
	return ""
}

// checkGenerated compiles the expressions of generated columns.
func (m *model) checkGenerated() {
	for i := range m.out.Columns {
		col := &m.out.Columns[i]
		if col.Generated == "" {
			continue
		}
		path := m.path + ".columns[" + col.Name + "].generated"
		p, reads, ok := m.rowExpression(path, col.Generated)
		if !ok {
			continue
		}
		for _, name := range reads {
			if j := m.index[name]; j >= i && m.out.Columns[j].Generated != "" {
				m.invalid(path, "row.%s is generated, too, and not before this column; declare it further up, or repeat its expression here", name)
			}
		}
		switch t, known := m.types[col.Name]; {
		case p.IsConstant():
			m.invalid(path, "the expression reads no column, so that every row has the same value; use default")
		case known:
			if err := p.CheckColumn(t); err != nil {
				m.invalid(path, "%s", err)
			}
		}
		m.generatedFrom[col.Name] = reads
	}
}

// checkChecks compiles the conditions that rows must meet.
func (m *model) checkChecks(checks []v1alpha1.Check) {
	for i, spec := range checks {
		path := m.path + ".checks[" + spec.Name + "]"
		if slices.ContainsFunc(checks[:i], func(c v1alpha1.Check) bool { return c.Name == spec.Name }) {
			m.invalid(path, "there are two checks of this name; rename one")
			continue
		}
		m.out.Checks = append(m.out.Checks, contract.Check{Name: spec.Name, Rule: string(spec.Rule)})
		m.checkCheck(path+".rule", string(spec.Rule))
	}
}

func (m *model) checkCheck(path, source string) {
	p, reads, ok := m.rowExpression(path, source)
	switch {
	case !ok:
	case p.Type() != expr.TypeBool && p.Type() != expr.TypeDyn:
		m.invalid(path, "the expression is of type %s, and a condition must be a bool; write a comparison", p.Type())
	case len(reads) == 0:
		m.invalid(path, "the condition reads no column, so that it holds for every row or for none; name a column, such as row.%s", m.out.Columns[0].Name)
	}
}

func isTrue(b *bool) bool { return b != nil && *b }
