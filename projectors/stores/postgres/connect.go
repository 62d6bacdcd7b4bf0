// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// connect makes a pool. It does not dial: the first use does.
func connect(cfg Config) (*pgxpool.Pool, error) {
	pc, err := pgxpool.ParseConfig("host=localhost user=none dbname=none sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("postgres: PG* environment variables: %w", err)
	}
	cc := pc.ConnConfig
	// Parameters that PgBouncer knows too; whatever else a session needs is set by the prologue.
	cc.RuntimeParams = map[string]string{"application_name": applicationName(cfg.Application), "timezone": "UTC"}
	cc.Fallbacks = nil
	cc.ConnectTimeout = cfg.ConnectTimeout
	cc.DialFunc = dialer(cfg)
	pc.BeforeConnect = func(ctx context.Context, cc *pgx.ConnConfig) error { return resolve(ctx, cfg.Resolve, cc) }
	pc.MaxConns = cfg.MaxConns
	pc.MaxConnIdleTime = 5 * time.Minute
	pc.MaxConnLifetime = time.Hour
	pc.MaxConnLifetimeJitter = 10 * time.Minute
	pc.PingTimeout = cfg.ConnectTimeout
	return pgxpool.NewWithConfig(context.Background(), pc)
}

func resolve(ctx context.Context, r Resolver, cc *pgx.ConnConfig) error {
	e, err := r(ctx)
	if err != nil {
		return resolveError(err)
	}
	tc, err := e.TLS.config(e.Host)
	if err != nil {
		return &stores.EnvironmentError{Reason: ReasonTLS, Message: "cannot set up TLS: " + err.Error(), Err: err}
	}
	cc.Host, cc.Port, cc.Database, cc.User, cc.Password, cc.TLSConfig = e.Host, e.Port, e.Database, e.User, e.Password, tc
	if cc.Port == 0 {
		cc.Port = 5432
	}
	return nil
}

// resolveError says that the credentials cannot be read.
func resolveError(err error) error {
	var ee *stores.EnvironmentError
	if errors.As(err, &ee) {
		return err
	}
	reason := stores.ReasonSecretKeyMissing
	if r := (interface{ Reason() string })(nil); errors.As(err, &r) {
		reason = r.Reason()
	}
	return &stores.EnvironmentError{Reason: reason, Message: err.Error(), Err: err}
}

// applicationName keeps the end of a name that PostgreSQL would cut: the pod.
func applicationName(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	if len(clean) > MaxIdentifierBytes {
		clean = clean[len(clean)-MaxIdentifierBytes:]
	}
	return clean
}

func dialer(cfg Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control: func(network, _ string, c syscall.RawConn) error {
			if !strings.HasPrefix(network, "tcp") {
				return nil
			}
			return userTimeout(c, cfg.NetworkTimeout)
		},
	}
	return d.DialContext
}

// prologue is the first statement of every transaction: the settings that the
// rest relies on, for this transaction only. The planner's are there because a
// statement is planned once per connection, perhaps when its table was empty:
// rows are always found by primary key, and penalties must not wake up the JIT.
func (c Config) prologue() string {
	return settings(c.StatementTimeout, c.LockTimeout, c.IdleInTransactionTimeout, c.NetworkTimeout, [][2]string{
		{"plan_cache_mode", "force_generic_plan"},
		{"enable_seqscan", "off"},
		{"enable_hashjoin", "off"},
		{"enable_mergejoin", "off"},
		{"jit", "off"},
	})
}

// settings sets timeouts and more for one transaction; 0 is no timeout.
func settings(statement, lock, idle, network time.Duration, more [][2]string) string {
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	all := append([][2]string{
		{"search_path", "pg_catalog, pg_temp"},
		{"standard_conforming_strings", "on"},
		{"statement_timeout", ms(statement)},
		{"lock_timeout", ms(lock)},
		{"idle_in_transaction_session_timeout", ms(idle)},
		{"tcp_user_timeout", ms(network)},
		{"tcp_keepalives_idle", "10"},
	}, more...)
	parts := make([]string, len(all))
	for i, s := range all {
		parts[i] = "pg_catalog.set_config(" + literal(s[0]) + "," + literal(s[1]) + ",true)"
	}
	// Until the first setting holds, an operator is looked up in a path that is not ours. An administrator's remote_apply stays.
	const is = "pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) "
	return "SELECT " + strings.Join(parts, ", ") + ", CASE WHEN " + is + "'off' OR " + is + "'local'" +
		" THEN pg_catalog.set_config('synchronous_commit', 'on', true) END"
}

// clientCheck is how often the server looks during a long statement whether its client is still there.
const clientCheck = 10 * time.Second

// watchClient makes the server end a statement of the transaction whose client is gone. Otherwise it looks at its socket only when
// it has something to say, and a process that was killed leaves a CREATE INDEX that works on for hours and keeps its locks.
// PostgreSQL 13 does not have the setting, and a system that cannot tell refuses it: there it is as it was.
func watchClient(ctx context.Context, tx pgx.Tx) error {
	part, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	_, err = part.Exec(ctx, "SELECT pg_catalog.set_config(name, $1, true) FROM pg_catalog.pg_settings WHERE name = 'client_connection_check_interval' AND setting = '0'",
		strconv.FormatInt(clientCheck.Milliseconds(), 10))
	if _, code := sqlState(err); code == stateInvalidParameter {
		return part.Rollback(ctx)
	}
	if err != nil {
		return err
	}
	return part.Commit(ctx)
}

// inTx is rawTx with errors as the interfaces of package stores promise them.
func (c Config) inTx(ctx context.Context, pool *pgxpool.Pool, mode pgx.TxAccessMode, fn func(pgx.Tx) error) error {
	return environment(ctx, c.rawTx(ctx, pool, mode, fn))
}

// rawTx runs fn in a transaction with the prologue.
func (c Config) rawTx(ctx context.Context, pool *pgxpool.Pool, mode pgx.TxAccessMode, fn func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: mode}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, c.prologue()); err != nil {
			return err
		}
		return fn(tx)
	})
}
