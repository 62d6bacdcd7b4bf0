// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	speccompile "github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/contract/compile/admittest"
	"github.com/projectionist-dev/projectionist/contract/compile/compiletest"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
)

// What compile.StartRefusals lets begin later is right, as it is said there: with any start of each partition, each row
// that an event of the rest takes effect on is as the fold of all has it, and the others are missing. Of what is refused,
// much is found to be wrong here, so that the test could fail.
func TestNoAdmittedStartGivesAnotherRow(t *testing.T) {
	admitted, wrong := 0, 0
	check := func(rt *rapid.T) {
		c, _ := admittest.Admit(t, compiletest.Spec(rt))
		if c == nil {
			return
		}
		refusals := speccompile.StartRefusals(c)
		p := compile(t, c)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		differs := false
		for range 20 {
			partitions, rest := compiletest.Partitions(random), map[int]bool{}
			for _, events := range partitions {
				for _, m := range events[random.IntN(len(events)+1):] {
					rest[m.Number] = true
				}
			}
			all := compiletest.Interleave(random, partitions)
			if why := startDiffers(t, p, all, rest); why != "" && len(refusals) == 0 {
				rt.Fatalf("%s\nmodel: %+v\nevents: %v\nthe rest: %v", why, c.Models[0], all, rest)
			} else if why != "" {
				differs = true
			}
		}
		if len(refusals) == 0 {
			admitted++
		} else if differs {
			wrong++
		}
	}
	for range 10 {
		rapid.Check(t, check)
	}
	t.Logf("%d specs may begin later, of %d that may not the rows were wrong", admitted, wrong)
	if admitted < 12 || wrong < 20 {
		t.Errorf("only %d specs may begin later, of %d that may not the rows were wrong", admitted, wrong)
	}
}

// startDiffers folds all events and the rest of them, and says which row of the latter is not as it should be.
func startDiffers(t *testing.T, p *Program, all []compiletest.Message, rest map[int]bool) string {
	t.Helper()
	whole, part, ev := naive.New(p.models), naive.New(p.models), p.NewEvaluator()
	touched := map[string]bool{}
	for i, e := range all {
		rec := &event.Record{Offset: int64(i), Key: []byte(e.Key()), Value: e.JSON()}
		effects, _, err := ev.Handle(event.TopicPartition{Topic: e.Topic}, rec, nil)
		if err != nil {
			t.Fatalf("%v in %s", err, e.JSON())
		}
		for k := range effects {
			if key := effects[k].Key; rest[e.Number] && key != nil {
				touched[naive.Key(key)] = true
			}
		}
		refused := whole.Apply(effects...)
		if !rest[e.Number] {
			continue
		}
		if also := part.Apply(effects...); (refused == nil) != (also == nil) {
			return "an event is refused in one of them"
		}
	}
	a, b := rowsOf(whole), rowsOf(part)
	for key, row := range b {
		if !reflect.DeepEqual(row, a[key]) {
			return "a row is another one"
		}
	}
	for key := range a {
		if touched[key] && b[key] == nil {
			return "a row is missing"
		}
	}
	return ""
}

func rowsOf(s *naive.State) map[string][]value.Value {
	out := map[string][]value.Value{}
	for key, row := range s.All(0) {
		out[key] = row
	}
	return out
}
