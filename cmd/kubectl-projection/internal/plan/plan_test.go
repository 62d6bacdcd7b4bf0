// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/goldentest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/change"
)

const (
	storeRef = "  storeRef: {name: reads}\n"
	verify   = "  rollout:\n    verify:\n      sample: 1%\n      assertions: [{name: some, model: order_summary, all: count > 0}, {name: paid, model: order_summary, row: row.lines >= 0}]\n"
	total    = "models[order_summary].handlers[line-added].add.total"
)

// pairs are edits of testdata/before.yaml, from what to what, each of which makes a manifest of after.
var pairs = []struct {
	name  string
	edit  []string
	class change.Class
	// reason is the path of the first reason.
	reason string
}{
	{"nothing", nil, change.NothingToDo, ""},
	{"spaces", []string{"event.price * event.quantity", "event.price*event.quantity"}, change.NothingToDo, ""},
	{"defaults", []string{storeRef, storeRef + "  rollout: {keepSeconds: 3600}\n  deletionPolicy: Retain\n"}, change.NothingToDo, ""},
	{"index", []string{"[{columns: [customer_id]}]", "[{columns: [customer_id]}, {columns: [status], method: Hash}]"}, change.InPlace, "models[order_summary].indexes"},
	{"index-gone", []string{"    indexes: [{columns: [customer_id]}]\n", ""}, change.InPlace, "models[order_summary].indexes"},
	{"index-other", []string{"[{columns: [customer_id]}]", "[{columns: [status]}]"}, change.InPlace, "models[order_summary].indexes"},
	{"replicas", []string{storeRef, storeRef + "  projector: {replicas: 3}\n"}, change.InPlace, "projector.replicas"},
	{"lag-target", []string{storeRef, storeRef + "  lagTargetSeconds: 5\n"}, change.InPlace, "lagTargetSeconds"},
	{"suspend", []string{storeRef, storeRef + "  suspend: true\n"}, change.InPlace, "suspend"},
	{"broker-address", []string{"kafka:9092", "kafka-2:9092"}, change.InPlace, "topics"},
	{"comment", []string{"    key: [order_id]\n", "    comment: Orders at one look.\n    key: [order_id]\n"}, change.InPlace, "models[order_summary].comment"},
	{"pin", []string{storeRef, storeRef + "  rollout: {activeRevision: \"0123456789\"}\n"}, change.InPlace, "rollout.activeRevision"},
	{"verify", []string{storeRef, storeRef + "  rollout: {verify: {sample: 1%}}\n"}, change.InPlace, "rollout.verify"},
	{"verified", []string{"event.price * event.quantity", "event.price", storeRef, storeRef + verify}, change.NewRevision, total},
	{"verified-and-pinned", []string{"event.price * event.quantity", "event.price", storeRef, storeRef + verify + "    activeRevision: \"0123456789\"\n"}, change.NewRevision, total},
	{"expression", []string{"event.price * event.quantity", "event.price"}, change.NewRevision, total},
	{"manual", []string{"event.price * event.quantity", "event.price", storeRef, storeRef + "  rollout: {promotion: Manual, keepSeconds: 0}\n"}, change.NewRevision, total},
	{"in-place", []string{"event.price * event.quantity", "event.price", storeRef, storeRef + "  rollout: {strategy: InPlace}\n"}, change.NewRevision, total},
	{"pinned", []string{"event.price * event.quantity", "event.price", storeRef, storeRef + "  rollout: {activeRevision: \"0123456789\"}\n"}, change.NewRevision, total},
	{"column-added", []string{"    - {name: status, type: text}\n", "    - {name: status, type: text}\n    - {name: note, type: text}\n"},
		change.NewRevision, "models[order_summary].columns[note]"},
	{"handler-added", []string{"    - name: line-added\n", "    - name: gone\n      events: [OrderErased]\n      key: {order_id: event.orderId}\n      delete: true\n    - name: line-added\n"},
		change.NewRevision, "models[order_summary].handlers[gone]"},
	{"unique-index", []string{"{columns: [customer_id]}", "{columns: [customer_id], unique: true}"}, change.NewRevision, "models[order_summary].indexes"},
	{"replay-token", []string{storeRef, storeRef + "  replayToken: after the price fix\n"}, change.NewRevision, "replayToken"},
	{"topic", []string{"topic: shop.orders", "topic: shop.orders.v2"}, change.NewRevision, "topics[orders].topic"},
	{"column-lost", []string{"    - {name: lines, type: int32, default: \"0\"}\n", "", ", lines: \"1\"", ""}, change.BreaksReaders, "models[order_summary].columns[lines]"},
	{"column-retyped", []string{"{name: lines, type: int32", "{name: lines, type: int64", storeRef, storeRef + "  rollout: {allow: [BreakReaders]}\n"},
		change.BreaksReaders, "models[order_summary].columns[lines].type"},
	{"model-renamed", []string{"- name: order_summary\n", "- name: order_overview\n"}, change.BreaksReaders, "models[order_overview]"},
	{"refused", []string{"event.price * event.quantity", "event.price + 'x'"}, change.Refused, ""},
	{"new-projection", []string{"{name: order-summary, namespace: shop}", "{name: order-overview, namespace: shop}"}, change.NewRevision, ""},
}

