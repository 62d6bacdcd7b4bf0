// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package scaffold

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxDepth bounds how deep a schema is followed: it may refer to itself.
const maxDepth = 8

// document is what the references of a schema are resolved in.
type document struct{ root map[string]any }

// fromJSONSchema takes the events of a JSON Schema: one type per branch of oneOf or anyOf, or per value that its type member may have.
func fromJSONSchema(doc map[string]any) (*Source, error) {
	d := document{doc}
	s := &Source{Origin: "a JSON Schema"}
	root, err := d.resolve(doc, 0)
	if err != nil {
		return nil, err
	}
	branches := []any{root}
	for _, key := range []string{"oneOf", "anyOf"} {
		if list, ok := root[key].([]any); ok {
			branches = list
			break
		}
	}
	var messages []message
	for _, b := range branches {
		schema, err := d.resolve(b, 0)
		if err != nil {
			return nil, err
		}
		title, _ := schema["title"].(string)
		messages = append(messages, message{name: title, payload: schema})
	}
	return s, d.take(s, messages)
}

// message is one kind of message, with the schema of its payload.
type message struct {
	name    string
	payload map[string]any
	headers map[string]any
}

// take makes the source's event types of messages.
func (d document) take(s *Source, messages []message) error {
	typeField, header := d.discriminator(messages)
	switch {
	case header != "":
		s.TypeHeader, s.TypeExpr = header, "headers["+celText(header)+"]"
	case typeField != "":
		s.TypeExpr = (&Field{Path: []string{typeField}}).expression()
	case len(messages) > 1:
		// Something has to tell them apart; the test's events have it.
		s.TypeHeader, s.TypeExpr = "type", "headers['type']"
	}
	prefix := d.envelope(messages)
	skip := []string{typeField}
	if name := d.common(messages, timeNames, "timestamp"); name != "" {
		s.TimeExpr, skip = "timestamp("+(&Field{Path: []string{name}}).expression()+")", append(skip, name)
	}
	if name := d.common(messages, []string{"eventId", "event_id", "messageId", "message_id"}, "uuid", "text"); name != "" {
		s.IDExpr, skip = (&Field{Path: []string{name}}).expression(), append(skip, name)
	}
	if prefix != "" && s.IDExpr == "" && d.common(messages, []string{"id"}, "uuid", "text") != "" {
		s.IDExpr, skip = "event.id", append(skip, "id") // that of the envelope
	}
	for _, m := range messages {
		fields := d.fields(m.payload, prefix, skip, 0)
		for _, name := range d.typeValues(m, typeField, header, s.TypeExpr != "") {
			e := EventType{Name: name, Fields: slices.Clone(fields), Schema: d.text(m.payload)}
			s.Events = append(s.Events, e)
			value := d.example(m.payload, typeField, name, 0)
			sample := Sample{Type: name, Value: value, Event: value}
			if s.TypeHeader != "" {
				sample.header(s.TypeHeader, name)
			}
			s.Given = append(s.Given, sample)
		}
	}
	if len(s.Events) == 0 || !slices.ContainsFunc(s.Events, func(e EventType) bool { return len(e.Fields) > 0 }) {
		return errors.New("it describes no payload with members")
	}
	s.Key, s.KeyGuessed = keyField(s.Events, s.Topic), true
	s.finishGiven()
	return nil
}

// finishGiven makes the events of the test those of one row.
func (s *Source) finishGiven() {
	s.Given = s.Given[:min(len(s.Given), maxGiven)]
	for i := range s.Given {
		if s.Key == nil {
			s.Given[i].Key = "key-1"
			continue
		}
		if first, ok := find(s.Given[0].Value, s.Key.Path); ok {
			put(s.Given[i].Value, s.Key.Path, first)
		}
	}
}

func put(v any, path []string, value any) {
	for _, name := range path[:len(path)-1] {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		v = m[name]
	}
	if m, ok := v.(map[string]any); ok {
		m[path[len(path)-1]] = value
	}
}

// resolve follows a reference, and puts the parts of allOf together.
func (d document) resolve(v any, depth int) (map[string]any, error) {
	s, ok := v.(map[string]any)
	if !ok {
		return map[string]any{}, nil // true, which allows everything
	}
	if depth > maxDepth {
		return map[string]any{}, nil
	}
	if ref, ok := s["$ref"].(string); ok {
		target, err := d.lookup(ref)
		if err != nil {
			return nil, err
		}
		return d.resolve(target, depth+1)
	}
	parts, ok := s["allOf"].([]any)
	if !ok {
		return s, nil
	}
	out := maps.Clone(s)
	delete(out, "allOf")
	properties, required := map[string]any{}, []any{}
	for _, part := range append([]any{out}, parts...) {
		p, err := d.resolve(part, depth+1)
		if err != nil {
			return nil, err
		}
		if m, ok := p["properties"].(map[string]any); ok {
			maps.Copy(properties, m)
		}
		if r, ok := p["required"].([]any); ok {
			required = append(required, r...)
		}
		for k, value := range p {
			if _, given := out[k]; !given {
				out[k] = value
			}
		}
	}
	out["properties"], out["required"] = properties, required
	return out, nil
}

