// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package protobuf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
)

// Schema is a compiled .proto file. It belongs to one goroutine.
type Schema struct {
	file     linker.File
	resolver linker.Resolver
	// last is the type at lastIndex, which was asked for last: a topic mostly has one.
	last      protoreflect.MessageType
	lastIndex []int
}

// Reference is a file that the schema imports by Path, or that one of those imports.
type Reference struct{ Path, Text string }

// mainPath is the path of the schema itself; no import can mean it.
const mainPath = "<schema>"

// Compile compiles a schema. Its errors speak of the schema, and are no secret.
func Compile(schema string, references ...Reference) (*Schema, error) {
	texts := map[string]string{}
	for _, r := range references {
		texts[r.Path] = r.Text
	}
	texts[mainPath] = schema
	from := func(files map[string]string) protocompile.Resolver {
		return &protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(files)}
	}
	// The well-known files are always Google's own, whatever a registry calls so:
	// messages are taken for well-known types by their file.
	compiler := protocompile.Compiler{
		Resolver:       protocompile.CompositeResolver{protocompile.WithStandardImports(from(nil)), from(confluent), from(texts)},
		MaxParallelism: 1,
	}
	files, err := compiler.Compile(context.Background(), mainPath)
	if err != nil {
		return nil, fmt.Errorf("the schema does not compile: %w (imports must be references of the schema, or google/protobuf/*.proto)", err)
	}
	return &Schema{file: files[0], resolver: linker.ResolverFromFile(files[0])}, nil
}

// ErrIndex says that the schema has no such message.
var ErrIndex = errors.New("the message index before the payload names no message of the schema")

// message gives the type at an index: that of a message in the file, then that
// of one nested in it, and so on.
func (s *Schema) message(index []int) (protoreflect.MessageType, error) {
	if s.last != nil && slices.Equal(index, s.lastIndex) {
		return s.last, nil
	}
	messages := s.file.Messages()
	var d protoreflect.MessageDescriptor
	for _, i := range index {
		if d = declared(messages, i); d == nil {
			return nil, ErrIndex
		}
		messages = d.Messages()
	}
	if d == nil {
		return nil, ErrIndex
	}
	s.last, s.lastIndex = dynamicpb.NewMessageType(d), slices.Clone(index)
	return s.last, nil
}

// declared is message i of those that the text declares: the types that map
// fields stand for are none, as in Confluent's Java serialiser.
func declared(messages protoreflect.MessageDescriptors, i int) protoreflect.MessageDescriptor {
	for n := range messages.Len() {
		m := messages.Get(n)
		if m.IsMapEntry() {
			continue
		}
		if i == 0 {
			return m
		}
		i--
	}
	return nil
}

// ErrPayload says that bytes are not the message. The library's own words are
// left out: they may quote the payload.
var ErrPayload = errors.New("the payload is not this message, or is nested too deeply")

// Decode writes the message at an index of the schema. Its errors are those of
// this package or of jsontext.
func (s *Schema) Decode(index []int, b []byte, w *jsontext.Writer) error {
	t, err := s.message(index)
	if err != nil {
		return err
	}
	m := t.New()
	if err := s.unmarshal(b, m.Interface()); err != nil {
		return err
	}
	p := printer{schema: s, w: w}
	p.message(m)
	return w.Err()
}

// unmarshal reads a message. The library panics on some payloads (1.36.12 on a
// map entry with two keys, the second not of the key's type): they are as bad as
// those that it refuses, and must not end the process.
func (s *Schema) unmarshal(b []byte, m proto.Message) (err error) {
	defer func() {
		if recover() != nil {
			err = ErrPayload
		}
	}()
	o := proto.UnmarshalOptions{Resolver: s.resolver, RecursionLimit: jsontext.MaxDepth}
	if o.Unmarshal(b, m) != nil {
		return ErrPayload
	}
	return nil
}

// confluent are files that Confluent's serialisers take for known and do not register.
var confluent = map[string]string{
	"confluent/meta.proto": `syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta {
  string doc = 1;
  map<string, string> params = 2;
  repeated string tags = 3;
}
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
`,
	decimalPath: `syntax = "proto3";
package confluent.type;
message Decimal {
  bytes value = 1;
  uint32 precision = 2;
  int32 scale = 3;
}
`,
}

const decimalPath = "confluent/type/decimal.proto"

// wellKnown is the name of a message with a form of its own, "" for any other.
func wellKnown(d protoreflect.MessageDescriptor) string {
	path := d.ParentFile().Path()
	if path == decimalPath || strings.HasPrefix(path, "google/protobuf/") && slices.Contains(wellKnownNames, d.FullName()) {
		return string(d.FullName())
	}
	return ""
}

var wellKnownNames = []protoreflect.FullName{
	"google.protobuf.Any", "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask",
	"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue",
	"google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.Int64Value", "google.protobuf.UInt64Value",
	"google.protobuf.Int32Value", "google.protobuf.UInt32Value", "google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue",
}
