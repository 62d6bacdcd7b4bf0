// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

func canonicalForm(c *contract.Contract) canonical {
	out := canonical{Topics: []canonicalTopic{}, Models: []canonicalModel{}}
	for i := range c.Topics {
		out.Topics = append(out.Topics, canonicalTopicOf(&c.Topics[i]))
	}
	slices.SortFunc(out.Topics, func(a, b canonicalTopic) int { return strings.Compare(a.Name, b.Name) })
	for i := range c.Models {
		out.Models = append(out.Models, canonicalModelOf(&c.Models[i]))
	}
	slices.SortFunc(out.Models, func(a, b canonicalModel) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func canonicalTopicOf(t *contract.Topic) canonicalTopic {
	out := canonicalTopic{
		Name: t.Name, BrokerTopic: t.BrokerTopic, Format: t.Format, KeyFormat: t.KeyFormat, KeyField: t.KeyField,
		KeyedBy:   canonicalText(t.KeyedBy),
		EventType: canonicalText(t.EventType), EventID: canonicalText(t.EventID), EventTime: canonicalText(t.EventTime),
	}
	if out.Format == string(v1alpha1.EventFormatJSON) {
		out.Format = ""
	}
	if out.KeyFormat == string(v1alpha1.KeyFormatText) {
		out.KeyFormat = ""
	}
	for i := range t.Upcasts {
		out.Upcasts = append(out.Upcasts, canonicalUpcastOf(&t.Upcasts[i]))
	}
	return out
}

func canonicalUpcastOf(u *contract.Upcast) canonicalUpcast {
	return canonicalUpcast{
		Events: sorted(u.Events), When: canonicalText(u.When), Set: canonicalTexts(u.Set), Unset: sorted(u.Unset), Type: u.Type,
	}
}

func canonicalModelOf(m *contract.Model) canonicalModel {
	out := canonicalModel{Name: m.Name, Key: m.Key, Order: m.Order, Columns: []canonicalColumn{}, Handlers: []canonicalHandler{}}
	if out.Order == string(v1alpha1.ModelOrderLog) {
		out.Order = ""
	}
	for i := range m.Columns {
		out.Columns = append(out.Columns, canonicalColumnOf(&m.Columns[i]))
	}
	for _, c := range m.Checks {
		out.Checks = append(out.Checks, canonicalText(c.Rule))
	}
	slices.Sort(out.Checks)
	for _, g := range m.Versions {
		out.Versions = append(out.Versions, canonicalVersion{Column: g.Column, Columns: sorted(g.Columns)})
	}
	slices.SortFunc(out.Versions, func(a, b canonicalVersion) int { return strings.Compare(a.Column, b.Column) })
	for _, j := range m.Joins {
		out.Joins = append(out.Joins, canonicalJoin(j))
	}
	out.Unique = uniqueOf(m)
	for i := range m.Handlers {
		out.Handlers = append(out.Handlers, canonicalHandlerOf(&m.Handlers[i]))
	}
	return out
}

// uniqueOf gives the sets of columns that no two rows share.
func uniqueOf(m *contract.Model) [][]string {
	var out [][]string
	for _, i := range m.Indexes {
		if i.Unique {
			out = append(out, sorted(i.Columns))
		}
	}
	slices.SortFunc(out, slices.Compare[[]string])
	return slices.CompactFunc(out, slices.Equal[[]string])
}

func canonicalColumnOf(c *contract.Column) canonicalColumn {
	return canonicalColumn{
		Name: c.Name, Type: canonicalType(c.Type), Default: c.Default, NotNull: c.NotNull, Enum: sorted(c.Enum), Min: c.Min, Max: c.Max,
		MaxItems: c.MaxItems, Distinct: c.Distinct, Generated: canonicalText(c.Generated), Native: c.Native,
	}
}

func canonicalHandlerOf(h *contract.Handler) canonicalHandler {
	out := canonicalHandler{
		Topic: h.Topic, Events: sorted(h.Events), Default: h.Default, Tombstone: h.Tombstone,
		ForEach: canonicalText(h.ForEach), When: canonicalText(h.When), OnAbsent: h.OnAbsent,
		Key: canonicalTexts(h.Key), Where: canonicalTexts(h.Where),
		Set: canonicalTexts(h.Set), SetOnce: canonicalTexts(h.SetOnce), Unset: sorted(h.Unset), Add: canonicalTexts(h.Add),
		Min: canonicalTexts(h.Min), Max: canonicalTexts(h.Max), Append: canonicalTexts(h.Append), Merge: canonicalTexts(h.Merge),
		Delete: h.Delete,
	}
	if h.VersionBy != nil {
		out.VersionBy = map[string]string{h.VersionBy.Column: canonicalText(h.VersionBy.Value)}
	}
	// Where it means nothing, it is left out.
	if out.OnAbsent == onAbsentCreate || h.Delete || len(h.Where) > 0 {
		out.OnAbsent = ""
	}
	return out
}

// sorted gives what means the same in any order; nil for none.
func sorted(in []string) []string { return slices.Sorted(slices.Values(in)) }

func canonicalType(s string) string {
	t, err := value.Parse(s)
	if err != nil {
		return s
	}
	return t.String()
}

func canonicalTexts(in map[string]string) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[k] = canonicalText(v)
	}
	return out
}
