// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/events"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/goldentest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/replay"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/sources/memory"
)

func orders(t *testing.T) *replay.Projection {
	t.Helper()
	set, err := manifests.Load([]string{"testdata/shop.yaml"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := workspace.New(set)
	c, err := w.Compile(w.Projections[0], "preview")
	if err != nil {
		t.Fatal(err)
	}
	p, err := handlers.Compile(c.Contract, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &replay.Projection{Contract: c.Contract, Program: p}
}

// TestScreen shows every fate that an event can have.
func TestScreen(t *testing.T) {
	p := orders(t)
	given, err := FromFile(events.NewMaker(p.Contract.Topics, p.Program.NewEvaluator(), time.Unix(0, 0)), "testdata/events.ndjson", nil, 100)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Of(t.Context(), p, given)
	if err != nil {
		t.Fatal(err)
	}
	for format, file := range map[output.Format]string{output.Text: "testdata/screen.golden", output.JSON: "testdata/json.golden"} {
		var b bytes.Buffer
		out := output.New(nil, &b, nil)
		out.Format = format
		if err := Print(out, r); err != nil {
			t.Fatal(err)
		}
		goldentest.Equal(t, file, b.String())
	}
}

func TestFromFileTakesTheFirst(t *testing.T) {
	p := orders(t)
	m := events.NewMaker(p.Contract.Topics, p.Program.NewEvaluator(), time.Unix(0, 0))
	given, err := FromFile(m, "orders=-", strings.NewReader("{\"type\": \"Placed\", \"order\": 1}\n{\"type\": \"Placed\", \"order\": 2}\nnot looked at, since the limit is reached"), 2)
	if err != nil || len(given) != 2 || string(given[1].Record.Key) != "2" {
		t.Errorf("%d events (%v), want the first two, with their keys", len(given), err)
	}
}

// TestFirstOfATopic reads all partitions from their beginnings, in the order of time, with their places in the log.
func TestFirstOfATopic(t *testing.T) {
	b := memory.NewBroker()
	b.CreateTopic("orders", 2)
	one, two := event.TopicPartition{Topic: "orders"}, event.TopicPartition{Topic: "orders", Partition: 1}
	b.Append(one, event.Record{Timestamp: 1, Value: []byte("gone")}, event.Record{Timestamp: 30, Value: []byte("c")}, event.Record{Timestamp: 40, Value: []byte("d")})
	b.DeleteRecords(one, 1)
	b.Append(two, event.Record{Timestamp: 10, Value: []byte("a")}, event.Record{Timestamp: 20, Value: []byte("b")})
	b.Skip(two, 3) // no records, but positions
	got, err := first(t.Context(), b.Log(), "orders", 3)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, e := range got {
		text = append(text, e.Place+" "+string(e.Record.Value))
	}
	if want := []string{"orders/1@0 a", "orders/1@1 b", "orders/0@1 c"}; !cmp.Equal(text, want) {
		t.Errorf("got %q, want %q", text, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := first(ctx, b.Log(), "orders", 3); err == nil {
		t.Error("it goes on after its context's end")
	}
}
