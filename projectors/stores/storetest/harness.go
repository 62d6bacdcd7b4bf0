// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/foldtest"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Harness is a store under test.
type Harness struct {
	// Open gives an empty database, which is closed by t.Cleanup.
	Open func(t testing.TB) Database
	// RapidScale divides the number of random histories; 0 and 1 are all of them.
	RapidScale int
	// Lacks says of each capability that the store does not have why that is so.
	// What is neither lacking nor there fails; what is declared lacking and is there, too.
	Lacks map[Capability]string
	// Native are columns of the database's own types, unless it lacks NativeTypes.
	Native []Native
	tally  *tally
}

// Capability is something that not every store can have.
type Capability string

// The capabilities.
const (
	// Reads: the Admin is a stores.Reader.
	Reads Capability = "Reads"
	// Switches: the Admin is a stores.Switcher.
	Switches Capability = "Switches"
	// NativeTypes: columns may have types of the database's own (contract.Column.Native).
	NativeTypes Capability = "NativeTypes"
	// CaseSensitiveNames: names may differ in nothing but the case of letters.
	CaseSensitiveNames Capability = "CaseSensitiveNames"
	// Builds: the Writer is a stores.Builder.
	Builds Capability = "Builds"
)

// Native is a column type of a database.
type Native struct {
	// Type is the logical type, Native the database's.
	Type, Native string
	// Samples are texts of values, at least two, that the database gives back as they are.
	Samples []string
	// Refused is the text of a value that the database refuses; "" if there is none.
	Refused string
}

// lacks tells whether the store declares that it lacks something.
func (h Harness) lacks(t *testing.T, c Capability) bool {
	t.Helper()
	why, declared := h.Lacks[c]
	if declared {
		t.Logf("the store lacks %s: %s", c, why)
	}
	return declared
}

// tally counts cases.
type tally struct {
	mu    sync.Mutex
	cases map[string]int
}

// did counts n cases of a kind.
func (h Harness) did(kind string, n int) {
	h.tally.mu.Lock()
	defer h.tally.mu.Unlock()
	h.tally.cases[kind] += n
}

// Database is one empty database and what an onlooker could do to it. Names
// are those of relations, as contract.Contract.Physical and the models give them.
type Database interface {
	// Admin is the same at each call; the suite does not close it.
	Admin() stores.Admin
	// Writer makes another one at each call, as another process would. The suite closes it.
	Writer(t testing.TB, c *contract.Contract) stores.Writer
	// Rows reads the columns of models, in the order of the contract, from a
	// model's table, in key order.
	Rows(t testing.TB, c *contract.Contract, model int) [][]value.Value
	// ViewCount counts the rows that a reader of the model's view sees.
	ViewCount(t testing.TB, model string) int
	// ViewRows reads the columns of c.ViewColumns, by name, from a model's view, in
	// key order, whatever revision the view shows.
	ViewRows(t testing.TB, c *contract.Contract, model int) [][]value.Value
	// CreateForeign makes a relation that no projection owns.
	CreateForeign(t testing.TB, name string)
	// Relations names all tables and views beside the bookkeeping, sorted.
	Relations(t testing.TB) []string
	// DeletePosition removes a position row.
	DeletePosition(t testing.TB, c *contract.Contract, tp event.TopicPartition)
	// RaiseHeldVersion adds one to a position row's held version.
	RaiseHeldVersion(t testing.TB, c *contract.Contract, tp event.TopicPartition)
}

// timeout bounds every single case.
const timeout = 2 * time.Minute

// fixture is a prepared projection with partitions orders/0..3 and customers/0..1.
type fixture struct {
	testing.TB
	ctx    context.Context
	db     Database
	c      *contract.Contract
	models []fold.Model
	w      stores.Writer
	claims map[event.TopicPartition]stores.Claim
}

func tp(topic string, partition int32) event.TopicPartition {
	return event.TopicPartition{Topic: topic, Partition: partition}
}

func starts() []stores.Start {
	var out []stores.Start
	for _, p := range allPartitions() {
		out = append(out, stores.Start{TopicPartition: p, Next: 100, TopicID: "id-" + p.Topic})
	}
	return out
}

