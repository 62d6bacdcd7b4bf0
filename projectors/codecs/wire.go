// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"encoding/binary"

	"github.com/projectionist-dev/projectionist/projectors/event"
)

// Confluent's wire format: the byte 0, the schema's id in four bytes, big-endian,
// in Protobuf the message index, and then the value.
const prefixBytes = 5

// idHeader is where Confluent's newer serialisers can put the schema's GUID instead.
const idHeader = "__value_schema_id"

// schemaID splits a payload in the wire format.
func schemaID(b []byte, headers []event.Header) (id int, rest []byte, err error) {
	switch {
	case len(b) >= prefixBytes && b[0] == 0:
		id = int(binary.BigEndian.Uint32(b[1:]))
		if id == 0 {
			return 0, nil, decodeError("the payload names the schema id 0, which no registry gives: its producer writes ids of eight bytes, " +
				"as Apicurio's serialisers before 3.0 do; let it write Confluent's four bytes")
		}
		return id, b[prefixBytes:], nil
	case hasHeader(headers, idHeader):
		return 0, nil, decodeError("the schema's id is in the header %s, which this release does not read: "+
			"let the producer write it before the payload (value.schema.id.serializer: PrefixSchemaIdSerializer)", idHeader)
	case len(b) == 0:
		return 0, nil, decodeError("the payload is empty")
	case b[0] == '{' || b[0] == '[':
		return 0, nil, decodeError("the payload has no schema id before it and looks like JSON: set the EventTopic's format to JSON, or correct the producer")
	}
	return 0, nil, decodeError("the payload does not begin with the byte 0 and a schema id of four bytes (Confluent's wire format): " +
		"correct the EventTopic's format, or let the producer use a serialiser of the schema registry")
}

func hasHeader(headers []event.Header, name string) bool {
	for i := range headers {
		if headers[i].Key == name {
			return true
		}
	}
	return false
}

// maxIndex bounds how deeply a message may be nested in others.
const maxIndex = 32

// messageIndex splits off which message of a Protobuf schema comes: a count and
// as many zigzag numbers, where the count 0 stands for the first message.
func messageIndex(b []byte) (index []int, rest []byte, err error) {
	count, n := binary.Varint(b)
	if n <= 0 || count < 0 || count > maxIndex {
		return nil, nil, errMessageIndex
	}
	b = b[n:]
	if count == 0 {
		return firstMessage, b, nil
	}
	index = make([]int, count)
	for i := range index {
		v, n := binary.Varint(b)
		if n <= 0 || v < 0 || v > 1<<31-1 {
			return nil, nil, errMessageIndex
		}
		index[i], b = int(v), b[n:]
	}
	return index, b, nil
}

var (
	firstMessage    = []int{0}
	errMessageIndex = decodeError("the message index between schema id and payload cannot be read: the payload is not in Confluent's wire format of Protobuf")
)
