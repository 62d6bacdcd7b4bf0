// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package jsondoc reads JSON texts of which only some members are wanted: one
// pass holds the whole text to the letter of JSON and notes where the wanted
// members are. The tree of all of it is parsed when something asks for more.
//
// Invariants: whether a text is good does not depend on which members are wanted;
// a text that Scan takes is one that fastjson parses, and a member is what a
// lookup in that tree gives (of two members of one name the first; names compare
// by what they mean, not by how they are spelled). A fuzz test holds both. A scan
// reads the text once, and allocates nothing but for names longer than 64 bytes with escapes in them.
//
// Neighbours: contract/expr names the members and reads them, projectors/codecs
// scans payloads.
package jsondoc
