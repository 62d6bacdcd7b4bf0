// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"time"

	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/projectors/event"
)

// debezium reads the envelope of change events: event is {before, after, op,
// source, ts_ms, ...}, its type says what was changed.
type debezium struct{ documents }

// operations are Debezium's, and the event types that they become.
var operations = map[string]string{
	"c": "create", "u": "update", "d": "delete", "r": "read", "t": "truncate", "m": "message",
}

func (d *debezium) decode(rec *event.Record, doc *Doc) error {
	if rec.Value == nil {
		doc.Tombstone = true
		return nil
	}
	if err := d.into(rec.Value, rec.Headers, doc); err != nil {
		return err
	}
	doc.Value = unwrap(doc.Value, doc.Escaped)
	if isNull(doc.Value) {
		doc.Value, doc.Tombstone = nil, true
		return nil
	}
	op := member(doc.Value, doc.Escaped, "op")
	if op == nil {
		return decodeError("the payload is no change event of Debezium: it has no member op. Where the connector unwraps its events " +
			"(ExtractNewRecordState), the EventTopic's format is JSON or that of the registry's schemas")
	}
	var ok bool
	if doc.Type, ok = operations[string(op.GetStringBytes())]; !ok {
		return decodeError("member op of the change event is none of c, u, d, r, t and m")
	}
	doc.Time = changedAt(doc.Value, doc.Escaped)
	return nil
}

// changedAt is when the change was made in the database (source.ts_ms), else
// when the connector saw it (ts_ms); zero when the event says neither.
func changedAt(v *fastjson.Value, escaped bool) time.Time {
	for _, holder := range []*fastjson.Value{member(v, escaped, "source"), v} {
		ms := member(holder, escaped, "ts_ms")
		if ms == nil {
			continue
		}
		// Connectors write 0 where the database does not tell.
		if n := ms.GetInt64(); n > 0 && n < maxMillis {
			return time.UnixMilli(n).UTC()
		}
	}
	return time.Time{}
}

// maxMillis is the end of the year 9999 in milliseconds since 1970.
const maxMillis = 253_402_300_800_000

// outbox reads what Debezium's outbox event router writes: the payload alone,
// with what else the router knows in headers.
type outbox struct {
	documents
	inner JSON
}

func (o *outbox) decode(rec *event.Record, doc *Doc) error {
	for i := range rec.Headers {
		switch h := &rec.Headers[i]; h.Key {
		case "eventType":
			doc.Type = string(h.Value)
		case "id":
			doc.ID = string(h.Value)
		}
	}
	if rec.Value == nil {
		doc.Tombstone = true
		return nil
	}
	if err := o.into(rec.Value, rec.Headers, doc); err != nil {
		return err
	}
	doc.Value = unwrap(doc.Value, doc.Escaped)
	if isNull(doc.Value) {
		doc.Value, doc.Tombstone = nil, true
		return nil
	}
	// Without expand.json.payload the router writes a column of JSON as a string.
	if s := doc.Value.GetStringBytes(); len(s) > 0 && (s[0] == '{' || s[0] == '[') {
		return o.inner.into(s, doc)
	}
	return nil
}
