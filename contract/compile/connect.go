// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// Broker gives what the contract and requests say about an EventBroker.
func Broker(b *v1alpha1.EventBroker) contract.Broker {
	out := contract.Broker{Name: b.Name, Registry: registry(b.Spec.SchemaRegistry)}
	k := b.Spec.Kafka
	if k == nil {
		return out
	}
	out.Kafka = &contract.KafkaBroker{
		BootstrapServers: append([]string(nil), k.BootstrapServers...),
		GroupPrefix:      k.GroupPrefix,
	}
	out.Kafka.TLS = tls(k.TLS)
	if a := k.Authentication; a.Mechanism != "" {
		out.Kafka.Mechanism = string(a.Mechanism)
		ref := secretRef(a.SecretRef, a.Keys)
		out.Kafka.Credentials = &ref
	}
	return out
}

// registry gives what the contract says about a schema registry; nil for none.
func registry(r v1alpha1.SchemaRegistry) *contract.Registry {
	if len(r.URLs) == 0 {
		return nil
	}
	out := &contract.Registry{URLs: append([]string(nil), r.URLs...), TLS: tls(r.TLS)}
	if r.SecretRef.Name != "" {
		ref := secretRef(r.SecretRef, r.Keys)
		out.Credentials = &ref
	}
	return out
}

func tls(t *v1alpha1.KafkaTLS) *contract.TLS {
	if t == nil {
		return nil
	}
	return &contract.TLS{CA: keyRef(t.CASecretRef, t.CAConfigMapRef), ServerName: t.ServerName}
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
	out := contract.Topic{
		Name:        t.Name,
		BrokerTopic: t.BrokerTopic(),
		Format:      or(string(t.Spec.Format), string(v1alpha1.EventFormatJSON)),
		KeyedBy:     string(t.Spec.KeyedBy),
		EventType:   string(t.Spec.Event.Type),
		EventID:     string(t.Spec.Event.ID),
		EventTime:   string(t.Spec.Event.Time),
		KeyField:    t.Spec.Key.Field,
	}
	if f := t.Spec.Key.Format; f != v1alpha1.KeyFormatText {
		out.KeyFormat = string(f)
	}
	for i := range t.Spec.Upcasts {
		u := &t.Spec.Upcasts[i]
		out.Upcasts = append(out.Upcasts, contract.Upcast{
			Name: u.Name, Events: slices.Clone(u.Events), When: string(u.When), Set: texts(u.Set), Unset: slices.Clone(u.Unset), Type: u.Type,
		})
	}
	return out
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
