// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/foldtest"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// site is a prepared revision that nobody has claimed yet.
type site struct {
	*fixture
	b stores.Builder
}

// site prepares a revision; beside another one where beside is set, so that no reader sees its tables.
func (h Harness) site(t *testing.T, beside bool, models []contract.Model) *site {
	t.Helper()
	f := &fixture{TB: t, ctx: limited(t), db: h.Open(t), c: contractOf("summary", revisionB, models)}
	revisions := []*contract.Contract{f.c}
	if beside {
		revisions = []*contract.Contract{contractOf("summary", revisionA, models), f.c}
	}
	for _, c := range revisions {
		if _, err := f.db.Admin().Prepare(f.ctx, c, starts()); err != nil {
			t.Fatalf("Prepare: %v", err)
		}
	}
	var err error
	if f.models, err = fold.ModelsOf(f.c); err != nil {
		t.Fatal(err)
	}
	f.w = f.db.Writer(t, f.c)
	t.Cleanup(f.w.Close)
	b, ok := f.w.(stores.Builder)
	if !ok {
		t.Fatalf("the Writer is no stores.Builder: declare Builds in Harness.Lacks, or add it")
	}
	return &site{f, b}
}

func (s *site) start() stores.Build {
	s.Helper()
	b, err := s.b.StartBuild(s.ctx, "pod-1")
	if err != nil {
		s.Fatalf("StartBuild: %v", err)
	}
	s.Cleanup(b.Close)
	return b
}

// filled moves each partition on by its place.
func (s *site) filled(b stores.Build) []stores.Advance {
	var out []stores.Advance
	for i, c := range b.Claims() {
		out = append(out, stores.Advance{Claim: c, Next: c.Next + int64(i), LeaderEpoch: 7, TopicID: c.TopicID, EventTime: time.UnixMilli(1_700_000_000_000).UTC()})
	}
	return out
}

func (s *site) write(b stores.Build, rows [][][]value.Value) error {
	return b.Write(s.ctx, s.filled(b), fillOf(rows), func() {})
}

