// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/memory"
	"github.com/projectionist-dev/projectionist/projectors/stores/storetest"
)

type database struct{ *memory.Store }

func (d database) Writer(_ testing.TB, c *contract.Contract) stores.Writer { return d.Store.Writer(c) }

func (d database) Rows(_ testing.TB, c *contract.Contract, model int) [][]value.Value {
	return d.Store.Rows(c, c.Models[model].Name)
}

func (d database) ViewCount(_ testing.TB, model string) int { return d.View(model) }

func (d database) ViewRows(t testing.TB, c *contract.Contract, model int) [][]value.Value {
	t.Helper()
	out, err := d.Store.ViewRows(c, model)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (d database) CreateForeign(_ testing.TB, name string) { d.Store.CreateForeign(name) }

func (d database) Relations(testing.TB) []string { return d.Store.Relations() }

func (d database) DeletePosition(_ testing.TB, c *contract.Contract, tp event.TopicPartition) {
	d.Store.DeletePosition(c, tp)
}

func (d database) RaiseHeldVersion(_ testing.TB, c *contract.Contract, tp event.TopicPartition) {
	d.Store.RaiseHeldVersion(c, tp)
}

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(testing.TB) storetest.Database { return database{memory.New()} },
		// It keeps values as they are, whatever a column is called in a database.
		Native: []storetest.Native{{Type: "text", Native: "inet", Samples: []string{"10.0.0.1", "::1"}}},
	})
}

func small(t *testing.T) (*memory.Store, *contract.Contract, stores.Writer, func() stores.Commit) {
	t.Helper()
	s := memory.New()
	c := &contract.Contract{
		Projection: contract.Identity{Cluster: "c", Namespace: "n", Name: "p"}, Revision: "0123456789", DataHash: "1:0123456789",
		Topics: []contract.Topic{{Name: "orders"}},
		Models: []contract.Model{{Name: "m", Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "n", Type: "int64"}}}},
	}
	tp := event.TopicPartition{Topic: "orders"}
	if _, err := s.Admin().Prepare(t.Context(), c, []stores.Start{{TopicPartition: tp}}); err != nil {
		t.Fatal(err)
	}
	w := s.Writer(c)
	claims, err := w.Claim(t.Context(), "pod", []event.TopicPartition{tp})
	if err != nil {
		t.Fatal(err)
	}
	models, err := fold.ModelsOf(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, c, w, func() stores.Commit {
		b := fold.NewBatch(models)
		if err := b.Apply(fold.Effect{Key: []value.Value{"a"}, Changes: []fold.Change{{Column: 1, Op: fold.OpAdd, Operand: int64(1)}}}); err != nil {
			t.Fatal(err)
		}
		out := stores.Commit{Advances: []stores.Advance{{Claim: claims[0], Next: claims[0].Next + 1}}, Rows: b}
		claims[0].Next++
		return out
	}
}

func TestFaults(t *testing.T) {
	s, c, w, next := small(t)
	down := &stores.EnvironmentError{Reason: stores.ReasonUnreachable, Message: "down"}
	fail := func(context.Context, stores.Commit) error { return down }

	s.SetHooks(memory.Hooks{BeforeCommit: fail})
	commit := next()
	if err := w.Commit(t.Context(), commit); !errors.Is(err, down) || !stores.Transient(err) || len(s.Rows(c, "m")) != 0 {
		t.Fatalf("err %v, rows %v", err, s.Rows(c, "m"))
	}
	s.SetHooks(memory.Hooks{AfterCommit: fail})
	if err := w.Commit(t.Context(), commit); !errors.Is(err, down) || len(s.Rows(c, "m")) != 1 {
		t.Fatalf("a lost acknowledgement: err %v, rows %v", err, s.Rows(c, "m"))
	}
	s.SetHooks(memory.Hooks{})
	var fenced *stores.FencedError
	if err := w.Commit(t.Context(), commit); !errors.As(err, &fenced) {
		t.Fatalf("the same once more: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.SetHooks(memory.Hooks{BeforeCommit: func(ctx context.Context, _ stores.Commit) error { cancel(); <-ctx.Done(); return ctx.Err() }})
	commit = next()
	if err := w.Commit(ctx, commit); !errors.Is(err, context.Canceled) {
		t.Fatalf("a commit that hangs: %v", err)
	}
	s.SetHooks(memory.Hooks{})
	if err := w.Commit(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	audit := s.Audit(c)
	if len(audit) != 2 || audit[0].First != 0 || audit[0].Next != 1 || audit[1].First != 1 || audit[1].Next != 2 || audit[0].Epoch != 1 {
		t.Fatalf("audit %+v", audit)
	}
	if row := s.Rows(c, "m")[0]; !slices.Equal(row, []value.Value{"a", int64(2)}) {
		t.Fatalf("row %v", row)
	}
}
