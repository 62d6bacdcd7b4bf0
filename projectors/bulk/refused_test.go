// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk_test

import (
	"testing"
	"testing/synctest"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/bulk"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
)

// unreadable knows events of which the schema cannot be had.
type unreadable struct{ engine.Evaluator }

func (u unreadable) Handle(tp event.TopicPartition, rec *event.Record, out []fold.Effect) ([]fold.Effect, handlers.Outcome, error) {
	if string(rec.Value) == "unreadable" {
		return out, handlers.Outcome{}, &codecs.UnavailableError{}
	}
	return u.Evaluator.Handle(tp, rec, out)
}

// TestNothingIsWaitedForBehindARefusedEvent: an event that cannot be read is none to wait for where one before it cannot be applied.
func TestNothingIsWaitedForBehindARefusedEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := orders()
		c.Models[1].Handlers = append(c.Models[1].Handlers, contract.Handler{
			Name: "full", Topic: "orders", Events: []string{"full"}, OnAbsent: "Create", Key: c.Models[1].Handlers[0].Key, Set: map[string]string{"n": "9223372036854775807"},
		})
		w := newWorld(t, c, 1)
		for _, typ := range []string{"full", "line"} {
			_, rec := order(typ, 1, 1, 0)
			w.append(on(0), rec)
		}
		w.append(on(0), event.Record{Key: []byte("c0"), Value: []byte("unreadable")})
		b := w.build(func(cfg *bulk.Config) {
			cfg.NewEvaluator = func() engine.Evaluator { return unreadable{w.program.NewEvaluator()} }
		})
		if got := outcome(t, b); got != "EventRefused" {
			t.Errorf("outcome %s", got)
		}
	})
}
