// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"
)

func dec(s string) *apd.Decimal {
	d, _, err := apd.NewFromString(s)
	if err != nil {
		panic(err)
	}
	return d
}

func TestParseType(t *testing.T) {
	for _, s := range []string{
		"text", "bool", "int32", "int64", "float64", "decimal(12,2)", "decimal(38,38)", "decimal(1,0)", "timestamp", "date", "time", "uuid", "json", "bytes",
		"text[]", "int64[]", "decimal(12,2)[]", "uuid[]", "timestamp[]", "time[]",
	} {
		typ, err := Parse(s)
		if err != nil || typ.String() != s {
			t.Errorf("%s became %s, %v", s, typ, err)
		}
	}
	if typ, err := Parse("decimal( 12, 2 )"); err != nil || typ.String() != "decimal(12,2)" {
		t.Errorf("%s, %v", typ, err)
	}
	for s, want := range map[string]string{
		"varchar": "there are text, bool", "": "unknown type", "decimal": "write decimal(p,s)", "decimal(39,2)": "write decimal(p,s)", "decimal(2,3)": "write decimal(p,s)",
		"decimal(12,2": "write decimal(p,s)", "decimal(0,0)": "write decimal(p,s)", "text(5)": "takes no parameters", "json[]": "no arrays of json", "bytes[]": "no arrays of bytes",
		"text[][]": "unknown type", "TEXT": "unknown type", "decimal(-1,0)": "write decimal(p,s)",
	} {
		if _, err := Parse(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", s, err, want)
		}
	}
}

