// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract/expr"
)

// reads says what of an event the expressions read that are evaluated when the
// row is known.
type reads struct {
	// event is true where they read more than some members of the payload.
	event bool
	// members are the names of the payload's members that they read.
	members                  []string
	key, headers, item, meta bool
}

// any tells whether they read anything beside row.
func (r *reads) any() bool {
	return r.event || len(r.members) > 0 || r.key || r.headers || r.item || r.meta
}

func (r *reads) add(prg *expr.Program) {
	for _, p := range prg.Paths() {
		name, ok := firstMember(p)
		switch {
		case !ok:
			r.event = true
		case !slices.Contains(r.members, name):
			r.members = append(r.members, name)
		}
	}
	r.key = r.key || prg.Uses("key")
	r.headers = r.headers || prg.Uses("headers")
	r.item = r.item || prg.Uses("item") || prg.Uses("index")
	for _, v := range []string{"meta.topic", "meta.partition", "meta.position", "meta.time", "meta.type", "meta.id"} {
		r.meta = r.meta || prg.Uses(v)
	}
}

// firstMember gives a of event.a.b and of event["a"].b.
func firstMember(path string) (string, bool) {
	rest := strings.TrimPrefix(path, "event")
	switch {
	case strings.HasPrefix(rest, "."):
		rest = rest[1:]
		if i := strings.IndexAny(rest, ".["); i >= 0 {
			rest = rest[:i]
		}
		return rest, true
	case strings.HasPrefix(rest, "["):
		quoted, err := strconv.QuotedPrefix(rest[1:])
		if err != nil {
			return "", false
		}
		name, err := strconv.Unquote(quoted)
		return name, err == nil
	}
	return "", false
}

// excerpt is what loaders keep of an event. It is never modified, and shares no
// memory with the record.
type excerpt struct {
	// event is JSON text: the payload, or those of its members that are read.
	event     []byte
	key       []byte
	headers   []expr.Header
	topic     string
	partition int32
	offset    int64
	time      time.Time
	typ, id   string
}

// excerptBytes is the size of an excerpt without what it points to.
const excerptBytes = 192

// take copies from a what r reads.
func (r *reads) take(a *expr.Activation) *excerpt {
	x := &excerpt{topic: a.Topic, partition: a.Partition, offset: a.Offset, time: a.Time}
	switch {
	case r.event:
		x.event = appendJSON(nil, a.Payload())
	case len(r.members) > 0:
		if o := a.Payload().GetObject(); o != nil {
			x.event = r.appendMembers(o)
		} else {
			x.event = appendJSON(nil, a.Payload())
		}
	}
	if r.key {
		x.key = bytes.Clone(a.Key)
	}
	if r.headers {
		x.headers = make([]expr.Header, len(a.Headers))
		for i, h := range a.Headers {
			x.headers[i] = expr.Header{Key: strings.Clone(h.Key), Value: bytes.Clone(h.Value)}
		}
	}
	if r.meta {
		x.typ, x.id = strings.Clone(a.Type), strings.Clone(a.ID)
	}
	return x
}

// appendMembers writes an object of the members that are read.
func (r *reads) appendMembers(o *fastjson.Object) []byte {
	out := []byte{'{'}
	o.Visit(func(k []byte, v *fastjson.Value) {
		if !slices.Contains(r.members, string(k)) {
			return
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = appendJSONString(out, k)
		out = appendJSON(append(out, ':'), v)
	})
	return append(out, '}')
}

// bytes estimates the memory that the excerpt holds.
func (x *excerpt) bytes() int {
	n := excerptBytes + cap(x.event) + len(x.key) + len(x.typ) + len(x.id)
	for _, h := range x.headers {
		n += 40 + len(h.Key) + len(h.Value)
	}
	return n
}

// appendJSON writes a value as JSON text that parses to the same; nil is null.
// fastjson's own MarshalTo escapes as Go does, which is not always JSON.
func appendJSON(dst []byte, v *fastjson.Value) []byte {
	if v == nil {
		return append(dst, "null"...)
	}
	switch v.Type() {
	case fastjson.TypeString:
		return appendJSONString(dst, v.GetStringBytes())
	case fastjson.TypeArray:
		dst = append(dst, '[')
		for i, e := range v.GetArray() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, e)
		}
		return append(dst, ']')
	case fastjson.TypeObject:
		dst = append(dst, '{')
		first := true
		v.GetObject().Visit(func(k []byte, e *fastjson.Value) {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendJSONString(dst, k)
			dst = appendJSON(append(dst, ':'), e)
		})
		return append(dst, '}')
	default: // numbers as they are spelled, true, false, null
		return v.MarshalTo(dst)
	}
}

const hexDigits = "0123456789abcdef"

func appendJSONString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
