// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import "github.com/projectionist-dev/projectionist/contract"

// Mounts are the names of the Secrets and ConfigMaps that a container needs.
type Mounts struct {
	Secrets    []string
	ConfigMaps []string
}

// Add adds what a broker and a store refer to; either may be nil. DDL adds the
// credentials that only prepare and retire may see.
func (m Mounts) Add(b *contract.Broker, s *contract.Store, ddl bool) Mounts {
	if b != nil && b.Kafka != nil {
		m = m.secret(b.Kafka.Credentials).tls(b.Kafka.TLS)
	}
	if b != nil && b.Registry != nil {
		m = m.secret(b.Registry.Credentials).tls(b.Registry.TLS)
	}
	if s != nil && s.Postgres != nil {
		m = m.secret(&s.Postgres.Credentials).tls(s.Postgres.TLS)
		if ddl {
			m = m.secret(s.Postgres.DDLCredentials)
		}
	}
	return m
}

func (m Mounts) secret(r *contract.SecretRef) Mounts {
	if r != nil && r.Name != "" {
		m.Secrets = append(m.Secrets, r.Name)
	}
	return m
}

func (m Mounts) tls(t *contract.TLS) Mounts {
	if t == nil || t.CA == nil {
		return m
	}
	if t.CA.Secret != "" {
		m.Secrets = append(m.Secrets, t.CA.Secret)
	}
	if t.CA.ConfigMap != "" {
		m.ConfigMaps = append(m.ConfigMaps, t.CA.ConfigMap)
	}
	return m
}
