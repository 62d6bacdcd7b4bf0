// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract"
)

// The rule behind the ordering rule, tested as it stands: whatever Compile
// admits, no row depends on how partitions interleave, nor does it which events are refused. Specs are drawn at
// random, and those that are admitted are folded over random events in two random
// interleavings by the interpreter below, which shares no code with anything.
// Where a spec consents to order: Arrival, that holds for the columns that Explain does not name.
func TestNoAdmittedRowDependsOnInterleaving(t *testing.T) {
	admitted, consenting := 0, 0
	used := map[string]int{}
	check := func(rt *rapid.T) {
		c, _ := Compile(input(t, drawSpec(rt), orderTopics))
		if c == nil {
			return
		}
		m := &c.Models[0]
		admitted++
		count(m, used)
		var arrival []string
		if m.Order != "" {
			if arrival = Explain(c)[0].Arrival; len(arrival) > 0 {
				consenting++
			}
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		for range 40 {
			partitions := drawPartitions(random)
			x, y := fold(m, interleave(random, partitions)), fold(m, interleave(random, partitions))
			if m.Order != "" && len(x.refused)+len(y.refused) > 0 {
				continue // By consent, chance decides which events are refused; verification repeats what was.
			}
			if !reflect.DeepEqual(x.leaveOut(m, arrival), y.leaveOut(m, arrival)) {
				rt.Fatalf("rows differ: %v and %v\nmodel: %+v\npartitions: %v\nleft out: %v", x, y, m, partitions, arrival)
			}
		}
	}
	for range 20 {
		rapid.Check(t, check)
	}
	t.Logf("%d specs were admitted, %d of them by consent: %v", admitted, consenting, used)
	if admitted < 200 || consenting < 20 {
		t.Errorf("only %d specs were admitted, %d of them by consent", admitted, consenting)
	}
	for _, feature := range []string{"set", "setOnce", "unset", "add", "min", "max", "append", "merge", "delete", "where", "versionBy", "versioned delete", "row", "checks", "range"} {
		if used[feature] == 0 {
			t.Errorf("no admitted spec uses %s", feature)
		}
	}
}

// count counts the features of an admitted spec.
func count(m *contract.Model, used map[string]int) {
	for i := range m.Handlers {
		h := &m.Handlers[i]
		for _, o := range ops {
			if len(o.get(h)) > 0 {
				used[o.name]++
			}
		}
		for name, is := range map[string]bool{
			"delete": h.Delete && h.VersionBy == nil, "versioned delete": h.Delete && h.VersionBy != nil, "versionBy": h.VersionBy != nil,
			"where": h.Where != nil, "row": strings.Contains(h.When+fmt.Sprint(h.Set, h.Add), "row."),
		} {
			if is {
				used[name]++
			}
		}
	}
	if len(m.Checks) > 0 {
		used["checks"]++
	}
	if slices.ContainsFunc(m.Columns, func(c contract.Column) bool { return c.Max != nil }) {
		used["range"]++
	}
}

// The expressions over row that the interpreter knows, by column.
const (
	joined  = "row.%[1]s == null ? event.x : row.%[1]s + event.x"
	counted = "row.%s == null ? 1 : 2"
	unset   = "row.%s == null"
)

func drawSpec(rt *rapid.T) string {
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

// message is an event: its topic, its fields, and its number, which makes what it writes unlike any other.
type message struct {
	topic  string
	fields map[string]string
	number int
	// version is another number that no two events share.
	version int
}

func (m message) key() string {
	switch m.topic {
	case "a", "b":
		return m.fields["k"]
	case "c":
		return m.fields["other"]
	default:
		return m.fields["u"]
	}
}

func (m message) text(expression string) string {
	switch name := strings.TrimPrefix(expression, "event."); name {
	case "key":
		return m.key()
	case "x":
		return fmt.Sprintf("x%d", m.number)
	default:
		return m.fields[name]
	}
}

// drawPartitions spreads events so that those of one topic and message key share a partition.
func drawPartitions(random *rand.Rand) map[string][]message {
	out := map[string][]message{}
	topics := []string{"a", "b", "c", "u"}
	n := 2 + random.IntN(9)
	versions := random.Perm(n)
	for i := range n {
		m := message{topic: topics[random.IntN(len(topics))], fields: map[string]string{}, number: i, version: versions[i]}
		for _, f := range []string{"k", "l", "other", "u"} {
			m.fields[f] = []string{"1", "2"}[random.IntN(2)]
		}
		p := m.topic + "/" + m.key()
		out[p] = append(out[p], m)
	}
	return out
}

func interleave(random *rand.Rand, partitions map[string][]message) []message {
	rest := maps.Clone(partitions)
	var out []message
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

// row holds a string, an int, a []string or a map by column; none is NULL. A deleted row that stays has "deleted".
type row map[string]any

type state struct {
	rows map[string]row
	// refused are the numbers of events that a rule refuses.
	refused map[int]bool
}

// leaveOut forgets columns, and with all of them whether rows exist.
func (s state) leaveOut(m *contract.Model, columns []string) state {
	if len(columns) == 0 {
		return s
	}
	if len(columns) == len(m.Columns)-len(m.Key) {
		clear(s.rows)
	}
	for _, r := range s.rows {
		for _, c := range columns {
			delete(r, c)
		}
	}
	return s
}

func fold(m *contract.Model, events []message) state {
	s := state{rows: map[string]row{}, refused: map[int]bool{}}
	for _, e := range events {
		before := map[string]row{}
		for id, r := range s.rows {
			before[id] = maps.Clone(r)
		}
		for i := range m.Handlers {
			if h := &m.Handlers[i]; h.Topic == e.topic {
				s.handler(m, h, e)
			}
		}
		for id, r := range s.rows {
			if n, some := r["num"].(int); some && r["deleted"] == nil && !reflect.DeepEqual(r, before[id]) {
				if len(m.Checks) > 0 && n >= 12 {
					s.refused[e.number] = true
				}
			}
		}
		if s.refused[e.number] {
			s.rows = before
		}
	}
	return s
}

func (s state) handler(m *contract.Model, h *contract.Handler, e message) {
	if h.Where == nil {
		var parts []string
		for _, k := range m.Key {
			parts = append(parts, e.text(h.Key[k]))
		}
		s.apply(m, h, e, strings.Join(parts, "|"))
		return
	}
	for id, r := range s.rows {
		parts := strings.Split(id, "|")
		matches := r["deleted"] == nil
		for i, k := range m.Key {
			if from, asked := h.Where[k]; asked && e.text(from) != parts[i] {
				matches = false
			}
		}
		if matches {
			s.apply(m, h, e, id)
		}
	}
}

func (s state) apply(m *contract.Model, h *contract.Handler, e message, id string) {
	stored := s.rows[id]
	r := row{}
	there := stored != nil && stored["deleted"] == nil
	if there {
		r = maps.Clone(stored)
	}
	if !there && h.OnAbsent == "Ignore" || h.When != "" && readOf(r, h.When) != nil {
		return
	}
	if h.VersionBy != nil {
		if v, some := stored["ver"].(int); some && e.version < v {
			return
		}
		r["ver"] = e.version
	} else if stored["deleted"] != nil {
		r["ver"] = stored["ver"]
	}
	switch {
	case h.Delete && h.VersionBy == nil:
		delete(s.rows, id)
		return
	case h.Delete:
		s.rows[id] = row{"deleted": true, "ver": e.version}
		return
	}
	s.changes(m, h, e, r)
	s.rows[id] = r
}

func (s state) changes(m *contract.Model, h *contract.Handler, e message, r row) {
	v := e.number + 1
	for c, x := range h.Set {
		switch was, isText := readOf(r, x).(string); {
		case c == "num":
			r[c] = v
		case strings.Contains(x, "row.") && isText:
			r[c] = was + e.text("x")
		default:
			r[c] = e.text("x")
		}
	}
	for c := range h.SetOnce {
		if r[c] == nil {
			r[c] = e.text("x")
		}
	}
	for _, c := range h.Unset {
		delete(r, c)
	}
	n, some := r["num"].(int)
	for _, x := range h.Add {
		d := v
		if strings.Contains(x, "row.") {
			if d = 1; readOf(r, x) != nil {
				d = 2
			}
		}
		n += d
		r["num"] = n
		if n > 12 && slices.ContainsFunc(m.Columns, func(c contract.Column) bool { return c.Max != nil }) {
			s.refused[e.number] = true
		}
	}
	if len(h.Min) > 0 && (!some || v < n) || len(h.Max) > 0 && (!some || v > n) {
		r["num"] = v
	}
	for c := range h.Append {
		list, _ := r[c].([]string)
		r[c] = append(slices.Clone(list), e.text("x"))
	}
	for c := range h.Merge {
		doc, _ := r[c].(map[string]int)
		if doc = maps.Clone(doc); doc == nil {
			doc = map[string]int{}
		}
		doc[e.fields["l"]] = e.number
		r[c] = doc
	}
}

// readOf gives the column of row that an expression reads, nil for none.
func readOf(r row, expression string) any {
	_, name, ok := strings.Cut(expression, "row.")
	if !ok {
		return nil
	}
	name = name[:strings.IndexByte(name+" ", ' ')]
	if name == "shown" {
		name = "x"
	}
	return r[name]
}
