// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package protobuf_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/valyala/fastjson"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
	"github.com/projectionist-dev/projectionist/projectors/codecs/protobuf"
)

const schema = `syntax = "proto3";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Status { UNKNOWN = 0; PLACED = 1; }
message All {
  string s = 1; int64 big = 2; uint64 huge = 3; sint32 small = 4; fixed64 f64 = 5; float f = 6; double d = 7; bool ok = 8; bytes raw = 9; Status status = 10;
  optional int32 maybe = 11; repeated All all = 12; map<string, int64> by_name = 13; map<int32, string> by_number = 14;
  oneof pay { string card = 15; int32 cash = 16; }
  google.protobuf.Timestamp at = 17; google.protobuf.Duration took = 18; google.protobuf.FieldMask mask = 19; google.protobuf.Struct object = 20;
  google.protobuf.Value value = 21; google.protobuf.ListValue list = 22; google.protobuf.Int64Value wrapped = 23; google.protobuf.BytesValue bytes = 24;
  google.protobuf.Any any = 25; repeated double packed = 26; google.protobuf.DoubleValue dv = 27;
}
`

// FuzzDecode holds that a message becomes what Protobuf's own JSON says, but for
// the spelling of numbers and times.
func FuzzDecode(f *testing.F) {
	ours, err := protobuf.Compile(schema)
	if err != nil {
		f.Fatal(err)
	}
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"all.proto": schema}),
	})}
	files, err := compiler.Compile(f.Context(), "all.proto")
	if err != nil {
		f.Fatal(err)
	}
	resolver := linker.ResolverFromFile(files[0])
	descriptor := files[0].Messages().Get(0)
	reference := protojson.MarshalOptions{EmitDefaultValues: true, Resolver: resolver}
	for _, text := range []string{
		`{"s":"é\u0000","big":"-5","huge":"18446744073709551615","f":0.1,"d":1e300,"ok":true,"raw":"AP8=","status":"PLACED","maybe":0,"all":[{"s":"x"},{}],"byName":{"b":"1","a":"2"},"byNumber":{"-1":"x"}}`,
		`{"cash":0,"at":"2026-01-02T03:04:05.6Z","took":"-1.5s","mask":"aB,c","object":{"a":[1,null,{"b":"x"}]},"value":"x","list":[true],"wrapped":"0","bytes":"AQ==","packed":["NaN","-Infinity",2],"dv":1.5}`,
		`{"any":{"@type":"type.googleapis.com/All","s":"x"}}`, `{"any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}}`,
	} {
		m := dynamicpb.NewMessage(descriptor)
		if err := (protojson.UnmarshalOptions{Resolver: resolver}).Unmarshal([]byte(text), m); err != nil {
			f.Fatal(err)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	var w jsontext.Writer
	f.Fuzz(func(t *testing.T, b []byte) {
		w.Reset()
		err := ours.Decode([]int{0}, b, &w)
		if err == nil && (!json.Valid(w.Bytes()) || !utf8.Valid(w.Bytes())) {
			t.Fatalf("not JSON: %q", w.Bytes())
		}
		if errors.Is(err, protobuf.ErrPayload) {
			return // the reference may panic on it, or take what is nested deeper
		}
		m := dynamicpb.NewMessage(descriptor)
		if proto.Unmarshal(b, m) != nil {
			t.Fatalf("what is no message was read: %v", err)
		}
		want, refErr := reference.Marshal(m)
		if err != nil || refErr != nil {
			return // the reference refuses unknown types in Any and values of no kind, and times of other years
		}
		if x, y := fastjson.MustParseBytes(w.Bytes()), fastjson.MustParseBytes(want); !equal(x, y) {
			t.Fatalf("ours %s\nthe reference %s", x, y)
		}
	})
}

func equal(x, y *fastjson.Value) bool {
	if a, b := scalar(x), scalar(y); a != nil && b != nil {
		return *a == *b || sameNumber(*a, *b) || sameTime(*a, *b) || trimmed(*a) == trimmed(*b)
	}
	switch {
	case x.Type() != y.Type():
		return false
	case x.Type() == fastjson.TypeArray:
		a, b := x.GetArray(), y.GetArray()
		if len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
	case x.Type() == fastjson.TypeObject:
		a, b := x.GetObject(), y.GetObject()
		same := a.Len() == b.Len()
		a.Visit(func(k []byte, e *fastjson.Value) {
			o := b.Get(string(k))
			same = same && o != nil && equal(e, o)
		})
		return same
	}
	return true
}

// scalar is the text of a string or a number.
func scalar(v *fastjson.Value) *string {
	var s string
	switch v.Type() {
	case fastjson.TypeString:
		s = string(v.GetStringBytes())
	case fastjson.TypeNumber:
		s = v.String()
	default:
		return nil
	}
	return &s
}

func sameNumber(a, b string) bool {
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && x == y
}

func sameTime(a, b string) bool {
	x, err1 := time.Parse(time.RFC3339Nano, a)
	y, err2 := time.Parse(time.RFC3339Nano, b)
	return err1 == nil && err2 == nil && x.Equal(y)
}

// trimmed is a duration without zeros at its end.
func trimmed(s string) string {
	whole, fraction, _ := strings.Cut(strings.TrimSuffix(s, "s"), ".")
	return whole + "." + strings.TrimRight(fraction, "0")
}
