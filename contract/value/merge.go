// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import (
	"encoding/json"
	"maps"
	"slices"
)

// Object is a JSON object that members are merged into, one level deep.
type Object struct {
	members map[string]json.RawMessage
	size    int // of the text, if there is a member
}

// NewObject reads a json value. NULL, and what is not an object, counts as {}.
// The text may be any valid JSON without repeated members; the members' own
// texts are kept as they are.
func NewObject(v Value) *Object {
	o := &Object{members: map[string]json.RawMessage{}, size: len("{")}
	for k, raw := range members(v) {
		o.put(k, raw)
	}
	return o
}

// members is nil for what is not an object.
func members(v Value) map[string]json.RawMessage {
	text, _ := v.(JSON)
	var out map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &out) != nil {
		return nil
	}
	return out
}

// Merge puts the members of patch, a json value, into the object. A member that
// is null is removed; what is not an object counts as {}. It fails with ErrRange when
// the object's text would be longer than MaxTextBytes, and is then half merged.
func (o *Object) Merge(patch Value) error {
	for k, raw := range members(patch) {
		if string(raw) == "null" {
			o.remove(k)
			continue
		}
		o.put(k, raw)
	}
	if o.size > MaxTextBytes {
		return ErrRange
	}
	return nil
}

func (o *Object) put(k string, raw json.RawMessage) {
	o.remove(k)
	o.members[k] = raw
	o.size += memberSize(k, raw)
}

func (o *Object) remove(k string) {
	if raw, ok := o.members[k]; ok {
		o.size -= memberSize(k, raw)
		delete(o.members, k)
	}
}

// memberSize counts what JSON writes for a member: its colon, and a comma or the end.
func memberSize(k string, raw json.RawMessage) int {
	return len(appendKnownString(nil, k)) + len(raw) + 2
}

// appendKnownString writes a key that came out of a json value, which holds no character that is refused.
func appendKnownString(dst []byte, k string) []byte {
	dst, _ = appendJSONString(dst, k)
	return dst
}

// JSON gives the object's text, its members sorted bytewise.
func (o *Object) JSON() JSON {
	b := []byte{'{'}
	for i, k := range slices.Sorted(maps.Keys(o.members)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(appendKnownString(b, k), ':'), o.members[k]...)
	}
	return JSON(append(b, '}'))
}
