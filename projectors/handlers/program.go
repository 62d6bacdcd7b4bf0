// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"sync"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/jsondoc"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/fold"
)

// Program is a compiled contract. It is safe for concurrent use.
type Program struct {
	contract *contract.Contract
	schemas  codecs.Schemas
	models   []fold.Model
	topics   map[string]*topic
	// rows holds *rowEvaluators for loaders and finishers, which run on any goroutine.
	rows sync.Pool
}

// Models gives the shapes of the tables, in the contract's order: Effect.Model
// is an index into it. It must not be modified.
func (p *Program) Models() []fold.Model { return p.models }

// topic is what happens to the events of one topic.
type topic struct {
	contract                                *contract.Topic
	name                                    string
	keyedBy, typ, id, time                  *expr.Program
	pathKeyedBy, pathType, pathID, pathTime string
	upcasts                                 []upcast
	// members are those of the payload that the expressions read by fixed paths.
	members  jsondoc.Paths
	dispatch *dispatch
	// tombstones take the records without a value.
	tombstones []*handler
	// needsID, needsHeaders: evaluated only where an expression reads them.
	needsID, needsHeaders bool
}

// handler is one handler of one model.
type handler struct {
	program *Program
	model   int
	path    string
	forEach *expr.Program
	when    *expr.Program
	// whenLoads is true where the condition reads row.
	whenLoads    bool
	delete       bool
	ignoreAbsent bool
	key          []operand
	where        []operand
	// version is nil without versionBy; versions are the model's version columns.
	version  *operand
	versions []int
	changes  []operand
	// loads makes its effects loading ones: what they do depends on the row.
	loads bool
	// reads says what a loader has to keep of the event.
	reads reads
	// deleted is the index of contract.DeletedColumn, -1 where the model has none.
	deleted int
}

// isDeleted tells whether a row is the tombstone of one that was deleted.
func isDeleted(deleted int, row []value.Value) bool {
	return deleted >= 0 && row != nil && row[deleted] == true
}
