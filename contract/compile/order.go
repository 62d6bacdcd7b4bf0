// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"
	"strings"
)

// The ordering rule (Law 4, CORRECTNESS 1): between partitions there is no
// order, so no row may depend on how two of them interleave.
//
// A handler is anchored at a key column whose expression, in key or in where, is
// the message key (or keyedBy, which each message key is checked to equal):
// conversion of keys is injective, so all events that reach one row through it
// have one message key, and come in order from one partition.
//
// A model is single-source when all its handlers are of one topic and share an
// anchor; then everything is allowed. The anchor must be the same column for
// all of them: with key (a, b), one handler anchored at a and another at b, the
// row (1, 2) is written by message keys 1 and 2.
//
// In any other model, a row must come out the same in every interleaving:
//
//   - whether it exists: nothing may delete it for good, every handler must create
//     it (whether an Ignore finds the row depends on who came first), and no
//     fan-out may look for it;
//   - what each column holds: it is written by add alone, by min alone, or by max
//     alone (each commutes), or by handlers of one topic that share an anchor
//     (then its writes are ordered by themselves, and nothing else touches it), or
//     by one version group alone, whose handlers set all of it and nothing else
//     (then the highest version wins, whatever comes last);
//   - what an expression reads of it: columns whose writers are ordered with the reader;
//   - whether an event is an error: no checks, no unique indexes, and no range on a
//     column that is added to.
//
// With order: Arrival, all of this but unique indexes is allowed, and said.
func (c *compiler) checkOrder(m *model) {
	if !m.complete() {
		return // Something else is wrong, and is reported: what would be said here may not hold once it is mended.
	}
	c.checkCompacted(m)
	arrival := m.out.Order != ""
	single := m.singleSource()
	m.checkUniqueOrder(single, arrival)
	found := m.findings()
	switch {
	case !arrival:
		for _, f := range found {
			m.add(Error, ReasonOrderNotGuaranteed, f.path, "%s", f.message)
		}
	case len(found) == 0:
		m.add(Advice, ReasonOrderNotGuaranteed, m.path+".order", "no row of this model depends on what arrives first, so that order: Arrival says too much; remove it")
	default:
		m.add(Advice, ReasonOrderNotGuaranteed, m.path+".order", "%s", m.consent(found))
	}
}

// consent says what order: Arrival has consented to.
func (m *model) consent(found []finding) string {
	columns := m.arrivalColumns(found)
	switch len(columns) {
	case 0:
		return "by your consent, it depends on which of two events is read first which of them is refused"
	case 1:
		return fmt.Sprintf("by your consent, what column %s holds depends on which of two events is read first: a rebuild may give another value there, and verification leaves it out", columns[0])
	}
	last := len(columns) - 1
	return fmt.Sprintf("by your consent, what columns %s and %s hold depends on which of two events is read first: a rebuild may give other values there, and verification leaves them out",
		strings.Join(columns[:last], ", "), columns[last])
}

// complete tells whether enough is known of every handler to judge the model.
func (m *model) complete() bool {
	return len(m.handlers) > 0 && !m.unsure && !slices.ContainsFunc(m.handlers, func(h *handler) bool {
		return h.topic == nil || h.topic.KeyedBy != "" && h.topic.keyedBy == "" ||
			h.matched != len(h.out.Where) || h.out.Where == nil && len(h.key) != len(m.out.Key)
	})
}

func (m *model) singleSource() bool { return ordered(m.handlers, m.out.Key) }

// anchors tells whether the handler's expression for a key column is the message
// key. So is int(key): what is not the usual text of the int is an error of the event (projectors/handlers).
func (h *handler) anchors(column string) bool {
	e, ok := h.key[column]
	return ok && (e == "key" || e == "int(key)" || (h.topic.keyedBy != "" && e == h.topic.keyedBy))
}

// ordered tells whether all events that the handlers apply to one row come in order.
func ordered(hs []*handler, key []string) bool {
	if slices.ContainsFunc(hs, func(h *handler) bool { return h.topic != hs[0].topic }) {
		return false
	}
	return slices.ContainsFunc(key, func(column string) bool {
		return !slices.ContainsFunc(hs, func(h *handler) bool { return !h.anchors(column) })
	})
}

// finding is one way in which rows depend on what arrives first.
type finding struct {
	path, message string
	// columns are those whose values do; nil is every column.
	columns []string
}

