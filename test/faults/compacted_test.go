// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
	"github.com/projectionist-dev/projectionist/test/oracle"
)

// A compacted topic, with aborted transactions in it, gives the rows that a
// second client's last values give.
func TestCompactedTopic(t *testing.T) {
	t.Parallel()
	const topic, keys, rounds = "state", 50, 120
	p := calm.NewProjection(t, rig.Spec{
		Topics:     []contract.Topic{{Name: topic, KeyedBy: "event.id"}},
		Partitions: map[string]int32{topic: 2},
		Config: map[string]string{
			"cleanup.policy": "compact", "segment.ms": "500", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "500",
		},
		Models: []contract.Model{{
			Name: "state", Key: []string{"id"},
			Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "value", Type: "int64"}, {Name: "text", Type: "text"}},
			Handlers: []contract.Handler{{
				Name: "set", Topic: topic, OnAbsent: "Create", Key: map[string]string{"id": "event.id"},
				Set: map[string]string{"value": "event.value", "text": "event.text"},
			}},
		}},
	})
	p.Prepare(t)
	tx, err := p.Kafka.Dial(kgo.TransactionalID(p.ID), kgo.TransactionTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	for round := range rounds {
		var records []*kgo.Record
		for k := range keys {
			if (k+round)%4 != 0 {
				continue
			}
			id := "k" + strconv.Itoa(k)
			records = append(records, &kgo.Record{Topic: p.BrokerTopic(topic), Key: []byte(id),
				Value: fmt.Appendf(nil, `{"id":%q,"value":%d,"text":"round %d"}`, id, round*1000+k, round)})
		}
		p.Kafka.Transaction(t, tx, round%3 != 2, records...)
		if round%30 == 29 {
			time.Sleep(600 * time.Millisecond) // the age at which a segment is closed and may be cleaned
		}
	}
	made := int64(0)
	for _, end := range p.Ends(t) {
		made += end
	}
	var shown [][]*kgo.Record
	rig.Until(t, 60*time.Second, "the broker compacts", func() string {
		shown = p.Kafka.ReadCommitted(t, p.BrokerTopic(topic), 2)
		if n := int64(len(shown[0]) + len(shown[1])); n > made/3 {
			return fmt.Sprintf("%d of %d records are left", n, made)
		}
		return ""
	})
	want := oracle.Table{Name: "state", Key: []string{"id"}, Columns: []string{"value", "text"}, Rows: map[string][]string{}}
	for _, records := range shown {
		for _, r := range records {
			var v struct {
				ID    string      `json:"id"`
				Value json.Number `json:"value"`
				Text  string      `json:"text"`
			}
			if err := json.Unmarshal(r.Value, &v); err != nil {
				t.Fatal(err)
			}
			want.Rows[v.ID] = []string{v.Value.String(), v.Text}
		}
	}
	proc := p.Start(t, launch("one"))
	p.AwaitEnds(t, 60*time.Second)
	have, err := oracle.Read(t.Context(), p.Pool, p.ID, want)
	if err != nil {
		t.Fatal(err)
	}
	r := &oracle.Result{}
	if r.Compare(want, have); !r.OK() || r.Rows != keys {
		t.Error(r)
	}
	proc.AwaitStatus(t, 10*time.Second, "is caught up", func(st contract.ProjectorStatus) string {
		for _, part := range st.Partitions {
			if !part.CaughtUp || part.Lag != 0 {
				return fmt.Sprintf("%s/%d is not", part.Topic, part.Partition)
			}
		}
		return healthy(st)
	})
}
