// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// The ordering rule (Law 4, CORRECTNESS 1): between partitions there is no
// order, so no row may depend on how two of them interleave.
//
// A handler is anchored at a key column whose expression is the message key (or
// keyedBy, which each message key is checked to equal): conversion of keys is
// injective, so all events that reach one row through it have one message key,
// and come in order from one partition.
//
// A model is single-source when all its handlers are of one topic and share an
// anchor; then every operation is allowed. The anchor must be the same column for
// all of them: with key (a, b), one handler anchored at a and another at b, the
// row (1, 2) is written by message keys 1 and 2.
//
// In any other model, a row must come out the same in every interleaving:
//
//   - whether it exists: nothing may delete it, and every handler must create it
//     (whether an Ignore finds the row depends on who came first);
//   - what each column holds: it is written by add alone, or by max alone (both
//     commute), or by handlers of one topic that share an anchor (then its writes
//     are ordered by themselves, and nothing else touches it).
func (c *compiler) checkOrder(m *model) {
	if len(m.handlers) == 0 || slices.ContainsFunc(m.handlers, func(h *handler) bool { return h.topic == nil || len(h.key) != len(m.out.Key) }) {
		return // Something else is wrong, and is reported: what would be said here may not hold once it is mended.
	}
	c.checkCompacted(m)
	if ordered(m.handlers, m.out.Key) {
		return
	}
	why := m.whyUnordered(m.handlers)
	fix := m.anchorAdvice()
	for _, h := range m.handlers {
		if h.out.Delete {
			m.order(h.path+".delete", "%s: whether a row that was deleted comes back would depend on which of two events is read first. %s", why, fix)
		}
		if h.out.OnAbsent == string(v1alpha1.OnAbsentIgnore) {
			m.order(h.path+".onAbsent", "%s: whether the row is there already would depend on which of two events is read first. Use onAbsent: Create; or %s", why, lowerFirst(fix))
		}
	}
	for _, col := range m.out.Columns {
		m.checkColumnOrder(col.Name, fix)
	}
}

func (m *model) checkColumnOrder(column, fix string) {
	var writers []*handler
	operations := map[string]bool{}
	for _, h := range m.handlers {
		if o := h.operation(column); o != "" {
			writers = append(writers, h)
			operations[o] = true
		}
	}
	commutes := len(operations) == 1 && (operations["add"] || operations["max"])
	if len(writers) == 0 || commutes || ordered(writers, m.out.Key) {
		return
	}
	why := m.whyUnordered(writers)
	for _, h := range writers {
		o := h.operation(column)
		path := h.path + "." + o + "." + column
		if len(operations) > 1 {
			m.order(path, "%s: column %s would depend on which of two events is read first, since its handlers mix %s. Use add alone, or max alone; or %s",
				why, column, mixed(operations), lowerFirst(fix))
			continue
		}
		m.order(path, "%s: column %s would depend on which of two events is read first. Use add or max; or %s", why, column, lowerFirst(fix))
	}
}

func (m *model) order(path, format string, args ...any) {
	m.add(Error, ReasonOrderNotGuaranteed, path, format, args...)
}

// anchors tells whether the handler's expression for a key column is the message key.
func (h *handler) anchors(column string) bool {
	e, ok := h.key[column]
	return ok && (e == "key" || (h.topic.keyedBy != "" && e == h.topic.keyedBy))
}

// ordered tells whether all events that the handlers apply to one row come in order.
func ordered(hs []*handler, key []string) bool {
	if slices.ContainsFunc(hs, func(h *handler) bool { return h.topic != hs[0].topic }) {
		return false
	}
	return slices.ContainsFunc(key, func(column string) bool {
		return !slices.ContainsFunc(hs, func(h *handler) bool { return !h.anchors(column) })
	})
}

func topicsOf(hs []*handler) []*topic {
	var out []*topic
	for _, h := range hs {
		if !slices.Contains(out, h.topic) {
			out = append(out, h.topic)
		}
	}
	return out
}