// findings lists the ways in which rows of the model depend on what arrives first.
func (m *model) findings() []finding {
	if m.singleSource() {
		return nil
	}
	f := &finder{model: m, fix: m.anchorAdvice()}
	if f.fanOuts(); len(f.found) > 0 {
		return f.found
	}
	for _, h := range m.handlers {
		f.existence(h)
		f.guard(h)
		f.rowReads(h)
	}
	for i := range m.out.Columns {
		if col := &m.out.Columns[i]; !m.isKey(col.Name) && col.Generated == "" {
			f.column(col.Name)
		}
	}
	for _, check := range m.out.Checks {
		f.add(m.path+".checks["+check.Name+"]", []string{}, "%s: whether the check refuses an event would depend on which of two events is read first. %s; or accept it with order: Arrival",
			m.whyUnordered(m.handlers), f.fix)
	}
	return f.found
}

type finder struct {
	*model
	// fix says how the model could become single-source.
	fix   string
	found []finding
}

func (f *finder) add(path string, columns []string, format string, args ...any) {
	f.found = append(f.found, finding{path: path, message: fmt.Sprintf(format, args...), columns: columns})
}

// fanOuts finds those that alone keep the model from being single-source; they concern every column.
func (f *finder) fanOuts() {
	rest := slices.DeleteFunc(slices.Clone(f.handlers), func(h *handler) bool { return h.out.Where != nil })
	if len(rest) == 0 || !ordered(rest, f.out.Key) {
		return
	}
	for _, h := range f.handlers {
		if h.out.Where != nil && !ordered(append(slices.Clone(rest), h), f.out.Key) {
			f.existence(h)
		}
	}
}

// existence finds handlers for which it matters whether the row is there already.
func (f *finder) existence(h *handler) {
	why := f.whyUnordered(f.handlers)
	fix := lowerFirst(f.fix) + "; or accept it with order: Arrival"
	switch {
	case h.out.Where != nil:
		f.add(h.path+".where", nil, "%s: whether a row is there already to match would depend on which of two events is read first. Match a key column with what the topic is keyed by; or %s", why, fix)
	case h.out.Delete && h.out.VersionBy == nil:
		f.add(h.path+".delete", nil, "%s: whether a row that was deleted comes back would depend on which of two events is read first. Delete by versionBy; or %s", why, fix)
	case h.out.OnAbsent == onAbsentIgnore:
		f.add(h.path+".onAbsent", nil, "%s: whether the row is there already would depend on which of two events is read first. Use onAbsent: Create; or %s", why, fix)
	}
}

// members are the handlers of a version group.
func (m *model) members(versionColumn string) []*handler {
	var out []*handler
	for _, h := range m.handlers {
		if h.out.VersionBy != nil && h.out.VersionBy.Column == versionColumn {
			out = append(out, h)
		}
	}
	return out
}

// decided tells whether it is a function of the log that the handler takes effect:
// it has no version, or all that write its version come in order.
func (m *model) decided(h *handler) bool {
	return h.out.VersionBy == nil || ordered(m.members(h.out.VersionBy.Column), m.out.Key)
}

// guard finds handlers that let a version win for a part of its columns only.
func (f *finder) guard(h *handler) {
	g := f.group(h)
	if g == nil || f.decided(h) || h.out.Delete {
		return
	}
	var missing []string
	for _, column := range g.Columns {
		if o := h.operation(column); o != "set" && o != "unset" {
			missing = append(missing, column)
		}
	}
	if len(missing) > 0 {
		f.add(h.path+".versionBy."+g.Column, g.Columns, "%s: a handler of version %s has to set every column that it guards, or the row would mix two versions, by which of two events is read first. Set %s, too; or accept it with order: Arrival",
			f.whyUnordered(f.members(g.Column)), g.Column, strings.Join(missing, " and "))
	}
}

// guards tells whether the handler has a version, and that version guards the column.
func (m *model) guards(h *handler, column string) bool {
	g := m.group(h)
	return g != nil && (g.Column == column || slices.Contains(g.Columns, column))
}

// writers are the handlers that write a column; a delete that keeps the row writes all of them.
func (m *model) writers(column string) []*handler {
	var out []*handler
	for _, h := range m.handlers {
		if h.writes(column) || h.out.Delete && h.out.VersionBy != nil {
			out = append(out, h)
		}
	}
	return out
}

