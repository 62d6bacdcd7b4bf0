// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// EventTopicSpec describes one stream of events.
type EventTopicSpec struct {
	// brokerRef names the EventBroker that has this topic. Example: {name: main}.
	// +required
	BrokerRef LocalRef `json:"brokerRef,omitzero"`

	// topic is the name of the topic at the broker. Default: metadata.name (shown in status.brokerTopic, never written
	// here). Example: shop.orders.v1.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	// +kubebuilder:validation:XValidation:rule="self != '.' && self != '..'",message="'.' and '..' are no topic names"
	// +optional
	Topic string `json:"topic,omitempty"`

	// keyedBy says by what producers key the topic, as a CEL expression over event: its text must equal the message key.
	// Order is kept per message key, so models whose key contains this expression may use every operation. It is checked
	// for each event; a violation stops the partition. Default: unknown, nothing is checked. Example: event.orderId.
	// +optional
	KeyedBy Expression `json:"keyedBy,omitempty"`

	// format is how payloads are encoded: JSON; CloudEvents (structured, or binary with a JSON payload); Debezium (the
	// envelope of a change event); DebeziumOutbox (what the outbox event router writes); Avro, Protobuf and JSONSchema (with
	// an id of the EventBroker's schema registry before the payload); Text; Bytes (event is base64 text). Default: JSON.
	// +kubebuilder:default="JSON"
	// +optional
	Format EventFormat `json:"format,omitempty"`

	// key says how message keys are read. Default: as text.
	// +optional
	Key EventKey `json:"key,omitzero"`

	// schemas say what payloads look like, so that expressions are checked before they run. Default: unknown, and everything
	// is checked per event.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Schemas []EventSchema `json:"schemas,omitempty"`

	// upcasts turn old versions of events into the current one before keyedBy is checked or any handler sees them, in this
	// order: each sees what the one before has made. Default: none.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=name
	// +optional
	Upcasts []Upcast `json:"upcasts,omitempty"`

	// event says where the type, the id and the time of an event are found. Default: an event has no type and no id, and
	// its time is the record's.
	// +optional
	Event EventFields `json:"event,omitzero"`

	// create asks for the topic to be created where the broker does not have it. A topic that exists is never changed.
	// Default: the topic must exist.
	// +optional
	Create TopicCreation `json:"create,omitzero"`
}

// EventFormat is how payloads are encoded.
// +kubebuilder:validation:Enum=JSON;CloudEvents;Debezium;DebeziumOutbox;Avro;Protobuf;JSONSchema;Text;Bytes
type EventFormat string

// The formats.
const (
	EventFormatJSON           EventFormat = "JSON"
	EventFormatCloudEvents    EventFormat = "CloudEvents"
	EventFormatDebezium       EventFormat = "Debezium"
	EventFormatDebeziumOutbox EventFormat = "DebeziumOutbox"
	EventFormatAvro           EventFormat = "Avro"
	EventFormatProtobuf       EventFormat = "Protobuf"
	EventFormatJSONSchema     EventFormat = "JSONSchema"
	EventFormatText           EventFormat = "Text"
	EventFormatBytes          EventFormat = "Bytes"
)

// KeyFormat is how message keys are encoded.
// +kubebuilder:validation:Enum=Text;JSON;Avro;Bytes
type KeyFormat string

// The formats of keys.
const (
	KeyFormatText  KeyFormat = "Text"
	KeyFormatJSON  KeyFormat = "JSON"
	KeyFormatAvro  KeyFormat = "Avro"
	KeyFormatBytes KeyFormat = "Bytes"
)

// EventKey says how message keys are read.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.field) || self.format in ['JSON', 'Avro']",message="only keys of format JSON or Avro have members: set format, or remove field"
type EventKey struct {
	// format is how message keys are encoded: Text; JSON (also in the envelope of Kafka Connect's JSON converter); Avro (with
	// an id of the schema registry before it); Bytes (key is base64 text). Default: Text.
	// +kubebuilder:default="Text"
	// +optional
	Format KeyFormat `json:"format,omitempty"`

	// field is the one member of a JSON or Avro key that the variable key stands for, as text; a key with other members beside
	// it is an error of the event, since order is kept per whole key. Default: the whole key: a text or number as it is, an
	// object as canonical JSON text. Example: id.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Field string `json:"field,omitempty"`
}

// EventSchema says what the payloads of some event types look like.
type EventSchema struct {
	// events are the event types whose payloads it describes; a * stands for any text. Default: all. Example: [OrderPlaced].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	Events []string `json:"events,omitempty"`

	// jsonSchema is a JSON Schema, as text, of the events that handlers see, after upcasts. It is used to check expressions, not
	// to check payloads.
	// Example: '{"type": "object", "properties": {"price": {"type": "number"}}}'.
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=65536
	// +required
	JSONSchema string `json:"jsonSchema,omitempty"`
}

// Upcast turns an old version of an event into a newer one.
// +kubebuilder:validation:XValidation:rule="has(self.set) || has(self.unset) || has(self.type)",message="give at least one of set, unset and type"
type Upcast struct {
	// name names the upcast in messages. Example: placed-v1.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-_A-Za-z0-9]*[A-Za-z0-9])?$`
	// +required
	Name string `json:"name,omitempty"`

	// events are the event types that it takes; a * stands for any text. Default: every event. Example: [OrderPlaced].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	Events []string `json:"events,omitempty"`

	// when is a condition, as a CEL expression over event, key and headers that yields a bool. Default: true.
	// Example: "!has(event.currency)".
	// +optional
	When Expression `json:"when,omitempty"`

	// set gives members of the payload, each by a CEL expression over the payload as it was before this upcast.
	// Default: none. Example: {currency: "'EUR'", total: decimal(event.amount)}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Set map[string]Expression `json:"set,omitempty"`

	// unset removes members of the payload. Default: none. Example: [amount].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	Unset []string `json:"unset,omitempty"`

	// type gives the event another type. Default: as it was. Example: OrderPlacedV2.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Type string `json:"type,omitempty"`
}

