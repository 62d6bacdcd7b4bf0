// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/failpoint"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// maxStatements bounds what one connection keeps prepared (Law 10); beyond it
// everything is prepared anew.
const maxStatements = 256

// maxRetry bounds the time in which a transaction is begun again before the
// caller hears of it, so that its status can tell.
const maxRetry = time.Minute

var (
	// errFence is the fence's division by zero.
	errFence = errors.New("postgres: the fence did not hold")
	// errAppeared is a row that came into being between read and insert.
	errAppeared = errors.New("postgres: a row has appeared since it was read")
)

// Commit runs the transaction, again after contention or a lost connection. It
// may be called again with the same Commit after any *stores.EnvironmentError:
// when an earlier call was applied without hearing of it, the fence raises and
// the position rows tell (CORRECTNESS 4).
func (w *Writer) Commit(ctx context.Context, c stores.Commit) error {
	if len(c.Advances) == 0 {
		return usagef("a commit without advances has no fence")
	}
	if !slices.IsSortedFunc(c.Advances, func(a, b stores.Advance) int { return a.Claim.Compare(b.Claim.TopicPartition) }) {
		return usagef("the advances of a commit are not in order")
	}
	for _, a := range c.Advances {
		if a.Next < a.Claim.Next {
			return usagef("a commit would move %s back", a.Claim.TopicPartition)
		}
	}
	if c.Rows != nil && c.Rows.Len() > 0 && !slices.ContainsFunc(c.Advances, func(a stores.Advance) bool { return a.Next != a.Claim.Next }) {
		return usagef("a commit has rows but moves no position")
	}
	doubt := w.inDoubt(c.Advances)
	err := w.retry(ctx, func() error {
		err := w.attempt(ctx, &c)
		switch {
		case errors.Is(err, errFence):
			return w.settle(ctx, &c, doubt)
		case err != nil && kind(err) == faultLost:
			doubt = true
		}
		return err
	})
	w.note(c.Advances, err != nil && doubt)
	return err
}

// inDoubt tells whether an earlier call with these claims ended without an answer.
func (w *Writer) inDoubt(advances []stores.Advance) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range advances {
		if w.doubts[a.Claim.TopicPartition] == a.Claim.Token {
			return true
		}
	}
	return false
}

// note remembers, per partition, the claim whose last commit has no known outcome.
func (w *Writer) note(advances []stores.Advance, doubt bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range advances {
		if doubt {
			w.doubts[a.Claim.TopicPartition] = a.Claim.Token
		} else {
			delete(w.doubts, a.Claim.TopicPartition)
		}
	}
}

