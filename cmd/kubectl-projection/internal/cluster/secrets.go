// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// Contract gives the contract of a revision of a projection, as its projectors run it: its name or the beginning of it;
// "" is the revision that readers see.
func (c *Cluster) Contract(ctx context.Context, p *v1alpha1.Projection, revision string) (*contract.Contract, error) {
	known, err := c.Revisions(ctx, p)
	if err != nil {
		return nil, err
	}
	if revision == "" {
		revision = p.Status.ActiveRevision
	}
	var names []string
	var found *contract.Contract
	for _, r := range known {
		names = append(names, r.Contract.Revision)
		if revision == "" || !strings.HasPrefix(r.Contract.Revision, revision) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("Projection %s/%s has several revisions that begin with %s; give all ten digits", c.Namespace, p.Name, revision)
		}
		found = r.Contract
	}
	switch {
	case revision == "":
		return nil, fmt.Errorf("Projection %s/%s: readers see no revision yet; kubectl projection status %s says why", c.Namespace, p.Name, p.Name)
	case found == nil:
		return nil, fmt.Errorf("Projection %s/%s has no revision %s whose contract is known; there are %s", c.Namespace, p.Name, revision, strings.Join(names, ", "))
	}
	if mounted, err := c.mounted(ctx, p, found.Revision); err == nil && mounted != nil {
		found = mounted
	}
	return found, nil
}

// Mounted is a Secret or ConfigMap.
type Mounted struct {
	Secret bool
	Name   string
	Data   map[string][]byte
}

// Mounts reads the Secrets and ConfigMaps of these names, with the user's own rights. What is not there is left out, and
// so is what the user may not read: denied names it.
func (c *Cluster) Mounts(ctx context.Context, secrets, configMaps []string) (out []Mounted, denied []string, err error) {
	read := func(o client.Object, name string) (bool, error) {
		found, err := c.Get(ctx, name, o)
		if Forbidden(err) {
			denied = append(denied, name)
			return false, nil
		}
		return found, err
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(secrets))) {
		var s corev1.Secret
		found, err := read(&s, name)
		if err != nil {
			return nil, nil, fmt.Errorf("reading Secret %s/%s: %w", c.Namespace, name, err)
		}
		if found {
			out = append(out, Mounted{true, name, s.Data})
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(configMaps))) {
		var m corev1.ConfigMap
		found, err := read(&m, name)
		if err != nil {
			return nil, nil, fmt.Errorf("reading ConfigMap %s/%s: %w", c.Namespace, name, err)
		}
		if !found {
			continue
		}
		one := Mounted{Name: name, Data: map[string][]byte{}}
		for key, text := range m.Data {
			one.Data[key] = []byte(text)
		}
		out = append(out, one)
	}
	return out, denied, nil
}
