// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package protobuf

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
)

var (
	errDuration = errors.New("a google.protobuf.Duration is outside its bounds")
	errTime     = errors.New("a google.protobuf.Timestamp is outside the years 1 to 9999")
)

// printer writes messages. Its errors are the Writer's.
type printer struct {
	schema *Schema
	w      *jsontext.Writer
	// anys counts the Any within each other: each is read anew.
	anys int
}

func (p *printer) message(m protoreflect.Message) {
	if name := wellKnown(m.Descriptor()); name != "" {
		p.wellKnown(name, m)
		return
	}
	p.w.BeginObject()
	p.fields(m)
	p.w.EndObject()
}

func (p *printer) fields(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.HasPresence() && !m.Has(f) {
			continue
		}
		p.w.Name(f.JSONName())
		p.field(f, m.Get(f))
		if p.w.Err() != nil {
			return
		}
	}
}

func (p *printer) field(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch {
	case f.IsList():
		p.w.BeginArray()
		list := v.List()
		for i := range list.Len() {
			if p.singular(f, list.Get(i)); p.w.Err() != nil {
				return
			}
		}
		p.w.EndArray()
	case f.IsMap():
		p.w.BeginObject()
		for _, e := range sorted(v.Map()) {
			p.w.Name(e.key)
			if p.singular(f.MapValue(), e.value); p.w.Err() != nil {
				return
			}
		}
		p.w.EndObject()
	default:
		p.singular(f, v)
	}
}

type entry struct {
	key   string
	value protoreflect.Value
}

// sorted gives a map's entries by the text of their keys: Go's order is not the same twice.
func sorted(m protoreflect.Map) []entry {
	out := make([]entry, 0, m.Len())
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		out = append(out, entry{k.String(), v})
		return true
	})
	slices.SortFunc(out, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	return out
}

func (p *printer) singular(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.BoolKind:
		p.w.Bool(v.Bool())
	case protoreflect.StringKind:
		p.w.String(v.String())
	case protoreflect.BytesKind:
		p.w.Base64(v.Bytes())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		p.w.Int(v.Int())
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		p.w.Uint(v.Uint())
	case protoreflect.FloatKind:
		p.w.Float(v.Float(), 32)
	case protoreflect.DoubleKind:
		p.w.Float(v.Float(), 64)
	case protoreflect.EnumKind:
		p.enum(f.Enum(), v.Enum())
	default:
		p.message(v.Message())
	}
}

func (p *printer) enum(d protoreflect.EnumDescriptor, n protoreflect.EnumNumber) {
	v := d.Values().ByNumber(n)
	switch {
	case d.FullName() == "google.protobuf.NullValue":
		p.w.Null()
	case v == nil:
		// Of a newer schema than the payload's own: Protobuf's JSON has the number, too.
		p.w.Int(int64(n))
	default:
		p.w.String(string(v.Name()))
	}
}

func (p *printer) wellKnown(name string, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	get := func(n protoreflect.FieldNumber) protoreflect.Value { return m.Get(fields.ByNumber(n)) }
	switch name {
	case "google.protobuf.Timestamp":
		seconds, nanos := get(1).Int(), get(2).Int()
		if nanos < 0 || nanos > 999_999_999 || seconds < -62_135_596_800 || seconds > 253_402_300_799 {
			p.w.Fail(errTime)
			return
		}
		p.w.Time(time.Unix(seconds, nanos), time.RFC3339Nano)
	case "google.protobuf.Duration":
		p.duration(get(1).Int(), get(2).Int())
	case "google.protobuf.FieldMask":
		paths := get(1).List()
		names := make([]string, paths.Len())
		for i := range names {
			names[i] = camelCase(paths.Get(i).String())
		}
		p.w.String(strings.Join(names, ","))
	case "google.protobuf.Struct", "google.protobuf.ListValue":
		p.field(fields.ByNumber(1), get(1))
	case "google.protobuf.Value":
		which := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
		if which == nil {
			p.w.Null()
			return
		}
		p.singular(which, m.Get(which))
	case "google.protobuf.Any":
		p.any(get(1).String(), get(2).Bytes())
	case "confluent.type.Decimal":
		p.w.Decimal(get(1).Bytes(), int(get(3).Int()))
	default: // a wrapper
		p.singular(fields.ByNumber(1), get(1))
	}
}

// duration writes 1.5s.
func (p *printer) duration(seconds, nanos int64) {
	const most = 315_576_000_000
	if seconds > most || seconds < -most || nanos > 999_999_999 || nanos < -999_999_999 || seconds > 0 && nanos < 0 || seconds < 0 && nanos > 0 {
		p.w.Fail(errDuration)
		return
	}
	var text []byte
	if seconds < 0 || nanos < 0 {
		text, seconds, nanos = append(text, '-'), -seconds, -nanos
	}
	text = strconv.AppendInt(text, seconds, 10)
	if nanos > 0 {
		digits := strconv.FormatInt(1_000_000_000+nanos, 10)[1:]
		text = append(append(text, '.'), strings.TrimRight(digits, "0")...)
	}
	p.w.StringBytes(append(text, 's'))
}

// camelCase turns order_lines.unit_price into orderLines.unitPrice.
func camelCase(path string) string {
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if c := path[i]; c == '_' && i+1 < len(path) && path[i+1] >= 'a' && path[i+1] <= 'z' {
			i++
			out = append(out, path[i]-'a'+'A')
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

// maxAnys bounds how often bytes are read as messages again.
const maxAnys = 16

// any writes the message in an Any with its type as @type, or its bytes as value
// where the schema does not know the type.
func (p *printer) any(url string, b []byte) {
	p.w.BeginObject()
	defer p.w.EndObject()
	if url == "" && len(b) == 0 {
		return
	}
	p.w.Name("@type")
	p.w.String(url)
	t, err := p.schema.resolver.FindMessageByURL(url)
	if err != nil {
		p.w.Name("value")
		p.w.Base64(b)
		return
	}
	if p.anys++; p.anys > maxAnys {
		p.w.Fail(jsontext.ErrTooDeep)
		return
	}
	defer func() { p.anys-- }()
	m := dynamicpb.NewMessage(t.Descriptor())
	if err := p.schema.unmarshal(b, m); err != nil {
		p.w.Fail(err)
		return
	}
	if wellKnown(m.Descriptor()) != "" {
		p.w.Name("value")
		p.message(m)
		return
	}
	p.fields(m)
}
