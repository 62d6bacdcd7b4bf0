// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compiletest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// Topics are EventTopics: a is keyed by event.k, b by event.k, c by event.other, u by nobody knows what.
const Topics = `
- {metadata: {name: a}, spec: {brokerRef: {name: main}, keyedBy: event.k, event: {type: event.type}}}
- {metadata: {name: b}, spec: {brokerRef: {name: main}, keyedBy: "(event.k)"}}
- {metadata: {name: c}, spec: {brokerRef: {name: main}, keyedBy: event.other}}
- {metadata: {name: u}, spec: {brokerRef: {name: main}}}
`

// The expressions over row that the interpreter knows, by column.
const (
	joined  = "row.%[1]s == null ? event.x : row.%[1]s + event.x"
	counted = "row.%s == null ? 1 : 2"
	unset   = "row.%s == null"
)

// Spec draws the spec of a projection with one model m, over the topics of
// Topics, that Compile may admit or not. Many are admitted.
func Spec(rt *rapid.T) string {
	keys := rapid.SampledFrom([][]string{{"k"}, {"k"}, {"k", "l"}}).Draw(rt, "key")
	// Few topics, so that many specs are admitted.
	topics := rapid.SampledFrom([][]string{{"a"}, {"a", "b"}, {"a", "a", "b", "c", "u"}}).Draw(rt, "topics")
	focused := rapid.Bool().Draw(rt, "focused")
	var b strings.Builder
	for i := range rapid.IntRange(1, 4).Draw(rt, "handlers") {
		label := func(s string) string { return fmt.Sprintf("%s %d", s, i) }
		fmt.Fprintf(&b, "  - {name: h%d, topic: %s", i, rapid.SampledFrom(topics).Draw(rt, label("topic")))
		fanOut := rapid.IntRange(0, 9).Draw(rt, label("fan-out")) == 0
		if fanOut {
			b.WriteString(", where: {")
		} else {
			fmt.Fprintf(&b, ", onAbsent: %s, key: {", rapid.SampledFrom([]string{"Create", "Create", "Create", "Create", "Ignore"}).Draw(rt, label("absent")))
		}
		for _, k := range keys {
			from := []string{"event.k", "event.k", "event.k", "event.other", "event.l", "key"}
			if focused && k == "k" {
				from = from[:1]
			}
			fmt.Fprintf(&b, "%s: %s, ", k, rapid.SampledFrom(from).Draw(rt, label(k)))
		}
		b.WriteString("}")
		if rapid.IntRange(0, 7).Draw(rt, label("when")) == 0 {
			fmt.Fprintf(&b, ", when: "+unset, rapid.SampledFrom([]string{"x", "num", "shown"}).Draw(rt, label("condition")))
		}
		b.WriteString(drawOperation(rt, label) + "}\n")
	}
	return interleaveSpec(rt, strings.Join(keys, ", "), b.String())
}

func drawOperation(rt *rapid.T, label func(string) string) string {
	text := rapid.SampledFrom([]string{"x", "z"}).Draw(rt, label("column"))
	switch rapid.IntRange(0, 19).Draw(rt, label("kind")) {
	case 0:
		return ", delete: true"
	case 1, 2, 3:
		return ", add: {num: event.v}"
	case 4:
		return ", max: {num: event.v}"
	case 5, 6:
		return ", min: {num: event.v}"
	case 7:
		return ", append: {s: event.x}"
	case 8:
		return ", set: {num: event.v}"
	case 9:
		return ", setOnce: {" + text + ": event.x}"
	case 10:
		return ", unset: [" + text + "]"
	case 11:
		return ", merge: {doc: event.doc}"
	case 12:
		return ", set: {" + text + ": \"" + fmt.Sprintf(joined, rapid.SampledFrom([]string{"x", "z", "shown"}).Draw(rt, label("read"))) + "\"}"
	case 13:
		return ", add: {num: \"" + fmt.Sprintf(counted, text) + "\"}"
	case 14, 15:
		return ", versionBy: {ver: event.version}, set: {g: event.x, gg: event.x}"
	case 16:
		return ", versionBy: {ver: event.version}, set: {" + rapid.SampledFrom([]string{"g", "x"}).Draw(rt, label("part")) + ": event.x}"
	case 17:
		return ", versionBy: {ver: event.version}, delete: true"
	default:
		return ", set: {" + text + ": event.x}"
	}
}

