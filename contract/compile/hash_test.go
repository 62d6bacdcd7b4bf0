// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
)

// frozenMeaning is what to read before a golden hash is changed.
const frozenMeaning = `A data hash is not what it was. Every projection in every cluster that runs an earlier release would be rebuilt
by an upgrade of the operator. Do not update the golden value: find what changed in the canonical form. A field that a
release adds must be left out of it where it has its default. Only a deliberate new algorithm version may differ, and
then stored contracts must still be recognised as the same (KeepIdentity).`

func TestGoldenHashes(t *testing.T) {
	specs := []struct{ name, spec, topics string }{
		{"shop", shop, shopTopics},
		{"order/single", orderSpec("k", "  - {name: h, topic: a, key: {k: event.k}, set: {x: event.x}}"), orderTopics},
		{"order/sums", orderSpec("k, l", "  - {name: h, topic: u, when: \"event.n > 0\", key: {k: event.k, l: key}, add: {num: event.n}}"), orderTopics},
	}
	var b strings.Builder
	for _, s := range specs {
		c, problems := Compile(input(t, s.spec, s.topics))
		if c == nil {
			t.Fatal(list(problems))
		}
		fmt.Fprintf(&b, "%s %s\n", s.name, c.DataHash)
	}
	c, problems := Compile(wholeInput(t))
	if c == nil {
		t.Fatal(list(problems))
	}
	fmt.Fprintf(&b, "whole %s\n", c.DataHash)
	golden(t, "hashes.txt", []byte(b.String()))
	if t.Failed() {
		t.Log(frozenMeaning)
	}
}

func TestGoldenCanonicalForm(t *testing.T) {
	c, _ := Compile(input(t, shop, shopTopics))
	var pretty any
	if err := json.Unmarshal(canonicalJSON(c), &pretty); err != nil {
		t.Fatal(err)
	}
	out, _ := json.MarshalIndent(pretty, "", "  ")
	golden(t, "canonical.json", append(out, '\n'))
	if t.Failed() {
		t.Log(frozenMeaning)
	}
}

func TestRevision(t *testing.T) {
	if got := Revision("1:0123456789abcdef"); got != "0123456789" {
		t.Error(got)
	}
	for _, none := range []string{"", "1:", "0123456789abcdef", "1:012345678"} {
		if got := Revision(none); got != "" {
			t.Errorf("%q gives %q", none, got)
		}
	}
}

// changes are edits of the shop, and what Diff says of them; rebuild tells whether rows differ.
var changes = []struct {
	name    string
	edit    []string
	path    string
	rebuild bool
}{
	{"spaces in an expression", []string{"event.price * event.quantity", "event.price*\n      event.quantity  // per line"}, "", false},
	{"spaces in a type", []string{"decimal(12, 2)", "decimal(12,2)"}, "", false},
	{"spelling of a default", []string{`"decimal(12, 2)", default: "0"`, `"decimal(12, 2)", default: "0.00"`}, "", false},
	{"order of events", []string{"[OrderPlaced, OrderImported]", "[OrderImported, OrderPlaced]"}, "", false},
	{"order of topics", []string{"topics: [{name: orders}, {name: customers}]", "topics: [{name: customers}, {name: orders}]"}, "", false},
	{"default written out", []string{"name: named\n", "name: named\n    onAbsent: Create\n"}, "", false},
	{"name of a handler", []string{"name: erased", "name: forgotten"}, "models[order_summary].handlers[forgotten].name", false},
	{"index", []string{"indexes: [{columns: [customer_id, placed_at]}]", "indexes: [{columns: [status]}]"}, "models[order_summary].indexes", false},
	{"lag target", []string{"storeRef: {name: read}", "storeRef: {name: read}\nlagTargetSeconds: 5"}, "lagTargetSeconds", false},

	{"expression", []string{"event.price * event.quantity", "event.price"}, "models[order_summary].handlers[line-added].add.total", true},
	{"spaces in a literal", []string{"status: \"'placed'\"", "status: \"'pla ced'\""}, "models[order_summary].handlers[placed].set.status", true},
	{"event", []string{"[LineAdded]", "[LineAdded, LineMoved]"}, "models[order_summary].handlers[line-added].events", true},
	{"when", []string{"    when: event.quantity > 0\n", ""}, "models[order_summary].handlers[line-added].when", true},
	{"onAbsent", []string{"    onAbsent: Ignore\n", ""}, "models[order_summary].handlers[line-added].onAbsent", true},
	{"operation", []string{"add: {changes: \"1\"}", "max: {changes: \"1\"}"}, "models[customer].handlers[named].max.changes", true},
	{"default", []string{`{name: changes, type: int64, default: "0"}`, "{name: changes, type: int64}"}, "models[customer].columns[changes].default", true},
	{"type", []string{"{name: changes, type: int64", "{name: changes, type: int32"}, "models[customer].columns[changes].type", true},
	{"column", []string{"{name: id, type: text}, ", "{name: id, type: text}, {name: email, type: text}, "}, "models[customer].columns[email]", true},
	{"order of columns", []string{"{name: id, type: text}, {name: name, type: text}", "{name: name, type: text}, {name: id, type: text}"}, "models[customer].columns", true},
	{"handler removed", []string{"  - name: erased\n    topic: orders\n    events: [OrderErased]\n    key: {order_id: event.orderId}\n    delete: true\n", ""}, "models[order_summary].handlers[erased]", true},
	{"topic at the broker", []string{"topic: shop.orders", "topic: shop.orders.v2"}, "topics[orders].topic", true},
	{"event type", []string{"{type: event.type, id", "{type: event.kind, id"}, "topics[orders].event.type", true},
	{"event time", []string{", time: timestamp(event.at)", ""}, "topics[orders].event.time", true},
	{"model", []string{"name: customer\n", "name: buyer\n"}, "models[buyer]", true},
}

