// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"errors"
	"fmt"

	"github.com/projectionist-dev/projectionist/projectors/codecs/avro"
	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
	"github.com/projectionist-dev/projectionist/projectors/codecs/protobuf"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// registered reads payloads whose schema is in a registry.
type registered struct {
	schemas  Schemas
	compiled map[int]*compiled
	json     JSON
	w        jsontext.Writer
}

func newRegistered(s Schemas) *registered {
	return &registered{schemas: s, compiled: map[int]*compiled{}}
}

// maxCompiled bounds the compiled schemas of a decoder. Beyond it they are all
// compiled again, from what Schemas remembers.
const maxCompiled = 256

// compiled is a schema ready to read with; one of its fields is set by type.
type compiled struct {
	typ      string
	avro     *avro.Schema
	protobuf *protobuf.Schema
	// err is why it cannot be read with; it is a wait, since the event is not to blame.
	err *UnavailableError
}

// into reads a payload in the wire format into doc. Its schema must be of a
// type, where one is given.
func (r *registered) into(b []byte, headers []event.Header, typ string, doc *Doc) error {
	if len(b) > MaxBytes {
		return errTooLong
	}
	id, rest, err := schemaID(b, headers)
	if err != nil {
		return err
	}
	c, err := r.schema(id)
	if err != nil {
		return err
	}
	if typ != "" && c.typ != typ {
		return decodeError("the payload's schema, id %d, is of type %s, and %s is expected: correct the EventTopic's format, or the producer", id, c.typ, typ)
	}
	if c.err != nil {
		return c.err
	}
	if c.typ == SchemaJSON {
		return r.json.into(rest, doc)
	}
	r.w.Reset()
	if c.avro != nil {
		err = c.avro.Decode(rest, &r.w)
	} else {
		var index []int
		if index, rest, err = messageIndex(rest); err != nil {
			return err
		}
		err = c.protobuf.Decode(index, rest, &r.w)
	}
	if err != nil {
		return decodeError("the payload is not a value of its schema, id %d: %v", id, err)
	}
	return r.json.written(&r.w, doc)
}

func (r *registered) schema(id int) (*compiled, error) {
	if c, ok := r.compiled[id]; ok {
		return c, nil
	}
	if r.schemas == nil {
		return nil, decodeError("the payload is in the wire format of a schema registry: set spec.schemaRegistry of the EventBroker, or correct the EventTopic's format")
	}
	s, err := r.schemas.Schema(id)
	if err != nil {
		return nil, err
	}
	if len(r.compiled) >= maxCompiled {
		clear(r.compiled)
	}
	c := compile(id, s)
	r.compiled[id] = c
	return c, nil
}

func compile(id int, s Schema) *compiled {
	c := &compiled{typ: s.Type}
	var err error
	switch s.Type {
	case SchemaAvro:
		texts := make([]string, len(s.References))
		for i, r := range s.References {
			texts[i] = r.Text
		}
		c.avro, err = avro.Compile(s.Text, texts...)
	case SchemaProtobuf:
		imports := make([]protobuf.Reference, len(s.References))
		for i, r := range s.References {
			imports[i] = protobuf.Reference{Path: r.Name, Text: r.Text}
		}
		c.protobuf, err = protobuf.Compile(s.Text, imports...)
	case SchemaJSON:
	default:
		err = errors.New("its type is none of AVRO, PROTOBUF and JSON")
	}
	if err != nil {
		c.err = &UnavailableError{
			Reason: ReasonSchemaUnusable, Err: err,
			Message: fmt.Sprintf("schema id %d cannot be used, so its events wait: %.500v", id, err),
		}
	}
	return c
}

// ofType reads payloads whose schemas are all of one type.
type ofType struct {
	*registered
	typ string
}

func (o *ofType) decode(rec *event.Record, doc *Doc) error {
	if rec.Value == nil {
		doc.Tombstone = true
		return nil
	}
	return o.into(rec.Value, rec.Headers, o.typ, doc)
}

// jsonSchema reads JSON behind the id of a JSON Schema. The schema itself is
// not asked for: it is not needed to read the payload, and whether producers
// follow it is theirs and the registry's to see to.
type jsonSchema struct{ json JSON }

func (j *jsonSchema) decode(rec *event.Record, doc *Doc) error {
	if rec.Value == nil {
		doc.Tombstone = true
		return nil
	}
	_, rest, err := schemaID(rec.Value, rec.Headers)
	if err != nil {
		return err
	}
	return j.json.into(rest, doc)
}

// documents reads payloads that are JSON, or in the wire format of the registry
// with a schema of any type: no JSON text begins with the byte 0.
type documents struct {
	*registered
	json JSON
}

func (d *documents) into(b []byte, headers []event.Header, doc *Doc) error {
	if len(b) > 0 && b[0] == 0 {
		return d.registered.into(b, headers, "", doc)
	}
	return d.json.into(b, doc)
}
