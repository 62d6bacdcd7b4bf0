// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/cockroachdb/apd/v3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// Parameters are whole columns as arrays in PostgreSQL's binary form, written
// straight from the values: no reflection and no allocation per value.

// microsecond and day numbers of 2000-01-01, where PostgreSQL's clocks begin.
const (
	epochMicros = 946_684_800_000_000
	epochDays   = 10_957
)

func elementOID(t value.Type) uint32 {
	if t.Array {
		return pgtype.TextOID // an array of array literals: unnest would flatten an array of arrays
	}
	switch t.Kind {
	case value.Bool:
		return pgtype.BoolOID
	case value.Int32:
		return pgtype.Int4OID
	case value.Int64:
		return pgtype.Int8OID
	case value.Float64:
		return pgtype.Float8OID
	case value.Decimal:
		return pgtype.NumericOID
	case value.Timestamp:
		return pgtype.TimestamptzOID
	case value.Date:
		return pgtype.DateOID
	case value.Time:
		return pgtype.TimeOID
	case value.UUID:
		return pgtype.UUIDOID
	case value.JSONKind:
		return pgtype.JSONBOID
	case value.Bytes:
		return pgtype.ByteaOID
	default:
		return pgtype.TextOID
	}
}

// encodeArray gives the binary form of a column of n values.
func encodeArray(t value.Type, n int, at func(int) value.Value) []byte {
	b := make([]byte, 0, 20+n*16)
	b = arrayHeader(b, elementOID(t), n)
	for i := range n {
		v := at(i)
		if v == nil {
			b = binary.BigEndian.AppendUint32(b, math.MaxUint32)
			continue
		}
		start := len(b)
		b = appendValue(append(b, 0, 0, 0, 0), t, v)
		binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	}
	return b
}

func arrayHeader(b []byte, oid uint32, n int) []byte {
	b = binary.BigEndian.AppendUint32(b, 1) // dimensions
	b = binary.BigEndian.AppendUint32(b, 1) // may hold NULLs
	b = binary.BigEndian.AppendUint32(b, oid)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return binary.BigEndian.AppendUint32(b, 1) // lower bound
}

