// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

const (
	// defaultPromoteLimit is how long a promotion tries that has no deadline.
	defaultPromoteLimit = time.Minute
	// handoverLimit is how long one try holds up the writers of the revision that readers leave.
	handoverLimit = 2 * time.Second
	// handoverPoll is how often a try looks where the other revision is.
	handoverPoll = 10 * time.Millisecond
	// defaultViewLockMillis bounds the wait for one view's lock.
	defaultViewLockMillis = 100
	// keptSwitches is how many rows of history a projection has (Law 10).
	keptSwitches = 1000
)

// Promote first waits until the revision has passed where the active one is
// now, and then until older snapshots are gone: whoever has a snapshot from then
// on sees at least that much of it. Then it tries the switch itself, one
// transaction each time, that holds up the old revision's writers and gives way after a short while.
//
// What the new revision has committed is as durable as what the old one has: a bulk build commits synchronously, as the
// live path does. A build that did not would have to be made durable before this.
func (a *Admin) Promote(ctx context.Context, owner contract.Identity, s contract.Switch) (contract.RevisionFacts, error) {
	p := &promotion{cfg: a.cfg, owner: owner, s: s, limit: time.Duration(s.DeadlineSeconds) * time.Second}
	if p.limit <= 0 {
		p.limit = defaultPromoteLimit
	}
	trying, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	facts, err := a.factsAfter(ctx, owner, p.run(trying, a))
	if err != nil && facts.Active == s.Revision && facts.Sequence == s.Sequence+1 {
		return facts, nil // the answer to its COMMIT was lost
	}
	if err != nil && trying.Err() != nil && ctx.Err() == nil && !errors.As(err, new(*stores.SwitchError)) {
		err = p.timeout()
	}
	return facts, environment(ctx, err)
}

// promotion is one Promote.
type promotion struct {
	cfg   Config
	owner contract.Identity
	s     contract.Switch
	limit time.Duration
	// why it is not done yet, for the message when time is up.
	why error

	// What the current transaction has found.
	tx       pgx.Tx
	id       int64
	active   string
	done     bool // readers see the revision already
	contract *contract.Contract
	unseen   bool // they never have
	view     string
}

func (p *promotion) run(ctx context.Context, a *Admin) error {
	var mark places
	for {
		err := p.in(ctx, a, pgx.ReadOnly, func() error {
			if err := p.look(ctx, ""); err != nil || p.done {
				return err
			}
			if mark == nil {
				var err error
				if mark, err = p.positions(ctx, p.active, false); err != nil {
					return err
				}
			}
			return p.reached(ctx, mark)
		})
		if again, err := p.goOn(ctx, err); err != nil {
			return err
		} else if !again {
			break
		}
	}
	if p.done {
		return nil
	}
	if p.unseen {
		for again := true; again; {
			err := a.awaitSnapshots(ctx)
			if ctx.Err() != nil {
				p.why = p.snapshotError(ctx, a)
			}
			if again, err = p.goOn(ctx, err); err != nil {
				return err
			}
		}
	}
	for {
		err := p.in(ctx, a, pgx.ReadWrite, func() error { return p.try(ctx) })
		if again, err := p.goOn(ctx, err); err != nil || !again {
			return err
		}
	}
}

func (p *promotion) in(ctx context.Context, a *Admin, mode pgx.TxAccessMode, fn func() error) error {
	return p.cfg.rawTx(ctx, a.pool, mode, func(tx pgx.Tx) error {
		p.tx, p.view = tx, ""
		return fn()
	})
}

// goOn tells whether to try again, after a pause, or gives the error that ends it all.
func (p *promotion) goOn(ctx context.Context, err error) (again bool, _ error) {
	if err == nil {
		return false, nil
	}
	var behind *behindError
	_, code := sqlState(err)
	switch {
	case errors.As(err, &behind):
		p.why = &stores.SwitchError{Code: stores.ReasonHandoverTimeout, Retryable: true, Message: behind.message(p)}
	case code == stateLockNotAvailable && p.view != "":
		p.why = &stores.SwitchError{Code: stores.ReasonViewLocked, Retryable: true, Message: fmt.Sprintf(
			"within %s the lock on view %s was never to be had in %d ms: readers have long transactions open that use it; "+
				"look for them in pg_stat_activity and pg_locks, or raise spec.rollout.lockTimeoutMilliseconds", p.limit, p.view, p.viewLock())}
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case settled(err) || kind(err) == faultPermanent:
		return false, err
	default:
		p.why = environment(ctx, err)
	}
	// With jitter, so that two that get into each other's way part.
	if !pause(ctx, 50*time.Millisecond+rand.N(150*time.Millisecond)) { //nolint:gosec // jitter needs no secrecy
		return false, context.Cause(ctx)
	}
	return true, nil
}

