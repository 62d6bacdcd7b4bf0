// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crd holds tests of the CustomResourceDefinitions in config/crd and of
// every YAML that users copy: config/samples, README.md and docs.
//
// Without build tags it looks at files alone: size, descriptions, the features
// that the oldest supported Kubernetes (1.30) has, and that samples compile. With
// the tag envtest it installs the CRDs in a real API server and applies
// everything with strict validation (KUBEBUILDER_ASSETS; see
// hack/cluster/envtest-assets).
package crd
