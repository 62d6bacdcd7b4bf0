// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package keyreplay_test

import (
	"reflect"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/history/historytest"
	"github.com/projectionist-dev/projectionist/projectors/keyreplay"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Rows of a revision that began elsewhere are made anew from there.
func TestFrom(t *testing.T) {
	w := historytest.New(t, historytest.Orders(), 2)
	w.Fill(300)
	p := w.From(&contract.From{Positions: []contract.FromPosition{{Topic: "orders", Partition: 0, Position: "100"}, {Topic: "orders", Partition: 1, Position: "50"}}})
	for tp := range p.Claims {
		if err := p.Apply(tp, -1); err != nil {
			t.Fatal(err)
		}
	}
	before := p.Store.Rows(p.Contract, "order")
	var keys []keyreplay.Key
	for i := range before {
		key := before[i][:2:2]
		keys = append(keys, keyreplay.Key{Values: key})
		if i%2 == 0 {
			p.Meddle(key, func([]value.Value) []value.Value { return nil })
		}
	}
	done, err := keyreplay.Run(t.Context(), keyreplay.Options{
		Log: p.Topics, Store: p.Admin.(stores.Replacer), Contract: p.Contract, Program: p.Program, Keys: keys, Owner: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	if total := done.Total(); done.Events != 150 || total.Written == 0 || total.Equal == 0 {
		t.Errorf("%+v", done)
	}
	if after := p.Store.Rows(p.Contract, "order"); !reflect.DeepEqual(before, after) {
		t.Errorf("%v\n%v", before, after)
	}
}