func allPartitions() []event.TopicPartition {
	return []event.TopicPartition{
		tp("customers", 0), tp("customers", 1), tp("orders", 0), tp("orders", 1), tp("orders", 2), tp("orders", 3),
	}
}

const (
	revisionA = "aaaaaaaaaa"
	revisionB = "bbbbbbbbbb"
)

// contractOf makes a contract of projection name whose topics are orders and customers.
func contractOf(name, revision string, models []contract.Model) *contract.Contract {
	return &contract.Contract{
		Version:    contract.Version,
		Projection: contract.Identity{Cluster: "test", Namespace: "shop", Name: name, UID: "uid-1"},
		Revision:   revision,
		DataHash:   "1:" + revision + "0000",
		Topics:     []contract.Topic{{Name: "orders", BrokerTopic: "orders", Format: "JSON"}, {Name: "customers", BrokerTopic: "customers", Format: "JSON"}},
		Models:     models,
		Group:      name,
	}
}

func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	return ctx
}

// open prepares a projection in a new database and claims everything.
func (h Harness) open(t testing.TB, models []contract.Model) *fixture {
	t.Helper()
	return prepared(t, h.Open(t), contractOf("summary", revisionA, models))
}

func prepared(t testing.TB, db Database, c *contract.Contract) *fixture {
	t.Helper()
	f := &fixture{TB: t, ctx: limited(t), db: db, c: c}
	var err error
	if f.models, err = fold.ModelsOf(c); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Admin().Prepare(f.ctx, c, starts()); err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	f.w = db.Writer(t, c)
	t.Cleanup(f.w.Close)
	f.claimAll()
	return f
}

func (f *fixture) claimAll() {
	f.Helper()
	got, err := f.w.Claim(f.ctx, "pod-a", allPartitions())
	if err != nil {
		f.Fatalf("Claim: %v", err)
	}
	f.claims = map[event.TopicPartition]stores.Claim{}
	for _, c := range got {
		f.claims[c.TopicPartition] = c
	}
	if len(f.claims) != len(allPartitions()) {
		f.Fatalf("Claim gave %v", got)
	}
}

// advance moves a partition by one from the claim that the fixture holds.
func (f *fixture) advance(p event.TopicPartition) stores.Advance {
	c := f.claims[p]
	return stores.Advance{Claim: c, Next: c.Next + 1, LeaderEpoch: 3, TopicID: c.TopicID}
}

// batch folds effects.
func (f *fixture) batch(effects ...fold.Effect) *fold.Batch {
	f.Helper()
	b := fold.NewBatch(f.models)
	for _, e := range effects {
		if err := b.Apply(e); err != nil {
			f.Fatalf("fold: %v", err)
		}
	}
	return b
}

// try commits on orders/0 and keeps the claim current.
func (f *fixture) try(b *fold.Batch) error {
	a := f.advance(tp("orders", 0))
	err := f.w.Commit(f.ctx, stores.Commit{Advances: []stores.Advance{a}, Rows: b})
	if err == nil {
		f.moved(a)
	}
	return err
}

func (f *fixture) moved(a stores.Advance) {
	c := f.claims[a.Claim.TopicPartition]
	c.Next = a.Next
	f.claims[a.Claim.TopicPartition] = c
}

func (f *fixture) commit(effects ...fold.Effect) {
	f.Helper()
	if err := f.try(f.batch(effects...)); err != nil {
		f.Fatalf("Commit: %v", err)
	}
}

// both applies effects, each an event, to the interpreter one by one and to the
// store in one batch, and compares all rows.
func (f *fixture) both(n *naive.State, effects ...fold.Effect) {
	f.Helper()
	for _, e := range effects {
		if err := n.Apply(e); err != nil {
			f.Fatal(err)
		}
	}
	f.commit(effects...)
	for m := range f.models {
		f.wants(m, n.Rows(m)...)
	}
}

// state is all that a failed commit must leave as it is.
type state struct {
	rows   [][][]value.Value
	claims []stores.Claim
}

func (f *fixture) state() state {
	f.Helper()
	var s state
	for m := range f.models {
		s.rows = append(s.rows, f.db.Rows(f, f.c, m))
	}
	var err error
	if s.claims, err = f.w.Peek(f.ctx); err != nil {
		f.Fatalf("Peek: %v", err)
	}
	slices.SortFunc(s.claims, func(a, b stores.Claim) int { return a.Compare(b.TopicPartition) })
	return s
}

