// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package scaffold

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// Read recognises what an input is and takes from it what is known of the events of one topic. Of an AsyncAPI document
// with several channels, channel says which.
func Read(data []byte, channel string) (*Source, error) {
	values, err := decodeStream(data)
	if err != nil {
		doc, yamlErr := decodeYAML(data)
		if yamlErr != nil {
			return nil, fmt.Errorf("it is neither JSON, NDJSON nor YAML: %w", err)
		}
		values = []any{doc}
	}
	if len(values) == 1 {
		doc, ok := values[0].(map[string]any)
		switch {
		case ok && doc["asyncapi"] != nil:
			return fromAsyncAPI(doc, channel)
		case ok && isSchema(doc):
			return fromJSONSchema(doc)
		}
		if list, ok := values[0].([]any); ok {
			values = list // a JSON list of events
		}
	}
	return fromEvents(values)
}

// decodeStream reads JSON documents one after the other, with numbers as they are written.
func decodeStream(data []byte) ([]any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var out []any
	for {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(out)+1, err)
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		return nil, errors.New("it is empty")
	}
	return out, nil
}

func decodeYAML(data []byte) (any, error) {
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, err
	}
	values, err := decodeStream(asJSON)
	if err != nil {
		return nil, err
	}
	if _, ok := values[0].(map[string]any); !ok {
		return nil, errors.New("it holds no object")
	}
	return values[0], nil
}

// isSchema tells a JSON Schema from an event: it speaks of the types of members.
func isSchema(doc map[string]any) bool {
	if s, ok := doc["$schema"].(string); ok && strings.Contains(s, "json-schema.org") {
		return true
	}
	_, hasProperties := doc["properties"].(map[string]any)
	for _, key := range []string{"oneOf", "anyOf", "allOf"} {
		if _, ok := doc[key].([]any); ok {
			hasProperties = true
		}
	}
	typ, _ := doc["type"].(string)
	return hasProperties && (typ == "object" || doc["type"] == nil)
}
