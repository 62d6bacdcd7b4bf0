// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"maps"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores/postgres"
)

// Projection says how a projection runs. Its JSON form is stable: fields are added, never changed.
type Projection struct {
	Name string `json:"name"`
	// Revision is the one that this spec has; another spec that gives the same rows has the same.
	Revision string  `json:"revision"`
	DataHash string  `json:"dataHash"`
	Group    string  `json:"group"`
	Models   []Model `json:"models"`
}

// Model says how a model runs.
type Model struct {
	Name         string `json:"name"`
	Table        string `json:"table"`
	SingleSource bool   `json:"singleSource"`
	// Why says what makes the model single-source, or what does not.
	Why string `json:"why"`
	// Arrival lists the columns that depend on what arrives first.
	Arrival  []string  `json:"arrival,omitempty"`
	DDL      []string  `json:"ddl"`
	Handlers []Handler `json:"handlers"`
}

// Handler says how a handler runs.
type Handler struct {
	Name  string `json:"name"`
	Topic string `json:"topic"`
	// Kind is blind, loading or fan-out.
	Kind string `json:"kind"`
	Why  string `json:"why"`
	// Effects are what it does, in the order of columns: "add total", "delete".
	Effects    []string             `json:"effects"`
	Statements []postgres.Statement `json:"statements"`
}

// The kinds of handlers.
const (
	KindBlind   = "blind"
	KindLoading = "loading"
	KindFanOut  = "fan-out"
)

// Explain says how a contract runs.
func Explain(c *contract.Contract) (*Projection, error) {
	plans, err := postgres.Explain(c)
	if err != nil {
		return nil, err
	}
	models, err := fold.ModelsOf(c)
	if err != nil {
		return nil, err
	}
	out := &Projection{Name: c.Projection.Name, Revision: c.Revision, DataHash: c.DataHash, Group: c.Group}
	for i, reasons := range compile.Explain(c) {
		cm := &c.Models[i]
		m := Model{
			Name: cm.Name, Table: c.Physical(cm.Name), SingleSource: reasons.SingleSource, Why: reasons.Why, Arrival: reasons.Arrival, DDL: plans[i].DDL,
		}
		for j, why := range reasons.Handlers {
			h, err := explainHandler(models, i, &cm.Handlers[j], why, &plans[i])
			if err != nil {
				return nil, fmt.Errorf("models[%s].handlers[%s]: %w", cm.Name, why.Name, err)
			}
			m.Handlers = append(m.Handlers, h)
		}
		out.Models = append(out.Models, m)
	}
	return out, nil
}

func explainHandler(models []fold.Model, model int, h *contract.Handler, why compile.HandlerPlan, plan *postgres.Plan) (Handler, error) {
	out := Handler{Name: h.Name, Topic: h.Topic, Kind: KindBlind, Why: why.Why, Effects: effects(h)}
	m := &models[model]
	// A delete that carries a version leaves a row behind.
	deletes := h.Delete && h.VersionBy == nil
	switch {
	case why.FanOut:
		out.Kind = KindFanOut
		var where []int
		for _, name := range slices.Sorted(maps.Keys(h.Where)) {
			where = append(where, columnOf(m, name))
		}
		out.Statements = plan.FanOut(where, deletes)
	case why.Loading:
		out.Kind = KindLoading
		out.Statements = plan.Loading(deletes)
	default:
		shape, err := shapeOf(models, model, h)
		if err != nil {
			return out, err
		}
		out.Statements = plan.Blind(shape)
	}
	return out, nil
}

// operations are those of a handler that take an operand per column.
var operations = []struct {
	name string
	op   fold.Op
	of   func(*contract.Handler) map[string]string
}{
	{"set", fold.OpSet, func(h *contract.Handler) map[string]string { return h.Set }},
	{"setOnce", fold.OpSetOnce, func(h *contract.Handler) map[string]string { return h.SetOnce }},
	{"add", fold.OpAdd, func(h *contract.Handler) map[string]string { return h.Add }},
	{"min", fold.OpMin, func(h *contract.Handler) map[string]string { return h.Min }},
	{"max", fold.OpMax, func(h *contract.Handler) map[string]string { return h.Max }},
	{"append", fold.OpAppend, func(h *contract.Handler) map[string]string { return h.Append }},
	{"merge", fold.OpMerge, func(h *contract.Handler) map[string]string { return h.Merge }},
}

func effects(h *contract.Handler) []string {
	if h.Delete {
		return []string{"delete"}
	}
	var out []string
	for _, o := range operations {
		for _, column := range slices.Sorted(maps.Keys(o.of(h))) {
			out = append(out, o.name+" "+column)
		}
	}
	for _, column := range h.Unset {
		out = append(out, "unset "+column)
	}
	return out
}

// shapeOf gives the shape of a blind handler's effect, by folding one with operands that stand for any.
func shapeOf(models []fold.Model, model int, h *contract.Handler) (fold.Shape, error) {
	m := &models[model]
	e := fold.Effect{Model: model, Delete: h.Delete, IgnoreAbsent: h.OnAbsent == "Ignore"}
	for _, k := range m.Key {
		v, err := standIn(&m.Columns[k], m.Columns[k].Type)
		if err != nil {
			return fold.Shape{}, err
		}
		e.Key = append(e.Key, v)
	}
	for _, o := range operations {
		for _, name := range slices.Sorted(maps.Keys(o.of(h))) {
			i := columnOf(m, name)
			typ := m.Columns[i].Type
			if o.op == fold.OpAppend {
				typ = typ.Elem()
			}
			v, err := standIn(&m.Columns[i], typ)
			if err != nil {
				return fold.Shape{}, err
			}
			e.Changes = append(e.Changes, fold.Change{Column: i, Op: o.op, Operand: v})
		}
	}
	for _, name := range h.Unset {
		e.Changes = append(e.Changes, fold.Change{Column: columnOf(m, name), Op: fold.OpSet})
	}
	slices.SortFunc(e.Changes, func(a, b fold.Change) int { return a.Column - b.Column })
	b := fold.NewBatch(models)
	if err := b.Apply(e); err != nil {
		return fold.Shape{}, err
	}
	return b.Segments()[0].Rows(model)[0].Shape(), nil
}

// standIn is a value of a type that obeys the rules of its column.
func standIn(c *fold.Column, t value.Type) (value.Value, error) {
	if t == c.Type {
		switch {
		case len(c.Rules.Enum) > 0:
			return c.Rules.Enum[0], nil
		case c.Rules.Min != nil:
			return c.Rules.Min, nil
		case c.Rules.Max != nil:
			return c.Rules.Max, nil
		}
	}
	if t.Array {
		return t.ParseText("[]")
	}
	text := map[value.Kind]string{
		value.Text: "a", value.Bool: "true", value.Timestamp: "2026-01-01T00:00:00Z", value.Date: "2026-01-01", value.Time: "00:00:00",
		value.UUID: "00000000-0000-0000-0000-000000000000", value.JSONKind: "{}", value.Bytes: "",
	}
	if s, ok := text[t.Kind]; ok {
		return t.ParseText(s)
	}
	return t.ParseText("0")
}

func columnOf(m *fold.Model, name string) int {
	return slices.IndexFunc(m.Columns, func(c fold.Column) bool { return c.Name == name })
}
