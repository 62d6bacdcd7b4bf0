// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"context"
	"fmt"
	"time"

	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// Doc is a decoded record, valid until the next Decode. It does not alias the
// record's bytes.
type Doc struct {
	// Value is what expressions read as event.
	Value *fastjson.Value
	// Escaped is true when a string in Value may have been written with a backslash.
	Escaped bool
	// Tombstone is true for a record that deletes its message key; Value is nil then.
	Tombstone bool
	// Key is what expressions read as key, in UTF-8; nil for a null key.
	Key []byte
	// Type, ID and Time are what the format itself says of the event, for topics
	// that declare nothing else; empty and zero where it says nothing.
	Type, ID string
	Time     time.Time
}

// Decoder turns the records of one topic into what expressions read. It belongs
// to one goroutine.
type Decoder interface {
	// Decode reads a record. Its errors are *DecodeError, which the event is to
	// blame for, and *UnavailableError, after which it can be tried again.
	Decode(rec *event.Record) (Doc, error)
}

// UnavailableError says that something needed to read the record cannot be
// reached now. It makes a wait (Law 5).
type UnavailableError struct {
	// Reason is CamelCase: SchemaRegistryUnreachable, SchemaMissing.
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
	// Schema gives the schema of an id of the registry. It fails with *UnavailableError.
	Schema(ctx context.Context, id int) (Schema, error)
}

// Schema is one schema of a registry.
type Schema struct {
	// Type is AVRO, PROTOBUF or JSON.
	Type string
	Text string
	// References are the texts of the schemas that this one imports, by the name under which it does.
	References map[string]string
}

// New makes a decoder for a topic. Schemas may be nil for formats that need none.
func New(t *contract.Topic, schemas Schemas) (Decoder, error) {
	switch t.Format {
	case "", "JSON":
		return &plain{}, nil
	}
	return nil, fmt.Errorf("topics[%s].format: unknown format %q", t.Name, t.Format)
}

// plain reads JSON payloads and text keys.
type plain struct{ json JSON }

func (p *plain) Decode(rec *event.Record) (Doc, error) {
	if rec.Value == nil {
		return Doc{Tombstone: true, Key: rec.Key}, nil
	}
	doc, err := p.json.Decode(rec.Value)
	doc.Key = rec.Key
	return doc, err
}
