// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"errors"
	"regexp"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
)

// The mechanisms of KafkaBroker.Mechanism.
const (
	MechanismPlain       = "PLAIN"
	MechanismScramSHA256 = "SCRAM-SHA-256"
	MechanismScramSHA512 = "SCRAM-SHA-512"
	MechanismTLS         = "TLS"
)

// The keys under which well-known Secrets hold a property:
// Strimzi KafkaUser, Strimzi Access Operator and other Service Bindings, cert-manager.
var (
	kafkaUsernameKeys    = []string{"username", "user"}
	kafkaPasswordKeys    = []string{"password"}
	kafkaCertificateKeys = []string{"user.crt", "tls.crt", "ssl.keystore.crt", "certificates", "certificate"}
	kafkaPrivateKeyKeys  = []string{"user.key", "tls.key", "ssl.keystore.key", "private-key", "privateKey"}
	kafkaBootstrapKeys   = []string{"bootstrap.servers", "bootstrap-servers", "bootstrapServers"}
)

// jaasUsername finds the user in a Strimzi KafkaUser's sasl.jaas.config.
var jaasUsername = regexp.MustCompile(`\busername="((?:[^"\\]|\\.)*)"`)

// KafkaBootstrap gives the broker addresses: the declared ones, else those of
// the credentials Secret.
func (m Mounts) KafkaBootstrap(b contract.KafkaBroker) ([]string, error) {
	if len(b.BootstrapServers) > 0 {
		return b.BootstrapServers, nil
	}
	if b.Credentials == nil {
		return nil, errors.New("spec.kafka.bootstrapServers is empty and there is no Secret that could name them")
	}
	s, err := m.secret(*b.Credentials)
	if err != nil {
		return nil, err
	}
	list, err := s.need("bootstrapServers", kafkaBootstrapKeys...)
	if err != nil {
		return nil, err
	}
	var out []string
	for a := range strings.SplitSeq(list, ",") {
		if a = strings.TrimSpace(a); a != "" {
			out = append(out, a)
		}
	}
	return out, nil
}

// KafkaPassword gives user and password for PLAIN and SCRAM.
func (m Mounts) KafkaPassword(ref contract.SecretRef) (username, password string, err error) {
	s, err := m.secret(ref)
	if err != nil {
		return "", "", err
	}
	if password, err = s.need("password", kafkaPasswordKeys...); err != nil {
		return "", "", err
	}
	username, ok, err := s.find("username", kafkaUsernameKeys...)
	if err != nil || ok {
		return username, password, err
	}
	jaas, _, err := s.find("", "sasl.jaas.config")
	if err != nil {
		return "", "", err
	}
	if match := jaasUsername.FindStringSubmatch(jaas); match != nil {
		return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(match[1]), password, nil
	}
	// A Strimzi KafkaUser's Secret is named after its user.
	return ref.Name, password, nil
}

// KafkaCertificate gives the client certificate and its private key, in PEM,
// for mutual TLS.
func (m Mounts) KafkaCertificate(ref contract.SecretRef) (certificate, privateKey []byte, err error) {
	s, err := m.secret(ref)
	if err != nil {
		return nil, nil, err
	}
	cert, err := s.need("certificate", kafkaCertificateKeys...)
	if err != nil {
		return nil, nil, err
	}
	key, err := s.need("privateKey", kafkaPrivateKeyKeys...)
	if err != nil {
		return nil, nil, err
	}
	return []byte(cert), []byte(key), nil
}
