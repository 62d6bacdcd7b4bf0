// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract"
)

// widerSpec is orderSpec with columns for every operation.
func widerSpec(key, model, handlers string) string {
	s := orderSpec(key, handlers)
	s = strings.Replace(s, "  - {name: s, type: \"text[]\"}\n", `  - {name: s, type: "text[]"}
  - {name: doc, type: json}
  - {name: ver, type: int64}
  - {name: ver2, type: int64}
  - {name: shown, type: text, generated: row.x}
`, 1)
	return strings.Replace(s, "  handlers:\n", model+"  handlers:\n", 1)
}

func TestOrderingRuleOfTheWholeLanguage(t *testing.T) {
	const group = "  versions: [{column: ver, columns: [x, z]}]\n"
	for _, tc := range []struct {
		name, key, model, handlers string
		// refused are the paths below models[m]; none means that it compiles.
		refused []string
		why     string
	}{
		{"single source, everything", "k", "  checks: [{name: c, rule: row.num == null || row.num > 0}]\n  indexes: [{columns: [z], unique: true}]\n", `
  - {name: h1, topic: a, key: {k: event.k}, setOnce: {x: event.x}, min: {num: event.n}, merge: {doc: event.d}}
  - {name: h2, topic: a, onAbsent: Ignore, when: "row.num > 1", key: {k: event.k}, unset: [x], set: {z: "row.shown"}}
  - {name: h3, topic: a, where: {k: event.k}, delete: true}
  - {name: h4, topic: a, tombstone: true, key: {k: key}, delete: true}`,
			nil, "one message key per row, one partition"},
		{"single source by a number in the message key", "k", "", `
  - {name: h1, topic: a, tombstone: true, key: {k: string(key)}, delete: true}`,
			[]string{".handlers[h1].delete"}, "string(key) is no canonical form of key, though it means the same: write key"},
		{"fan-out by another column", "k", "", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x, z: event.z}}
  - {name: h2, topic: a, where: {x: event.x}, set: {z: event.z}}`,
			[]string{".handlers[h2].where"}, "rows that match have many message keys"},
		{"fan-out from another topic", "k", "", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: b, where: {k: event.k}, set: {z: event.z}}`,
			[]string{".handlers[h2].where"}, "whether the row is there depends on a"},
		{"fan-out by a part of the key", "k, l", "", `
  - {name: h1, topic: a, key: {k: event.k, l: event.l}, set: {x: event.x}}
  - {name: h2, topic: a, where: {k: event.k}, set: {x: event.x}}`,
			nil, "all these rows have one message key"},
		{"two topics, min alone", "k", "", `
  - {name: h1, topic: a, key: {k: event.k}, min: {num: event.n}}
  - {name: h2, topic: u, key: {k: event.k}, min: {num: event.n}}`,
			nil, "min commutes"},
		{"two topics, min and max", "k", "", `
  - {name: h1, topic: a, key: {k: event.k}, min: {num: event.n}}
  - {name: h2, topic: b, key: {k: event.k}, max: {num: event.n}}`,
			[]string{".handlers[h1].min.num", ".handlers[h2].max.num"}, "min(max(x, 5), 3) is not max(min(x, 3), 5)"},
		{"two topics, setOnce", "k", "", `
  - {name: h1, topic: a, key: {k: event.k}, setOnce: {x: event.x}}
  - {name: h2, topic: b, key: {k: event.k}, setOnce: {x: event.x}}`,
			[]string{".handlers[h1].setOnce.x", ".handlers[h2].setOnce.x"}, "the first one wins"},
		{"two topics, merge", "k", "", `
  - {name: h1, topic: a, key: {k: event.k}, merge: {doc: event.x}}
  - {name: h2, topic: b, key: {k: event.k}, merge: {doc: event.x}}`,
			[]string{".handlers[h1].merge.doc", ".handlers[h2].merge.doc"}, "they may name the same member"},
		{"two topics, unset of a sum", "k", "", `
  - {name: h1, topic: a, key: {k: event.k}, add: {num: event.n}}
  - {name: h2, topic: b, key: {k: event.k}, unset: [num]}`,
			[]string{".handlers[h1].add.num", ".handlers[h2].unset.num"}, "what comes after it counts"},
		{"versions from anywhere", "k", group, `
  - {name: h1, topic: u, key: {k: event.k}, versionBy: {ver: event.v}, set: {x: event.x, z: event.z}}
  - {name: h2, topic: a, key: {k: event.k}, versionBy: {ver: event.v}, set: {x: event.x}, unset: [z]}
  - {name: h3, topic: b, key: {k: event.k}, add: {num: "1"}}`,
			nil, "the highest version wins"},
		{"two groups", "k", "  versions: [{column: ver, columns: [x]}, {column: ver2, columns: [z]}]\n", `
  - {name: h1, topic: u, key: {k: event.k}, versionBy: {ver: event.v}, set: {x: event.x}}
  - {name: h2, topic: b, key: {k: event.k}, versionBy: {ver2: event.v}, set: {z: event.x}}`,
			nil, "each is decided by itself"},
		{"half a group", "k", group, `
  - {name: h1, topic: u, key: {k: event.k}, versionBy: {ver: event.v}, set: {x: event.x}}
  - {name: h2, topic: u, key: {k: event.k}, versionBy: {ver: event.v}, set: {x: event.x, z: event.x}}`,
			[]string{".handlers[h1].versionBy.ver"}, "z of version 1 stays under version 2, or not"},
		{"a group whose versions come in order, beside another topic", "k", group, `
  - {name: h1, topic: a, key: {k: event.k}, versionBy: {ver: event.v}, set: {x: event.x}, add: {num: "1"}}
  - {name: h2, topic: b, key: {k: event.k}, merge: {doc: event.x}}`,
			nil, "what a does is a function of its message key's events"},
		{"a sum that a version lets through", "k", group, `
  - {name: h1, topic: u, key: {k: event.k}, versionBy: {ver: event.v}, set: {x: event.x, z: event.z}, add: {num: "1"}}`,
			[]string{".handlers[h1].add.num"}, "whether it counts depends on who came first"},
		{"with and without version", "k", group, `
  - {name: h1, topic: u, key: {k: event.k}, versionBy: {ver: event.v}, set: {x: event.x, z: event.z}}
  - {name: h2, topic: a, key: {k: event.k}, set: {x: event.x}}`,
			[]string{".handlers[h2].set.x"}, "h2 has no version to lose by"},
		{"an ignoring version", "k", group, `
  - {name: h1, topic: u, key: {k: event.k}, versionBy: {ver: event.v}, set: {x: event.x, z: event.z}}
  - {name: h2, topic: u, onAbsent: Ignore, key: {k: event.k}, versionBy: {ver: event.v}, set: {x: event.x, z: event.z}}`,
			[]string{".handlers[h2].onAbsent"}, "whether h2 finds the row depends on who came first"},
		{"reading what is in order", "k", "", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: a, when: row.shown == null, key: {k: event.k}, set: {z: "row.k"}}
  - {name: h3, topic: b, key: {k: event.k}, add: {num: "1"}}`,
			nil, "x follows a's message key, k never changes"},
		{"reading a sum", "k", "", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: "string(row.num)"}}
  - {name: h2, topic: b, key: {k: event.k}, add: {num: "1"}}`,
			[]string{".handlers[h1].set.x"}, "how much has come is chance"},
		{"reading a generated column", "k", "", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: b, key: {k: event.k}, set: {z: "row.shown"}}`,
			[]string{".handlers[h2].set.z"}, "shown comes from x, which is a's"},
		{"two topics, check", "k", "  checks: [{name: c, rule: row.num < 9}]\n", `
  - {name: h1, topic: a, key: {k: event.k}, add: {num: event.n}}
  - {name: h2, topic: b, key: {k: event.k}, add: {num: event.n}}`,
			[]string{".checks[c]"}, "+9, -5 fails and -5, +9 does not"},
		{"two topics, consent", "k", "  order: Arrival\n", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: b, where: {k: event.k}, set: {x: event.x}}
  - {name: h3, topic: c, key: {k: event.k}, delete: true}`,
			nil, "it was asked for"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, problems := Compile(input(t, widerSpec(tc.key, tc.model, tc.handlers), orderTopics))
			var got []string
			for _, p := range Errors(problems) {
				if p.Reason != ReasonOrderNotGuaranteed || !strings.Contains(p.Message, "no order") || !strings.Contains(p.Message, "order: Arrival") {
					t.Errorf("unexpected %s: %s", p.Reason, p)
				}
				got = append(got, strings.TrimPrefix(p.Path, "models[m]"))
			}
			slices.Sort(got)
			slices.Sort(tc.refused)
			if !slices.Equal(got, tc.refused) {
				t.Errorf("%s\nrefused %v, want %v:\n%s", tc.why, got, tc.refused, list(problems))
			}
		})
	}
}

