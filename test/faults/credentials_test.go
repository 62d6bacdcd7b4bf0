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

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/test/internal/rig"
)

// wrongPassword must never be seen again.
const wrongPassword = "canary-of-a-password-7c1f"

func storeReason(reason string) func(contract.ProjectorStatus) string {
	return func(st contract.ProjectorStatus) string {
		if st.Store.OK || st.Store.Reason != reason || st.Store.Message == "" {
			return "the store's health is not " + reason
		}
		return ""
	}
}

func sourceReason(reason string) func(contract.ProjectorStatus) string {
	return func(st contract.ProjectorStatus) string {
		if st.Source.OK || st.Source.Reason != reason || st.Source.Message == "" {
			return "the source's health is not " + reason
		}
		return ""
	}
}

// keepsSecrets fails when something secret is in what a projector says.
func keepsSecrets(t *testing.T, proc *rig.Process, secrets ...string) {
	t.Helper()
	said := map[string]string{"its log": proc.Tail(1 << 30)}
	for _, path := range []string{"/status", "/metrics"} {
		body, err := proc.Get(path)
		if err != nil {
			t.Fatal(err)
		}
		said[path] = string(body)
	}
	for where, text := range said {
		for _, secret := range secrets {
			if secret != "" && strings.Contains(text, secret) {
				t.Errorf("%q is in %s", secret, where)
			}
		}
	}
}

func TestStorePasswordRotates(t *testing.T) {
	t.Parallel()
	p, feed := ledger(t, calm, 7, 2, 1)
	right := p.Database.Env("PG_PASSWORD_PROJECTOR")
	p.WriteSecret(t, rig.StoreSecret, map[string]string{"password": wrongPassword})
	proc := p.Start(t, launch("patient"))
	feed.Produce(t, 1000)
	st := proc.AwaitStatus(t, 30*time.Second, "says that the login is refused", storeReason("AuthenticationFailed"))
	t.Logf("%s: %s", st.Store.Reason, st.Store.Message)
	p.WriteSecret(t, rig.StoreSecret, map[string]string{"password": right})
	settle(t, p, feed)
	proc.AwaitStatus(t, 10*time.Second, "is healthy", healthy)
	keepsSecrets(t, proc, wrongPassword, right)
}

func TestStoreSecretMissing(t *testing.T) {
	t.Parallel()
	p, feed := ledger(t, calm, 8, 2, 1)
	file := filepath.Join(p.Dir, "secrets", rig.StoreSecret, "password")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	proc := p.Start(t, launch("patient"))
	feed.Produce(t, 1000)
	st := proc.AwaitStatus(t, 30*time.Second, "names the missing key", storeReason("SecretKeyMissing"))
	if !strings.Contains(st.Store.Message, rig.StoreSecret+"/password") {
		t.Errorf("the message does not name Secret and key: %s", st.Store.Message)
	}
	p.WriteSecret(t, rig.StoreSecret, map[string]string{"password": p.Database.Env("PG_PASSWORD_PROJECTOR")})
	settle(t, p, feed)
}

func TestBrokerPasswordRotates(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			p := calm.NewProjection(t, rig.LedgerSpec(2, 1))
			k := p.Contract.Broker.Kafka
			k.BootstrapServers = []string{p.Broker.Env("KAFKA_SASL_BOOTSTRAP")}
			k.Mechanism, k.Credentials = mechanism, &contract.SecretRef{Name: rig.BrokerSecret}
			right := p.Broker.Env("KAFKA_SASL_PASSWORD")
			p.WriteSecret(t, rig.BrokerSecret, map[string]string{"username": p.Broker.Env("KAFKA_SASL_USER"), "password": right})
			p.Prepare(t)
			p.Audit(t)
			feed := p.NewFeed(9, 300, 20)
			feed.Produce(t, 1000)
			p.WriteSecret(t, rig.BrokerSecret, map[string]string{"password": wrongPassword})
			proc := p.Start(t, launch("patient"))
			st := proc.AwaitStatus(t, 40*time.Second, "says that the login is refused", sourceReason("AuthenticationFailed"))
			t.Logf("%s: %s", st.Source.Reason, st.Source.Message)
			p.WriteSecret(t, rig.BrokerSecret, map[string]string{"password": right})
			settle(t, p, feed)
			proc.AwaitStatus(t, 10*time.Second, "is healthy", healthy)
			keepsSecrets(t, proc, wrongPassword, right, p.Database.Env("PG_PASSWORD_PROJECTOR"))
		})
	}
}

func TestBrokerUnreachable(t *testing.T) {
	t.Parallel()
	p, _ := ledger(t, calm, 10, 1, 1)
	p.Contract.Broker.Kafka.BootstrapServers = []string{"127.0.0.1:1"}
	proc := p.Start(t, launch("patient"))
	st := proc.AwaitStatus(t, 40*time.Second, "says that the broker is away", sourceReason("Unreachable"))
	t.Logf("%s: %s", st.Source.Reason, st.Source.Message)
	if took, err := proc.Terminate(10 * time.Second); err != nil {
		t.Errorf("SIGTERM while it waits: %v after %v", err, took)
	}
}
