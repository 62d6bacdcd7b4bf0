// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// exactDigits is how many digits of a decimal a REAL gives back whatever they
// are. Such a decimal is stored as a number: the nearest REAL is the same for equal
// decimals and keeps their order, and rounding it to the scale gives the decimal.
const exactDigits = 15

const (
	timestampForm = "2006-01-02T15:04:05.000000Z"
	timeForm      = "%02d:%02d:%02d.%06d"
)

func asNumber(t value.Type) bool { return t.Precision <= exactDigits }

// declared is a column's type in CREATE TABLE. Texts compare bytewise, which is
// SQLite's default; forms of fixed width make times compare as text.
func declared(t value.Type) string {
	if t.Array {
		return "TEXT"
	}
	switch t.Kind {
	case value.Bool, value.Int32, value.Int64:
		return "INTEGER"
	case value.Float64:
		return "REAL"
	case value.Decimal:
		if asNumber(t) {
			return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale)
		}
		return "TEXT COLLATE " + collation
	case value.Bytes:
		return "BLOB"
	default:
		return "TEXT"
	}
}

// encode gives the stored form of a value.
func encode(t value.Type, v value.Value) any {
	switch x := v.(type) {
	case bool:
		if x {
			return int64(1)
		}
		return int64(0)
	case *apd.Decimal:
		if !asNumber(t) {
			return x.Text('f')
		}
		n := x.Coeff.Int64()
		if x.Negative {
			n = -n
		}
		if t.Scale == 0 {
			return n
		}
		return float64(n) / math.Pow10(int(t.Scale))
	case time.Time:
		if t.Kind == value.Date {
			return x.Format(time.DateOnly)
		}
		return x.Format(timestampForm)
	case value.TimeOfDay:
		s := x / 1_000_000
		return fmt.Sprintf(timeForm, s/3600, s/60%60, s%60, x%1_000_000)
	case nil, int64, float64, string, []byte:
		return x
	default: // lists, uuids and json
		return t.Format(v)
	}
}

// decode reads the stored form. It fails on what encode does not write.
func decode(t value.Type, stored any) (value.Value, error) {
	if stored == nil {
		return nil, nil
	}
	if !t.Array {
		switch t.Kind {
		case value.Bool, value.Int32, value.Int64, value.Float64, value.Decimal:
			if v, ok := number(t, stored); ok {
				return v, nil
			}
		case value.Bytes:
			if b, ok := stored.([]byte); ok {
				return b, nil
			}
		}
	}
	s, ok := stored.(string)
	if !ok {
		return nil, fmt.Errorf("a column of type %s holds %T: was it changed by hand?", t, stored)
	}
	if !t.Array {
		switch t.Kind {
		case value.Text:
			return s, nil
		case value.JSONKind:
			return value.JSON(s), nil
		}
	}
	v, err := t.ParseText(s)
	if err != nil {
		return nil, fmt.Errorf("a column of type %s holds what is %w: was it changed by hand?", t, err)
	}
	return v, nil
}

// number reads an INTEGER or REAL; SQLite stores a whole number in a DECIMAL or REAL column as an INTEGER.
func number(t value.Type, stored any) (value.Value, bool) {
	i, whole := stored.(int64)
	f, fraction := stored.(float64)
	switch {
	case t.Kind == value.Bool && whole:
		return i != 0, true
	case (t.Kind == value.Int32 || t.Kind == value.Int64) && whole:
		return i, true
	case t.Kind == value.Float64 && whole:
		return float64(i), true
	case t.Kind == value.Float64 && fraction:
		return f, true
	case t.Kind == value.Decimal && whole:
		f = float64(i)
	case t.Kind != value.Decimal || !fraction:
		return nil, false
	}
	return apd.New(int64(math.Round(f*math.Pow10(int(t.Scale)))), -int32(t.Scale)), true
}
