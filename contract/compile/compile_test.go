// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// shop is a spec that uses everything.
const shop = `
storeRef: {name: read}
topics: [{name: orders}, {name: customers}]
models:
- name: order_summary
  key: [order_id]
  columns:
  - {name: order_id, type: text}
  - {name: customer_id, type: text}
  - {name: status, type: text}
  - {name: total, type: "decimal(12, 2)", default: "0"}
  - {name: lines, type: int32, default: "0"}
  - {name: placed_at, type: timestamp}
  - {name: last_at, type: timestamp}
  - {name: states, type: "text[]", default: "[]"}
  indexes: [{columns: [customer_id, placed_at]}]
  handlers:
  - name: placed
    topic: orders
    events: [OrderPlaced, OrderImported]
    key: {order_id: event.orderId}
    set: {customer_id: event.customerId, status: "'placed'", placed_at: meta.time}
    append: {states: "'placed'"}
  - name: line-added
    topic: orders
    events: [LineAdded]
    when: event.quantity > 0
    onAbsent: Ignore
    key: {order_id: event.orderId}
    add: {total: event.price * event.quantity, lines: "1"}
    max: {last_at: meta.time}
  - name: erased
    topic: orders
    events: [OrderErased]
    key: {order_id: event.orderId}
    delete: true
- name: customer
  key: [id]
  columns: [{name: id, type: text}, {name: name, type: text}, {name: changes, type: int64, default: "0"}]
  handlers:
  - name: named
    topic: customers
    key: {id: event.id}
    set: {name: event.name}
    add: {changes: "1"}
`

const shopTopics = `
- metadata: {name: orders}
  spec:
    brokerRef: {name: main}
    topic: shop.orders
    keyedBy: event.orderId
    event: {type: event.type, id: event.id, time: timestamp(event.at)}
- metadata: {name: customers}
  spec: {brokerRef: {name: main}, keyedBy: event.id, event: {type: event.type}}
`

func parse[T any](t testing.TB, text string) T {
	t.Helper()
	var out T
	if err := yaml.UnmarshalStrict([]byte(text), &out); err != nil {
		t.Fatalf("the test's own YAML is wrong: %v", err)
	}
	return out
}

func input(t testing.TB, spec, topics string) Input {
	t.Helper()
	return Input{
		Projection: &v1alpha1.Projection{
			ObjectMeta: metav1.ObjectMeta{Name: "order-summary", Namespace: "shop", UID: "u-1"},
			Spec:       parse[v1alpha1.ProjectionSpec](t, spec),
		},
		Topics: parse[[]v1alpha1.EventTopic](t, topics),
		Brokers: parse[[]v1alpha1.EventBroker](t, `
- metadata: {name: other}
  spec: {kafka: {bootstrapServers: ["b:9092"]}}
- metadata: {name: main}
  spec:
    kafka:
      bootstrapServers: ["a:9093"]
      groupPrefix: shop-
      tls: {caSecretRef: {name: main-cluster-ca-cert}}
      authentication: {mechanism: SCRAM-SHA-512, secretRef: {name: app}, keys: {username: u}}
`),
		Stores: parse[[]v1alpha1.ReadStore](t, `
- metadata: {name: read}
  spec: {postgres: {secretRef: {name: db}, tls: {mode: verify-full, caConfigMapRef: {name: ca, key: pem}}, ddlSecretRef: {name: owner}}}
`),
		Cluster: "c-1",
	}
}

func TestContract(t *testing.T) {
	c, problems := Compile(input(t, shop, shopTopics))
	if c == nil {
		t.Fatal(list(problems))
	}
	got, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "contract.yaml", got)
}

