// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package testrun

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rows"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// accept makes what came out the expectation of the case: in rows and rowFiles,
// and where nothing is expected yet in a new rows.
func (c *caseRun) accept(expected []table, got [][][]value.Value) error {
	file := c.test.Object.File.Name
	data, err := os.ReadFile(file) //nolint:gosec // the user's own file
	if err != nil {
		return err
	}
	cases := c.test.Object.Spec("cases")
	e := &editor{suite: c.suite, file: file, source: newSource(string(data), cases.Value.Line-cases.Node().Line)}
	var node *yaml.Node
	for i := range c.test.Spec.Cases {
		if &c.test.Spec.Cases[i] == c.spec {
			node = cases.Node().Content[i]
		}
	}
	if c.spec.Then.Empty() {
		return e.newThen(node, c.views, got)
	}
	then := manifests.Member(node, "then")
	for i := range expected {
		t := &expected[i]
		rows := got[t.view.Index]
		if !t.whole || len(t.compare(rows)) == 0 {
			continue
		}
		if name, ok := c.spec.Then.RowFiles[t.view.Model.Name]; ok {
			if err := c.acceptFile(filepath.Join(c.test.Dir(), name), t, rows); err != nil {
				return err
			}
			continue
		}
		e.table(manifests.Member(then, "rows"), t, rows)
	}
	return nil
}

// acceptable tells whether what differs stands in whole tables alone: what has to
// be there, or must not be, is for people to say.
func acceptable(expected []table, got [][][]value.Value) bool {
	for i := range expected {
		t := expected[i]
		if !t.whole && len(t.compare(got[t.view.Index])) > 0 {
			return false
		}
		t.rows, t.whole = nil, false
		if len(t.compare(got[t.view.Index])) > 0 {
			return false
		}
	}
	return true
}

// acceptFile writes a row file with the columns that it had, or all.
func (c *caseRun) acceptFile(name string, t *table, got [][]value.Value) error {
	columns := listed(t)
	var b bytes.Buffer
	if filepath.Ext(name) == ".csv" {
		w := csv.NewWriter(&b)
		var head []string
		for _, i := range columns {
			head = append(head, t.view.Columns[i].Name)
		}
		lines := [][]string{head}
		for _, r := range got {
			var line []string
			for _, i := range columns {
				line = append(line, t.view.Types[i].Format(r[i]))
			}
			lines = append(lines, line)
		}
		if err := w.WriteAll(lines); err != nil {
			return err
		}
	} else {
		b.WriteString("[")
		for n, r := range got {
			if n > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n  " + jsonRow(t.view, columns, r))
		}
		b.WriteString("\n]\n")
	}
	c.edits.file(name, b.Bytes())
	return nil
}

// listed are the columns that the expected rows of a table list, or all where there is none.
func listed(t *table) []int {
	if len(t.rows) > 0 {
		return t.rows[0].listed
	}
	all := make([]int, len(t.view.Columns))
	for i := range all {
		all[i] = i
	}
	return all
}

