// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"maps"
	"slices"
	"time"
)

// Version is the version of the JSON forms in this package.
const Version = 1

// Where things are mounted in a projector's container.
const (
	// ContractPath is the file that holds the Contract.
	ContractPath = "/etc/projectionist/contract.json"
	// SecretsDir holds one directory per mounted Secret, named after it.
	SecretsDir = "/var/run/projectionist/secrets" //nolint:gosec // a directory
	// ConfigMapsDir holds one directory per mounted ConfigMap (CA bundles).
	ConfigMapsDir = "/var/run/projectionist/configmaps"
	// Port is the port of /status, /metrics, /healthz and /readyz.
	Port = 8080
	// PortName is its name in Pods and Services.
	PortName = "http"
	// RequestEnv is the environment variable of an action Job that holds its Request.
	RequestEnv = "PROJECTIONIST_REQUEST"
)

// Contract is all that a projector needs to run one revision of a projection,
// except the contents of Secrets.
type Contract struct {
	// Version is the version of this form; see Version.
	Version    int      `json:"version"`
	Projection Identity `json:"projection"`
	// Revision is ten hex digits that physical names carry: the first of DataHash, or, where
	// Attempt is set, of a hash of both.
	Revision string `json:"revision"`
	// Attempt tells revisions of the same data apart: the replayToken, or the UID of a Replay, that asked for this one.
	Attempt string `json:"attempt,omitempty"`
	// From is where it begins to read, nil for the beginning of the log. An attempt never has two.
	From *From `json:"from,omitempty"`
	// DataHash identifies what the rows are a function of (CORRECTNESS 9):
	// "<algorithm version>:<sha256 in hex>".
	DataHash string  `json:"dataHash"`
	Broker   Broker  `json:"broker"`
	Store    Store   `json:"store"`
	Topics   []Topic `json:"topics"`
	Models   []Model `json:"models"`
	// Group is the consumer group of this revision at the broker.
	Group            string `json:"group"`
	LagTargetSeconds int32  `json:"lagTargetSeconds"`
	// Build is nil where all is at its defaults.
	Build *Build `json:"build,omitempty"`
}

// Identity says whose a projection's tables are, across clusters that share a store.
type Identity struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// Broker is how to connect to the source of events.
type Broker struct {
	// Name is the EventBroker's name, for messages.
	Name  string       `json:"name"`
	Kafka *KafkaBroker `json:"kafka,omitempty"`
	// Registry has the schemas of Avro, Protobuf and JSONSchema topics.
	Registry *Registry `json:"registry,omitempty"`
}

// Registry mirrors EventBroker.spec.schemaRegistry.
type Registry struct {
	URLs []string `json:"urls"`
	TLS  *TLS     `json:"tls,omitempty"`
	// Credentials has username and password, or token.
	Credentials *SecretRef `json:"credentials,omitempty"`
}

// KafkaBroker mirrors EventBroker.spec.kafka.
type KafkaBroker struct {
	// BootstrapServers may be empty when the credentials Secret names them.
	BootstrapServers []string `json:"bootstrapServers,omitempty"`
	TLS              *TLS     `json:"tls,omitempty"`
	// Mechanism is "", PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or TLS (mutual TLS).
	Mechanism   string     `json:"mechanism,omitempty"`
	Credentials *SecretRef `json:"credentials,omitempty"`
	// GroupPrefix is put before the consumer group's name, for ACLs.
	GroupPrefix string `json:"groupPrefix,omitempty"`
}

// TLS says how a server's certificate is checked. Presence turns TLS on.
type TLS struct {
	// CA is the bundle to trust; nil means the system's roots.
	CA *KeyRef `json:"ca,omitempty"`
	// ServerName overrides the name that is checked.
	ServerName string `json:"serverName,omitempty"`
	// Mode is for PostgreSQL: disable, require, verify-ca, verify-full.
	Mode string `json:"mode,omitempty"`
}

// KeyRef names one key of a mounted Secret or ConfigMap.
type KeyRef struct {
	Secret    string `json:"secret,omitempty"`
	ConfigMap string `json:"configMap,omitempty"`
	Key       string `json:"key"`
}