// A contract says nothing of a build that its spec leaves at the defaults, so that an upgrade changes none; and whatever
// it says starts no revision.
func TestBuild(t *testing.T) {
	in := input(t, shop, shopTopics)
	before, _ := Compile(in)
	for text, want := range map[string]*contract.Build{
		"{}":                             nil,
		"{mode: Auto}":                   nil,
		"{mode: Auto, spillLimit: 1Gi}":  nil,
		"{mode: Live}":                   {Mode: contract.BuildLive},
		"{maxEventsPerSecond: 5}":        {MaxEventsPerSecond: 5},
		"{mode: Auto, spillLimit: 64Mi}": {SpillBytes: 64 << 20},
		"{spillLimit: 2Gi, mode: Live}":  {Mode: contract.BuildLive, SpillBytes: 2 << 30},
		"{spillLimit: 1099511627776}":    {SpillBytes: 1 << 40},
	} {
		b := parse[v1alpha1.Build](t, text)
		in.Projection.Spec.Rollout.Build = &b
		c, problems := Compile(in)
		if c == nil {
			t.Fatalf("%s: %s", text, list(problems))
		}
		if !reflect.DeepEqual(c.Build, want) || !SameData(before, c) || c.Revision != before.Revision {
			t.Errorf("%s: %+v, want %+v", text, c.Build, want)
		}
		if changes := Diff(before, c); len(changes) > 0 != (want != nil) || len(changes) > 0 && (changes[0].Rebuild || changes[0].Path != "rollout.build") {
			t.Errorf("%s: %v", text, changes)
		}
	}
	for _, text := range []string{"{spillLimit: 1Mi}", "{spillLimit: -1Gi}", "{spillLimit: 2Ti}"} {
		b := parse[v1alpha1.Build](t, text)
		in.Projection.Spec.Rollout.Build = &b
		if c, problems := Compile(in); c != nil || !strings.Contains(list(problems), "spec.rollout.build.spillLimit") {
			t.Errorf("%s: %s", text, list(problems))
		}
	}
}

func TestSpecsWithoutDefaultsGiveTheSameContract(t *testing.T) {
	in := input(t, shop, shopTopics)
	a, _ := Compile(in)
	in.Projection.Spec.LagTargetSeconds = 60
	in.Stores[0].Spec.Postgres.Schema = "public"
	in.Stores[0].Spec.Postgres.BookkeepingSchema = "projectionist"
	for i := range in.Topics {
		in.Topics[i].Spec.Format = v1alpha1.EventFormatJSON
	}
	for i := range in.Projection.Spec.Models {
		hs := in.Projection.Spec.Models[i].Handlers
		for j := range hs {
			if hs[j].OnAbsent == "" {
				hs[j].OnAbsent = v1alpha1.OnAbsentCreate
			}
		}
	}
	b, problems := Compile(in)
	if b == nil {
		t.Fatal(problems)
	}
	ay, _ := yaml.Marshal(a)
	by, _ := yaml.Marshal(b)
	if string(ay) != string(by) {
		t.Errorf("differ:\n%s\n%s", ay, by)
	}
}

// edit replaces text in the shop's spec and topics, and compiles.
func edit(t testing.TB, pairs ...string) (*contract.Contract, []Problem) {
	t.Helper()
	whole := shop + shopTopics
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(whole, pairs[i]) {
			t.Fatalf("nothing to replace: %q", pairs[i])
		}
	}
	r := strings.NewReplacer(pairs...)
	return Compile(input(t, r.Replace(shop), r.Replace(shopTopics)))
}