// fillOf gives rows by model, those of each in two pieces.
func fillOf(rows [][][]value.Value) stores.Fill {
	return func(load func(int, iter.Seq2[[]value.Value, error]) error) error {
		for half := range 2 {
			for m := range rows {
				piece := rows[m][:len(rows[m])/2]
				if half == 1 {
					piece = rows[m][len(rows[m])/2:]
				}
				if err := load(m, seqOf(piece, nil)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func seqOf(rows [][]value.Value, err error) iter.Seq2[[]value.Value, error] {
	return func(yield func([]value.Value, error) bool) {
		buf := []value.Value{}
		for _, row := range rows {
			buf = append(buf[:0], row...) // the store must not keep it
			if !yield(buf, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// someRows draws n rows of each model, each with a key of its own.
func someRows(models []fold.Model, n int) [][][]value.Value {
	out := make([][][]value.Value, len(models))
	for m := range models {
		// Making an example takes long: each is used a few times.
		var samples [][]value.Value
		for i := range 8 {
			samples = append(samples, foldtest.Row(&models[m]).Example(i))
		}
		for i := range n {
			row := slices.Clone(samples[i%len(samples)])
			for k, col := range models[m].Key {
				switch models[m].Columns[col].Type.Kind {
				case value.Text:
					row[col] = fmt.Sprintf("k\\%d\t%d'", k, i)
				case value.Date:
					row[col] = time.Date(1900, 1, 1+i, 0, 0, 0, 0, time.UTC)
				default:
					row[col] = int64(i)
				}
			}
			out[m] = append(out[m], row)
		}
	}
	return out
}

// buildWritesRowsAndPositions: every type, rules, tombstones; what comes after it is applied as always.
func buildWritesRowsAndPositions(t *testing.T, h Harness) {
	if h.lacks(t, Builds) {
		return
	}
	for _, beside := range []bool{false, true} {
		t.Run(fmt.Sprintf("beside=%t", beside), func(t *testing.T) {
			s := h.site(t, beside, foldtest.ContractModels())
			s.models = foldtest.WithFinishers(s.models)
			rows := someRows(s.models, 60)
			b := s.start()
			if claims := b.Claims(); len(claims) != len(allPartitions()) || claims[0].Next != 100 || claims[0].Owner != stores.BuildOwner("pod-1") {
				t.Fatalf("claims %+v", claims)
			}
			indexed := 0
			if err := b.Write(s.ctx, s.filled(b), fillOf(rows), func() { indexed++ }); err != nil || indexed != 1 {
				t.Fatalf("Write: %v, indexed %d times", err, indexed)
			}
			b.Close()
			for m := range s.models {
				s.wants(m, rows[m]...)
			}
			for i, c := range s.state().claims {
				if want := s.filled(b)[i]; c.Next != want.Next || c.LeaderEpoch != 7 || i > 0 && !c.EventTime.Equal(want.EventTime) {
					t.Fatalf("position %+v, want %+v", c, want)
				}
			}
			if _, err := s.b.StartBuild(s.ctx, "pod-2"); !errors.Is(err, stores.ErrBuilt) {
				t.Fatalf("built once more: %v", err)
			}
			// Keys are keys again: an upsert finds its row.
			s.claimAll()
			s.commit(fold.Effect{Model: 2, Key: []value.Value{rows[2][0][0]}, Changes: []fold.Change{set(1, int64(5))}},
				fold.Effect{Model: 2, Key: []value.Value{rows[2][1][0]}, Delete: true})
			rows[2][0][1] = int64(5)
			s.wants(2, append([][]value.Value{rows[2][0]}, rows[2][2:]...)...)
			h.did("built rows", 60*len(s.models))
		})
	}
}

// buildNativeTypes: a build writes the database's own types as a commit does.
func buildNativeTypes(t *testing.T, h Harness) {
	if h.lacks(t, Builds) || h.lacks(t, NativeTypes) {
		return
	}
	for _, n := range h.Native {
		typ, err := value.Parse(n.Type)
		if err != nil {
			t.Fatal(err)
		}
		s := h.site(t, true, []contract.Model{{Name: "m", Key: []string{"id"}, Columns: []contract.Column{
			{Name: "id", Type: "int64"}, {Name: "x", Type: n.Type, Native: n.Native}, {Name: "note", Type: "text"}, {Name: "list", Type: "text[]"}}}})
		rows := [][]value.Value{{int64(-1), nil, "a\\b\nc\td\re", list(`x"\`, "y")}}
		for i, text := range n.Samples {
			v, err := typ.ParseText(text)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, []value.Value{int64(i), v, nil, nil})
		}
		if n.Refused != "" {
			v, err := typ.ParseText(n.Refused)
			if err != nil {
				t.Fatal(err)
			}
			var d *stores.DataError
			b := s.start()
			if err := s.write(b, [][][]value.Value{{{int64(0), v, nil, nil}}}); !errors.As(err, &d) {
				t.Fatalf("%s: %v, want a DataError", n.Native, err)
			}
			b.Close()
		}
		if err := s.write(s.start(), [][][]value.Value{rows}); err != nil {
			t.Fatalf("%s: %v", n.Native, err)
		}
		s.wants(0, rows...)
		h.did("built rows", len(rows))
	}
}

// buildRight: one process at a time, and none once projectors have begun.
func buildRight(t *testing.T, h Harness) {
	if h.lacks(t, Builds) {
		return
	}
	open := func(t *testing.T) (*site, stores.Builder) {
		s := h.site(t, true, one())
		other := s.db.Writer(t, s.c)
		t.Cleanup(other.Close)
		return s, other.(stores.Builder)
	}
	t.Run("one at a time", func(t *testing.T) {
		s, other := open(t)
		b := s.start()
		if _, err := other.StartBuild(s.ctx, "pod-2"); !errors.Is(err, stores.ErrBuilding) {
			t.Fatalf("a second one: %v", err)
		}
		b.Close()
		again, err := other.StartBuild(s.ctx, "pod-2")
		if err != nil {
			t.Fatalf("after the first has left: %v", err)
		}
		defer again.Close()
		var fenced *stores.FencedError
		if err := s.write(b, [][][]value.Value{{{"a", int64(1), nil}}}); !errors.As(err, &fenced) {
			t.Fatalf("the first, after the second has claimed: %v", err)
		}
		s.wants(0)
		if err := s.write(again, [][][]value.Value{{{"a", int64(2), nil}}}); err != nil {
			t.Fatal(err)
		}
		s.wants(0, []value.Value{"a", int64(2), nil})
	})
	t.Run("projectors have begun", func(t *testing.T) {
		s, other := open(t)
		s.claimAll()
		if _, err := other.StartBuild(s.ctx, "pod-2"); !errors.Is(err, stores.ErrBuilt) {
			t.Fatalf("%v", err)
		}
		s.commit(on("a")) // its claims are as they were
	})
	t.Run("a claim during it", func(t *testing.T) {
		s, _ := open(t)
		b := s.start()
		select {
		case <-b.Lost():
			t.Fatal("the right is gone while nobody has claimed")
		default:
		}
		s.claimAll()
		select {
		case <-b.Lost():
		case <-s.ctx.Done():
			t.Fatal("it does not hear that its claims are gone, and works on in vain")
		}
		var fenced *stores.FencedError
		if err := s.write(b, [][][]value.Value{{{"a", int64(1), nil}}}); !errors.As(err, &fenced) {
			t.Fatalf("%v", err)
		}
		s.wants(0)
		s.commit(on("b"))
	})
	t.Run("built without a row", func(t *testing.T) {
		s, other := open(t)
		b := s.start()
		if err := s.write(b, [][][]value.Value{nil}); err != nil {
			t.Fatal(err)
		}
		b.Close()
		if _, err := other.StartBuild(s.ctx, "pod-2"); !errors.Is(err, stores.ErrBuilt) {
			t.Fatalf("%v", err)
		}
	})
	t.Run("abandoned", func(t *testing.T) {
		s, other := open(t)
		b := s.start()
		if err := b.Abandon(s.ctx); err != nil {
			t.Fatal(err)
		}
		b.Close()
		if _, err := other.StartBuild(s.ctx, "pod-2"); !errors.Is(err, stores.ErrBuilt) {
			t.Fatalf("%v", err)
		}
	})
	h.did("rights to build", 5)
}

// buildFails: a Write that fails leaves everything as it was, and may be done again.
func buildFails(t *testing.T, h Harness) {
	if h.lacks(t, Builds) {
		return
	}
	zero, hundred := "0", "100"
	s := h.site(t, true, []contract.Model{{Name: "m", Key: []string{"id"},
		Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "n", Type: "int32", Min: &zero, Max: &hundred}}, Indexes: []contract.Index{{Columns: []string{"n"}}}}})
	b := s.start()
	before := s.state()
	good := [][]value.Value{{"a", int64(1)}, {"b", nil}}
	wrong := errors.New("out of the rows")
	for name, fill := range map[string]stores.Fill{
		"rows": func(load func(int, iter.Seq2[[]value.Value, error]) error) error { return load(0, seqOf(good, wrong)) },
		"fill": func(load func(int, iter.Seq2[[]value.Value, error]) error) error {
			if err := load(0, seqOf(good, nil)); err != nil {
				return err
			}
			return wrong
		},
	} {
		if err := b.Write(s.ctx, s.filled(b), fill, func() {}); !errors.Is(err, wrong) {
			t.Fatalf("%s: %v", name, err)
		}
		s.unchanged(before)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	err := b.Write(ctx, s.filled(b), func(load func(int, iter.Seq2[[]value.Value, error]) error) error {
		return load(0, func(yield func([]value.Value, error) bool) {
			cancel()
			for i := 0; ctx.Err() != nil && i < 1_000_000 && yield([]value.Value{strconv.Itoa(i), nil}, nil); i++ {
			}
		})
	}, func() {})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	s.unchanged(before)
	stale := s.filled(b)
	stale[0].Claim.Token = "stale"
	var fenced *stores.FencedError
	if err := b.Write(s.ctx, stale, fillOf([][][]value.Value{good}), func() {}); !errors.As(err, &fenced) || !slices.Equal(fenced.Partitions, []event.TopicPartition{stale[0].Claim.TopicPartition}) {
		t.Fatalf("stale: %v", err)
	}
	s.unchanged(before)
	if err := s.write(b, [][][]value.Value{good}); err != nil {
		t.Fatal(err)
	}
	s.wants(0, good...)
	h.did("builds that fail", 4)
}
