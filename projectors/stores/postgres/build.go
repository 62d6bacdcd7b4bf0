// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// The right to build is a lock of a transaction that stays open and does nothing
// else: it holds back no vacuum, works through a transaction pooler, and is gone with its
// holder. It only keeps a second process from working in vain; what makes a
// build safe is the claims that it holds, as for every commit (Law 3).
//
// The holder says every quarter of Config.NetworkTimeout that it is there; after
// buildIdle without, the server ends it.
const buildIdle = 30 * time.Second

var _ stores.Builder = (*Writer)(nil)

// build implements stores.Build.
type build struct {
	w      *Writer
	owner  string
	claims []stores.Claim
	// doubt says that the last Write has no known outcome. It is Write's alone.
	doubt bool

	cancel context.CancelFunc
	done   chan struct{}
	lost   chan struct{}
	once   sync.Once
}

// StartBuild implements stores.Builder.
func (w *Writer) StartBuild(ctx context.Context, owner string) (stores.Build, error) {
	before, err := w.Peek(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(before) == 0:
		return nil, stores.ErrNoPosition
	case !stores.MayBuild(before):
		return nil, stores.ErrBuilt
	}
	tx, err := w.lockBuild(ctx)
	if err != nil {
		return nil, err
	}
	b := &build{w: w, owner: owner, done: make(chan struct{}), lost: make(chan struct{})}
	if err := b.begin(ctx); err != nil {
		release(tx)
		return nil, err
	}
	hold, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.cancel = cancel
	go b.hold(hold, tx)
	return b, nil
}

// begin claims all partitions and looks whether there are rows: from then on nobody else can commit one.
func (b *build) begin(ctx context.Context) error {
	rows, err := b.w.Peek(ctx) // again: now the right is ours
	if err != nil {
		return err
	}
	if !stores.MayBuild(rows) {
		return stores.ErrBuilt
	}
	b.claims = rows
	if b.claims, err = b.w.Claim(ctx, stores.BuildOwner(b.owner), b.partitions()); err != nil {
		return err
	}
	empty, err := b.empty(ctx)
	if err == nil && !empty {
		if err = b.Abandon(ctx); err == nil {
			err = stores.ErrBuilt
		}
	}
	return err
}

func (b *build) partitions() []event.TopicPartition {
	out := make([]event.TopicPartition, len(b.claims))
	for i, c := range b.claims {
		out[i] = c.TopicPartition
	}
	return out
}

func (b *build) empty(ctx context.Context) (bool, error) {
	there := false
	err := b.w.cfg.inTx(ctx, b.w.pool, pgx.ReadOnly, func(tx pgx.Tx) error {
		for _, t := range b.w.tables {
			if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+quote(b.w.cfg.Schema, t.name)+")").Scan(&there); err != nil || there {
				return err
			}
		}
		return nil
	})
	return !there, err
}

// lockBuild opens the transaction that holds the right to build.
func (w *Writer) lockBuild(ctx context.Context) (*pgxpool.Tx, error) {
	tx, err := w.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if err != nil {
		return nil, environment(ctx, err)
	}
	held := tx.(*pgxpool.Tx)
	var ours bool
	_, err = tx.Exec(ctx, settings(w.cfg.StatementTimeout, w.cfg.LockTimeout, buildIdle, w.cfg.NetworkTimeout, nil))
	if err == nil {
		// The portal of the extended protocol would keep a snapshot until the next statement: vacuum would heed it, and
		// a switch or an index of another projection that comes upon it would wait for the end of the build.
		err = tx.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_xact_lock($1)", pgx.QueryExecModeSimpleProtocol, w.buildKey()).Scan(&ours)
	}
	if err == nil && !ours {
		err = stores.ErrBuilding
	}
	if err != nil {
		release(held)
		if errors.Is(err, stores.ErrBuilding) {
			return nil, err
		}
		return nil, environment(ctx, err)
	}
	return held, nil
}

// buildKey names the lock of a revision. Two with one key would only wait for each other.
func (w *Writer) buildKey() int64 {
	sum := sha256.Sum256([]byte("build " + quote(w.cfg.Schema, w.tables[0].name)))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

func release(tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = tx.Rollback(ctx)
}

// peekEvery is after how many signs of life the claims are looked at: once per Config.NetworkTimeout.
const peekEvery = 4

// hold keeps the right, and takes it again after the connection was lost: the
// work of hours is as good as before where nobody else has claimed since. Whether
// somebody has, the lock does not tell: projectors claim without it.
func (b *build) hold(ctx context.Context, tx *pgxpool.Tx) {
	defer close(b.done)
	defer func() {
		if tx != nil {
			release(tx)
		}
	}()
	tick := time.NewTicker(b.w.cfg.NetworkTimeout / peekEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if tx != nil {
			err := tx.Conn().Ping(ctx) // which is no statement, and takes no snapshot
			if err == nil && n%peekEvery != 0 {
				continue
			}
			if err != nil {
				release(tx)
				tx = nil
			}
		}
		if ctx.Err() != nil {
			return
		}
		if tx == nil {
			if held, err := b.w.lockBuild(ctx); err == nil {
				tx = held
			}
		}
		if rows, err := b.w.Peek(ctx); err == nil && !b.ours(rows) {
			close(b.lost)
			return
		}
	}
}

// ours tells whether all claims are still those of the build.
func (b *build) ours(rows []stores.Claim) bool {
	for _, c := range b.claims {
		i := slices.IndexFunc(rows, func(r stores.Claim) bool { return r.TopicPartition == c.TopicPartition })
		if i < 0 || rows[i].Token != c.Token || rows[i].Epoch != c.Epoch {
			return false
		}
	}
	return true
}

func (b *build) Claims() []stores.Claim { return slices.Clone(b.claims) }

func (b *build) Lost() <-chan struct{} { return b.lost }

func (b *build) Abandon(ctx context.Context) error {
	_, err := b.w.Claim(ctx, b.owner, b.partitions())
	return err
}

func (b *build) Close() {
	b.once.Do(func() {
		b.cancel()
		<-b.done
	})
}

// Write implements stores.Build.
func (b *build) Write(ctx context.Context, advances []stores.Advance, rows stores.Fill, indexing func()) error {
	c := stores.Commit{Advances: advances}
	if len(advances) != len(b.claims) || !slices.IsSortedFunc(advances, func(a, b stores.Advance) int { return a.Claim.Compare(b.Claim.TopicPartition) }) {
		return usagef("a build moves all of its partitions, in order")
	}
	if b.doubt {
		switch err := b.w.settle(ctx, &c, true); {
		case err == nil:
			return nil
		case !errors.Is(err, errAppeared): // which says that it has not happened
			return environment(ctx, err)
		}
		b.doubt = false
	}
	err := b.attempt(ctx, &c, rows, indexing)
	switch {
	case errors.Is(err, errFence):
		err = b.w.settle(ctx, &c, false)
	case err != nil && kind(err) == faultLost && !errors.As(err, new(*fillError)):
		b.doubt = true
	}
	if fe := (*fillError)(nil); errors.As(err, &fe) {
		return fe.err
	}
	return environment(ctx, err)
}

// fillError is an error out of the caller's rows.
type fillError struct{ err error }

func (e *fillError) Error() string { return e.err.Error() }

func (e *fillError) Unwrap() error { return e.err }
