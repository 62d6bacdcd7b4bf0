// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/progress"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func following(lag int64) progress.Snapshot {
	return progress.Snapshot{
		Heard: true, Source: contract.Health{OK: true}, Store: contract.Health{OK: true}, Expected: map[string]int32{"orders": 1},
		Partitions: []progress.Partition{{PartitionStatus: contract.PartitionStatus{Topic: "orders", Lag: lag, UpdatedAt: noon}, Once: true, Owned: true}},
	}
}

func member(version string, role Role) Revision {
	c := contractOf(version)
	ok := actions.State{Result: &contract.Result{OK: true}}
	create := actions.State{Create: &actions.Create{Sequence: 1, Attempt: 1}}
	return Revision{
		Name: c.Revision, Contract: c, Run: c, Recorded: true, Role: role, CreatedAt: noon.Add(-time.Hour), Deployed: true, DeployedAt: noon.Add(-time.Hour),
		Pods: true, Prepared: true, Prepare: ok, Promote: create, Discard: create, Progress: following(0),
	}
}

// beside is v1, which readers see, and v2, which the spec asks for and which has caught up.
func beside() *Input {
	a, b := member("v1", RoleActive), member("v2", RoleCandidate)
	return &Input{
		Now: noon, Rollout: v1alpha1.Rollout{DeadlineSeconds: 86400}, LagTarget: time.Minute, Newest: contractOf("v2"), MayPrepare: true, MayWrite: true, Limit: 1, Store: "reads",
		Facts:     &contract.RevisionFacts{Active: a.Name, Sequence: 4, Revisions: []contract.RevisionFact{{Revision: a.Name, PromotedAt: noon}, {Revision: b.Name}}},
		Revisions: []Revision{a, b},
	}
}

// verify asks for verification, of which v2 has a result, or none yet.
func verify(in *Input, result *contract.Result) {
	for i := range in.Revisions {
		in.Revisions[i].ToVerify = true
	}
	in.Revisions[1].Verify = actions.State{Result: result}
	if result == nil {
		in.Revisions[1].Verify.Create = &actions.Create{Sequence: 1, Attempt: 1}
	}
}

// waiting makes a revision one that was only asked for.
func waiting(r *Revision) {
	r.Deployed, r.Pods, r.Prepared, r.Progress = false, false, false, progress.Snapshot{}
	r.Prepare = actions.State{Create: &actions.Create{Sequence: 1}}
}

// More than is allowed is said, and only said.
func TestOverdrawnConnections(t *testing.T) {
	for limit, want := range map[int32]string{0: "", 18: "", 17: "Projectors and Jobs of ReadStore reads may take 18 connections, and its spec.maxConnections is 17"} {
		in := beside()
		in.Connections = Connections{Limit: limit, Pods: 4, Projections: 2}
		if d := Decide(*in); !strings.HasPrefix(d.Note, want) || (want == "") != (d.Note == "") || len(d.Run) != 2 {
			t.Errorf("limit %d: %q, runs %+v", limit, d.Note, d.Run)
		}
	}
}