// SecretRef names a mounted Secret. Its format is recognised by its keys
// (Strimzi KafkaUser, CloudNativePG app, Service Binding, cert-manager) unless
// Keys maps a property (username, password, certificate, privateKey,
// bootstrapServers, uri, host, port, database) to the key that holds it.
type SecretRef struct {
	Name string            `json:"name"`
	Keys map[string]string `json:"keys,omitempty"`
}

// Store is how to connect to the read store.
type Store struct {
	// Name is the ReadStore's name, for messages.
	Name     string         `json:"name"`
	Postgres *PostgresStore `json:"postgres,omitempty"`
}

// PostgresStore mirrors ReadStore.spec.postgres. Host, Port and Database win
// over what the Secret says.
type PostgresStore struct {
	Host           string     `json:"host,omitempty"`
	Port           int32      `json:"port,omitempty"`
	Database       string     `json:"database,omitempty"`
	TLS            *TLS       `json:"tls,omitempty"`
	Credentials    SecretRef  `json:"credentials"`
	DDLCredentials *SecretRef `json:"ddlCredentials,omitempty"`
	// Schema holds tables and views of read models.
	Schema string `json:"schema"`
	// BookkeepingSchema holds the project's own tables.
	BookkeepingSchema string `json:"bookkeepingSchema"`
}

// Topic is one stream of events.
type Topic struct {
	// Name is the EventTopic's name; expressions, bookkeeping and messages use it.
	Name string `json:"name"`
	// BrokerTopic is its name at the broker.
	BrokerTopic string `json:"brokerTopic"`
	// Format is one of v1alpha1's formats: JSON, CloudEvents, Debezium, DebeziumOutbox, Avro, Protobuf, JSONSchema, Text, Bytes.
	Format string `json:"format"`
	// KeyFormat is Text (also when empty), JSON, Avro or Bytes; KeyField the member that key stands for.
	KeyFormat string `json:"keyFormat,omitempty"`
	KeyField  string `json:"keyField,omitempty"`
	// KeyedBy is the CEL expression whose text form every message key must equal; empty: unchecked.
	KeyedBy string `json:"keyedBy,omitempty"`
	// EventType, EventID and EventTime are CEL expressions over event, key and headers; empty: by the format, else none.
	EventType string `json:"eventType,omitempty"`
	EventID   string `json:"eventID,omitempty"`
	EventTime string `json:"eventTime,omitempty"`
	// Upcasts are applied in order, before keyedBy.
	Upcasts []Upcast `json:"upcasts,omitempty"`
}

// Upcast turns an old version of an event into a newer one.
type Upcast struct {
	Name   string            `json:"name"`
	Events []string          `json:"events,omitempty"`
	When   string            `json:"when,omitempty"`
	Set    map[string]string `json:"set,omitempty"`
	Unset  []string          `json:"unset,omitempty"`
	Type   string            `json:"type,omitempty"`
}

// Model is one table and the handlers that write it.
type Model struct {
	Name    string   `json:"name"`
	Comment string   `json:"comment,omitempty"`
	Key     []string `json:"key"`
	// Order is "Arrival" where rows may depend on what arrives first; empty otherwise.
	Order    string         `json:"order,omitempty"`
	Columns  []Column       `json:"columns"`
	Checks   []Check        `json:"checks,omitempty"`
	Versions []VersionGroup `json:"versions,omitempty"`
	Joins    []Join         `json:"joins,omitempty"`
	Indexes  []Index        `json:"indexes,omitempty"`
	Handlers []Handler      `json:"handlers"`
}

// DeletedColumn is the hidden column of a model whose deletes carry a version:
// such a row stays, with its version, and views leave it out (CORRECTNESS 2).
const DeletedColumn = "_deleted"

// KeepsDeleted tells whether deleted rows of the model stay as tombstones, which
// then have DeletedColumn (bool, not null, default false) after the model's own columns.
func (m *Model) KeepsDeleted() bool {
	for i := range m.Handlers {
		if m.Handlers[i].Delete && m.Handlers[i].VersionBy != nil {
			return true
		}
	}
	return false
}