func TestConvert(t *testing.T) {
	day := time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		typ  string
		in   any
		want string // canonical text
		err  string
	}{
		{"text", "héllo", "héllo", ""},
		{"text", "", "", ""},
		{"text", "a\x00b", "", "a string with a NUL character, which a text column cannot hold"},
		{"text", "a\xffb", "", "not valid UTF-8"},
		{"text", strings.Repeat("x", MaxTextBytes+1), "", "longer than 1048576 bytes"},
		{"text", int64(5), "", "an int, expected a string (write string(...) to convert)"},
		{"bool", true, "true", ""},
		{"bool", "true", "", "a string, expected a bool"},
		{"int32", int64(math.MaxInt32), "2147483647", ""},
		{"int32", int64(math.MaxInt32 + 1), "", "out of the range of int32"},
		{"int32", int64(math.MinInt32 - 1), "", "out of the range of int32"},
		{"int64", int64(math.MinInt64), "-9223372036854775808", ""},
		{"int64", uint64(math.MaxUint64), "", "out of the range of int64"},
		{"int64", dec("5.00"), "5", ""},
		{"int64", dec("5e3"), "5000", ""},
		{"int64", dec("9223372036854775808"), "", "a number with a fraction or out of the range of int64"},
		{"int64", dec("1e90000"), "", "a number with a fraction or out of the range of int64"},
		{"int64", dec("5.5"), "", "a number with a fraction or out of the range of int64"},
		{"int64", 5.0, "", "a double, expected an integer for int64: write int(...)"},
		{"int64", "5", "", "a string, expected a number"},
		{"float64", dec("0.1"), "0.1", ""},
		{"float64", int64(3), "3", ""},
		{"float64", math.Copysign(0, -1), "0", ""},
		{"float64", math.NaN(), "", "not a finite number"},
		{"float64", math.Inf(1), "", "not a finite number"},
		{"float64", dec("1e400"), "", "out of the range of float64"},
		{"decimal(12,2)", int64(5), "5.00", ""},
		{"decimal(12,2)", dec("0.004"), "0.00", ""},
		{"decimal(12,2)", dec("0.005"), "0.01", ""},
		{"decimal(12,2)", dec("-0.005"), "-0.01", ""},
		{"decimal(12,2)", dec("-0.0049"), "0.00", ""},
		{"decimal(12,2)", dec("2.5e-90000"), "0.00", ""},
		{"decimal(12,2)", dec("1e90000"), "", "too large for decimal(12,2)"},
		{"decimal(12,2)", dec("9999999999.994"), "9999999999.99", ""},
		{"decimal(12,2)", dec("9999999999.995"), "", "too large for decimal(12,2)"},
		{"decimal(12,2)", int64(math.MaxInt64), "", "too large for decimal(12,2)"},
		{"decimal(38,19)", int64(math.MinInt64), "-9223372036854775808.0000000000000000000", ""},
		{"decimal(38,0)", uint64(math.MaxUint64), "18446744073709551615", ""},
		{"decimal(2,2)", dec("0.999"), "", "too large for decimal(2,2)"},
		{"decimal(2,2)", dec("0.994"), "0.99", ""},
		{"decimal(12,2)", 0.1, "", "a double, expected a decimal: a double has already lost digits"},
		{"decimal(12,2)", &apd.Decimal{Form: apd.NaN}, "", "not a finite number"},
		{"timestamp", "2020-02-29T23:59:59.1234567+01:00", "2020-02-29T22:59:59.123456Z", ""},
		{"timestamp", day.Add(999), "2020-02-29T00:00:00Z", ""},
		{"timestamp", time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), "0001-01-01T00:00:00Z", ""},
		{"timestamp", time.Date(1960, 1, 1, 0, 0, 0, 1999, time.UTC), "1960-01-01T00:00:00.000001Z", ""},
		{"timestamp", "2020-02-30T00:00:00Z", "", "a string that is not a timestamp in RFC 3339 form, such as 2006-01-02T15:04:05Z"},
		{"timestamp", "2020-02-29T00:00:60Z", "", "a string that is not a timestamp in RFC 3339 form, such as 2006-01-02T15:04:05Z"},
		{"timestamp", "2020-02-29 00:00:00", "", "a string that is not a timestamp in RFC 3339 form, such as 2006-01-02T15:04:05Z"},
		{"timestamp", "0000-12-31T00:00:00Z", "", "outside of the years 1 to 9999"},
		{"timestamp", int64(5), "", "an int, expected a timestamp or a string in RFC 3339 form"},
		{"date", "2020-02-29", "2020-02-29", ""},
		{"date", day, "2020-02-29", ""},
		{"date", day.Add(1), "", "a timestamp with a time of day, expected a date: write date(...)"},
		{"date", "2020-2-29", "", "a string that is not a date, such as 2006-01-02"},
		{"time", "00:00", "00:00:00", ""},
		{"time", "23:59:59.9999999", "23:59:59.999999", ""},
		{"time", "07:08:09.050", "07:08:09.05", ""},
		{"time", "24:00:00", "", "a string that is not a time of day, such as 15:04 or 15:04:05.25"},
		{"time", "23:59:60", "", "a string that is not a time of day, such as 15:04 or 15:04:05.25"},
		{"time", "12:00Z", "", "a string that is not a time of day, such as 15:04 or 15:04:05.25"},
		{"time", "12:00.5", "", "a string that is not a time of day, such as 15:04 or 15:04:05.25"},
		{"time", "12:00:00.", "", "a string that is not a time of day, such as 15:04 or 15:04:05.25"},
		{"time", "1:00:00", "", "a string that is not a time of day, such as 15:04 or 15:04:05.25"},
		{"time", "12-00-00", "", "a string that is not a time of day, such as 15:04 or 15:04:05.25"},
		{"time", day, "", "a timestamp, expected a time of day: write its hours, minutes and seconds as a string such as 15:04:05"},
		{"time", int64(5), "", "an int, expected a time of day as a string, such as 15:04:05"},
		{"uuid", "6BA7B810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", ""},
		{"uuid", "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}", "", "a string that is not a uuid in its 8-4-4-4-12 form"},
		{"uuid", "6ba7b8109dad-11d1-80b4-00c04fd430c8a", "", "a string that is not a uuid in its 8-4-4-4-12 form"},
		{"uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430cg", "", "a string that is not a uuid in its 8-4-4-4-12 form"},
		{"json", map[string]any{"b": []any{nil, true, int64(1), dec("1.50")}, "a\n": "\"\\\x01"}, `{"a\n":"\"\\\u0001","b":[null,true,1,1.50]}`, ""},
		{"json", "x\x00", "", "a string with a NUL character, which a json column cannot hold"},
		{"json", []byte("x"), "", "bytes, expected a JSON value"},
		{"bytes", []byte{0, 1}, "AAE=", ""},
		{"bytes", "x", "", "a string, expected bytes (write base64.decode(...) or bytes(...) to convert)"},
		{"text[]", []any{"a", "\""}, `["a","\""]`, ""},
		{"int32[]", []any{int64(1), dec("2.0")}, `[1,2]`, ""},
		{"text[]", []any{"a", nil}, "", "a list with a null in it, which an array column cannot hold"},
		{"text[]", []any{"a", int64(1)}, "", "a list with an element that is an int, expected a string (write string(...) to convert)"},
		{"text[]", "a", "", "a string, expected a list"},
		{"text[]", make([]any, MaxArrayElements+1), "", "a list of more than 10000 elements"},
		{"int64", nil, "", ""},
	}
	for _, tt := range tests {
		typ := MustParse(tt.typ)
		v, err := typ.Convert(tt.in)
		switch {
		case tt.err != "":
			if err == nil || err.Error() != tt.err {
				t.Errorf("%s from %T: %v, want %s", tt.typ, tt.in, err, tt.err)
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%s: error of type %T", tt.typ, err)
			}
		case err != nil:
			t.Errorf("%s from %T: %v", tt.typ, tt.in, err)
		case typ.Format(v) != tt.want:
			t.Errorf("%s from %T: %s, want %s", tt.typ, tt.in, typ.Format(v), tt.want)
		}
	}
}