func TestDecide(t *testing.T) {
	a, b := contractOf("v1").Revision, contractOf("v2").Revision
	for name, c := range map[string]struct {
		edit   func(*Input)
		ask    string
		runs   int
		reason string
		says   string
	}{
		"promotes what has caught up": {nil, "promote " + b, 2, "Promoting", ""},
		"waits for every partition":   {func(in *Input) { in.Revisions[1].Progress.Expected["orders"] = 2 }, "", 2, "Building", "1 of 1 partitions"},
		"waits for what is far behind": {func(in *Input) { in.Revisions[1].Progress = following(100) },
			"", 2, "Building", "100 events to go"},
		"says how far a bulk build is": {func(in *Input) {
			in.Revisions[1].Progress = following(25_000)
			in.Revisions[1].Progress.Build = &contract.BuildStatus{Phase: contract.BuildReading, Events: 10_000, Of: 25_000}
		}, "", 2, "Building", "in bulk, 10k of 25k events read"},
		"a bulk build that makes indexes is no revision to promote": {func(in *Input) {
			in.Revisions[1].Progress = following(25_000)
			in.Revisions[1].Progress.Build = &contract.BuildStatus{Phase: contract.BuildIndexing, Events: 25_000, Of: 25_000}
		}, "", 2, "Building", "all 25k events read, indexes are being made"},
		"does not wait for the newest events":            {func(in *Input) { in.Revisions[1].Progress = following(99) }, "promote " + b, 2, "Promoting", ""},
		"waits for projectors to speak":                  {func(in *Input) { in.Revisions[1].Progress = progress.Snapshot{} }, "", 2, "Building", "are being started"},
		"waits for the store":                            {func(in *Input) { in.MayWrite = false }, "", 2, "Promoting", ""},
		"one at a time":                                  {func(in *Input) { in.Busy = true }, "", 2, "Promoting", ""},
		"an index of what readers see may take its time": {func(in *Input) { in.Revisions[0].Prepare = actions.State{Running: "j"} }, "promote " + b, 2, "Promoting", ""},
		"and nothing is dropped meanwhile": {func(in *Input) {
			in.Newest = contractOf("v1")
			in.Revisions[0].Prepare = actions.State{Running: "j"}
			in.Revisions[1].Deployed, in.Revisions[1].Pods = false, false
		}, "", 1, "", ""},
		"a retry keeps to its pause": {func(in *Input) {
			in.Revisions[1].Promote = actions.State{Result: &contract.Result{Reason: "HandoverTimeout", Message: "m", Retryable: true}}
		}, "", 2, "HandoverTimeout", "could not be moved"},
		"superseded is looked at again": {func(in *Input) {
			in.Revisions[1].Promote = actions.State{Result: &contract.Result{Reason: "Superseded", Message: "m"}}
		}, "", 2, "Promoting", "another state"},
		"not heard yet": {func(in *Input) { in.Facts = nil }, "", 2, "Preparing", "is asked of the store"},
		"suspended":     {func(in *Input) { in.Suspended = true }, "", 2, "", ""},
		"refused, and built on": {func(in *Input) { in.Newest = nil; in.Revisions[1].Progress = following(5000) },
			"", 2, "Building", "5000 events to go"},
		"verified first":      {func(in *Input) { verify(in, nil) }, "verify " + b, 2, "Verifying", "rows are compared with the log"},
		"verified, and shown": {func(in *Input) { verify(in, &contract.Result{OK: true}) }, "promote " + b, 2, "Promoting", ""},
		"not right": {func(in *Input) {
			verify(in, &contract.Result{Reason: "VerificationFailed", Message: "totals: 2 of 9 rows differ from the log"})
		}, "", 2, "VerificationFailed", "2 of 9 rows differ from the log. Readers go on with revision " + a + ". kubectl projection verify totals --revision " + b},
		"not known to be right": {func(in *Input) {
			verify(in, &contract.Result{Reason: "VerificationNotPossible", Message: "HistoryMissing: m"})
		}, "", 2, "VerificationNotPossible", "HistoryMissing: m. Readers go on with revision " + a + ". Correct the spec"},
		"not right, and behind by now": {func(in *Input) {
			verify(in, &contract.Result{Reason: "AssertionFailed", Message: "m"})
			in.Revisions[1].Progress = following(5000)
		}, "", 2, "AssertionFailed", ""},
		"a verification keeps to its pause": {func(in *Input) {
			verify(in, &contract.Result{Reason: "Unreachable", Message: "m", Retryable: true})
		}, "", 2, "Unreachable", "tried again"},
		"verified once it is ready": {func(in *Input) { verify(in, nil); in.Revisions[1].Progress = following(5000) }, "", 2, "Building", ""},
		"named, and not verified": {func(in *Input) { verify(in, nil); in.Rollout.ActiveRevision = b },
			"promote " + b, 2, "Promoting", "which spec.rollout.activeRevision names and which was not found right"},
		"seen before, and not verified": {func(in *Input) {
			verify(in, nil)
			in.Facts.Revisions[1].PromotedAt, in.Facts.Revisions[1].LeftAt = noon.Add(-time.Hour), noon.Add(-time.Minute)
		}, "promote " + b, 2, "Promoting", ""},
		"no verification while suspended": {func(in *Input) { verify(in, nil); in.Suspended = true }, "", 2, "", ""},
		"verified and waiting": {func(in *Input) {
			verify(in, &contract.Result{OK: true})
			in.Rollout.Promotion = v1alpha1.PromotionManual
		}, "", 2, "AwaitingPromotion", ""},
		"stale by consent": {func(in *Input) {
			in.Rollout.ActiveRevision, in.Rollout.Allow = b, []v1alpha1.Consent{v1alpha1.ConsentStaleRevision}
			in.Revisions[1].Progress = progress.Snapshot{}
		}, "promote " + b, 2, "Promoting", ""},
		"nothing is pinned that is not there": {func(in *Input) { in.Rollout.ActiveRevision = "0123456789" }, "", 2, "UnknownRevision", a},
		"what is dropped goes first": {func(in *Input) {
			in.Revisions[1].Deployed, in.Revisions[1].Pods, in.Revisions[1].Discarding = false, false, true
		}, "discard " + b, 1, "Building", "finished first"},
		"pods end before tables go": {func(in *Input) {
			in.Newest = contractOf("v1")
			in.Revisions[1].Deployed = false
		}, "", 1, "", ""},
		"a lost contract is no reason to stop": {func(in *Input) {
			in.Revisions[0].Contract, in.Revisions[0].Run, in.Revisions[0].Recorded = nil, nil, false
		}, "promote " + b, 2, "Promoting", ""},
		"waits for connections": {func(in *Input) {
			in.Connections = Connections{Limit: 20, Pods: 4, Projections: 2, Need: 1}
			waiting(&in.Revisions[1])
		}, "", 1, "Queued", "its 1 projector would take 3 connections, and those of ReadStore reads have 18 of the 20"},
		"and not for those that are there": {func(in *Input) {
			in.Connections = Connections{Limit: 21, Pods: 4, Projections: 2, Need: 1}
			waiting(&in.Revisions[1])
		}, "prepare " + b, 2, "Building", ""},
		"what runs is not stopped for want of connections": {func(in *Input) {
			in.Connections = Connections{Limit: 1, Pods: 4, Projections: 2, Need: 1}
		}, "promote " + b, 2, "Promoting", ""},
		"nor is what readers see held up": {func(in *Input) {
			in.Connections = Connections{Limit: 1, Pods: 4, Projections: 2, Need: 1}
			in.Newest, in.Revisions = contractOf("v1"), in.Revisions[:1]
			in.Facts.Revisions = in.Facts.Revisions[:1]
			in.Revisions[0].Deployed = false
		}, "", 1, "", ""},
		"a first build waits for connections, too": {func(in *Input) {
			in.Connections = Connections{Limit: 6, Projections: 1, Need: 1}
			in.Facts, in.Revisions = nil, in.Revisions[1:]
			waiting(&in.Revisions[0])
			in.Revisions[0].Role = ""
		}, "", 0, "Queued", "its 1 projector would take 3 connections, and those of ReadStore reads have 4 of the 6"},
		"a first build for which there are some": {func(in *Input) {
			in.Connections = Connections{Limit: 7, Projections: 1, Need: 1}
			in.Facts, in.Revisions = nil, in.Revisions[1:]
			waiting(&in.Revisions[0])
			in.Revisions[0].Role = ""
		}, "prepare " + b, 1, "", ""},
		"without facts and contract the new one asks": {func(in *Input) {
			in.Facts = nil
			in.Revisions[0].Contract, in.Revisions[0].Run = nil, nil
			in.Revisions[1].Prepare = actions.State{Create: &actions.Create{Sequence: 1}}
		}, "prepare " + b, 2, "Preparing", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := beside()
			if c.edit != nil {
				c.edit(in)
			}
			d := Decide(*in)
			ask, reason, message := "", "", ""
			if d.Ask != nil {
				ask = string(d.Ask.Action) + " " + d.Ask.Revision
			}
			if d.Say != nil {
				reason, message = d.Say.Reason, d.Say.Message
			}
			if ask != c.ask || len(d.Run) != c.runs || reason != c.reason || !strings.Contains(message, c.says) {
				t.Errorf("asks %q, runs %+v, says %s: %s", ask, d.Run, reason, message)
			}
		})
	}
}

