// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// base64 of nothing in particular is what a wrong password looks like; the text is looked for where it must not be.
const wrongPassword = "wr0ng-c4nary-password"

// TestBrokerConditions goes through what can be wrong with a broker, and mends it without restarting anything.
func TestBrokerConditions(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(`
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventBroker
metadata: {name: nobody}
spec: {kafka: {bootstrapServers: ["$HOST:9"]}}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventBroker
metadata: {name: no-secret}
spec: {kafka: {bootstrapServers: ["kafka:9092"], authentication: {mechanism: SCRAM-SHA-512, secretRef: {name: nowhere}}}}
---
apiVersion: v1
kind: Secret
metadata: {name: empty}
stringData: {username: somebody}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventBroker
metadata: {name: no-key}
spec: {kafka: {bootstrapServers: ["kafka:9092"], authentication: {mechanism: SCRAM-SHA-512, secretRef: {name: empty}}}}
---
apiVersion: v1
kind: Secret
metadata: {name: wrong}
stringData: {username: $KAFKA_USER, password: ` + wrongPassword + `}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventBroker
metadata: {name: wrong}
spec: {kafka: {bootstrapServers: ["kafka:9092"], authentication: {mechanism: SCRAM-SHA-512, secretRef: {name: wrong}}}}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventBroker
metadata: {name: main}
spec: {kafka: {bootstrapServers: ["kafka:9092"], authentication: {mechanism: SCRAM-SHA-256, secretRef: {name: kafka-user}}}}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventTopic
metadata: {name: missing}
spec: {brokerRef: {name: main}, topic: $NS.missing}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventTopic
metadata: {name: brokerless}
spec: {brokerRef: {name: none}}
`)
	n.ready(n.broker("main"))
	says(t, n.condition(n.broker("nobody"), "Ready", "False", "Unreachable").Message,
		n.fill("$HOST:9"), "cannot be reached", "bootstrapServers")
	says(t, n.condition(n.broker("no-secret"), "Ready", "False", "SecretMissing").Message, "Secret", "nowhere")
	says(t, n.condition(n.broker("no-key"), "Ready", "False", "SecretKeyMissing").Message, "Secret", "empty", "password")
	wrong := n.condition(n.broker("wrong"), "Ready", "False", "AuthenticationFailed")
	says(t, wrong.Message, "authentication", "password")
	if strings.Contains(wrong.Message, wrongPassword) {
		t.Errorf("the message holds the password: %s", wrong.Message)
	}
	says(t, n.condition(n.topic("missing"), "Ready", "False", "TopicMissing").Message, n.fill("$NS.missing"), "create it")
	says(t, n.condition(n.topic("brokerless"), "Ready", "False", "ReferenceMissing").Message, "EventBroker none", "create it")

	// Everything is mended where it was wrong; nothing has to be restarted or touched beside it.
	n.apply(`
apiVersion: v1
kind: Secret
metadata: {name: wrong}
stringData: {username: $KAFKA_USER, password: $KAFKA_PASSWORD}
---
apiVersion: v1
kind: Secret
metadata: {name: nowhere}
stringData: {username: $KAFKA_USER, password: $KAFKA_PASSWORD}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventTopic
metadata: {name: missing}
spec: {brokerRef: {name: main}, topic: $NS.missing, create: {partitions: 1, replicationFactor: 1}}
`)
	n.ready(n.broker("wrong"), n.broker("no-secret"), n.topic("missing"))
}

// TestStoreConditions goes through what can be wrong with a store.
func TestStoreConditions(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(`
apiVersion: v1
kind: Secret
metadata: {name: wrong}
stringData: {username: projector, password: ` + wrongPassword + `, host: postgres, dbname: $PG_DATABASE}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: ReadStore
metadata: {name: wrong}
spec: {postgres: {secretRef: {name: wrong}}}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: ReadStore
metadata: {name: nobody}
spec: {postgres: {secretRef: {name: reads-app}, host: $HOST, port: 9}}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: ReadStore
metadata: {name: no-secret}
spec: {postgres: {secretRef: {name: nowhere}}}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: ReadStore
metadata: {name: no-key}
spec: {postgres: {secretRef: {name: reads-app}, keys: {password: PGPASSWORD}}}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: ReadStore
metadata: {name: no-database}
spec: {postgres: {secretRef: {name: reads-app}, database: nowhere}}
`)
	wrong := n.condition(n.store("wrong"), "Ready", "False", "AuthenticationFailed")
	says(t, wrong.Message, "password")
	if strings.Contains(wrong.Message, wrongPassword) {
		t.Errorf("the message holds the password: %s", wrong.Message)
	}
	says(t, n.condition(n.store("nobody"), "Ready", "False", "Unreachable").Message, n.fill("$HOST"), "9")
	says(t, n.condition(n.store("no-secret"), "Ready", "False", "SecretMissing").Message, "nowhere")
	says(t, n.condition(n.store("no-key"), "Ready", "False", "SecretKeyMissing").Message, "reads-app", "PGPASSWORD")
	says(t, n.condition(n.store("no-database"), "Ready", "False", "").Message, "nowhere", "does not exist")
	n.apply(`
apiVersion: v1
kind: Secret
metadata: {name: wrong}
stringData: {username: projector, password: $PG_PASSWORD, host: postgres, dbname: $PG_DATABASE}
`)
	n.ready(n.store("wrong"))
}

