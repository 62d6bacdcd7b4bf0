// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
)

// MissingError says that a Secret or ConfigMap, or a key in it, is not there.
type MissingError struct {
	// Kind is Secret or ConfigMap.
	Kind, Name string
	// Keys are the keys of which one was looked for; none when the object itself is missing.
	Keys []string
}

// Reason is how conditions name the fault.
func (e *MissingError) Reason() string {
	if len(e.Keys) == 0 {
		return "SecretMissing"
	}
	return "SecretKeyMissing"
}

func (e *MissingError) Error() string {
	if len(e.Keys) == 0 {
		return fmt.Sprintf("%s %s does not exist in this namespace, or is empty: create it (it is read again by itself)", e.Kind, e.Name)
	}
	return fmt.Sprintf("%s: %s %s has no such key: add it, or map another key to it with keys (it is read again by itself)",
		e.Name+"/"+strings.Join(e.Keys, "|"), e.Kind, e.Name)
}

// Mounts says where Secrets and ConfigMaps are mounted, one directory each.
type Mounts struct {
	Secrets    string
	ConfigMaps string
}

// DefaultMounts are the operator's.
func DefaultMounts() Mounts {
	return Mounts{Secrets: contract.SecretsDir, ConfigMaps: contract.ConfigMapsDir}
}

// ReadKey reads one key of a Secret or ConfigMap, as it is now.
func (m Mounts) ReadKey(ref contract.KeyRef) ([]byte, error) {
	kind, name, dir := "Secret", ref.Secret, m.Secrets
	if ref.ConfigMap != "" {
		kind, name, dir = "ConfigMap", ref.ConfigMap, m.ConfigMaps
	}
	data, err := readFile(filepath.Join(dir, name), ref.Key)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, &MissingError{Kind: kind, Name: name, Keys: []string{ref.Key}}
	}
	return data, nil
}

// readFile is nil without an error when there is no such file.
func readFile(dir, key string) ([]byte, error) {
	if key == "" || key != filepath.Base(key) {
		return nil, fmt.Errorf("%q is no key of a Secret", key)
	}
	data, err := os.ReadFile(filepath.Join(dir, key)) //nolint:gosec // both parts come from the operator and are single path elements
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// secret is a mounted Secret seen through a SecretRef's key mapping.
type secret struct {
	ref contract.SecretRef
	dir string
}

func (m Mounts) secret(ref contract.SecretRef) (secret, error) {
	s := secret{ref: ref, dir: filepath.Join(m.Secrets, ref.Name)}
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	// The kubelet's own entries (..data) stand in the directory of an optional Secret that does not exist, too.
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !strings.HasPrefix(e.Name(), "..") }) {
		return s, &MissingError{Kind: "Secret", Name: ref.Name}
	}
	return s, nil
}

// find gives the property's value: from the mapped key if there is a mapping,
// otherwise from the first of the well-known keys that exists. ok is false when
// there is none; a mapped key that is missing is an error.
func (s secret) find(property string, wellKnown ...string) (value string, ok bool, err error) {
	keys := wellKnown
	mapped, isMapped := s.ref.Keys[property]
	if isMapped {
		keys = []string{mapped}
	}
	for _, k := range keys {
		data, err := readFile(s.dir, k)
		if err != nil {
			return "", false, err
		}
		if data != nil {
			// Files written by hand often end in a newline that is no part of the value.
			return strings.TrimRight(string(data), "\r\n"), true, nil
		}
	}
	if isMapped {
		return "", false, s.missing(mapped)
	}
	return "", false, nil
}

// need is find for a property that must be there.
func (s secret) need(property string, wellKnown ...string) (string, error) {
	v, ok, err := s.find(property, wellKnown...)
	if err == nil && !ok {
		err = s.missing(wellKnown...)
	}
	return v, err
}

func (s secret) missing(keys ...string) error {
	return &MissingError{Kind: "Secret", Name: s.ref.Name, Keys: keys}
}