func edited(t *testing.T, text string, edit []string) string {
	t.Helper()
	for i := 0; i < len(edit); i += 2 {
		if strings.Count(text, edit[i]) != 1 {
			t.Fatalf("%q is not there once", edit[i])
		}
		text = strings.Replace(text, edit[i], edit[i+1], 1)
	}
	return text
}

func read(t *testing.T, text string) *workspace.Workspace {
	t.Helper()
	set, err := manifests.Load([]string{"-"}, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return workspace.New(set)
}

func manifest(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("testdata/before.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestPairs: each change is of its class, for its reason, and is shown so as text, DDL and Markdown.
func TestPairs(t *testing.T) {
	text := manifest(t)
	before := read(t, text)
	for _, c := range pairs {
		t.Run(c.name, func(t *testing.T) {
			plans, err := Offline(read(t, edited(t, text, c.edit)), before)
			if err != nil {
				t.Fatal(err)
			}
			p := plans[0]
			if len(plans) != 1 || p.Class != c.class || c.reason != "" && (len(p.Reasons) == 0 || p.Reasons[0].Path != c.reason) {
				t.Errorf("%s for %v, want %s for %s", p.Class, p.Reasons, c.class, c.reason)
			}
			var out bytes.Buffer
			printer := output.New(nil, &out, nil)
			Print(printer, plans, true)
			out.WriteString("\n--- markdown\n")
			PrintMarkdown(printer, plans)
			goldentest.Equal(t, filepath.Join("testdata", c.name+".txt"), out.String())
		})
	}
}

// TestSeveral: the exit code is that of the projection that needs a look most.
func TestSeveral(t *testing.T) {
	plans := []*Plan{{Class: change.InPlace}, {Class: change.BreaksReaders}, {Class: change.NewRevision}, {Class: change.NothingToDo}}
	if got := Code(Worst(plans)); got != 3 {
		t.Error(got)
	}
	if got := Code(Worst(append(plans, &Plan{Class: change.Refused}))); got != 1 {
		t.Error(got)
	}
	if got := Code(Worst(plans[3:])); got != 0 {
		t.Error(got)
	}
	if got := summary(plans); got != "1 breaks readers, 1 new revision, 1 in place, 1 nothing to do" {
		t.Error(got)
	}
}

// TestFrozenContract: what the release before revisions side by side made of a spec is what this one makes of it, so
// that an upgrade of the operator, with whatever new defaults, starts no revision. The file is never written anew.
func TestFrozenContract(t *testing.T) {
	data, err := os.ReadFile("testdata/frozen-contract.json")
	if err != nil {
		t.Fatal(err)
	}
	running := new(contract.Contract)
	if err := json.Unmarshal(data, running); err != nil {
		t.Fatal(err)
	}
	w := read(t, manifest(t))
	compiled, err := w.Compile(w.Projections[0], "c-1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Make(Before{Projection: w.Projections[0].Value, Contract: running},
		After{Projection: w.Projections[0].Value, Contract: compiled.Contract, KnowsBroker: true, KnowsStore: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.Class != change.NothingToDo || p.Target != running.Revision {
		t.Errorf("an upgrade would be %s, to revision %s: %v", p.Class, p.Target, p.Reasons)
	}
}
