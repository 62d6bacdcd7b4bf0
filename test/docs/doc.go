// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs holds tests of what users read: links between the Markdown files
// of this repository lead somewhere, tables are tables, expressions and reasons are what the code
// says. It needs nothing but Go.
//
// Neighbours: test/crd applies the YAML of the same files.
package docs