// StoredColumns are the columns of the model's table: its own, and DeletedColumn where it keeps deleted rows.
func (m *Model) StoredColumns() []Column {
	if !m.KeepsDeleted() {
		return m.Columns
	}
	no := "false"
	return append(append(make([]Column, 0, len(m.Columns)+1), m.Columns...), Column{Name: DeletedColumn, Type: "bool", Default: &no, NotNull: true})
}

// ViewColumns are the columns that readers of a model see: its own, and then
// those that its joins add, by name, each with the type of the other model's column and nullable.
func (c *Contract) ViewColumns(model int) []Column {
	m := &c.Models[model]
	out := slices.Clone(m.Columns)
	for _, j := range m.Joins {
		other := slices.IndexFunc(c.Models, func(o Model) bool { return o.Name == j.Model })
		if other < 0 {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(j.Set)) {
			for _, col := range c.Models[other].Columns {
				if col.Name == j.Set[name] {
					out = append(out, Column{Name: name, Type: col.Type, Native: col.Native})
				}
			}
		}
	}
	return out
}

// Column is one column of a model.
type Column struct {
	Name string `json:"name"`
	// Type is the canonical text of a value.Type.
	Type string `json:"type"`
	// Default is the canonical text of the value of a row's column that no
	// handler has written; nil is NULL.
	Default *string `json:"default,omitempty"`
	NotNull bool    `json:"notNull,omitempty"`
	// Enum lists the values of a text column.
	Enum []string `json:"enum,omitempty"`
	// Min and Max are canonical texts of the least and the greatest value, both included.
	Min *string `json:"min,omitempty"`
	Max *string `json:"max,omitempty"`
	// MaxItems keeps the newest elements of a list (0: all); Distinct appends nothing that is there.
	MaxItems int32 `json:"maxItems,omitempty"`
	Distinct bool  `json:"distinct,omitempty"`
	// Generated is a CEL expression over row, evaluated after each event.
	Generated string `json:"generated,omitempty"`
	// Native is the database's own type; empty: by Type.
	Native  string `json:"native,omitempty"`
	Comment string `json:"comment,omitempty"`
}

// Check is a condition over row that holds after each event.
type Check struct {
	Name string `json:"name"`
	Rule string `json:"rule"`
}

// VersionGroup is a version column and the columns that it guards.
type VersionGroup struct {
	Column  string   `json:"column"`
	Columns []string `json:"columns"`
}

// Join adds columns of another model to the view.
type Join struct {
	Model string `json:"model"`
	// Match gives this model's column by key column of the other; Set the other's column by name in the view.
	Match map[string]string `json:"match"`
	Set   map[string]string `json:"set"`
}

// Index is a secondary index.
type Index struct {
	Columns []string `json:"columns"`
	Unique  bool     `json:"unique,omitempty"`
	// Method is Hash, GIN, GiST or BRIN; empty is BTree.
	Method string `json:"method,omitempty"`
}

// Handler turns an event into mutations of rows.
type Handler struct {
	Name  string `json:"name"`
	Topic string `json:"topic"`
	// Events are the event types that it takes, * standing for any text; empty
	// means every event of the topic, unless Default (the types that no other handler of
	// the model and topic names) or Tombstone (records without a value) is set.
	Events    []string `json:"events,omitempty"`
	Default   bool     `json:"default,omitempty"`
	Tombstone bool     `json:"tombstone,omitempty"`
	// ForEach is a CEL list or map; one mutation per element. Empty: one.
	ForEach string `json:"forEach,omitempty"`
	// When is a CEL guard; empty is true.
	When string `json:"when,omitempty"`
	// OnAbsent is Create or Ignore.
	OnAbsent string `json:"onAbsent"`
	// Key gives each key column's CEL expression, by column name; Where instead of it those of the columns to match.
	Key   map[string]string `json:"key,omitempty"`
	Where map[string]string `json:"where,omitempty"`
	// VersionBy guards the handler by a version column.
	VersionBy *VersionBy        `json:"versionBy,omitempty"`
	Set       map[string]string `json:"set,omitempty"`
	SetOnce   map[string]string `json:"setOnce,omitempty"`
	Unset     []string          `json:"unset,omitempty"`
	Add       map[string]string `json:"add,omitempty"`
	Min       map[string]string `json:"min,omitempty"`
	Max       map[string]string `json:"max,omitempty"`
	Append    map[string]string `json:"append,omitempty"`
	Merge     map[string]string `json:"merge,omitempty"`
	Delete    bool              `json:"delete,omitempty"`
}

