// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/segmentio/kafka-go/protocol"
)

// The helpers below write and read the "flexible" encoding of Kafka's protocol:
// compact lengths are uvarints of n+1, and every struct ends with tagged fields.

type encoder []byte

func (e *encoder) int8(v int8)   { *e = append(*e, byte(v)) }
func (e *encoder) int16(v int16) { *e = binary.BigEndian.AppendUint16(*e, uint16(v)) }
func (e *encoder) int32(v int32) { *e = binary.BigEndian.AppendUint32(*e, uint32(v)) }
func (e *encoder) int64(v int64) { *e = binary.BigEndian.AppendUint64(*e, uint64(v)) }
func (e *encoder) bool(v bool) {
	if v {
		*e = append(*e, 1)
	} else {
		*e = append(*e, 0)
	}
}
func (e *encoder) raw(b []byte)    { *e = append(*e, b...) }
func (e *encoder) length(n int)    { *e = binary.AppendUvarint(*e, uint64(n)+1) }
func (e *encoder) string(s string) { e.length(len(s)); *e = append(*e, s...) }
func (e *encoder) tags()           { *e = append(*e, 0) }

var errShort = errors.New("the broker's answer is malformed")

type parser struct {
	b   []byte
	bad bool
}

func (p *parser) take(n int) []byte {
	if n < 0 || n > len(p.b) {
		p.bad, p.b = true, nil
		return nil
	}
	v := p.b[:n:n]
	p.b = p.b[n:]
	return v
}

func (p *parser) bool() bool {
	b := p.take(1)
	return len(b) == 1 && b[0] != 0
}

func (p *parser) int16() int16 {
	if b := p.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (p *parser) int32() int32 {
	if b := p.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (p *parser) int64() int64 {
	if b := p.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.bad, p.b = true, nil
		return 0
	}
	p.b = p.b[n:]
	return v
}

// length gives -1 for null. An array's elements take a byte at least, so that a
// length beyond the rest of the answer is malformed.
func (p *parser) length() int {
	v := p.uvarint()
	if p.bad || v == 0 {
		return -1
	}
	if v-1 > uint64(len(p.b)) {
		p.bad, p.b = true, nil
		return -1
	}
	return int(v - 1)
}

func (p *parser) string() string { return string(p.bytes()) }

func (p *parser) bytes() []byte {
	if n := p.length(); n >= 0 {
		return p.take(n)
	}
	return nil
}

// tags reads the tagged fields and hands each to f, which may be nil.
func (p *parser) tags(f func(tag uint64, p *parser)) {
	for n := p.uvarint(); n > 0 && !p.bad; n-- {
		tag := p.uvarint()
		size := p.uvarint()
		if size > uint64(len(p.b)) {
			p.bad, p.b = true, nil
			return
		}
		field := parser{b: p.take(int(size))}
		if f != nil {
			f(tag, &field)
			p.bad = p.bad || field.bad
		}
	}
}

// topicID is Kafka's UUID of a topic; zero if the broker has none.
type topicID [16]byte

// String is the form that Kafka's own tools print.
func (id topicID) String() string {
	if id == (topicID{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func parseTopicID(s string) (topicID, bool) {
	var id topicID
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	copy(id[:], b)
	return id, true
}

var correlation atomic.Int32

// rawRequest is one exchange of bytes on a connection that kafka-go holds for
// us alone. It is used for one round trip only.
type rawRequest struct {
	api  protocol.ApiKey
	id   int32
	data encoder
	// limit bounds the size of the answer.
	limit int
	// alloc gives the buffer for the answer.
	alloc func(n int) []byte
}

// newRequest begins a flexible request (header version 2).
func newRequest(api protocol.ApiKey, version int16, clientID string) *rawRequest {
	r := &rawRequest{api: api, id: correlation.Add(1), limit: 64 << 20, alloc: func(n int) []byte { return make([]byte, n) }}
	r.data.int32(0)
	r.data.int16(int16(api))
	r.data.int16(version)
	r.data.int32(r.id)
	r.data.int16(int16(len(clientID)))
	r.data.raw([]byte(clientID))
	r.data.tags()
	return r
}

type rawResponse struct {
	api protocol.ApiKey
	// data is the answer after its header.
	data []byte
}

func (r *rawResponse) ApiKey() protocol.ApiKey { return r.api } //nolint:revive // kafka-go names it

func (r *rawRequest) ApiKey() protocol.ApiKey { return r.api } //nolint:revive // kafka-go names it

func (r *rawRequest) Required(map[protocol.ApiKey]int16) bool { return true }

func (r *rawRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	binary.BigEndian.PutUint32(r.data, uint32(len(r.data)-4))
	if _, err := rw.Write(r.data); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, err
	}
	size := int32(binary.BigEndian.Uint32(head[:]))
	if size < 5 || int64(size) > int64(r.limit) {
		return nil, fmt.Errorf("%w: its size is %d bytes (limit %d)", errShort, size, r.limit)
	}
	buf := r.alloc(int(size))
	if _, err := io.ReadFull(rw, buf); err != nil {
		return nil, err
	}
	p := parser{b: buf}
	if id := p.int32(); id != r.id {
		return nil, fmt.Errorf("%w: it belongs to another request", errShort)
	}
	p.tags(nil)
	if p.bad {
		return nil, errShort
	}
	return &rawResponse{api: r.api, data: p.b}, nil
}