// TestSpecConditions goes through specs that are refused, each with its field path, reason and fix.
func TestSpecConditions(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventTopic
metadata: {name: unkeyed}
spec: {brokerRef: {name: main}, topic: $NS.unkeyed, event: {type: event.type}, create: {partitions: 2, replicationFactor: 1}}
`)
	n.ready(n.topic("orders"), n.topic("unkeyed"))
	cases := []struct {
		name, reason string
		change       *strings.Replacer
		words        []string
	}{
		{"type", "InvalidSpec", strings.NewReplacer("type: int64}", "type: money}"), []string{"columns[last]", "money", "int64"}},
		{"cel", "InvalidSpec", strings.NewReplacer("last: event.n", `last: "event.n +"`), []string{"handlers[line].set.last"}},
		{"text", "InvalidSpec", strings.NewReplacer("last: event.n", `last: "'five'"`), []string{"handlers[line].set.last", "int64"}},
		{"column", "InvalidSpec", strings.NewReplacer("{last: event.n}", "{lost: event.n}"), []string{"lost"}},
		{"order", "OrderNotGuaranteed", strings.NewReplacer("[{name: orders}]", "[{name: unkeyed}]"), []string{"models[counts]", "keyedBy"}},
		{"reference", "ReferenceMissing", strings.NewReplacer("[{name: orders}]", "[{name: nothing}]"), []string{"nothing"}},
	}
	for _, c := range cases {
		n.apply(c.change.Replace(strings.Replace(counts, "metadata: {name: counts}", "metadata: {name: "+c.name+"}", 1)))
	}
	for _, c := range cases {
		p := n.projection(c.name)
		if c.reason == "ReferenceMissing" {
			says(t, n.condition(p, "Ready", "False", c.reason).Message, c.words...)
			continue
		}
		accepted := n.condition(p, "SpecAccepted", "False", c.reason)
		says(t, accepted.Message, c.words...)
		t.Logf("%s: %s", c.name, accepted.Message)
		n.condition(p, "Stalled", "True", c.reason)
		if p.Status.Status != "Refused" {
			t.Errorf("%s: status %q, want Refused", c.name, p.Status.Status)
		}
	}
	// What the API server can see itself is refused at once.
	for name, change := range map[string]*strings.Replacer{
		"nothing to do":  strings.NewReplacer("add: {events: \"1\"}", "", "set: {last: event.n}", ""),
		"quoted name":    strings.NewReplacer("models:\n  - name: counts", "models:\n  - name: 'cou\"nts'"),
		"two mechanisms": strings.NewReplacer("set: {last: event.n}", "delete: true"),
	} {
		err := n.tryApply(change.Replace(strings.Replace(counts, "metadata: {name: counts}", "metadata: {name: refused}", 1)))
		if err == nil {
			t.Errorf("%s: the API server took it", name)
		}
	}
}

// TestNames uses names that SQL would like to have for itself.
func TestNames(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: Projection
metadata: {name: words}
spec:
  storeRef: {name: reads}
  topics: [{name: orders}]
  models:
  - name: Select
    key: [User]
    columns:
    - {name: User, type: text}
    - {name: order, type: int64, default: "0"}
    - {name: Table, type: text, default: "O'Brien; DROP TABLE x --"}
    indexes:
    - {columns: [order, Table]}
    handlers:
    - name: line
      events: [line]
      key: {User: event.id}
      add: {order: "1"}
`)
	n.caughtUp("words")
	n.produce(message{"orders", `a"b'c`, `{"type":"line","id":"a\"b'c"}`}, message{"orders", `a"b'c`, `{"type":"line","id":"a\"b'c"}`})
	n.holds(`SELECT "User" = 'a"b''c' AS a, "order", "Table" FROM $SCHEMA."Select"`, `(t,2,"O'Brien; DROP TABLE x --")`)
}

// TestNameTaken leaves what is not ours alone, and goes on when it is gone.
func TestNameTaken(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	sql(t, "CREATE SCHEMA "+n.schema+" AUTHORIZATION projector")
	sql(t, "CREATE TABLE "+n.schema+".counts AS SELECT 7 AS theirs")
	n.apply(brokerAndStore + ordersTopic + counts)
	c := n.condition(n.projection("counts"), "Ready", "False", "NameTaken")
	says(t, c.Message, "counts", n.schema)
	t.Log(c.Message)
	n.condition(n.projection("counts"), "Stalled", "True", "NameTaken")
	n.holds("SELECT theirs FROM $SCHEMA.counts", "(7)")
	sql(t, "DROP TABLE "+n.schema+".counts")
	n.caughtUp("counts")
}

