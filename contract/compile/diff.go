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
	if !reflect.DeepEqual(from.Build, to.Build) {
		d.inPlace("rollout.build", "changed: a build in bulk that is under way begins anew")
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
			d.text(path+".key.format", x.KeyFormat, y.KeyFormat)
			d.text(path+".key.field", x.KeyField, y.KeyField)
			d.text(path+".keyedBy", x.KeyedBy, y.KeyedBy)
			d.text(path+".event.type", x.EventType, y.EventType)
			d.text(path+".event.id", x.EventID, y.EventID)
			d.text(path+".event.time", x.EventTime, y.EventTime)
		}
	})
	pair(from.Topics, to.Topics, func(t contract.Topic) string { return t.Name }, func(name string, x, y *contract.Topic) {
		if x != nil && y != nil {
			d.upcasts("topics["+name+"]", x, y)
		}
	})
}

func (d *differ) upcasts(path string, x, y *contract.Topic) {
	same := slices.EqualFunc(x.Upcasts, y.Upcasts, func(a, b contract.Upcast) bool {
		return reflect.DeepEqual(canonicalUpcastOf(&a), canonicalUpcastOf(&b))
	})
	if same {
		for i := range x.Upcasts {
			if a, b := x.Upcasts[i].Name, y.Upcasts[i].Name; a != b {
				d.inPlace(path+".upcasts["+b+"].name", "changed from %s", a)
			}
		}
		return
	}
	before := len(d.changes)
	pair(x.Upcasts, y.Upcasts, func(u contract.Upcast) string { return u.Name }, func(name string, a, b *contract.Upcast) {
		at := path + ".upcasts[" + name + "]"
		switch {
		case a == nil:
			d.rebuild(at, "added: %s", rowsDiffer)
		case b == nil:
			d.rebuild(at, "removed: %s", rowsDiffer)
		default:
			ca, cb := canonicalUpcastOf(a), canonicalUpcastOf(b)
			d.text(at+".events", quoted(ca.Events), quoted(cb.Events))
			d.text(at+".when", ca.When, cb.When)
			d.texts(at+".set", ca.Set, cb.Set)
			d.text(at+".unset", quoted(ca.Unset), quoted(cb.Unset))
			d.text(at+".type", ca.Type, cb.Type)
		}
	})
	if before == len(d.changes) {
		d.rebuild(path+".upcasts", "come in another order: each sees what the one before has made")
	}
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
			if x.Comment != y.Comment {
				d.inPlace(path+".comment", "changed")
			}
			d.rules(path, x, y)
			d.handlers(path, x, y)
		}
	})
}

// rules compares what stands beside columns and handlers.
func (d *differ) rules(path string, x, y *contract.Model) {
	a, b := canonicalModelOf(x), canonicalModelOf(y)
	d.text(path+".order", a.Order, b.Order)
	d.checks(path, x, y, reflect.DeepEqual(a.Checks, b.Checks))
	pair(a.Versions, b.Versions, func(v canonicalVersion) string { return v.Column }, func(name string, v, w *canonicalVersion) {
		at := path + ".versions[" + name + "]"
		switch {
		case v == nil:
			d.rebuild(at, "added: %s", rowsDiffer)
		case w == nil:
			d.rebuild(at, "removed: %s", rowsDiffer)
		default:
			d.text(at+".columns", strings.Join(v.Columns, ", "), strings.Join(w.Columns, ", "))
		}
	})
	if !reflect.DeepEqual(a.Joins, b.Joins) {
		d.rebuild(path+".joins", "changed: readers see other columns, and views of a revision are switched together")
	}
	switch {
	case !reflect.DeepEqual(a.Unique, b.Unique):
		d.rebuild(path+".indexes", "unique ones changed: events that were refused would be applied, or the other way round")
	case !reflect.DeepEqual(indexSet(x), indexSet(y)):
		d.inPlace(path+".indexes", "changed")
	}
}

