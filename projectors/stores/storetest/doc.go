// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storetest is the conformance suite of stores: Run(t, harness). What
// passes it gives the answers of fold/naive for every operation from every
// row, changes nothing when a fence or a value is wrong, and touches no
// relation of others.
//
// The suite knows only stores.Admin and stores.Writer, and through Database
// what an onlooker could do to a store: read rows, make a foreign relation,
// delete a position row. Each scenario gets an empty database of its own. What a
// store cannot do its Harness declares, with the reason; nothing is skipped otherwise.
// The number of cases is printed at the end.
package storetest
