// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// devices holds the newest reading of each device that is not retired.
func devices() *contract.Contract {
	c := &contract.Contract{
		Version: contract.Version, Projection: contract.Identity{Cluster: "c", Namespace: "n", Name: "devices", UID: "u"}, Group: "g",
		Topics: []contract.Topic{{Name: "orders", BrokerTopic: "orders", Format: "JSON", KeyedBy: "event.device", EventType: "event.type"}},
		Models: []contract.Model{{
			Name: "device", Key: []string{"id"},
			Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "n", Type: "int64"}, {Name: "state", Type: "text"}},
			Handlers: []contract.Handler{
				{Name: "read", Topic: "orders", Events: []string{"read"}, OnAbsent: "Create", Key: map[string]string{"id": "event.device"},
					Set: map[string]string{"n": "event.n", "state": "event.state"}},
				{Name: "retired", Topic: "orders", Events: []string{"retired"}, OnAbsent: "Create", Key: map[string]string{"id": "event.device"}, Delete: true},
			},
		}},
	}
	c.DataHash = compile.DataHash(c)
	compile.Rename(c, "")
	return c
}

// A revision from a time on holds what the events since then have made, be it built in bulk or as events come: each row as
// the fold of all events has it, and none of a device that has not spoken since.
func TestBuildFromATime(t *testing.T) {
	for name, mode := range map[string]string{"in bulk": "", "as they come": contract.BuildLive} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, devices(), 2)
			const n = 300
			since := time.UnixMilli(1_700_000_000_000 + 200).UTC()
			for i := range n {
				device, kind := i%20, "read"
				if i%20 < 5 && i >= 150 {
					device = 10 + i%5 // the first five fall silent
				}
				if i%37 == 36 {
					kind = "retired"
				}
				body := fmt.Sprintf(`{"type": %q, "device": "d%d", "n": %d, "state": "s%d"}`, kind, device, i, i%3)
				w.append(event.TopicPartition{Topic: "orders", Partition: int32(device % 2)}, event.Record{Key: fmt.Append(nil, "d", device), Value: []byte(body)})
			}
			whole, _ := w.expected(nil)
			rest, _ := w.expected(func(f fed) bool { return f.rec.Time().Before(since) })

			if why := compile.StartRefusals(w.c); why != nil {
				t.Fatal(why)
			}
			c := *w.c
			compile.Rename(&c, "since")
			c.From, c.Build = &contract.From{Time: since}, &contract.Build{Mode: mode}
			w.c = &c
			w.prepareFrom()
			first := w.claims()
			if w.build(nil); (outcome(t, w.builder) == "Built") != (mode == "") {
				t.Fatalf("outcome %s", outcome(t, w.builder))
			}
			w.follow(func(s contract.ProjectorStatus) bool {
				caughtUp := len(s.Partitions) == 2
				for i, p := range s.Partitions {
					caughtUp = caughtUp && p.CaughtUp && p.Begin == contract.OffsetPosition(first[i].Next) && p.Begin != "0"
				}
				return caughtUp
			})
			if why := w.holds(rest); why != "" {
				t.Fatal(why)
			}
			all, some := whole.Rows(0), rest.Rows(0)
			if len(some) == 0 || len(some) >= len(all) {
				t.Fatalf("%d rows of %d: the test says nothing", len(some), len(all))
			}
			byID := map[any][]any{}
			for _, row := range all {
				byID[row[0]] = []any{row[1], row[2]}
			}
			for _, row := range some {
				if was := byID[row[0]]; was == nil || was[0] != row[1] || was[1] != row[2] {
					t.Errorf("row %v, of all events %v", row, was)
				}
			}
		})
	}
}

// prepareFrom prepares the revision where its contract says, as the Job does.
func (w *world) prepareFrom() {
	w.Helper()
	log := w.broker.Log()
	defer log.Close() //nolint:errcheck // in memory
	tps := []event.TopicPartition{{Topic: "orders"}, {Topic: "orders", Partition: 1}}
	at, err := log.At(w.Context(), w.c.From.Time, tps...)
	if err != nil {
		w.Fatal(err)
	}
	infos, err := log.Describe(w.Context(), "orders")
	if err != nil {
		w.Fatal(err)
	}
	var starts []stores.Start
	for _, tp := range tps {
		starts = append(starts, stores.Start{TopicPartition: tp, At: at[tp], TopicID: infos["orders"].ID})
	}
	if _, err := w.store.Admin().Prepare(w.Context(), w.c, starts); err != nil {
		w.Fatal(err)
	}
}
