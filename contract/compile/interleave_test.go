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
// admits, no row depends on how partitions interleave. Specs are drawn at random,
// and those that are admitted are folded over random events in two random
// interleavings by the interpreter below, which shares no code with anything.
func TestNoAdmittedRowDependsOnInterleaving(t *testing.T) {
	admitted := 0
	check := func(rt *rapid.T) {
		c, _ := Compile(input(t, drawSpec(rt), orderTopics))
		if c == nil {
			return
		}
		admitted++
		m := &c.Models[0]
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		for range 40 {
			partitions := drawPartitions(random)
			x, y := fold(m, interleave(random, partitions)), fold(m, interleave(random, partitions))
			if !reflect.DeepEqual(x, y) {
				rt.Fatalf("rows differ: %v and %v\nmodel: %+v\npartitions: %v", x, y, m, partitions)
			}
		}
	}
	for range 10 {
		rapid.Check(t, check)
	}
	if admitted < 100 {
		t.Errorf("only %d specs were admitted", admitted)
	}
}

func drawSpec(rt *rapid.T) string {
	keys := rapid.SampledFrom([][]string{{"k"}, {"k", "l"}}).Draw(rt, "key")
	var b strings.Builder
	for i := range rapid.IntRange(1, 3).Draw(rt, "handlers") {
		label := func(s string) string { return fmt.Sprintf("%s %d", s, i) }
		topic := rapid.SampledFrom([]string{"a", "a", "b", "c", "u"}).Draw(rt, label("topic"))
		fmt.Fprintf(&b, "  - {name: h%d, topic: %s, onAbsent: %s, key: {", i, topic,
			rapid.SampledFrom([]string{"Create", "Create", "Create", "Ignore"}).Draw(rt, label("absent")))
		for _, k := range keys {
			fmt.Fprintf(&b, "%s: %s, ", k, rapid.SampledFrom([]string{"event.k", "event.k", "event.other", "event.l", "key"}).Draw(rt, label(k)))
		}
		b.WriteString("}")
		switch rapid.IntRange(0, 9).Draw(rt, label("kind")) {
		case 0:
			b.WriteString(", delete: true")
		case 1, 2:
			b.WriteString(", add: {num: event.v}")
		case 3:
			b.WriteString(", max: {num: event.v}")
		case 4:
			b.WriteString(", append: {s: event.x}")
		case 5:
			b.WriteString(", set: {num: event.v}")
		default:
			fmt.Fprintf(&b, ", set: {%s: event.x}", rapid.SampledFrom([]string{"x", "z"}).Draw(rt, label("column")))
		}
		b.WriteString("}\n")
	}
	return orderSpec(strings.Join(keys, ", "), b.String())
}

// message is an event: its topic, its fields, and its number, which makes what it writes unlike any other.
type message struct {
	topic  string
	fields map[string]string
	number int
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
	switch name := strings.TrimPrefix(strings.Trim(expression, "()"), "event."); name {
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
	for i := range 2 + random.IntN(9) {
		m := message{topic: topics[random.IntN(len(topics))], fields: map[string]string{}, number: i}
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

type row struct {
	text map[string]string
	n    int
	some bool
	list []string
}

func fold(m *contract.Model, events []message) map[string]row {
	rows := map[string]row{}
	for _, e := range events {
		for _, h := range m.Handlers {
			if h.Topic == e.topic {
				apply(m, &h, e, rows)
			}
		}
	}
	return rows
}

func apply(m *contract.Model, h *contract.Handler, e message, rows map[string]row) {
	var parts []string
	for _, k := range m.Key {
		parts = append(parts, e.text(h.Key[k]))
	}
	id := strings.Join(parts, "|")
	r, there := rows[id]
	switch {
	case h.Delete:
		delete(rows, id)
		return
	case !there && h.OnAbsent == "Ignore":
		return
	case !there:
		r = row{text: map[string]string{}}
	}
	v := e.number + 1
	for c := range h.Set {
		if c == "num" {
			r.n, r.some = v, true
		} else {
			r.text[c] = e.text(h.Set[c])
		}
	}
	if len(h.Add) > 0 {
		r.n, r.some = r.n+v, true
	}
	if len(h.Max) > 0 && (!r.some || v > r.n) {
		r.n, r.some = v, true
	}
	for _, x := range h.Append {
		r.list = append(r.list, e.text(x))
	}
	rows[id] = r
}
