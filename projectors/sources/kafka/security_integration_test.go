// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kafka_test

import (
	"os"
	"testing"

	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
)

func TestRealAdmin(t *testing.T) {
	h := realHarness(t)
	adminCases(t, h)
	a := admin(t, h)
	refused(t, a, kafka.TopicSpec{Name: h.topic("no/slash"), Partitions: 1})
	refused(t, a, kafka.TopicSpec{Name: h.topic("config"), Partitions: 1, Config: map[string]string{"retention.ms": "soon"}})
}

func TestRealSecurity(t *testing.T) {
	env := realEnv(t)
	if env["KAFKA_SASL_BOOTSTRAP"] == "" {
		t.Fatal("the broker's secured listeners are not known: unset KAFKA_BOOTSTRAP and run hack/kafka/up")
	}
	read := func(key string) []byte {
		b, err := os.ReadFile(env[key])
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	right := kafka.Credentials{Username: env["KAFKA_SASL_USER"], Password: env["KAFKA_SASL_PASSWORD"], CA: read("KAFKA_CA_FILE")}
	wrong := right
	wrong.Password = "s3cr3t-wrong"
	mutual := kafka.Credentials{CA: right.CA, Certificate: read("KAFKA_CERT_FILE"), Key: read("KAFKA_KEY_FILE")}
	stranger := mutual
	stranger.Certificate, stranger.Key = newAuthority(t).issue(t)
	otherCA := right
	otherCA.CA = newAuthority(t).pem

	for _, c := range []struct {
		name, listener, mechanism string
		tls                       bool
		wrong, right              kafka.Credentials
	}{
		{"PLAIN", "KAFKA_SASL_BOOTSTRAP", kafka.Plain, false, wrong, right},
		{"SCRAM-SHA-256", "KAFKA_SASL_BOOTSTRAP", kafka.ScramSHA256, false, wrong, right},
		{"SCRAM-SHA-512", "KAFKA_SASL_BOOTSTRAP", kafka.ScramSHA512, false, wrong, right},
		{"SCRAM with TLS", "KAFKA_SASL_SSL_BOOTSTRAP", kafka.ScramSHA512, true, wrong, right},
		{"PLAIN with TLS, wrong CA", "KAFKA_SASL_SSL_BOOTSTRAP", kafka.Plain, true, otherCA, right},
		{"mutual TLS, no certificate", "KAFKA_SSL_BOOTSTRAP", "", true, kafka.Credentials{CA: right.CA}, mutual},
		{"mutual TLS, a stranger's certificate", "KAFKA_SSL_BOOTSTRAP", "", true, stranger, mutual},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := realHarness(t)
			h.CreateTopic(t, "orders", 1)
			s := &secret{}
			s.set(c.wrong, nil)
			cfg := secured(t, []string{env[c.listener]}, c.mechanism, c.tls, s)
			cfg.Topics["orders"], cfg.Group = h.topic("orders"), h.topic("g")
			l := open(t, cfg)
			err, gerr := tries(t, l, cfg)
			wantReason(t, sources.ReasonAuthenticationFailed, err, gerr)
			s.set(c.right, nil)
			if err, gerr := tries(t, l, cfg); err != nil || gerr != nil {
				t.Errorf("with the right credentials: %v, %v", err, gerr)
			}
		})
	}
}
