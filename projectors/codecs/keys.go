// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/cockroachdb/apd/v3"
	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// keys reads message keys. A null key is nil, without an error.
type keys interface {
	decode(rec *event.Record) ([]byte, error)
}

func newKeys(t *contract.Topic, schemas Schemas) (keys, error) {
	at := func(field, format string, args ...any) error {
		return fmt.Errorf("topics[%s].key.%s: "+format, append([]any{t.Name, field}, args...)...)
	}
	switch t.KeyFormat {
	case "", "Text", "Bytes":
		if t.KeyField != "" {
			return nil, at("field", "only keys in JSON or Avro have fields: set key.format to one of them")
		}
		if t.KeyFormat == "Bytes" {
			return bytesKeys{}, nil
		}
		return textKeys{}, nil
	case "JSON":
		return &jsonKeys{field: t.KeyField}, nil
	case "Avro":
		if schemas == nil {
			return nil, at("format", "Avro needs a schema registry: set spec.schemaRegistry of the EventBroker")
		}
		return &avroKeys{registered: newRegistered(schemas), field: t.KeyField}, nil
	}
	return nil, at("format", "unknown format %q: use Text, JSON, Avro or Bytes", t.KeyFormat)
}

type textKeys struct{}

func (textKeys) decode(rec *event.Record) ([]byte, error) { return rec.Key, nil }

type bytesKeys struct{}

func (bytesKeys) decode(rec *event.Record) ([]byte, error) {
	if rec.Key == nil {
		return nil, nil
	}
	return base64.StdEncoding.AppendEncode(make([]byte, 0, base64.StdEncoding.EncodedLen(len(rec.Key))), rec.Key), nil
}

type jsonKeys struct {
	json  JSON
	field string
}

func (k *jsonKeys) decode(rec *event.Record) ([]byte, error) {
	if rec.Key == nil {
		return nil, nil
	}
	doc, err := k.json.Decode(rec.Key)
	if err != nil {
		return nil, ofKey(err)
	}
	return keyText(unwrap(doc.Value, doc.Escaped), doc.Escaped, k.field)
}

type avroKeys struct {
	*registered
	field string
}

func (k *avroKeys) decode(rec *event.Record) ([]byte, error) {
	if rec.Key == nil {
		return nil, nil
	}
	var doc Doc
	if err := k.into(rec.Key, nil, SchemaAvro, &doc); err != nil {
		return nil, ofKey(err)
	}
	return keyText(doc.Value, doc.Escaped, k.field)
}

// ofKey says that it is the key that cannot be read.
func ofKey(err error) error {
	var bad *DecodeError
	if errors.As(err, &bad) {
		return decodeError("message key: %s", bad.Message)
	}
	return err
}

// keyText is the text of a key, or of its one field: of a string itself, of
// a number, bool or null its JSON, of an object or a list its canonical JSON
// (names sorted, no spaces). A key that is null as a whole is no key.
func keyText(v *fastjson.Value, escaped bool, field string) ([]byte, error) {
	if isNull(v) {
		return nil, nil
	}
	if field != "" {
		if v.Type() != fastjson.TypeObject {
			return nil, decodeError("the message key has no fields: it is no object; correct key.field of the EventTopic")
		}
		alone := v.GetObject().Len()
		if v = member(v, escaped, field); isNull(v) {
			return nil, decodeError("the message key has no field %s, or it is null: correct key.field of the EventTopic", field)
		}
		if alone != 1 {
			// Two message keys would become one, and order is kept per message key alone (CORRECTNESS 1).
			return nil, decodeError("the message key has other fields beside %s: leave key.field of the EventTopic out, and take the whole key", field)
		}
	}
	switch v.Type() {
	case fastjson.TypeString:
		return append([]byte{}, v.GetStringBytes()...), nil
	case fastjson.TypeTrue, fastjson.TypeFalse:
		return v.MarshalTo(nil), nil
	case fastjson.TypeNumber:
		n, err := value.JSONNumber(string(v.MarshalTo(nil)))
		if err != nil {
			return nil, decodeError("message key: a number is %v", err)
		}
		if d, ok := n.(*apd.Decimal); ok {
			return d.Append(nil, 'f'), nil
		}
		return strconv.AppendInt(nil, n.(int64), 10), nil
	}
	tree, err := native(v)
	if err != nil {
		return nil, decodeError("message key: a number is %v", err)
	}
	canonical, err := value.Type{Kind: value.JSONKind}.Convert(tree)
	if err != nil {
		return nil, decodeError("the message key is %v", err)
	}
	return []byte(canonical.(value.JSON)), nil
}

// native gives a value in the types of contract/value.
func native(v *fastjson.Value) (any, error) {
	switch v.Type() {
	case fastjson.TypeNull:
		return nil, nil
	case fastjson.TypeTrue, fastjson.TypeFalse:
		return v.GetBool(), nil
	case fastjson.TypeString:
		return string(v.GetStringBytes()), nil
	case fastjson.TypeNumber:
		return value.JSONNumber(string(v.MarshalTo(nil)))
	case fastjson.TypeArray:
		list := make([]any, 0, len(v.GetArray()))
		for _, e := range v.GetArray() {
			n, err := native(e)
			if err != nil {
				return nil, err
			}
			list = append(list, n)
		}
		return list, nil
	}
	object := map[string]any{}
	var failed error
	v.GetObject().Visit(func(name []byte, e *fastjson.Value) {
		if _, twice := object[string(name)]; twice {
			return // of two members of one name the first counts
		}
		n, err := native(e)
		if err != nil {
			failed = err
		}
		object[string(name)] = n
	})
	return object, failed
}
