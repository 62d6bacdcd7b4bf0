// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"fmt"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
	"github.com/projectionist-dev/projectionist/projectors/registry"
)

// Schemas gives the schema registry of a broker, nil where it has none. It does
// not connect yet; its requests end with ctx.
func Schemas(ctx context.Context, m credentials.Mounts, b contract.Broker) (codecs.Schemas, error) {
	if b.Registry == nil {
		return nil, nil
	}
	return Registry(ctx, m, b)
}

// Registry is the client of the schema registry of a broker that has one.
func Registry(ctx context.Context, m credentials.Mounts, b contract.Broker) (*registry.Client, error) {
	r := *b.Registry
	c, err := registry.New(ctx, registry.Config{URLs: r.URLs, Access: func() (registry.Access, error) { return registryAccess(m, r) }})
	if err != nil {
		return nil, fmt.Errorf("EventBroker %s: spec.schemaRegistry: %w", b.Name, err)
	}
	return c, nil
}

func registryAccess(m credentials.Mounts, r contract.Registry) (a registry.Access, err error) {
	if r.TLS != nil {
		a.ServerName = r.TLS.ServerName
		if r.TLS.CA != nil {
			if a.CA, err = m.ReadKey(*r.TLS.CA); err != nil {
				return a, err
			}
		}
	}
	if r.Credentials != nil {
		a.Username, a.Password, a.Token, err = m.RegistryLogin(*r.Credentials)
	}
	return a, err
}