// settle finds out why a fence raised. Only where the answer to a commit was
// lost may the commit itself be the reason.
func (w *Writer) settle(ctx context.Context, c *stores.Commit, doubt bool) error {
	rows := map[event.TopicPartition]stores.Claim{}
	err := w.cfg.rawTx(ctx, w.pool, pgx.ReadOnly, func(tx pgx.Tx) error {
		id, err := w.projection(ctx, tx)
		if err != nil {
			return err
		}
		found, err := tx.Query(ctx, w.sql.read, id, w.revision)
		if err != nil {
			return err
		}
		claims, err := pgx.CollectRows(found, scanClaim)
		for _, cl := range claims {
			rows[cl.TopicPartition] = cl
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, a := range c.Advances {
		if _, ok := rows[a.Claim.TopicPartition]; !ok {
			w.id.Store(0)
			return fmt.Errorf("%s of revision %s: %w", a.Claim.TopicPartition, w.revision, stores.ErrNoPosition)
		}
	}
	switch what, fenced := judge(c.Advances, rows); {
	case what == outcomeCommitted && doubt:
		return nil
	case what != outcomeNotYet:
		return &stores.FencedError{Partitions: fenced}
	default:
		return errAppeared // the reason has passed: run it again
	}
}

// retry repeats fn on contention and lost connections, with jitter; a transaction
// of this package is safe to repeat because its fence, or its own checks, hold.
func (w *Writer) retry(ctx context.Context, fn func() error) error { return w.cfg.retry(ctx, fn) }

func (c Config) retry(ctx context.Context, fn func() error) error {
	var err error
	lost := false
	for attempt, begin := 0, time.Now(); attempt < c.Attempts && time.Since(begin) < maxRetry; attempt++ {
		if attempt > 0 {
			limit := min(time.Second, 10*time.Millisecond<<attempt)
			t := time.NewTimer(limit/2 + rand.N(limit/2)) //nolint:gosec // jitter needs no secrecy
			select {
			case <-ctx.Done():
				t.Stop()
				return context.Cause(ctx)
			case <-t.C:
			}
		}
		if err = fn(); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch k := kind(err); {
		case k == faultLost:
			lost = true
		case k == faultPermanent && (!lost || !unreachable(err)):
			return environment(ctx, err)
		}
	}
	return environment(ctx, err)
}

// unreachable is true for what a server says and does not say while it restarts.
func unreachable(err error) bool {
	var ce *pgconn.ConnectError
	var ee *stores.EnvironmentError
	return errors.As(err, &ce) || errors.As(err, &ee) && ee.Reason == stores.ReasonUnreachable
}

// attempt runs the transaction once.
func (w *Writer) attempt(ctx context.Context, c *stores.Commit) error {
	id := w.id.Load()
	if id == 0 {
		if err := w.cfg.rawTx(ctx, w.pool, pgx.ReadOnly, func(tx pgx.Tx) (err error) {
			id, err = w.projection(ctx, tx)
			return err
		}); err != nil {
			return err
		}
	}
	conn, err := w.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	p := &pipeline{ctx: ctx, conn: conn}
	p.queue(w.sql.begin, nil, nil)
	p.queue(w.sql.prologue, nil, nil)
	outside := failpoint.Enabled && failpoint.Hit(failPositionOutside)
	if !outside {
		w.queueFence(p, id, c)
	}
	if c.Rows != nil {
		err = w.queueRows(p, c.Rows)
	}
	if err == nil && outside {
		err = w.positionOutside(p, id, c)
	}
	if err == nil {
		p.queue(w.sql.commit, nil, w.explainCommit)
		err = p.flush()
	}
	if err != nil && !p.lost() {
		p.rollback(w.sql.rollback)
	}
	return err
}

func (w *Writer) queueFence(p *pipeline, id int64, c *stores.Commit) {
	p.queue(w.sql.lock, w.lockParams(id, c.Advances), nil)
	p.queue(w.fenceText(), w.fenceParams(id, c.Advances), func(err error) error {
		if _, code := sqlState(err); code == stateDivisionByZero {
			return errFence
		}
		return err
	})
}

// positionOutside is a wrong commit for a test: rows first, positions in a transaction of their own.
func (w *Writer) positionOutside(p *pipeline, id int64, c *stores.Commit) error {
	p.queue(w.sql.commit, nil, nil)
	if err := p.flush(); err != nil {
		return err
	}
	if failpoint.Hit(failDieBeforePosition) {
		os.Exit(137)
	}
	p.queue(w.sql.begin, nil, nil)
	p.queue(w.sql.prologue, nil, nil)
	w.queueFence(p, id, c)
	return nil
}

// pipeline sends statements without waiting for their answers until flush.
type pipeline struct {
	ctx   context.Context
	conn  *pgxpool.Conn
	steps []step
}

type step struct {
	sql    string
	params [][]byte
	// explain turns the statement's own error into one of this package; nil leaves it.
	explain func(error) error
	// row is called for each row of the answer, whose slices are valid until it returns.
	row func(values [][]byte) error
}

func (p *pipeline) queue(sql string, params [][]byte, explain func(error) error) {
	p.steps = append(p.steps, step{sql: sql, params: params, explain: explain})
}

// binaryFormat is that of all parameters and results.
var binaryFormat = []int16{1}

// opening is the number of steps that begin a transaction: BEGIN and the prologue.
const opening = 2

// flush sends what is queued and reads all answers. Preparing a statement
// locks its tables, so a new one is prepared inside the transaction, where the
// prologue's lock_timeout and search_path hold.
func (p *pipeline) flush() error {
	steps := p.steps
	p.steps = nil
	if p.conn.Conn().PgConn().TxStatus() == 'I' {
		known := statements(p.conn.Conn())
		if len(known) >= maxStatements {
			if err := p.conn.Conn().DeallocateAll(p.ctx); err != nil {
				return err
			}
			clear(known)
		}
		if slices.ContainsFunc(steps, func(s step) bool { return known[s.sql] == nil }) {
			if err := p.run(steps[:opening]); err != nil {
				return err
			}
			steps = steps[opening:]
		}
	}
	return p.run(steps)
}

func (p *pipeline) run(steps []step) error {
	batch := &pgconn.Batch{}
	for i := range steps {
		sd, err := prepare(p.ctx, p.conn.Conn(), steps[i].sql)
		if err != nil {
			return steps[i].fail(err)
		}
		batch.ExecStatement(sd, steps[i].params, binaryFormat, binaryFormat)
	}
	results := p.conn.Conn().PgConn().ExecBatch(p.ctx, batch)
	done := 0
	var failed error
	for results.NextResult() {
		r := results.ResultReader()
		for r.NextRow() {
			if row := steps[done].row; row != nil && failed == nil {
				failed = row(r.Values())
			}
		}
		if _, err := r.Close(); err != nil {
			break
		}
		done++
	}
	if err := results.Close(); err != nil {
		if done < len(steps) {
			return steps[done].fail(err)
		}
		return err
	}
	if failed == nil && done < len(steps) {
		failed = fmt.Errorf("postgres: %d answers to %d statements", done, len(steps))
	}
	return failed
}

func (s *step) fail(err error) error {
	if pe, _ := sqlState(err); pe == nil || s.explain == nil || kind(err) != faultPermanent {
		return err
	}
	return s.explain(err)
}

// lost tells whether nothing more can be sent.
func (p *pipeline) lost() bool { return p.conn.Conn().IsClosed() }

// rollback leaves the connection fit for use; one that is not fit the pool throws away.
func (p *pipeline) rollback(sql string) {
	if p.conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), 5*time.Second)
	defer cancel()
	_, _ = p.conn.Conn().PgConn().Exec(ctx, sql).ReadAll()
}

// statements are those prepared on a connection, by text.
func statements(conn *pgx.Conn) map[string]*pgconn.StatementDescription {
	const at = "projectionist/statements"
	data := conn.PgConn().CustomData()
	known, ok := data[at].(map[string]*pgconn.StatementDescription)
	if !ok {
		known = map[string]*pgconn.StatementDescription{}
		data[at] = known
	}
	return known
}

// prepare gives the statement of a text on a connection.
func prepare(ctx context.Context, conn *pgx.Conn, sql string) (*pgconn.StatementDescription, error) {
	known := statements(conn)
	if sd, ok := known[sql]; ok {
		return sd, nil
	}
	sum := sha256.Sum256([]byte(sql))
	sd, err := conn.Prepare(ctx, "projectionist_"+hex.EncodeToString(sum[:12]), sql)
	if err == nil {
		known[sql] = sd
	}
	return sd, err
}
