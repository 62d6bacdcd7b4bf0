// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
)

// Change is one difference between two contracts.
type Change struct {
	// Path is the field's path below the Projection's spec; for topics below topics[name].
	Path string
	// Message says what changed, and for a Rebuild why rows already written would differ.
	Message string
	// Rebuild is true where the change makes rows another function of the events, so that a new revision is needed.
	// Otherwise it takes effect in place.
	Rebuild bool
}

// String gives the change in one line.
func (c Change) String() string { return c.Path + ": " + c.Message }

// Diff tells what changes from one contract to another. Some Change is a Rebuild
// if and only if SameData is false. Positions of topics and models mean nothing.
func Diff(from, to *contract.Contract) []Change {
	var d differ
	d.topics(from, to)
	d.models(from, to)
	if !reflect.DeepEqual(from.Broker, to.Broker) {
		d.inPlace("topics", "how to connect to the broker changed")
	}
	if !reflect.DeepEqual(from.Store, to.Store) {
		d.inPlace("storeRef", "how to connect to the read store changed")
	}
	if from.LagTargetSeconds != to.LagTargetSeconds {
		d.inPlace("lagTargetSeconds", "changed from %d to %d", from.LagTargetSeconds, to.LagTargetSeconds)
	}
	slices.SortStableFunc(d.changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return d.changes
}

type differ struct{ changes []Change }

func (d *differ) rebuild(path, format string, args ...any) {
	d.changes = append(d.changes, Change{Path: path, Message: fmt.Sprintf(format, args...), Rebuild: true})
}

func (d *differ) inPlace(path, format string, args ...any) {
	d.changes = append(d.changes, Change{Path: path, Message: fmt.Sprintf(format, args...)})
}

const rowsDiffer = "rows already written would differ"

func (d *differ) topics(from, to *contract.Contract) {
	a, b := canonicalForm(from).Topics, canonicalForm(to).Topics
	pair(a, b, func(t canonicalTopic) string { return t.Name }, func(name string, x, y *canonicalTopic) {
		path := "topics[" + name + "]"
		switch {
		case x == nil:
			d.rebuild(path, "added: its events up to now have to be applied")
		case y == nil:
			d.rebuild(path, "removed: what its events made would stay")
		default:
			d.text(path+".topic", x.BrokerTopic, y.BrokerTopic)
			d.text(path+".format", x.Format, y.Format)
			d.text(path+".keyedBy", x.KeyedBy, y.KeyedBy)
			d.text(path+".event.type", x.EventType, y.EventType)
			d.text(path+".event.id", x.EventID, y.EventID)
			d.text(path+".event.time", x.EventTime, y.EventTime)
		}
	})
}

func (d *differ) text(path, x, y string) {
	switch {
	case x == y:
	case x == "":
		d.rebuild(path, "set to %s: %s", y, rowsDiffer)
	case y == "":
		d.rebuild(path, "removed: %s", rowsDiffer)
	default:
		d.rebuild(path, "changed from %s to %s: %s", x, y, rowsDiffer)
	}
}

func (d *differ) models(from, to *contract.Contract) {
	pair(from.Models, to.Models, func(m contract.Model) string { return m.Name }, func(name string, x, y *contract.Model) {
		path := "models[" + name + "]"
		switch {
		case x == nil:
			d.rebuild(path, "added: its rows have to be built")
		case y == nil:
			d.rebuild(path, "removed: models of a revision are switched together")
		default:
			d.columns(path, x, y)
			if !slices.Equal(x.Key, y.Key) {
				d.rebuild(path+".key", "changed from [%s] to [%s]: rows would be other rows", strings.Join(x.Key, ", "), strings.Join(y.Key, ", "))
			}
			if !reflect.DeepEqual(indexSet(x), indexSet(y)) {
				d.inPlace(path+".indexes", "changed")
			}
			d.handlers(path, x, y)
		}
	})
}

func indexSet(m *contract.Model) map[string]bool {
	out := map[string]bool{}
	for _, i := range m.Indexes {
		out[strings.Join(i.Columns, ",")] = true
	}
	return out
}

func (d *differ) columns(path string, x, y *contract.Model) {
	before := len(d.changes)
	name := func(c contract.Column) string { return c.Name }
	pair(x.Columns, y.Columns, name, func(column string, a, b *contract.Column) {
		at := path + ".columns[" + column + "]"
		switch {
		case a == nil:
			d.rebuild(at, "added: rows already written lack it")
		case b == nil:
			d.rebuild(at, "removed: the table is another one")
		default:
			if ta, tb := canonicalType(a.Type), canonicalType(b.Type); ta != tb {
				d.rebuild(at+".type", "changed from %s to %s: %s", ta, tb, rowsDiffer)
			}
			if !reflect.DeepEqual(a.Default, b.Default) {
				d.rebuild(at+".default", "changed: %s", rowsDiffer)
			}
		}
	})
	if before == len(d.changes) && !slices.EqualFunc(x.Columns, y.Columns, func(a, b contract.Column) bool { return a.Name == b.Name }) {
		d.rebuild(path+".columns", "come in another order: readers that select all columns see them in it")
	}
}

func (d *differ) handlers(path string, x, y *contract.Model) {
	same := slices.EqualFunc(x.Handlers, y.Handlers, func(a, b contract.Handler) bool {
		return reflect.DeepEqual(canonicalHandlerOf(&a), canonicalHandlerOf(&b))
	})
	if same {
		for i := range x.Handlers {
			if a, b := x.Handlers[i].Name, y.Handlers[i].Name; a != b {
				d.inPlace(path+".handlers["+b+"].name", "changed from %s", a)
			}
		}
		return
	}
	before := len(d.changes)
	pair(x.Handlers, y.Handlers, func(h contract.Handler) string { return h.Name }, func(name string, a, b *contract.Handler) {
		at := path + ".handlers[" + name + "]"
		switch {
		case a == nil:
			d.rebuild(at, "added: it has to see the events up to now")
		case b == nil:
			d.rebuild(at, "removed: what it made would stay")
		default:
			d.handler(at, canonicalHandlerOf(a), canonicalHandlerOf(b))
		}
	})
	if before == len(d.changes) {
		d.rebuild(path+".handlers", "come in another order: handlers of one event take effect in it")
	}
}

func (d *differ) handler(path string, a, b canonicalHandler) {
	d.text(path+".topic", a.Topic, b.Topic)
	d.text(path+".events", quoted(a.Events), quoted(b.Events))
	d.text(path+".when", a.When, b.When)
	d.text(path+".onAbsent", a.OnAbsent, b.OnAbsent)
	if a.Delete != b.Delete {
		d.rebuild(path+".delete", "changed: %s", rowsDiffer)
	}
	d.texts(path+".key", a.Key, b.Key)
	d.texts(path+".set", a.Set, b.Set)
	d.texts(path+".add", a.Add, b.Add)
	d.texts(path+".max", a.Max, b.Max)
	d.texts(path+".append", a.Append, b.Append)
}

func (d *differ) texts(path string, a, b map[string]string) {
	names := slices.Sorted(maps.Keys(a))
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	for _, name := range names {
		d.text(path+"."+name, a[name], b[name])
	}
}

// pair calls f for each name in either slice, with nil for the side that lacks it.
func pair[T any](a, b []T, name func(T) string, f func(string, *T, *T)) {
	find := func(in []T, n string) *T {
		if i := slices.IndexFunc(in, func(t T) bool { return name(t) == n }); i >= 0 {
			return &in[i]
		}
		return nil
	}
	for i := range a {
		f(name(a[i]), &a[i], find(b, name(a[i])))
	}
	for i := range b {
		if find(a, name(b[i])) == nil {
			f(name(b[i]), nil, &b[i])
		}
	}
}

// quoted lists event types so that no two lists look the same; "" for none.
func quoted(events []string) string {
	var out []string
	for _, e := range events {
		out = append(out, fmt.Sprintf("%q", e))
	}
	return strings.Join(out, ", ")
}