func TestProblems(t *testing.T) {
	const line = "models[order_summary].handlers[line-added]"
	for _, tc := range []struct {
		name          string
		edit          []string
		object, path  string
		reason, about string
	}{
		{"no store", []string{"storeRef: {name: read}", "storeRef: {name: red}"}, "", "storeRef", ReasonReferenceMissing, `no ReadStore "red"`},
		{"no topic", []string{"topics: [{name: orders}, ", "topics: [{name: orders}, {name: payments}, "}, "", "topics[payments]", ReasonReferenceMissing, `no EventTopic "payments"`},
		{"no broker", []string{"brokerRef: {name: main}", "brokerRef: {name: mian}"}, "EventTopic orders", "brokerRef", ReasonReferenceMissing, `no EventBroker "mian"`},
		{"two brokers", []string{"{brokerRef: {name: main}, keyedBy: event.id", "{brokerRef: {name: other}, keyedBy: event.id"}, "", "topics[customers]", ReasonUnsupported, "one broker"},
		{"one topic twice", []string{"topic: shop.orders", "topic: customers"}, "", "topics[customers]", ReasonInvalidSpec, "consumed twice"},
		{"keyedBy", []string{"keyedBy: event.orderId", "keyedBy: event."}, "EventTopic orders", "keyedBy", ReasonInvalidSpec, "column"},
		{"keyedBy constant", []string{"keyedBy: event.orderId", `keyedBy: "'x'"`}, "EventTopic orders", "keyedBy", ReasonInvalidSpec, "constant"},
		{"keyedBy list", []string{"keyedBy: event.orderId", "keyedBy: '[event.orderId]'"}, "EventTopic orders", "keyedBy", ReasonInvalidSpec, "list"},
		{"event type", []string{"{type: event.type, id", "{type: event.type == 'x', id"}, "EventTopic orders", "event.type", ReasonInvalidSpec, "bool"},
		{"event time", []string{"timestamp(event.at)", "int(event.at)"}, "EventTopic orders", "event.time", ReasonInvalidSpec, "timestamp(...)"},
		{"meta in a topic", []string{"id: event.id, time", "id: meta.position, time"}, "EventTopic orders", "event.id", ReasonInvalidSpec, "event, key and headers"},
		{"model name length", []string{"name: customer\n", "name: " + strings.Repeat("a", 52) + "\n"}, "", "models[" + strings.Repeat("a", 52) + "]", ReasonInvalidSpec, "shorten it to 51"},
		{"model name quote", []string{"name: customer\n", `name: 'a"; drop table b'` + "\n"}, "", `models[a"; drop table b]`, ReasonInvalidSpec, "letters, digits and _"},
		{"model name physical", []string{"name: customer\n", "name: customer__0123456789\n"}, "", "models[customer__0123456789]", ReasonInvalidSpec, "ten hex digits"},
		{"model twice", []string{"name: customer\n", "name: order_summary\n"}, "", "models[order_summary]", ReasonInvalidSpec, "two models"},
		{"column type", []string{"{name: status, type: text}", "{name: status, type: string}"}, "", "models[order_summary].columns[status].type", ReasonInvalidSpec, `unknown type "string"`},
		{"column name length", []string{"{name: changes,", "{name: " + strings.Repeat("c", 64) + ","}, "", "models[customer].columns[" + strings.Repeat("c", 64) + "]", ReasonInvalidSpec, "shorten it to 63"},
		{"system column", []string{"{name: changes,", "{name: xmin,"}, "", "models[customer].columns[xmin]", ReasonInvalidSpec, "of its own"},
		{"column twice", []string{"{name: changes,", "{name: name,"}, "", "models[customer].columns[name]", ReasonInvalidSpec, "two columns"},
		{"default", []string{`type: int32, default: "0"`, `type: int32, default: "many"`}, "", "models[order_summary].columns[lines].default", ReasonInvalidSpec, "int32"},
		{"default rounds", []string{`"decimal(12, 2)", default: "0"`, `"decimal(12, 2)", default: "0.005"`}, "", "models[order_summary].columns[total].default", ReasonInvalidSpec, "digits"},
		{"key default", []string{"{name: id, type: text}", "{name: id, type: text, default: x}"}, "", "models[customer].columns[id].default", ReasonInvalidSpec, "remove the default"},
		{"key column missing", []string{"key: [order_id]", "key: [order_no]"}, "", "models[order_summary].key", ReasonInvalidSpec, "no column order_no"},
		{"key twice", []string{"key: [order_id]", "key: [order_id, order_id]"}, "", "models[order_summary].key", ReasonInvalidSpec, "twice"},
		{"key type", []string{"{name: order_id, type: text}", `{name: order_id, type: "decimal(3,1)"}`}, "", "models[order_summary].key", ReasonInvalidSpec, "cannot be part of a key"},
		{"index column", []string{"[customer_id, placed_at]", "[customer]"}, "", "models[order_summary].indexes[customer]", ReasonInvalidSpec, "no column customer"},
		{"index on a list", []string{"[customer_id, placed_at]", "[states]"}, "", "models[order_summary].indexes[states]", ReasonInvalidSpec, "use method: GIN"},
		{"handler twice", []string{"name: erased", "name: placed"}, "", "models[order_summary].handlers[placed]", ReasonInvalidSpec, "two handlers"},
		{"handler without topic", []string{"- name: erased\n    topic: orders\n", "- name: erased\n"}, "", "models[order_summary].handlers[erased].topic", ReasonInvalidSpec, "orders, customers"},
		{"handler of another topic", []string{"- name: erased\n    topic: orders\n", "- name: erased\n    topic: order\n"}, "", "models[order_summary].handlers[erased].topic", ReasonInvalidSpec, "not one of"},
		{"no event type", []string{"event: {type: event.type, id: event.id, ", "event: {id: event.id, "}, "", line + ".events", ReasonInvalidSpec, "spec.event.type"},
		{"meta.id without id", []string{"id: event.id, time", "time", "status: \"'placed'\"", "status: meta.id"}, "", "models[order_summary].handlers[placed].set.status", ReasonInvalidSpec, "spec.event.id"},
		{"event named twice", []string{"[LineAdded]", "[LineAdded, LineAdded]"}, "", line + ".events", ReasonInvalidSpec, "twice"},
		{"when", []string{"when: event.quantity > 0", "when: meta.partition + 1"}, "", line + ".when", ReasonInvalidSpec, "bool"},
		{"key incomplete", []string{"key: [order_id]", "key: [order_id, customer_id]"}, "", line + ".key", ReasonInvalidSpec, "give an expression for customer_id"},
		{"key of another column", []string{"key: {id: event.id}", "key: {id: event.id, name: event.name}"}, "", "models[customer].handlers[named].key.name", ReasonInvalidSpec, "no key column"},
		{"key null", []string{"key: {id: event.id}", "key: {id: 'null'}"}, "", "models[customer].handlers[named].key.id", ReasonInvalidSpec, "never null"},
		{"key constant of the wrong type", []string{"key: {id: event.id}", "key: {id: '5'}"}, "", "models[customer].handlers[named].key.id", ReasonInvalidSpec, "type mismatch"},
		{"set unknown", []string{"set: {name: event.name}", "set: {nam: event.name}"}, "", "models[customer].handlers[named].set.nam", ReasonInvalidSpec, "no column nam"},
		{"set what YAML made of y", []string{"set: {name: event.name}", "set: {y: event.name}"}, "", "models[customer].handlers[named].set.true", ReasonInvalidSpec, "an unquoted y"},
		{"set key", []string{"set: {name: event.name}", "set: {id: event.name}"}, "", "models[customer].handlers[named].set.id", ReasonInvalidSpec, "key of a row never changes"},
		{"two operations on a column", []string{"add: {changes: \"1\"}", "add: {changes: \"1\"}\n    max: {changes: \"1\"}"}, "", "models[customer].handlers[named].max.changes", ReasonInvalidSpec, "already in add"},
		{"add to float", []string{`"decimal(12, 2)", default: "0"`, "float64"}, "", line + ".add.total", ReasonInvalidSpec, "depend on the order in which they are added"},
		{"add to text", []string{"{name: total, type: \"decimal(12, 2)\", default: \"0\"}", "{name: total, type: text}"}, "", line + ".add.total", ReasonInvalidSpec, "add works on"},
		{"max of list", []string{"max: {last_at: meta.time}", "max: {states: event.s}"}, "", line + ".max.states", ReasonInvalidSpec, "no order"},
		{"append to text", []string{"append: {states: \"'placed'\"}", "append: {last_at: meta.time}"}, "", "models[order_summary].handlers[placed].append.last_at", ReasonInvalidSpec, "lists"},
		{"append of the wrong type", []string{"append: {states: \"'placed'\"}", "append: {states: '5'}"}, "", "models[order_summary].handlers[placed].append.states", ReasonInvalidSpec, "type mismatch"},
		{"literal of the wrong type", []string{"status: \"'placed'\"", "status: 'true'"}, "", "models[order_summary].handlers[placed].set.status", ReasonInvalidSpec, "type mismatch"},
		{"meta of the wrong type", []string{"status: \"'placed'\"", "status: meta.time"}, "", "models[order_summary].handlers[placed].set.status", ReasonInvalidSpec, "type mismatch"},
		{"syntax", []string{"event.price * event.quantity", "event.price *"}, "", line + ".add.total", ReasonInvalidSpec, "column"},
		{"unknown variable", []string{"event.price * event.quantity", "evnt.price"}, "", line + ".add.total", ReasonInvalidSpec, "there are event, key, headers"},
		{"delete and set", []string{"delete: true", "delete: true\n    set: {status: \"'x'\"}"}, "", "models[order_summary].handlers[erased].delete", ReasonInvalidSpec, "cannot also change"},
		{"nothing", []string{"delete: true", "delete: false"}, "", "models[order_summary].handlers[erased]", ReasonInvalidSpec, "does nothing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, problems := edit(t, tc.edit...)
			if c != nil {
				t.Error("compiled")
			}
			for _, p := range problems {
				if p.Object == tc.object && p.Path == tc.path && p.Reason == tc.reason && strings.Contains(p.Message, tc.about) && p.Severity == Error {
					return
				}
			}
			t.Errorf("no %s at %s %s about %q in:\n%s", tc.reason, tc.object, tc.path, tc.about, list(problems))
		})
	}
}