func (d *differ) checks(path string, x, y *contract.Model, same bool) {
	pair(x.Checks, y.Checks, func(c contract.Check) string { return c.Name }, func(name string, a, b *contract.Check) {
		at := path + ".checks[" + name + "]"
		switch {
		case same && (a == nil || b == nil):
			d.inPlace(at+".name", "changed")
		case a == nil:
			d.rebuild(at, "added: %s", rowsDiffer)
		case b == nil:
			d.rebuild(at, "removed: %s", rowsDiffer)
		case !same:
			d.text(at+".rule", canonicalText(a.Rule), canonicalText(b.Rule))
		}
	})
}

func indexSet(m *contract.Model) map[string]bool {
	out := map[string]bool{}
	for _, i := range m.Indexes {
		out[strings.Join(i.Columns, ",")+" "+i.Method] = true
	}
	return out
}

func (d *differ) columns(path string, x, y *contract.Model) {
	before := len(d.changes)
	rebuilt := func() bool {
		return slices.ContainsFunc(d.changes[before:], func(c Change) bool { return c.Rebuild })
	}
	name := func(c contract.Column) string { return c.Name }
	pair(x.Columns, y.Columns, name, func(column string, a, b *contract.Column) {
		at := path + ".columns[" + column + "]"
		switch {
		case a == nil:
			d.rebuild(at, "added: rows already written lack it")
		case b == nil:
			d.rebuild(at, "removed: the table is another one")
		default:
			d.column(at, a, b)
		}
	})
	if !rebuilt() && !slices.EqualFunc(x.Columns, y.Columns, func(a, b contract.Column) bool { return a.Name == b.Name }) {
		d.rebuild(path+".columns", "come in another order: readers that select all columns see them in it")
	}
}

func (d *differ) column(path string, x, y *contract.Column) {
	a, b := canonicalColumnOf(x), canonicalColumnOf(y)
	d.text(path+".type", a.Type, b.Type)
	d.text(path+".native", a.Native, b.Native)
	d.text(path+".generated", a.Generated, b.Generated)
	d.text(path+".enum", quoted(a.Enum), quoted(b.Enum))
	for _, part := range []struct {
		name string
		same bool
	}{
		{"default", reflect.DeepEqual(a.Default, b.Default)}, {"notNull", a.NotNull == b.NotNull},
		{"range.min", reflect.DeepEqual(a.Min, b.Min)}, {"range.max", reflect.DeepEqual(a.Max, b.Max)},
		{"list.maxItems", a.MaxItems == b.MaxItems}, {"list.distinct", a.Distinct == b.Distinct},
	} {
		if !part.same {
			d.rebuild(path+"."+part.name, "changed: %s", rowsDiffer)
		}
	}
	if x.Comment != y.Comment {
		d.inPlace(path+".comment", "changed")
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
	d.text(path+".forEach", a.ForEach, b.ForEach)
	d.text(path+".unset", strings.Join(a.Unset, ", "), strings.Join(b.Unset, ", "))
	for _, part := range []struct {
		name string
		a, b bool
	}{{"default", a.Default, b.Default}, {"tombstone", a.Tombstone, b.Tombstone}, {"delete", a.Delete, b.Delete}} {
		if part.a != part.b {
			d.rebuild(path+"."+part.name, "changed: %s", rowsDiffer)
		}
	}
	for _, part := range []struct {
		name string
		a, b map[string]string
	}{
		{"key", a.Key, b.Key}, {"where", a.Where, b.Where}, {"versionBy", a.VersionBy, b.VersionBy},
		{"set", a.Set, b.Set}, {"setOnce", a.SetOnce, b.SetOnce}, {"add", a.Add, b.Add}, {"min", a.Min, b.Min}, {"max", a.Max, b.Max},
		{"append", a.Append, b.Append}, {"merge", a.Merge, b.Merge},
	} {
		d.texts(path+"."+part.name, part.a, part.b)
	}
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
