// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package protobuf_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
	"github.com/projectionist-dev/projectionist/projectors/codecs/protobuf"
)

func TestTheIndexCountsDeclaredMessages(t *testing.T) {
	// The map makes a message of its own, which Java's serialiser does not count.
	s, err := protobuf.Compile(`syntax = "proto3"; message A { map<string, string> m = 1; message B { int32 b = 1; } message C { int32 c = 1; } }`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		index []int
		want  string
	}{{[]int{0}, `{"m":{}}`}, {[]int{0, 0}, `{"b":0}`}, {[]int{0, 1}, `{"c":0}`}, {[]int{0, 2}, ""}, {[]int{1}, ""}, {[]int{0, 0, 0}, ""}, {nil, ""}, {[]int{0}, `{"m":{}}`}} {
		var w jsontext.Writer
		err := s.Decode(tt.index, nil, &w)
		if tt.want == "" {
			if !errors.Is(err, protobuf.ErrIndex) {
				t.Errorf("%v: %v", tt.index, err)
			}
			continue
		}
		if err != nil || string(w.Bytes()) != tt.want {
			t.Errorf("%v: %s, %v", tt.index, w.Bytes(), err)
		}
	}
}

func TestBounds(t *testing.T) {
	deep, err := protobuf.Compile(`syntax = "proto3"; import "google/protobuf/any.proto"; message A { A a = 1; google.protobuf.Any any = 2; }`)
	if err != nil {
		t.Fatal(err)
	}
	nested := func(n int) []byte {
		var b []byte
		for range n {
			b = append(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.BytesType), uint64(len(b))), b...)
		}
		return b
	}
	var w jsontext.Writer
	if err := deep.Decode([]int{0}, nested(200), &w); err != nil {
		t.Errorf("200 levels: %v", err)
	}
	w.Reset()
	if err := deep.Decode([]int{0}, nested(2_000), &w); !errors.Is(err, protobuf.ErrPayload) {
		t.Errorf("2,000 levels: %v", err)
	}
	// Each Any is read anew, so that the library's own bound does not see them.
	var b []byte
	for range 40 {
		any := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "x/A")
		any = protowire.AppendBytes(protowire.AppendTag(any, 2, protowire.BytesType), b)
		b = protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), any)
	}
	w.Reset()
	if err := deep.Decode([]int{0}, b, &w); !errors.Is(err, jsontext.ErrTooDeep) {
		t.Errorf("40 Any within each other: %v", err)
	}
}

// proto.Unmarshal itself panics on this payload.
func TestAPanicOfTheLibraryIsABadPayload(t *testing.T) {
	s, err := protobuf.Compile(`syntax = "proto3"; message A { map<string, int64> m = 1; }`)
	if err != nil {
		t.Fatal(err)
	}
	var w jsontext.Writer
	if err := s.Decode([]int{0}, []byte("\x0a\x05\x0a\x01a\x08\x01"), &w); !errors.Is(err, protobuf.ErrPayload) {
		t.Errorf("%v", err)
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, tt := range []struct{ schema, want string }{
		{`syntax = "proto3"; message`, "does not compile"},
		{`syntax = "proto3"; import "a.proto";`, "references of the schema"},
		{`syntax = "proto3"; message A { B b = 1; }`, "B"},
	} {
		if _, err := protobuf.Compile(tt.schema); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.schema, err, tt.want)
		}
	}
}

// A registry may call anything google/protobuf/timestamp.proto.
func TestWellKnownFilesAreGooglesOwn(t *testing.T) {
	s, err := protobuf.Compile(`syntax = "proto3"; import "google/protobuf/timestamp.proto"; message A { google.protobuf.Timestamp at = 1; }`,
		protobuf.Reference{Path: "google/protobuf/timestamp.proto", Text: `syntax = "proto3"; package google.protobuf; message Timestamp { string seconds = 1; string nanos = 2; }`})
	if err != nil {
		t.Fatal(err)
	}
	var w jsontext.Writer
	if err := s.Decode([]int{0}, []byte("\x0a\x02\x08\x01"), &w); err != nil || string(w.Bytes()) != `{"at":"1970-01-01T00:00:01Z"}` {
		t.Errorf("%s, %v", w.Bytes(), err)
	}
	// One of the schema's own is a message like any other.
	s, err = protobuf.Compile(`syntax = "proto3"; package google.protobuf; message Timestamp { string seconds = 1; }`)
	if err != nil {
		t.Fatal(err)
	}
	w.Reset()
	if err := s.Decode([]int{0}, []byte("\x0a\x01x"), &w); err != nil || string(w.Bytes()) != `{"seconds":"x"}` {
		t.Errorf("%s, %v", w.Bytes(), err)
	}
}
