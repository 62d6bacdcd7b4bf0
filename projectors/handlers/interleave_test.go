// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile/admittest"
	"github.com/projectionist-dev/projectionist/contract/compile/compiletest"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
)

// The ordering rule holds for what projectors run, and not only for the
// interpreter of contract/compile's own test: whatever is admitted gives the same
// rows and refuses the same events, however partitions interleave.
func TestNoAdmittedRowDependsOnInterleaving(t *testing.T) {
	admitted, refused := 0, 0
	check := func(rt *rapid.T) {
		c, byModel := admittest.Admit(t, compiletest.Spec(rt))
		if c == nil {
			return
		}
		admitted++
		p := compile(t, c)
		arrival := byModel["m"]
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		for range 20 {
			partitions := compiletest.Partitions(random)
			x, bad := run(t, p, compiletest.Interleave(random, partitions))
			y, alsoBad := run(t, p, compiletest.Interleave(random, partitions))
			refused += len(bad)
			if c.Models[0].Order != "" && len(bad)+len(alsoBad) > 0 {
				continue // By consent, chance decides which events are refused.
			}
			if !slices.Equal(bad, alsoBad) || !reflect.DeepEqual(without(&p.models[0], x, arrival), without(&p.models[0], y, arrival)) {
				rt.Fatalf("rows differ:\n%v refused %v\n%v refused %v\nmodel: %+v\npartitions: %v\nleft out: %v", x, bad, y, alsoBad, c.Models[0], partitions, arrival)
			}
		}
	}
	for range 2 {
		rapid.Check(t, check)
	}
	t.Logf("%d specs were admitted, %d events refused", admitted, refused)
	if admitted < 50 || refused == 0 {
		t.Errorf("only %d specs were admitted, %d events refused", admitted, refused)
	}
}

// run folds events one by one, and gives the rows and the numbers of the events that were refused, sorted.
func run(t *testing.T, p *Program, events []compiletest.Message) (rows [][]value.Value, refused []int) {
	t.Helper()
	state, ev := naive.New(p.models), p.NewEvaluator()
	for i, e := range events {
		rec := &event.Record{Offset: int64(i), Key: []byte(e.Key()), Value: e.JSON()}
		effects, _, err := ev.Handle(event.TopicPartition{Topic: e.Topic}, rec, nil)
		if err != nil {
			t.Fatalf("%v in %s", err, e.JSON())
		}
		if err = state.Apply(effects...); err != nil {
			refused = append(refused, e.Number)
		}
	}
	slices.Sort(refused)
	return state.Rows(0), refused
}

// without writes rows without columns; where these are all, it is not asked either which rows there are.
func without(m *fold.Model, rows [][]value.Value, columns []string) []string {
	all := true
	var out []string
	for i := range m.Columns {
		all = all && (slices.Contains(m.Key, i) || m.Columns[i].Name == contract.DeletedColumn || slices.Contains(columns, m.Columns[i].Name))
	}
	if all {
		return nil
	}
	for _, row := range rows {
		line := ""
		for i := range m.Columns {
			switch col := &m.Columns[i]; {
			case slices.Contains(columns, col.Name):
			case row[i] == nil:
				line += col.Name + "=NULL "
			default:
				line += fmt.Sprintf("%s=%q ", col.Name, col.Type.Format(row[i]))
			}
		}
		out = append(out, line)
	}
	return out
}
