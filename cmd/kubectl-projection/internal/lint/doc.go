// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lint finds in manifests, without a cluster, what the API server and
// the operator would refuse, and what they would accept but a person may regret.
//
// It asks in this order: the files (are they YAML, is a key given twice), the
// API server's own code on each resource (schemas), the resources of the files
// together (names that are taken, references), and the compiler on each
// projection, and on each Replay of one (contract/compile). A question whose answer depends on a field that
// was refused already is not asked, so that one mistake makes one finding.
//
// Invariants: what has no finding of severity error is accepted by API server
// and operator, as far as files can tell: not whether a Secret, a topic or a
// database is there. Every finding has the position of its field. Findings are
// sorted, errors first.
//
// Neighbours: manifests (files and positions), schemas, contract/compile, ptest
// (ProjectionTest files), output.
package lint
