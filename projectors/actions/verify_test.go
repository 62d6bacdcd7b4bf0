// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/history"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	sourcememory "github.com/projectionist-dev/projectionist/projectors/sources/memory"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

// secret is what no result may have.
const secret = "hunter2"

// filled is a revision whose table holds n rows, by a program that its log says.
func filled(t *testing.T, n int) (*contract.Contract, *handlers.Program, *sourcememory.Log, *memory.Store) {
	t.Helper()
	c := revision("aaaaaaaaaa")
	c.Topics[0] = contract.Topic{Name: "orders", BrokerTopic: "orders", Format: "JSON"}
	c.Models[0].Columns = append(c.Models[0].Columns, contract.Column{Name: "total", Type: "int64"})
	c.Models[0].Handlers = []contract.Handler{{Name: "h", Topic: "orders", OnAbsent: "Create", Key: map[string]string{"id": "event.id"}, Set: map[string]string{"total": "event.total"}}}
	program, err := handlers.Compile(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	broker, s := sourcememory.NewBroker(), memory.New()
	broker.CreateTopic("orders", 1)
	log := broker.Log()
	log.MaxWait = time.Millisecond
	tp := event.TopicPartition{Topic: "orders"}
	if _, err := s.Admin().Prepare(t.Context(), c, []stores.Start{{TopicPartition: tp}}); err != nil {
		t.Fatal(err)
	}
	w := s.Writer(c)
	claims, err := w.Claim(t.Context(), "pod", []event.TopicPartition{tp})
	if err != nil {
		t.Fatal(err)
	}
	batch, eval := fold.NewBatch(program.Models()), program.NewEvaluator()
	for i := range n {
		r := event.Record{Offset: int64(i), Value: fmt.Appendf(nil, `{"id": "%s-%d", "total": %d}`, secret, i, i)}
		broker.Append(tp, r)
		effects, _, err := eval.Handle(tp, &r, nil)
		if err == nil {
			err = batch.Apply(effects...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context(), stores.Commit{Advances: []stores.Advance{{Claim: claims[0], Next: int64(n)}}, Rows: batch}); err != nil {
		t.Fatal(err)
	}
	return c, program, log, s
}

func TestVerify(t *testing.T) {
	c, program, log, store := filled(t, 20)
	do := func(v contract.Verification) contract.Result {
		res := contract.Result{Action: contract.ActionVerify}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("too late"))
		defer cancel()
		err := verifyOn(ctx, c, program, log, store.Admin(), &v, &res)
		if res.OK = err == nil; err != nil {
			explain(err, &res)
		}
		return res
	}
	positive := contract.Assertion{Name: "positive", Model: "m", Row: "row.total > 2"}
	many := contract.Assertion{Name: "many", Model: "m", All: "count > 100"}
	unequal := contract.Assertion{Name: "broken", Model: "m", Row: "10 / row.total < 11"}
	check := func(name string, v contract.Verification, reason, path, message string, facts contract.VerifyFacts) {
		t.Helper()
		res := do(v)
		if res.OK != (reason == "") || res.Reason != reason || res.Retryable || res.Path != path || res.Message != message || res.Verify == nil || *res.Verify != facts {
			t.Errorf("%s: %+v, facts %+v", name, res, res.Verify)
		}
		if strings.Contains(res.Message, secret) {
			t.Errorf("%s: a value leaves the Job", name)
		}
	}
	check("all is well", contract.Verification{Sample: "100%"}, "", "", "20 rows are what the log says", contract.VerifyFacts{Events: 20, Rows: 20})
	check("an assertion fails", contract.Verification{Sample: "100%", Assertions: []contract.Assertion{positive}}, "AssertionFailed", "spec.rollout.verify.assertions[positive]",
		"assertion positive: 3 of 20 rows of m do not meet it", contract.VerifyFacts{Events: 20, Rows: 20, Assertions: 1, Broken: 1})
	check("nothing is compared", contract.Verification{Sample: "0%", Assertions: []contract.Assertion{many}}, "AssertionFailed", "spec.rollout.verify.assertions[many]",
		"assertion many: m with its 20 rows does not meet it", contract.VerifyFacts{Assertions: 1, Broken: 1})
	check("one cannot be evaluated", contract.Verification{Sample: "0%", Assertions: []contract.Assertion{unequal}}, "AssertionFailed", "spec.rollout.verify.assertions[broken]",
		"assertion broken: 1 of 20 rows of m do not meet it (a division by zero)", contract.VerifyFacts{Assertions: 1, Broken: 1})

	store.Meddle(c, 0, []value.Value{secret + "-3"}, func(row []value.Value) []value.Value { row[1] = int64(-1); return row })
	store.Meddle(c, 0, []value.Value{secret + "-4"}, func([]value.Value) []value.Value { return nil })
	check("rows differ", contract.Verification{Sample: "100%", Assertions: []contract.Assertion{many}}, "VerificationFailed", "",
		"m: 2 of 20 rows differ from the log (1 changed, 1 missing, 0 extra); assertion many: m with its 19 rows does not meet it",
		contract.VerifyFacts{Events: 20, Rows: 20, Differing: 2, Assertions: 1, Broken: 1})

	if res := do(contract.Verification{Sample: "100%", Assertions: []contract.Assertion{{Name: "x", Model: "m", Row: "row.gone"}}}); res.Reason != "VerificationNotPossible" || res.Retryable || res.Path != "spec.rollout.verify.assertions[x]" {
		t.Errorf("%+v", res)
	}
	if res := do(contract.Verification{Sample: "most"}); res.Reason != "BadRequest" {
		t.Errorf("%+v", res)
	}
}

// What waiting may mend is asked again; the rest is not.
func TestHindered(t *testing.T) {
	late := &unverified{reason: reasonVerificationNotPossible, message: "too late"}
	over, cancel := context.WithTimeoutCause(t.Context(), 0, late)
	defer cancel()
	for name, c := range map[string]struct {
		err    error
		reason string
		retry  bool
	}{
		"no history":        {hindered(&history.RefusedError{Code: history.ReasonHistoryMissing, Message: "m"}), "VerificationNotPossible", false},
		"an event refused":  {hindered(&history.RefusedError{Code: history.ReasonEventRefused, Message: "m"}), "VerificationNotPossible", false},
		"too many rows":     {hindered(&history.RefusedError{Code: history.ReasonTooManyRows, Message: "m"}), "VerificationNotPossible", false},
		"a silent log":      {hindered(&history.RefusedError{Code: history.ReasonLogUnreadable, Message: "m"}), "LogUnreadable", true},
		"a compacted log":   {hindered(&history.RefusedError{Code: history.ReasonNotCaughtUp, Message: "m"}), "NotCaughtUp", true},
		"a moved revision":  {hindered(&history.RefusedError{Code: history.ReasonRevisionMoved, Message: "m"}), "RevisionMoved", true},
		"a corrupt batch":   {hindered(&sources.BadBatch{Kind: sources.ReasonCorruptBatch, Why: "w"}), "VerificationNotPossible", false},
		"a broker away":     {hindered(&sources.Unreachable{Err: errors.New("gone")}), "Unreachable", true},
		"an unreadable row": {hindered(fmt.Errorf("read: %w", &stores.UnreadableRowError{Table: "t", Column: "c", Err: errors.New("w")})), "VerificationFailed", false},
		"a store away":      {hindered(&stores.EnvironmentError{Reason: "Unreachable", Message: "m"}), "Unreachable", true},
		"the deadline":      {cause(over, context.DeadlineExceeded), "VerificationNotPossible", false},
		"told to stop":      {cause(t.Context(), context.Canceled), "Interrupted", true},
		"nothing to verify": {(&Runner{}).verify(t.Context(), &contract.Request{}, nil), "BadRequest", false},
	} {
		var res contract.Result
		explain(c.err, &res)
		if res.Reason != c.reason || res.Retryable != c.retry || res.Message == "" {
			t.Errorf("%s: %+v", name, res)
		}
	}
}
