// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// The models that a projection of the generated events has; see Fold.
const (
	Ledger   = "ledger"
	Balances = "balances"
)

// Fold holds what the tables must hold after the events applied so far:
//
//	ledger (key id): lines count, total and highest of lines, the last seq set by
//	any line, notes count, seqs of all lines and notes in order. A note does
//	nothing to an absent row; erased deletes the row.
//	balances (key account): ordered and paid sums, their balance, and events,
//	fed by lines and by payments.
type Fold struct {
	ledger   map[string]*ledgerRow
	balances map[string]*balanceRow
	// Events is the number of events applied.
	Events int64
}

type ledgerRow struct {
	lines, total, highest, last, notes int64 // total in cents
	seqs                               []int64
}

type balanceRow struct{ ordered, paid, balance, events int64 }

// NewFold is the empty table.
func NewFold() *Fold {
	return &Fold{ledger: map[string]*ledgerRow{}, balances: map[string]*balanceRow{}}
}

// Apply applies one event.
func (f *Fold) Apply(e Event) error {
	var p Payload
	if err := json.Unmarshal(e.Value, &p); err != nil {
		return fmt.Errorf("event %s/%s: %w", e.Topic, e.Key, err)
	}
	f.Events++
	if e.Topic == Payments {
		b := f.balance(p.Account)
		b.paid += p.N
		b.balance += p.Delta
		b.events++
		return nil
	}
	row := f.ledger[p.ID]
	switch p.Type {
	case "erased":
		delete(f.ledger, p.ID)
	case "note":
		if row != nil {
			row.notes++
			row.seqs = append(row.seqs, p.Seq)
		}
	case "line":
		amount, err := parseCents(p.Amount.String())
		if err != nil {
			return err
		}
		if row == nil {
			row = &ledgerRow{highest: p.N}
			f.ledger[p.ID] = row
		}
		row.lines++
		row.total += amount
		row.highest = max(row.highest, p.N)
		row.last = p.Seq
		row.seqs = append(row.seqs, p.Seq)
		b := f.balance(p.Account)
		b.ordered += p.N
		b.balance += p.Delta
		b.events++
	default:
		return fmt.Errorf("event %s/%s has the unknown type %q", e.Topic, e.Key, p.Type)
	}
	return nil
}

func (f *Fold) balance(account string) *balanceRow {
	b := f.balances[account]
	if b == nil {
		b = &balanceRow{}
		f.balances[account] = b
	}
	return b
}

func parseCents(s string) (int64, error) {
	whole, frac, ok := strings.Cut(s, ".")
	if !ok || len(frac) != 2 {
		return 0, fmt.Errorf("amount %q has not two decimal places", s)
	}
	return strconv.ParseInt(whole+frac, 10, 64)
}

// Tables gives the whole tables.
func (f *Fold) Tables() []Table {
	ledger := Table{
		Name: Ledger, Key: []string{"id"}, Sequence: "seqs",
		Columns: []string{"lines", "total", "highest", "last", "notes", "seqs"}, Rows: map[string][]string{},
	}
	for id, r := range f.ledger {
		ledger.Rows[id] = []string{num(r.lines), cents(r.total), num(r.highest), num(r.last), num(r.notes), array(r.seqs)}
	}
	balances := Table{
		Name: Balances, Key: []string{"account"}, Columns: []string{"ordered", "paid", "balance", "events"}, Rows: map[string][]string{},
	}
	for account, b := range f.balances {
		balances.Rows[account] = []string{num(b.ordered), num(b.paid), num(b.balance), num(b.events)}
	}
	return []Table{ledger, balances}
}

func num(n int64) string { return strconv.FormatInt(n, 10) }

func array(a []int64) string {
	parts := make([]string, len(a))
	for i, n := range a {
		parts[i] = num(n)
	}
	return "{" + strings.Join(parts, ",") + "}"
}
