// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Model is one table and the handlers that write its rows. Query code selects from a view of the model's name.
type Model struct {
	// name is the name of the view that query code selects from, and the beginning of the table's name. It is quoted, so
	// upper case and reserved words are fine. Example: order_summary.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=51
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	// +required
	Name string `json:"name,omitempty"`

	// key are the columns that identify a row, in the order of the primary key. Example: [order_id].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=atomic
	// +required
	Key []string `json:"key,omitempty"`

	// columns are the columns of the table, in the order in which readers see them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +listType=map
	// +listMapKey=name
	// +required
	Columns []Column `json:"columns,omitempty"`

	// indexes are secondary indexes. Default: none but the primary key. Example: [{columns: [customer_id]}].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	// +optional
	Indexes []Index `json:"indexes,omitempty"`

	// handlers say how events change rows. All handlers whose events and when match an event take effect, in this order.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=name
	// +required
	Handlers []Handler `json:"handlers,omitempty"`
}

// Column is one column of a model.
type Column struct {
	// name is the column's name. It is quoted, so upper case and reserved words are fine. Example: order_id.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	// +required
	Name string `json:"name,omitempty"`

	// type is the column's type: text, bool, int32, int64, float64, decimal(p,s), timestamp, date, uuid, json, bytes, or one
	// of these but json and bytes with [] for a list. Example: "decimal(12,2)".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Type string `json:"type,omitempty"`

	// default is what a new row has in this column until a handler writes it, as text. Default: NULL. Example: "0".
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Default *string `json:"default,omitempty"`
}

// Index is a secondary index.
type Index struct {
	// columns are the columns of the index, in order. Example: [customer_id, placed_at].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=atomic
	// +required
	Columns []string `json:"columns,omitempty"`
}

// OnAbsent says whether a handler may create a row.
// +kubebuilder:validation:Enum=Create;Ignore
type OnAbsent string

// What a handler does when the row is not there.
const (
	OnAbsentCreate OnAbsent = "Create"
	OnAbsentIgnore OnAbsent = "Ignore"
)

// Handler turns an event into one change of one row. Its expressions are CEL over event (the payload), key (the message
// key), headers, and meta (topic, partition, position, time, type, id).
// +kubebuilder:validation:XValidation:rule="(has(self.delete) && self.delete) != (has(self.set) || has(self.add) || has(self.max) || has(self.append))",message="give at least one of set, add, max and append, or delete: true alone"
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

	// events are the event types that it takes; the EventTopic's event.type says where a type is found. Default: every
	// event of the topic. Example: [OrderPlaced, OrderImported].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	Events []string `json:"events,omitempty"`

	// when is a condition, as a CEL expression that yields a bool; an event for which it is false is ignored by this
	// handler. Default: true. Example: event.quantity > 0.
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
	// +required
	Key map[string]Expression `json:"key,omitempty"`

	// set replaces columns, each by a CEL expression; null is NULL. Default: none. Example: {status: "'placed'"}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=128
	// +optional
	Set map[string]Expression `json:"set,omitempty"`

	// add adds a number to columns of type int32, int64 or decimal. Default: none.
	// Example: {total: event.price * event.quantity, lines: "1"}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=128
	// +optional
	Add map[string]Expression `json:"add,omitempty"`

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

	// delete removes the row; the handler then has no set, add, max and append. Default: false.
	// +optional
	Delete *bool `json:"delete,omitempty"`
}
