// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"
)

// formatTime is the canonical text of a timestamp: RFC 3339 in UTC without trailing zeros.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Format gives the canonical text of a value of the type that is not NULL; for
// NULL it gives "". ParseText reads it back to an equal value.
//
//	text, json           as it is
//	bool                 true, false
//	int32, int64         decimal digits
//	float64              the shortest text that reads back
//	decimal(p,s)         plain digits with s digits after the point
//	timestamp            2006-01-02T15:04:05.999999Z, no trailing zeros
//	date                 2006-01-02
//	time                 15:04:05.999999, no trailing zeros
//	uuid                 lower case
//	bytes                base64 (standard alphabet, padded)
//	T[]                  a JSON array; numbers and bools as such, the rest as strings
func (t Type) Format(v Value) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case JSON:
		return string(x)
	case bool:
		return strconv.FormatBool(x)
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case *apd.Decimal:
		return x.Text('f')
	case time.Time:
		if t.Kind == Date {
			return x.Format(time.DateOnly)
		}
		return formatTime(x)
	case TimeOfDay:
		return x.String()
	case [16]byte:
		return formatUUID(x)
	case []byte:
		return base64.StdEncoding.EncodeToString(x)
	case []Value:
		elem := t.Elem()
		b := []byte{'['}
		for i, e := range x {
			if i > 0 {
				b = append(b, ',')
			}
			switch t.Kind {
			case Bool, Int32, Int64, Float64, Decimal:
				b = append(b, elem.Format(e)...)
			default:
				// Only text reaches the error, and a text value was checked when it was made.
				b, _ = appendJSONString(b, elem.Format(e))
			}
		}
		return string(append(b, ']'))
	default:
		return ""
	}
}

func formatUUID(u [16]byte) string {
	var b [36]byte
	for i, j := 0, 0; i < 16; i++ {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b[j] = '-'
			j++
		}
		b[j], b[j+1] = hexDigits[u[i]>>4], hexDigits[u[i]&15]
		j += 2
	}
	return string(b[:])
}

// ParseText reads the text of a value, as a column's default is written. It
// never rounds: "0.005" is no decimal(12,2). The empty string is a value of text
// only.
func (t Type) ParseText(s string) (Value, error) {
	if t.Array || t.Kind == JSONKind {
		in, err := decodeJSON(s)
		if err != nil {
			return nil, errf("not valid JSON, as %s is written", t)
		}
		if t.Array && in == nil {
			return nil, t.mismatch(nil)
		}
		if !t.Array && in == nil {
			return JSON("null"), nil
		}
		return t.Convert(in)
	}
	switch t.Kind {
	case Bool:
		switch s {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, errf("not true or false")
	case Int32, Int64, Decimal:
		d, err := ParseNumber(s)
		if err != nil {
			return nil, err
		}
		v, err := t.Convert(d)
		if dv, ok := v.(*apd.Decimal); ok && dv.Cmp(d) != 0 {
			return nil, errf("a number with more than %d digits after the point", t.Scale)
		}
		return v, err
	case Float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(f) {
			return nil, errf("not a number in the range of float64")
		}
		return t.Convert(f)
	case Bytes:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, errf("not base64")
		}
		return t.Convert(b)
	default:
		return t.Convert(s)
	}
}

// Limits of a number in an event or expression (Law 10): enough for the product
// of two values of any decimal column.
const (
	MaxDigits   = 100
	MaxExponent = 400
)

// ParseNumber reads a number as JSON writes it (leading + and zeros are
// forgiven; NaN, infinities and anything above the limits are not).
func ParseNumber(s string) (*apd.Decimal, error) {
	if len(s) > 4*MaxExponent {
		return nil, errf("a number of more than %d digits", MaxDigits)
	}
	d, _, err := apd.NewFromString(s)
	if err != nil || d.Form != apd.Finite || strings.HasSuffix(s, ".") || strings.Contains(s, "_") {
		return nil, errf("not a number")
	}
	if err := CheckNumber(d); err != nil {
		return nil, err
	}
	return d, nil
}

// JSONNumber reads a JSON number by the number rule (CORRECTNESS 3): an int64
// when it is integral and fits (5, 5.0, 5e0 and -0 alike), a decimal otherwise.
func JSONNumber(s string) (any, error) {
	if coeff, exponent, ok := ShortNumber(s); ok {
		if exponent == 0 {
			return coeff, nil
		}
		return apd.New(coeff, exponent), nil
	}
	d, err := ParseNumber(s)
	if err != nil {
		return nil, err
	}
	if n, ok := Integral(d); ok {
		return n, nil
	}
	return d, nil
}

// ShortNumber is JSONNumber for the usual numbers, without allocating: the number
// is coeff times ten to the exponent, and an int where the exponent is 0. ok is
// false for all others.
func ShortNumber(s string) (coeff int64, exponent int32, ok bool) {
	digits := strings.TrimPrefix(s, "-")
	// 18 digits fit 64 bits, whatever they are.
	if len(digits) == 0 || len(digits) > 19 {
		return 0, 0, false
	}
	point := -1
	for i := range len(digits) {
		c := digits[i] - '0'
		switch {
		case c <= 9:
			coeff = coeff*10 + int64(c)
		case digits[i] == '.' && point < 0 && i > 0:
			point = i
		default:
			return 0, 0, false
		}
	}
	if len(digits) != len(s) {
		coeff = -coeff
	}
	if point < 0 {
		return coeff, 0, len(digits) <= 18
	}
	frac := len(digits) - point - 1
	if frac == 0 {
		return 0, 0, false
	}
	if digits[len(digits)-1] == '0' && coeff%pow10[frac] == 0 {
		return coeff / pow10[frac], 0, true
	}
	return coeff, -int32(frac), true
}

// Integral gives the integer that a decimal within the limits of CheckNumber
// equals, if there is one in the range of int64.
func Integral(d *apd.Decimal) (int64, bool) {
	if d.Sign() == 0 {
		return 0, true
	}
	if d.NumDigits()+int64(d.Exponent) > 19 {
		return 0, false
	}
	if d.Exponent < 0 && d.Coeff.IsInt64() && int(-d.Exponent) < len(pow10) && d.Coeff.Int64()%pow10[-d.Exponent] != 0 {
		return 0, false // the usual case, without the error that Int64 would make
	}
	n, err := d.Int64()
	return n, err == nil
}

// CheckNumber tells whether a decimal keeps within MaxDigits and MaxExponent.
func CheckNumber(d *apd.Decimal) error {
	if d.Form != apd.Finite {
		return errf("not a finite number")
	}
	if d.Exponent > MaxExponent || d.Exponent < -MaxExponent {
		return errf("a number with an exponent beyond %d", MaxExponent)
	}
	if d.NumDigits() > MaxDigits {
		return errf("a number of more than %d digits", MaxDigits)
	}
	return nil
}

// decodeJSON gives the Go form of a JSON text that Convert takes.
func decodeJSON(s string) (any, error) {
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var in any
	if err := dec.Decode(&in); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return fromJSON(in)
}

func fromJSON(in any) (any, error) {
	var err error
	switch x := in.(type) {
	case json.Number:
		return JSONNumber(string(x))
	case []any:
		for i := range x {
			if x[i], err = fromJSON(x[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range x {
			if x[k], err = fromJSON(x[k]); err != nil {
				return nil, err
			}
		}
	}
	return in, nil
}
