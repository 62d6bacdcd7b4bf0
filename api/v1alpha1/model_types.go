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

	// comment is what the database keeps beside the view and the table, for people who look at them. Default: none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Comment string `json:"comment,omitempty"`

	// order says what rows may depend on. Log: on the events alone, so that a rebuild gives the same rows; a spec whose rows
	// would depend on how partitions interleave is refused. Arrival: also on which event arrived first; verification leaves
	// the columns concerned out. Default: Log.
	// +kubebuilder:default="Log"
	// +optional
	Order ModelOrder `json:"order,omitempty"`

	// checks are conditions that every row must meet after each event; an event that would break one is an error of that
	// event. Rows are read before they are written, which costs a round trip per batch. Default: none.
	// Example: [{name: enough-stock, rule: row.reserved <= row.on_hand}].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	// +optional
	Checks []Check `json:"checks,omitempty"`

	// versions let events that come in any order write a row: the event with the highest version wins. Each names a version
	// column and the columns that it guards; a handler takes part by versionBy. Default: none.
	// Example: [{column: price_version, columns: [price, currency]}].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=column
	// +optional
	Versions []VersionGroup `json:"versions,omitempty"`

	// joins add columns of other models to what readers see, looked up by key when they read: right whichever side comes
	// first. A row without a match has NULL there. Default: none.
	// Example: [{model: customer, match: {id: customer_id}, set: {customer_name: name}}].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +optional
	Joins []Join `json:"joins,omitempty"`

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
// +kubebuilder:validation:XValidation:rule="!has(self.generated) || !(has(self.default) || has(self.native))",message="a generated column has the value of its expression and the usual type: remove default and native, or generated"
type Column struct {
	// name is the column's name. It is quoted, so upper case and reserved words are fine. Example: order_id.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	// +required
	Name string `json:"name,omitempty"`

	// type is the column's type: text, bool, int32, int64, float64, decimal(p,s), timestamp, date, time, uuid, json, bytes,
	// or one of these but json and bytes with [] for a list. Example: "decimal(12,2)".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Type string `json:"type,omitempty"`

	// default is what a new row has in this column until a handler writes it, as text. Default: NULL. Example: "0".
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Default *string `json:"default,omitempty"`

	// notNull refuses NULL in this column: an event that would write it is an error of that event. Every handler that may
	// create a row has to write the column, or the column needs a default. Default: false.
	// +optional
	NotNull *bool `json:"notNull,omitempty"`

	// enum lists the values that a text column may have; an event with another one is an error of that event. Default: any.
	// Example: [placed, shipped, cancelled].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	Enum []string `json:"enum,omitempty"`

	// range bounds the column's values, as text in the column's own form; an event that would leave it is an error of that
	// event, also by add. Default: the range of the type. Example: {min: "0"}.
	// +optional
	Range ValueRange `json:"range,omitzero"`

	// list says how a list column grows by append. Default: without bound but the type's, with duplicates.
	// Example: {maxItems: 20, distinct: true}.
	// +optional
	List ListRule `json:"list,omitzero"`

	// generated gives the column's value as a CEL expression over row, evaluated after each event that changes the row; no
	// handler writes it then. Rows are read before they are written. Default: none. Example: row.price * row.quantity.
	// +optional
	Generated Expression `json:"generated,omitempty"`

	// native is the type that the column has in the database, where it is not the usual one for type; values are cast to it.
	// Such a column can be set, and nothing else. A type of an extension is named with its schema. Default: by type.
	// Examples: inet, public.citext.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^([a-z_][a-z0-9_]*[.])?[a-z_][a-z0-9_]*( [a-z]+)*(\([0-9]{1,5}(, ?[0-9]{1,5})?\))?$`
	// +optional
	Native string `json:"native,omitempty"`

	// comment is what the database keeps beside the column. Default: none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Comment string `json:"comment,omitempty"`
}

// ModelOrder says what the rows of a model may depend on.
// +kubebuilder:validation:Enum=Log;Arrival
type ModelOrder string