func appendValue(b []byte, t value.Type, v value.Value) []byte {
	switch x := v.(type) {
	case string:
		return append(b, x...)
	case bool:
		if x {
			return append(b, 1)
		}
		return append(b, 0)
	case int64:
		if t.Kind == value.Int32 {
			return binary.BigEndian.AppendUint32(b, uint32(int32(x)))
		}
		return binary.BigEndian.AppendUint64(b, uint64(x))
	case float64:
		return binary.BigEndian.AppendUint64(b, math.Float64bits(x))
	case *apd.Decimal:
		return appendNumeric(b, x)
	case time.Time:
		if t.Kind == value.Date {
			return binary.BigEndian.AppendUint32(b, uint32(int32(floorDiv(x.Unix(), 86_400)-epochDays)))
		}
		return binary.BigEndian.AppendUint64(b, uint64(x.UnixMicro()-epochMicros))
	case value.TimeOfDay:
		return binary.BigEndian.AppendUint64(b, uint64(x))
	case [16]byte:
		return append(b, x[:]...)
	case value.JSON:
		return append(append(b, 1), x...) // version of the form
	case []byte:
		return append(b, x...)
	case []value.Value:
		return append(b, wireText(t, x)...)
	}
	panic(fmt.Sprintf("postgres: a %T is no value of a column", v))
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

const (
	numericPositive = 0x0000
	numericNegative = 0x4000
)

// appendNumeric writes base-10000 digits; the point lies between two of them.
func appendNumeric(b []byte, d *apd.Decimal) []byte {
	scale := int(-d.Exponent)
	var buf [64]byte
	digits := d.Coeff.Append(buf[:0], 10)
	for range (4 - scale%4) % 4 {
		digits = append(digits, '0')
	}
	groups := (len(digits) + 3) / 4
	weight := groups - 1 - (scale+3)/4
	sign := numericPositive
	if d.Coeff.Sign() == 0 {
		groups, weight = 0, 0
	} else if d.Negative {
		sign = numericNegative
	}
	b = binary.BigEndian.AppendUint16(b, uint16(groups))
	b = binary.BigEndian.AppendUint16(b, uint16(int16(weight)))
	b = binary.BigEndian.AppendUint16(b, uint16(sign))
	b = binary.BigEndian.AppendUint16(b, uint16(scale))
	first := len(digits) - 4*(groups-1) // digits of the first group
	for i, g := 0, 0; g < groups; g++ {
		n := 4
		if g == 0 {
			n = first
		}
		var w uint16
		for range n {
			w = w*10 + uint16(digits[i]-'0')
			i++
		}
		b = binary.BigEndian.AppendUint16(b, w)
	}
	return b
}

var errWire = errors.New("postgres: a column does not have the type that the contract gives it")

// decodeValue reads one column of a row in binary form; b is nil for NULL.
func decodeValue(t value.Type, b []byte) (value.Value, error) {
	if b == nil {
		return nil, nil
	}
	if t.Array {
		return decodeArray(t.Elem(), b)
	}
	switch t.Kind {
	case value.Text:
		return string(b), nil
	case value.Bytes:
		return append([]byte{}, b...), nil
	case value.JSONKind:
		if len(b) > 0 && b[0] == 1 {
			// jsonb has a text and an order of members of its own; a value of a column has one text in every store.
			return t.ParseText(string(b[1:]))
		}
	case value.Bool:
		if len(b) == 1 {
			return b[0] != 0, nil
		}
	case value.Int32:
		if len(b) == 4 {
			return int64(int32(binary.BigEndian.Uint32(b))), nil
		}
	case value.Date:
		if len(b) == 4 {
			return time.Unix((int64(int32(binary.BigEndian.Uint32(b)))+epochDays)*86_400, 0).UTC(), nil
		}
	case value.Int64:
		if len(b) == 8 {
			return int64(binary.BigEndian.Uint64(b)), nil
		}
	case value.Timestamp:
		if len(b) == 8 {
			return time.UnixMicro(int64(binary.BigEndian.Uint64(b)) + epochMicros).UTC(), nil
		}
	case value.Time:
		if len(b) == 8 {
			return value.TimeOfDay(binary.BigEndian.Uint64(b)), nil
		}
	case value.Float64:
		if len(b) == 8 {
			return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
		}
	case value.UUID:
		if len(b) == 16 {
			return [16]byte(b), nil
		}
	case value.Decimal:
		return decodeNumeric(t, b)
	}
	return nil, errWire
}

func decodeArray(elem value.Type, b []byte) (value.Value, error) {
	if len(b) < 12 {
		return nil, errWire
	}
	dims := binary.BigEndian.Uint32(b)
	if dims == 0 {
		return []value.Value{}, nil
	}
	if dims != 1 || len(b) < 20 {
		return nil, errWire
	}
	n := int(binary.BigEndian.Uint32(b[12:]))
	out := make([]value.Value, 0, min(n, value.MaxArrayElements))
	b = b[20:]
	for range n {
		if len(b) < 4 {
			return nil, errWire
		}
		size := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if size < 0 {
			out = append(out, nil)
			continue
		}
		if int(size) > len(b) {
			return nil, errWire
		}
		v, err := decodeValue(elem, b[:size:size])
		if err != nil {
			return nil, err
		}
		out, b = append(out, v), b[size:]
	}
	return out, nil
}

func decodeNumeric(t value.Type, b []byte) (value.Value, error) {
	if len(b) < 8 {
		return nil, errWire
	}
	groups, weight := int(binary.BigEndian.Uint16(b)), int(int16(binary.BigEndian.Uint16(b[2:])))
	sign := binary.BigEndian.Uint16(b[4:])
	if len(b) != 8+2*groups || sign != numericPositive && sign != numericNegative {
		return nil, errWire
	}
	coeff := new(big.Int)
	for i := range groups {
		coeff.Mul(coeff, big.NewInt(10_000)).Add(coeff, big.NewInt(int64(binary.BigEndian.Uint16(b[8+2*i:]))))
	}
	// In units of the column's last digit.
	shift := 4*(weight-groups+1) + int(t.Scale)
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(shift, -shift))), nil)
	if shift >= 0 {
		coeff.Mul(coeff, power)
	} else if _, rest := coeff.QuoRem(coeff, power, new(big.Int)); rest.Sign() != 0 {
		return nil, errWire
	}
	d := &apd.Decimal{Exponent: -int32(t.Scale), Negative: sign == numericNegative && coeff.Sign() != 0}
	d.Coeff.SetMathBigInt(coeff)
	return d, nil
}