func TestCompactionRuleOfTheWholeLanguage(t *testing.T) {
	const all = `x: event.x, z: event.y`
	const tombstone = `
  - {name: t, topic: a, tombstone: true, key: {k: key}, delete: true}`
	for _, tc := range []struct {
		name, handlers, advice string
		ok                     bool
		why                    string
	}{
		{"tombstones delete", `
  - {name: h1, topic: a, key: {k: event.k}, set: {` + all + `}}` + tombstone, "", true, "the last record says everything"},
		{"no tombstones", `
  - {name: h1, topic: a, key: {k: event.k}, set: {` + all + `}}`, "tombstone: true and delete: true removes it", true, "allowed, and said"},
		{"tombstones that leave a mark", `
  - {name: h1, topic: a, key: {k: event.k}, set: {` + all + `}}
  - {name: t, topic: a, tombstone: true, key: {k: key}, set: {x: "'gone'"}}`, "", false, "the mark is lost with the tombstone"},
		{"tombstones under a condition", `
  - {name: h1, topic: a, key: {k: event.k}, set: {` + all + `}}
  - {name: t, topic: a, tombstone: true, when: "headers['x'] == 'y'", key: {k: key}, delete: true}`, "", false, "the condition is lost with the tombstone"},
		{"a set that reads the row", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: row.z, z: event.y}}` + tombstone, "", false, "what the row was is lost"},
		{"elements", `
  - {name: h1, topic: a, forEach: event.all, key: {k: event.k}, set: {` + all + `}}` + tombstone, "", false, "an event without elements says nothing"},
		{"set and unset", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}, unset: [z]}` + tombstone, "", true, "NULL is said, too"},
		{"setOnce", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}, setOnce: {z: event.y}}` + tombstone, "", false, "the first event is lost"},
		{"fan-out", `
  - {name: h1, topic: a, key: {k: event.k}, set: {x: event.x}}
  - {name: h2, topic: a, where: {k: event.k}, set: {` + all + `}}` + tombstone, "", false, "it finds no row that was not made"},
		{"Debezium, by its types", `
  - {name: h1, topic: d, events: [create, read, "up*"], key: {k: key}, set: {` + all + `}}
  - {name: h2, topic: d, default: true, key: {k: key}, delete: true}
  - {name: t, topic: d, tombstone: true, key: {k: key}, delete: true}`, "", true, "there are no other types"},
		{"Debezium, one type short", `
  - {name: h1, topic: d, events: [create, update], key: {k: key}, set: {` + all + `}}
  - {name: h2, topic: d, events: [delete], key: {k: key}, delete: true}
  - {name: t, topic: d, tombstone: true, key: {k: key}, delete: true}`, "", false, "a read after a create is lost"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec := strings.Replace(orderSpec("k", tc.handlers), "{name: u}", "{name: u}, {name: d}", 1)
			in := input(t, spec, orderTopics+"- {metadata: {name: d}, spec: {brokerRef: {name: main}, format: Debezium, create: {partitions: 1, config: {cleanup.policy: compact}}}}\n")
			in.Facts = map[string]contract.TopicFacts{"a": {CleanupPolicy: "compact"}}
			c, problems := Compile(in)
			if (c != nil) != tc.ok {
				t.Errorf("%s; got:\n%s", tc.why, list(problems))
			}
			advised := false
			for _, p := range problems {
				if p.Reason != ReasonCompactedTopic && p.Severity == Error {
					t.Errorf("unexpected reason: %s %s", p.Reason, p)
				}
				advised = advised || strings.Contains(p.Message, "tombstone: true and delete: true")
			}
			if advised != (tc.advice != "") {
				t.Errorf("advice: %s", list(problems))
			}
		})
	}
}

func TestAdviceOnRetention(t *testing.T) {
	for _, tc := range []struct {
		name, config string
		facts        map[string]contract.TopicFacts
		about        string
	}{
		{"nothing known", "", nil, ""},
		{"for ever", "retention.ms: '-1'", nil, ""},
		{"limited by the spec", "retention.ms: '604800000'", nil, "deletes its events after a while"},
		{"limited in size", "retention.ms: '-1', retention.bytes: '1000'", nil, "deletes its events after a while"},
		{"seen to be for ever", "retention.ms: '1'", map[string]contract.TopicFacts{"a": {CleanupPolicy: "delete", RetentionMillis: -1, RetentionBytes: -1}}, ""},
		{"seen to be limited", "", map[string]contract.TopicFacts{"a": {CleanupPolicy: "delete", RetentionMillis: 1000, RetentionBytes: -1}}, "deletes its events after a while"},
		{"trimmed", "", map[string]contract.TopicFacts{"a": {CleanupPolicy: "delete", RetentionMillis: 1000, RetentionBytes: -1, Trimmed: 2, Partitions: 3}}, "the first events of 2 of its 3 partitions are gone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			topics := strings.Replace(orderTopics, "event: {type: event.type}", "event: {type: event.type}, create: {partitions: 1, config: {"+tc.config+"}}", 1)
			in := input(t, orderSpec("k", "  - {name: h, topic: a, key: {k: event.k}, set: {x: event.x, z: event.z, l: event.l, num: event.n, s: event.s}}"), topics)
			in.Facts = tc.facts
			_, problems := Compile(in)
			i := slices.IndexFunc(problems, func(p Problem) bool { return p.Path == "topics[a]" && p.Severity == Advice })
			if (i >= 0) != (tc.about != "") || i >= 0 && !strings.Contains(problems[i].Message, tc.about) {
				t.Errorf("got:\n%s", list(problems))
			}
		})
	}
}

// Patterns of event types mean what the regular expression of the same form means.
func TestEventTypePatterns(t *testing.T) {
	text := rapid.StringMatching(`[ab*]{0,5}`)
	rapid.Check(t, func(rt *rapid.T) {
		a, b, typ := text.Draw(rt, "a"), text.Draw(rt, "b"), rapid.StringMatching(`[ab]{0,6}`).Draw(rt, "type")
		like := func(p string) bool {
			return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$").MatchString(typ)
		}
		if matches(a, typ) != like(a) {
			rt.Errorf("%q matches %q: %v", a, typ, matches(a, typ))
		}
		if like(a) && like(b) && !overlap(a, b) {
			rt.Errorf("%q and %q match %q, and do not overlap", a, b, typ)
		}
		if overlap(a, b) != overlap(b, a) {
			rt.Errorf("%q and %q overlap one way only", a, b)
		}
	})
	for _, p := range [][2]string{{"a*", "b*"}, {"a", "b"}, {"*a", "*b"}, {"a*c", "b"}, {"", "a"}} {
		if overlap(p[0], p[1]) {
			t.Errorf("%q and %q overlap", p[0], p[1])
		}
	}
	if long := strings.Repeat("*a", 126); !overlap(long, long) {
		t.Error("a pattern does not overlap itself")
	}
}

func TestProblemsHaveTheirColumn(t *testing.T) {
	for _, tc := range []struct {
		source       string
		line, column int
		want         int
	}{
		{"event.x", 1, 1, 1}, {"event.x", 1, 7, 7}, {"'é' + x", 1, 7, 8}, {"a &&\n b", 2, 2, 7}, {"a", 1, 9, 2}, {"a", 3, 1, 1}, {"", 1, 1, 1},
	} {
		if got := byteColumn(tc.source, tc.line, tc.column); got != tc.want {
			t.Errorf("%q, line %d, column %d: byte %d, want %d", tc.source, tc.line, tc.column, got, tc.want)
		}
	}
	_, problems := edit(t, "event.price * event.quantity", "event.price *\n      evnt.quantity")
	if len(problems) == 0 || problems[0].Column != len("event.price * ")+1 {
		t.Errorf("got column %d of %s", problems[0].Column, list(problems))
	}
}
