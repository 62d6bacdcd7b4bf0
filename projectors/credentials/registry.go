// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import "github.com/projectionist-dev/projectionist/contract"

// RegistryLogin gives what a schema registry is logged in at with: a bearer
// token where the Secret holds one, otherwise user name and password.
func (m Mounts) RegistryLogin(ref contract.SecretRef) (username, password, token string, err error) {
	s, err := m.secret(ref)
	if err != nil {
		return "", "", "", err
	}
	token, ok, err := s.find("token", "token")
	if err != nil || ok {
		return "", "", token, err
	}
	if username, err = s.need("username", "username", "user"); err != nil {
		return "", "", "", err
	}
	password, err = s.need("password", "password")
	return username, password, "", err
}
