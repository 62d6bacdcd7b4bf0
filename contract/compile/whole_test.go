// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// whole is a spec that uses every feature of the language.
const whole = `
storeRef: {name: read}
topics: [{name: stock}, {name: prices}, {name: crm}]
models:
- name: level
  comment: Stock per warehouse
  key: [warehouse, sku]
  columns:
  - {name: warehouse, type: text}
  - {name: sku, type: text}
  - {name: state, type: text, notNull: true, default: open, enum: [open, counted, closed]}
  - {name: on_hand, type: int32, default: "0", range: {min: "0", max: "1000"}, comment: pieces}
  - {name: reserved, type: int32, default: "0"}
  - {name: free, type: int32, generated: row.on_hand - row.reserved}
  - {name: half, type: int32, generated: row.free - 1}
  - {name: counted_at, type: timestamp}
  - {name: first_at, type: time}
  - {name: least, type: int32}
  - {name: last, type: "text[]", default: "[]", list: {maxItems: 3, distinct: true}}
  - {name: attributes, type: json, default: "{}"}
  - {name: source, type: text, native: inet}
  - {name: counter, type: int64, notNull: true}
  checks:
  - {name: enough, rule: row.reserved <= row.on_hand}
  indexes:
  - {columns: [sku, state]}
  - {columns: [last], method: GIN}
  - {columns: [counter], unique: true}
  joins:
  - {model: product, match: {sku: sku}, set: {price: price, title: title}}
  handlers:
  - name: received
    topic: stock
    events: ["Received*"]
    forEach: event.lines
    when: item.quantity > 0 && row.state != 'closed'
    key: {warehouse: event.warehouse, sku: item.sku}
    set: {source: event.ip, counter: index}
    setOnce: {first_at: event.time}
    unset: [counted_at]
    add: {on_hand: item.quantity}
    min: {least: row.on_hand}
    append: {last: meta.type}
    merge: {attributes: item.attributes}
  - name: reserved
    topic: stock
    events: [Reserved]
    onAbsent: Ignore
    key: {warehouse: event.warehouse, sku: event.sku}
    add: {reserved: "1"}
  - name: closed
    topic: stock
    events: [Closed]
    where: {warehouse: event.warehouse, state: "'open'"}
    set: {state: "'closed'"}
  - name: rest
    topic: stock
    default: true
    onAbsent: Ignore
    key: {warehouse: key, sku: event.sku}
    max: {counter: event.n}
- name: product
  key: [sku]
  columns:
  - {name: sku, type: text}
  - {name: price, type: "decimal(12,2)"}
  - {name: title, type: text}
  - {name: version, type: int64}
  versions:
  - {column: version, columns: [price, title]}
  handlers:
  - name: priced
    topic: prices
    events: [Priced]
    key: {sku: event.sku}
    versionBy: {version: event.version}
    set: {price: event.price, title: event.title}
  - name: gone
    topic: prices
    events: [Gone]
    key: {sku: event.sku}
    versionBy: {version: event.version}
    delete: true
- name: mixed
  key: [id]
  order: Arrival
  columns:
  - {name: id, type: text}
  - {name: name, type: text}
  - {name: seen, type: int64, default: "0"}
  handlers:
  - name: named
    topic: crm
    events: [create, update]
    key: {id: key}
    set: {name: event.after.name}
  - name: forgotten
    topic: crm
    tombstone: true
    key: {id: key}
    delete: true
  - name: seen
    topic: prices
    key: {id: event.sku}
    add: {seen: "1"}
rollout:
  verify:
    sample: 0.5%
    assertions:
    - {name: prices, row: row.price == null || row.price >= 0.0, model: product}
    - {name: enough, model: mixed, all: count > 10 && sum.seen / count >= 1}
`

const wholeTopics = `
- metadata: {name: stock}
  spec:
    brokerRef: {name: main}
    keyedBy: event.warehouse
    event: {type: event.type}
    upcasts:
    - {name: old, events: ["Received*"], when: "!has(event.lines)", set: {lines: "[event]"}, unset: [sku], type: ReceivedV2}
    - {name: older, when: "!has(event.n)", set: {nr: "0"}}
- metadata: {name: prices}
  spec: {brokerRef: {name: main}, format: CloudEvents, key: {format: Avro}}
- metadata: {name: crm}
  spec: {brokerRef: {name: main}, format: Debezium, key: {format: JSON, field: id}}
`

// wholeInput is the whole spec after edits of it and of its topics.
func wholeInput(t testing.TB, pairs ...string) Input {
	t.Helper()
	text := strings.Join([]string{whole, wholeTopics}, "")
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("nothing to replace: %q", pairs[i])
		}
	}
	r := strings.NewReplacer(pairs...)
	in := input(t, r.Replace(whole), r.Replace(wholeTopics))
	in.Brokers[1].Spec.SchemaRegistry = registrySpec(t)
	return in
}

func registrySpec(t testing.TB) v1alpha1.SchemaRegistry {
	t.Helper()
	return parse[v1alpha1.SchemaRegistry](t, `{urls: ["https://registry:8081"], tls: {caConfigMapRef: {name: ca}}, secretRef: {name: reg}, keys: {token: t}}`)
}