func (m *model) whyUnordered(hs []*handler) string {
	topics := topicsOf(hs)
	if len(topics) > 1 {
		names := make([]string, len(topics))
		for i, t := range topics {
			names[i] = t.Name
		}
		return fmt.Sprintf("model %s is written from topics %s, which have no order between them", m.out.Name, strings.Join(names, " and "))
	}
	t := topics[0]
	switch {
	case t.keyedBy == "":
		return fmt.Sprintf("EventTopic %s does not say what it is keyed by, so that events of one row of model %s may come from several partitions, which have no order between them", t.Name, m.out.Name)
	case slices.ContainsFunc(hs, func(h *handler) bool {
		return !slices.ContainsFunc(m.out.Key, h.anchors)
	}):
		return fmt.Sprintf("topic %s is keyed by %s, which the key of model %s does not contain, so that events of one row come from several partitions, which have no order between them", t.Name, t.KeyedBy, m.out.Name)
	default:
		return fmt.Sprintf("the handlers put %s, which topic %s is keyed by, into different key columns of model %s, so that events of one row come from several partitions, which have no order between them", t.KeyedBy, t.Name, m.out.Name)
	}
}

// anchorAdvice says how the model could become single-source.
func (m *model) anchorAdvice() string {
	topics := topicsOf(m.handlers)
	switch {
	case len(topics) > 1:
		return "Make a model for each topic, and join them where they are read"
	case topics[0].keyedBy == "":
		return fmt.Sprintf("Set spec.keyedBy of EventTopic %s to what producers key it by, and give a key column that same expression", topics[0].Name)
	default:
		return fmt.Sprintf("Give one key column the expression %s in every handler", topics[0].KeyedBy)
	}
}

func mixed(operations map[string]bool) string {
	var names []string
	for _, o := range ops {
		if operations[o.name] {
			names = append(names, o.name)
		}
	}
	return strings.Join(names, " and ")
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// checkCompacted holds handlers of compacted topics to what survives compaction:
// only the last event of each message key is sure to be read, so that this event
// alone must say everything. That is so when the row's key is the message key,
// and one handler takes every event and sets each column that any handler of the
// topic writes; whatever others do before or after it within the event is then
// determined by the event, too.
func (c *compiler) checkCompacted(m *model) {
	for _, t := range topicsOf(m.handlers) {
		if !strings.Contains(c.facts[t.Name].CleanupPolicy, "compact") {
			continue
		}
		hs := slices.DeleteFunc(slices.Clone(m.handlers), func(h *handler) bool { return h.topic != t })
		why := fmt.Sprintf("topic %s is compacted: the broker keeps only the last event of each message key, and a rebuild would see no other", t.Name)
		for _, h := range hs {
			if len(m.out.Key) != 1 || !h.anchors(m.out.Key[0]) {
				m.add(Error, ReasonCompactedTopic, h.path+".key", "%s. The key of the row must be the message key and nothing else: key, or what the EventTopic says in keyedBy", why)
			}
		}
		if !slices.ContainsFunc(hs, func(h *handler) bool { return h.determines(hs, m) }) {
			m.add(Error, ReasonCompactedTopic, m.path+".handlers", "%s. One handler of this topic must take every event (no events, no when), create the row, and set every column that handlers of this topic write", why)
		}
		m.add(Advice, ReasonCompactedTopic, m.path, "events without a payload (tombstones) are ignored in this release: a row stays when its message key is deleted from topic %s", t.Name)
	}
}

// determines tells whether the handler alone fixes what the handlers hs write, at every event.
func (h *handler) determines(hs []*handler, m *model) bool {
	if len(h.out.Events) > 0 || h.out.When != "" || h.out.OnAbsent == string(v1alpha1.OnAbsentIgnore) {
		return false
	}
	if h.out.Delete {
		return true
	}
	for _, col := range m.out.Columns {
		written := slices.ContainsFunc(hs, func(o *handler) bool { return o.writes(col.Name) })
		if written && h.operation(col.Name) != "set" {
			return false
		}
	}
	return true
}