// A verification is ended where nobody waits for it, and nowhere else.
func TestCancel(t *testing.T) {
	b := contractOf("v2").Revision
	for name, c := range map[string]struct {
		edit func(*Input)
		want []string
	}{
		"waited for":    {func(in *Input) { verify(in, nil) }, nil},
		"settings gone": {func(in *Input) { verify(in, nil); in.Revisions[0].ToVerify, in.Revisions[1].ToVerify = false, false }, []string{contractOf("v1").Revision, b}},
		"put back":      {func(in *Input) { verify(in, nil); in.Newest = contractOf("v1") }, []string{b}},
		"named since":   {func(in *Input) { verify(in, nil); in.Rollout.ActiveRevision = b }, nil},
	} {
		in := beside()
		c.edit(in)
		got := Decide(*in).Cancel
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: cancels %v, want %v", name, got, c.want)
		}
	}
}

// What a Job says of rollout.verify is of the Replay's own verify, where that is what it was asked; the way out is another, too.
func TestVerdictOfAReplay(t *testing.T) {
	for _, path := range []string{"spec.rollout.verify.assertions[few]", "spec.rollout.verify", "spec.projector", ""} {
		in := beside()
		verify(in, &contract.Result{Reason: v1alpha1.ReasonAssertionFailed, Path: path, Message: "9 rows"})
		in.Revisions[1].VerifyOf = "again"
		want := strings.Replace(path, "spec.rollout.verify", "Replay again: spec.verify", 1)
		d := Decide(*in)
		if m := d.Say.Message; !strings.Contains(m, strings.TrimLeft(want+": 9 rows", ": ")) || strings.Contains(m, "rollout.verify") || !strings.Contains(m, "delete Replay again and make another") ||
			strings.Contains(m, "replayToken") {
			t.Errorf("%q: %s", path, m)
		}
		if path != in.Revisions[1].Verify.Result.Path {
			t.Errorf("%q: the Job's result was changed to %q", path, in.Revisions[1].Verify.Result.Path)
		}
	}
}

