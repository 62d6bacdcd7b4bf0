// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
	"github.com/projectionist-dev/projectionist/test/oracle"
)

// canary marks the values of poisonous payloads, canaryNumber those that are numbers.
const (
	canary       = "canary-of-a-payload-51ab"
	canaryNumber = "918273645546372819"
)

// Each partition gets five good events, a poisonous one and five more good ones:
// it must stop exactly at the poison, say why and where, and show no value.
func TestPoison(t *testing.T) {
	t.Parallel()
	const topic = "events"
	const before = 5
	poisons := []struct {
		name, key, value, reason, path string
	}{
		{"not JSON", "k", `{"id":"k","n":1,"text":"` + canary, "DecodeError", ""},
		{"empty", "k", ``, "DecodeError", ""},
		{"missing field", "k", `{"id":"k","n":1,"other":"` + canary + `"}`, "HandlerError", "models[rows].handlers[row].set.text"},
		{"wrong type", "k", `{"id":"k","n":"` + canary + `","text":"x"}`, "HandlerError", "models[rows].handlers[row].add.n"},
		{"overflow of a column", "k", `{"id":"k","n":` + canaryNumber + `,"text":"x"}`, "", "models[rows]"},
		{"overflow of a sum", "k", `{"id":"k","n":2147483647,"text":"` + canary + `"}`, "", "models[rows].columns[n]"},
		{"key mismatch", canary, `{"id":"k","n":1,"text":"x"}`, "KeyMismatch", "topics[events].keyedBy"},
		{"key field of the wrong type", "k", `{"id":{"x":"` + canary + `"},"n":1,"text":"x"}`, "", "topics[events].keyedBy"},
		{"NUL in a text", "k", `{"id":"k","n":1,"text":"\u0000` + canary + `"}`, "", "models[rows].handlers[row].set.text"},
		{"invalid UTF-8", "k", "{\"id\":\"k\",\"n\":1,\"text\":\"\xff" + canary + "\"}", "", ""},
	}
	zero := "0"
	p := calm.NewProjection(t, rig.Spec{
		Topics:     []contract.Topic{{Name: topic, KeyedBy: "event.id"}},
		Partitions: map[string]int32{topic: int32(len(poisons))},
		Models: []contract.Model{{
			Name: "rows", Key: []string{"id"},
			Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "n", Type: "int32", Default: &zero}, {Name: "text", Type: "text"}},
			Handlers: []contract.Handler{{
				Name: "row", Topic: topic, OnAbsent: "Create", Key: map[string]string{"id": "event.id"},
				Add: map[string]string{"n": "event.n"}, Set: map[string]string{"text": "event.text"},
			}},
		}},
	})
	p.Prepare(t)
	manual, err := p.Kafka.Dial(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer manual.Close()
	want := oracle.Table{Name: "rows", Key: []string{"id"}, Columns: []string{"n", "text"}, Rows: map[string][]string{}}
	var records []*kgo.Record
	for i, poison := range poisons {
		id := fmt.Sprintf("k%d", i)
		good := func(n int) {
			records = append(records, &kgo.Record{Topic: p.BrokerTopic(topic), Partition: int32(i), Key: []byte(id),
				Value: fmt.Appendf(nil, `{"id":%q,"n":%d,"text":"good"}`, id, n)})
		}
		for n := range before {
			good(n)
		}
		key, value := poison.key, strings.Replace(poison.value, `"id":"k"`, `"id":"`+id+`"`, 1)
		if key == "k" {
			key = id
		}
		records = append(records, &kgo.Record{Topic: p.BrokerTopic(topic), Partition: int32(i), Key: []byte(key), Value: []byte(value)})
		for n := range before {
			good(100 * n)
		}
		want.Rows[id] = []string{"10", "good"} // 0+1+2+3+4
	}
	if err := manual.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	proc := p.Start(t, launch("one"))
	st := proc.AwaitStatus(t, 60*time.Second, "stops every partition", func(st contract.ProjectorStatus) string {
		for i := range poisons {
			if stopped(st, topic, int32(i)) == nil {
				return fmt.Sprintf("partition %d (%s) goes on", i, poisons[i].name)
			}
		}
		return ""
	})
	for i, poison := range poisons {
		s := stopped(st, topic, int32(i))
		t.Logf("%s: %s at %s, %s: %s", poison.name, s.Reason, s.Position, s.Path, s.Message)
		if s.Position != contract.OffsetPosition(before) {
			t.Errorf("%s: stopped at %s, want %d", poison.name, s.Position, before)
		}
		if poison.reason != "" && s.Reason != poison.reason || s.Reason == "" {
			t.Errorf("%s: reason %s, want %s", poison.name, s.Reason, poison.reason)
		}
		if !strings.HasPrefix(s.Path, poison.path) {
			t.Errorf("%s: path %q, want %q", poison.name, s.Path, poison.path)
		}
		if s.Message == "" {
			t.Errorf("%s: there is no message", poison.name)
		}
	}
	rig.Until(t, 20*time.Second, "what comes before is committed", func() string {
		for at, row := range p.Positions(t) {
			if row.Next != before {
				return fmt.Sprintf("partition %d is at %d", at.Partition, row.Next)
			}
		}
		return ""
	})
	have, err := oracle.Read(t.Context(), p.Pool, p.ID, want)
	if err != nil {
		t.Fatal(err)
	}
	r := &oracle.Result{}
	if r.Compare(want, have); !r.OK() {
		t.Error(r)
	}
	keepsSecrets(t, proc, canary, canaryNumber, p.Database.Env("PG_PASSWORD_PROJECTOR"))
}
