// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import "github.com/valyala/fastjson"

// member gives a member of an object, nil if there is none; of several of one
// name the first.
func member(v *fastjson.Value, escaped bool, name string) *fastjson.Value {
	o := v.GetObject()
	if o == nil {
		return nil
	}
	if escaped {
		// Get looks at names as they are spelled first.
		o.Visit(func([]byte, *fastjson.Value) {})
	}
	return o.Get(name)
}

// unwrap takes a value out of the envelope of Kafka Connect's JSON converter
// with schemas.enable: an object of exactly schema and payload. A null payload
// gives a null value, anything else itself.
func unwrap(v *fastjson.Value, escaped bool) *fastjson.Value {
	o := v.GetObject()
	if o == nil || o.Len() != 2 {
		return v
	}
	schema, payload := member(v, escaped, "schema"), member(v, escaped, "payload")
	if schema == nil || payload == nil || schema.Type() != fastjson.TypeObject && schema.Type() != fastjson.TypeNull {
		return v
	}
	return payload
}

// isNull is true for a JSON null and for no value.
func isNull(v *fastjson.Value) bool { return v == nil || v.Type() == fastjson.TypeNull }
