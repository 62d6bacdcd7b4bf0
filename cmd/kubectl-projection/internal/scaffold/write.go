// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package scaffold

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Options are what the user decides; the rest follows from the source.
type Options struct {
	// Name is the Projection's name; the model is called after it.
	Name string
	// Topic is the EventTopic's name; empty: after the topic at the broker, or Name.
	Topic string
}

// File is one of the files that are made.
type File struct{ Name, Text string }

const header = "apiVersion: cqrs.projectionist.dev/v1alpha1\nkind: "

// schemaComment tells editors where the schema of a file's resources is.
const schemaComment = "# yaml-language-server: $schema=" + SchemaURL + "\n"

// SchemaURL is where editors find the schema of all kinds.
const SchemaURL = "https://raw.githubusercontent.com/projectionist-dev/projectionist/main/config/schemas/any.json"

// Files writes the source as manifests: connections, topic, projection and test.
func Files(s *Source, o Options) []File {
	w := &writer{Source: s, Options: o, model: snake(o.Name)}
	if w.Options.Topic == "" {
		w.Options.Topic = kebab(lastWord(s.Topic))
		if s.Topic == "" {
			w.Options.Topic = o.Name
		}
	}
	w.columns = w.makeColumns()
	return []File{
		{"connections.yaml", schemaComment + w.connections()},
		{"topic.yaml", schemaComment + w.topic()},
		{"projection.yaml", schemaComment + w.projection()},
		{"projection_test.yaml", schemaComment + w.test()},
	}
}

type writer struct {
	*Source
	Options
	model   string
	columns []column
}

// column is a column of the model and the field that it is of; the last one counts events.
type column struct {
	name, typ, about string
	field            Field
}

const countColumn = "events"

// makeColumns gives one column per field of any event, the key first. A field that has different types in different
// events gets the one that takes both.
func (w *writer) makeColumns() []column {
	var out []column
	taken := map[string]int{countColumn: 1}
	name := func(f *Field) string {
		n := snake(f.Name())
		taken[n]++
		if taken[n] > 1 {
			n = snake(strings.Join(f.Path, "_")) + strings.Repeat("_", taken[n]-1)
		}
		return n
	}
	if w.Key != nil {
		out = append(out, column{name: name(w.Key), typ: w.Key.Type, about: w.Key.About, field: *w.Key})
	} else {
		taken["key"]++
		out = append(out, column{name: "key", typ: "text"})
	}
	for _, e := range w.Events {
		for i := range e.Fields {
			f := &e.Fields[i]
			if f.is(w.Key) {
				continue
			}
			if at := slices.IndexFunc(out, func(c column) bool { return c.field.is(f) }); at >= 0 {
				out[at].typ = widen(out[at].typ, f.Type)
				continue
			}
			out = append(out, column{name: name(f), typ: f.Type, about: f.About, field: *f})
		}
	}
	return out
}

func (w *writer) connections() string {
	return `# Where events come from and where rows go. Both name Secrets of this namespace, which hold the credentials.
` + header + `EventBroker
metadata:
  name: main
spec:
  kafka:
    bootstrapServers: ["kafka:9092"]     # your brokers
    # tls: {caSecretRef: {name: kafka-ca, key: ca.crt}}
    # authentication: {mechanism: SCRAM-SHA-512, secretRef: {name: kafka-user}}
---
` + schemaComment + header + `ReadStore
metadata:
  name: reads
spec:
  postgres:
    secretRef: {name: reads-app}         # host, port, dbname, user and password, or uri
`
}

func (w *writer) topic() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made from %s.\n%sEventTopic\nmetadata:\n  name: %s\nspec:\n  brokerRef: {name: main}\n", w.Origin, header, scalar(w.Options.Topic))
	if w.Source.Topic != "" && w.Source.Topic != w.Options.Topic {
		fmt.Fprintf(&b, "  topic: %s\n", scalar(w.Source.Topic))
	}
	switch {
	case w.Key == nil:
		b.WriteString("  # keyedBy: event.id                  # what producers key the topic by; no field of the events was found to be it\n")
	case w.KeyGuessed:
		fmt.Fprintf(&b, "  keyedBy: %s  # a guess by its name: what producers key the topic by, which is checked per event\n", scalar(w.Key.expression()))
	default:
		fmt.Fprintf(&b, "  keyedBy: %s  # equals the message key of every event of the sample\n", scalar(w.Key.expression()))
	}
	if w.CloudEvents {
		b.WriteString("  format: CloudEvents                  # type, id and time are the attributes of that name\n")
	}
	if w.TypeExpr != "" || w.TimeExpr != "" || w.IDExpr != "" {
		b.WriteString("  event:\n")
		for _, f := range []struct{ name, expr string }{{"type", w.TypeExpr}, {"id", w.IDExpr}, {"time", w.TimeExpr}} {
			if f.expr != "" {
				fmt.Fprintf(&b, "    %s: %s\n", f.name, scalar(f.expr))
			}
		}
	}
	w.schemas(&b)
	return b.String()
}

// schemas writes the payload schemas, so that expressions are checked before anything runs.
func (w *writer) schemas(b *strings.Builder) {
	if !slices.ContainsFunc(w.Events, func(e EventType) bool { return e.Schema != "" }) {
		return
	}
	b.WriteString("  schemas:                             # expressions are checked against these\n")
	for i, e := range w.Events {
		same := func(o EventType) bool { return o.Schema == e.Schema }
		if e.Schema == "" || slices.IndexFunc(w.Events, same) < i {
			continue
		}
		var names []string
		for _, o := range w.Events {
			if same(o) && o.Name != "" {
				names = append(names, scalar(o.Name))
			}
		}
		indent := "  - "
		if len(names) > 0 {
			fmt.Fprintf(b, "  - events: [%s]\n", strings.Join(names, ", "))
			indent = "    "
		}
		fmt.Fprintf(b, "%sjsonSchema: |\n      %s\n", indent, e.Schema)
	}
}

