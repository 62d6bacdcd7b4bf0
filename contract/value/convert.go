// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"
)

// Error says why something is not a value of a type. Its text is a predicate
// that follows "is", as in "event.price is a string, expected a number", and
// never holds the value itself (Law 7).
type Error struct{ Predicate string }

func (e *Error) Error() string { return e.Predicate }

func errf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Describe names the type of what an expression yielded, with its article.
func Describe(in any) string {
	switch in.(type) {
	case nil:
		return "null"
	case string, JSON:
		return "a string"
	case bool:
		return "a bool"
	case int64, int, int32:
		return "an int"
	case uint64:
		return "a uint"
	case *apd.Decimal:
		return "a decimal"
	case float64:
		return "a double"
	case time.Time:
		return "a timestamp"
	case TimeOfDay:
		return "a time of day"
	case time.Duration:
		return "a duration"
	case []byte, [16]byte:
		return "bytes"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return "of a type without a column"
	}
}

func (t Type) expected() string {
	if t.Array {
		return "a list"
	}
	switch t.Kind {
	case Text:
		return "a string (write string(...) to convert)"
	case Bool:
		return "a bool"
	case Int32, Int64, Float64, Decimal:
		return "a number"
	case Timestamp:
		return "a timestamp or a string in RFC 3339 form"
	case Date:
		return "a date as a string, such as 2006-01-02"
	case Time:
		return "a time of day as a string, such as 15:04:05"
	case UUID:
		return "a uuid as a string"
	case Bytes:
		return "bytes (write base64.decode(...) or bytes(...) to convert)"
	default:
		return "a JSON value"
	}
}

func (t Type) mismatch(in any) error { return errf("%s, expected %s", Describe(in), t.expected()) }

// Convert turns what an expression yielded into a value of the type. nil gives
// NULL. What comes in is one of string, bool, int64, uint64, *apd.Decimal, float64,
// time.Time, []byte, []any and map[string]any; the result shares no memory that
// the caller may change.
//
//	column        from                  rule
//	text          string                valid UTF-8, no NUL character, at most MaxTextBytes
//	bool          a bool
//	int32, int64  int, uint, decimal    integral and in range; a double must be converted by int(...)
//	float64       int, decimal, double  the nearest float64; out of range, NaN and infinities are errors; -0 is 0
//	decimal(p,s)  int, uint, decimal    rounded to s digits after the point, half away from zero, then at most
//	                                    p digits; a double is an error
//	timestamp     timestamp, string     RFC 3339; cut to whole microseconds (towards the past); years 1 to 9999
//	date          string, timestamp     2006-01-02; a timestamp must be midnight UTC
//	time          string                15:04, 15:04:05 or 15:04:05.999999, without a zone; cut to whole microseconds
//	uuid          string                8-4-4-4-12 hex digits, either case
//	json          anything but bytes    canonical text: sorted keys, no spaces; nested null stays null, a
//	                                    timestamp becomes its RFC 3339 text; at most MaxTextBytes
//	bytes         any bytes             at most MaxTextBytes
//	T[]           list                  each element by the rules of T, none null; at most MaxArrayElements
func (t Type) Convert(in any) (Value, error) {
	if in == nil {
		return nil, nil
	}
	if t.Array {
		return t.convertList(in)
	}
	switch t.Kind {
	case Text:
		if s, ok := in.(string); ok {
			return in, checkText(s, MaxTextBytes)
		}
	case Bool:
		if _, ok := in.(bool); ok {
			return in, nil
		}
	case Int32, Int64:
		return t.convertInt(in)
	case Float64:
		return t.convertFloat(in)
	case Decimal:
		return t.convertDecimal(in)
	case Timestamp:
		return t.convertTimestamp(in)
	case Date:
		return t.convertDate(in)
	case Time:
		return t.convertTime(in)
	case UUID:
		if s, ok := in.(string); ok {
			return parseUUID(s, false)
		}
	case JSONKind:
		return convertJSON(in)
	case Bytes:
		if b, ok := in.([]byte); ok {
			if len(b) > MaxTextBytes {
				return nil, errf("longer than %d bytes", MaxTextBytes)
			}
			return append([]byte{}, b...), nil
		}
	}
	return nil, t.mismatch(in)
}

