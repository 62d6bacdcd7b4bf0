// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
)

// Limits of a payload.
const (
	// MaxBytes bounds one payload.
	MaxBytes = jsontext.MaxBytes
	// MaxDepth bounds its nesting.
	MaxDepth = fastjson.MaxDepth
	// keepBytes is the largest payload whose parse tree is kept for the next one.
	keepBytes = 256 << 10
)

var errTooLong = decodeError("the payload is longer than %d bytes", MaxBytes)

// JSON decodes JSON payloads. It belongs to one goroutine.
type JSON struct {
	parser fastjson.Parser
	large  bool
}

// Decode parses a payload. It must be one JSON value in valid UTF-8; text that
// escapes half a surrogate pair is refused, because it has no UTF-8 form. Errors
// are *DecodeError.
func (d *JSON) Decode(b []byte) (Doc, error) {
	switch {
	case len(b) == 0:
		return Doc{}, decodeError("the payload is empty")
	case len(b) > MaxBytes:
		return Doc{}, errTooLong
	}
	d.makeRoom(len(b))
	v, err := d.parser.ParseBytes(b)
	if err != nil {
		return Doc{}, whyNot(b)
	}
	escaped, ok := scan(b)
	if !ok {
		return Doc{}, whyNot(b)
	}
	if escaped && halfSurrogate(b) {
		return Doc{}, decodeError(`the payload escapes half a surrogate pair (\ud800 to \udfff)`)
	}
	return Doc{Value: v, Escaped: escaped}, nil
}

// whyNot says why a payload was refused.
func whyNot(b []byte) error {
	if !utf8.Valid(b) {
		return decodeError("the payload is not valid UTF-8")
	}
	return decodeError("the payload is not JSON, or is nested deeper than %d levels", MaxDepth)
}

// makeRoom is called before a text of n bytes is parsed.
func (d *JSON) makeRoom(n int) {
	if d.large {
		// A parse tree is many times its payload: one large event must not pin it.
		d.parser = fastjson.Parser{}
	}
	d.large = n > keepBytes
}

// into is Decode for a Doc that holds other things already.
func (d *JSON) into(b []byte, doc *Doc) error {
	v, err := d.Decode(b)
	doc.Value, doc.Escaped = v.Value, v.Escaped
	return err
}

// written parses what was written as JSON from another format.
func (d *JSON) written(w *jsontext.Writer, doc *Doc) error {
	if err := w.Err(); err != nil {
		return decodeError("the payload cannot be read: %v", err)
	}
	d.makeRoom(len(w.Bytes()))
	v, err := d.parser.ParseBytes(w.Bytes())
	if err != nil {
		return decodeError("the payload is nested deeper than %d levels", MaxDepth)
	}
	doc.Value, doc.Escaped = v, w.Escaped()
	return nil
}

// halfSurrogate looks for \uD8xx without \uDCxx after it, and the other way round.
// The text is valid JSON: a backslash occurs in strings only and starts an escape.
func halfSurrogate(s []byte) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		i++
		if s[i] != 'u' {
			continue
		}
		u := hex4(s[i+1:])
		i += 4
		switch {
		case u >= 0xDC00 && u <= 0xDFFF:
			return true
		case u >= 0xD800 && u <= 0xDBFF:
			if i+6 >= len(s) || s[i+1] != '\\' || s[i+2] != 'u' {
				return true
			}
			if low := hex4(s[i+3:]); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 6
		}
	}
	return false
}

func hex4(s []byte) (u uint32) {
	for i := range 4 {
		c := s[i] | 0x20
		if c >= 'a' {
			c -= 'a' - 10
		} else {
			c -= '0'
		}
		u = u<<4 | uint32(c&15)
	}
	return u
}
