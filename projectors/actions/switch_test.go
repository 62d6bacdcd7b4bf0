// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/memory"
)

func revision(name string) *contract.Contract {
	return &contract.Contract{
		Projection: contract.Identity{Cluster: "c", Namespace: "n", Name: "p"}, Revision: name, DataHash: "1:" + name,
		Topics: []contract.Topic{{Name: "orders"}},
		Models: []contract.Model{{Name: "m", Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "text"}}}},
	}
}

// What an action did, and what it found when it did nothing, is in the result.
func TestSwitches(t *testing.T) {
	admin := memory.New().Admin()
	a, b := revision("aaaaaaaaaa"), revision("bbbbbbbbbb")
	for _, c := range []*contract.Contract{a, b} {
		if _, err := admin.Prepare(t.Context(), c, []stores.Start{{TopicPartition: event.TopicPartition{Topic: "orders"}}}); err != nil {
			t.Fatal(err)
		}
	}
	do := func(ctx context.Context, action contract.Action, sw contract.Switch) contract.Result {
		res := contract.Result{}
		err := doSwitch(ctx, admin, &contract.Request{Action: action, Owner: &a.Projection, Switch: &sw}, &res)
		if res.OK = err == nil; err != nil {
			explain(err, &res)
		}
		return res
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, step := range []struct {
		name   string
		ctx    context.Context //nolint:containedctx // one case is about it
		action contract.Action
		sw     contract.Switch
		reason string
		retry  bool
		active string
		left   int
	}{
		{"stopped", stopped, contract.ActionPromote, contract.Switch{Revision: b.Revision, Active: a.Revision, Sequence: 1}, "Interrupted", true, a.Revision, 2},
		{"late", t.Context(), contract.ActionPromote, contract.Switch{Revision: b.Revision, Active: a.Revision}, stores.ReasonSuperseded, false, a.Revision, 2},
		{"promote", t.Context(), contract.ActionPromote, contract.Switch{Revision: b.Revision, Active: a.Revision, Sequence: 1}, "", false, b.Revision, 2},
		{"active", t.Context(), contract.ActionDiscard, contract.Switch{Revision: b.Revision, Active: b.Revision, Sequence: 2}, stores.ReasonRevisionActive, false, b.Revision, 2},
		{"discard", t.Context(), contract.ActionDiscard, contract.Switch{Revision: a.Revision, Active: b.Revision, Sequence: 2}, "", false, b.Revision, 1},
	} {
		res := do(step.ctx, step.action, step.sw)
		if res.OK != (step.reason == "") || res.Reason != step.reason || res.Retryable != step.retry || res.Revisions == nil ||
			res.Revisions.Active != step.active || len(res.Revisions.Revisions) != step.left {
			t.Errorf("%s: %+v, revisions %+v", step.name, res, res.Revisions)
		}
	}
}

func TestSwitchRequests(t *testing.T) {
	r := &Runner{Logger: slog.New(slog.DiscardHandler)}
	for _, action := range []contract.Action{contract.ActionPromote, contract.ActionDiscard} {
		for _, req := range []contract.Request{
			{},
			{Owner: &contract.Identity{}},
			{Owner: &contract.Identity{}, Switch: &contract.Switch{}},
			{Owner: &contract.Identity{}, Switch: &contract.Switch{Revision: "aaaaaaaaaa"}},
		} {
			req.Version, req.Action = contract.Version, action
			text, err := json.Marshal(req)
			if err != nil {
				t.Fatal(err)
			}
			if res := r.Run(t.Context(), action, string(text)); res.OK || res.Reason != "BadRequest" || res.Retryable {
				t.Errorf("%s: %+v", text, res)
			}
		}
	}
}

// The broker holds up no discard: what stays there is said.
func TestGroupStays(t *testing.T) {
	r := &Runner{Logger: slog.New(slog.DiscardHandler)}
	for name, broker := range map[string]*contract.Broker{
		"no broker": nil,
		"away":      {Name: "main", Kafka: &contract.KafkaBroker{BootstrapServers: []string{"127.0.0.1:1"}}},
	} {
		res := contract.Result{OK: true}
		r.leaveGroups(t.Context(), broker, []string{"projectionist.n.p.aaaaaaaaaa"}, &res)
		if !res.OK || !strings.Contains(res.Message, `the consumer group "projectionist.n.p.aaaaaaaaaa" stays`) {
			t.Errorf("%s: %+v", name, res)
		}
	}
}
