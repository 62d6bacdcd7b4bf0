// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile/compiletest"
)

const orderTopics = compiletest.Topics

func orderSpec(key, handlers string) string {
	return `
storeRef: {name: read}
topics: [{name: a}, {name: b}, {name: c}, {name: u}]
models:
- name: m
  key: [` + key + `]
  columns:
  - {name: k, type: text}
  - {name: l, type: text}
  - {name: x, type: text}
  - {name: z, type: text}
  - {name: num, type: int64}
  - {name: s, type: "text[]"}
  handlers:
` + handlers
}

func TestOrderingRule(t *testing.T) {
	for _, tc := range []struct {
		name, key, handlers string
		// refused are the paths below models[m].handlers; none means that it compiles.
		refused []string
		why     string
	}{
		{"single source, everything", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}, add: {num: "1"}, append: {s: event.x}}
  - {name: h2, topic: a, onAbsent: Ignore, key: {k: event.k}, max: {z: event.y}}
  - {name: h3, topic: a, key: {k: event.k}, delete: true}`,
			nil, "one message key per row, one partition"},
		{"single source by a longer key", "k, l", `
  - {name: h1, topic: a, key: {k: event.k, l: event.l}, set: {x: event.x}}
  - {name: h2, topic: a, key: {l: event.z, k: (event.k)}, delete: true}`,
			nil, "the key contains keyedBy, however it is written"},
		{"single source by the message key", "k", `
  - {name: h1, topic: u, key: {k: key}, set: {x: event.x}}
  - {name: h2, topic: u, key: {k: key}, delete: true}`,
			nil, "the message key itself needs no keyedBy"},
		{"message key and keyedBy are the same", "k", `
  - {name: h1, topic: a, key: {k: key}, set: {x: event.x}}
  - {name: h2, topic: a, key: {k: event.k}, delete: true}`,
			nil, "keyedBy is checked to equal the message key"},

		{"set, keyed by something else", "k", `
  - {name: h1, topic: c, key: {k: event.k}, set: {x: event.x}}`,
			[]string{"[h1].set.x"}, "rows named by event.k get events of many message keys"},
		{"set, keyedBy unknown", "k", `
  - {name: h1, topic: u, key: {k: event.k}, set: {x: event.x}}`,
			[]string{"[h1].set.x"}, "nothing says that events of a row share a partition"},
		{"append, keyedBy unknown", "k", `
  - {name: h1, topic: u, key: {k: event.k}, append: {s: event.x}}`,
			[]string{"[h1].append.s"}, "the order of elements is the order of arrival"},
		{"add and max, keyedBy unknown", "k", `
  - {name: h1, topic: u, key: {k: event.k}, add: {num: event.n}, max: {x: event.x}}
  - {name: h2, topic: u, key: {k: event.l}, add: {num: event.n}}`,
			nil, "both commute"},
		{"delete, keyedBy unknown", "k", `
  - {name: h1, topic: u, key: {k: event.k}, add: {num: event.n}}
  - {name: h2, topic: u, key: {k: event.k}, delete: true}`,
			[]string{"[h2].delete"}, "add, delete and delete, add differ"},
		{"only ignoring adds, keyedBy unknown", "k", `
  - {name: h1, topic: u, key: {k: event.k}, add: {num: event.n}}
  - {name: h2, topic: u, onAbsent: Ignore, key: {k: event.k}, add: {num: "1"}}`,
			[]string{"[h2].onAbsent"}, "whether h2 counts depends on whether h1 came first"},
		{"add and max of one column, keyedBy unknown", "k", `
  - {name: h1, topic: u, key: {k: event.k}, add: {num: event.n}}
  - {name: h2, topic: u, key: {k: event.k}, max: {num: event.n}}`,
			[]string{"[h1].add.num", "[h2].max.num"}, "max(0+5, 3) is not max(0, 3)+5"},
		{"constant key", "k", `
  - {name: h1, topic: a, key: {k: "'all'"}, add: {num: "1"}, set: {x: event.x}}`,
			[]string{"[h1].set.x"}, "one row for all message keys"},
		{"anchored at different columns", "k, l", `
  - {name: h1, topic: a, key: {k: event.k, l: event.l}, set: {x: event.x}}
  - {name: h2, topic: a, key: {k: event.l, l: event.k}, set: {x: event.x}}`,
			[]string{"[h1].set.x", "[h2].set.x"}, "row (1, 2) is written by message keys 1 and 2"},
		{"anchored at different columns, deleting", "k, l", `
  - {name: h1, topic: a, key: {k: event.k, l: event.l}, set: {x: event.x}}
  - {name: h2, topic: a, key: {k: event.l, l: event.k}, delete: true}`,
			[]string{"[h2].delete"}, "the delete is not ordered with the set"},
		{"a transformed key", "k", `
  - {name: h1, topic: a, key: {k: event.k.lowerAscii()}, set: {x: event.x}}`,
			[]string{"[h1].set.x"}, "message keys A and a meet in one row"},

		{"two topics, disjoint columns", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}, append: {s: event.x}}
  - {name: h2, topic: b, key: {k: event.k}, set: {z: event.y}, add: {num: "1"}}
  - {name: h3, topic: b, key: {k: event.k}, set: {num: event.n}}`,
			nil, "each column follows one message key of one topic"},
		{"two topics, disjoint columns, different anchors", "k, l", `
  - {name: h1, topic: a, key: {k: event.k, l: event.l}, set: {x: event.x}}
  - {name: h2, topic: c, key: {k: event.k, l: event.other}, set: {z: event.y}}`,
			nil, "a's events of a row share k, c's share l"},
		{"two topics, one column", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: b, key: {k: event.k}, set: {x: event.x}}`,
			[]string{"[h1].set.x", "[h2].set.x"}, "the last one wins, and which is last is chance"},
		{"two topics, shared sum", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}, add: {num: "1"}}
  - {name: h2, topic: c, key: {k: event.k}, add: {num: "1"}}`,
			nil, "x is a's alone, and sums commute"},
		{"two topics, sum that one sets", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {num: event.n}}
  - {name: h2, topic: b, key: {k: event.k}, add: {num: "1"}}`,
			[]string{"[h1].set.num", "[h2].add.num"}, "set and add do not commute"},
		{"two topics, delete", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: a, key: {k: event.k}, delete: true}
  - {name: h3, topic: b, key: {k: event.k}, set: {z: event.y}}`,
			[]string{"[h2].delete"}, "whether y survives depends on whether it came before the delete"},
		{"two topics, ignore", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: b, onAbsent: Ignore, key: {k: event.k}, set: {z: event.y}}`,
			[]string{"[h2].onAbsent"}, "y is lost when b comes first"},
		{"two topics, ignore in the creating one", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: a, onAbsent: Ignore, key: {k: event.k}, append: {s: event.x}}
  - {name: h3, topic: b, key: {k: event.k}, set: {z: event.y}}`,
			[]string{"[h2].onAbsent"}, "b may have created the row for h2"},
		{"two topics, append", "k", `
  - {name: h1, topic: a, key: {k: event.k}, append: {s: event.x}}
  - {name: h2, topic: b, key: {k: event.k}, append: {s: event.x}}`,
			[]string{"[h1].append.s", "[h2].append.s"}, "elements interleave"},
		{"two topics, columns of an unkeyed one", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: u, key: {k: event.k}, set: {z: event.y}}`,
			[]string{"[h2].set.z"}, "u's own events of a row have no order"},
		{"one topic, a column of its anchored handler alone", "k", `
  - {name: h1, topic: a, events: [A], key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: a, events: [B], key: {k: event.l}, add: {num: "1"}}`,
			nil, "x follows one message key; the sum commutes"},
		{"one topic, a column of anchored and unanchored handlers", "k", `
  - {name: h1, topic: a, events: [A], key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: a, events: [B], key: {k: event.l}, set: {x: event.x}}`,
			[]string{"[h1].set.x", "[h2].set.x"}, "h2 writes x from any partition"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, problems := Compile(input(t, orderSpec(tc.key, tc.handlers), orderTopics))
			var got []string
			for _, p := range Errors(problems) {
				if p.Reason != ReasonOrderNotGuaranteed || !strings.Contains(p.Message, "no order") {
					t.Errorf("unexpected %s: %s", p.Reason, p)
				}
				got = append(got, strings.TrimPrefix(p.Path, "models[m].handlers"))
			}
			slices.Sort(got)
			slices.Sort(tc.refused)
			if !slices.Equal(got, tc.refused) {
				t.Errorf("%s\nrefused %v, want %v:\n%s", tc.why, got, tc.refused, list(problems))
			}
		})
	}
}

func TestCompactionRule(t *testing.T) {
	const all = `x: event.x, z: event.y`
	for _, tc := range []struct {
		name, key, handlers string
		ok                  bool
		why                 string
	}{
		{"full sets by the message key", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {` + all + `}}`, true, "the last event says everything"},
		{"a delete after the full set", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {` + all + `}}
  - {name: h2, topic: a, when: event.gone, key: {k: event.k}, delete: true}`, true, "still a function of the last event"},
		{"partial sets", "k", `
  - {name: h1, topic: a, events: [A], key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: a, events: [B], key: {k: event.k}, set: {z: event.y}}`, false, "an A that compaction removed is missing"},
		{"conditional full set", "k", `
  - {name: h1, topic: a, when: event.ok, key: {k: event.k}, set: {` + all + `}}`, false, "an event that is ignored removes the one that was not"},
		{"a sum", "k", `
  - {name: h1, topic: a, key: {k: event.k}, add: {num: "1"}}`, false, "removed events do not count"},
		{"a longer key", "k, l", `
  - {name: h1, topic: a, key: {k: event.k, l: event.l}, set: {` + all + `}}`, false, "rows of earlier events vanish"},
		{"another key", "k", `
  - {name: h1, topic: a, key: {k: event.l}, add: {num: "1"}}`, false, "rows of earlier events vanish"},
		{"columns of one topic beside a sum of another", "k", `
  - {name: h1, topic: a, key: {k: event.k}, set: {` + all + `}}
  - {name: h2, topic: b, key: {k: event.k}, add: {num: "1"}}`, true, "b is not compacted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := input(t, orderSpec(tc.key, tc.handlers), orderTopics)
			if c, problems := Compile(in); c == nil {
				t.Fatalf("refused where nothing is compacted:\n%s", list(problems))
			}
			in.Facts = map[string]contract.TopicFacts{"a": {CleanupPolicy: "compact,delete"}}
			c, problems := Compile(in)
			if (c != nil) != tc.ok {
				t.Errorf("%s; got:\n%s", tc.why, list(problems))
			}
			for _, p := range problems {
				if p.Reason != ReasonCompactedTopic && p.Severity == Error {
					t.Errorf("unexpected reason: %s %s", p.Reason, p)
				}
			}
		})
	}
}