// does names what the handler does to a column, as the field of the handler.
func (h *handler) does(column string) string {
	switch {
	case h.out.Delete:
		return "delete"
	case h.out.VersionBy != nil && h.out.VersionBy.Column == column:
		return "versionBy"
	default:
		return h.operation(column)
	}
}

func (h *handler) pathOf(column string) string {
	if h.out.Delete {
		return h.path + ".delete"
	}
	return h.path + "." + h.does(column) + "." + column
}

// column finds out whether what a column holds depends on what arrives first.
func (f *finder) column(column string) {
	writers := f.writers(column)
	operations := map[string]bool{}
	decided, versions, bare := true, map[string]bool{}, false
	for _, h := range writers {
		operations[h.does(column)] = true
		decided = decided && f.decided(h)
		if f.guards(h, column) {
			versions[h.out.VersionBy.Column] = true
		} else {
			bare = true
		}
	}
	commutes := len(operations) == 1 && (operations["add"] || operations["min"] || operations["max"])
	switch {
	case len(writers) == 0, decided && ordered(writers, f.out.Key), len(versions) == 1 && !bare:
		return
	case decided && commutes:
		if col := f.model.column(column); operations["add"] && (col.Min != nil || col.Max != nil) {
			f.sumRange(column, writers)
		}
		return
	}
	why := f.whyUnordered(writers)
	if ordered(writers, f.out.Key) {
		why = f.whyUnordered(f.handlers) // The writers are ordered, what lets them is not.
	}
	fix := lowerFirst(f.fix) + "; or accept it with order: Arrival"
	for _, h := range writers {
		switch path := h.pathOf(column); {
		case len(versions) > 0 && bare && f.guards(h, column):
			// What is to be mended stands in the others.
		case len(versions) > 0 && bare:
			f.add(path, []string{column}, "%s: column %s would depend on which of two events is read first, since some of its handlers have a version and some have none. Give all of them versionBy; or %s", why, column, fix)
		case !decided:
			f.add(path, []string{column}, "%s: column %s would depend on which of two events is read first, since the version that lets the handler take effect does not guard it. Add it to the group in versions, and set it in every handler of that version; or %s", why, column, fix)
		case len(operations) > 1:
			f.add(path, []string{column}, "%s: column %s would depend on which of two events is read first, since its handlers mix %s. Use add alone, min alone, or max alone; or %s", why, column, mixed(operations), fix)
		default:
			f.add(path, []string{column}, "%s: column %s would depend on which of two events is read first. Use add, min or max, or versionBy; or %s", why, column, fix)
		}
	}
}

func (f *finder) sumRange(column string, writers []*handler) {
	f.add(f.path+".columns["+column+"].range", []string{column}, "%s: whether a sum leaves the range on its way would depend on which of two events is read first. Remove the range; or %s; or accept it with order: Arrival",
		f.whyUnordered(writers), lowerFirst(f.fix))
}

// rowReads finds expressions that read columns which are not in order with their handler.
func (f *finder) rowReads(h *handler) {
	for _, r := range h.reads {
		for _, column := range f.sources(r.column) {
			writers := f.writers(column)
			if len(writers) == 0 {
				continue
			}
			together := append(slices.Clone(writers), h)
			if ordered(together, f.out.Key) && !slices.ContainsFunc(together, func(o *handler) bool { return !f.decided(o) }) {
				continue
			}
			names := make([]string, len(writers))
			for i, o := range writers {
				names[i] = o.out.Name
			}
			why := f.whyUnordered(together)
			if ordered(together, f.out.Key) {
				why = f.whyUnordered(f.handlers)
			}
			f.add(r.path, f.written(h), "%s: what row.%s holds at this handler's turn would depend on which of two events is read first, since it is written by %s. Do not read it; or %s; or accept it with order: Arrival",
				why, r.column, strings.Join(names, " and "), lowerFirst(f.fix))
			break
		}
	}
}

// written lists the columns that the handler writes: its version among them, and with a delete all.
func (m *model) written(h *handler) []string {
	out := []string{}
	for i := range m.out.Columns {
		if name := m.out.Columns[i].Name; h.out.Delete || h.writes(name) {
			out = append(out, name)
		}
	}
	return out
}