// timeout is what it fails with when its time is up.
func (p *promotion) timeout() error {
	if p.why != nil {
		return p.why
	}
	return &stores.SwitchError{Code: stores.ReasonHandoverTimeout, Retryable: true, Message: fmt.Sprintf(
		"the switch to revision %s was not done within %s: the database is slow, or something else holds its locks; look in pg_stat_activity", p.s.Revision, p.limit)}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (p *promotion) book(name string) string { return quote(p.cfg.BookkeepingSchema, name) }

// look reads the state of the projection, and refuses another one than the
// request expects: a Job that runs twice or late does nothing. lock is "", or how to lock
// the rows. The projection's is not locked against AddPartitions, which refers to it while it has the revision's.
func (p *promotion) look(ctx context.Context, lock string) error {
	version, err := bookkeeping(ctx, p.tx, p.cfg.BookkeepingSchema)
	if err != nil {
		return err
	}
	if version < bookkeepingVersion {
		return p.missing()
	}
	var sequence int64
	forProjection := ""
	if lock != "" {
		forProjection = " FOR NO KEY UPDATE"
	}
	err = p.tx.QueryRow(ctx, "SELECT id, coalesce(active_revision, ''), sequence FROM "+p.book("projections")+
		" WHERE cluster = $1 AND namespace = $2 AND name = $3"+forProjection, p.owner.Cluster, p.owner.Namespace, p.owner.Name).
		Scan(&p.id, &p.active, &sequence)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return p.missing()
	case err != nil:
		return err
	}
	if p.done = p.active == p.s.Revision; p.done {
		return nil
	}
	if err := expected(p.s, p.active, sequence); err != nil {
		return err
	}
	rows, err := p.tx.Query(ctx, "SELECT revision, contract, promoted_at IS NULL FROM "+p.book("revisions")+
		" WHERE projection = $1 AND revision = ANY ($2) ORDER BY revision"+lock, p.id, []string{p.active, p.s.Revision})
	if err != nil {
		return err
	}
	p.contract = nil
	var revision string
	var text []byte
	var unseen bool
	if _, err = pgx.ForEachRow(rows, []any{&revision, &text, &unseen}, func() error {
		if revision != p.s.Revision {
			return nil
		}
		p.contract, p.unseen = &contract.Contract{}, unseen
		if err := json.Unmarshal(text, p.contract); err != nil {
			return damaged("a contract of revision "+revision, err)
		}
		return nil
	}); err != nil {
		return err
	}
	if p.contract == nil {
		return p.missing()
	}
	return nil
}

// expected fails where the projection is in another state than the request is for.
func expected(s contract.Switch, active string, sequence int64) error {
	if active == s.Active && sequence == s.Sequence {
		return nil
	}
	return &stores.SwitchError{Code: stores.ReasonSuperseded, Message: fmt.Sprintf(
		"readers see revision %s at sequence %d, this was asked for when they saw %s at %d: nothing is done; ask again, if it is still wanted",
		active, sequence, s.Active, s.Sequence)}
}

func (p *promotion) missing() error {
	return &stores.SwitchError{Code: stores.ReasonRevisionMissing, Message: fmt.Sprintf(
		"the bookkeeping in schema %s knows no revision %s of projection %s/%s: it was not prepared, or was discarded",
		quote(p.cfg.BookkeepingSchema), p.s.Revision, p.owner.Namespace, p.owner.Name)}
}

// hold makes sure that nothing moves the active revision on, and gives its
// positions. Locks are taken in the order of Retire and AddPartitions: definitions, projection, revisions, positions; then views.
func (p *promotion) hold(ctx context.Context) (v *viewSwitch, old places, err error) {
	if err = lockDDL(ctx, p.tx); err != nil {
		return nil, nil, err
	}
	// A partition that is added refers to its revision and so waits, too.
	if err = p.look(ctx, " FOR UPDATE"); err != nil || p.done {
		return nil, nil, err
	}
	if v, err = p.views(ctx); err != nil {
		return nil, nil, err
	}
	old, err = p.positions(ctx, p.active, true)
	return v, old, err
}

