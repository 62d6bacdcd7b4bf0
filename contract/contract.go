// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import "time"

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
	// Revision is the first ten hex digits of DataHash; physical names carry it.
	Revision string `json:"revision"`
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
	// Format is JSON.
	Format string `json:"format"`
	// KeyedBy is the CEL expression whose text form every message key must equal; empty: unchecked.
	KeyedBy string `json:"keyedBy,omitempty"`
	// EventType, EventID and EventTime are CEL expressions over event, key and headers; empty: none.
	EventType string `json:"eventType,omitempty"`
	EventID   string `json:"eventID,omitempty"`
	EventTime string `json:"eventTime,omitempty"`
}

// Model is one table and the handlers that write it.
type Model struct {
	Name     string    `json:"name"`
	Key      []string  `json:"key"`
	Columns  []Column  `json:"columns"`
	Indexes  []Index   `json:"indexes,omitempty"`
	Handlers []Handler `json:"handlers"`
}

// Column is one column of a model.
type Column struct {
	Name string `json:"name"`
	// Type is the canonical text of a value.Type.
	Type string `json:"type"`
	// Default is the canonical text of the value of a row's column that no
	// handler has written; nil is NULL.
	Default *string `json:"default,omitempty"`
}

// Index is a secondary index.
type Index struct {
	Columns []string `json:"columns"`
}

// Handler turns an event into one mutation of one row.
type Handler struct {
	Name  string `json:"name"`
	Topic string `json:"topic"`
	// Events are the event types that it takes; empty means every event of the topic.
	Events []string `json:"events,omitempty"`
	// When is a CEL guard; empty is true.
	When string `json:"when,omitempty"`
	// OnAbsent is Create or Ignore.
	OnAbsent string `json:"onAbsent"`
	// Key gives each key column's CEL expression, by column name.
	Key    map[string]string `json:"key"`
	Set    map[string]string `json:"set,omitempty"`
	Add    map[string]string `json:"add,omitempty"`
	Max    map[string]string `json:"max,omitempty"`
	Append map[string]string `json:"append,omitempty"`
	Delete bool              `json:"delete,omitempty"`
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
	// Draining is true after SIGTERM.
	Draining bool `json:"draining,omitempty"`
}

// PartitionStatus is one partition that the projector owns.
type PartitionStatus struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
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
