// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crd holds the generated CustomResourceDefinitions, so that a program
// without an API server can refuse what one would refuse.
package crd

import "embed"

// Bases are the CustomResourceDefinitions, one file each, named bases/<group>_<plural>.yaml.
//
//go:embed bases/*.yaml
var Bases embed.FS
