// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"fmt"
	"time"

	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/jsondoc"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// Doc is a decoded record, valid until the next Decode and as long as the record's bytes.
type Doc struct {
	// Value is what expressions read as event; nil where Members has it.
	Value *fastjson.Value
	// Members holds the payload where it is JSON and the decoder looks for members
	// (NewOf): they are at hand, and the tree of all of it when something asks for it.
	Members *jsondoc.Doc
	// Escaped is true when a string in Value may have been written with a backslash.
	Escaped bool
	// Tombstone is true for a record that deletes its message key; Value and Members are nil then.
	Tombstone bool
	// Key is what expressions read as key; nil for a null key. It is in UTF-8
	// unless the key's format is Text: then it is the record's own bytes.
	Key []byte
	// Headers are what expressions read as headers: the record's, and then the
	// attributes of a structured CloudEvent as ce_*. Of several of one name the
	// last counts.
	Headers []event.Header
	// Type, ID and Time are what the format itself says of the event, for topics
	// that declare nothing else; empty and zero where it says nothing.
	Type, ID string
	Time     time.Time
}

// Decoder turns the records of one topic into what expressions read. It belongs
// to one goroutine.
type Decoder interface {
	// Decode reads a record. Its errors are *DecodeError, which the event is to
	// blame for, and *UnavailableError, after which the same record can be tried
	// again.
	Decode(rec *event.Record) (Doc, error)
}

// DecodeError says why a record cannot be read, and never holds a part of it (Law 7).
type DecodeError struct{ Message string }

func (e *DecodeError) Error() string { return e.Message }

func decodeError(format string, args ...any) error {
	return &DecodeError{fmt.Sprintf(format, args...)}
}

// Reasons of an UnavailableError, as conditions show them.
const (
	// ReasonRegistryUnreachable says that no address of the schema registry answers as one.
	ReasonRegistryUnreachable = "SchemaRegistryUnreachable"
	// ReasonRegistryUnauthorized says that the registry refuses the credentials, or that they are not there.
	ReasonRegistryUnauthorized = "SchemaRegistryUnauthorized"
	// ReasonSchemaPending says that the registry has been asked and has not answered yet.
	ReasonSchemaPending = "SchemaPending"
	// ReasonSchemaMissing says that the registry has no schema of the id.
	ReasonSchemaMissing = "SchemaMissing"
	// ReasonSchemaUnusable says that the registry has the schema, and that this release cannot read with it.
	ReasonSchemaUnusable = "SchemaUnusable"
)

// UnavailableError says that something needed to read the record cannot be had
// now. It makes a wait (Law 5).
type UnavailableError struct {
	// Reason is one of the Reasons above.
	Reason string
	// Message says what to do; it carries no payload and no secret.
	Message string
	Err     error
}

func (e *UnavailableError) Error() string { return e.Reason + ": " + e.Message }

func (e *UnavailableError) Unwrap() error { return e.Err }

// Schemas finds the schemas that payloads name. It is safe for concurrent use
// and remembers what it found, so that an outage does not stop known schemas.
type Schemas interface {
	// Schema gives the schema of an id of the registry. It fails with
	// *UnavailableError, and does so within a moment: it is called by goroutines
	// that have other partitions to read, and looks on in the background.
	Schema(id int) (Schema, error)
}

// The types of schemas.
const (
	SchemaAvro     = "AVRO"
	SchemaProtobuf = "PROTOBUF"
	SchemaJSON     = "JSON"
)

// Schema is one schema of a registry. It never changes.
type Schema struct {
	// Type is one of the types above.
	Type string
	Text string
	// References are the schemas that this one imports, directly or not, each after those that it imports itself.
	References []Reference
}

// Reference is a schema that another one imports.
type Reference struct {
	// Name is what the importing schema calls it: a full name in Avro, a path in Protobuf.
	Name string
	Text string
}

// New makes a decoder for a topic. Schemas may be nil where the EventBroker has
// no schema registry: Avro and Protobuf are refused then.
func New(t *contract.Topic, schemas Schemas) (Decoder, error) { return NewOf(t, schemas, nil) }

// NewOf is New for a reader of some members of the payload: where the format
// allows it, these are found without making a tree of the rest.
func NewOf(t *contract.Topic, schemas Schemas, members *jsondoc.Paths) (Decoder, error) {
	key, err := newKeys(t, schemas)
	if err != nil {
		return nil, err
	}
	if (t.Format == "Avro" || t.Format == "Protobuf") && schemas == nil {
		return nil, fmt.Errorf("topics[%s].format: %s needs a schema registry: set spec.schemaRegistry of the EventBroker", t.Name, t.Format)
	}
	registered := newRegistered(schemas)
	var values values
	switch t.Format {
	case "", "JSON":
		values = &plain{JSON{members: members}}
	case "JSONSchema":
		values = &jsonSchema{JSON{members: members}}
	case "Avro":
		values = &ofType{registered, SchemaAvro}
	case "Protobuf":
		values = &ofType{registered, SchemaProtobuf}
	case "CloudEvents":
		values = &cloudEvents{documents: documents{registered: registered}}
	case "Debezium":
		values = &debezium{documents{registered: registered}}
	case "DebeziumOutbox":
		values = &outbox{documents: documents{registered: registered}}
	case "Text":
		values = &text{}
	case "Bytes":
		values = &raw{}
	default:
		return nil, fmt.Errorf("topics[%s].format: unknown format %q: use JSON, CloudEvents, Debezium, DebeziumOutbox, Avro, Protobuf, JSONSchema, Text or Bytes", t.Name, t.Format)
	}
	return &decoder{keys: key, values: values}, nil
}

// values reads all of a record but its key into doc, whose Headers are the record's.
type values interface {
	decode(rec *event.Record, doc *Doc) error
}

type decoder struct {
	keys   keys
	values values
	// doc is the last one: it is passed to an interface, and would be allocated for each record.
	doc Doc
}

func (d *decoder) Decode(rec *event.Record) (Doc, error) {
	d.doc = Doc{Headers: rec.Headers}
	var err error
	if d.doc.Key, err = d.keys.decode(rec); err != nil {
		return Doc{}, err
	}
	if err := d.values.decode(rec, &d.doc); err != nil {
		return Doc{}, err
	}
	return d.doc, nil
}
