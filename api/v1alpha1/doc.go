// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the resources of the API group
// cqrs.projectionist.dev: EventBroker, EventTopic, ReadStore and Projection,
// with their condition types and reasons.
//
// Only what works is in these types. Shape, size and uniqueness are checked by
// the schema generated from them (config/crd); everything that needs more than
// one field in view is checked by contract/compile. It is a leaf: it imports
// apimachinery and the core types, no client and nothing of this module.
//
// +kubebuilder:object:generate=true
// +groupName=cqrs.projectionist.dev
package v1alpha1
