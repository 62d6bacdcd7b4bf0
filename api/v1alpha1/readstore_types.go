// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ReadStoreSpec describes one query database.
type ReadStoreSpec struct {
	// postgres says how to reach a PostgreSQL database (13 or later). Required in this release.
	// +required
	Postgres PostgresStore `json:"postgres,omitzero"`

	// maxConcurrentReplays is how many projections of this store may build a new revision at once; others wait in a
	// queue, which their status shows. Default: 1.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	// +optional
	MaxConcurrentReplays int32 `json:"maxConcurrentReplays,omitempty"`

	// maxConnections is how many connections projectors and Jobs of all projections of this store may hold together: 3 for each
	// projector of each revision that runs, 2 for the Jobs of each projection, 1 for each projection that is verified, 2 for
	// each Replay of keys that has not ended, 2 for those of the store. A new revision, or a new projection, whose projectors
	// would exceed it waits in the queue. What serves readers is never stopped for it: where that alone takes more, the status
	// says so. Default: no limit. Example: 40.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	// +optional
	MaxConnections int32 `json:"maxConnections,omitempty"`
}

// PostgresStore says how to reach a PostgreSQL database and where in it read models live.
// +kubebuilder:validation:XValidation:rule="self.schema != self.bookkeepingSchema",message="schema and bookkeepingSchema must differ: a model could have the name of a bookkeeping table"
// +kubebuilder:validation:XValidation:rule="!has(self.ddlKeys) || has(self.ddlSecretRef)",message="ddlKeys says where in the Secret of ddlSecretRef things are; set ddlSecretRef"
type PostgresStore struct {
	// secretRef names the Secret with user name and password, and where they are not given here, host, port and database.
	// A CloudNativePG app Secret and a Service Binding Secret are understood as they are; for any other, map its keys in
	// keys. Example: {name: orders-app}.
	// +required
	SecretRef LocalRef `json:"secretRef,omitzero"`

	// keys maps a property (username, password, host, port, database, uri) to the key of the
	// Secret that holds it. Default: recognised from the Secret's keys. Example: {username: DB_USER, password: DB_PASSWORD}.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['username', 'password', 'host', 'port', 'database', 'uri'])",message="keys maps username, password, host, port, database or uri to a key of the Secret"
	// +optional
	Keys map[string]SecretKey `json:"keys,omitempty"`

	// host is the server's name or address; it wins over what the Secret says. Default: from the Secret.
	// Example: orders-rw.shop.svc.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._:a-zA-Z0-9]+$`
	// +optional
	Host string `json:"host,omitempty"`

	// port is the server's TCP port; it wins over what the Secret says. Default: from the Secret, else 5432.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port int32 `json:"port,omitempty"`

	// database is the database's name; it wins over what the Secret says. Default: from the Secret. Example: orders.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Database string `json:"database,omitempty"`

	// schema is where the tables and views of read models live. It must exist, or the DDL user be allowed to create it.
	// Cannot be changed later. Default: public.
	// +kubebuilder:default="public"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z_][a-zA-Z0-9_]*$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="schema cannot be changed: the read models there would be left behind; make a new ReadStore"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('pg_')",message="PostgreSQL keeps schema names that begin with pg_ for itself"
	// +optional
	Schema string `json:"schema,omitempty"`

	// bookkeepingSchema is where the project's own tables live (revisions, positions). Cannot be changed later.
	// Default: projectionist.
	// +kubebuilder:default="projectionist"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z_][a-zA-Z0-9_]*$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="bookkeepingSchema cannot be changed: the positions there would be lost; make a new ReadStore"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('pg_')",message="PostgreSQL keeps schema names that begin with pg_ for itself"
	// +optional
	BookkeepingSchema string `json:"bookkeepingSchema,omitempty"`

	// tls says whether the connection is encrypted and how the server's certificate is checked. Default: what the sslmode
	// of the Secret's uri says, else no TLS.
	// +optional
	TLS PostgresTLS `json:"tls,omitzero"`

	// ddlSecretRef names a Secret with the user that creates and drops tables, so that projectors run with the rights to
	// read and write rows only. Default: the user of secretRef does it. Example: {name: orders-owner}.
	// +optional
	DDLSecretRef LocalRef `json:"ddlSecretRef,omitzero"`

	// ddlKeys is to ddlSecretRef what keys is to secretRef. Default: recognised from the Secret's keys.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['username', 'password', 'host', 'port', 'database', 'uri'])",message="ddlKeys maps username, password, host, port, database or uri to a key of the Secret"
	// +optional
	DDLKeys map[string]SecretKey `json:"ddlKeys,omitempty"`
}