func numFields[T any]() int { return reflect.TypeFor[T]().NumField() }

func TestWholeContract(t *testing.T) {
	c, problems := Compile(wholeInput(t))
	if c == nil {
		t.Fatal(list(problems))
	}
	got, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "whole.yaml", got)
	golden(t, "whole-advice.txt", []byte(list(problems)))
	if n := len(c.ViewColumns(0)); n != 16 {
		t.Errorf("the view of level has %d columns", n)
	}
}

func TestExplain(t *testing.T) {
	c, problems := Compile(wholeInput(t))
	if c == nil {
		t.Fatal(list(problems))
	}
	var b strings.Builder
	for _, m := range Explain(c) {
		fmt.Fprintf(&b, "%s single-source=%v arrival=%v: %s\n", m.Name, m.SingleSource, m.Arrival, m.Why)
		for _, h := range m.Handlers {
			fmt.Fprintf(&b, "  %s loading=%v fan-out=%v: %s\n", h.Name, h.Loading, h.FanOut, h.Why)
		}
	}
	plain, _ := Compile(input(t, shop, shopTopics))
	for _, m := range Explain(plain) {
		fmt.Fprintf(&b, "%s single-source=%v: %s\n", m.Name, m.SingleSource, m.Why)
		for _, h := range m.Handlers {
			fmt.Fprintf(&b, "  %s loading=%v: %s\n", h.Name, h.Loading, h.Why)
		}
	}
	golden(t, "explain.txt", []byte(b.String()))
}

// wholeChanges are edits of the whole spec, and what Diff says of them; rebuild tells whether rows differ.
var wholeChanges = []struct {
	name    string
	edit    []string
	path    string
	rebuild bool
}{
	{"comment of a model", []string{"Stock per warehouse", "Stock"}, "models[level].comment", false},
	{"comment of a column", []string{", comment: pieces", ""}, "models[level].columns[on_hand].comment", false},
	{"name of a check", []string{"name: enough", "name: suffices"}, "models[level].checks[suffices].name", false},
	{"name of an upcast", []string{"name: old,", "name: oldest,"}, "topics[stock].upcasts[oldest].name", false},
	{"method of an index", []string{"{columns: [sku, state]}", "{columns: [sku, state], method: BRIN}"}, "models[level].indexes", false},
	{"order of an enum", []string{"[open, counted, closed]", "[closed, open, counted]"}, "", false},
	{"order of guarded columns", []string{"columns: [price, title]", "columns: [title, price]"}, "", false},
	{"spelling of a range", []string{`{min: "0", max: "1000"}`, `{max: "1000", min: "00"}`}, "", false},
	{"default key format", []string{"    keyedBy: event.warehouse\n", "    keyedBy: event.warehouse\n    key: {format: Text}\n"}, "", false},
	{"default method", []string{"{columns: [sku, state]}", "{columns: [sku, state], method: BTree}"}, "", false},
	{"onAbsent of a delete", []string{"    delete: true\n- name: mixed", "    delete: true\n    onAbsent: Ignore\n- name: mixed"}, "", false},
	{"order written out", []string{"- name: product\n", "- name: product\n  order: Log\n"}, "", false},
	{"spaces in a check", []string{"row.reserved <= row.on_hand", "row.reserved<=row.on_hand"}, "", false},
	{"notNull of a key", []string{"  - {name: warehouse, type: text}", "  - {name: warehouse, type: text, notNull: true}"}, "", false},
	{"schema registry", nil, "topics", false},

	{"format", []string{"format: CloudEvents", "format: JSON, event: {type: event.type}"}, "topics[prices].format", true},
	{"key format", []string{"key: {format: Avro}", "key: {format: JSON}"}, "topics[prices].key.format", true},
	{"key field", []string{"field: id", "field: no"}, "topics[crm].key.field", true},
	{"events of an upcast", []string{`events: ["Received*"], when`, "events: [Received], when"}, "topics[stock].upcasts[old].events", true},
	{"condition of an upcast", []string{"!has(event.lines)", "!has(event.line)"}, "topics[stock].upcasts[old].when", true},
	{"member of an upcast", []string{`{lines: "[event]"}`, `{lines: "[]"}`}, "topics[stock].upcasts[old].set.lines", true},
	{"unset of an upcast", []string{", unset: [sku]", ""}, "topics[stock].upcasts[old].unset", true},
	{"type of an upcast", []string{"type: ReceivedV2", "type: ReceivedV3"}, "topics[stock].upcasts[old].type", true},
	{"upcast removed", []string{"    - {name: older, when: \"!has(event.n)\", set: {nr: \"0\"}}\n", ""}, "topics[stock].upcasts[older]", true},
	{"order of a model", []string{"- name: product\n", "- name: product\n  order: Arrival\n"}, "models[product].order", true},
	{"notNull", []string{"type: text, notNull: true, default: open", "type: text, default: open"}, "models[level].columns[state].notNull", true},
	{"enum", []string{"[open, counted, closed]", "[open, counted, closed, lost]"}, "models[level].columns[state].enum", true},
	{"range", []string{`{min: "0", max: "1000"}`, `{min: "0"}`}, "models[level].columns[on_hand].range.max", true},
	{"cap", []string{"maxItems: 3", "maxItems: 4"}, "models[level].columns[last].list.maxItems", true},
	{"distinct", []string{", distinct: true", ""}, "models[level].columns[last].list.distinct", true},
	{"generated", []string{"row.free - 1", "row.free - 2"}, "models[level].columns[half].generated", true},
	{"native", []string{"native: inet", "native: cidr"}, "models[level].columns[source].native", true},
	{"check", []string{"row.reserved <= row.on_hand", "row.reserved < row.on_hand"}, "models[level].checks[enough].rule", true},
	{"check removed", []string{"  checks:\n  - {name: enough, rule: row.reserved <= row.on_hand}\n", ""}, "models[level].checks[enough]", true},
	{"unique", []string{"{columns: [counter], unique: true}", "{columns: [counter]}"}, "models[level].indexes", true},
	{"joined column", []string{"set: {price: price, title: title}", "set: {price: price}"}, "models[level].joins", true},
	{"version group", []string{"columns: [price, title]", "columns: [price]", "\n    set: {price: event.price, title: event.title}", "\n    set: {price: event.price}", "  - {name: title, type: text}\n", "", ", title: title}", "}"}, "models[product].versions[version].columns", true},
	{"default handler", []string{"    default: true\n", "    events: [Counted]\n"}, "models[level].handlers[rest].default", true},
	{"tombstone", []string{"    tombstone: true\n", "    events: [delete]\n"}, "models[mixed].handlers[forgotten].tombstone", true},
	{"forEach", []string{"forEach: event.lines", "forEach: event.line"}, "models[level].handlers[received].forEach", true},
	{"where", []string{`state: "'open'"`, `state: "'counted'"`}, "models[level].handlers[closed].where.state", true},
	{"version", []string{"versionBy: {version: event.version}\n    set", "versionBy: {version: event.v}\n    set"}, "models[product].handlers[priced].versionBy.version", true},
	{"setOnce", []string{"{first_at: event.time}", "{first_at: event.at}"}, "models[level].handlers[received].setOnce.first_at", true},
	{"unset", []string{"    unset: [counted_at]\n", ""}, "models[level].handlers[received].unset", true},
	{"min", []string{"{least: row.on_hand}", "{least: row.reserved}"}, "models[level].handlers[received].min.least", true},
	{"merge", []string{"{attributes: item.attributes}", "{attributes: item.a}"}, "models[level].handlers[received].merge.attributes", true},
}