// try is the switch (CORRECTNESS 7).
func (p *promotion) try(ctx context.Context) error {
	v, old, err := p.hold(ctx)
	if err != nil || p.done {
		return err
	}
	var behind *behindError
	for end := time.Now().Add(handoverLimit); ; {
		err = p.reached(ctx, old)
		if !errors.As(err, &behind) || time.Now().After(end) || !pause(ctx, handoverPoll) {
			break
		}
	}
	if err != nil {
		return err
	}
	stale := false
	if p.s.Allow.StaleRevision {
		now, err := p.positions(ctx, p.s.Revision, false)
		if err != nil {
			return err
		}
		stale = old.beyond(now, p.contract) != nil
	}
	if err := v.replace(ctx, p); err != nil {
		return err
	}
	return p.record(ctx, stale, v.breaks)
}

func (p *promotion) record(ctx context.Context, stale, broke bool) error {
	var at time.Time
	if err := p.tx.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&at); err != nil {
		return err
	}
	for _, stmt := range []struct {
		sql  string
		args []any
	}{
		{"UPDATE " + p.book("revisions") + " SET left_at = $3 WHERE projection = $1 AND revision = $2", []any{p.id, p.active, at}},
		{"UPDATE " + p.book("revisions") + " SET promoted_at = $3 WHERE projection = $1 AND revision = $2", []any{p.id, p.s.Revision, at}},
		{"UPDATE " + p.book("projections") + " SET active_revision = $2, sequence = $3 WHERE id = $1", []any{p.id, p.s.Revision, p.s.Sequence + 1}},
		{"INSERT INTO " + p.book("switches") + " (projection, sequence, from_revision, to_revision, at, stale, broke_readers) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			[]any{p.id, p.s.Sequence + 1, p.active, p.s.Revision, at, stale, broke}},
		{"DELETE FROM " + p.book("switches") + " WHERE projection = $1 AND sequence <= $2", []any{p.id, p.s.Sequence + 1 - keptSwitches}},
	} {
		if _, err := p.tx.Exec(ctx, stmt.sql, stmt.args...); err != nil {
			return err
		}
	}
	return nil
}

// places are the positions of a revision.
type places map[event.TopicPartition]contract.Position

func (p *promotion) positions(ctx context.Context, revision string, lock bool) (places, error) {
	order := " ORDER BY topic, partition"
	if lock {
		order += " FOR UPDATE"
	}
	rows, err := p.tx.Query(ctx, "SELECT topic, partition, next_position FROM "+p.book("positions")+
		" WHERE projection = $1 AND revision = $2"+order, p.id, revision)
	if err != nil {
		return nil, err
	}
	out := places{}
	var tp event.TopicPartition
	var at string
	_, err = pgx.ForEachRow(rows, []any{&tp.Topic, &tp.Partition, &at}, func() error {
		out[tp] = contract.Position(at)
		return nil
	})
	return out, err
}

// reached fails with *behindError where the new revision is not at or past the mark.
func (p *promotion) reached(ctx context.Context, mark places) error {
	if p.s.Allow.StaleRevision {
		return nil
	}
	now, err := p.positions(ctx, p.s.Revision, false)
	if err != nil {
		return err
	}
	if behind := mark.beyond(now, p.contract); behind != nil {
		return behind
	}
	return nil
}

// beyond gives the partition in which now is farthest behind m, nil where it is
// in none. A partition that now lacks is behind; a topic that the contract no
// longer has is not: its author has taken it out.
func (m places) beyond(now places, c *contract.Contract) *behindError {
	topics := map[string]bool{}
	for _, t := range c.Topics {
		topics[t.Name] = true
	}
	var worst *behindError
	for tp, want := range m {
		at, there := now[tp]
		if !topics[tp.Topic] || there && at.Compare(want) >= 0 {
			continue
		}
		b := &behindError{tp: tp, at: at, want: want}
		if worst == nil || b.by() > worst.by() || b.by() == worst.by() && tp.Compare(worst.tp) < 0 {
			worst = b
		}
	}
	return worst
}

// behindError says where a revision has not caught up.
type behindError struct {
	tp       event.TopicPartition
	at, want contract.Position // at is "" where there is no row
}

func (e *behindError) Error() string { return "behind in " + e.tp.String() }

// by is the number of positions; the largest number where they are no offsets.
func (e *behindError) by() int64 {
	want, err := e.want.Offset()
	if err != nil || e.at == "" {
		return want
	}
	at, _ := e.at.Offset()
	return want - at
}

func (e *behindError) message(p *promotion) string {
	where := fmt.Sprintf("at %s, %d positions behind", e.at, e.by())
	if e.at == "" {
		where = "not there yet, behind"
	}
	return fmt.Sprintf("revision %s did not catch up within %s: partition %s is %s revision %s at %s. "+
		"Wait until it has caught up, or, where it is stopped for good, consent to StaleRevision in spec.rollout.allow",
		p.s.Revision, p.limit, e.tp, where, p.active, e.want)
}
