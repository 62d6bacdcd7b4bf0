// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strconv"
	"time"
	"unicode/utf8"
	"unsafe"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract/jsondoc"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// Header is one record header.
type Header struct {
	Key   string
	Value []byte
}

// Activation is what an expression is evaluated over: one event. It belongs to
// one goroutine; evaluation may change it (scratch space, lazily unescaped
// strings), so it must not be shared. The event only needs to live as long as the
// call: results share no memory with it. One Activation for many events takes
// fewer allocations than one each.
type Activation struct {
	// Event is the payload; nil is null (a tombstone). The bytes that it was
	// parsed from must be valid UTF-8 and valid JSON (projectors/codecs sees to it).
	Event *fastjson.Value
	// Members, where it is not nil, holds the payload in place of Event, scanned for
	// the Options.Members that the programs were compiled with.
	Members *jsondoc.Doc
	// Escaped must be true when the payload contains a backslash.
	Escaped bool
	// Key is nil for a null key.
	Key       []byte
	Headers   []Header
	Topic     string
	Partition int32
	// Offset is the record's position, as a number.
	Offset   int64
	Time     time.Time
	Type, ID string
	// Row holds the current row, a value for each column of Options.Row in that order;
	// Eval of a program that reads row without it is a Failure.
	Row []value.Value
	// Item is the element of a forEach (see Program.Elements), in the same document as Event
	// or free of escapes in its keys; Index is its number.
	Item  *fastjson.Value
	Index int64

	buf []byte
	// program is the one that CEL evaluates: its columns are those of row.
	program *Program
	rowDocs []rowDoc
	store   *valueStore
}

var _ interpreter.Activation = (*Activation)(nil)

// Payload gives the tree of the payload, made of Members where it has to be; nil is null.
func (a *Activation) Payload() *fastjson.Value {
	if a.Members != nil {
		return a.Members.Tree()
	}
	return a.Event
}

// Parent implements CEL's Activation.
func (*Activation) Parent() interpreter.Activation { return nil }

// ResolveName implements CEL's Activation.
func (a *Activation) ResolveName(name string) (any, bool) {
	switch name {
	case "event":
		return a.toCEL(a.Payload()), true
	case "key":
		s, f := a.keyText()
		if f != nil {
			return celErr(f), true
		}
		return types.String(s), true
	case "headers":
		return a.headerMap(), true
	case "meta.topic":
		return types.String(a.Topic), true
	case "meta.partition":
		return types.Int(a.Partition), true
	case "meta.position":
		return types.String(strconv.FormatInt(a.Offset, 10)), true
	case "meta.time":
		return types.Timestamp{Time: a.Time}, true
	case "meta.type":
		return types.String(a.Type), true
	case "meta.id":
		return types.String(a.ID), true
	case "item":
		return a.toCEL(a.Item), true
	case "index":
		return types.Int(a.Index), true
	}
	if col, ok := a.program.vocabulary.column(name); ok {
		return a.rowCEL(col), true
	}
	return nil, false
}

func (a *Activation) keyText() (string, *Failure) {
	switch {
	case a.Key == nil:
		return "", failf("key is null")
	case !utf8.Valid(a.Key):
		return "", failf("key is not valid UTF-8")
	}
	return string(a.Key), nil
}

// header finds the last header of a name; nil if there is none.
func (a *Activation) header(name string) (string, bool, *Failure) {
	for i := len(a.Headers) - 1; i >= 0; i-- {
		h := &a.Headers[i]
		if h.Key != name {
			continue
		}
		if !utf8.Valid(h.Value) {
			return "", false, failf("a header that is read is not valid UTF-8")
		}
		return string(h.Value), true, nil
	}
	return "", false, nil
}

func (a *Activation) headerMap() ref.Val {
	m := make(map[ref.Val]ref.Val, len(a.Headers))
	for _, h := range a.Headers {
		var v ref.Val = types.String(h.Value)
		if !utf8.Valid(h.Value) || !utf8.ValidString(h.Key) {
			// Only an expression that reads the headers as a whole comes here, or one
			// whose index is computed: it must not see half of them.
			return celErr(failf("a header is not valid UTF-8"))
		}
		m[types.String(h.Key)] = v
	}
	return orderedMap{types.NewRefValMap(types.DefaultTypeAdapter, m)}
}

// member gives a member of an object; nil if it is missing.
func (a *Activation) member(v *fastjson.Value, name string) *fastjson.Value {
	o, err := v.Object()
	if err != nil {
		return nil
	}
	if a.Escaped {
		// Get looks at keys as they are spelled first: of {"\u0061":1,"a":2} it
		// would find the second, and after another lookup the first.
		o.Visit(func([]byte, *fastjson.Value) {})
	}
	return o.Get(name)
}

// numberText gives the spelling of a JSON number; valid until the next call.
func (a *Activation) numberText(v *fastjson.Value) string {
	a.buf = v.MarshalTo(a.buf[:0])
	return unsafe.String(unsafe.SliceData(a.buf), len(a.buf)) //nolint:gosec // read before buf changes; a copy per number is what the fast path avoids
}

// stringOf gives a JSON string without copying it.
func stringOf(v *fastjson.Value) string {
	b, err := v.StringBytes()
	if err != nil || len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b)) //nolint:gosec // valid as long as the event, as documented; results are cloned
}
