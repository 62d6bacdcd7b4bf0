// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
)

// ModelPlan says how a model runs, and why.
type ModelPlan struct {
	Name string
	// SingleSource is true where all events of a row come in order; Why says what makes it so, or what does not.
	SingleSource bool
	Why          string
	// Arrival lists the columns that depend on what arrives first (order: Arrival).
	Arrival []string
	// Handlers are those of the contract, in its order.
	Handlers []HandlerPlan
}

// HandlerPlan says how a handler runs, and why.
type HandlerPlan struct {
	Name string
	// Loading is true where its effect is a function of the row as it is at the
	// handler's turn, so that rows are read and locked before they are written. Otherwise it is blind: a list of
	// operations that compose without the row.
	Loading bool
	// FanOut is true where it changes all rows that match, which are read and locked, too.
	FanOut bool
	Why    string
}

// Explain says how each model and handler of a contract runs. It is a function
// of the contract alone, which must be one that Compile gave.
func Explain(c *contract.Contract) []ModelPlan {
	var discarded []Problem
	topics := map[string]*topic{}
	for i := range c.Topics {
		t := &topic{Topic: c.Topics[i]}
		reporter{problems: &discarded}.keyedBy(t)
		topics[t.Name] = t
	}
	out := make([]ModelPlan, len(c.Models))
	for i := range c.Models {
		m := modelOf(reporter{problems: &discarded}, &c.Models[i], topics)
		out[i] = m.plan()
	}
	return out
}

// Arrival gives, by model of a contract with order: Arrival, the columns that depend on what arrives first.
func Arrival(c *contract.Contract) map[string][]string {
	out := map[string][]string{}
	for i, m := range Explain(c) {
		if c.Models[i].Order != "" {
			out[m.Name] = m.Arrival
		}
	}
	return out
}

// modelOf gives what the checks know of a model, from the contract.
func modelOf(r reporter, cm *contract.Model, topics map[string]*topic) *model {
	out := *cm
	out.Handlers = nil
	m := newModel(r, out)
	for i := range cm.Columns {
		m.index[cm.Columns[i].Name] = i
	}
	m.parseTypes()
	m.checkGenerated()
	for i := range cm.Handlers {
		m.addHandler(cm.Handlers[i], topics[cm.Handlers[i].Topic])
	}
	return m
}

func (m *model) plan() ModelPlan {
	out := ModelPlan{Name: m.out.Name}
	if m.complete() {
		if out.SingleSource = m.singleSource(); out.SingleSource {
			out.Why = m.whyOrdered()
		} else {
			out.Why = m.whyUnordered(m.handlers)
		}
		if m.out.Order != "" {
			out.Arrival = m.arrivalColumns(m.findings())
		}
	}
	for _, h := range m.handlers {
		out.Handlers = append(out.Handlers, m.planHandler(h))
	}
	return out
}

func (m *model) whyOrdered() string {
	for _, column := range m.out.Key {
		if slices.ContainsFunc(m.handlers, func(h *handler) bool { return !h.anchors(column) }) {
			continue
		}
		t := m.handlers[0].topic
		return fmt.Sprintf("all handlers are of topic %s, and key column %s is its message key in each of them, so that events of one row come in order from one partition", t.Name, column)
	}
	return ""
}

func (m *model) planHandler(h *handler) HandlerPlan {
	out := HandlerPlan{Name: h.out.Name, FanOut: h.out.Where != nil}
	var reasons []string
	if len(h.reads) > 0 {
		var columns []string
		for _, r := range h.reads {
			if c := "row." + r.column; !slices.Contains(columns, c) {
				columns = append(columns, c)
			}
		}
		reasons = append(reasons, "it reads "+strings.Join(columns, ", "))
	}
	if h.out.VersionBy != nil {
		reasons = append(reasons, "whether it takes effect depends on the row's "+h.out.VersionBy.Column)
	}
	reasons = append(reasons, m.whyModelLoads()...)
	out.Loading = len(reasons) > 0
	if !out.Loading {
		out.Why = "its operations compose without the row"
		if column := m.storeReads(h); column != "" {
			out.Why += "; where a batch appends to " + column + ", which is both capped and distinct, the store reads the row"
		}
	} else {
		out.Why = strings.Join(reasons, "; ")
	}
	if out.FanOut {
		out.Why += "; rows that match where are read and locked in key order"
	}
	return out
}

// whyModelLoads says why every handler of the model needs the row.
func (m *model) whyModelLoads() []string {
	var out []string
	if len(m.out.Checks) > 0 {
		out = append(out, "the model has checks, which are tested after each event")
	}
	for i := range m.out.Columns {
		if col := &m.out.Columns[i]; col.Generated != "" {
			out = append(out, "column "+col.Name+" is generated after each event")
			break
		}
	}
	if m.out.KeepsDeleted() {
		out = append(out, "deleted rows stay with their version, and count as absent")
	}
	return out
}

// storeReads names a column whose appended elements do not compose; "" for none.
func (m *model) storeReads(h *handler) string {
	for i := range m.out.Columns {
		if col := &m.out.Columns[i]; col.MaxItems > 0 && col.Distinct && h.out.Append[col.Name] != "" {
			return col.Name
		}
	}
	return ""
}
