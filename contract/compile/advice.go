// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// adviseAll says what is allowed in a model, and probably not meant.
func (m *model) adviseAll() {
	m.adviseUnused()
	for _, h := range m.handlers {
		m.adviseScan(h)
		m.adviseGrowth(h)
	}
}

// adviseUnused names columns that no handler writes.
func (m *model) adviseUnused() {
	for i := range m.out.Columns {
		col := &m.out.Columns[i]
		if m.isKey(col.Name) || col.Generated != "" || slices.ContainsFunc(m.handlers, func(h *handler) bool { return h.writes(col.Name) }) {
			continue
		}
		m.advise(m.path+".columns["+col.Name+"]", "no handler writes this column: every row will have its default")
	}
}

// adviseScan names fan-outs for which the database reads the whole table.
func (m *model) adviseScan(h *handler) {
	if len(h.out.Where) == 0 {
		return
	}
	begins := func(columns []string) bool {
		if len(columns) == 0 {
			return false
		}
		_, ok := h.out.Where[columns[0]]
		return ok
	}
	scans := func(i contract.Index) bool {
		return !begins(i.Columns) || i.Method != "" && i.Method != string(v1alpha1.IndexMethodHash)
	}
	if begins(m.out.Key) || slices.ContainsFunc(m.out.Indexes, func(i contract.Index) bool { return !scans(i) }) {
		return
	}
	columns := strings.Join(slices.Sorted(maps.Keys(h.out.Where)), ", ")
	m.advise(h.path+".where", "no index starts with %s: every event of this handler would read the whole of %s; add {columns: [%s]} to indexes", columns, m.out.Name, columns)
}

// adviseGrowth names lists that only ever grow.
func (m *model) adviseGrowth(h *handler) {
	for _, name := range slices.Sorted(maps.Keys(h.out.Append)) {
		if m.has(name) && m.types[name].Array && m.column(name).MaxItems == 0 {
			m.advise(h.path+".append."+name, "nothing bounds column %s, and at 10000 elements the event that appends one more is an error; set list.maxItems, which keeps the newest", name)
		}
	}
}

// adviseTopic says what of a topic a rebuild would not find any more.
func (c *compiler) adviseTopic(t *topic) {
	path := "topics[" + t.Name + "]"
	facts, seen := c.facts[t.Name]
	if seen && facts.Trimmed > 0 {
		c.advise(path, "the first events of %d of its %d partitions are gone from the broker: rows are built from what is left, and every rebuild finds less", facts.Trimmed, facts.Partitions)
		return
	}
	limited := seen && strings.Contains(facts.CleanupPolicy, "delete") && (facts.RetentionMillis >= 0 || facts.RetentionBytes >= 0)
	if !seen && !strings.HasPrefix(c.cleanupPolicy(t), "compact") {
		unlimited := func(setting string) bool { v, ok := t.config[setting]; return !ok || v == "-1" }
		limited = !unlimited("retention.ms") || !unlimited("retention.bytes")
	}
	if limited {
		c.advise(path, "the broker deletes its events after a while, and a rebuild then lacks them; set retention.ms and retention.bytes of the topic to -1, or have it compacted")
	}
}

// adviseTypes compares the event types that schemas list with those that handlers take.
func (c *compiler) adviseTypes(models []*model) {
	for _, ref := range c.in.Projection.Spec.Topics {
		t := c.topics[ref.Name]
		if t == nil {
			continue
		}
		c.adviseTopic(t)
		var listed []string
		for _, s := range t.schemas {
			if len(s.events) == 0 {
				listed = nil // It describes every type.
				break
			}
			listed = append(listed, s.events...)
		}
		if len(listed) == 0 {
			continue
		}
		c.adviseUnlisted(t, listed, models)
		c.adviseUnhandled(t, listed, models)
	}
}

// adviseUnlisted names event types of handlers that no schema knows.
func (c *compiler) adviseUnlisted(t *topic, listed []string, models []*model) {
	for _, m := range models {
		for _, h := range m.handlers {
			if h.topic != t {
				continue
			}
			for _, e := range h.out.Events {
				if !slices.ContainsFunc(listed, func(p string) bool { return overlap(e, p) }) {
					m.advise(h.path+".events", "no schema of EventTopic %s lists event type %q; correct the name, or add its schema", t.Name, e)
				}
			}
		}
	}
}

// adviseUnhandled names event types of schemas that no handler takes.
func (c *compiler) adviseUnhandled(t *topic, listed []string, models []*model) {
	for _, e := range listed {
		taken := slices.ContainsFunc(models, func(m *model) bool {
			return slices.ContainsFunc(m.handlers, func(h *handler) bool {
				return h.topic == t && !h.out.Tombstone && anyOverlap(h.out.Events, []string{e})
			})
		})
		if !taken {
			c.advise("topics["+t.Name+"]", "its schemas list event type %q, which no handler takes: such events change nothing", e)
		}
	}
}
