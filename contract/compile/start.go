// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
)

// ReasonStartNotPossible says that rows would be wrong if events before a start were left out.
const ReasonStartNotPossible = "StartNotPossible"

const (
	startFix = "Replay from the earliest event"
	startWay = "A start elsewhere takes handlers that set every column which the model's handlers write, or delete the row"
)

// StartRefusals says why the fold of a contract cannot begin later than with the first events, nil if it can. It is a
// function of the contract alone, which must be one that Compile gave.
//
// Left out are the first events of each partition. What is asked of the fold of the rest is this: each row that an event of the
// rest takes effect on is as the fold of all events has it, and the others are missing. That holds where
// the effect of each event on a row is a constant of the event, a whole row or none:
//
//   - set and unset of every column that any handler of the model writes: what was before does not show. Columns that no
//     handler writes have their defaults in both folds.
//   - delete: absent afterwards in both, whether or not the row had been there. So is a delete by where: the rows that are
//     there are the same in both folds, so that what matches of them is, too, and what else it would have deleted is missing already.
//   - when, forEach and key over the event alone: they name the rows, and say whether there is an effect.
//   - checks, generated columns, enums and ranges: they see the whole row, which is the same.
//   - unique indexes: the rows that are there are some of those of the other fold, so that no event meets a value that it would not meet there.
//   - joins: each model has the rows that it should; what is joined from a missing row is NULL.
//
// It does not hold where anything of the row before comes through: an operation that builds on a value, a column that is
// not written, an expression over row, onAbsent: Ignore (an event on a missing row is lost), where (rows that are missing
// do not match). Nor where a row takes events of several partitions, by versionBy or order: Arrival: the newest may be
// one that was left out, and an older one, of another partition, would stay.
func StartRefusals(c *contract.Contract) []Problem {
	var out, discarded []Problem
	topics := map[string]*topic{}
	for i := range c.Topics {
		t := &topic{Topic: c.Topics[i]}
		reporter{problems: &discarded}.keyedBy(t)
		topics[t.Name] = t
	}
	for i := range c.Models {
		s := starter{modelOf(reporter{problems: &discarded}, &c.Models[i], topics), reporter{problems: &out}}
		s.check()
	}
	return sortProblems(out)
}

// starter judges one model.
type starter struct {
	*model
	found reporter
}

func (s starter) refuse(path, format string, args ...any) {
	s.found.add(Error, ReasonStartNotPossible, path, format, args...)
}

func (s starter) check() {
	if s.out.Order != "" {
		s.refuse(s.path+".order", "with order: Arrival a row takes events of several partitions, and an event from before the start may be newer than one after it. %s", startFix)
		return
	}
	for _, h := range s.handlers {
		s.handler(h)
	}
}

func (s starter) handler(h *handler) {
	for _, r := range h.reads {
		s.refuse(r.path, "it reads row.%s, which events before the start have made. %s: %s", r.column, startWay, lowerFirst(startFix))
	}
	switch {
	case h.out.VersionBy != nil:
		s.refuse(h.path+".versionBy", "an event from before the start may have a higher version than one after it, which would then stay, or bring back what was deleted. %s", startFix)
	case h.out.Delete:
	case h.out.Where != nil:
		s.refuse(h.path+".where", "rows that only events before the start have made are missing, so that they would not match. %s: %s", startWay, lowerFirst(startFix))
	default:
		s.whole(h)
	}
}

// whole asks that a handler makes the whole row, whatever was there.
func (s starter) whole(h *handler) {
	if h.out.OnAbsent == onAbsentIgnore {
		s.refuse(h.path+".onAbsent", "an event on a row that only events before the start have made would be ignored. Use onAbsent: Create, or %s", lowerFirst(startFix))
	}
	building := false
	for _, o := range ops {
		if o.name == "set" || o.name == "unset" {
			continue
		}
		for _, column := range slices.Sorted(maps.Keys(o.get(&h.out))) {
			building = true
			s.refuse(h.path+"."+o.name+"."+column, "%s builds on what the row held before, and what events before the start have made of it would be missing. %s: %s",
				o.name, startWay, lowerFirst(startFix))
		}
	}
	if building {
		return
	}
	var missing []string
	for i := range s.out.Columns {
		name := s.out.Columns[i].Name
		if h.operation(name) == "" && slices.ContainsFunc(s.handlers, func(o *handler) bool { return o.writes(name) }) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		s.refuse(h.path, "it leaves what others have written to %s as it is, and that of events before the start would be missing. Set these, too, or %s", strings.Join(missing, ", "), lowerFirst(startFix))
	}
}
