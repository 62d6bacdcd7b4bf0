// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resources builds the objects that the operator makes: ConfigMap,
// Deployment, PodDisruptionBudget, ServiceAccount, Service and NetworkPolicy of
// a projection, and the Jobs that act on brokers and stores.
//
// Every function is pure: the same input gives the same object, byte for byte,
// which golden tests hold. Everything built runs under the restricted Pod
// Security Standard, mounts no API token and names Secrets without reading them
// (Law 7). A Secret is mounted whole and optional, so that a missing one is
// reported by the projector instead of hanging the pod.
//
// Neighbours: controllers/plan decides what to build, controllers/apply brings
// it to the API server.
package resources
