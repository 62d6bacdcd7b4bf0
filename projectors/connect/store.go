// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"cmp"
	"context"
	"fmt"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/postgres"
)

// Writer opens the data path of a projection's revision. It does not connect yet.
func Writer(m credentials.Mounts, c *contract.Contract, application string) (stores.Writer, error) {
	cfg, err := postgresConfig(m, c.Store, application)
	if err != nil {
		return nil, err
	}
	return postgres.OpenWriter(cfg, c)
}

// Admin opens the DDL side of a store, with its DDL credentials where it has
// them. It does not connect yet.
func Admin(m credentials.Mounts, st contract.Store, application string) (stores.Admin, error) {
	cfg, err := postgresConfig(m, st, application)
	if err != nil {
		return nil, err
	}
	admin := postgres.AdminConfig{Config: cfg}
	if ddl := st.Postgres.DDLCredentials; ddl != nil {
		admin.Projector = cfg.Resolve
		admin.Resolve = resolver(m, *st.Postgres, *ddl)
	}
	return postgres.OpenAdmin(admin)
}

// Reader opens the side of a store that reads revisions (stores.Snapshotter), with the projector's credentials and one
// connection. It does not connect yet.
func Reader(m credentials.Mounts, st contract.Store, application string) (stores.Admin, error) {
	cfg, err := postgresConfig(m, st, application)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = 1
	return postgres.OpenAdmin(postgres.AdminConfig{Config: cfg})
}

func postgresConfig(m credentials.Mounts, st contract.Store, application string) (postgres.Config, error) {
	if st.Postgres == nil {
		return postgres.Config{}, fmt.Errorf("ReadStore %s: spec.postgres is missing", st.Name)
	}
	return postgres.Config{
		Resolve: resolver(m, *st.Postgres, st.Postgres.Credentials), Application: application,
		Schema: st.Postgres.Schema, BookkeepingSchema: st.Postgres.BookkeepingSchema,
	}, nil
}

func resolver(m credentials.Mounts, st contract.PostgresStore, ref contract.SecretRef) postgres.Resolver {
	return func(context.Context) (postgres.Endpoint, error) {
		c, err := m.Postgres(st, ref)
		if err != nil {
			return postgres.Endpoint{}, err
		}
		ep := postgres.Endpoint{Host: c.Host, Port: c.Port, Database: c.Database, User: c.Username, Password: c.Password}
		// libpq's allow and prefer have no promise to keep: without a declared
		// mode they are plaintext.
		if ep.TLS.Mode = c.SSLMode; c.SSLMode == "allow" || c.SSLMode == "prefer" {
			ep.TLS.Mode = "disable"
		}
		if st.TLS == nil {
			return ep, nil
		}
		ep.TLS.Mode = cmp.Or(st.TLS.Mode, ep.TLS.Mode, "verify-full")
		ep.TLS.ServerName = st.TLS.ServerName
		if st.TLS.CA != nil {
			ep.TLS.CA, err = m.ReadKey(*st.TLS.CA)
		}
		return ep, err
	}
}
