// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package registry_test

import (
	"context"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/registry"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
)

// variable gives a variable of a real part, of the environment or of its env script.
func variable(t *testing.T, part, name string) string {
	t.Helper()
	if v := os.Getenv(name); v != "" {
		return v
	}
	out, err := exec.Command(filepath.Join("..", "..", "hack", part, "env")).Output()
	if err != nil {
		t.Fatalf("no %s: run hack/%s/up, or set %s (%v)", part, part, name, err)
	}
	for line := range strings.Lines(string(out)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "export "+name+"="); ok {
			return strings.Trim(v, "'")
		}
	}
	t.Fatalf("hack/%s/env says nothing of %s", part, name)
	return ""
}

const (
	realMoney = `{"type":"record","name":"Money","namespace":"common","fields":[
		{"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}},{"name":"currency","type":"string"}]}`
	realOrder = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"string"},{"name":"total","type":"common.Money"},
		{"name":"note","type":["null","string"]},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}`
	realLineProto  = `syntax = "proto3"; package shop; message Line { string sku = 1; int64 n = 2; }`
	realOrderProto = `syntax = "proto3"; package shop; import "line.proto"; import "google/protobuf/timestamp.proto";
		message Unused { int32 x = 1; } message Order { string order_id = 1; repeated Line lines = 2; google.protobuf.Timestamp at = 3; }`
	realJSON = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"id":{"type":"string"}}}`
)

// realRun is one run of the test: names of its own at a registry and a broker that others may use, too.
type realRun struct {
	t      *testing.T
	name   string
	rcl    *sr.Client
	client *kgo.Client
	broker string
	// schemas is what is tested.
	schemas *registry.Client
}

func newRealRun(t *testing.T) *realRun {
	t.Helper()
	url := variable(t, "registry", "SCHEMA_REGISTRY_URL")
	r := &realRun{t: t, name: fmt.Sprintf("registry-%d", time.Now().UnixNano()), broker: variable(t, "kafka", "KAFKA_BOOTSTRAP")}
	var err error
	if r.rcl, err = sr.NewClient(sr.URLs(url)); err != nil {
		t.Fatal(err)
	}
	if r.client, err = kgo.NewClient(kgo.SeedBrokers(r.broker)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.Close)
	// The first address has no registry.
	r.schemas, err = registry.New(t.Context(), registry.Config{URLs: []string{"http://127.0.0.1:1", url}, Patience: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.schemas.Probe(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *realRun) register(subject string, s sr.Schema) sr.SubjectSchema {
	r.t.Helper()
	out, err := r.rcl.CreateSchema(r.t.Context(), r.name+"-"+subject, s)
	if err != nil {
		r.t.Fatalf("%s: %v", subject, err)
	}
	return out
}

func (r *realRun) reference(name string, to sr.SubjectSchema) []sr.SchemaReference {
	return []sr.SchemaReference{{Name: name, Subject: to.Subject, Version: to.Version}}
}

// through produces a record, reads it back and decodes it by a topic's declaration.
func (r *realRun) through(topic contract.Topic, key, value []byte) (codecs.Doc, error) {
	r.t.Helper()
	topic.Name, topic.BrokerTopic = strings.ToLower(topic.Format), r.name+"-"+strings.ToLower(topic.Format)
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: topic.BrokerTopic, NumPartitions: 1, ReplicationFactor: 1}}
	if _, err := create.RequestWith(r.t.Context(), r.client); err != nil {
		r.t.Fatal(err)
	}
	produced, err := r.client.ProduceSync(r.t.Context(), &kgo.Record{Topic: topic.BrokerTopic, Key: key, Value: value}).First()
	if err != nil {
		r.t.Fatal(err)
	}
	log, err := kafka.NewLog(kafka.Config{Bootstrap: []string{r.broker}, Topics: map[string]string{topic.Name: topic.BrokerTopic}})
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // of a test
	decoder, err := codecs.New(&topic, r.schemas)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	at := sources.Position{TopicPartition: event.TopicPartition{Topic: topic.Name}, Offset: produced.Offset, LeaderEpoch: -1}
	for ctx.Err() == nil {
		results, err := log.Fetch(ctx, []sources.Position{at})
		if err != nil {
			continue // a topic that was just made
		}
		for i := range results {
			if b := &results[i].Batch; results[i].Err == nil && len(b.Records) > 0 {
				doc, err := decoder.Decode(&b.Records[0])
				b.Release()
				return doc, err
			}
		}
	}
	r.t.Fatalf("%s: the record never came", topic.Format)
	return codecs.Doc{}, nil
}

func (r *realRun) expect(topic contract.Topic, key, value []byte, wantKey, want string) {
	r.t.Helper()
	doc, err := r.through(topic, key, value)
	if err != nil {
		r.t.Fatalf("%s: %v", topic.Format, err)
	}
	if got := doc.Value.String(); got != want || string(doc.Key) != wantKey {
		r.t.Errorf("%s: key %q, value %s\nwant key %q, value %s", topic.Format, doc.Key, got, wantKey, want)
	}
}

func wire(t *testing.T, id int, index []int, payload []byte) []byte {
	t.Helper()
	var h sr.ConfluentHeader
	b, err := h.AppendEncode(nil, id, index)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, payload...)
}

