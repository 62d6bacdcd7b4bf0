// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// EventBrokerSpec says where events come from and how to connect.
type EventBrokerSpec struct {
	// kafka says how to reach an Apache Kafka cluster, or anything that speaks its protocol. Required in this release.
	// +required
	Kafka *KafkaBroker `json:"kafka,omitempty"`

	// schemaRegistry says how to reach the registry that has the schemas of Avro, Protobuf and JSONSchema topics: Confluent's
	// REST interface, as Karapace, Apicurio and Redpanda serve it. Default: none, and such topics are refused.
	// +optional
	SchemaRegistry SchemaRegistry `json:"schemaRegistry,omitzero"`
}

// SchemaRegistry says how to reach a schema registry.
// +kubebuilder:validation:XValidation:rule="!has(self.keys) || has(self.secretRef)",message="keys maps keys of a Secret: set secretRef, or remove keys"
type SchemaRegistry struct {
	// urls are the addresses of the registry, tried in turn. Example: ["https://registry.kafka.svc:8081"].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=8
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^https?://[^ @?#]+$`
	// +listType=set
	// +required
	URLs []string `json:"urls,omitempty"`

	// tls says which certificates are trusted for https. Default: the system's roots.
	// +optional
	TLS *KafkaTLS `json:"tls,omitempty"`

	// secretRef names the Secret with username and password, or with a bearer token in token. Default: no credentials.
	// +optional
	SecretRef LocalRef `json:"secretRef,omitzero"`

	// keys maps a property (username, password, token) to the key of the Secret that holds it. Default: the same names.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=3
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['username', 'password', 'token'])",message="keys maps username, password or token to a key of the Secret"
	// +optional
	Keys map[string]SecretKey `json:"keys,omitempty"`
}

// KafkaBroker says how to reach a Kafka cluster.
// +kubebuilder:validation:XValidation:rule="has(self.bootstrapServers) || has(self.authentication)",message="set bootstrapServers, or an authentication.secretRef whose Secret names them"
// +kubebuilder:validation:XValidation:rule="!has(self.authentication) || self.authentication.mechanism != 'TLS' || has(self.tls)",message="mechanism TLS needs tls: set tls with the CA of the brokers (tls: {} trusts the system's roots)"
type KafkaBroker struct {
	// bootstrapServers are the brokers to connect to first, each as host:port. May be left out when the Secret of
	// authentication.secretRef names them (Service Binding). Default: none. Example: ["main-kafka-bootstrap.kafka:9093"].
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=3
	// +kubebuilder:validation:items:MaxLength=263
	// +kubebuilder:validation:items:Pattern=`^(\[[0-9a-fA-F:.]+\]|[-._a-zA-Z0-9]+):[0-9]{1,5}$`
	// +listType=set
	// +optional
	BootstrapServers []string `json:"bootstrapServers,omitempty"`

	// tls turns on TLS and says which certificates are trusted; "tls: {}" trusts the system's roots. Default: no TLS.
	// +optional
	TLS *KafkaTLS `json:"tls,omitempty"`

	// authentication says how to log in. Default: none.
	// +optional
	Authentication KafkaAuthentication `json:"authentication,omitzero"`

	// groupPrefix is put before the name of every consumer group, so that ACLs can allow a prefix. The group of a
	// projection is <groupPrefix>projectionist.<namespace>.<name>.<revision>. Default: none. Example: "shop-".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	// +optional
	GroupPrefix string `json:"groupPrefix,omitempty"`
}