// PostgresTLSMode is how much of TLS is asked for, in PostgreSQL's words.
// +kubebuilder:validation:Enum=disable;require;verify-ca;verify-full
type PostgresTLSMode string

// The modes of TLS to PostgreSQL.
const (
	PostgresTLSDisable    PostgresTLSMode = "disable"
	PostgresTLSRequire    PostgresTLSMode = "require"
	PostgresTLSVerifyCA   PostgresTLSMode = "verify-ca"
	PostgresTLSVerifyFull PostgresTLSMode = "verify-full"
)

// PostgresTLS says how the server's certificate is checked.
// +kubebuilder:validation:XValidation:rule="!(has(self.caSecretRef) && has(self.caConfigMapRef))",message="set caSecretRef or caConfigMapRef, not both"
type PostgresTLS struct {
	// mode is disable (no TLS), require (encrypted, certificate not checked), verify-ca (signed by the CA) or verify-full
	// (and issued for the host). Example: verify-full.
	// +required
	Mode PostgresTLSMode `json:"mode,omitempty"`

	// caSecretRef names the Secret key with the CA bundle (PEM) that signed the server's certificate. With CloudNativePG
	// this is <cluster>-ca, key ca.crt. Default: the system's roots.
	// +optional
	CASecretRef KeyRef `json:"caSecretRef,omitzero"`

	// caConfigMapRef names the ConfigMap key with the CA bundle (PEM), instead of caSecretRef. Default: the system's roots.
	// +optional
	CAConfigMapRef KeyRef `json:"caConfigMapRef,omitzero"`
}

// ReadStoreStatus is what the operator knows about a read store.
// +kubebuilder:validation:MinProperties=1
type ReadStoreStatus struct {
	// conditions say how the store is: Ready, Reconciling, Stalled. Each carries a reason and a message that says what to do.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first visit.
	// +optional
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`

	// serverVersion is the version of the server, as last seen by a probe. Example: 15.8.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	ServerVersion string `json:"serverVersion,omitempty"`

	// database is the name of the database that was reached, as last seen by a probe.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Database string `json:"database,omitempty"`
}

// ReadStore is one query database and how to connect to it. Tables, views and bookkeeping of projections live there.
// Secrets are mounted into projectors by name; the operator itself never reads one.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=rstore,categories=cqrs
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="whether the store can be reached and written"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="why it is ready or not"
// +kubebuilder:printcolumn:name="Database",type=string,JSONPath=`.status.database`,description="the database's name"
// +kubebuilder:printcolumn:name="Schema",type=string,JSONPath=`.spec.postgres.schema`,description="where read models live"
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.serverVersion`,description="the server's version"
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1,description="what is wrong and what to do"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ReadStore struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata: name, namespace, labels, annotations.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec describes the query database.
	// +required
	Spec ReadStoreSpec `json:"spec,omitzero"`

	// status is what the operator last learnt; it is written by the operator alone.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status ReadStoreStatus `json:"status,omitzero"`
}

// ReadStoreList is a list of ReadStores.
//
// +kubebuilder:object:root=true
type ReadStoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []ReadStore `json:"items"`
}