// What rows may depend on.
const (
	ModelOrderLog     ModelOrder = "Log"
	ModelOrderArrival ModelOrder = "Arrival"
)

// ValueRange bounds values; both ends are included.
// +kubebuilder:validation:MinProperties=1
type ValueRange struct {
	// min is the least value, as text in the column's own form. Default: none. Example: "0".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Min string `json:"min,omitempty"`

	// max is the greatest value, as text in the column's own form. Default: none. Example: "100".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Max string `json:"max,omitempty"`
}

// ListRule says how a list column grows.
// +kubebuilder:validation:MinProperties=1
type ListRule struct {
	// maxItems keeps the newest elements, at most this many. Default: 10000, beyond which an event is an error. Example: 20.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	// +optional
	MaxItems int32 `json:"maxItems,omitempty"`

	// distinct appends nothing that the list holds already; the older element keeps its place. Default: false.
	// +optional
	Distinct *bool `json:"distinct,omitempty"`
}

// Check is a condition that every row must meet.
type Check struct {
	// name names the check in messages. Example: enough-stock.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-_A-Za-z0-9]*[A-Za-z0-9])?$`
	// +required
	Name string `json:"name,omitempty"`

	// rule is the condition, as a CEL expression over row that yields a bool. Example: row.reserved <= row.on_hand.
	// +required
	Rule Expression `json:"rule,omitempty"`
}

// VersionGroup is a group of columns that the event with the highest version writes.
type VersionGroup struct {
	// column is the version column: int32, int64, decimal, text, timestamp or date, without default, written by versionBy
	// alone. Example: price_version.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Column string `json:"column,omitempty"`

	// columns are the columns that the version guards; a handler with this versionBy sets all of them. Example: [price, currency].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	// +required
	Columns []string `json:"columns,omitempty"`
}

// Join adds columns of another model of the projection to what readers see.
type Join struct {
	// model is the other model. Example: customer.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=51
	// +required
	Model string `json:"model,omitempty"`

	// match gives, for each key column of the other model, the column of this one that it must equal. Example: {id: customer_id}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +required
	Match map[string]ColumnName `json:"match,omitempty"`

	// set gives the names under which readers see columns of the other model. Example: {customer_name: name}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	// +required
	Set map[string]ColumnName `json:"set,omitempty"`
}

// ColumnName is the name of a column.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
type ColumnName string

// IndexMethod is how an index finds rows.
// +kubebuilder:validation:Enum=BTree;Hash;GIN;GiST;BRIN
type IndexMethod string

// The index methods.
const (
	IndexMethodBTree IndexMethod = "BTree"
	IndexMethodHash  IndexMethod = "Hash"
	IndexMethodGIN   IndexMethod = "GIN"
	IndexMethodGiST  IndexMethod = "GiST"
	IndexMethodBRIN  IndexMethod = "BRIN"
)

// Index is a secondary index.
// +kubebuilder:validation:XValidation:rule="!has(self.unique) || !self.unique || self.method == 'BTree'",message="only a BTree index can be unique: remove method, or unique"
// +kubebuilder:validation:XValidation:rule="self.method != 'Hash' || size(self.columns) == 1",message="a Hash index has one column: make an index for each, or use BTree"
type Index struct {
	// columns are the columns of the index, in order. Example: [customer_id, placed_at].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=atomic
	// +required
	Columns []string `json:"columns,omitempty"`

	// unique refuses two rows with the same values in these columns, NULLs apart; it is checked when a batch commits, so that a
	// value may move from one row to another. Only in models whose rows come from one topic in order. Default: false.
	// +optional
	Unique *bool `json:"unique,omitempty"`

	// method is how the index finds rows: BTree, Hash (one column, equality), GIN (elements of lists, members of json), GiST
	// (native types), BRIN (large tables in the order of the column). A store that has no such method uses its own.
	// Default: BTree.
	// +kubebuilder:default="BTree"
	// +optional
	Method IndexMethod `json:"method,omitempty"`
}