// KafkaTLS says how the certificates of the brokers are checked.
// +kubebuilder:validation:XValidation:rule="!(has(self.caSecretRef) && has(self.caConfigMapRef))",message="set caSecretRef or caConfigMapRef, not both"
type KafkaTLS struct {
	// caSecretRef names the Secret key with the CA bundle (PEM) that signed the brokers' certificates. With Strimzi this is
	// <cluster>-cluster-ca-cert, not the KafkaUser's Secret, whose ca.crt is the clients CA. Default: the system's roots.
	// +optional
	CASecretRef KeyRef `json:"caSecretRef,omitzero"`

	// caConfigMapRef names the ConfigMap key with the CA bundle (PEM), instead of caSecretRef. Default: the system's roots.
	// +optional
	CAConfigMapRef KeyRef `json:"caConfigMapRef,omitzero"`

	// serverName is the name that the brokers' certificates must carry, where it is not the host that is dialled.
	// Default: the host. Example: kafka.example.com.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServerName string `json:"serverName,omitempty"`
}

// KafkaMechanism is a way to log in at a Kafka broker.
// +kubebuilder:validation:Enum=PLAIN;SCRAM-SHA-256;SCRAM-SHA-512;TLS
type KafkaMechanism string

// The ways to log in at a Kafka broker.
const (
	KafkaMechanismPlain       KafkaMechanism = "PLAIN"
	KafkaMechanismScramSHA256 KafkaMechanism = "SCRAM-SHA-256"
	KafkaMechanismScramSHA512 KafkaMechanism = "SCRAM-SHA-512"
	KafkaMechanismTLS         KafkaMechanism = "TLS"
)

// KafkaAuthentication says how to log in at a Kafka broker.
type KafkaAuthentication struct {
	// mechanism is how to log in: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 (user name and password) or TLS (client certificate).
	// +required
	Mechanism KafkaMechanism `json:"mechanism,omitempty"`

	// secretRef names the Secret with the credentials. The Secrets of a Strimzi KafkaUser, of a Service Binding and of
	// cert-manager are understood as they are; for any other, map its keys in keys. Example: {name: orders-app}.
	// +required
	SecretRef LocalRef `json:"secretRef,omitzero"`

	// keys maps a property (username, password, certificate, privateKey, bootstrapServers) to the key of the Secret that
	// holds it. Default: recognised from the Secret's keys. Example: {username: KAFKA_USER, password: KAFKA_PASSWORD}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['username', 'password', 'certificate', 'privateKey', 'bootstrapServers'])",message="keys maps username, password, certificate, privateKey or bootstrapServers to a key of the Secret"
	// +optional
	Keys map[string]SecretKey `json:"keys,omitempty"`
}

// EventBrokerStatus is what the operator knows about a broker.
// +kubebuilder:validation:MinProperties=1
type EventBrokerStatus struct {
	// conditions say how the broker is: Ready, SchemaRegistryReady, Reconciling, Stalled. Each carries a reason and a message that says what to do.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first visit.
	// +optional
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`

	// clusterID is the identity that the Kafka cluster gives itself, as last seen by a probe.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	ClusterID string `json:"clusterID,omitempty"`

	// brokers is the number of brokers in the cluster, as last seen by a probe.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Brokers int32 `json:"brokers,omitempty"`
}

// EventBroker says where events come from and how to connect to it: a Kafka cluster, its TLS, and the Secret with the
// credentials. Secrets are mounted into projectors by name; the operator itself never reads one.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=evb,categories=cqrs
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="whether the broker can be reached and used"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="why it is ready or not"
// +kubebuilder:printcolumn:name="Brokers",type=integer,JSONPath=`.status.brokers`,description="brokers in the cluster"
// +kubebuilder:printcolumn:name="Servers",type=string,JSONPath=`.spec.kafka.bootstrapServers`,priority=1,description="bootstrap servers"
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1,description="what is wrong and what to do"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type EventBroker struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata: name, namespace, labels, annotations.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says where events come from and how to connect.
	// +required
	Spec EventBrokerSpec `json:"spec,omitzero"`

	// status is what the operator last learnt; it is written by the operator alone.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status EventBrokerStatus `json:"status,omitzero"`
}

// EventBrokerList is a list of EventBrokers.
//
// +kubebuilder:object:root=true
type EventBrokerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []EventBroker `json:"items"`
}