func TestHashAndDiffAgree(t *testing.T) {
	before, _ := Compile(input(t, shop, shopTopics))
	for _, tc := range changes {
		t.Run(tc.name, func(t *testing.T) {
			after, problems := edit(t, tc.edit...)
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

func TestConnectionIsNotData(t *testing.T) {
	in := input(t, shop, shopTopics)
	before, _ := Compile(in)
	in.Brokers[1].Spec.Kafka.BootstrapServers = []string{"c:9092"}
	in.Stores[0].Spec.Postgres.Host = "elsewhere"
	in.Cluster, in.Projection.Name = "c-2", "other"
	after, _ := Compile(in)
	if before.DataHash != after.DataHash {
		t.Error("the hash covers connections or names")
	}
	if d := Diff(before, after); len(d) != 2 || d[0].Rebuild || d[1].Rebuild {
		t.Errorf("diff: %v", d)
	}
}

func TestKeepIdentity(t *testing.T) {
	fresh, _ := Compile(input(t, shop, shopTopics))
	stored := *fresh
	stored.DataHash, stored.Revision = "0:ffffffffffffffff", "ffffffffff"
	if !KeepIdentity(&stored, fresh) || fresh.Revision != "ffffffffff" || fresh.DataHash != stored.DataHash ||
		fresh.Group != "shop-projectionist.shop.order-summary.ffffffffff" {
		t.Errorf("got %s %s %s", fresh.DataHash, fresh.Revision, fresh.Group)
	}
	other, _ := edit(t, "[LineAdded]", "[LineMoved]")
	if KeepIdentity(&stored, other) || other.Revision == stored.Revision {
		t.Error("another spec took the identity")
	}
}

func TestCanonicalText(t *testing.T) {
	for in, want := range map[string]string{
		"a  +\tb":                      "a+b",
		" x in  y ":                    "x in y",
		"event.items\n  .map(i, i)":    "event.items.map(i,i)",
		"event. a":                     "event.a",
		"a ? .b : c":                   "a?.b:c",
		"x in .y":                      "x in .y",
		"'a  b' + \"c // d\"":          "'a  b'+\"c // d\"",
		`'it\'s  ' + r'\' + ' x '`:     `'it\'s  '+r'\'+' x '`,
		"'''a ' b  ''' // why\n + 'x'": "'''a ' b  '''+'x'",
		"1 - -1":                       "1--1",
		"x in 'a b'":                   "x in 'a b'",
		"event.?x.orValue( 0 )":        "event.?x.orValue(0)",
		"'open  ":                      "'open  ",
		"":                             "",
	} {
		if got := canonicalText(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
		if got := canonicalText(canonicalText(in)); got != want {
			t.Errorf("%q is not stable: %q", in, got)
		}
	}
}

func TestDataHashTakesContractsOfAnyOrigin(t *testing.T) {
	c, _ := Compile(input(t, shop, shopTopics))
	text, _ := json.Marshal(c)
	var back contract.Contract
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !SameData(c, &back) || len(Diff(c, &back)) > 0 {
		t.Error("a contract that was stored and read is another one")
	}
}