func TestHashAndDiffAgreeOnTheWhole(t *testing.T) {
	before, problems := Compile(wholeInput(t))
	if before == nil {
		t.Fatal(list(problems))
	}
	for _, tc := range wholeChanges {
		t.Run(tc.name, func(t *testing.T) {
			in := wholeInput(t, tc.edit...)
			if tc.edit == nil {
				in.Brokers[1].Spec.SchemaRegistry.URLs = []string{"https://elsewhere"}
			}
			after, problems := Compile(in)
			if after == nil {
				t.Fatal(list(problems))
			}
			diff := Diff(before, after)
			rebuild := slices.ContainsFunc(diff, func(c Change) bool { return c.Rebuild })
			if same := before.DataHash == after.DataHash; same == tc.rebuild || rebuild != tc.rebuild || SameData(before, after) == tc.rebuild {
				t.Errorf("hash equal: %v, diff says rebuild: %v, want %v: %v", same, rebuild, tc.rebuild, diff)
			}
			if tc.path == "" && len(diff) > 0 || tc.path != "" && !slices.ContainsFunc(diff, func(c Change) bool { return c.Path == tc.path }) {
				t.Errorf("diff: %v", diff)
			}
		})
	}
}

// Every field of a contract's data is in the canonical form, or deliberately is not.
func TestEveryFieldIsDataOrNot(t *testing.T) {
	c, _ := Compile(wholeInput(t))
	if d := Diff(c, c); len(d) > 0 {
		t.Errorf("a contract differs from itself: %v", d)
	}
	for _, tc := range []struct {
		name   string
		fields int
		of     int
	}{
		{"Topic: all but none", numFields[contract.Topic](), numFields[canonicalTopic]()},
		{"Upcast: all but name", numFields[contract.Upcast]() - 1, numFields[canonicalUpcast]()},
		{"Model: all but comment; unique of indexes", numFields[contract.Model]() - 1, numFields[canonicalModel]()},
		{"Column: all but comment", numFields[contract.Column]() - 1, numFields[canonicalColumn]()},
		{"Handler: all but name", numFields[contract.Handler]() - 1, numFields[canonicalHandler]()},
		{"Join", numFields[contract.Join](), numFields[canonicalJoin]()},
		{"VersionGroup", numFields[contract.VersionGroup](), numFields[canonicalVersion]()},
	} {
		if tc.fields != tc.of {
			t.Errorf("%s: %d fields of the contract, %d of the canonical form; decide whether the new one is data", tc.name, tc.fields, tc.of)
		}
	}
}