func TestConvertKeyIsInjective(t *testing.T) {
	ok := map[string][]any{
		"text":      {"a", ""},
		"int64":     {int64(1)},
		"uuid":      {"6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
		"date":      {"2020-02-29"},
		"time":      {"12:30:00", "12:30:00.5"},
		"timestamp": {"2020-02-29T00:00:00Z", "2020-02-29T00:00:00.5Z", time.Date(2020, 1, 1, 0, 0, 0, 1000, time.UTC)},
		"bool":      {true},
	}
	for s, ins := range ok {
		for _, in := range ins {
			if _, err := MustParse(s).ConvertKey(in); err != nil {
				t.Errorf("%s from %v: %v", s, in, err)
			}
		}
	}
	bad := map[string][]any{
		"text":          {nil, strings.Repeat("x", MaxKeyTextBytes+1), "a\x00"},
		"uuid":          {"6BA7B810-9dad-11d1-80b4-00c04fd430c8", nil},
		"timestamp":     {"2020-02-29T00:00:00+00:00", "2020-02-29T00:00:00.50Z", "2020-02-29T01:00:00+01:00", "2020-02-29T00:00:00.0000001Z", time.Date(2020, 1, 1, 0, 0, 0, 1, time.UTC)},
		"time":          {"12:30", "12:30:00.0", "12:30:00.50", "12:30:00.0000001", nil},
		"decimal(12,2)": {int64(1)},
		"float64":       {int64(1)},
		"json":          {"x"},
		"bytes":         {[]byte("x")},
		"text[]":        {[]any{"x"}},
	}
	for s, ins := range bad {
		for _, in := range ins {
			if v, err := MustParse(s).ConvertKey(in); err == nil {
				t.Errorf("%s from %v gave %v", s, in, v)
			}
		}
	}
}

// Two inputs that become one key are one input.
func TestConvertKeyOnPairs(t *testing.T) {
	inputs := rapid.SampledFrom([]any{
		"a", "A", "a ", "", "5", int64(5), int64(-5), uint64(5), dec("5.0"), dec("5.5"), true, "true", "2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00+00:00",
		"2020-01-01T00:00:00.000Z", "2020-01-01T00:00:00.0000001Z", "2020-01-01T00:00:00.1Z", "2020-01-01T00:00:00.10Z", "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
		"12:30", "12:30:00", "12:30:00.000", "12:30:00.0000001", "6BA7B810-9dad-11d1-80b4-00c04fd430c8", "6ba7b8109dad11d180b400c04fd430c8", "\u00e9", "e\u0301", 5.0, nil, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 1, time.UTC),
	})
	// The text that the message key has for an input, as keyedBy is compared.
	text := func(v any) string {
		switch x := v.(type) {
		case string:
			return x
		case int64:
			return Type{Kind: Int64}.Format(x)
		case uint64, *apd.Decimal:
			n, _ := Type{Kind: Int64}.Convert(x)
			return Type{Kind: Int64}.Format(n)
		case bool:
			return Type{Kind: Bool}.Format(x)
		case time.Time:
			return x.Format(time.RFC3339Nano)
		}
		return ""
	}
	rapid.Check(t, func(t *rapid.T) {
		typ := MustParse(rapid.SampledFrom([]string{"text", "bool", "int32", "int64", "uuid", "date", "time", "timestamp"}).Draw(t, "type"))
		x, y := inputs.Draw(t, "x"), inputs.Draw(t, "y")
		vx, errX := typ.ConvertKey(x)
		vy, errY := typ.ConvertKey(y)
		if errX != nil || errY != nil || Compare(vx, vy) != 0 {
			return
		}
		_, dateX := x.(time.Time)
		_, dateY := y.(time.Time)
		if text(x) != text(y) && dateX == dateY {
			t.Fatalf("%s: %v and %v become one key", typ, x, y)
		}
	})
}

