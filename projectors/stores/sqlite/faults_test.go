// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/sqlite"
)

var tp = event.TopicPartition{Topic: "orders"}

func orders() *contract.Contract {
	return &contract.Contract{
		Projection: contract.Identity{Cluster: "c", Namespace: "n", Name: "p", UID: "u"}, Revision: "0123456789", DataHash: "1:0123456789",
		Topics: []contract.Topic{{Name: "orders"}},
		Models: []contract.Model{{
			Name: "orders", Key: []string{"id", "line"}, Indexes: []contract.Index{{Columns: []string{"email"}, Unique: true}, {Columns: []string{"n"}}},
			Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "line", Type: "int32"}, {Name: "n", Type: "int64"}, {Name: "email", Type: "text"}},
		}},
	}
}

// prepared is a database with that contract, and a claim of its one partition.
func prepared(t *testing.T, path string) (*sqlite.Database, stores.Writer, stores.Claim) {
	t.Helper()
	d := open(t, path)
	if _, err := d.Admin().Prepare(t.Context(), orders(), []stores.Start{{TopicPartition: tp}}); err != nil {
		t.Fatal(err)
	}
	w, err := d.Writer(orders())
	if err != nil {
		t.Fatal(err)
	}
	claims, err := w.Claim(t.Context(), "pod", []event.TopicPartition{tp})
	if err != nil {
		t.Fatal(err)
	}
	return d, w, claims[0]
}

func commit(t *testing.T, claim stores.Claim, effects ...fold.Effect) stores.Commit {
	t.Helper()
	models, err := fold.ModelsOf(orders())
	if err != nil {
		t.Fatal(err)
	}
	b := fold.NewBatch(models)
	if err := b.Apply(effects...); err != nil {
		t.Fatal(err)
	}
	return stores.Commit{Advances: []stores.Advance{{Claim: claim, Next: claim.Next + 1}}, Rows: b}
}

func line(id string, n int64, changes ...fold.Change) fold.Effect {
	return fold.Effect{Key: []value.Value{id, n}, Changes: changes}
}

// A fault of the surroundings is named and passes; nothing of it is the data's.
func TestFaultsOfTheSurroundings(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		text:                                  "no SQLite database",
		filepath.Join(dir, "missing", "x.db"): "its directory exists",
	} {
		_, err := open(t, path).Admin().Probe(t.Context())
		if !stores.Transient(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	empty := open(t, filepath.Join(dir, "empty.db"))
	w, err := empty.Writer(orders())
	if err != nil {
		t.Fatal(err)
	}
	var env *stores.EnvironmentError
	if err := w.Ping(t.Context()); !errors.As(err, &env) || env.Reason != stores.ReasonNotPrepared {
		t.Errorf("not prepared: %v", err)
	}
	if facts, err := empty.Admin().Probe(t.Context()); err != nil || !strings.HasPrefix(facts.ServerVersion, "3.") {
		t.Errorf("%+v, %v", facts, err)
	}
}

// While another process writes, a commit waits; it gives up with its context,
// and goes through afterwards.
func TestWritersWaitForEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	_, w, claim := prepared(t, path)
	other := open(t, path)
	entered, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- other.Hold(context.Background(), func() { close(entered); <-leave }) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- w.Commit(ctx, commit(t, claim, line("a", 1))) }()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("a commit that waits: %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), commit(t, claim, line("a", 1))); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// An error names the index, and shows nothing of the rows (Law 7).
func TestUniqueViolationsCarryNoValue(t *testing.T) {
	d, w, claim := prepared(t, sqlite.Memory)
	email := fold.Change{Column: 3, Op: fold.OpSet, Operand: "secret@example.org"}
	err := w.Commit(t.Context(), commit(t, claim, line("a", 1, email), line("b", 1, email)))
	var data *stores.DataError
	if !errors.As(err, &data) || data.Path != "models[orders].indexes[email]" || strings.Contains(err.Error(), "secret") {
		t.Fatalf("%v", err)
	}
	if rows, err := d.Rows(t.Context(), orders(), 0); err != nil || len(rows) != 0 {
		t.Fatalf("%v, %v", rows, err)
	}
}

// A table that somebody drops is no fault of the data.
func TestADroppedTableIsNotTheDatas(t *testing.T) {
	d, w, claim := prepared(t, sqlite.Memory)
	if err := d.Exec(t.Context(), `DROP TABLE "orders__0123456789"`); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), commit(t, claim, line("a", 1))); !stores.Transient(err) {
		t.Fatalf("%v", err)
	}
}

// Rows are found by the primary key however many are asked for at a time.
func TestReadsAndDeletesGoByTheKey(t *testing.T) {
	d, _, _ := prepared(t, sqlite.Memory)
	for _, query := range sqlite.KeyedStatements(orders()) {
		plan, err := d.Plan(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range plan {
			if strings.HasPrefix(step, "SCAN t") || strings.HasPrefix(step, "SCAN orders") {
				t.Errorf("%.60s...: %v", query, plan)
			}
		}
		if !strings.Contains(strings.Join(plan, "\n"), "USING PRIMARY KEY") {
			t.Errorf("%.60s...: %v", query, plan)
		}
	}
}

// What a newer release has written is left alone, with the reason that every store has for it.
func TestNewerBookkeepingIsRefused(t *testing.T) {
	d, _, _ := prepared(t, sqlite.Memory)
	if err := d.Exec(t.Context(), "UPDATE projectionist_version SET version = 99"); err != nil {
		t.Fatal(err)
	}
	_, err := d.Admin().Prepare(t.Context(), orders(), []stores.Start{{TopicPartition: tp}})
	var env *stores.EnvironmentError
	if !errors.As(err, &env) || env.Reason != stores.ReasonBookkeepingNewer {
		t.Fatalf("%v", err)
	}
}