// VersionBy is a version column and the CEL expression of an event's version.
type VersionBy struct {
	Column string `json:"column"`
	Value  string `json:"value"`
}

// Physical returns the name of the table that holds a model's rows in this revision.
func (c *Contract) Physical(model string) string { return model + "__" + c.Revision }

// Health is what a projector says about one of its neighbours.
type Health struct {
	OK bool `json:"ok"`
	// Reason is CamelCase, Message says what to do. Both are empty when OK.
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// ProjectorStatus is what GET /status answers.
type ProjectorStatus struct {
	Version    int               `json:"version"`
	Projection Identity          `json:"projection"`
	Revision   string            `json:"revision"`
	DataHash   string            `json:"dataHash"`
	Pod        string            `json:"pod"`
	StartedAt  time.Time         `json:"startedAt"`
	Source     Health            `json:"source"`
	Store      Health            `json:"store"`
	Partitions []PartitionStatus `json:"partitions"`
	// TopicPartitions is the number of partitions per topic last seen at the broker.
	TopicPartitions map[string]int32 `json:"topicPartitions,omitempty"`
	// EventsTotal counts events applied or ignored since start; RowsTotal rows written.
	EventsTotal int64 `json:"eventsTotal"`
	RowsTotal   int64 `json:"rowsTotal"`
	// EventsPerSecond is a rate over the last ten seconds.
	EventsPerSecond float64 `json:"eventsPerSecond"`
	// SizeBytes is what the revision's tables take in the store with their indexes, as measured within about the last
	// minute; 0 where that is not known.
	SizeBytes int64 `json:"sizeBytes,omitempty"`
	// Shown is what readers of the projection see, as read from the bookkeeping within about the last minute; nil where that is not known.
	Shown *Shown `json:"shown,omitempty"`
	// Draining is true after SIGTERM.
	Draining bool `json:"draining,omitempty"`
	// Build is a bulk build under way, nil otherwise. Until it is over, Partitions say what is in the tables: nothing of it.
	Build *BuildStatus `json:"build,omitempty"`
}

// Shown is the revision that readers see, and the sequence of the switch to it, by the store's bookkeeping at a time.
type Shown struct {
	Revision string    `json:"revision"`
	Sequence int64     `json:"sequence"`
	At       time.Time `json:"at"`
}

// PartitionStatus is one partition that the projector owns.
type PartitionStatus struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Begin is where the revision began to read it, empty where that is the beginning of the log, or not known.
	Begin Position `json:"begin,omitempty"`
	// Position is the next position to read, End the last stable end of the log.
	Position Position `json:"position"`
	End      Position `json:"end"`
	// Lag is the number of positions between them; behind a stalled transaction, what it holds back counts too.
	Lag int64 `json:"lag"`
	// EventTime is the time of the newest event applied, zero if none.
	EventTime time.Time `json:"eventTime,omitzero"`
	// CaughtUp is true when Position was at or past an End sampled at UpdatedAt.
	CaughtUp  bool      `json:"caughtUp"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	// Waiting says why a partition that is not stopped does not move (a barrier, a fault of store or broker).
	Waiting string `json:"waiting,omitempty"`
	// Stopped is set when the partition needs a human.
	Stopped *Stop `json:"stopped,omitempty"`
}

// Stop says where and why a partition stopped. It never carries a payload's value (Law 7).
type Stop struct {
	Position Position `json:"position"`
	// Reason is CamelCase: DecodeError, HandlerError, KeyMismatch, ConstraintViolation, OffsetOutOfRange, TopicRecreated, ...
	Reason string `json:"reason"`
	// Path is the field path in the Projection or EventTopic, for example models[order_summary].handlers[line-added].add.total.
	Path string `json:"path,omitempty"`
	// Message says what is wrong and what to do.
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}