// ConvertKey is Convert for key columns. It is injective, so that two message
// keys never become one row: nothing is rounded, a uuid must be in lower case, a
// timestamp or a time of day given as a string must be in the form that Format
// gives (UTC, "Z", no trailing zeros), text is bounded by MaxKeyTextBytes, and null is an error.
func (t Type) ConvertKey(in any) (Value, error) {
	if in == nil {
		return nil, errf("null, and a key column must not be null")
	}
	switch t.Kind {
	case Text:
		if s, ok := in.(string); ok {
			return in, checkText(s, MaxKeyTextBytes)
		}
	case UUID:
		if s, ok := in.(string); ok {
			return parseUUID(s, true)
		}
	case Timestamp:
		v, err := t.Convert(in)
		if err != nil {
			return nil, err
		}
		switch x := in.(type) {
		case time.Time:
			if !x.Equal(v.(time.Time)) {
				return nil, errf("finer than a microsecond, which a key column cannot hold")
			}
		case string:
			if t.Format(v) != x {
				return nil, errf("not in the canonical form of a timestamp that a key column needs: UTC with Z, at most six digits of seconds, no trailing zeros")
			}
		}
		return v, nil
	case Time:
		v, err := t.Convert(in)
		if err == nil && t.Format(v) != in {
			return nil, errf("not in the canonical form of a time of day that a key column needs: hours, minutes and seconds, at most six digits after them, no trailing zeros")
		}
		return v, err
	}
	if !t.CanKey() {
		return nil, errf("of type %s, which cannot be part of a key", t)
	}
	return t.Convert(in)
}

func checkText(s string, limit int) error {
	switch {
	case len(s) > limit:
		return errf("longer than %d bytes", limit)
	case strings.IndexByte(s, 0) >= 0:
		return errf("a string with a NUL character, which a text column cannot hold")
	case !utf8.ValidString(s):
		return errf("not valid UTF-8")
	}
	return nil
}

func (t Type) convertList(in any) (Value, error) {
	list, ok := in.([]any)
	if !ok {
		return nil, t.mismatch(in)
	}
	if len(list) > MaxArrayElements {
		return nil, errf("a list of more than %d elements", MaxArrayElements)
	}
	elem := t.Elem()
	out := make([]Value, len(list))
	for i, x := range list {
		if x == nil {
			return nil, errf("a list with a null in it, which an array column cannot hold")
		}
		v, err := elem.Convert(x)
		if err != nil {
			return nil, errf("a list with an element that is %v", err)
		}
		out[i] = v
	}
	return out, nil
}

func (t Type) convertInt(in any) (Value, error) {
	var n int64
	switch x := in.(type) {
	case int64:
		n = x
	case uint64:
		if x > math.MaxInt64 {
			return nil, errf("out of the range of %s", t)
		}
		n = int64(x)
	case *apd.Decimal:
		i, ok := Integral(x)
		if !ok {
			return nil, errf("a number with a fraction or out of the range of %s", t)
		}
		n = i
	case float64:
		return nil, errf("a double, expected an integer for %s: write int(...)", t)
	default:
		return nil, t.mismatch(in)
	}
	if t.Kind == Int32 && (n < math.MinInt32 || n > math.MaxInt32) {
		return nil, errf("out of the range of int32")
	}
	if _, ok := in.(int64); ok {
		return in, nil // as it is boxed already
	}
	return n, nil
}

func (t Type) convertFloat(in any) (Value, error) {
	var f float64
	switch x := in.(type) {
	case int64:
		f = float64(x)
	case uint64:
		f = float64(x)
	case float64:
		f = x
	case *apd.Decimal:
		var err error
		if f, err = x.Float64(); err != nil {
			return nil, errf("out of the range of float64")
		}
	default:
		return nil, t.mismatch(in)
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errf("not a finite number")
	}
	if f == 0 {
		f = 0 // drops the sign of -0
	}
	return f, nil
}

