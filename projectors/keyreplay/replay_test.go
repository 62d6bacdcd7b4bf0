// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package keyreplay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/history/historytest"
	"github.com/projectionist-dev/projectionist/projectors/keyreplay"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

// filled is a projection of n events that are applied.
func filled(t testing.TB, n int) *world {
	t.Helper()
	w := newWorld(t, historytest.Orders(), 2)
	for i := range n {
		tp, r := historytest.Order(historytest.KindOf(i), i)
		w.append(tp, r)
		if !w.step(tp) {
			t.Fatal("an event is refused")
		}
	}
	return w
}

func keyOf(w *world, i int) keyreplay.Key {
	return keyreplay.Key{Values: w.Store.Rows(w.Contract, "order")[i][:2:2]}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world, o *keyreplay.Options)
		want string
	}{
		{"order: Arrival", func(w *world, _ *keyreplay.Options) { w.Contract.Models[0].Order = "Arrival" }, "OrderArrival: model order has order: Arrival"},
		{"too many keys", func(_ *world, o *keyreplay.Options) { o.Keys = make([]keyreplay.Key, keyreplay.MaxKeys+1) }, "TooManyKeys: there are 10001 keys"},
		{"no beginning", func(w *world, _ *keyreplay.Options) { w.Broker.DeleteRecords(historytest.Partition(1), 3) }, "HistoryMissing: orders/1 begins at position 3"},
		{"held keys", func(w *world, _ *keyreplay.Options) { w.Store.RaiseHeldVersion(w.Contract, historytest.Partition(0)) }, "KeysHeld"},
		{"keys that are held meanwhile", func(w *world, o *keyreplay.Options) {
			w.moving(o, func(where string) {
				if where == "replace" {
					w.Store.RaiseHeldVersion(w.Contract, historytest.Partition(0))
				}
			})
		}, "KeysHeld"},
		{"a bulk build", func(w *world, _ *keyreplay.Options) {
			if _, err := w.Writer.Claim(w.Context(), stores.BuildOwner("pod"), []event.TopicPartition{historytest.Partition(0), historytest.Partition(1)}); err != nil {
				w.Fatal(err)
			}
		}, "NotBuilt: revision aaaaaaaaaa is being built"},
		{"an event that cannot be", func(w *world, _ *keyreplay.Options) {
			tp, r := historytest.Order("line", 1)
			r.Key = []byte("another")
			w.Broker.Append(tp, r)
			claim := w.Claims[tp]
			if err := w.Writer.Commit(w.Context(), stores.Commit{Advances: []stores.Advance{{Claim: claim, Next: claim.Next + 1}}}); err != nil {
				w.Fatal(err)
			}
		}, "EventRefused: the positions say that event orders/1@50 was applied"},
		{"a revision that was built anew", func(w *world, o *keyreplay.Options) {
			m := w.moving(o, func(string) {})
			m.move = func(where string) {
				if where == "replace" {
					m.Replacer = historytest.New(w, w.Contract, 2).Admin.(stores.Replacer)
				}
			}
		}, "RevisionMoved"},
		{"a broker that is gone", func(w *world, o *keyreplay.Options) {
			o.Patience = 1
			w.Broker.SetFault(func(op string, _ event.TopicPartition) error {
				if op != "Fetch" {
					return nil
				}
				return &sources.Unreachable{Address: "b1", Err: errors.New("gone")}
			})
		}, "LogUnreadable: broker b1 cannot be reached"},
		{"no tables", func(_ *world, o *keyreplay.Options) { o.Store = memory.New().Admin().(stores.Replacer) }, "NotPrepared"},
		{"a projector that is too fast", func(w *world, o *keyreplay.Options) {
			o.MaxGap, o.ChaseLimit = 1, 1
			n := 100
			w.moving(o, func(where string) {
				for range 2 {
					tp, r := historytest.Order("line", n)
					n++
					w.append(tp, r)
					if where == "replace" {
						w.step(tp)
						w.step(tp)
					}
				}
			})
		}, "ChaseLost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := filled(t, 100)
			key := keyOf(w, 0)
			w.put(0, key.Values, nil)
			o := w.options(key)
			c.do(w, &o)
			r, err := keyreplay.Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, result %+v, want %q", err, r, c.want)
			}
			w.asShadow(t)
		})
	}
}