func list(ps []Problem) string {
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(string(p.Severity) + " " + p.Reason + " " + p.String() + "\n")
	}
	return b.String()
}

func TestEveryProblemIsListed(t *testing.T) {
	_, problems := edit(t, "{name: status, type: text}", "{name: status, type: string}", "event.price * event.quantity", "event.", "delete: true", "delete: false")
	if n := len(Errors(problems)); n != 3 {
		t.Errorf("%d errors:\n%s", n, list(problems))
	}
	reason, message := Summary(problems)
	if reason != ReasonInvalidSpec || strings.Count(message, "\n") != 2 {
		t.Errorf("summary %s:\n%s", reason, message)
	}
}

func TestUnusedColumnIsAdvice(t *testing.T) {
	c, problems := edit(t, "    max: {last_at: meta.time}\n", "")
	if c == nil || !slices.ContainsFunc(problems, func(p Problem) bool {
		return p.Severity == Advice && p.Path == "models[order_summary].columns[last_at]"
	}) {
		t.Errorf("got %v", list(problems))
	}
	if reason, _ := Summary(problems); reason != "" {
		t.Errorf("advice refuses the spec: %s", reason)
	}
}

func TestCheckTopic(t *testing.T) {
	topics := parse[[]v1alpha1.EventTopic](t, strings.Replace(shopTopics, "event.orderId", "event..x", 1))
	ps := CheckTopic(&topics[0], nil)
	if len(ps) != 1 || ps[0].Object != "" || ps[0].Path != "keyedBy" {
		t.Errorf("got %v", ps)
	}
	if ps := CheckTopic(&topics[1], nil); len(ps) != 0 {
		t.Errorf("got %v", ps)
	}
}