func (t Type) convertTimestamp(in any) (Value, error) {
	var at time.Time
	switch x := in.(type) {
	case time.Time:
		at = x
	case string:
		var ok bool
		if at, ok = ParseTimestamp(x); !ok {
			return nil, errf("a string that is not a timestamp in RFC 3339 form, such as 2006-01-02T15:04:05Z")
		}
	default:
		return nil, t.mismatch(in)
	}
	at = at.UTC().Truncate(time.Microsecond)
	if y := at.Year(); y < 1 || y > 9999 {
		return nil, errf("outside of the years 1 to 9999")
	}
	return at, nil
}

// ParseTimestamp reads RFC 3339 to the letter, where time.Parse forgives commas,
// one-digit hours and offsets beyond a day.
func ParseTimestamp(s string) (time.Time, bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[13] != ':' || s[19] == ',' {
		return time.Time{}, false
	}
	if n := len(s); s[n-1] != 'Z' && (n < 25 || s[n-3] != ':' || s[n-5:n-3] > "23" || s[n-2:] > "59") {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, false
	}
	return t.UTC(), true
}

func (t Type) convertDate(in any) (Value, error) {
	switch x := in.(type) {
	case time.Time:
		x = x.UTC()
		if !x.Equal(x.Truncate(24 * time.Hour)) {
			return nil, errf("a timestamp with a time of day, expected a date: write date(...)")
		}
		if y := x.Year(); y < 1 || y > 9999 {
			return nil, errf("outside of the years 1 to 9999")
		}
		return x, nil
	case string:
		d, err := time.Parse(time.DateOnly, x)
		if err != nil || d.Year() < 1 {
			return nil, errf("a string that is not a date, such as 2006-01-02")
		}
		return d, nil
	}
	return nil, t.mismatch(in)
}

// convertTime takes no timestamp: which zone's clock it means is the expression's to say.
func (t Type) convertTime(in any) (Value, error) {
	switch x := in.(type) {
	case string:
		if v, ok := parseTimeOfDay(x); ok {
			return v, nil
		}
		return nil, errf("a string that is not a time of day, such as 15:04 or 15:04:05.25")
	case time.Time:
		return nil, errf("a timestamp, expected a time of day: write its hours, minutes and seconds as a string such as 15:04:05")
	}
	return nil, t.mismatch(in)
}

// parseTimeOfDay reads HH:MM[:SS[.fraction]], the fraction of one to nine digits.
func parseTimeOfDay(s string) (TimeOfDay, bool) {
	clock, fraction, hasFraction := strings.Cut(s, ".")
	if len(clock) != len("15:04") && len(clock) != len("15:04:05") || hasFraction && len(clock) != len("15:04:05") {
		return 0, false
	}
	var parts [3]TimeOfDay
	for i := 0; i < len(clock); i += 3 {
		tens, ones := clock[i]-'0', clock[i+1]-'0'
		if tens > 9 || ones > 9 || i > 0 && clock[i-1] != ':' {
			return 0, false
		}
		parts[i/3] = TimeOfDay(tens)*10 + TimeOfDay(ones)
	}
	if parts[0] > 23 || parts[1] > 59 || parts[2] > 59 || hasFraction && (fraction == "" || len(fraction) > 9) {
		return 0, false
	}
	out := parts[0]*microsPerHour + parts[1]*microsPerMinute + parts[2]*microsPerSecond
	unit := TimeOfDay(microsPerSecond)
	for i := range len(fraction) {
		d := fraction[i] - '0'
		if d > 9 {
			return 0, false
		}
		unit /= 10
		out += TimeOfDay(d) * unit
	}
	return out, true
}

func parseUUID(s string, lowerOnly bool) (Value, error) {
	var u [16]byte
	bad := len(s) != 36
	for i, j := 0, 0; i < len(s) && !bad; i++ {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			bad = c != '-'
			continue
		}
		var d byte
		switch {
		case c >= '0' && c <= '9':
			d = c - '0'
		case c >= 'a' && c <= 'f':
			d = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			if lowerOnly {
				return nil, errf("a uuid in upper case; a key column needs lower case (write event.x.lowerAscii() on both sides)")
			}
			d = c - 'A' + 10
		default:
			bad = true
		}
		u[j/2] = u[j/2]<<4 | d
		j++
	}
	if bad {
		return nil, errf("a string that is not a uuid in its 8-4-4-4-12 form")
	}
	return u, nil
}
