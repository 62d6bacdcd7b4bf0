// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"errors"
	"unicode/utf8"

	"github.com/projectionist-dev/projectionist/contract/jsondoc"
	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
)

// Limits of a payload.
const (
	// MaxBytes bounds one payload.
	MaxBytes = jsontext.MaxBytes
	// MaxDepth bounds its nesting.
	MaxDepth = jsondoc.MaxDepth
)

var errTooLong = decodeError("the payload is longer than %d bytes", MaxBytes)

// JSON decodes JSON payloads. It belongs to one goroutine.
type JSON struct {
	doc jsondoc.Doc
	// members are the ones to look for while the tree of the payload waits to be
	// asked for; nil: the tree is made at once.
	members *jsondoc.Paths
}

// Decode parses a payload. It must be one JSON value in valid UTF-8; text that
// escapes half a surrogate pair is refused, because it has no UTF-8 form. Errors
// are *DecodeError.
func (d *JSON) Decode(b []byte) (Doc, error) {
	if err := d.scan(b); err != nil {
		return Doc{}, err
	}
	return Doc{Value: d.doc.Tree(), Escaped: d.doc.Escaped()}, nil
}

func (d *JSON) scan(b []byte) error {
	switch {
	case len(b) == 0:
		return decodeError("the payload is empty")
	case len(b) > MaxBytes:
		return errTooLong
	}
	switch err := d.doc.Scan(b, d.members); {
	case err == nil:
		return nil
	case errors.Is(err, jsondoc.ErrHalfSurrogate):
		return decodeError(`the payload escapes half a surrogate pair (\ud800 to \udfff)`)
	case !utf8.Valid(b):
		return decodeError("the payload is not valid UTF-8")
	}
	return decodeError("the payload is not JSON, or is nested deeper than %d levels", MaxDepth)
}

// into is Decode for a Doc that holds other things already.
func (d *JSON) into(b []byte, doc *Doc) error {
	if err := d.scan(b); err != nil {
		return err
	}
	doc.Value, doc.Members, doc.Escaped = nil, nil, d.doc.Escaped()
	if d.members != nil {
		doc.Members = &d.doc
	} else {
		doc.Value = d.doc.Tree()
	}
	return nil
}

// written parses what was written as JSON from another format.
func (d *JSON) written(w *jsontext.Writer, doc *Doc) error {
	if err := w.Err(); err != nil {
		return decodeError("the payload cannot be read: %v", err)
	}
	v, err := d.doc.Parse(w.Bytes())
	if err != nil {
		return decodeError("the payload is nested deeper than %d levels", MaxDepth)
	}
	doc.Value, doc.Members, doc.Escaped = v, nil, w.Escaped()
	return nil
}