func TestParseText(t *testing.T) {
	for s, in := range map[string]string{
		"text": "anything", "bool": "true", "int32": "-7", "int64": "9223372036854775807", "float64": "0.1", "decimal(12,2)": "0.10", "timestamp": "2020-01-01T00:00:00Z",
		"date": "2020-01-01", "time": "23:59:59.999999", "uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "json": `{"a":[1,2.5,null]}`, "bytes": "AAE=", "text[]": `["a"]`, "decimal(12,2)[]": `[1.00,2.50]`, "int64[]": "[]",
	} {
		typ := MustParse(s)
		v, err := typ.ParseText(in)
		if err != nil || typ.Format(v) != in {
			t.Errorf("%s: %q became %q, %v", s, in, typ.Format(v), err)
		}
	}
	for s, ins := range map[string][]string{
		"bool": {"yes", ""}, "int32": {"", "1.5", "2147483648", "x", "NaN", "1_0"}, "decimal(12,2)": {"0.005", "1e20", "Infinity", "1."}, "float64": {"NaN", "Inf", "1e400"},
		"bytes": {"?"}, "json": {"{", "1 2", ""}, "text[]": {"null", "a", "[1]"}, "uuid": {"x"}, "date": {"x"}, "time": {"x", ""},
	} {
		for _, in := range ins {
			if v, err := MustParse(s).ParseText(in); err == nil {
				t.Errorf("%s: %q became %v", s, in, v)
			}
		}
	}
}

