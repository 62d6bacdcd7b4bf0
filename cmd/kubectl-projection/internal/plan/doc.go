// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plan says before a change is applied what it will do.
//
// It compiles the Projections of some files, finds what runs (in a cluster, or in
// files of before), and prints the way from one to the other as text, Markdown or a document.
//
// Invariants: it changes nothing. What it cannot know it says it does not know.
// The class of a plan is the operator's own decision: both go by contract/compile.
//
// Neighbours: contract/change classifies, workspace compiles, cluster reads, postgres gives the DDL.
package plan
