// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	sourcememory "github.com/projectionist-dev/projectionist/projectors/sources/memory"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

// A prepare begins where the time lies, and a Job that runs again when the projector has begun changes nothing of that; what
// it refuses, it explains.
func TestPrepareFrom(t *testing.T) {
	broker, s := sourcememory.NewBroker(), memory.New()
	broker.CreateTopic("orders", 2)
	tps := []event.TopicPartition{{Topic: "orders"}, {Topic: "orders", Partition: 1}}
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for i := range 10 {
		broker.Append(tps[0], event.Record{Value: []byte("{}"), Timestamp: noon.Add(time.Duration(i) * time.Minute).UnixMilli()})
	}
	log := broker.Log()
	prepare := func(c *contract.Contract) contract.Result {
		t.Helper()
		bounds, err := log.Bounds(t.Context(), tps...)
		if err != nil {
			t.Fatal(err)
		}
		var starts []stores.Start
		for _, tp := range tps {
			starts = append(starts, stores.Start{TopicPartition: tp, Next: bounds[tp].Earliest, End: bounds[tp].End})
		}
		if err := seek(t.Context(), log, c.From, starts); err != nil {
			t.Fatal(err)
		}
		res := contract.Result{OK: true}
		if err := prepareOn(t.Context(), s.Admin(), c, starts, &res); err != nil {
			res.OK = false
			explain(err, &res)
		}
		return res
	}
	at := func(c *contract.Contract) (out []int64) {
		t.Helper()
		claims, err := s.Writer(c).Peek(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range claims {
			if c.Begin != c.Next {
				t.Errorf("%+v", c)
			}
			out = append(out, c.Next)
		}
		return out
	}
	c := revision("aaaaaaaaaa")
	c.From = &contract.From{Time: noon.Add(4*time.Minute - time.Second)}
	if res := prepare(c); !res.OK || res.Prepare == nil || res.Revisions == nil {
		t.Fatalf("%+v", res)
	}
	if got := at(c); got[0] != 4 || got[1] != 0 {
		t.Fatalf("it begins at %v", got)
	}
	// Events that come late, with a time from before, and a log that is trimmed, are nothing to it.
	broker.Append(tps[1], event.Record{Value: []byte("{}"), Timestamp: noon.UnixMilli()}, event.Record{Value: []byte("{}"), Timestamp: noon.Add(time.Hour).UnixMilli()})
	broker.DeleteRecords(tps[0], 8)
	if res := prepare(c); !res.OK {
		t.Fatalf("%+v", res)
	}
	if got := at(c); got[0] != 4 || got[1] != 0 {
		t.Fatalf("it begins at %v once more", got)
	}
	other := revision("bbbbbbbbbb")
	other.From = &contract.From{Positions: []contract.FromPosition{{Topic: "orders", Position: "7"}}}
	if res := prepare(other); res.OK || res.Reason != "StartNotPossible" || res.Path != "spec.from.positions[0].position" || res.Retryable || res.Prepare != nil {
		t.Fatalf("%+v", res)
	}
	other.From.Positions[0].Position = "8"
	if res := prepare(other); !res.OK {
		t.Fatalf("%+v", res)
	}
	broker.Grow("orders", 3)
	tps = append(tps, event.TopicPartition{Topic: "orders", Partition: 2})
	third := revision("cccccccccc")
	third.From = c.From
	if res := prepare(third); res.OK || res.Reason != "TopicGrown" || !res.Retryable {
		t.Fatalf("%+v", res)
	}
}
