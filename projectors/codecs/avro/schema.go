// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package avro

import (
	"fmt"
	"strings"

	"github.com/twmb/avro"

	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
)

// Schema is a compiled writer's schema. It is safe for concurrent use.
type Schema struct{ root *node }

// kind is how a value is encoded, and what becomes of it.
type kind uint8

const (
	null kind = iota + 1
	boolean
	integer // int and long are encoded alike
	float
	double
	bytes
	text
	record
	enum
	array
	object // a map
	union
	fixed
	decimal      // of bytes
	decimalFixed // of a fixed
	uuidFixed
	duration
	date
	timeOfDay
	timestamp
	localTimestamp
)

// node is one type of a schema. Named types are shared, and may contain themselves.
type node struct {
	kind kind
	// bits is 32 for an int, else 64.
	bits int
	// fields are those of a record.
	fields []field
	// items is of an array or a map.
	items *node
	// branches are those of a union.
	branches []*node
	symbols  []string
	// size is that of a fixed.
	size  int
	scale int
	// perSecond is the unit of times: how many make a second.
	perSecond int64
}

type field struct {
	name string
	typ  *node
}

// Compile compiles a schema and the schemas that it refers to, each after those
// that it refers to itself. Its errors speak of the schema, and are no secret.
func Compile(schema string, references ...string) (*Schema, error) {
	var cache avro.SchemaCache
	// What a producer could encode is read: names are not judged.
	lax := avro.WithLaxNames(nil)
	c := compiler{named: map[string]*node{}}
	for i, text := range append(references, schema) {
		s, err := cache.Parse(text, lax)
		if err != nil {
			return nil, err
		}
		n, err := c.node(s.Root(), 0)
		if err != nil {
			return nil, err
		}
		if i == len(references) {
			return &Schema{n}, nil
		}
	}
	return nil, nil // not reached: schema is the last
}

type compiler struct{ named map[string]*node }

// maxSchemaDepth bounds the nesting of a schema's text.
const maxSchemaDepth = 200

func (c *compiler) node(s *avro.SchemaNode, depth int) (*node, error) {
	if depth > maxSchemaDepth {
		return nil, fmt.Errorf("the schema is nested deeper than %d levels", maxSchemaDepth)
	}
	n := &node{}
	if k, ok := primitives[s.Type]; ok {
		n.kind, n.bits = k, 64
		if s.Type == "int" {
			n.bits = 32
		}
		return n, n.logical(s)
	}
	if s.Name != "" {
		c.named[fullName(s)] = n
	}
	var err error
	switch s.Type {
	case "record", "error":
		n.kind = record
		for i := range s.Fields {
			f := field{name: s.Fields[i].Name}
			if f.typ, err = c.node(&s.Fields[i].Type, depth+1); err != nil {
				return nil, err
			}
			n.fields = append(n.fields, f)
		}
	case "enum":
		n.kind, n.symbols = enum, s.Symbols
	case "fixed":
		n.kind, n.size = fixed, s.Size
		return n, n.logical(s)
	case "array":
		n.kind = array
		n.items, err = c.node(s.Items, depth+1)
	case "map":
		n.kind = object
		n.items, err = c.node(s.Values, depth+1)
	case "union":
		n.kind = union
		for i := range s.Branches {
			b, err := c.node(&s.Branches[i], depth+1)
			if err != nil {
				return nil, err
			}
			n.branches = append(n.branches, b)
		}
	default:
		named, ok := c.named[s.Type]
		if !ok {
			return nil, fmt.Errorf("the schema refers to the type %s, which neither it nor its references define", s.Type)
		}
		return named, nil
	}
	return n, err
}

func fullName(s *avro.SchemaNode) string {
	if s.Namespace == "" || strings.Contains(s.Name, ".") {
		return s.Name
	}
	return s.Namespace + "." + s.Name
}

var primitives = map[string]kind{
	"null": null, "boolean": boolean, "int": integer, "long": integer, "float": float, "double": double, "bytes": bytes, "string": text,
}

// logical applies a logical type. One that does not fit its type is ignored, as
// the specification asks for.
func (n *node) logical(s *avro.SchemaNode) error {
	number := func(bits int) bool { return n.kind == integer && n.bits == bits }
	switch l := s.LogicalType; {
	case l == "decimal" && (n.kind == bytes || n.kind == fixed):
		if s.Scale < 0 || s.Scale > jsontext.MaxScale {
			return fmt.Errorf("a decimal has the scale %d, and 0 to %d can be read", s.Scale, jsontext.MaxScale)
		}
		n.scale = s.Scale
		if n.kind == bytes {
			n.kind = decimal
		} else {
			n.kind = decimalFixed
		}
	case l == "uuid" && n.kind == fixed && n.size == 16:
		n.kind = uuidFixed
	case l == "duration" && n.kind == fixed && n.size == 12:
		n.kind = duration
	case l == "date" && number(32):
		n.kind = date
	case l == "time-millis" && number(32):
		n.kind, n.perSecond = timeOfDay, 1e3
	case l == "time-micros" && number(64):
		n.kind, n.perSecond = timeOfDay, 1e6
	case number(64) && units[strings.TrimPrefix(l, "local-")] != 0:
		n.kind, n.perSecond = timestamp, units[strings.TrimPrefix(l, "local-")]
		if strings.HasPrefix(l, "local-") {
			n.kind = localTimestamp
		}
	}
	return nil
}

var units = map[string]int64{"timestamp-millis": 1e3, "timestamp-micros": 1e6, "timestamp-nanos": 1e9}
