// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/history/historytest"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// What a replay did, or why it did nothing, is in the result, and no value is.
func TestReplayKeys(t *testing.T) {
	w := historytest.New(t, historytest.Orders(), 2)
	w.Fill(60)
	rows := w.Store.Rows(w.Contract, "order")
	w.Meddle(rows[0][:2], func([]value.Value) []value.Value { return nil })
	w.Meddle([]value.Value{"c1", int64(999)}, func([]value.Value) []value.Value {
		return append([]value.Value{"c1", int64(999)}, rows[1][2:]...)
	})
	text := func(row []value.Value) string { return fmt.Sprintf("[%q, %d]", row[0], row[1]) }
	do := func(k contract.KeyReplay) contract.Result {
		res := contract.Result{}
		err := replay(t.Context(), w.Topics, w.Admin, w.Contract, w.Program, &k, &res)
		if res.OK = err == nil; err != nil {
			explain(err, &res)
		}
		return res
	}
	keys := []string{text(rows[0]), text(rows[1]), `["c1", "999"]`, text(rows[1])}
	res := do(contract.KeyReplay{Model: "order", Keys: keys})
	if f := res.Replay; !res.OK || f == nil || f.Written != 1 || f.Deleted != 1 || f.Equal != 1 || f.Events != 60 || f.Revision != w.Contract.Revision || len(f.Positions["orders"]) != 2 {
		t.Fatalf("%+v, %+v", res, res.Replay)
	}
	if len(w.Store.Rows(w.Contract, "order")) != len(rows) {
		t.Error("rows are missing, or there are too many")
	}
	for _, c := range []struct {
		k             contract.KeyReplay
		reason, words string
	}{
		{contract.KeyReplay{Model: "none", Keys: keys}, "BadRequest", `no model "none"`},
		{contract.KeyReplay{Model: "order", Keys: []string{keys[0], "canary"}}, "BadRequest", "key 2: the key of model order has the columns customer, id"},
	} {
		if res := do(c.k); res.OK || res.Reason != c.reason || !strings.Contains(res.Message, c.words) || strings.Contains(res.Message, "canary") || res.Retryable || res.Replay != nil {
			t.Errorf("%+v", res)
		}
	}
	// What a broker says for good is not asked again, and what it says for now is.
	for err, retry := range map[sources.Error]bool{
		&sources.BadBatch{Kind: sources.ReasonUnsupportedCodec, Why: "w"}: false,
		&sources.LogTruncated{Asked: 5}:                                   false,
		&sources.AuthorizationFailed{Resource: "r", Needs: "READ"}:        true,
	} {
		w.Broker.SetFault(func(op string, _ event.TopicPartition) error {
			if op == map[bool]string{true: "Describe", false: "Fetch"}[retry] {
				return err
			}
			return nil
		})
		if res := do(contract.KeyReplay{Model: "order", Keys: keys}); res.OK || res.Reason != err.Reason() || res.Retryable != retry {
			t.Errorf("%+v", res)
		}
	}
	w.Broker.SetFault(nil)
	w.Broker.DeleteRecords(historytest.Partition(0), 1)
	if res := do(contract.KeyReplay{Model: "order", Keys: keys}); res.OK || res.Reason != "HistoryMissing" || res.Retryable || strings.HasPrefix(res.Message, "HistoryMissing") {
		t.Errorf("%+v", res)
	}
}

// A result with as many positions as it may have fits, whatever they are.
func TestReplayResultFits(t *testing.T) {
	w := historytest.New(t, historytest.Orders(), maxReplayPositions)
	res := contract.Result{Version: contract.Version, Action: contract.ActionReplayKeys}
	if err := replay(t.Context(), w.Topics, w.Admin, w.Contract, w.Program, &contract.KeyReplay{Model: "total", Keys: []string{"1"}}, &res); err != nil {
		t.Fatal(err)
	}
	for _, at := range res.Replay.Positions {
		for i := range at {
			at[i] = contract.OffsetPosition(1<<63 - 1)
		}
	}
	res.Message = strings.Repeat("x", 1000)
	if data, err := json.Marshal(res); err != nil || len(data) > contract.MaxResultBytes || len(res.Replay.Positions["orders"]) != maxReplayPositions {
		t.Errorf("%d bytes (%v)", len(data), err)
	}
}

func TestReplayRequests(t *testing.T) {
	r := &Runner{Logger: slog.New(slog.DiscardHandler), ContractPath: t.TempDir() + "/none"}
	for name, k := range map[string]*contract.KeyReplay{
		"nothing":     nil,
		"no model":    {Keys: []string{"1"}},
		"no keys":     {Model: "order"},
		"too many":    {Model: "order", Keys: make([]string, contract.MaxReplayKeys+1)},
		"too long":    {Model: "order", Keys: []string{strings.Repeat("x", contract.MaxReplayKeyBytes+1)}},
		"no contract": {Model: "order", Keys: []string{"1"}},
	} {
		text, err := json.Marshal(contract.Request{Version: contract.Version, Action: contract.ActionReplayKeys, Replay: k})
		if err != nil {
			t.Fatal(err)
		}
		if res := r.Run(context.Background(), contract.ActionReplayKeys, string(text)); res.OK || res.Reason != "BadRequest" || res.Retryable {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

// The Job has a projector's rights, not those to define tables.
func TestReplayCredentials(t *testing.T) {
	st := contract.Store{Postgres: &contract.PostgresStore{DDLCredentials: &contract.SecretRef{}}}
	if got := asProjector(st); got.Postgres.DDLCredentials != nil || st.Postgres.DDLCredentials == nil {
		t.Errorf("%+v", got)
	}
	if got := asProjector(contract.Store{}); got.Postgres != nil {
		t.Errorf("%+v", got)
	}
}
