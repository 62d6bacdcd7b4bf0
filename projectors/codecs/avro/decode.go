// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package avro

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
)

// Error says why bytes are not a value of the schema.
type Error struct {
	// Path is the field path in the schema: lines[].price; empty for the value itself.
	Path string
	// Err says what is wrong, without a value.
	Err error
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// in puts a step before the path of an error.
func in(step string, err error) error {
	e, ok := err.(*Error) //nolint:errorlint // it is made in this file and never wrapped
	if !ok {
		return &Error{step, err}
	}
	if e.Path != "" && e.Path[0] != '[' {
		step += "."
	}
	e.Path = step + e.Path
	return e
}

var (
	errShort  = errors.New("the payload ends too early")
	errVarint = errors.New("a number has more than 64 bits")
	errInt    = errors.New("an int has more than 32 bits")
	errBool   = errors.New("a boolean is neither 0 nor 1")
	errIndex  = errors.New("the number of a branch or symbol is outside the schema")
	errLength = errors.New("a length is negative")
	errCount  = errors.New("the items of an array or map do not end")
	errLeft   = errors.New("bytes are left over")
)

// Decode writes the value of a payload, which must be nothing but it. An error
// is an *Error, or one of jsontext.
func (s *Schema) Decode(b []byte, w *jsontext.Writer) error {
	r := reader{b: b, w: w}
	if err := r.value(s.root); err != nil {
		return err
	}
	if len(r.b) > 0 {
		return &Error{Err: errLeft}
	}
	return w.Err()
}

type reader struct {
	b []byte
	w *jsontext.Writer
	// depth counts the containers within each other: unions write nothing that would.
	depth int
}

func (r *reader) value(n *node) error {
	switch n.kind {
	case null:
		r.w.Null()
		return nil
	case record, array, object, union:
		if r.depth++; r.depth > jsontext.MaxDepth {
			return jsontext.ErrTooDeep
		}
		defer func() { r.depth-- }()
		return r.container(n)
	case integer, date, timeOfDay, timestamp, localTimestamp:
		return r.number(n)
	case boolean:
		b, err := r.take(1)
		if err == nil && b[0] > 1 {
			err = errBool
		}
		if err == nil {
			r.w.Bool(b[0] == 1)
		}
		return err
	case float:
		b, err := r.take(4)
		if err == nil {
			r.w.Float(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 32)
		}
		return err
	case double:
		b, err := r.take(8)
		if err == nil {
			r.w.Float(math.Float64frombits(binary.LittleEndian.Uint64(b)), 64)
		}
		return err
	case bytes, text, decimal:
		return r.lengthed(n)
	case enum:
		i, err := r.index(len(n.symbols))
		if err == nil {
			r.w.String(n.symbols[i])
		}
		return err
	default:
		return r.fixed(n)
	}
}

func (r *reader) container(n *node) error {
	switch n.kind {
	case record:
		r.w.BeginObject()
		for i := range n.fields {
			f := &n.fields[i]
			r.w.Name(f.name)
			err := r.value(f.typ)
			if err == nil {
				err = r.w.Err()
			}
			if err != nil {
				return in(f.name, err)
			}
		}
		r.w.EndObject()
		return nil
	case union:
		i, err := r.index(len(n.branches))
		if err != nil {
			return err
		}
		return r.value(n.branches[i])
	case array:
		r.w.BeginArray()
		if err := r.blocks(func() error { return r.value(n.items) }); err != nil {
			return in("[]", err)
		}
		r.w.EndArray()
		return nil
	default:
		r.w.BeginObject()
		if err := r.blocks(func() error {
			name, err := r.bytes()
			if err != nil {
				return err
			}
			r.w.Name(string(name))
			return r.value(n.items)
		}); err != nil {
			return in("[]", err)
		}
		r.w.EndObject()
		return nil
	}
}

// blocks reads the items of an array or map: blocks of a count and as many
// items, until a count is 0. After a negative count comes the block's size,
// which helps only those who skip it.
func (r *reader) blocks(item func() error) error {
	for {
		count, err := r.long()
		if err != nil || count == 0 {
			return err
		}
		if count < 0 {
			if count == math.MinInt64 {
				return errCount
			}
			count = -count
			if _, err := r.long(); err != nil {
				return err
			}
		}
		for range count {
			if err := item(); err != nil {
				return err
			}
			// Items may take no bytes at all: what is written bounds them.
			if err := r.w.Err(); err != nil {
				return err
			}
		}
	}
}

func (r *reader) number(n *node) error {
	read := r.long
	if n.bits == 32 {
		read = r.int
	}
	v, err := read()
	if err != nil {
		return err
	}
	switch n.kind {
	case integer:
		r.w.Int(v)
	case date:
		r.w.Time(time.Unix(v*86400, 0), "2006-01-02")
	case timeOfDay:
		if v < 0 || v >= 86400*n.perSecond {
			return jsontext.ErrTimeOfDay
		}
		r.w.TimeOfDay(time.Duration(v * (1e9 / n.perSecond)))
	case timestamp:
		r.w.Time(unix(v, n.perSecond), time.RFC3339Nano)
	default:
		r.w.Time(unix(v, n.perSecond), "2006-01-02T15:04:05.999999999")
	}
	return nil
}

// unix is the time v units after 1970; package time carries what overflows.
func unix(v, perSecond int64) time.Time {
	return time.Unix(v/perSecond, v%perSecond*(1e9/perSecond)).UTC()
}

func (r *reader) lengthed(n *node) error {
	b, err := r.bytes()
	if err != nil {
		return err
	}
	switch n.kind {
	case text:
		r.w.StringBytes(b)
	case bytes:
		r.w.Base64(b)
	default:
		r.w.Decimal(b, n.scale)
	}
	return nil
}

func (r *reader) fixed(n *node) error {
	b, err := r.take(n.size)
	if err != nil {
		return err
	}
	switch n.kind {
	case decimalFixed:
		r.w.Decimal(b, n.scale)
	case uuidFixed:
		r.w.String(uuid.UUID(b).String())
	case duration:
		months, days, millis := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
		t := append(strconv.AppendUint([]byte("P"), uint64(months), 10), 'M')
		t = append(strconv.AppendUint(t, uint64(days), 10), "DT"...)
		t = append(strconv.AppendFloat(t, float64(millis)/1000, 'f', -1, 64), 'S')
		r.w.StringBytes(t)
	default:
		r.w.Base64(b)
	}
	return nil
}

// index reads the number of a branch or symbol below n.
func (r *reader) index(n int) (int, error) {
	i, err := r.int()
	if err == nil && (i < 0 || i >= int64(n)) {
		err = errIndex
	}
	return int(i), err
}

func (r *reader) bytes() ([]byte, error) {
	n, err := r.long()
	switch {
	case err != nil:
		return nil, err
	case n < 0:
		return nil, errLength
	case n > int64(len(r.b)):
		return nil, errShort
	}
	return r.take(int(n))
}

func (r *reader) take(n int) ([]byte, error) {
	if n > len(r.b) {
		return nil, errShort
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b, nil
}

// int reads a zigzag number of 32 bits, which takes five bytes at most: a longer form is no int, whatever its value.
func (r *reader) int() (int64, error) {
	before := len(r.b)
	v, err := r.long()
	if err == nil && (before-len(r.b) > binary.MaxVarintLen32 || v > math.MaxInt32 || v < math.MinInt32) {
		err = errInt
	}
	return v, err
}

// long reads a zigzag number.
func (r *reader) long() (int64, error) {
	v, n := binary.Varint(r.b)
	switch {
	case n == 0:
		return 0, errShort
	case n < 0:
		return 0, errVarint
	}
	r.b = r.b[n:]
	return v, nil
}
