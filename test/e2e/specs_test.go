// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

// plumbing is what a user's platform has: names for the broker and the database, and their Secrets in the forms of
// Strimzi and CloudNativePG.
const plumbing = `
apiVersion: v1
kind: Service
metadata: {name: kafka}
spec: {ports: [{name: sasl, port: 9092, targetPort: $KAFKA_PORT}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kafka, labels: {kubernetes.io/service-name: kafka}}
addressType: IPv4
ports: [{name: sasl, port: $KAFKA_PORT}]
endpoints: [{addresses: ["$HOST"]}]
---
apiVersion: v1
kind: Service
metadata: {name: postgres}
spec: {ports: [{name: postgres, port: 5432, targetPort: $PG_PORT}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: postgres, labels: {kubernetes.io/service-name: postgres}}
addressType: IPv4
ports: [{name: postgres, port: $PG_PORT}]
endpoints: [{addresses: ["$HOST"]}]
---
apiVersion: v1
kind: Secret
metadata: {name: kafka-user}
stringData:
  password: "$KAFKA_PASSWORD"
  sasl.jaas.config: 'org.apache.kafka.common.security.scram.ScramLoginModule required username="$KAFKA_USER" password="$KAFKA_PASSWORD";'
---
apiVersion: v1
kind: Secret
metadata: {name: reads-app}
stringData:
  username: projector
  password: "$PG_PASSWORD"
  dbname: "$PG_DATABASE"
  host: postgres
  port: "5432"
  uri: "postgresql://projector:$PG_PASSWORD@postgres:5432/$PG_DATABASE"
`

const brokerAndStore = `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventBroker
metadata: {name: main}
spec:
  kafka:
    bootstrapServers: ["kafka:9092"]
    authentication: {mechanism: SCRAM-SHA-512, secretRef: {name: kafka-user}}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: ReadStore
metadata: {name: reads}
spec:
  postgres: {secretRef: {name: reads-app}, schema: $SCHEMA, bookkeepingSchema: $SCHEMA_books}
---
`

const ordersTopic = `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventTopic
metadata: {name: orders}
spec:
  brokerRef: {name: main}
  topic: $NS.orders
  keyedBy: event.id
  event: {type: event.type}
  create: {partitions: 3, replicationFactor: 1, config: {retention.ms: "-1"}}
---
`

// counts is a small projection: how many events per id, and the last n.
const counts = `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: Projection
metadata: {name: counts}
spec:
  storeRef: {name: reads}
  topics: [{name: orders}]
  models:
  - name: counts
    key: [id]
    columns:
    - {name: id, type: text}
    - {name: events, type: int64, default: "0"}
    - {name: last, type: int64}
    handlers:
    - name: line
      events: [line]
      key: {id: event.id}
      add: {events: "1"}
      set: {last: event.n}
---
`

// ledger is what test/oracle folds.
const ledger = `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventTopic
metadata: {name: payments}
spec:
  brokerRef: {name: main}
  topic: $NS.payments
  keyedBy: event.id
  event: {type: event.type}
  create: {partitions: 2, replicationFactor: 1}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: Projection
metadata: {name: ledger}
spec:
  storeRef: {name: reads}
  topics: [{name: orders}, {name: payments}]
  models:
  - name: ledger
    key: [id]
    columns:
    - {name: id, type: text}
    - {name: lines, type: int64, default: "0"}
    - {name: total, type: "decimal(14,2)", default: "0"}
    - {name: highest, type: int64}
    - {name: last, type: int64}
    - {name: notes, type: int64, default: "0"}
    - {name: seqs, type: "int64[]", default: "[]"}
    handlers:
    - name: line
      topic: orders
      events: [line]
      key: {id: event.id}
      add: {lines: "1", total: event.amount}
      max: {highest: event.n}
      set: {last: event.seq}
      append: {seqs: event.seq}
    - name: note
      topic: orders
      events: [note]
      onAbsent: Ignore
      key: {id: event.id}
      add: {notes: "1"}
      append: {seqs: event.seq}
    - name: erased
      topic: orders
      events: [erased]
      key: {id: event.id}
      delete: true
  - name: balances
    key: [account]
    columns:
    - {name: account, type: text}
    - {name: ordered, type: int64, default: "0"}
    - {name: paid, type: int64, default: "0"}
    - {name: balance, type: int64, default: "0"}
    - {name: events, type: int64, default: "0"}
    handlers:
    - name: line
      topic: orders
      events: [line]
      key: {account: event.account}
      add: {ordered: event.n, balance: event.delta, events: "1"}
    - name: paid
      topic: payments
      events: [paid]
      key: {account: event.account}
      add: {paid: event.n, balance: event.delta, events: "1"}
`