// TestPoison sends what cannot be applied: the partition stops and says where and why, and shows no value.
func TestPoison(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore + ordersTopic + counts)
	n.caughtUp("counts")
	const canary = "c4nary-in-the-payload"
	n.produce(message{"orders", "a", `{"type":"line","id":"a","n":1}`},
		message{"orders", "a", `{"type":"line","id":"a","n":"` + canary + `"}`},
		message{"orders", "a", `{"type":"line","id":"a","n":3}`})
	c := n.condition(n.projection("counts"), "Ready", "False", "HandlerError")
	t.Log(c.Message)
	says(t, c.Message, "Partition orders/", "stopped at position 1", "models[counts].handlers[line].set.last", "Nothing after this event", "the tables are built anew")
	n.condition(n.projection("counts"), "Stalled", "True", "HandlerError")
	n.holds("SELECT events, last FROM $SCHEMA.counts WHERE id = 'a'", "(1,1)")
	described := n.kubectl("describe", "proj", "counts")
	t.Log(described)
	says(t, described, "stopped at position 1")
	n.nowhere(canary)
	// The others go on.
	other := n.keyElsewhere("a")
	n.produce(message{"orders", other, `{"type":"line","id":"` + other + `","n":9}`})
	n.holds("SELECT events, last FROM $SCHEMA.counts WHERE id = '"+other+"'", "(1,9)")
}

// TestBadPayloads sends one kind of bad event to each projection's own topic.
func TestBadPayloads(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore)
	cases := []struct {
		name, key, value, reason string
		words                    []string
	}{
		{"nojson", "a", `{"type":"line","id":"a",`, "DecodeError", []string{"JSON"}},
		{"nofield", "a", `{"type":"line","id":"a"}`, "HandlerError", []string{"event.n"}},
		{"overflow", "a", `{"type":"line","id":"a","n":3000000000000000000000}`, "", []string{"last"}},
		{"wrongkey", "b", `{"type":"line","id":"a","n":1}`, "KeyMismatch", []string{"keyedBy"}},
	}
	for _, c := range cases {
		own := strings.NewReplacer("name: orders", "name: "+c.name, "$NS.orders", "$NS."+c.name,
			"metadata: {name: counts}", "metadata: {name: "+c.name+"}", "- name: counts", "- name: "+c.name)
		n.apply(own.Replace(ordersTopic + counts))
	}
	for _, c := range cases {
		n.ready(n.topic(c.name))
		n.produce(message{c.name, c.key, c.value})
	}
	for _, c := range cases {
		got := n.condition(n.projection(c.name), "Stalled", "True", c.reason)
		t.Logf("%s: %s: %s", c.name, got.Reason, got.Message)
		says(t, got.Message, append(c.words, "Partition "+c.name+"/", "stopped at position 0")...)
		n.holds("SELECT count(*) FROM $SCHEMA."+c.name, "(0)")
	}
}

// TestDatabaseDown takes the database away while events come in, and gives it back.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	p := newProxy(t, "127.0.0.1:"+parts()["PG_PORT"])
	n.apply(brokerAndStore + `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: ReadStore
metadata: {name: reads}
spec:
  postgres:
    {secretRef: {name: direct}, schema: $SCHEMA, bookkeepingSchema: $SCHEMA_books}
---
apiVersion: v1
kind: Secret
metadata: {name: direct}
stringData: {username: projector, password: $PG_PASSWORD, host: $HOST, port: "` + p.port + `", dbname: $PG_DATABASE}
---
` + ordersTopic + strings.Replace(counts, "spec:\n", "spec:\n  lagTargetSeconds: 1\n", 1))
	n.caughtUp("counts")
	pod := n.running("counts", 1)[0]
	p.down()
	n.produce(message{"orders", "a", `{"type":"line","id":"a","n":1}`})
	// While the commit is still being tried, Ready may first say that the partitions lag.
	n.condition(n.projection("counts"), "StoreReady", "False", "Unreachable")
	c := n.condition(n.projection("counts"), "Ready", "False", "WaitingForStore")
	t.Logf("%s: %s", c.Reason, c.Message)
	says(t, c.Message, n.fill("$HOST"))
	n.condition(n.projection("counts"), "Reconciling", "True", "")
	n.condition(n.projection("counts"), "Available", "True", "")
	p.up()
	n.caughtUp("counts")
	n.holds("SELECT id, events, last FROM $SCHEMA.counts", "(a,1,1)")
	after := &corev1.Pod{ObjectMeta: n.meta(pod)}
	n.get(after)
	if r := after.Status.ContainerStatuses[0].RestartCount; r != 0 {
		t.Errorf("the projector was restarted %d times", r)
	}
}