func TestJSONNumber(t *testing.T) {
	for in, want := range map[string]any{
		"5": int64(5), "5.0": int64(5), "5e0": int64(5), "0.5e1": int64(5), "-0": int64(0), "-0.0": int64(0), "1e2": int64(100), "-12.50": dec("-12.50"), "-0.5": dec("-0.5"),
		"9223372036854775807": int64(math.MaxInt64), "9223372036854775808": dec("9223372036854775808"), "-9223372036854775808": int64(math.MinInt64),
		"9007199254740993": int64(9007199254740993), "0.1": dec("0.1"), "123456789012345678.5": dec("123456789012345678.5"), "1e400": dec("1e400"), "0e-400": int64(0),
	} {
		got, err := JSONNumber(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if d, ok := want.(*apd.Decimal); ok {
			if g, ok := got.(*apd.Decimal); !ok || g.Cmp(d) != 0 {
				t.Errorf("%s became %v", in, got)
			}
		} else if got != want {
			t.Errorf("%s became %v", in, got)
		}
	}
	for _, in := range []string{"1e401", "1e-401", "1e999999999999", strings.Repeat("9", MaxDigits+1), "1" + strings.Repeat("0", 5000)} {
		if v, err := JSONNumber(in); err == nil {
			t.Errorf("%.20s became %v", in, v)
		}
	}
}

// genOf draws a value of a type.
func genOf(t *rapid.T, typ Type) Value {
	if typ.Array {
		n := rapid.IntRange(0, 3).Draw(t, "n")
		out := make([]Value, n)
		for i := range out {
			out[i] = genOf(t, typ.Elem())
		}
		return out
	}
	switch typ.Kind {
	case Text:
		return rapid.StringOf(rapid.SampledFrom([]rune("ab\x01\u00e9\u20ac"))).Draw(t, "text")
	case Bool:
		return rapid.Bool().Draw(t, "bool")
	case Int32:
		return int64(rapid.Int32().Draw(t, "int32"))
	case Int64:
		return rapid.Int64().Draw(t, "int64")
	case Float64:
		v, _ := typ.Convert(rapid.Float64Range(-1e300, 1e300).Draw(t, "float"))
		return v
	case Decimal:
		v, err := typ.Convert(apd.New(rapid.Int64Range(-999999999999, 999999999999).Draw(t, "coeff"), -int32(typ.Scale)))
		if err != nil {
			t.Fatal(err)
		}
		return v
	case Timestamp:
		return time.UnixMicro(rapid.Int64Range(-62135596800000000, 253402300799999999).Draw(t, "micros")).UTC()
	case Date:
		return time.Unix(86400*rapid.Int64Range(-700000, 2900000).Draw(t, "days"), 0).UTC()
	case Time:
		return TimeOfDay(rapid.Int64Range(0, 24*microsPerHour-1).Draw(t, "time"))
	case UUID:
		return [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid"))
	case JSONKind:
		v, err := typ.Convert(map[string]any{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "k"): rapid.Int64().Draw(t, "v")})
		if err != nil {
			t.Fatal(err)
		}
		return v
	default:
		return rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xFF, 'a'}), 0, 4).Draw(t, "bytes")
	}
}

var allTypes = []string{
	"text", "bool", "int32", "int64", "float64", "decimal(12,2)", "decimal(38,10)", "timestamp", "date", "time", "uuid", "json", "bytes", "text[]", "int64[]", "decimal(12,2)[]", "timestamp[]", "time[]",
}

func TestKeysAreInjectiveOrderedAndPrefixFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := MustParse(rapid.SampledFrom(allTypes).Draw(t, "type"))
		a, b := genOf(t, typ), genOf(t, typ)
		switch rapid.IntRange(0, 9).Draw(t, "null") {
		case 0:
			a = nil
		case 1:
			b = nil
		}
		ka, kb := AppendKey(nil, a), AppendKey(nil, b)
		if c := Compare(a, b); c != bytes.Compare(ka, kb) {
			t.Fatalf("%s: Compare %d, keys %d: %v %v", typ, c, bytes.Compare(ka, kb), a, b)
		}
		if Compare(a, b) != -Compare(b, a) || Compare(a, a) != 0 {
			t.Fatal("Compare is no order")
		}
		if Compare(a, b) != 0 && (bytes.HasPrefix(ka, kb) || bytes.HasPrefix(kb, ka)) {
			t.Fatalf("%s: one key is a prefix of the other", typ)
		}
	})
}

func TestTextReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := MustParse(rapid.SampledFrom(allTypes).Draw(t, "type"))
		v := genOf(t, typ)
		s := typ.Format(v)
		back, err := typ.ParseText(s)
		if err != nil || Compare(v, back) != 0 || typ.Format(back) != s {
			t.Fatalf("%s: %q reads back as %q, %v", typ, s, typ.Format(back), err)
		}
		if reflect.TypeOf(v) != reflect.TypeOf(back) {
			t.Fatalf("%T reads back as %T", v, back)
		}
	})
}

// Rounding against math/big: half away from zero.
func TestDecimalsRoundAsPostgreSQLDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scale := rapid.IntRange(0, 10).Draw(t, "scale")
		typ := Type{Kind: Decimal, Precision: 38, Scale: uint8(scale)}
		in := apd.New(rapid.Int64().Draw(t, "coeff"), int32(rapid.IntRange(-25, 5).Draw(t, "exp")))
		v, err := typ.Convert(in)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := new(big.Rat).SetString(in.Text('f'))
		shifted := new(big.Rat).Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
		half := big.NewRat(int64(shifted.Sign()), 2)
		want := new(big.Int).Quo(new(big.Rat).Add(shifted, half).Num(), new(big.Rat).Add(shifted, half).Denom())
		got := v.(*apd.Decimal)
		g := got.Coeff.MathBigInt()
		if got.Negative {
			g.Neg(g)
		}
		if g.Cmp(want) != 0 || got.Exponent != -int32(scale) || got.Negative && got.Coeff.Sign() == 0 {
			t.Fatalf("%s to scale %d gave %s, want coefficient %s", in, scale, got, want)
		}
	})
}

func TestAdd(t *testing.T) {
	i32, i64, d := MustParse("int32"), MustParse("int64"), MustParse("decimal(4,2)")
	for _, tt := range []struct {
		typ  Type
		a, b Value
		want string
	}{
		{i32, int64(1), int64(2), "3"}, {i32, nil, int64(2), "2"}, {i32, int64(2), nil, "2"}, {i32, nil, nil, ""},
		{i32, int64(math.MaxInt32), int64(1), "range"}, {i32, int64(math.MinInt32), int64(-1), "range"},
		{i64, int64(math.MaxInt64), int64(1), "range"}, {i64, int64(math.MinInt64), int64(-1), "range"}, {i64, int64(math.MaxInt64), int64(math.MinInt64), "-1"}, {i64, int64(5), int64(0), "5"},
		{d, dec("99.98"), dec("0.01"), "99.99"}, {d, dec("99.99"), dec("0.01"), "range"}, {d, dec("-99.99"), dec("-0.01"), "range"}, {d, dec("1.00"), dec("-1.00"), "0.00"},
	} {
		v, err := tt.typ.Add(tt.a, tt.b)
		got := tt.typ.Format(v)
		if errors.Is(err, ErrRange) {
			got = "range"
		}
		if got != tt.want {
			t.Errorf("%s: %v + %v = %s, %v; want %s", tt.typ, tt.a, tt.b, got, err, tt.want)
		}
	}
	if v, err := i32.AddWide(int64(math.MaxInt32), int64(1)); err != nil || v != int64(math.MaxInt32+1) {
		t.Errorf("AddWide: %v, %v", v, err)
	}
	lo, hi := d.Limits()
	if d.Format(lo) != "-99.99" || d.Format(hi) != "99.99" {
		t.Errorf("limits %v %v", lo, hi)
	}
	if Max(nil, int64(1)) != int64(1) || Max(int64(2), int64(1)) != int64(2) || Max("a", "B") != "a" {
		t.Error("Max")
	}
	if Min(nil, int64(1)) != int64(1) || Min(int64(1), nil) != int64(1) || Min(int64(2), int64(1)) != int64(1) || Min("a", "B") != "B" || Min(nil, nil) != nil {
		t.Error("Min")
	}
}

