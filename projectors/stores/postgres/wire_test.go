// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"testing"

	"github.com/cockroachdb/apd/v3"
	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// The numeric form is read back by us, and by another implementation, as the same number.
func TestNumericForm(t *testing.T) {
	m := pgtype.NewMap()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.IntRange(1, 38).Draw(t, "precision")
		typ := value.Type{Kind: value.Decimal, Precision: uint8(p), Scale: uint8(rapid.IntRange(0, p).Draw(t, "scale"))}
		d := &apd.Decimal{Exponent: -int32(typ.Scale)}
		digits := rapid.StringOfN(rapid.RuneFrom([]rune("0123456789")), 1, p, -1).Draw(t, "digits")
		if _, ok := d.Coeff.SetString(digits, 10); !ok {
			t.Fatal(digits)
		}
		d.Negative = d.Coeff.Sign() != 0 && rapid.Bool().Draw(t, "negative")
		b := appendValue(nil, typ, d)
		back, err := decodeValue(typ, b)
		if err != nil || value.Compare(back, d) != 0 || back.(*apd.Decimal).Exponent != d.Exponent {
			t.Fatalf("%v came back as %v, %v", d, back, err)
		}
		var n pgtype.Numeric
		if err = m.Scan(pgtype.NumericOID, pgtype.BinaryFormatCode, b, &n); err != nil {
			t.Fatal(err)
		}
		text, err := n.Value()
		if err != nil {
			t.Fatal(err)
		}
		if other, _, err := apd.NewFromString(text.(string)); err != nil || other.Cmp(d) != 0 {
			t.Fatalf("%v is read as %v by pgtype", d, text)
		}
	})
}

func TestArrayForm(t *testing.T) {
	vals := []value.Value{int64(1), nil, int64(-5)}
	b := encodeArray(int32Type, len(vals), func(i int) value.Value { return vals[i] })
	var got []*int32
	if err := pgtype.NewMap().Scan(pgtype.Int4ArrayOID, pgtype.BinaryFormatCode, b, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || *got[0] != 1 || got[1] != nil || *got[2] != -5 {
		t.Fatal(got)
	}
	back, err := decodeArray(int32Type, b)
	if err != nil || value.Compare(back, vals) != 0 {
		t.Fatal(back, err)
	}
}

// What the server would never send must be an error, not a panic.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1})
	types := []value.Type{int32Type, int64Type, timeType, textType, {Kind: value.Text, Array: true}, {Kind: value.Decimal, Precision: 12, Scale: 2}, {Kind: value.JSONKind}, {Kind: value.UUID}}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, typ := range types {
			_, _ = decodeValue(typ, b)
		}
	})
}
