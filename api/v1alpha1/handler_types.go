// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// OnAbsent says whether a handler may create a row.
// +kubebuilder:validation:Enum=Create;Ignore
type OnAbsent string

// What a handler does when the row is not there.
const (
	OnAbsentCreate OnAbsent = "Create"
	OnAbsentIgnore OnAbsent = "Ignore"
)

// Handler turns an event into changes of rows: of one row, of one row per element (forEach), or of all rows that match
// (where). Its expressions are CEL over event (the payload), key (the message key), headers, meta (topic, partition,
// position, time, type, id), row (the row as it is, or the defaults where there is none), and item and index with forEach.
// +kubebuilder:validation:XValidation:rule="(has(self.delete) && self.delete) != (has(self.set) || has(self.setOnce) || has(self.unset) || has(self.add) || has(self.min) || has(self.max) || has(self.append) || has(self.merge))",message="give at least one of set, setOnce, unset, add, min, max, append and merge, or delete: true alone"
// +kubebuilder:validation:XValidation:rule="has(self.key) != has(self.where)",message="give key (the row to change) or where (all rows that match), not both"
// +kubebuilder:validation:XValidation:rule="[has(self.events), has(self.default) && self.default, has(self.tombstone) && self.tombstone].filter(x, x).size() <= 1",message="give one of events, default and tombstone"
type Handler struct {
	// name names the handler in messages; it is unique in the model. Example: line-added.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-_A-Za-z0-9]*[A-Za-z0-9])?$`
	// +required
	Name string `json:"name,omitempty"`

	// topic is the EventTopic whose events it takes; required where the projection has more than one. Default: the
	// projection's one topic. Example: orders.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Topic string `json:"topic,omitempty"`

	// events are the event types that it takes; the EventTopic says where a type is found. A * stands for any text.
	// Default: every event of the topic. Example: [OrderPlaced, "Order*"].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	Events []string `json:"events,omitempty"`

	// default takes the events whose type no other handler of this model and topic names. Default: false.
	// +optional
	Default *bool `json:"default,omitempty"`

	// tombstone takes the records without a value, by which a message key is deleted; there is no event then, only key,
	// headers and meta. Default: false.
	// +optional
	Tombstone *bool `json:"tombstone,omitempty"`

	// forEach makes one change per element of a list or object, as a CEL expression; item is the element (of an object:
	// item.key and item.value) and index its number from 0. Default: one change. Example: event.lines.
	// +optional
	ForEach Expression `json:"forEach,omitempty"`

	// when is a condition, as a CEL expression that yields a bool; an event (with forEach: an element) for which it is false
	// is ignored by this handler. Default: true. Example: event.quantity > 0.
	// +optional
	When Expression `json:"when,omitempty"`

	// onAbsent says what happens when the row is not there: Create makes it, with the defaults of the columns that are not
	// written; Ignore does nothing, so that an event that comes after a delete makes no ghost. Default: Create.
	// +kubebuilder:default="Create"
	// +optional
	OnAbsent OnAbsent `json:"onAbsent,omitempty"`

	// key gives each key column's value, as a CEL expression by column name. Example: {order_id: event.orderId}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +optional
	Key map[string]Expression `json:"key,omitempty"`

	// where changes all rows whose columns have these values, instead of the one of key; each is a CEL expression by column
	// name. An index should begin with these columns. Example: {warehouse: event.warehouse}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +optional
	Where map[string]Expression `json:"where,omitempty"`

	// versionBy makes the handler one of a version group (models[].versions): it takes effect only if its version is not
	// below that of the row; the version column's name and a CEL expression. Default: none.
	// Example: {price_version: event.version}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=1
	// +optional
	VersionBy map[string]Expression `json:"versionBy,omitempty"`

	// set replaces columns, each by a CEL expression; null is NULL. Default: none. Example: {status: "'placed'"}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=128
	// +optional
	Set map[string]Expression `json:"set,omitempty"`

	// setOnce sets columns that are NULL and leaves others alone; null does nothing. Default: none.
	// Example: {first_seen: meta.time}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=128
	// +optional
	SetOnce map[string]Expression `json:"setOnce,omitempty"`

	// unset makes columns NULL. Default: none. Example: [cancelled_at].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	// +optional
	Unset []string `json:"unset,omitempty"`

	// add adds a number to columns of type int32, int64 or decimal. Default: none.
	// Example: {total: event.price * event.quantity, lines: "1"}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=128
	// +optional
	Add map[string]Expression `json:"add,omitempty"`

	// min keeps the lesser of a column's value and a new one; a NULL on either side counts as not there. Default: none.
	// Example: {first_seen: meta.time}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=128
	// +optional
	Min map[string]Expression `json:"min,omitempty"`

	// max keeps the greater of a column's value and a new one; NULL is less than everything. Default: none.
	// Example: {last_seen: meta.time}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=128
	// +optional
	Max map[string]Expression `json:"max,omitempty"`

	// append appends one element to columns of a list type. Default: none. Example: {states: event.state}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=128
	// +optional
	Append map[string]Expression `json:"append,omitempty"`

	// merge puts the members of an object into json columns, one level deep: a member that is null is removed, and what is
	// not an object counts as an empty one. Default: none. Example: {attributes: event.changes}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=128
	// +optional
	Merge map[string]Expression `json:"merge,omitempty"`

	// delete removes the row; the handler then changes no column. Default: false.
	// +optional
	Delete *bool `json:"delete,omitempty"`
}