func TestReasons(t *testing.T) {
	v1, v2, narrow, again := contractOf("v1"), contractOf("v2"), contractOf("v1-narrow"), contractOf("v1")
	edited := contractOf("v1")
	edited.LagTargetSeconds = 5
	compile.Rename(again, "x")
	native := contractOf("v1")
	column := &native.Models[0].Columns[0]
	column.Native = "citext"
	native.DataHash = compile.DataHash(native)
	compile.Rename(native, "")
	for name, c := range map[string]struct {
		says     func(from, to *contract.Contract) string
		from, to *contract.Contract
		want     string
	}{
		"the same":                  {rebuilt, v1, v1, ""},
		"an edit":                   {rebuilt, v1, edited, ""},
		"other rows":                {rebuilt, v1, v2, "models[totals].handlers[placed].add.total"},
		"a token":                   {rebuilt, v1, again, "replayToken"},
		"a column less":             {taken, v1, narrow, "column totals.total"},
		"a column more":             {taken, narrow, v1, ""},
		"other rows, the same view": {taken, v1, v2, ""},
		"a type of the database":    {taken, v1, native, "totals." + column.Name + " as "},
	} {
		if got := c.says(c.from, c.to); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// How to connect reaches every revision, whatever its rows are.
func TestInPlace(t *testing.T) {
	newest := contractOf("v2")
	newest.Store = contract.Store{Name: "reads", Postgres: &contract.PostgresStore{Host: "new"}}
	newest.Build = &contract.Build{MaxEventsPerSecond: 5}
	stored := contractOf("v1")
	stored.Store = contract.Store{Name: "reads", Postgres: &contract.PostgresStore{Host: "old"}}
	if got := InPlace(stored, newest); got.Revision != stored.Revision || got.Store.Postgres.Host != "new" || got.Build != newest.Build {
		t.Errorf("%s at %s", got.Revision, got.Store.Postgres.Host)
	}
	stored.Store.Name = "others"
	if got := InPlace(stored, newest); got.Store.Postgres.Host != "old" {
		t.Error("it was moved to another store")
	}
	again := contractOf("v2")
	again.Revision, again.DataHash = "0123456789", "0:"+again.DataHash
	if got := InPlace(again, newest); got.Revision != "0123456789" || got.Store.Postgres.Host != "new" {
		t.Errorf("an older release's hash started a revision: %s", got.Revision)
	}
}
