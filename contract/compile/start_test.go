// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"strings"
	"testing"
)

// Every operation, alone and beside others: what may begin elsewhere than with the first event.
func TestStartRefusals(t *testing.T) {
	spec := func(handlers string) string {
		return `
storeRef: {name: read}
topics: [{name: a}, {name: b}, {name: c}, {name: u}]
models:
- name: m
  key: [k]
  columns:
  - {name: k, type: text}
  - {name: x, type: text}
  - {name: z, type: text}
  - {name: num, type: int64}
  - {name: s, type: "text[]"}
  - {name: doc, type: json}
  - {name: nobody, type: text, default: "'as ever'"}
  - {name: ver, type: int64}
  versions: [{column: ver, columns: [x]}]
  handlers:
` + handlers
	}
	const whole = `
  - {name: h, topic: a, key: {k: event.k}, set: {x: event.x, z: event.z}}`
	for name, tc := range map[string]struct {
		spec string
		// refused are the paths below models[m]; none means that it may begin anywhere.
		refused []string
	}{
		"set of all that is written": {spec: spec(whole)},
		"set and unset of all": {spec: spec(whole + `
  - {name: none, topic: a, events: [None], key: {k: event.k}, set: {x: event.x}, unset: [z]}`)},
		"delete": {spec: spec(whole + `
  - {name: gone, topic: a, events: [Gone], key: {k: event.k}, delete: true}`)},
		"delete of a tombstone": {spec: spec(whole + `
  - {name: gone, topic: a, tombstone: true, key: {k: key}, delete: true}`)},
		"delete by where": {spec: spec(whole + `
  - {name: gone, topic: a, events: [Gone], where: {k: event.k, x: event.x}, delete: true}`)},
		"when of the event": {spec: spec(`
  - {name: h, topic: a, when: event.n > 1, key: {k: event.k}, set: {x: event.x}}`)},
		"for each": {spec: spec(`
  - {name: h, topic: a, forEach: event.items, key: {k: event.k}, set: {x: item}}`)},
		"generated, checks, unique": {spec: strings.Replace(spec(whole), "{name: ver, type: int64}",
			`{name: ver, type: int64}
  - {name: made, type: text, generated: row.x}
  checks: [{name: some, rule: row.x != row.z}]
  indexes: [{columns: [x], unique: true}]`, 1)},
		"joins": {spec: spec(whole) + `
- name: other
  key: [id]
  columns: [{name: id, type: text}, {name: ref, type: text}]
  joins: [{model: m, match: {k: ref}, set: {x: x}}]
  handlers: [{name: o, topic: b, key: {id: event.k}, set: {ref: event.ref}}]`},

		"set of a part": {spec(whole + `
  - {name: some, topic: a, key: {k: event.k}, set: {x: event.x}}`), []string{"handlers[some]"}},
		"two parts": {spec(`
  - {name: one, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: two, topic: a, key: {k: event.k}, set: {z: event.z}}`), []string{"handlers[one]", "handlers[two]"}},
		"parts of two topics": {spec(`
  - {name: one, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: two, topic: b, key: {k: event.k}, set: {z: event.z}}`), []string{"handlers[one]", "handlers[two]"}},
		"unset of a part": {spec(whole + `
  - {name: some, topic: a, key: {k: event.k}, unset: [z]}`), []string{"handlers[some]"}},
		"setOnce": {spec(`
  - {name: h, topic: a, key: {k: event.k}, setOnce: {x: event.x}}`), []string{"handlers[h].setOnce.x"}},
		"add": {spec(`
  - {name: h, topic: a, key: {k: event.k}, set: {x: event.x}, add: {num: "1"}}`), []string{"handlers[h].add.num"}},
		"min": {spec(`
  - {name: h, topic: a, key: {k: event.k}, min: {num: event.n}}`), []string{"handlers[h].min.num"}},
		"max": {spec(`
  - {name: h, topic: a, key: {k: event.k}, max: {num: event.n}}`), []string{"handlers[h].max.num"}},
		"append": {spec(`
  - {name: h, topic: a, key: {k: event.k}, append: {s: event.x}}`), []string{"handlers[h].append.s"}},
		"merge": {spec(`
  - {name: h, topic: a, key: {k: event.k}, merge: {doc: event.doc}}`), []string{"handlers[h].merge.doc"}},
		"ignore": {spec(`
  - {name: h, topic: a, onAbsent: Ignore, key: {k: event.k}, set: {x: event.x}}`), []string{"handlers[h].onAbsent"}},
		"where": {spec(`
  - {name: h, topic: a, where: {k: event.k}, set: {x: event.x}}`), []string{"handlers[h].where"}},
		"row in an operation": {spec(`
  - {name: h, topic: a, key: {k: event.k}, set: {x: "row.x == null ? event.x : row.x"}}`), []string{"handlers[h].set.x"}},
		"row in when": {spec(`
  - {name: h, topic: a, when: row.x == null, key: {k: event.k}, set: {x: event.x}}`), []string{"handlers[h].when"}},
		"row of a delete": {spec(whole + `
  - {name: gone, topic: a, when: row.x == event.x, key: {k: event.k}, delete: true}`), []string{"handlers[gone].when"}},
		"versionBy": {spec(`
  - {name: h, topic: a, key: {k: event.k}, versionBy: {ver: event.v}, set: {x: event.x}}`), []string{"handlers[h].versionBy"}},
		"arrival": {strings.Replace(spec(`
  - {name: h, topic: c, key: {k: event.k}, set: {x: event.x}}`), "key: [k]", "key: [k]\n  order: Arrival", 1), []string{"order"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, problems := Compile(input(t, tc.spec, orderTopics))
			if c == nil {
				t.Fatal(list(problems))
			}
			var paths []string
			for _, p := range StartRefusals(c) {
				if p.Reason != ReasonStartNotPossible || p.Severity != Error || p.Message == "" {
					t.Errorf("%+v", p)
				}
				paths = append(paths, strings.TrimPrefix(p.Path, "models[m]."))
			}
			if !slices.Equal(paths, tc.refused) {
				t.Errorf("refused %q, want %q", paths, tc.refused)
			}
		})
	}
}
