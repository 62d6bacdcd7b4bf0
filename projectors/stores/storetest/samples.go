// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/projectionist-dev/projectionist/contract/value"
)

var allTypes = []string{
	"text", "bool", "int32", "int64", "float64", "decimal(12,2)", "decimal(38,0)", "decimal(38,38)", "decimal(1,0)", "timestamp", "date", "time", "uuid", "json", "bytes",
	"text[]", "bool[]", "int32[]", "int64[]", "float64[]", "decimal(12,2)[]", "timestamp[]", "date[]", "time[]", "uuid[]",
}

// samples gives distinct values of a type, at least three (bool has two):
// one that is less, one that is greater, then extremes.
func samples(t value.Type) []value.Value {
	if t.Array {
		e := samples(t.Elem())
		return []value.Value{[]value.Value{e[0]}, []value.Value{e[1], e[1]}, []value.Value{e[2%len(e)], e[0]}, []value.Value{}, e}
	}
	switch t.Kind {
	case value.Text:
		return of("m", "a", "z", "", "NULL", "null", "{}", "{a,b}", `"`, `\`, `\N`, `'`, `''; --`, "\t\r\n", "  ", "Ä", "e\u0301", "日本語", "\U0001F600",
			"$1", "%s", "\u0001\u007f", "\uFFFD", strings.Repeat("x", 500))
	case value.Bool:
		return of(true, false)
	case value.Int32:
		return of[int64](7, -7, 8, 0, math.MinInt32, math.MaxInt32)
	case value.Int64:
		return of[int64](7, -7, 8, 0, math.MinInt64, math.MaxInt64, 9007199254740993)
	case value.Float64:
		return of(1.5, -1.5, 2.5, 0, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 0.1, 1e-300, 1e308, 123456789.123456789)
	case value.Decimal:
		hi, cent := numbers(t)
		return []value.Value{apd.New(0, -int32(t.Scale)), negated(cent), cent, hi, negated(hi)}
	case value.Timestamp:
		return of(time.Date(2024, 2, 29, 12, 34, 56, 789012000, time.UTC), time.UnixMicro(-1).UTC(), time.Date(2038, 1, 19, 3, 14, 8, 1000, time.UTC),
			time.UnixMicro(0).UTC(), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC))
	case value.Date:
		day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
		return of(day(2024, 2, 29), day(1969, 12, 31), day(2100, 2, 28), day(1, 1, 1), day(9999, 12, 31), day(1582, 10, 10))
	case value.Time:
		const hour = value.TimeOfDay(3_600_000_000)
		return of(12*hour+34, 0, 24*hour-1, 1, hour, hour/60-1_000_000)
	case value.UUID:
		var all [16]byte
		for i := range all {
			all[i] = 0xff
		}
		return of([16]byte{8: 1}, [16]byte{}, all, [16]byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8})
	case value.JSONKind:
		return of[value.JSON](`{"b":[1,2,{"c":null}]}`, `[]`, `{}`, `null`, `"null"`, `true`, `9007199254740993`, `0.1`, `"it's \"quoted\" \\ \n é"`,
			`["a","b"]`, `{"":{"a b":"{}"}}`, `[[[[[]]]]]`, `""`)
	case value.Bytes:
		every := make([]byte, 256)
		for i := range every {
			every[i] = byte(i)
		}
		return of([]byte{1}, []byte{}, every, []byte(`\x41`), []byte("text"), []byte{0, 0})
	default:
		panic(fmt.Sprintf("no samples of %s", t))
	}
}

func of[T any](vs ...T) []value.Value {
	out := make([]value.Value, len(vs))
	for i, v := range vs {
		out[i] = v
	}
	return out
}

// numbers gives the largest number of a decimal type, and the smallest above zero.
func numbers(t value.Type) (hi, cent value.Value) {
	_, hi = t.Limits()
	return hi, apd.New(1, -int32(t.Scale))
}

func negated(v value.Value) value.Value { return new(apd.Decimal).Neg(v.(*apd.Decimal)) }
