// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package secrets gathers the Secrets and ConfigMaps that manifests refer to, on
// the machine of a user: from a directory, from a cluster, from manifests and from the environment.
//
// Invariants: what is gathered lies in a directory that only the user can read and
// that is removed at the end; the environment wins over manifests, and these over
// the directory; no message holds a secret.
//
// Neighbours: projectors/credentials reads the result as it reads mounts in a pod.
package secrets

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	k8syaml "sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
)

// Sources are where to look.
type Sources struct {
	// Dir has a directory per Secret with a file per key; empty is none.
	Dir string
	// Manifests are files and directories with Secrets and ConfigMaps among others.
	Manifests []string
	// Mounted are Secrets and ConfigMaps as they are; manifests win over them.
	Mounted []cluster.Mounted
	// Environ has the variables, as os.Environ gives them.
	Environ []string
}

// Gather collects what the contracts refer to. Remove takes it away again.
func Gather(s Sources, contracts ...*contract.Contract) (m credentials.Mounts, remove func() error, err error) {
	dir, err := os.MkdirTemp("", "kubectl-projection-")
	if err != nil {
		return m, nil, err
	}
	remove = func() error { return os.RemoveAll(dir) }
	m = credentials.Mounts{Secrets: filepath.Join(dir, "secrets"), ConfigMaps: filepath.Join(dir, "configmaps")}
	if err := s.gather(m, contracts); err != nil {
		return m, nil, errors.Join(err, remove())
	}
	return m, remove, nil
}

func (s Sources) gather(m credentials.Mounts, contracts []*contract.Contract) error {
	if s.Dir != "" {
		if err := copyTree(s.Dir, m.Secrets); err != nil {
			return fmt.Errorf("--secrets: %w", err)
		}
	}
	for _, o := range s.Mounted {
		to := m.ConfigMaps
		if o.Secret {
			to = m.Secrets
		}
		for key, data := range o.Data {
			if err := put(to, o.Name, key, data); err != nil {
				return err
			}
		}
	}
	for _, path := range s.Manifests {
		if err := manifests(path, m); err != nil {
			return err
		}
	}
	for _, c := range contracts {
		for _, name := range Names(c) {
			if err := environment(s.Environ, name, m); err != nil {
				return err
			}
		}
	}
	return nil
}

func put(dir, name, key string, data []byte) error {
	if name != filepath.Base(name) || key != filepath.Base(key) || strings.HasPrefix(name, ".") {
		return fmt.Errorf("%q is not the name of a Secret or ConfigMap with a key %q", name, key)
	}
	if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name, key), data, 0o600) //nolint:gosec // a directory of our own; names and keys are those of Kubernetes
}

// copyTree takes over the directory of the user; links of mounted Secrets are followed.
func copyTree(from, to string) error {
	secrets, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, s := range secrets {
		keys, err := os.ReadDir(filepath.Join(from, s.Name()))
		if err != nil {
			continue // a file beside the directories
		}
		for _, k := range keys {
			data, err := os.ReadFile(filepath.Join(from, s.Name(), k.Name())) //nolint:gosec // the directory is the user's own
			if err != nil {
				continue // a directory of the kubelet's
			}
			if err := put(to, s.Name(), k.Name(), data); err != nil {
				return err
			}
		}
	}
	return nil
}

// object is a Secret or a ConfigMap.
type object struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Data       map[string]string `json:"data"`
	StringData map[string]string `json:"stringData"`
}

func manifests(root string, m credentials.Mounts) error {
	if root == "-" {
		return nil
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path != root && !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			return err
		}
		data, err := os.ReadFile(path) //nolint:gosec // the path is the user's own argument
		if err != nil {
			return err
		}
		for doc := range bytes.SplitSeq(data, []byte("\n---")) {
			var o object
			// What is not YAML is for others to complain about.
			if k8syaml.Unmarshal(doc, &o) != nil {
				continue
			}
			if err := o.put(m); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		return nil
	})
}

func (o *object) put(m credentials.Mounts) error {
	switch o.Kind {
	case "ConfigMap":
		for key, text := range o.Data {
			if err := put(m.ConfigMaps, o.Metadata.Name, key, []byte(text)); err != nil {
				return err
			}
		}
	case "Secret":
		for key, text := range o.Data {
			data, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return fmt.Errorf("secret %s: data.%s is not base64; write it to stringData as it is", o.Metadata.Name, key)
			}
			if err := put(m.Secrets, o.Metadata.Name, key, data); err != nil {
				return err
			}
		}
		for key, text := range o.StringData {
			if err := put(m.Secrets, o.Metadata.Name, key, []byte(text)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ConfigMaps are those that a contract refers to.
func ConfigMaps(c *contract.Contract) []string {
	var out []string
	ca := func(t *contract.TLS) {
		if t != nil && t.CA != nil && t.CA.ConfigMap != "" {
			out = append(out, t.CA.ConfigMap)
		}
	}
	if k := c.Broker.Kafka; k != nil {
		ca(k.TLS)
	}
	if r := c.Broker.Registry; r != nil {
		ca(r.TLS)
	}
	if p := c.Store.Postgres; p != nil {
		ca(p.TLS)
	}
	return out
}

// Names are the Secrets that a contract refers to.
func Names(c *contract.Contract) []string {
	var out []string
	ref := func(r *contract.SecretRef) {
		if r != nil && r.Name != "" {
			out = append(out, r.Name)
		}
	}
	ca := func(t *contract.TLS) {
		if t != nil && t.CA != nil && t.CA.Secret != "" {
			out = append(out, t.CA.Secret)
		}
	}
	if k := c.Broker.Kafka; k != nil {
		ref(k.Credentials)
		ca(k.TLS)
	}
	if r := c.Broker.Registry; r != nil {
		ref(r.Credentials)
		ca(r.TLS)
	}
	if p := c.Store.Postgres; p != nil {
		ref(&p.Credentials)
		ref(p.DDLCredentials)
		ca(p.TLS)
	}
	return out
}

// Variable is the beginning of the variables that hold the keys of a Secret: SECRET_ORDERS_APP_.
func Variable(secret string) string {
	return "SECRET_" + strings.ToUpper(strings.Map(func(r rune) rune {
		if r == '-' || r == '.' {
			return '_'
		}
		return r
	}, secret)) + "_"
}

// environment takes the keys of a Secret from variables. A variable's name cannot
// tell -, . and _ apart, so a key is there in each of these forms.
func environment(environ []string, secret string, m credentials.Mounts) error {
	prefix := Variable(secret)
	for _, v := range environ {
		name, text, _ := strings.Cut(v, "=")
		key, ok := strings.CutPrefix(name, prefix)
		if !ok || key == "" {
			continue
		}
		key = strings.ToLower(key)
		for _, form := range []string{"_", "-", "."} {
			if err := put(m.Secrets, secret, strings.ReplaceAll(key, "_", form), []byte(text)); err != nil {
				return err
			}
		}
	}
	return nil
}
