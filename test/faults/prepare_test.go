// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
	"github.com/projectionist-dev/projectionist/test/oracle"
)

// What cannot be prepared is refused with a reason, and can be prepared once the
// reason is gone.
func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason string
		spoil  func(t *testing.T, p *rig.Projection)
		mend   func(t *testing.T, p *rig.Projection)
		names  func(p *rig.Projection) string
	}{
		{
			reason: "TopicMissing",
			spoil:  func(t *testing.T, p *rig.Projection) { p.Kafka.DeleteTopic(t, p.BrokerTopic(oracle.Orders)) },
			mend:   func(t *testing.T, p *rig.Projection) { p.Kafka.CreateTopic(t, p.BrokerTopic(oracle.Orders), 2, nil) },
			names:  func(*rig.Projection) string { return "EventTopic " + oracle.Orders },
		},
		{
			reason: "AuthenticationFailed",
			spoil: func(t *testing.T, p *rig.Projection) {
				p.WriteSecret(t, rig.StoreSecret, map[string]string{"password": wrongPassword})
			},
			mend: func(t *testing.T, p *rig.Projection) {
				p.WriteSecret(t, rig.StoreSecret, map[string]string{"password": p.Database.Env("PG_PASSWORD_PROJECTOR")})
			},
			names: func(*rig.Projection) string { return "login" },
		},
		{
			reason: "SecretKeyMissing",
			spoil: func(t *testing.T, p *rig.Projection) {
				if err := os.Remove(filepath.Join(p.Dir, "secrets", rig.StoreSecret, "password")); err != nil {
					t.Fatal(err)
				}
			},
			mend: func(t *testing.T, p *rig.Projection) {
				p.WriteSecret(t, rig.StoreSecret, map[string]string{"password": p.Database.Env("PG_PASSWORD_PROJECTOR")})
			},
			names: func(*rig.Projection) string { return rig.StoreSecret + "/password" },
		},
		{
			reason: "Unreachable",
			spoil: func(_ *testing.T, p *rig.Projection) {
				p.Contract.Broker.Kafka.BootstrapServers = []string{"127.0.0.1:1"}
			},
			mend: func(_ *testing.T, p *rig.Projection) {
				p.Contract.Broker.Kafka.BootstrapServers = []string{p.Broker.Env("KAFKA_BOOTSTRAP")}
			},
			names: func(*rig.Projection) string { return "127.0.0.1:1" },
		},
		{
			reason: "NameTaken",
			spoil: func(t *testing.T, p *rig.Projection) {
				schema := pgx.Identifier{p.ID}.Sanitize()
				if _, err := p.Pool.Exec(t.Context(), "CREATE SCHEMA "+schema+" AUTHORIZATION projector; CREATE TABLE "+schema+".ledger (theirs text); "+
					"INSERT INTO "+schema+".ledger VALUES ('kept')"); err != nil {
					t.Fatal(err)
				}
			},
			mend: func(t *testing.T, p *rig.Projection) {
				var kept string
				table := pgx.Identifier{p.ID, oracle.Ledger}.Sanitize()
				if err := p.Pool.QueryRow(t.Context(), "SELECT theirs FROM "+table).Scan(&kept); err != nil || kept != "kept" {
					t.Errorf("somebody's table was touched: %q, %v", kept, err)
				}
				if _, err := p.Pool.Exec(t.Context(), "DROP TABLE "+table); err != nil {
					t.Fatal(err)
				}
			},
			names: func(*rig.Projection) string { return oracle.Ledger },
		},
	} {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			p := calm.NewProjection(t, rig.LedgerSpec(2, 1))
			c.spoil(t, p)
			res, said := p.TryPrepare(t)
			t.Logf("%s: %s", res.Reason, res.Message)
			if res.OK || res.Reason != c.reason || !strings.Contains(res.Message, c.names(p)) {
				t.Errorf("want %s naming %q, got %+v", c.reason, c.names(p), res)
			}
			for _, secret := range []string{wrongPassword, p.Database.Env("PG_PASSWORD_PROJECTOR")} {
				if strings.Contains(said, secret) {
					t.Errorf("the action shows a password: %s", said)
				}
			}
			c.mend(t, p)
			p.Prepare(t)
			p.Prepare(t) // once more changes nothing
		})
	}
}

// A topic that goes away while it is read is a fault of the surroundings until
// another one of its name comes.
func TestTopicDeleted(t *testing.T) {
	t.Parallel()
	p, feed := ledger(t, calm, 30, 1, 1)
	proc := p.Start(t, launch("one"))
	feed.Produce(t, 500)
	settle(t, p, feed)
	p.Kafka.DeleteTopic(t, p.BrokerTopic(oracle.Orders))
	st := proc.AwaitStatus(t, 60*time.Second, "misses the topic", func(st contract.ProjectorStatus) string {
		if !st.Source.OK {
			return ""
		}
		return "the source is said to be healthy"
	})
	t.Logf("%s: %s", st.Source.Reason, st.Source.Message)
	if st.Source.Reason != "TopicMissing" {
		t.Errorf("the reason is %s", st.Source.Reason)
	}
	proc.AwaitStatus(t, 30*time.Second, "is not caught up with a topic that is gone", func(st contract.ProjectorStatus) string {
		for _, part := range st.Partitions {
			if part.Topic == oracle.Orders && (part.CaughtUp || part.Waiting == "") {
				return "is said to be caught up, or to wait for nothing"
			}
		}
		return ""
	})
	feed.Verify(t)
}
