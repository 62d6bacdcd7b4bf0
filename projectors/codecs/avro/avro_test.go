// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package avro_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	reference "github.com/twmb/avro"

	"github.com/projectionist-dev/projectionist/projectors/codecs/avro"
	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
)

func compile(t testing.TB, schema string, references ...string) *avro.Schema {
	t.Helper()
	s, err := avro.Compile(schema, references...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestErrorsNameThePath(t *testing.T) {
	s := compile(t, `{"type":"record","name":"O","fields":[{"name":"id","type":"string"},{"name":"lines","type":{"type":"array","items":
		{"type":"record","name":"L","fields":[{"name":"price","type":{"type":"map","values":"int"}}]}}}]}`)
	for _, tt := range []struct{ payload, want string }{
		{"", "id: the payload ends too early"},
		{"\x01", "id: a length is negative"},
		{"\x02a\x02\x02\x02k\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "lines[].price[]: a number has more than 64 bits"},
		{"\x02a\x02\x02\x02k\x80\x80\x80\x80\x80\x01", "lines[].price[]: an int has more than 32 bits"},
		{"\x02a\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "lines[].price[]: the payload ends too early"},
		{"\x02a\x00x", "bytes are left over"},
		{"\x02\xff\x00", "id: a string is not valid UTF-8"},
	} {
		var w jsontext.Writer
		if err := s.Decode([]byte(tt.payload), &w); err == nil || err.Error() != tt.want {
			t.Errorf("%q: %v, want %s", tt.payload, err, tt.want)
		}
	}
}

// Few bytes can say that there are many items (Law 10).
func TestWhatTakesNoBytesIsBounded(t *testing.T) {
	many := binary.AppendVarint(nil, 1<<62)
	for _, schema := range []string{`{"type":"array","items":"null"}`, `{"type":"array","items":{"type":"record","name":"E","fields":[]}}`} {
		var w jsontext.Writer
		if err := compile(t, schema).Decode(many, &w); !errors.Is(err, jsontext.ErrTooLong) {
			t.Errorf("%s: %v", schema, err)
		}
		if len(w.Bytes()) > jsontext.MaxBytes+64 {
			t.Errorf("%s: %d bytes were written", schema, len(w.Bytes()))
		}
	}
	var w jsontext.Writer
	forever := compile(t, `{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}`)
	if err := forever.Decode(nil, &w); !errors.Is(err, jsontext.ErrTooDeep) {
		t.Errorf("a type that contains itself without end: %v", err)
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, tt := range []struct{ schema, want string }{
		{`{`, ""},
		{`{"type":"record","name":"R","fields":[{"name":"a","type":"of.Nobody"}]}`, "of.Nobody"},
		{`{"type":"bytes","logicalType":"decimal","precision":1000,"scale":900}`, "scale 900"},
	} {
		if _, err := avro.Compile(tt.schema); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.schema, err, tt.want)
		}
	}
}

const order = `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"customer","type":["null","string"]},
	{"name":"total","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
	{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"sku","type":"string"},{"name":"n","type":"int"}]}}}]}`

// payload is an order of about 150 bytes.
func payload() []byte {
	text := func(b []byte, s string) []byte { return append(binary.AppendVarint(b, int64(len(s))), s...) }
	b := text(nil, "order-00000000000000000001")
	b = text(append(b, 2), "customer-0000000000001")
	b = append(b, 4, 0x04, 0xd2) // 12.34
	b = binary.AppendVarint(b, 1767323045000)
	b = binary.AppendVarint(b, 4)
	for range 4 {
		b = binary.AppendVarint(text(b, "sku-0000000000000000"), 3)
	}
	return append(b, 0)
}

func BenchmarkDecode(b *testing.B) {
	s, p := compile(b, order), payload()
	var w jsontext.Writer
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		if err := s.Decode(p, &w); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReference reads the same payload into Go maps.
func BenchmarkReference(b *testing.B) {
	s, p := reference.MustParse(order), payload()
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		var v any
		if _, err := s.Decode(p, &v); err != nil {
			b.Fatal(err)
		}
	}
}