func (w *writer) projection() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Made from %s: one row per %s, with what the last event of each kind says.
# Keep the columns that your queries need, and make the handlers say what events mean. docs/handlers.md has all operations.
%sProjection
metadata:
  name: %s
spec:
  storeRef: {name: reads}
  topics:
  - {name: %s}
  models:
  - name: %s%s# the view that query code selects from
    key: [%s]
    columns:
`, w.Origin, w.columns[0].name, header, scalar(w.Name), scalar(w.Options.Topic), w.model, pad(w.model, 30), scalar(w.columns[0].name))
	for _, c := range w.columns {
		about := ""
		if c.about != "" {
			about = "  # " + c.about
		}
		fmt.Fprintf(&b, "    - {name: %s, type: %s}%s\n", scalar(c.name), scalar(c.typ), about)
	}
	fmt.Fprintf(&b, "    - {name: %s, type: int64, default: \"0\"}\n", countColumn)
	if len(w.columns) > 1 {
		fmt.Fprintf(&b, "    # indexes:\n    # - {columns: [%s]}\n", scalar(w.columns[1].name))
	}
	b.WriteString("    handlers:\n")
	for i, e := range w.Events {
		w.handler(&b, i, e)
	}
	b.WriteString("  # lagTargetSeconds: 60\n  # projector: {replicas: 1}\n")
	return b.String()
}

func pad(s string, to int) string { return strings.Repeat(" ", max(2, to-len(s))) }

func (w *writer) handler(b *strings.Builder, i int, e EventType) {
	name := "seen"
	if e.Name != "" {
		if name = kebab(e.Name); slices.ContainsFunc(w.Events[:i], func(o EventType) bool { return kebab(o.Name) == name }) {
			name = fmt.Sprintf("%s-%d", name, i+1)
		}
	}
	fmt.Fprintf(b, "    - name: %s\n", scalar(name))
	if e.Name != "" {
		fmt.Fprintf(b, "      events: [%s]\n", scalar(e.Name))
	}
	key := "key"
	if w.Key != nil {
		key = w.Key.expression()
	}
	fmt.Fprintf(b, "      key: {%s: %s}\n", scalar(w.columns[0].name), scalar(key))
	if strings.Contains(strings.ToLower(e.Name), "delet") || strings.Contains(strings.ToLower(e.Name), "remov") {
		b.WriteString("      # delete: true                     # instead of what follows, if the row goes away\n")
	}
	var sets []string
	for _, c := range w.columns[1:] {
		if at := slices.IndexFunc(e.Fields, func(f Field) bool { return f.is(&c.field) }); at >= 0 {
			sets = append(sets, fmt.Sprintf("        %s: %s\n", scalar(c.name), scalar(e.Fields[at].expression())))
		}
	}
	if len(sets) > 0 {
		b.WriteString("      set:\n" + strings.Join(sets, ""))
	}
	fmt.Fprintf(b, "      add: {%s: \"1\"}\n", countColumn)
}

func (w *writer) test() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# kubectl projection test runs this without a cluster. Values are those of %s: replace what is personal.
%sProjectionTest
metadata:
  name: %s
spec:
  projection: %s
  cases:
  - name: a row holds what the last event of each kind said
    given:
`, w.Origin, header, scalar(w.Name), scalar(w.Name))
	for _, g := range w.Given {
		lead := "    - "
		if g.Key != "" {
			fmt.Fprintf(&b, "%skey: %s\n", lead, compact(g.Key))
			lead = "      "
		}
		if len(g.Headers) > 0 {
			fmt.Fprintf(&b, "%sheaders: %s\n", lead, compact(g.Headers))
			lead = "      "
		}
		fmt.Fprintf(&b, "%svalue: %s\n", lead, compact(g.Value))
	}
	fmt.Fprintf(&b, "    then:\n      rows:\n        %s:\n        -", w.model)
	row := w.row()
	lead := " "
	for _, c := range append(slices.Clone(w.columns), column{name: countColumn}) {
		v, ok := row[c.name]
		if !ok {
			continue
		}
		fmt.Fprintf(&b, "%s%s: %s\n", lead, scalar(c.name), compact(v))
		lead = "          "
	}
	return b.String()
}

// row is what the given events make of the one row: the last value of each column.
func (w *writer) row() map[string]any {
	row := map[string]any{countColumn: json.Number(fmt.Sprint(len(w.Given)))}
	row[w.columns[0].name] = w.Given[0].Key
	if w.Key != nil {
		row[w.columns[0].name], _ = find(w.Given[0].Event, w.Key.Path)
	}
	for _, g := range w.Given {
		at := slices.IndexFunc(w.Events, func(e EventType) bool { return e.Name == g.Type })
		for _, c := range w.columns[1:] {
			if !slices.ContainsFunc(w.Events[at].Fields, func(f Field) bool { return f.is(&c.field) }) {
				continue
			}
			row[c.name], _ = find(g.Event, c.field.Path)
		}
	}
	return row
}

// compact writes a value as JSON, which is YAML, with a space after each comma and colon.
func compact(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, compact(k)+": "+compact(v[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case map[string]string:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, compact(k)+": "+compact(v[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = compact(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(v)
		return strings.TrimSpace(b.String())
	}
}
