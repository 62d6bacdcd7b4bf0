// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// The topics of the generated events, by their logical names.
const (
	Orders   = "orders"
	Payments = "payments"
)

// Event is one event as it is produced: Key is the message key, Value JSON.
type Event struct {
	Topic string
	Key   string
	Value []byte
}

// Payload is the JSON form of every generated event. Orders are keyed by ID and
// numbered by Seq per ID; payments are keyed by ID too, which is unique.
type Payload struct {
	Type    string      `json:"type"` // line, note or erased; paid
	ID      string      `json:"id"`
	Account string      `json:"account"`
	Seq     int64       `json:"seq"`
	Amount  json.Number `json:"amount,omitempty"` // two decimal places
	N       int64       `json:"n"`
	Delta   int64       `json:"delta"`
}

// Generator makes the same events from the same seed, one after the other.
type Generator struct {
	rng      *rand.Rand
	keys     int
	accounts int
	seq      []int64
	payments int64
	made     int64
}

// NewGenerator makes events over a number of order ids and accounts.
func NewGenerator(seed uint64, keys, accounts int) *Generator {
	return &Generator{rng: rand.New(rand.NewPCG(seed, 0x0ac1e)), keys: keys, accounts: accounts, seq: make([]int64, keys)}
}

// Made is the number of events made so far.
func (g *Generator) Made() int64 { return g.made }

// Next makes the next event.
func (g *Generator) Next() Event {
	g.made++
	n := 1 + g.rng.Int64N(1000)
	account := fmt.Sprintf("a%03d", g.rng.IntN(g.accounts))
	if g.rng.IntN(5) == 0 {
		g.payments++
		id := fmt.Sprintf("p%08d", g.payments)
		return event(Payments, Payload{Type: "paid", ID: id, Account: account, Seq: 1, N: n, Delta: -n})
	}
	k := g.rng.IntN(g.keys)
	g.seq[k]++
	p := Payload{Type: "line", ID: fmt.Sprintf("k%06d", k), Account: account, Seq: g.seq[k], N: n, Delta: n}
	p.Amount = json.Number(cents(g.rng.Int64N(100_000) - 20_000))
	switch r := g.rng.IntN(400); {
	case r == 0:
		p.Type = "erased"
	case r < 40:
		p.Type = "note"
	}
	return event(Orders, p)
}

func event(topic string, p Payload) Event {
	value, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return Event{Topic: topic, Key: p.ID, Value: value}
}

// cents writes an amount in cents with two decimal places.
func cents(c int64) string {
	sign := ""
	if c < 0 {
		sign, c = "-", -c
	}
	return fmt.Sprintf("%s%d.%02d", sign, c/100, c%100)
}
