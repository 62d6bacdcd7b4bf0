// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"fmt"
	"log/slog"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
)

// Kafka gives the configuration of a Kafka client for the broker and topics. It
// fails when the broker's addresses come from a Secret that does not hold them yet.
func Kafka(m credentials.Mounts, b contract.Broker, topics []contract.Topic, log *slog.Logger) (kafka.Config, error) {
	if b.Kafka == nil {
		return kafka.Config{}, fmt.Errorf("EventBroker %s: spec.kafka is missing", b.Name)
	}
	bootstrap, err := m.KafkaBootstrap(*b.Kafka)
	if err != nil {
		return kafka.Config{}, err
	}
	mechanism := b.Kafka.Mechanism
	if mechanism == credentials.MechanismTLS {
		mechanism = "" // the certificate is presented by TLS itself
	}
	security, err := kafka.NewSecurity(mechanism, b.Kafka.TLS != nil, func() (kafka.Credentials, error) {
		return kafkaCredentials(m, *b.Kafka)
	})
	if err != nil {
		return kafka.Config{}, err
	}
	cfg := kafka.Config{
		Bootstrap: bootstrap, Security: security, Topics: make(map[string]string, len(topics)),
		Logf: func(format string, args ...any) { log.Debug(fmt.Sprintf(format, args...)) },
	}
	for _, t := range topics {
		cfg.Topics[t.Name] = t.BrokerTopic
	}
	return cfg, nil
}

func kafkaCredentials(m credentials.Mounts, b contract.KafkaBroker) (c kafka.Credentials, err error) {
	if b.TLS != nil {
		c.ServerName = b.TLS.ServerName
		if b.TLS.CA != nil {
			if c.CA, err = m.ReadKey(*b.TLS.CA); err != nil {
				return c, err
			}
		}
	}
	switch {
	case b.Mechanism == "" || b.Credentials == nil:
	case b.Mechanism == credentials.MechanismTLS:
		c.Certificate, c.Key, err = m.KafkaCertificate(*b.Credentials)
	default:
		c.Username, c.Password, err = m.KafkaPassword(*b.Credentials)
	}
	return c, err
}