// TestFaultsPass: what keeps the store or the log for a while ends no replay, nor does an answer that is lost.
func TestFaultsPass(t *testing.T) {
	away := &stores.EnvironmentError{Reason: stores.ReasonUnreachable, Message: "gone"}
	for name, do := range map[string]func(w *world, o *keyreplay.Options){
		"the store is away": func(w *world, _ *keyreplay.Options) {
			faults := 0
			w.Store.SetHooks(memory.Hooks{BeforeRead: func(context.Context) error {
				if faults++; faults == 2 {
					return away
				}
				return nil
			}})
		},
		"the answer is lost": func(w *world, _ *keyreplay.Options) {
			faults := 0
			w.Store.SetHooks(memory.Hooks{AfterReplace: func(context.Context) error {
				if faults++; faults < 3 {
					return away
				}
				return nil
			}})
		},
		"the log is slow": func(w *world, o *keyreplay.Options) {
			// The first hold passes before the log has given anything.
			slow := 0
			m := w.moving(o, func(string) {})
			m.move = func(where string) {
				if where == "replace" {
					tp, r := historytest.Order("line", 7)
					w.append(tp, r)
					w.step(tp)
				}
			}
			o.Hold = 50 * time.Millisecond
			o.Log = &slowLog{Log: o.Log, slow: func() bool { slow++; return m.held && m.holds == 1 }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := filled(t, 100)
			keys := []keyreplay.Key{keyOf(w, 0), keyOf(w, 1)}
			w.put(0, keys[0].Values, nil)
			o := w.options(keys...)
			do(w, &o)
			done, err := keyreplay.Run(t.Context(), o)
			if err != nil || done.Tries == 0 {
				t.Fatalf("%+v (%v)", done, err)
			}
			w.Store.SetHooks(memory.Hooks{})
			w.taken(keys, done.At)
			w.asShadow(t)
			tp, r := historytest.Order("line", 3)
			w.append(tp, r)
			if !w.step(tp) {
				t.Fatal("the projector does not go on")
			}
			w.asShadow(t)
		})
	}
}

// slowLog gives nothing in time while slow says so.
type slowLog struct {
	sources.Log
	slow func() bool
}

func (l *slowLog) Fetch(ctx context.Context, positions []sources.Position) ([]sources.Result, error) {
	if l.slow() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return l.Log.Fetch(ctx, positions)
}

func TestParseKey(t *testing.T) {
	models, err := fold.ModelsOf(historytest.Orders())
	if err != nil {
		t.Fatal(err)
	}
	one := fold.Model{Name: "one", Columns: models[0].Columns, Key: models[0].Key[:1]}
	for _, c := range []struct {
		m    *fold.Model
		text string
		want []value.Value
		err  string
	}{
		{&models[0], `["c1", 5]`, []value.Value{"c1", int64(5)}, ""},
		{&models[0], `["[", "5"]`, []value.Value{"[", int64(5)}, ""},
		{&models[1], "3", []value.Value{int64(3)}, ""},
		{&models[1], "[3]", []value.Value{int64(3)}, ""},
		{&models[1], "[9007199254740993]", []value.Value{int64(9007199254740993)}, ""},
		{&one, "a b", []value.Value{"a b"}, ""},
		{&one, " ", []value.Value{" "}, ""},
		{&one, `["[x"]`, []value.Value{"[x"}, ""},
		{&one, "[x", nil, "no JSON array"},
		{&one, `["a"] ["b"]`, nil, "no JSON array"},
		{&one, `[null]`, nil, "element 1 of the array is no string"},
		{&one, `[["a"]]`, nil, "element 1 of the array is no string"},
		{&models[0], "c1", nil, "has the columns customer, id: write a JSON array"},
		{&models[0], `["c1"]`, nil, "an array of 1, and the key of model order has the columns customer, id"},
		{&models[1], "canary", nil, "the value of key column day is"},
		{&models[1], "[1.5]", nil, "the value of key column day is"},
	} {
		got, err := keyreplay.ParseKey(c.m, c.text)
		if c.err == "" && (err != nil || !slices.Equal(got, c.want)) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%s: %v, %v; want %v, %q", c.text, got, err, c.want, c.err)
		}
	}
	keys, err := keyreplay.ParseKeys(models, "total", keyreplay.Lines([]byte("3\r\n\n[3]\n4")))
	if err != nil || fmt.Sprint(keys) != "[{1 [3]} {1 [4]}]" {
		t.Errorf("%v, %v", keys, err)
	}
	if _, err := keyreplay.ParseKeys(models, "none", nil); err == nil {
		t.Error("a model that there is none of")
	}
	if _, err := keyreplay.ParseKeys(models, "total", []string{"1", "x"}); err == nil || !strings.HasPrefix(err.Error(), "key 2: ") {
		t.Error(err)
	}
}
