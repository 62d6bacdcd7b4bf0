// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"unicode/utf8"

	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// plain reads JSON payloads.
type plain struct{ json JSON }

func (p *plain) decode(rec *event.Record, doc *Doc) error {
	if rec.Value == nil {
		doc.Tombstone = true
		return nil
	}
	return p.json.into(rec.Value, doc)
}

// text reads payloads that are text: event is a string.
type text struct {
	json JSON
	w    jsontext.Writer
}

func (t *text) decode(rec *event.Record, doc *Doc) error {
	if rec.Value == nil {
		doc.Tombstone = true
		return nil
	}
	return t.string(rec.Value, doc)
}

func (t *text) string(b []byte, doc *Doc) error {
	if len(b) > MaxBytes {
		return errTooLong
	}
	if !utf8.Valid(b) {
		return decodeError("the payload is not valid UTF-8: set the EventTopic's format to Bytes, or correct the producer")
	}
	t.w.Reset()
	t.w.StringBytes(b)
	return t.json.written(&t.w, doc)
}

// raw reads payloads of any bytes: event is their base64 text.
type raw struct {
	json JSON
	w    jsontext.Writer
}

func (r *raw) decode(rec *event.Record, doc *Doc) error {
	if rec.Value == nil {
		doc.Tombstone = true
		return nil
	}
	if len(rec.Value) > MaxBytes {
		return errTooLong
	}
	r.w.Reset()
	r.w.Base64(rec.Value)
	return r.json.written(&r.w, doc)
}
