// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package keyreplay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
)

// MaxKeys bounds the keys of one replay (Law 10): their rows are in memory, and are written while the projector waits.
const MaxKeys = 10_000

// Key is a row's.
type Key struct {
	// Model is an index into the contract's models.
	Model int
	// Values are those of the key columns, in their order.
	Values []value.Value
}

// ParseKey reads a key of a model from its text: a JSON array of the key columns' values in their order, or, where the
// key is one column, that value's text as it is. A text that begins with [ is an array. Its errors carry no value.
func ParseKey(m *fold.Model, text string) ([]value.Value, error) {
	texts := []string{text}
	if strings.HasPrefix(text, "[") {
		var err error
		if texts, err = elements(text); err != nil {
			return nil, err
		}
	} else if len(m.Key) > 1 {
		return nil, fmt.Errorf("the key of model %s has the columns %s: write a JSON array of their values, in this order", m.Name, strings.Join(names(m), ", "))
	}
	if len(texts) != len(m.Key) {
		return nil, fmt.Errorf("an array of %d, and the key of model %s has the columns %s: give one value for each", len(texts), m.Name, strings.Join(names(m), ", "))
	}
	out := make([]value.Value, len(m.Key))
	for i, c := range m.Key {
		var err error
		if out[i], err = m.Columns[c].Type.ParseText(texts[i]); err != nil {
			return nil, fmt.Errorf("the value of key column %s is %w", m.Columns[c].Name, err)
		}
	}
	return out, nil
}

// elements gives the texts of an array of strings, numbers and booleans.
func elements(text string) ([]string, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var list []any
	err := d.Decode(&list)
	if _, more := d.Token(); err != nil || !errors.Is(more, io.EOF) {
		return nil, errors.New("it begins with [ and is no JSON array; a text that begins so is written in an array of one")
	}
	out := make([]string, len(list))
	for i, e := range list {
		switch x := e.(type) {
		case string:
			out[i] = x
		case json.Number:
			out[i] = x.String()
		case bool:
			out[i] = strconv.FormatBool(x)
		default:
			return nil, fmt.Errorf("element %d of the array is no string, number or boolean", i+1)
		}
	}
	return out, nil
}

func names(m *fold.Model) []string {
	out := make([]string, len(m.Key))
	for i, c := range m.Key {
		out[i] = m.Columns[c].Name
	}
	return out
}

// ParseKeys reads keys of one model, each once, however often it is there. Its errors name the key by its number, from 1.
func ParseKeys(models []fold.Model, model string, texts []string) ([]Key, error) {
	m := slices.IndexFunc(models, func(m fold.Model) bool { return m.Name == model })
	if m < 0 {
		return nil, fmt.Errorf("there is no model %q in the projection", model)
	}
	var out []Key
	seen := map[string]bool{}
	for i, text := range texts {
		key, err := ParseKey(&models[m], text)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if k := naive.Key(key); !seen[k] {
			seen[k] = true
			out = append(out, Key{m, key})
		}
	}
	return out, nil
}

// Lines gives the texts of keys in a file: one a line, empty lines left out.
func Lines(data []byte) []string {
	var out []string
	for line := range bytes.Lines(data) {
		if text := string(bytes.TrimRight(line, "\r\n")); text != "" {
			out = append(out, text)
		}
	}
	return out
}
