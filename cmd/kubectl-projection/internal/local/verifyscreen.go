// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rows"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

// VerifyReport is what a comparison came to, in the form of -o json.
type VerifyReport struct {
	Projection string `json:"projection"`
	Store      string `json:"store"`
	Revision   string `json:"revision"`
	// From is where the revision began to read, empty for the earliest events.
	From  string `json:"from,omitempty"`
	Equal bool   `json:"equal"`
	// SamplePercent is the share of the keys that was compared.
	SamplePercent float64 `json:"samplePercent"`
	// Positions are where the log and the table were compared; ComparedAgain where what differed was looked at once more.
	Positions     []PlaceReport       `json:"positions"`
	ComparedAgain []PlaceReport       `json:"comparedAgain,omitempty"`
	Events        int64               `json:"events"`
	Seconds       float64             `json:"seconds"`
	Models        []VerifyModelReport `json:"models"`
	// Assertions are those of rollout.verify.
	Assertions []AssertionReport `json:"assertions,omitempty"`
	// Repaired is what was done about the rows that differed.
	Repaired *ReplayedReport `json:"repaired,omitempty"`

	// refused is why they were not repaired.
	refused error
}

// PlaceReport is how far a partition was applied.
type PlaceReport struct {
	Topic     string            `json:"topic"`
	Partition int32             `json:"partition"`
	Position  contract.Position `json:"position"`
}

// VerifyModelReport is one model. Rows counts the rows that were compared.
type VerifyModelReport struct {
	Name    string `json:"name"`
	Rows    int64  `json:"rows"`
	Equal   int64  `json:"equal"`
	Changed int64  `json:"changed"`
	Missing int64  `json:"missing"`
	Extra   int64  `json:"extra"`
	// SettledBuckets counts groups of rows that differed at first, and were overwritten by later events as the log says.
	SettledBuckets int                `json:"settledBuckets,omitempty"`
	NotCompared    []LeftOutReport    `json:"notCompared,omitempty"`
	Differences    []DifferenceReport `json:"differences,omitempty"`

	view        rows.View
	differences []verify.Difference
}

// LeftOutReport names a column that was not compared, or, without one, the model.
type LeftOutReport struct {
	Column string `json:"column,omitempty"`
	Why    string `json:"why"`
}

// DifferenceReport is a row that differs, with the canonical texts of its values by column; NULL is null.
type DifferenceReport struct {
	Kind    string             `json:"kind"`
	Key     map[string]*string `json:"key"`
	Columns []string           `json:"columns,omitempty"`
	Log     map[string]*string `json:"log,omitempty"`
	Table   map[string]*string `json:"table,omitempty"`
}

func newVerifyReport(p *plan, c *contract.Contract, r *verify.Result, took time.Duration, limit int) (*VerifyReport, error) {
	out := &VerifyReport{
		Projection: c.Projection.Name, Store: p.storeName(p.projections[0]), Revision: r.Revision, From: c.From.String(), Equal: r.Equal(),
		SamplePercent: 100 * float64(r.Sample) / verify.Buckets, Positions: placesOf(r.At), ComparedAgain: placesOf(r.Again),
		Events: r.Events, Seconds: took.Seconds(),
	}
	for i := range r.Models {
		m := &r.Models[i]
		v := rows.View{Index: i, Model: &c.Models[i], Columns: c.Models[i].StoredColumns()}
		for _, col := range v.Columns {
			t, err := value.Parse(col.Type)
			if err != nil {
				return nil, err
			}
			v.Types = append(v.Types, t)
		}
		mr := VerifyModelReport{
			Name: m.Name, Rows: m.Compared(), Equal: m.Equal, Changed: m.Changed, Missing: m.Missing, Extra: m.Extra,
			SettledBuckets: m.Settled, view: v, differences: m.Differences[:min(len(m.Differences), limit)],
		}
		for _, l := range m.LeftOut {
			mr.NotCompared = append(mr.NotCompared, LeftOutReport(l))
		}
		for _, d := range mr.differences {
			mr.Differences = append(mr.Differences, differenceOf(&v, d))
		}
		out.Models = append(out.Models, mr)
	}
	out.Assertions = assertionsOf(out.Models, r.Assertions)
	return out, nil
}

func placesOf(places []verify.Place) []PlaceReport {
	var out []PlaceReport
	for _, p := range places {
		out = append(out, PlaceReport{p.Topic, p.Partition, contract.OffsetPosition(p.Next)})
	}
	return out
}

func differenceOf(v *rows.View, d verify.Difference) DifferenceReport {
	out := DifferenceReport{Kind: string(d.Kind), Key: map[string]*string{}, Log: texts(v, d.Log), Table: texts(v, d.Table)}
	for i, k := range v.Model.Key {
		s := v.Types[v.Column(k)].Format(d.Key[i])
		out.Key[k] = &s
	}
	for _, c := range d.Columns {
		out.Columns = append(out.Columns, v.Columns[c].Name)
	}
	return out
}

