// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package ptest

import "encoding/json"

// ProjectionTest is a file of tests of one Projection. It runs on the command line and is never applied to a cluster.
type ProjectionTest struct {
	// apiVersion is cqrs.projectionist.dev/v1alpha1.
	// +required
	APIVersion string `json:"apiVersion"`

	// kind is ProjectionTest.
	// +required
	Kind string `json:"kind"`

	// metadata names the test.
	// +required
	Metadata Metadata `json:"metadata"`

	// spec is what is tested.
	// +required
	Spec Spec `json:"spec"`
}

// Metadata names a test.
type Metadata struct {
	// name names the test in reports. Example: stock-levels.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`

	// namespace is that of the Projection, where manifests hold several of its name. Default: any.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// Spec is what is tested.
type Spec struct {
	// projection is the name of the Projection, whose manifest stands in the same directory, below it or above it.
	// Example: stock-levels.
	// +kubebuilder:validation:MinLength=1
	// +required
	Projection string `json:"projection"`

	// defaults are what events have that do not say otherwise.
	// +optional
	Defaults Defaults `json:"defaults,omitzero"`

	// cases run one by one, each from nothing.
	// +kubebuilder:validation:MinItems=1
	// +listType=map
	// +listMapKey=name
	// +required
	Cases []Case `json:"cases"`
}

// Defaults are what events have that do not say otherwise.
type Defaults struct {
	// topic is the EventTopic of events. Default: the projection's one topic.
	// +optional
	Topic string `json:"topic,omitempty"`

	// time is the time of events, RFC 3339. Default: 2026-01-01T00:00:00Z.
	// +optional
	Time string `json:"time,omitempty"`
}

// Case is one test: given these events, then this.
type Case struct {
	// name says what is true, as a sentence; it is unique in the file. Example: returns go back on the shelf.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name string `json:"name"`

	// given are the events, in the order in which they arrive.
	// +required
	Given []Event `json:"given"`

	// then is what must be true after the events.
	// +required
	Then Then `json:"then,omitzero"`

	// Line is where the case stands in its file, counted from 1.
	Line int `json:"-"`
}

// Event is one event, or a file of events. It has one of value, text, base64, tombstone and file.
type Event struct {
	// topic is the EventTopic. Default: defaults.topic, else the projection's one topic.
	// +optional
	Topic string `json:"topic,omitempty"`

	// partition is the partition of the topic. Default: 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9999
	// +optional
	Partition *int32 `json:"partition,omitempty"`

	// key is the message key as text; null is a null key. Default: what keyedBy of the topic gives for the value.
	// +optional
	Key Key `json:"key,omitzero"`

	// headers are the headers of the record. Example: {source: web}.
	// +optional
	Headers map[string]string `json:"headers,omitempty"`

	// time is the time of the record, RFC 3339. Default: defaults.time.
	// +optional
	Time string `json:"time,omitempty"`

	// value is the payload, as YAML or JSON. Example: {type: Sold, sku: A-7, quantity: 2}.
	// +optional
	Value json.RawMessage `json:"value,omitempty"`

	// text is the payload as it is, for what YAML cannot say. Example: '{"type": '.
	// +optional
	Text *string `json:"text,omitempty"`

	// base64 is the payload as bytes.
	// +optional
	Base64 *string `json:"base64,omitempty"`

	// tombstone is true for a record without a value.
	// +optional
	Tombstone bool `json:"tombstone,omitempty"`

	// file is a file of events, one JSON object per line; its path begins at the directory of the test. With topic, its
	// lines are payloads alone. Example: events.ndjson.
	// +optional
	File string `json:"file,omitempty"`

	// Line is where the event stands in its file, counted from 1.
	Line int `json:"-"`
}

// Key is a message key.
type Key struct {
	// Given is false where the key is to be made by keyedBy.
	Given bool
	// Text is nil for a null key.
	Text *string
}

// UnmarshalJSON takes text, null, and what YAML makes of text that looks like a number or a bool.
func (k *Key) UnmarshalJSON(data []byte) error {
	*k = Key{Given: true}
	if string(data) == "null" {
		return nil
	}
	var s string
	if data[0] == '"' {
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
	} else if s = string(data); data[0] == '{' || data[0] == '[' {
		return &json.UnmarshalTypeError{Value: "object or list", Type: stringType}
	}
	k.Text = &s
	return nil
}

// Then is what must be true after the events. A model that is not named is not compared; an event that stops and is not
// listed fails the case.
type Then struct {
	// rows are whole tables, by model: rows in any order, each with its whole key. A column that is left out is not
	// compared. Example: {stock_level: [{sku: A-7, on_hand: 10}]}.
	// +optional
	Rows map[string][]Row `json:"rows,omitempty"`

	// contains are rows, by model, that have to be there among others.
	// +optional
	Contains map[string][]Row `json:"contains,omitempty"`

	// absent are keys of rows, by model, that must not be there. Example: {stock_level: [{sku: C-9}]}.
	// +optional
	Absent map[string][]Row `json:"absent,omitempty"`

	// rowFiles are whole tables in CSV or JSON files, by model; paths begin at the directory of the test.
	// Example: {stock_level: stock_level.csv}.
	// +optional
	RowFiles map[string]string `json:"rowFiles,omitempty"`

	// stopped are the events that stop their partition, where the projection does as it should. Default: none may.
	// +optional
	Stopped []Stop `json:"stopped,omitempty"`
}

// Empty tells whether nothing is expected.
func (t *Then) Empty() bool {
	return t.Rows == nil && t.Contains == nil && t.Absent == nil && t.RowFiles == nil && t.Stopped == nil
}

// Stop is an event that stops its partition.
type Stop struct {
	// event is the number of the event in given, from 1; the events of a file count each.
	// +kubebuilder:validation:Minimum=1
	// +required
	Event int `json:"event"`

	// reason is that of the partition's stop. Default: any. Example: HandlerError.
	// +optional
	Reason string `json:"reason,omitempty"`

	// path is the field path of what the event fails at. Default: any.
	// Example: models[stock_level].handlers[received].add.on_hand.
	// +optional
	Path string `json:"path,omitempty"`
}

// Row is a row, or a key of one: values by the names of columns.
type Row map[string]Value

// Value is the value of a column as it is written: null, text, or for lists and json columns YAML.
type Value struct {
	// Null is true for NULL.
	Null bool
	// Text is a scalar as it stands in the file, or the JSON of a list or object.
	Text string
	// JSON is the value as JSON, which json columns and lists take.
	JSON string
}

// UnmarshalJSON takes any JSON value.
func (v *Value) UnmarshalJSON(data []byte) error {
	*v = Value{Text: string(data), JSON: string(data)}
	switch data[0] {
	case 'n':
		v.Null = true
	case '"':
		return json.Unmarshal(data, &v.Text)
	}
	return nil
}