// jsonRow is a row as a JSON object.
func jsonRow(v *rows.View, columns []int, row []value.Value) string {
	var parts []string
	for _, i := range columns {
		parts = append(parts, quoted(v.Columns[i].Name)+": "+jsonValue(v.Types[i], row[i]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func quoted(s string) string {
	out, _ := value.Type{Kind: value.JSONKind}.Convert(s) // text of a column or a name is valid
	text, _ := out.(value.JSON)
	return string(text)
}

func jsonValue(t value.Type, x value.Value) string {
	switch {
	case x == nil:
		return "null"
	case t.Array, t.Kind == value.JSONKind, t.Kind == value.Bool, t.Kind == value.Int32, t.Kind == value.Int64,
		t.Kind == value.Float64, t.Kind == value.Decimal:
		return t.Format(x)
	default:
		return quoted(t.Format(x))
	}
}

// editor rewrites the rows of one file of tests.
type editor struct {
	*suite
	source

	file string
}

// newThen writes a then at the end of a case that has none.
func (e *editor) newThen(node *yaml.Node, vs []rows.View, got [][][]value.Value) error {
	if node.Style&yaml.FlowStyle != 0 {
		return errors.New("the case stands in braces; write it over several lines, so that then can be added")
	}
	pad := strings.Repeat(" ", node.Column-1)
	var b strings.Builder
	b.WriteString(pad + "then:\n" + pad + "  rows:\n")
	for i := range vs {
		v := &vs[i]
		if len(got[v.Index]) == 0 {
			b.WriteString(pad + "    " + v.Model.Name + ": []\n")
			continue
		}
		b.WriteString(pad + "    " + v.Model.Name + ":\n")
		for _, r := range got[v.Index] {
			b.WriteString(pad + "    - " + flowRow(v, listed(&table{view: v}), r) + "\n")
		}
	}
	text := strings.TrimRight(b.String(), "\n")
	if key, then := member(node, "then"); then != nil {
		e.edits.splice(e.file, splice{from: mark{key.Line + e.first, 1}, to: e.end(then), text: text})
		return nil
	}
	at := e.endOfLine(e.lastLine(node))
	e.edits.splice(e.file, splice{from: at, to: at, text: "\n" + text})
	return nil
}

// member gives a member of a mapping with its key.
func member(n *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// table rewrites the rows of one model.
func (e *editor) table(tables *yaml.Node, t *table, got [][]value.Value) {
	key, list := member(tables, t.view.Model.Name)
	if list == nil {
		return
	}
	found := map[string][]value.Value{}
	for _, r := range got {
		found[t.view.ID(r)] = r
	}
	var added [][]value.Value
	for _, r := range got {
		if !slices.ContainsFunc(t.rows, func(w wanted) bool { return w.id == t.view.ID(r) }) {
			added = append(added, r)
		}
	}
	removed := 0
	for _, w := range t.rows {
		if found[w.id] == nil {
			removed++
		}
	}
	if list.Kind != yaml.SequenceNode || list.Style&yaml.FlowStyle != 0 || removed == len(t.rows) {
		e.wholeList(tables, key, list, t, got)
		return
	}
	dash := list.Column - 1
	for i, item := range list.Content {
		w := &t.rows[i]
		row := found[w.id]
		switch {
		case row == nil:
			e.edits.splice(e.file, splice{from: mark{item.Line + e.first, 1}, to: mark{e.lastLine(item) + 1, 1}})
		case slices.ContainsFunc(w.listed, func(c int) bool { return !rows.Same(w.row[c], row[c]) }):
			e.row(item, t.view, w, row)
		}
	}
	if len(added) == 0 {
		return
	}
	var b strings.Builder
	for _, r := range added {
		b.WriteString("\n" + strings.Repeat(" ", dash) + "- " + flowRow(t.view, listed(t), r))
	}
	at := e.endOfLine(e.lastLine(list))
	e.edits.splice(e.file, splice{from: at, to: at, text: b.String()})
}

// wholeList writes a list anew.
func (e *editor) wholeList(tables, key, list *yaml.Node, t *table, got [][]value.Value) {
	var items []string
	for _, r := range got {
		items = append(items, flowRow(t.view, listed(t), r))
	}
	text := ": []"
	switch {
	case len(items) > 0 && tables.Style&yaml.FlowStyle != 0:
		text = ": [" + strings.Join(items, ", ") + "]"
	case len(items) > 0:
		begin := "\n" + strings.Repeat(" ", key.Column-1) + "- "
		text = ":" + begin + strings.Join(items, begin)
	}
	e.edits.splice(e.file, splice{from: e.scalarEnd(key), to: e.end(list), text: text})
}

// row rewrites the values of a row that have changed; the others stay as they are written.
func (e *editor) row(item *yaml.Node, v *rows.View, w *wanted, row []value.Value) {
	for i := 0; i+1 < len(item.Content); i += 2 {
		c := v.Column(item.Content[i].Value)
		if c < 0 || rows.Same(w.row[c], row[c]) {
			continue
		}
		key, at := item.Content[i], item.Content[i+1]
		s := splice{from: e.begin(at), to: e.scalarEnd(at), text: yamlValue(v.Types[c], row[c])}
		if at.Line > key.Line {
			s.from, s.text = e.scalarEnd(key), ": "+s.text // it stood on lines of its own
		}
		e.edits.splice(e.file, s)
	}
}

// scalarEnd is the place behind a key, or behind a value in a row.
func (e *editor) scalarEnd(n *yaml.Node) mark {
	if n.Kind != yaml.ScalarNode || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return e.end(n)
	}
	at := e.begin(n)
	line := e.line(at.line)
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 {
		return mark{at.line, at.column + len([]rune(n.Value))}
	}
	for i := at.column; i < len(line); i++ {
		switch {
		case line[at.column-1] == '"' && line[i] == '\\', line[i] == '\'' && i+1 < len(line) && line[i+1] == '\'' && line[at.column-1] == '\'':
			i++
		case line[i] == line[at.column-1]:
			return mark{at.line, i + 2}
		}
	}
	return e.endOfLine(at.line)
}

// flowRow is a row as tests write it: {sku: A-7, on_hand: 12}.
func flowRow(v *rows.View, columns []int, row []value.Value) string {
	var parts []string
	for _, i := range columns {
		parts = append(parts, yamlText(v.Columns[i].Name)+": "+yamlValue(v.Types[i], row[i]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// yamlValue is a value as a test writes it within a row.
func yamlValue(t value.Type, x value.Value) string {
	switch {
	case x == nil:
		return "null"
	case t.Array || t.Kind == value.JSONKind || t.Kind == value.Text:
		if t.Kind == value.Text && !t.Array {
			return yamlText(t.Format(x))
		}
		return t.Format(x) // JSON is YAML
	default:
		return t.Format(x)
	}
}

// yamlText is text in a flow mapping, quoted where it must be.
func yamlText(s string) string {
	out, err := yaml.Marshal(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s})
	text := strings.TrimSuffix(string(out), "\n")
	if err != nil || strings.ContainsAny(text, "\n,[]{}") && text == s || strings.Contains(text, "\n") {
		return quoted(s)
	}
	return text
}