// sources gives the columns that a column's value comes from: itself, or those
// that a generated one reads. Key columns are left out: they never change.
func (m *model) sources(column string) []string {
	if m.isKey(column) {
		return nil
	}
	if m.column(column).Generated == "" {
		return []string{column}
	}
	var out []string
	for _, from := range m.generatedFrom[column] {
		if m.index[from] < m.index[column] || m.column(from).Generated == "" {
			out = append(out, m.sources(from)...)
		}
	}
	return out
}

// arrivalColumns gives the columns outside the key that depend on what arrives
// first, in the model's order: those found, and what is made from them.
func (m *model) arrivalColumns(found []finding) []string {
	hit := map[string]bool{}
	depends := func(column string) bool {
		return slices.ContainsFunc(m.sources(column), func(c string) bool { return hit[c] })
	}
	for _, f := range found {
		for i := range m.out.Columns {
			if name := m.out.Columns[i].Name; f.columns == nil || slices.Contains(f.columns, name) {
				hit[name] = true
			}
		}
	}
	for before := -1; before < len(hit); {
		before = len(hit)
		for _, h := range m.handlers {
			if slices.ContainsFunc(h.reads, func(r read) bool { return depends(r.column) }) {
				for _, column := range m.written(h) {
					hit[column] = true
				}
			}
		}
	}
	var out []string
	for i := range m.out.Columns {
		if name := m.out.Columns[i].Name; depends(name) {
			out = append(out, name)
		}
	}
	return out
}

// checkUniqueOrder refuses unique indexes where which of two events fails is chance.
func (m *model) checkUniqueOrder(single, arrival bool) {
	for i := range m.out.Indexes {
		index := &m.out.Indexes[i]
		path := indexPath(m.path, index.Columns)
		switch {
		case !index.Unique:
		case arrival:
			m.add(Error, ReasonOrderNotGuaranteed, path, "which of two rows keeps a value would depend on which of two events is read first, and order: Arrival does not make up for an event that is refused by chance; remove unique, or order")
		case !single:
			m.add(Error, ReasonOrderNotGuaranteed, path, "%s: which of two rows keeps a value would depend on which of two events is read first. Remove unique; or %s", m.whyUnordered(m.handlers), lowerFirst(m.anchorAdvice()))
		}
	}
}

func topicsOf(hs []*handler) []*topic {
	var out []*topic
	for _, h := range hs {
		if !slices.Contains(out, h.topic) {
			out = append(out, h.topic)
		}
	}
	return out
}

func (m *model) whyUnordered(hs []*handler) string {
	topics := topicsOf(hs)
	if len(topics) > 1 {
		names := make([]string, len(topics))
		for i, t := range topics {
			names[i] = t.Name
		}
		return fmt.Sprintf("model %s is written from topics %s, which have no order between them", m.out.Name, strings.Join(names, " and "))
	}
	t := topics[0]
	switch {
	case t.keyedBy == "":
		return fmt.Sprintf("EventTopic %s does not say what it is keyed by, so that events of one row of model %s may come from several partitions, which have no order between them", t.Name, m.out.Name)
	case slices.ContainsFunc(hs, func(h *handler) bool {
		return !slices.ContainsFunc(m.out.Key, h.anchors)
	}):
		return fmt.Sprintf("topic %s is keyed by %s, which the key of model %s does not contain, so that events of one row come from several partitions, which have no order between them", t.Name, t.KeyedBy, m.out.Name)
	default:
		return fmt.Sprintf("the handlers put %s, which topic %s is keyed by, into different key columns of model %s, so that events of one row come from several partitions, which have no order between them", t.KeyedBy, t.Name, m.out.Name)
	}
}

// anchorAdvice says how the model could become single-source.
func (m *model) anchorAdvice() string {
	topics := topicsOf(m.handlers)
	switch {
	case len(topics) > 1:
		return "Make a model for each topic, and show one's columns beside the other's by joins"
	case topics[0].keyedBy == "":
		return fmt.Sprintf("Set spec.keyedBy of EventTopic %s to what producers key it by, and give a key column that same expression", topics[0].Name)
	default:
		return fmt.Sprintf("Give one key column the expression %s in every handler", topics[0].KeyedBy)
	}
}

func mixed(operations map[string]bool) string {
	var names []string
	for _, o := range ops {
		if operations[o.name] {
			names = append(names, o.name)
		}
	}
	return strings.Join(names, " and ")
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