func TestRealRegistry(t *testing.T) {
	r := newRealRun(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)

	money := r.register("money", sr.Schema{Schema: realMoney})
	order := r.register("order", sr.Schema{Schema: realOrder, References: r.reference("common.Money", money)})
	key := r.register("key", sr.Schema{Schema: `"string"`})
	var cache avro.SchemaCache
	if _, err := cache.Parse(realMoney); err != nil {
		t.Fatal(err)
	}
	writer, err := cache.Parse(realOrder)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := writer.Encode(map[string]any{
		"id": "o-1", "total": map[string]any{"amount": big.NewRat(1250, 100), "currency": "EUR"}, "note": nil, "at": at,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.expect(contract.Topic{Format: "Avro", KeyFormat: "Avro"}, wire(t, key.ID, nil, []byte("\x06o-1")), wire(t, order.ID, nil, payload),
		"o-1", `{"id":"o-1","total":{"amount":12.50,"currency":"EUR"},"note":null,"at":"2026-01-02T03:04:05.6Z"}`)

	line := r.register("line.proto", sr.Schema{Schema: realLineProto, Type: sr.TypeProtobuf})
	proto := r.register("order.proto", sr.Schema{Schema: realOrderProto, Type: sr.TypeProtobuf, References: r.reference("line.proto", line)})
	b := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "o-1")
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), []byte("\x0a\x01a\x10\x03"))
	b = protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), protowire.AppendVarint([]byte{0x08}, uint64(at.Unix())))
	r.expect(contract.Topic{Format: "Protobuf"}, []byte("o-1"), wire(t, proto.ID, []int{1}, b),
		"o-1", `{"orderId":"o-1","lines":[{"sku":"a","n":3}],"at":"2026-01-02T03:04:05Z"}`)

	schema := r.register("json", sr.Schema{Schema: realJSON, Type: sr.TypeJSON})
	r.expect(contract.Topic{Format: "JSONSchema", KeyFormat: "JSON", KeyField: "id"}, []byte(`{"id":"o-1"}`), wire(t, schema.ID, nil, []byte(`{"id":"o-1"}`)), "o-1", `{"id":"o-1"}`)
	if s, err := r.schemas.Schema(schema.ID); err != nil || s.Type != codecs.SchemaJSON {
		t.Errorf("the JSON Schema is %s, %v", s.Type, err)
	}

	// The registry has not this id, and one address does not answer at all: both are waits.
	_, err = r.through(contract.Topic{Format: "Avro"}, nil, wire(t, 1<<30, nil, payload))
	if reason := reasonOf(err); reason != codecs.ReasonSchemaMissing && reason != codecs.ReasonRegistryUnreachable {
		t.Errorf("an unknown id: %v", err)
	}
	alone, err := registry.New(t.Context(), registry.Config{URLs: []string{variable(t, "registry", "SCHEMA_REGISTRY_URL")}, Patience: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alone.Schema(1 << 30); reasonOf(err) != codecs.ReasonSchemaMissing {
		t.Errorf("an unknown id: %v", err)
	}
}
