// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// Broker gives what the contract and requests say about an EventBroker.
func Broker(b *v1alpha1.EventBroker) contract.Broker {
	out := contract.Broker{Name: b.Name}
	k := b.Spec.Kafka
	if k == nil {
		return out
	}
	out.Kafka = &contract.KafkaBroker{
		BootstrapServers: append([]string(nil), k.BootstrapServers...),
		GroupPrefix:      k.GroupPrefix,
	}
	if k.TLS != nil {
		out.Kafka.TLS = &contract.TLS{CA: keyRef(k.TLS.CASecretRef, k.TLS.CAConfigMapRef), ServerName: k.TLS.ServerName}
	}
	if a := k.Authentication; a.Mechanism != "" {
		out.Kafka.Mechanism = string(a.Mechanism)
		ref := secretRef(a.SecretRef, a.Keys)
		out.Kafka.Credentials = &ref
	}
	return out
}

// The CRD's defaults of a ReadStore, for specs that never saw an API server.
const (
	defaultSchema            = "public"
	defaultBookkeepingSchema = "projectionist"
	defaultCAKey             = "ca.crt"
)

// Store gives what the contract and requests say about a ReadStore.
func Store(s *v1alpha1.ReadStore) contract.Store {
	p := s.Spec.Postgres
	out := contract.PostgresStore{
		Host:              p.Host,
		Port:              p.Port,
		Database:          p.Database,
		Credentials:       secretRef(p.SecretRef, p.Keys),
		Schema:            or(p.Schema, defaultSchema),
		BookkeepingSchema: or(p.BookkeepingSchema, defaultBookkeepingSchema),
	}
	if p.TLS.Mode != "" {
		out.TLS = &contract.TLS{Mode: string(p.TLS.Mode), CA: keyRef(p.TLS.CASecretRef, p.TLS.CAConfigMapRef)}
	}
	if p.DDLSecretRef.Name != "" {
		ref := secretRef(p.DDLSecretRef, p.DDLKeys)
		out.DDLCredentials = &ref
	}
	return contract.Store{Name: s.Name, Postgres: &out}
}

// Topic gives what the contract and requests say about an EventTopic.
func Topic(t *v1alpha1.EventTopic) contract.Topic {
	return contract.Topic{
		Name:        t.Name,
		BrokerTopic: t.BrokerTopic(),
		Format:      or(string(t.Spec.Format), string(v1alpha1.EventFormatJSON)),
		KeyedBy:     string(t.Spec.KeyedBy),
		EventType:   string(t.Spec.Event.Type),
		EventID:     string(t.Spec.Event.ID),
		EventTime:   string(t.Spec.Event.Time),
	}
}

// Creation gives how a missing topic is to be created, nil if it is not.
// A replication factor of -1 is the broker's default.
func Creation(t *v1alpha1.EventTopic) *contract.TopicCreation {
	c := t.Spec.Create
	if c.Partitions == 0 {
		return nil
	}
	out := &contract.TopicCreation{Partitions: c.Partitions, ReplicationFactor: -1}
	if c.ReplicationFactor > 0 {
		out.ReplicationFactor = c.ReplicationFactor
	}
	for k, v := range c.Config {
		if out.Config == nil {
			out.Config = map[string]string{}
		}
		out.Config[k] = string(v)
	}
	return out
}

func secretRef(ref v1alpha1.LocalRef, keys map[string]v1alpha1.SecretKey) contract.SecretRef {
	out := contract.SecretRef{Name: ref.Name}
	for k, v := range keys {
		if out.Keys == nil {
			out.Keys = map[string]string{}
		}
		out.Keys[k] = string(v)
	}
	return out
}

func keyRef(secret, configMap v1alpha1.KeyRef) *contract.KeyRef {
	switch {
	case secret.Name != "":
		return &contract.KeyRef{Secret: secret.Name, Key: or(secret.Key, defaultCAKey)}
	case configMap.Name != "":
		return &contract.KeyRef{ConfigMap: configMap.Name, Key: or(configMap.Key, defaultCAKey)}
	default:
		return nil
	}
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
