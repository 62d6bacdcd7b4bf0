// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"encoding/binary"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Entries of the spill: a row as it was when its bucket was spilled, or a record
// that came later. The file never leaves the process, so it has no version.
const (
	entryRow    = 'R'
	entryRecord = 'E'
)

// appendBytes writes a length and the bytes; nil is told from empty.
func appendBytes[T ~string | ~[]byte](b []byte, s T, null bool) []byte {
	if null {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(s))+1)
	return append(b, s...)
}

// appendRow writes values in their canonical texts, which read back as they were.
func appendRow(b []byte, m *fold.Model, model int, row []value.Value) []byte {
	b = binary.AppendUvarint(append(b, entryRow), uint64(model))
	for i, v := range row {
		if v == nil {
			b = appendBytes(b, "", true)
		} else {
			b = appendBytes(b, m.Columns[i].Type.Format(v), false)
		}
	}
	return b
}

func appendRecord(b []byte, topic int, partition int32, r *event.Record) []byte {
	b = binary.AppendUvarint(append(b, entryRecord), uint64(topic))
	b = binary.AppendUvarint(b, uint64(partition))
	b = binary.AppendUvarint(b, uint64(r.Offset))
	b = binary.AppendVarint(b, r.Timestamp)
	b = appendBytes(b, r.Key, r.Key == nil)
	b = appendBytes(b, r.Value, r.Value == nil)
	b = binary.AppendUvarint(b, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		b = appendBytes(b, h.Key, false)
		b = appendBytes(b, h.Value, h.Value == nil)
	}
	return b
}

// entries reads what the functions above wrote; bad is set where they did not.
type entries struct {
	b   []byte
	bad bool
}

func (e *entries) more() bool { return len(e.b) > 0 && !e.bad }

func (e *entries) kind() byte {
	k := e.b[0]
	e.b = e.b[1:]
	return k
}

func (e *entries) uvarint() uint64 {
	v, n := binary.Uvarint(e.b)
	if n <= 0 {
		e.bad, e.b = true, nil
		return 0
	}
	e.b = e.b[n:]
	return v
}

func (e *entries) varint() int64 {
	v, n := binary.Varint(e.b)
	if n <= 0 {
		e.bad, e.b = true, nil
		return 0
	}
	e.b = e.b[n:]
	return v
}

// bytes gives a slice of the piece, which is used again for the next one.
func (e *entries) bytes() []byte {
	n := e.uvarint()
	if n == 0 {
		return nil
	}
	if n--; n > uint64(len(e.b)) {
		e.bad, e.b = true, nil
		return nil
	}
	out := e.b[:n:n]
	e.b = e.b[n:]
	return out
}

func (e *entries) row(models []fold.Model) (model int, row []value.Value) {
	model = int(e.uvarint())
	if model >= len(models) {
		e.bad = true
		return 0, nil
	}
	m := &models[model]
	row = make([]value.Value, len(m.Columns))
	for i := range row {
		text := e.bytes()
		if text == nil {
			continue
		}
		v, err := m.Columns[i].Type.ParseText(string(text))
		if err != nil {
			e.bad = true
			return 0, nil
		}
		row[i] = v
	}
	return model, row
}

func (e *entries) record(r *event.Record) (topic int, partition int32) {
	topic, partition = int(e.uvarint()), int32(e.uvarint())
	*r = event.Record{Offset: int64(e.uvarint()), Timestamp: e.varint(), Key: e.bytes(), Value: e.bytes(), Headers: r.Headers[:0]}
	for n := e.uvarint(); n > 0 && !e.bad; n-- {
		key := string(e.bytes())
		r.Headers = append(r.Headers, event.Header{Key: key, Value: e.bytes()})
	}
	return topic, partition
}