// EventFields says where the properties of an event are found.
// +kubebuilder:validation:MinProperties=1
type EventFields struct {
	// type gives the event's type, which handlers select by their events, as a CEL expression over event, key and headers.
	// Default: by the format (CloudEvents: the type attribute; Debezium: create, update, delete, read, truncate or message;
	// DebeziumOutbox: the header eventType), otherwise none, and handlers take every event. Example: event.type.
	// +optional
	Type Expression `json:"type,omitempty"`

	// id gives the event's identity, as a CEL expression over event, key and headers, for meta.id. Default: by the format
	// (CloudEvents: the id attribute; DebeziumOutbox: the header id), otherwise none.
	// Example: headers['ce_id'].
	// +optional
	ID Expression `json:"id,omitempty"`

	// time gives the time at which the event happened, as a CEL expression over event, key and headers that yields a
	// timestamp, for meta.time. Default: by the format (CloudEvents: the time attribute, where it is there; Debezium: when
	// the change was made), otherwise the record's timestamp. Example: timestamp(event.at).
	// +optional
	Time Expression `json:"time,omitempty"`
}

// TopicCreation says how a missing topic is created.
type TopicCreation struct {
	// partitions is the number of partitions of the new topic. Example: 12.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	// +required
	Partitions int32 `json:"partitions,omitempty"`

	// replicationFactor is the number of brokers that keep each partition. Default: the broker's own default. Example: 3.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	// +optional
	ReplicationFactor int32 `json:"replicationFactor,omitempty"`

	// config holds further settings of the new topic, by their Kafka names. Default: the broker's own defaults.
	// Example: {cleanup.policy: delete, retention.ms: "-1"}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Config map[string]TopicSetting `json:"config,omitempty"`
}

// TopicSetting is the value of a topic's setting.
// +kubebuilder:validation:MaxLength=1024
type TopicSetting string

// EventTopicStatus is what the operator knows about a topic.
// +kubebuilder:validation:MinProperties=1
type EventTopicStatus struct {
	// conditions say how the topic is: Ready, Reconciling, Stalled, ReplayPossible. Each carries a reason and a message
	// that says what to do.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first visit.
	// +optional
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`

	// brokerTopic is the topic's name at the broker: spec.topic, or metadata.name where that is not set.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	// +optional
	BrokerTopic string `json:"brokerTopic,omitempty"`

	// topicID is the identity that the broker gave the topic. Another one means that the topic was deleted and created again.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	TopicID string `json:"topicID,omitempty"`

	// partitions is the number of partitions, as last seen by a probe.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Partitions int32 `json:"partitions,omitempty"`

	// replicationFactor is the number of brokers that keep each partition, as last seen by a probe.
	// +kubebuilder:validation:Minimum=1
	// +optional
	ReplicationFactor int32 `json:"replicationFactor,omitempty"`

	// cleanupPolicy is how the broker makes room: delete, compact or both ("compact,delete").
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +optional
	CleanupPolicy string `json:"cleanupPolicy,omitempty"`

	// retentionMillis is how long the broker keeps events, in milliseconds; -1 is for ever.
	// +optional
	RetentionMillis *int64 `json:"retentionMillis,omitempty"`

	// retentionBytes is how many bytes of each partition the broker keeps; -1 is no limit.
	// +optional
	RetentionBytes *int64 `json:"retentionBytes,omitempty"`

	// deleteRetentionMillis is how long tombstones stay on a compacted topic, in milliseconds.
	// +optional
	DeleteRetentionMillis *int64 `json:"deleteRetentionMillis,omitempty"`

	// trimmedPartitions is the number of partitions whose first events are gone; 0 means that a full replay is possible.
	// +kubebuilder:validation:Minimum=0
	// +optional
	TrimmedPartitions *int32 `json:"trimmedPartitions,omitempty"`
}

// EventTopic is one stream of events: its name at the broker, what it is keyed by, how payloads are encoded, and where
// the type, id and time of an event are found.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=evt,categories=cqrs
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="whether the topic is there and can be read"
// +kubebuilder:printcolumn:name="Broker",type=string,JSONPath=`.spec.brokerRef.name`,description="the EventBroker that has it"
// +kubebuilder:printcolumn:name="Topic",type=string,JSONPath=`.status.brokerTopic`,description="its name at the broker"
// +kubebuilder:printcolumn:name="Partitions",type=integer,JSONPath=`.status.partitions`,description="its number of partitions"
// +kubebuilder:printcolumn:name="ReplayPossible",type=string,JSONPath=`.status.conditions[?(@.type=="ReplayPossible")].status`,description="whether every event since the first is still there"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1,description="why it is ready or not"
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1,description="what is wrong and what to do"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type EventTopic struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata: name, namespace, labels, annotations.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec describes the stream of events.
	// +required
	Spec EventTopicSpec `json:"spec,omitzero"`

	// status is what the operator last learnt; it is written by the operator alone.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status EventTopicStatus `json:"status,omitzero"`
}

// BrokerTopic is the topic's name at the broker.
func (t *EventTopic) BrokerTopic() string {
	if t.Spec.Topic != "" {
		return t.Spec.Topic
	}
	return t.Name
}

// EventTopicList is a list of EventTopics.
//
// +kubebuilder:object:root=true
type EventTopicList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []EventTopic `json:"items"`
}