// lookup finds what a reference within the document names.
func (d document) lookup(ref string) (any, error) {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil, fmt.Errorf("$ref %s leads out of the document: bundle it into one file first", ref)
	}
	var v any = d.root
	for name := range strings.SplitSeq(path, "/") {
		m, isMap := v.(map[string]any)
		if !isMap {
			return nil, fmt.Errorf("$ref %s names nothing", ref)
		}
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		if v, ok = m[name]; !ok {
			return nil, fmt.Errorf("$ref %s names nothing", ref)
		}
	}
	return v, nil
}

// property gives the schema of a member, empty where there is none.
func (d document) property(schema map[string]any, name string) map[string]any {
	properties, _ := schema["properties"].(map[string]any)
	p, err := d.resolve(properties[name], 0)
	if err != nil {
		return map[string]any{}
	}
	return p
}

// constants are the values that a member of type text may have, where they are listed.
func (d document) constants(schema map[string]any, name string) []string {
	p := d.property(schema, name)
	if c, ok := p["const"].(string); ok {
		return []string{c}
	}
	var out []string
	list, _ := p["enum"].([]any)
	for _, v := range list {
		if text, ok := v.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// discriminator finds the member, or the header, that tells types apart.
func (d document) discriminator(messages []message) (field, header string) {
	listed := func(of func(message) map[string]any, name string) bool {
		return !slices.ContainsFunc(messages, func(m message) bool { return len(d.constants(of(m), name)) == 0 })
	}
	names := typeNames
	for name := range maps.Keys(properties(messages[0].payload)) {
		if c := d.property(messages[0].payload, name)["const"]; c != nil && !slices.Contains(names, name) {
			names = append(slices.Clone(names), name)
		}
	}
	for _, name := range names {
		if listed(func(m message) map[string]any { return m.payload }, name) {
			return name, ""
		}
	}
	for _, name := range slices.Sorted(maps.Keys(properties(messages[0].headers))) {
		if listed(func(m message) map[string]any { return m.headers }, name) {
			return "", name
		}
	}
	return "", ""
}

func properties(schema map[string]any) map[string]any {
	p, _ := schema["properties"].(map[string]any)
	return p
}

// typeValues are the event types of a message.
func (d document) typeValues(m message, field, header string, named bool) []string {
	switch {
	case field != "":
		return d.constants(m.payload, field)
	case header != "":
		return d.constants(m.headers, header)
	case named:
		return []string{cmp.Or(m.name, "unknown")}
	default:
		return []string{""}
	}
}

func (d document) envelope(messages []message) string {
	for _, name := range envelopes {
		if !slices.ContainsFunc(messages, func(m message) bool { return len(properties(d.property(m.payload, name))) == 0 }) {
			return name
		}
	}
	return ""
}

// common finds a member that every payload must have, of one of some column types.
func (d document) common(messages []message, names []string, types ...string) string {
	for _, name := range names {
		if !slices.ContainsFunc(messages, func(m message) bool {
			return !required(m.payload, name) || !slices.Contains(types, d.columnType(d.property(m.payload, name), 0))
		}) {
			return name
		}
	}
	return ""
}

func required(schema map[string]any, name string) bool {
	list, _ := schema["required"].([]any)
	return slices.Contains(list, any(name))
}

// fields lists the members of a payload by name, those of the envelope's content in its place.
func (d document) fields(schema map[string]any, prefix string, skip []string, depth int) []Field {
	var out []Field
	for _, name := range slices.Sorted(maps.Keys(properties(schema))) {
		p := d.property(schema, name)
		if slices.Contains(skip, name) || len(out) == maxFields {
			continue
		}
		if name == prefix && depth == 0 {
			for _, f := range d.fields(p, "", nil, 1) {
				f.Path = append([]string{name}, f.Path...)
				out = append(out, f)
			}
			continue
		}
		about, _ := p["description"].(string)
		out = append(out, Field{
			Path: []string{name}, Type: d.columnType(p, 0), Optional: !required(schema, name) || nullable(p),
			About: strings.Join(strings.Fields(about), " "),
		})
	}
	return out
}

func nullable(schema map[string]any) bool {
	if list, ok := schema["type"].([]any); ok {
		return slices.Contains(list, any("null"))
	}
	n, _ := schema["nullable"].(bool)
	return n
}

// jsonType is the type of a schema without null; empty where there are several, or none is given.
func jsonType(schema map[string]any) string {
	switch t := schema["type"].(type) {
	case string:
		return t
	case []any:
		var rest []string
		for _, v := range t {
			if s, ok := v.(string); ok && s != "null" {
				rest = append(rest, s)
			}
		}
		if len(rest) == 1 {
			return rest[0]
		}
	}
	return ""
}

// columnType gives the column type that takes what a schema allows.
func (d document) columnType(schema map[string]any, depth int) string {
	format, _ := schema["format"].(string)
	switch jsonType(schema) {
	case "string":
		if t, ok := map[string]string{"uuid": "uuid", "date-time": "timestamp", "date": "date", "time": "time"}[format]; ok {
			return t
		}
		return "text"
	case "integer":
		if format == "int32" {
			return "int32"
		}
		return "int64"
	case "number":
		if format == "double" || format == "float" {
			return "float64"
		}
		return "decimal(18,4)"
	case "boolean":
		return "bool"
	case "array":
		items, err := d.resolve(schema["items"], 0)
		if err != nil || depth > 0 {
			return "json"
		}
		if t := d.columnType(items, depth+1); t != "json" {
			return t + "[]"
		}
		return "json"
	case "":
		if _, ok := schema["enum"].([]any); ok {
			return "text"
		}
		if _, ok := schema["const"].(string); ok {
			return "text"
		}
		return "json"
	default:
		return "json"
	}
}

// text gives a schema as text without references and prose, for EventTopic.spec.schemas; empty where it is too long.
func (d document) text(schema map[string]any) string {
	data, err := json.Marshal(d.plain(schema, 0))
	if err != nil || len(data) > 60_000 {
		return ""
	}
	return string(data)
}

func (d document) plain(schema map[string]any, depth int) map[string]any {
	out := map[string]any{}
	for _, key := range []string{"type", "format", "required"} {
		if v, ok := schema[key]; ok {
			out[key] = v
		}
	}
	if list, ok := schema["required"].([]any); ok && len(list) == 0 {
		delete(out, "required")
	}
	if depth == maxDepth {
		return out
	}
	if p := properties(schema); len(p) > 0 {
		members := map[string]any{}
		for name := range p {
			members[name] = d.plain(d.property(schema, name), depth+1)
		}
		out["properties"] = members
	}
	if items, ok := schema["items"].(map[string]any); ok {
		if resolved, err := d.resolve(items, 0); err == nil {
			out["items"] = d.plain(resolved, depth+1)
		}
	}
	return out
}

// example makes a value that a schema allows: its own example where it has one.
func (d document) example(schema map[string]any, typeField, typeName string, depth int) any {
	if depth == 0 || schema["examples"] == nil && schema["example"] == nil {
		if p := properties(schema); len(p) > 0 && depth < maxDepth {
			out := map[string]any{}
			for _, name := range slices.Sorted(maps.Keys(p)) {
				if depth == 0 && name == typeField {
					out[name] = typeName
					continue
				}
				out[name] = d.example(d.property(schema, name), "", "", depth+1)
			}
			return out
		}
	}
	if list, ok := schema["examples"].([]any); ok && len(list) > 0 {
		return list[0]
	}
	for _, key := range []string{"example", "const", "default"} {
		if v, ok := schema[key]; ok {
			return v
		}
	}
	if list, ok := schema["enum"].([]any); ok && len(list) > 0 {
		return list[0]
	}
	return d.made(schema, depth)
}

// made is the value of a schema that has none to show.
func (d document) made(schema map[string]any, depth int) any {
	switch t := d.columnType(schema, 0); t {
	case "uuid":
		return "3f2b8f0e-6d7c-4a52-9f39-0c1d2e3f4a5b"
	case "timestamp":
		return sampleTime.Format(time.RFC3339)
	case "date":
		return sampleTime.Format(time.DateOnly)
	case "time":
		return sampleTime.Format(time.TimeOnly)
	case "bool":
		return true
	case "int32", "int64":
		return json.Number("1")
	case "float64":
		return json.Number("1.5")
	case "text":
		return "text"
	case "json":
		return map[string]any{}
	default:
		if strings.HasPrefix(t, "decimal") {
			return json.Number("9.99")
		}
		items, err := d.resolve(schema["items"], 0)
		if err != nil || depth == maxDepth {
			return []any{}
		}
		return []any{d.example(items, "", "", depth+1)}
	}
}