func texts(v *rows.View, row []value.Value) map[string]*string {
	if row == nil {
		return nil
	}
	out := make(map[string]*string, len(row))
	for i, x := range row {
		out[v.Columns[i].Name] = nil
		if x != nil {
			s := v.Types[i].Format(x)
			out[v.Columns[i].Name] = &s
		}
	}
	return out
}

func (r *VerifyReport) print(p *output.Printer) error {
	if p.Format != output.Text {
		return p.Document(r)
	}
	var compared, differing int64
	for i := range r.Models {
		compared += r.Models[i].Rows
		differing += r.Models[i].Rows - r.Models[i].Equal
	}
	state := p.Paint(output.Green, "all equal")
	if differing > 0 {
		state = p.Paint(output.Red, output.Group(differing)+" of "+count(compared, "row")+" differ")
		if differing == 1 {
			state = p.Paint(output.Red, "1 of "+count(compared, "row")+" differs")
		}
	}
	broken := 0
	for i := range r.Assertions {
		if !r.Assertions[i].Holds {
			broken++
		}
	}
	if broken > 0 {
		state += ", " + p.Paint(output.Red, fmt.Sprintf("%d of %s broken", broken, count(int64(len(r.Assertions)), "assertion")))
	}
	from := ""
	if r.From != "" {
		from = " from " + r.From + " on"
	}
	p.Printf("%s   %s   revision %s%s, %s in %.1f s\n", r.Projection, state, r.Revision, from, count(r.Events, "event"), r.Seconds)
	where := "at " + placesText(r.Positions)
	if r.ComparedAgain != nil {
		where += ", what differed again at " + placesText(r.ComparedAgain)
	}
	share := "all rows"
	if r.SamplePercent < 100 {
		share = fmt.Sprintf("%.3g%% of the keys", r.SamplePercent)
	}
	p.Printf("%s compared %s\n", share, where)
	for i := range r.Models {
		r.Models[i].print(p)
	}
	if len(r.Assertions) > 0 {
		p.Printf("\nassertions\n")
	}
	for i := range r.Assertions {
		r.Assertions[i].print(p)
	}
	switch {
	case r.Repaired != nil:
		p.Printf("\n%s   ", p.Paint(output.Green, "repaired"))
		r.Repaired.print(p)
	case differing > 0 && r.refused == nil:
		p.Printf("\nThe log is the truth: somebody wrote to these tables, or the projector has a fault. --repair makes these rows anew, a rebuild all of them (spec.replayToken).\n")
	}
	return nil
}

func (m *VerifyModelReport) print(p *output.Printer) {
	p.Printf("\n%s", m.Name)
	if len(m.NotCompared) > 0 && m.NotCompared[0].Column == "" {
		p.Printf("   not compared: %s\n", m.NotCompared[0].Why)
		return
	}
	p.Printf("   %s: %s equal", count(m.Rows, "row"), output.Group(m.Equal))
	if m.Rows > m.Equal {
		p.Printf(", %s changed, %s missing, %s extra", output.Group(m.Changed), output.Group(m.Missing), output.Group(m.Extra))
	}
	p.Printf("\n")
	for _, d := range m.differences {
		m.printDifference(p, d)
	}
	if more := m.Rows - m.Equal - int64(len(m.differences)); more > 0 {
		p.Printf("  %s more; --limit shows them\n", output.Group(more))
	}
	for _, l := range m.NotCompared {
		p.Printf("  column %s is not compared: %s\n", l.Column, l.Why)
	}
}

func (m *VerifyModelReport) printDifference(p *output.Printer, d verify.Difference) {
	v := &m.view
	p.Printf("  %s   %s\n", p.Paint(output.Bold, v.KeyText(d.Key)), strings.ToLower(string(d.Kind)))
	for _, c := range d.Columns {
		p.Printf("    %s: %s in the log, %s in the table\n", v.Columns[c].Name, v.Text(c, d.Log[c]), v.Text(c, d.Table[c]))
	}
	for _, side := range []struct {
		name string
		row  []value.Value
	}{{"log  ", d.Log}, {"table", d.Table}} {
		text := "no row"
		if side.row != nil {
			text = v.Rest(side.row)
		}
		p.Printf("    %s   %s\n", side.name, text)
	}
}

// placesText is topic@[positions by partition].
func placesText(places []PlaceReport) string {
	var out strings.Builder
	topic := ""
	for i, p := range places {
		switch {
		case i > 0 && p.Topic == topic:
			out.WriteString(",")
		case i > 0:
			out.WriteString("] ")
			fallthrough
		default:
			topic = p.Topic
			out.WriteString(topic + "@[")
		}
		out.WriteString(string(p.Position))
	}
	return out.String() + "]"
}

// reading tells how far the log was read.
type reading struct {
	ticker
	began, told time.Time
}

func newReading(p *output.Printer) *reading {
	now := time.Now()
	return &reading{ticker: newTicker(p), began: now, told: now}
}

func (g *reading) tell(read, of int64) {
	now := time.Now()
	if now.Sub(g.told) < reportEvery {
		return
	}
	g.told = now
	line := fmt.Sprintf("%5.0f s   %s of %s positions read", now.Sub(g.began).Seconds(), output.Group(read), output.Group(of))
	g.show(line)
}
