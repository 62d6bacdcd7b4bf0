// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/events"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/replay"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rows"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
)

// Report is what events do, in the form of -o json.
type Report struct {
	Projection string  `json:"projection"`
	Events     []Event `json:"events"`
	Tables     []Table `json:"tables"`
	Summary    Summary `json:"summary"`
}

// Summary counts events by what became of them.
type Summary struct {
	Events  int `json:"events"`
	Applied int `json:"applied"`
	// NotHandled counts those whose type no handler takes and tombstones, Skipped
	// those for which no condition was true.
	NotHandled int `json:"notHandled"`
	Skipped    int `json:"skipped"`
	Errors     int `json:"errors"`
}

// Event is one event and what it did.
type Event struct {
	Number    int    `json:"number"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Position  string `json:"position"`
	Type      string `json:"type,omitempty"`
	// Key is the message key, nil for a null key.
	Key *string `json:"key"`
	// Result is applied, not handled, skipped, or error.
	Result  string   `json:"result"`
	Note    string   `json:"note,omitempty"`
	Changes []Change `json:"changes,omitempty"`
	Error   *Error   `json:"error,omitempty"`
}

// Change is what became of one row.
type Change struct {
	Model    string   `json:"model"`
	Key      string   `json:"key"`
	Handlers []string `json:"handlers"`
	Change   string   `json:"change"`
}

// Error is why an event cannot be applied.
type Error struct {
	Reason  string `json:"reason"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Payload is the beginning of the event's payload.
	Payload string `json:"payload"`
}

// Table is the rows of a model.
type Table struct {
	Model   string   `json:"model"`
	Columns []string `json:"columns"`
	// Rows are the values as text, NULL as null.
	Rows [][]*string `json:"rows"`
}

// Of applies the events in memory.
func Of(ctx context.Context, p *replay.Projection, given []events.Event) (*Report, error) {
	views, err := rows.Views(p.Contract)
	if err != nil {
		return nil, err
	}
	trace, result, err := replay.Trace(ctx, p, given, true)
	if err != nil {
		return nil, err
	}
	r := &Report{Projection: p.Contract.Projection.Name, Events: []Event{}, Summary: Summary{Events: len(given)}}
	for i := range trace {
		r.Events = append(r.Events, r.event(views, &trace[i], &given[trace[i].Event]))
	}
	for i := range views {
		r.Tables = append(r.Tables, tableOf(&views[i], result.Rows[i]))
	}
	return r, nil
}

func (r *Report) event(views []rows.View, t *replay.Traced, e *events.Event) Event {
	out := Event{
		Number: t.Event + 1, Topic: e.Topic, Partition: max(0, e.Partition), Position: strconv.FormatInt(t.Offset, 10), Type: t.Type,
	}
	if e.Record.Key != nil {
		key := printable(e.Record.Key)
		out.Key = &key
	}
	switch {
	case t.Stop != nil:
		r.Summary.Errors++
		out.Result = "error"
		out.Error = &Error{Reason: t.Stop.Reason, Path: t.Stop.Path, Message: t.Stop.Message, Payload: shorten(printable(e.Record.Value))}
	case t.Outcome.Result == handlers.Applied:
		r.Summary.Applied++
		out.Result = "applied"
		out.Changes = changes(views, t)
	case t.Outcome.Result == handlers.IgnoredWhen:
		r.Summary.Skipped++
		out.Result, out.Note = "skipped", "no condition (when) is true for it"
	case t.Outcome.Result == handlers.IgnoredTombstone:
		r.Summary.NotHandled++
		out.Result, out.Note = "not handled", "no handler takes records without a value"
	default:
		r.Summary.NotHandled++
		out.Result, out.Note = "not handled", "no handler takes events of this type"
	}
	return out
}

// changes are the rows that an event reached, in the order of its effects, and those that a join shows otherwise.
func changes(views []rows.View, t *replay.Traced) []Change {
	var out []Change
	at := func(model, key string) *Change {
		i := slices.IndexFunc(out, func(c Change) bool { return c.Model == model && c.Key == key })
		if i < 0 {
			out = append(out, Change{Model: model, Key: key, Change: "no change"})
			i = len(out) - 1
		}
		return &out[i]
	}
	for _, e := range t.Effects {
		if e.Key != nil {
			c := at(views[e.Model].Model.Name, views[e.Model].KeyText(e.Key))
			c.Handlers = append(c.Handlers, e.HandlerName())
		}
	}
	for _, ch := range t.Changes {
		v := &views[ch.Model]
		c := at(v.Model.Name, v.Key(ch.Row()))
		c.Change = v.Change(ch.Before, ch.After)
		if len(c.Handlers) > 0 {
			continue
		}
		for _, e := range t.Effects {
			if e.Model == ch.Model && e.Key == nil {
				c.Handlers = append(c.Handlers, e.HandlerName())
			}
		}
	}
	return out
}

func tableOf(v *rows.View, got [][]any) Table {
	t := Table{Model: v.Model.Name, Rows: [][]*string{}}
	for _, c := range v.Columns {
		t.Columns = append(t.Columns, c.Name)
	}
	for _, r := range got {
		line := make([]*string, len(r))
		for i, x := range r {
			if x != nil {
				s := v.Types[i].Format(x)
				line[i] = &s
			}
		}
		t.Rows = append(t.Rows, line)
	}
	return t
}

// printable is bytes as text; what is no text is quoted as Go writes it.
func printable(b []byte) string {
	if !utf8.Valid(b) {
		return strconv.QuoteToASCII(string(b))
	}
	if json.Valid(b) {
		return string(b)
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, string(b))
}

// maxPayload bounds the payload that is shown of an event in error, in characters.
const maxPayload = 300

func shorten(s string) string {
	if r := []rune(s); len(r) > maxPayload {
		return string(r[:maxPayload]) + " ..."
	}
	return s
}
