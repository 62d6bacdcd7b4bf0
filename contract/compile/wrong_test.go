// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// wrong are edits of the whole spec that are refused, or get advice: the golden
// file has every message. One mistake each, such as people make.
var wrong = []struct {
	name string
	edit []string
}{
	{"column named like the mark of deleted rows", []string{"{name: least, type: int32}", "{name: _deleted, type: bool}", "    min: {least: row.on_hand}\n", ""}},
	{"column whose name YAML made of n", []string{"{name: least, type: int32}", "{name: n, type: int32}", "    min: {least: row.on_hand}\n", "    min: {n: row.on_hand}\n"}},
	{"enum on a number", []string{`{name: reserved, type: int32, default: "0"}`, `{name: reserved, type: int32, default: "0", enum: ["0", "1"]}`}},
	{"default not in enum", []string{"default: open", "default: new"}},
	{"enum value twice", []string{"[open, counted, closed]", "[open, open, closed]"}},
	{"constant not in enum", []string{`set: {state: "'closed'"}`, `set: {state: "'shut'"}`}},
	{"constant out of range", []string{"    add: {reserved: \"1\"}", "    set: {on_hand: \"-1\"}\n    add: {reserved: \"1\"}"}},
	{"range on a list", []string{`list: {maxItems: 3, distinct: true}`, `range: {min: "a"}`}},
	{"range upside down", []string{`{min: "0", max: "1000"}`, `{min: "1000", max: "0"}`}},
	{"range in no number", []string{`{min: "0", max: "1000"}`, `{min: none}`}},
	{"default out of range", []string{`{min: "0", max: "1000"}`, `{min: "1"}`}},
	{"list rule on a text", []string{"{name: sku, type: text}\n  - {name: state", "{name: sku, type: text}\n  - {name: note, type: text, list: {maxItems: 3}}\n  - {name: state"}},
	{"default longer than the cap", []string{`type: "text[]", default: "[]"`, `type: "text[]", default: '["a","b","c","d"]'`}},
	{"default not distinct", []string{`type: "text[]", default: "[]"`, `type: "text[]", default: '["a","a"]'`}},
	{"native in the key", []string{"  - {name: warehouse, type: text}", "  - {name: warehouse, type: text, native: varchar}"}},
	{"native that is no name", []string{"native: inet", `native: "inet; drop table x"`}},
	{"native that is added to", []string{`{name: reserved, type: int32, default: "0"}`, `{name: reserved, type: int32, default: "0", native: smallint}`}},
	{"native that a check reads", []string{"row.reserved <= row.on_hand", "row.source != ''"}},
	{"generated key", []string{"{name: sku, type: text}\n  - {name: state", "{name: sku, type: text, generated: row.state}\n  - {name: state"}},
	{"generated with default", []string{"{name: half, type: int32,", `{name: half, type: int32, default: "0",`}},
	{"generated that is written", []string{"    add: {reserved: \"1\"}", "    add: {reserved: \"1\", free: \"1\"}"}},
	{"generated from a later one", []string{"generated: row.on_hand - row.reserved", "generated: row.half"}},
	{"generated from itself", []string{"generated: row.on_hand - row.reserved", "generated: row.free + 1"}},
	{"generated constant", []string{"generated: row.free - 1", `generated: "1"`}},
	{"generated of another type", []string{"generated: row.free - 1", "generated: row.state + 'x'"}},
	{"generated from an event", []string{"generated: row.free - 1", "generated: event.free"}},
	{"generated from a joined column", []string{"generated: row.free - 1", "generated: 'row.price > 1 ? 1 : 0'"}},
	{"check that is no condition", []string{"row.reserved <= row.on_hand", "row.reserved + row.on_hand"}},
	{"check of nothing", []string{"rule: row.reserved <= row.on_hand", "rule: '1 < 2'"}},
	{"check of an unknown column", []string{"row.reserved <= row.on_hand", "row.reservd <= row.on_hand"}},
	{"two checks of one name", []string{"  - {name: enough, rule: row.reserved <= row.on_hand}\n", "  - {name: enough, rule: row.reserved <= row.on_hand}\n  - {name: enough, rule: row.reserved >= 0}\n"}},

	{"not-null column that is not written", []string{"counter: index", "counted_at: meta.time", "    unset: [counted_at]\n", ""}},
	{"not-null column that is only added to", []string{"set: {source: event.ip, counter: index}", "set: {source: event.ip}", "add: {on_hand: item.quantity}", "add: {on_hand: item.quantity, counter: index}"}},
	{"not-null column set to null", []string{"counter: index", `counter: "null"`}},
	{"not-null column unset", []string{"unset: [counted_at]", "unset: [state]"}},
	{"setOnce on a column with a default", []string{"setOnce: {first_at: event.time}", "setOnce: {reserved: event.n}"}},
	{"setOnce of null", []string{"setOnce: {first_at: event.time}", `setOnce: {first_at: "null"}`}},
	{"merge on a text", []string{"merge: {attributes: item.attributes}", "merge: {source: item.attributes}", "source: event.ip, ", ""}},
	{"merge of a list", []string{"merge: {attributes: item.attributes}", `merge: {attributes: "[1, 2]"}`}},
	{"min of a list", []string{"min: {least: row.on_hand}", "min: {last: item.last}", "    append: {last: meta.type}\n", ""}},
	{"set and unset", []string{"unset: [counted_at]", "unset: [source]"}},
	{"unset of an unknown column", []string{"unset: [counted_at]", "unset: [counted]"}},

	{"index on json", []string{"{columns: [sku, state]}", "{columns: [attributes]}"}},
	{"GIN on a number", []string{"{columns: [sku, state]}", "{columns: [reserved], method: GIN}"}},
	{"Hash of two columns", []string{"{columns: [sku, state]}", "{columns: [sku, state], method: Hash}"}},
	{"GiST on a text", []string{"{columns: [sku, state]}", "{columns: [sku], method: GiST}"}},
	{"unique GIN", []string{"{columns: [last], method: GIN}", "{columns: [last], method: GIN, unique: true}"}},
	{"unique native", []string{"{columns: [counter], unique: true}", "{columns: [source], unique: true}"}},
	{"unique key", []string{"{columns: [counter], unique: true}", "{columns: [sku, warehouse], unique: true}"}},
	{"unique in a model without order", []string{"  handlers:\n  - name: priced", "  indexes: [{columns: [title], unique: true}]\n  handlers:\n  - name: priced"}},
	{"unique with order: Arrival", []string{"  key: [id]\n", "  key: [id]\n  indexes: [{columns: [name], unique: true}]\n"}},
	{"one index twice", []string{"{columns: [sku, state]}", "{columns: [counter]}"}},

	{"join of an unknown model", []string{"model: product,", "model: products,"}},
	{"join by a part of the key", []string{"{model: product, match: {sku: sku}, set: {price: price, title: title}}", "{model: level, match: {sku: sku}, set: {other: state}}"}},
	{"join by another type", []string{"match: {sku: sku}", "match: {sku: reserved}"}},
	{"join by no key", []string{"match: {sku: sku}", "match: {sku: sku, title: state}"}},
	{"join of an unknown column", []string{"price: price,", "price: prize,"}},
	{"join under a name that is taken", []string{"price: price,", "state: price,"}},
	{"row reads a joined column", []string{"row.state != 'closed'", "row.title != 'closed'"}},

	{"version column with a default", []string{"{name: version, type: int64}", `{name: version, type: int64, default: "0"}`}},
	{"version column of another type", []string{"{name: version, type: int64}", "{name: version, type: json}"}},
	{"version column that is set", []string{"title: event.title}", "title: event.title, version: event.version}"}},
	{"version that guards nothing there", []string{"columns: [price, title]", "columns: [price, titel]"}},
	{"version that guards itself", []string{"columns: [price, title]", "columns: [price, title, version]"}},
	{"versionBy of no group", []string{"versionBy: {version: event.version}\n    set", "versionBy: {price: event.version}\n    set"}},
	{"version that is a constant", []string{"versionBy: {version: event.version}\n    set", "versionBy: {version: \"1\"}\n    set"}},
	{"version from the row", []string{"versionBy: {version: event.version}\n    set", "versionBy: {version: row.version + 1}\n    set"}},
	{"half a version", []string{"set: {price: event.price, title: event.title}", "set: {price: event.price}"}},
	{"version and a sum", []string{"  - {name: version, type: int64}", "  - {name: version, type: int64}\n  - {name: sum, type: int64}", "title: event.title}", "title: event.title}\n    add: {sum: \"1\"}", "    delete: true\n- name: mixed", "    set: {price: \"null\", title: \"null\"}\n- name: mixed"}},
	{"with and without version", []string{"versionBy: {version: event.version}\n    set", "set"}},
	{"versioned delete of half a row", []string{"  - {name: version, type: int64}", "  - {name: version, type: int64}\n  - {name: sum, type: int64}", "title: event.title}", "title: event.title}\n    add: {sum: \"1\"}"}},
	{"deleted rows without default", []string{"  - {name: title, type: text}", "  - {name: title, type: text, notNull: true}"}},

	{"key and where", []string{"    where: {warehouse: event.warehouse, state: \"'open'\"}", "    where: {warehouse: event.warehouse}\n    key: {warehouse: event.warehouse, sku: event.sku}"}},
	{"where of an unknown column", []string{"state: \"'open'\"", "stat: \"'open'\""}},
	{"where of json", []string{"state: \"'open'\"", "attributes: event.a"}},
	{"where of a native column", []string{"state: \"'open'\"", "source: event.ip"}},
	{"where of null", []string{"state: \"'open'\"", `state: "null"`}},
	{"where of the row", []string{"state: \"'open'\"", "state: row.state"}},
	{"where without order", []string{"where: {warehouse: event.warehouse, state: \"'open'\"}", "where: {state: event.state}"}},
	{"where without an index", []string{"    add: {seen: \"1\"}", "    add: {seen: \"1\"}\n  - name: renamed\n    topic: crm\n    events: [read]\n    where: {name: event.before.name}\n    set: {name: event.after.name}"}},
	{"key of the row", []string{"key: {warehouse: key, sku: event.sku}", "key: {warehouse: key, sku: row.sku}"}},
	{"forEach of the row", []string{"forEach: event.lines", "forEach: row.last"}},
	{"forEach of a text", []string{"forEach: event.lines", "forEach: string(event.lines)"}},
	{"item without forEach", []string{"    add: {reserved: \"1\"}", "    add: {reserved: item.n}"}},
	{"event of a tombstone", []string{"    tombstone: true\n    key: {id: key}", "    tombstone: true\n    key: {id: event.id}"}},
	{"type of a tombstone", []string{"    tombstone: true\n    key: {id: key}", "    tombstone: true\n    when: meta.type == 'delete'\n    key: {id: key}"}},
	{"events of a tombstone", []string{"    tombstone: true\n", "    tombstone: true\n    events: [delete]\n"}},
	{"default without a type", []string{"    event: {type: event.type}\n", "", ", type: ReceivedV2", "", `events: ["Received*"], when`, "when"}},
	{"default beside every type", []string{"events: [Closed]", `events: ["*"]`}},
	{"type that Debezium does not have", []string{"events: [create, update]", "events: [created]"}},

	{"format without a registry", []string{"format: CloudEvents", "format: Protobuf"}},
	{"field of a text key", []string{"key: {format: JSON, field: id}", "key: {field: id}"}},
	{"upcast that does nothing", []string{`- {name: older, when: "!has(event.n)", set: {nr: "0"}}`, `- {name: older, when: "!has(event.n)"}`}},
	{"upcast of half a path", []string{`set: {nr: "0"}`, `set: {"customer.": "'x'"}`}},
	{"upcast that sets and unsets", []string{"unset: [sku]", "unset: [lines]"}},
	{"upcast of bytes", []string{`set: {nr: "0"}`, `set: {nr: "b'0'"}`}},
	{"upcast with meta", []string{`set: {nr: "0"}`, `set: {nr: meta.partition}`}},
	{"upcast that is no condition", []string{`when: "!has(event.n)"`, `when: size(key)`}},
	{"upcasts of one name", []string{"name: older", "name: old"}},
	{"upcast of a text", []string{"    keyedBy: event.warehouse\n", "    format: Text\n    keyedBy: event.warehouse\n"}},
	{"upcast of what YAML made of n", []string{`set: {nr: "0"}`, `set: {n: "0"}`}},

	{"row that is not in order", []string{"    set: {name: event.after.name}", "    set: {name: \"row.seen > 1 ? 'often' : event.after.name\"}", "  order: Arrival\n", "", "  - name: forgotten\n    topic: crm\n    tombstone: true\n    key: {id: key}\n    delete: true\n", ""}},
	{"check that is not in order", []string{"  order: Arrival\n", "  checks: [{name: few, rule: row.seen < 10}]\n", "  - name: forgotten\n    topic: crm\n    tombstone: true\n    key: {id: key}\n    delete: true\n", ""}},
	{"sum in a range that is not in order", []string{"  order: Arrival\n", "", "{name: seen, type: int64, default: \"0\"}", "{name: seen, type: int64, default: \"0\", range: {max: \"10\"}}", "  - name: forgotten\n    topic: crm\n    tombstone: true\n    key: {id: key}\n    delete: true\n", ""}},
	{"delete and merge that are not in order", []string{"  order: Arrival\n", ""}},
	{"sample that is no share", []string{"sample: 0.5%", "sample: half"}},
	{"sample of more than all", []string{"sample: 0.5%", "sample: 101%"}},
	{"verification of nothing", []string{"    sample: 0.5%\n    assertions:\n    - {name: prices, row: row.price == null || row.price >= 0.0, model: product}\n    - {name: enough, model: mixed, all: count > 10 && sum.seen / count >= 1}\n", "    sample: 0%\n"}},
	{"assertion on an unknown model", []string{"model: product}\n    - {name: enough", "model: products}\n    - {name: enough"}},
	{"two assertions of one name", []string{"{name: enough, model: mixed,", "{name: prices, model: mixed,"}},
	{"assertion of nothing", []string{"row: row.price == null || row.price >= 0.0, model", "model"}},
	{"assertion of both", []string{"row: row.price == null || row.price >= 0.0", "row: row.price >= 0.0, all: count > 0"}},
	{"assertion on an unknown column", []string{"row.price == null || row.price >= 0.0", "row.prize >= 0.0"}},
	{"assertion on a joined column", []string{"{name: prices, row: row.price == null || row.price >= 0.0, model: product}", "{name: prices, model: level, row: row.title != ''}"}},
	{"assertion that is no condition", []string{"row.price == null || row.price >= 0.0", "row.price + 1"}},
	{"assertion on an event", []string{"row.price == null || row.price >= 0.0", "event.price >= 0.0"}},
	{"assertion on a row, over all", []string{"count > 10 && sum.seen / count >= 1", "row.seen > 1"}},
	{"assertion over the sum of a text", []string{"sum.seen / count", "sum.name / count"}},
	{"assertion over all that is no condition", []string{"count > 10 && sum.seen / count >= 1", "sum.seen"}},
	{"assertion over all that reads nothing", []string{"count > 10 && sum.seen / count >= 1", "1 > 0"}},
	{"assertion over a native column", []string{"{name: enough, model: mixed, all: count > 10 && sum.seen / count >= 1}", "{name: enough, model: level, all: max.source != null}"}},

	{"consent that is not needed", []string{"- name: level\n", "- name: level\n  order: Arrival\n", "  - {columns: [counter], unique: true}\n", ""}},
}

func TestWrong(t *testing.T) {
	var b strings.Builder
	base, _ := Compile(wholeInput(t))
	for _, tc := range wrong {
		t.Run(tc.name, func(t *testing.T) {
			in := wholeInput(t, tc.edit...)
			if tc.name == "format without a registry" {
				in.Brokers[1].Spec.SchemaRegistry = v1alpha1.SchemaRegistry{}
			}
			c, problems := Compile(in)
			fmt.Fprintf(&b, "# %s\n", tc.name)
			told := 0
			for _, p := range problems {
				if p.Path == "models[mixed].order" && p.Severity == Advice {
					continue // That of the whole spec.
				}
				told++
				place := ""
				if p.Column > 0 {
					place = fmt.Sprintf(" (byte %d)", p.Column)
				}
				fmt.Fprintf(&b, "%s %s%s %s\n", p.Severity, p.Reason, place, p)
			}
			if told == 0 {
				t.Errorf("nothing is said; the same data as before: %v", c != nil && SameData(base, c))
			}
		})
	}
	golden(t, "wrong.txt", []byte(b.String()))
}