func TestMergeIsShallow(t *testing.T) {
	for _, tt := range []struct {
		base    Value
		patches []Value
		want    JSON
	}{
		{nil, []Value{JSON(`{"b":1,"a":{"x":null}}`)}, `{"a":{"x":null},"b":1}`},
		{JSON(`{"a":{"x":1},"b":2}`), []Value{JSON(`{"a":{"y":1.50}}`)}, `{"a":{"y":1.50},"b":2}`},
		{JSON(`{"a": 1, "b": [1, 2]}`), []Value{JSON(`{"a":null,"c":null}`)}, `{"b":[1, 2]}`},
		{JSON(`[1]`), []Value{JSON(`{"a":1}`)}, `{"a":1}`},
		{JSON(`{"a":1}`), []Value{JSON(`5`), JSON(`null`), JSON(`{}`)}, `{"a":1}`},
		{JSON(`"x"`), []Value{JSON(`{}`)}, `{}`},
		{nil, []Value{JSON(`{"a":1}`), JSON(`{"a":null}`), JSON(`{"é\"":9007199254740993}`)}, `{"é\"":9007199254740993}`},
	} {
		o := NewObject(tt.base)
		for _, p := range tt.patches {
			if err := o.Merge(p); err != nil {
				t.Fatal(err)
			}
		}
		if got := o.JSON(); len(o.members) > 0 && o.size != len(got) {
			t.Errorf("%s: its size is said to be %d", got, o.size)
		}
		if got := o.JSON(); got != tt.want {
			t.Errorf("%v with %v is %s, want %s", tt.base, tt.patches, got, tt.want)
		}
	}
}

// The bound holds after each merge, so that it does not matter how many are applied together.
func TestMergeIsBounded(t *testing.T) {
	half := JSON(`{"a":"` + strings.Repeat("x", MaxTextBytes/2) + `"}`)
	o := NewObject(half)
	if err := o.Merge(half); err != nil {
		t.Fatalf("the same member again: %v", err)
	}
	if err := o.Merge(JSON(strings.Replace(string(half), "a", "b", 1))); !errors.Is(err, ErrRange) {
		t.Fatalf("two halves and their names: %v", err)
	}
}

// What needs 64 bits only must come out as the conversion in full has it.
func TestSmallNumbersAreConvertedAsLargeOnes(t *testing.T) {
	done := 0
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.IntRange(1, MaxPrecision).Draw(t, "p")
		typ := Type{Kind: Decimal, Precision: uint8(p), Scale: uint8(rapid.IntRange(0, p).Draw(t, "s"))}
		coeff := rapid.OneOf(rapid.Int64Range(-2000, 2000), rapid.Int64(), rapid.Map(rapid.IntRange(0, 18), func(n int) int64 { return 5 * pow10[max(0, n-1)] })).Draw(t, "coeff")
		exponent := int32(rapid.IntRange(-25, 25).Draw(t, "exponent"))
		out, ok := typ.RescaleSmall(coeff, exponent)
		if !ok {
			return
		}
		done++
		want, err := typ.Convert(apd.New(coeff, exponent))
		if err != nil || want.(*apd.Decimal).CmpTotal(apd.New(out, -int32(typ.Scale))) != 0 {
			t.Fatalf("%d e%d to %s: %d, want %v, %v", coeff, exponent, typ, out, want, err)
		}
	})
	if done == 0 {
		t.Error("no number was small")
	}
}

func TestShortNumberIsJSONNumber(t *testing.T) {
	for s, want := range map[string]struct {
		coeff    int64
		exponent int32
		ok       bool
	}{
		"0": {0, 0, true}, "-0": {0, 0, true}, "5.00": {5, 0, true}, "-1.50": {-150, -2, true}, "0.1": {1, -1, true}, "123456789012345678": {123456789012345678, 0, true},
		"1234567890123456789": {}, "1e3": {}, "1.": {}, ".5": {}, "-": {}, "": {}, "1.2.3": {}, "0.12345678901234567890": {},
	} {
		coeff, exponent, ok := ShortNumber(s)
		if ok != want.ok || ok && (coeff != want.coeff || exponent != want.exponent) {
			t.Errorf("%q: %d e%d, %v", s, coeff, exponent, ok)
		}
	}
}
