// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"
	"strings"
)

// cleanupPolicy is the broker's, where a probe has seen it, or else what the topic is to be created with.
func (c *compiler) cleanupPolicy(t *topic) string {
	if f, ok := c.facts[t.Name]; ok {
		return f.CleanupPolicy
	}
	return t.config["cleanup.policy"]
}

// checkCompacted holds handlers of compacted topics to what survives compaction:
// only the last record of each message key is sure to be read, so that this one
// alone must say everything. That is so when the row's key is the message key,
// and for every event that can come last one handler sets each column that any
// handler of the topic writes; whatever others do before or after it within the
// event is then determined by the event, too. A record without a value must delete the
// row, or do nothing: the broker forgets it after a while, and then the row was never there.
func (c *compiler) checkCompacted(m *model) {
	for _, t := range topicsOf(m.handlers) {
		if !strings.Contains(c.cleanupPolicy(t), "compact") {
			continue
		}
		hs := slices.DeleteFunc(slices.Clone(m.handlers), func(h *handler) bool { return h.topic != t })
		why := fmt.Sprintf("topic %s is compacted: the broker keeps only the last event of each message key, and a rebuild would see no other", t.Name)
		for _, h := range hs {
			if len(m.out.Key) != 1 || !h.anchors(m.out.Key[0]) {
				m.add(Error, ReasonCompactedTopic, h.path+".key", "%s. The key of the row must be the message key and nothing else: key, or what the EventTopic says in keyedBy", why)
			}
			if h.out.Tombstone && (!h.out.Delete || h.out.When != "" || h.out.VersionBy != nil || h.out.ForEach != "") {
				m.add(Error, ReasonCompactedTopic, h.path+".tombstone", "topic %s is compacted: the broker forgets records without a value after a while, and a rebuild would not see that they were there. The handler must delete the row, without when, forEach or versionBy", t.Name)
			}
		}
		m.checkDetermined(hs, why)
		m.adviseTombstones(t, hs)
	}
}

// checkDetermined asks that each event which may come last says everything.
func (m *model) checkDetermined(hs []*handler, why string) {
	if lost := m.undetermined(hs); lost != "" {
		m.add(Error, ReasonCompactedTopic, m.path+".handlers", "%s. One handler of this topic must take %s (without when, forEach or versionBy, and without reading row), create the row, and set every column that handlers of this topic write", why, lost)
	}
}

// undetermined says which events may come last without saying everything; "" for none.
func (m *model) undetermined(hs []*handler) string {
	takes := func(eventType string) bool {
		return slices.ContainsFunc(hs, func(h *handler) bool {
			return h.takes(eventType, hs) && h.determines(hs, m)
		})
	}
	all := slices.ContainsFunc(hs, func(h *handler) bool {
		return len(h.out.Events) == 0 && !h.out.Default && !h.out.Tombstone && h.determines(hs, m)
	})
	if all {
		return ""
	}
	types, closed := hs[0].topic.closedTypes()
	if !closed {
		return "every event (no events)"
	}
	for _, eventType := range types {
		// Truncations and messages have no key of a row, so that they cannot come last.
		if eventType != "truncate" && eventType != "message" && !takes(eventType) {
			return "events of type " + eventType
		}
	}
	return ""
}

// takes tells whether the handler takes events of a type.
func (h *handler) takes(eventType string, hs []*handler) bool {
	named := func(o *handler) bool {
		return slices.ContainsFunc(o.out.Events, func(p string) bool { return matches(p, eventType) })
	}
	switch {
	case h.out.Tombstone:
		return false
	case h.out.Default:
		return !slices.ContainsFunc(hs, named)
	default:
		return len(h.out.Events) == 0 || named(h)
	}
}

// determines tells whether the handler alone fixes what the handlers hs write, at every event that it takes.
func (h *handler) determines(hs []*handler, m *model) bool {
	if h.out.When != "" || h.out.ForEach != "" || h.out.Where != nil || h.out.VersionBy != nil || len(h.reads) > 0 {
		return false
	}
	if h.out.Delete {
		return true
	}
	if h.out.OnAbsent == onAbsentIgnore {
		return false
	}
	for i := range m.out.Columns {
		name := m.out.Columns[i].Name
		written := slices.ContainsFunc(hs, func(o *handler) bool { return o.writes(name) })
		if o := h.operation(name); written && o != "set" && o != "unset" {
			return false
		}
	}
	return true
}

func (m *model) adviseTombstones(t *topic, hs []*handler) {
	if slices.ContainsFunc(hs, func(h *handler) bool { return h.out.Tombstone }) {
		return
	}
	if m.singleSource() {
		m.add(Advice, ReasonCompactedTopic, m.path, "a row stays when its message key is deleted from topic %s by a record without a value (a tombstone); a handler with tombstone: true and delete: true removes it", t.Name)
		return
	}
	m.add(Advice, ReasonCompactedTopic, m.path, "a row stays when its message key is deleted from topic %s by a record without a value (a tombstone), since other topics write the row, too", t.Name)
}