func interleaveSpec(rt *rapid.T, key, handlers string) string {
	some := func(what, text string) string {
		if rapid.IntRange(0, 5).Draw(rt, what) > 0 {
			return ""
		}
		return text
	}
	// A delete with a version guards every column, so that such a model has no others.
	rest := `
  - {name: x, type: text}
  - {name: z, type: text}
  - {name: num, type: int64` + some("range", `, range: {max: "12"}`) + `}
  - {name: s, type: "text[]"}
  - {name: doc, type: json}
  - {name: shown, type: text, generated: row.x}`
	if strings.Contains(handlers, "{ver: event.version}, delete") {
		if !strings.Contains(handlers, "x:") && !strings.Contains(handlers, "num") && !strings.Contains(handlers, "row") {
			rest = ""
		}
	}
	return `
storeRef: {name: read}
topics: [{name: a}, {name: b}, {name: c}, {name: u}]
models:
- name: m
  key: [` + key + `]` + some("order", "\n  order: Arrival") + some("check", "\n  checks: [{name: small, rule: \"row.num == null || row.num < 12\"}]") + `
  columns:
  - {name: k, type: text}
  - {name: l, type: text}
  - {name: ver, type: int64}
  - {name: g, type: text}
  - {name: gg, type: text}` + rest + `
  versions: [{column: ver, columns: [g, gg` + map[bool]string{true: ", l", false: ""}[!strings.Contains(key, "l")] + `]}]
  handlers:
` + handlers
}

// Message is an event: its topic, its fields, and its number, which makes what it writes unlike any other.
type Message struct {
	Topic  string
	Fields map[string]string
	Number int
	// Version is another number that no two events share.
	Version int
}

// Key is the message key.
func (m Message) Key() string {
	switch m.Topic {
	case "a", "b":
		return m.Fields["k"]
	case "c":
		return m.Fields["other"]
	default:
		return m.Fields["u"]
	}
}

// JSON is the payload.
func (m Message) JSON() []byte {
	doc := map[string]any{
		"type": "E", "x": m.Text("x"), "v": m.Number + 1, "version": m.Version, "doc": map[string]int{m.Fields["l"]: m.Number},
	}
	for k, v := range m.Fields {
		doc[k] = v
	}
	out, err := json.Marshal(doc)
	if err != nil {
		panic(err) // Strings, numbers, and maps of them.
	}
	return out
}

// Text gives the value of an expression that a drawn spec has as a key.
func (m Message) Text(expression string) string {
	switch name := strings.TrimPrefix(expression, "event."); name {
	case "key":
		return m.Key()
	case "x":
		return fmt.Sprintf("x%d", m.Number)
	default:
		return m.Fields[name]
	}
}

// Partitions spreads random events so that those of one topic and message key share a partition.
func Partitions(random *rand.Rand) map[string][]Message {
	out := map[string][]Message{}
	topics := []string{"a", "b", "c", "u"}
	n := 2 + random.IntN(9)
	versions := random.Perm(n)
	for i := range n {
		m := Message{Topic: topics[random.IntN(len(topics))], Fields: map[string]string{}, Number: i, Version: versions[i]}
		for _, f := range []string{"k", "l", "other", "u"} {
			m.Fields[f] = []string{"1", "2"}[random.IntN(2)]
		}
		p := m.Topic + "/" + m.Key()
		out[p] = append(out[p], m)
	}
	return out
}

// Interleave takes the events of all partitions in some order that keeps each partition's.
func Interleave(random *rand.Rand, partitions map[string][]Message) []Message {
	rest := maps.Clone(partitions)
	var out []Message
	for len(rest) > 0 {
		names := slices.Sorted(maps.Keys(rest))
		p := names[random.IntN(len(names))]
		out = append(out, rest[p][0])
		if rest[p] = rest[p][1:]; len(rest[p]) == 0 {
			delete(rest, p)
		}
	}
	return out
}
