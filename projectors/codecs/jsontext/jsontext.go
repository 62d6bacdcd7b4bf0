// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package jsontext

import (
	"encoding/base64"
	"errors"
	"math"
	"math/big"
	"strconv"
	"time"
	"unicode/utf8"
)

// The bounds of what a Writer writes (Law 10).
const (
	// MaxBytes bounds the text. It is that of a JSON payload, so that an event is
	// too large or not whatever it is encoded in.
	MaxBytes = 8 << 20
	// MaxDepth bounds its nesting: fastjson's own limit.
	MaxDepth = 300
	// MaxDecimalBytes bounds the unscaled value of a decimal; MaxScale the digits after its point.
	MaxDecimalBytes = 64
	MaxScale        = 400
)

// The errors of a Writer.
var (
	ErrTooLong   = errors.New("it is longer than 8 MiB as JSON")
	ErrTooDeep   = errors.New("it is nested deeper than 300 levels")
	ErrNotUTF8   = errors.New("a string is not valid UTF-8")
	ErrTime      = errors.New("a time is outside the years 1 to 9999")
	ErrDecimal   = errors.New("a decimal has more than 64 bytes")
	ErrTimeOfDay = errors.New("a time of day is not within one day")
)

// Writer writes one JSON text. The first error stays, and nothing is written
// after it; Err tells it. Loops over input ask Err, so that they end.
type Writer struct {
	buf     []byte
	err     error
	depth   int
	escaped bool
	// comma is true when the next value or name has a neighbour before it.
	comma bool
}

// keepBytes is the largest buffer that is kept for the next text.
const keepBytes = 256 << 10

// Reset begins a new text.
func (w *Writer) Reset() {
	if cap(w.buf) > keepBytes {
		w.buf = nil
	}
	*w = Writer{buf: w.buf[:0]}
}

// Bytes is the text; valid until Reset.
func (w *Writer) Bytes() []byte { return w.buf }

// Escaped is true when the text has a backslash.
func (w *Writer) Escaped() bool { return w.escaped }

// Err is the first error, nil if there is none.
func (w *Writer) Err() error {
	if w.err == nil && len(w.buf) > MaxBytes {
		w.err = ErrTooLong
	}
	return w.err
}

// Fail notes an error of the caller.
func (w *Writer) Fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// value makes room for a value; false when nothing may be written.
func (w *Writer) value() bool {
	if w.Err() != nil {
		return false
	}
	if w.comma {
		w.buf = append(w.buf, ',')
	}
	w.comma = true
	return true
}

func (w *Writer) open(c byte) {
	if !w.value() {
		return
	}
	if w.depth++; w.depth >= MaxDepth {
		w.Fail(ErrTooDeep)
		return
	}
	w.buf = append(w.buf, c)
	w.comma = false
}

func (w *Writer) close(c byte) {
	if w.Err() != nil {
		return
	}
	w.depth--
	w.buf = append(w.buf, c)
	w.comma = true
}

// BeginObject begins an object.
func (w *Writer) BeginObject() { w.open('{') }

// EndObject ends the object begun last.
func (w *Writer) EndObject() { w.close('}') }

// BeginArray begins an array.
func (w *Writer) BeginArray() { w.open('[') }

// EndArray ends the array begun last.
func (w *Writer) EndArray() { w.close(']') }

// Name writes the name of a member, whose value comes next.
func (w *Writer) Name(s string) {
	w.String(s)
	if w.err == nil {
		w.buf = append(w.buf, ':')
		w.comma = false
	}
}

// Null writes null.
func (w *Writer) Null() { w.raw("null") }

// Bool writes a bool.
func (w *Writer) Bool(b bool) { w.raw(strconv.FormatBool(b)) }

func (w *Writer) raw(s string) {
	if w.value() {
		w.buf = append(w.buf, s...)
	}
}

// Int writes a number without loss.
func (w *Writer) Int(n int64) {
	if w.value() {
		w.buf = strconv.AppendInt(w.buf, n, 10)
	}
}

// Uint writes a number without loss.
func (w *Writer) Uint(n uint64) {
	if w.value() {
		w.buf = strconv.AppendUint(w.buf, n, 10)
	}
}

// Float writes the shortest number that reads back as f, in bits (32 or 64).
// What JSON has no number for is the text NaN, Infinity or -Infinity.
func (w *Writer) Float(f float64, bits int) {
	switch {
	case math.IsNaN(f):
		w.String("NaN")
	case math.IsInf(f, 1):
		w.String("Infinity")
	case math.IsInf(f, -1):
		w.String("-Infinity")
	case w.value():
		w.buf = strconv.AppendFloat(w.buf, f, 'g', -1, bits)
	}
}

// Decimal writes unscaled / 10^scale as an exact number with scale digits after
// its point; unscaled is in big-endian two's complement. Scale is 0 to MaxScale.
func (w *Writer) Decimal(unscaled []byte, scale int) {
	if len(unscaled) > MaxDecimalBytes || scale < 0 || scale > MaxScale {
		w.Fail(ErrDecimal)
	}
	if !w.value() {
		return
	}
	n := new(big.Int).SetBytes(unscaled)
	if len(unscaled) > 0 && unscaled[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(unscaled))))
	}
	if n.Sign() < 0 {
		w.buf = append(w.buf, '-')
		n.Neg(n)
	}
	digits := n.Append(nil, 10)
	for range scale + 1 - len(digits) {
		digits = append([]byte{'0'}, digits...)
	}
	whole := len(digits) - scale
	w.buf = append(w.buf, digits[:whole]...)
	if scale > 0 {
		w.buf = append(append(w.buf, '.'), digits[whole:]...)
	}
}

// Base64 writes bytes as standard base64 text with padding.
func (w *Writer) Base64(b []byte) {
	if w.value() {
		w.buf = append(w.buf, '"')
		w.buf = base64.StdEncoding.AppendEncode(w.buf, b)
		w.buf = append(w.buf, '"')
	}
}

// timeBounds are the times that RFC 3339 has a form for.
var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	endOfTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Time writes t in a layout of package time; RFC3339Nano and its like.
func (w *Writer) Time(t time.Time, layout string) {
	if t.Before(firstTime) || !t.Before(endOfTime) {
		w.Fail(ErrTime)
	}
	if w.value() {
		w.buf = append(w.buf, '"')
		w.buf = t.UTC().AppendFormat(w.buf, layout)
		w.buf = append(w.buf, '"')
	}
}

// TimeOfDay writes a time since midnight as 15:04:05.999999.
func (w *Writer) TimeOfDay(d time.Duration) {
	if d < 0 || d >= 24*time.Hour {
		w.Fail(ErrTimeOfDay)
	}
	w.Time(time.Unix(0, 0).UTC().Add(d), "15:04:05.999999")
}

// String writes a string, which must be valid UTF-8.
func (w *Writer) String(s string) {
	if !utf8.ValidString(s) {
		w.Fail(ErrNotUTF8)
	}
	if w.value() {
		w.buf, w.escaped = appendString(w.buf, s, w.escaped)
	}
}

// StringBytes is String.
func (w *Writer) StringBytes(b []byte) {
	if !utf8.Valid(b) {
		w.Fail(ErrNotUTF8)
	}
	if w.value() {
		w.buf, w.escaped = appendString(w.buf, b, w.escaped)
	}
}

const hexDigits = "0123456789abcdef"

func appendString[T string | []byte](dst []byte, s T, escaped bool) ([]byte, bool) {
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from, escaped = i+1, true
		if c < 0x20 {
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	return append(append(dst, s[from:]...), '"'), escaped
}