func (f *fixture) unchanged(before state) {
	f.Helper()
	after := f.state()
	for m := range f.models {
		if d := diff(&f.models[m], after.rows[m], before.rows[m]); d != "" {
			f.Fatalf("rows were changed: %s", d)
		}
	}
	if len(after.claims) != len(before.claims) {
		f.Fatalf("positions were changed: %#v, before %#v", after.claims, before.claims)
	}
	for i := range after.claims {
		a, b := after.claims[i], before.claims[i]
		if a.TopicPartition != b.TopicPartition || a.Epoch != b.Epoch || a.Token != b.Token || a.Next != b.Next || a.HeldVersion != b.HeldVersion {
			f.Fatalf("a position was changed: %#v, before %#v", a, b)
		}
	}
}

// wants compares a model's rows, given in any order.
func (f *fixture) wants(model int, rows ...[]value.Value) {
	f.Helper()
	slices.SortFunc(rows, func(a, b []value.Value) int {
		for _, k := range f.models[model].Key {
			if c := value.Compare(a[k], b[k]); c != 0 {
				return c
			}
		}
		return 0
	})
	if d := diff(&f.models[model], f.db.Rows(f, f.c, model), rows); d != "" {
		f.Fatalf("model %s: %s", f.models[model].Name, d)
	}
}

// diff says where rows differ, "" if they do not.
func diff(m *fold.Model, got, want [][]value.Value) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d rows, want %d\n got %s\nwant %s", len(got), len(want), text(m, got), text(m, want))
	}
	for i := range got {
		if len(got[i]) != len(m.Columns) {
			return fmt.Sprintf("row %d has %d columns, want %d", i, len(got[i]), len(m.Columns))
		}
		for c := range m.Columns {
			if !Equal(got[i][c], want[i][c]) {
				return fmt.Sprintf("row %d, column %s: %s, want %s", i, m.Columns[c].Name, show(m, c, got[i][c]), show(m, c, want[i][c]))
			}
		}
	}
	return ""
}

func text(m *fold.Model, rows [][]value.Value) string {
	var out strings.Builder
	for _, row := range rows[:min(len(rows), 5)] {
		out.WriteString("[")
		for c := range row {
			out.WriteString(show(m, c, row[c]) + " ")
		}
		out.WriteString("] ")
	}
	return out.String()
}

func show(m *fold.Model, c int, v value.Value) string {
	if v == nil {
		return "NULL"
	}
	return fmt.Sprintf("%T(%.200q)", v, m.Columns[c].Type.Format(v))
}

// matrix is a projection with every operation, rules, checks and versions.
func (h Harness) matrix(t testing.TB) *fixture {
	t.Helper()
	f := h.open(t, foldtest.ContractModels())
	f.models = foldtest.WithFinishers(f.models)
	return f
}

// ptr is for the optional texts of a contract.
func ptr(s string) *string { return &s }

// one is a small model for cases that are not about operations.
func one() []contract.Model {
	zero := "0"
	return []contract.Model{{
		Name: "route",
		Key:  []string{"id"},
		Columns: []contract.Column{
			{Name: "id", Type: "text"},
			{Name: "n", Type: "int32", Default: &zero},
			{Name: "log", Type: "text[]"},
		},
	}}
}

func on(id string, changes ...fold.Change) fold.Effect {
	return fold.Effect{Key: []value.Value{id}, Changes: changes}
}

func add(column int, v value.Value) fold.Change {
	return fold.Change{Column: column, Op: fold.OpAdd, Operand: v}
}

func set(column int, v value.Value) fold.Change {
	return fold.Change{Column: column, Op: fold.OpSet, Operand: v}
}

func push(column int, v value.Value) fold.Change {
	return fold.Change{Column: column, Op: fold.OpAppend, Operand: v}
}

func change(column int, op fold.Op, v value.Value) fold.Change {
	return fold.Change{Column: column, Op: op, Operand: v}
}

func ignore(e fold.Effect) fold.Effect { e.IgnoreAbsent = true; return e }

func remove(id string) fold.Effect { return fold.Effect{Key: []value.Value{id}, Delete: true} }
