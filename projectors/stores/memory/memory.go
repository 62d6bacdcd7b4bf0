// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Store is a database. Its methods may be called concurrently.
type Store struct {
	mu          sync.Mutex
	hooks       Hooks
	projections map[owner]*projection
	relations   map[string]*relation
	// changed is closed and made anew whenever a position or a gate changes.
	changed chan struct{}
}

// Hooks inject faults. They are called without the store's lock and may block
// until their context is done; a nil hook does nothing.
type Hooks struct {
	// BeforeCommit runs before a commit; its error fails the commit, nothing is changed.
	BeforeCommit func(context.Context, stores.Commit) error
	// AfterCommit runs when a commit has taken effect; its error is what the
	// caller gets instead of the acknowledgement.
	AfterCommit func(context.Context, stores.Commit) error
	// BeforeClaim, BeforePing and BeforeRead (Peek, Barriers, AddPartitions) fail their call.
	BeforeClaim func(context.Context, []event.TopicPartition) error
	BeforePing  func(context.Context) error
	BeforeRead  func(context.Context) error
	// AfterReplace runs when a Replace has taken effect, with the store's lock; its error is what the caller gets beside what was done.
	AfterReplace func(context.Context) error
}

// owner is a contract.Identity without the UID.
type owner struct{ cluster, namespace, name string }

func ownerOf(id contract.Identity) owner { return owner{id.Cluster, id.Namespace, id.Name} }

func (o owner) String() string { return o.cluster + "/" + o.namespace + "/" + o.name }

type projection struct {
	uid       string
	active    string
	sequence  int64
	revisions map[string]*revision
	order     []string         // of revisions, oldest first
	barriers  []stores.Barrier // of all topics, oldest first
}

type revision struct {
	contract  *contract.Contract // as it was prepared last
	promoted  time.Time
	left      time.Time
	gated     bool // a promotion or a replacement holds its writers up
	dataHash  string
	models    []fold.Model
	rows      []map[string][]value.Value // by model and key
	uniques   []unique
	counts    map[string]int32 // partitions per topic
	positions map[event.TopicPartition]*stores.Claim
	audit     []Interval
	builder   *build // who has the right to build, nil if nobody
}

// relation is a table or view; owner is nil for a foreign one.
type relation struct {
	owner *owner
	view  bool
	// reserved is a name that a view will need: there is none yet.
	reserved bool
}

// Interval is one committed move of one partition, from First up to but without Next.
type Interval struct {
	event.TopicPartition
	First, Next int64
	Epoch       int64
	At          time.Time
}

// New makes an empty database.
func New() *Store {
	return &Store{projections: map[owner]*projection{}, relations: map[string]*relation{}, changed: make(chan struct{})}
}

// SetHooks replaces the hooks.
func (s *Store) SetHooks(h Hooks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = h
}

func (s *Store) currentHooks() Hooks {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hooks
}

func call[A any](ctx context.Context, hook func(context.Context, A) error, arg A) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if hook == nil {
		return nil
	}
	return hook(ctx, arg)
}

func callPlain(ctx context.Context, hook func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if hook == nil {
		return nil
	}
	return hook(ctx)
}

// CreateForeign makes a relation that belongs to nobody.
func (s *Store) CreateForeign(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.relations[name] = &relation{}
}

// Relations names every table and view, sorted.
func (s *Store) Relations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.relations))
	for name, r := range s.relations {
		if !r.reserved {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Rows gives the rows of a model in the contract's revision, in key order, a
// value for each column; nil when it was not prepared.
func (s *Store) Rows(c *contract.Contract, model string) [][]value.Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.revision(c)
	if r == nil {
		return nil
	}
	m := slices.IndexFunc(r.models, func(m fold.Model) bool { return m.Name == model })
	if m < 0 {
		return nil
	}
	return r.sorted(m)
}

// Audit gives every committed interval of the contract's revision, oldest first.
func (s *Store) Audit(c *contract.Contract) []Interval {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.revision(c); r != nil {
		return slices.Clone(r.audit)
	}
	return nil
}

// DeletePosition removes a position row, as a careless administrator might.
func (s *Store) DeletePosition(c *contract.Contract, tp event.TopicPartition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.revision(c); r != nil {
		delete(r.positions, tp)
	}
}

// Replica keeps how the contract's revision stands now. The function that it gives
// puts it back, as a failover does to a replica that was behind.
func (s *Store) Replica(c *contract.Contract) (failOver func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.revision(c)
	kept := *r
	kept.rows = make([]map[string][]value.Value, len(r.rows))
	for m := range r.rows {
		kept.rows[m] = make(map[string][]value.Value, len(r.rows[m]))
		for k, row := range r.rows[m] {
			kept.rows[m][k] = slices.Clone(row)
		}
	}
	kept.counts, kept.audit = maps.Clone(r.counts), slices.Clone(r.audit)
	kept.positions = make(map[event.TopicPartition]*stores.Claim, len(r.positions))
	for tp, p := range r.positions {
		claim := *p
		kept.positions[tp] = &claim
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		*r = kept
		s.announce()
	}
}

// RaiseHeldVersion does what a change of the held keys does to a position row.
func (s *Store) RaiseHeldVersion(c *contract.Contract, tp event.TopicPartition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.revision(c); r != nil && r.positions[tp] != nil {
		r.positions[tp].HeldVersion++
	}
}

// revision is nil when it was not prepared. The lock is held.
func (s *Store) revision(c *contract.Contract) *revision {
	p := s.projections[ownerOf(c.Projection)]
	if p == nil {
		return nil
	}
	return p.revisions[c.Revision]
}

func invalid(format string, args ...any) error {
	return &stores.EnvironmentError{Reason: "InvalidDefinition", Message: fmt.Sprintf(format, args...)}
}

// View counts the rows that readers of a view see; 0 when there is none.
func (s *Store) View(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.relations[name]
	if r == nil || r.owner == nil || !r.view || r.reserved {
		return 0
	}
	p := s.projections[*r.owner]
	active := p.revisions[p.active]
	for m := range active.models {
		if active.models[m].Name == name {
			return len(active.visible(m))
		}
	}
	return 0
}
