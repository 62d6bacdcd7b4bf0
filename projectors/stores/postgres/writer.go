// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/failpoint"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Writer writes one revision; it implements stores.Writer.
type Writer struct {
	cfg      Config
	who      contract.Identity
	revision string
	// started is true where the revision may begin later than with the first events.
	started bool
	tables  []*table
	pool    *pgxpool.Pool
	sql     texts
	// fanOutKey is the lock that keeps commits with fan-outs apart, nil where there are none.
	fanOutKey *int64
	// id is projections.id, 0 before it is known.
	id atomic.Int64

	mu sync.Mutex
	// doubts holds the token of each claim whose last commit has no known outcome.
	doubts map[event.TopicPartition]string
}

var _ stores.Writer = (*Writer)(nil)

// OpenWriter makes a Writer for the contract's revision. It does not connect:
// the first use does. It fails on a contract that Prepare would refuse.
func OpenWriter(cfg Config, c *contract.Contract) (*Writer, error) {
	full, err := cfg.withDefaults(contract.ProjectorConnections)
	if err != nil {
		return nil, err
	}
	w := &Writer{cfg: full, who: c.Projection, revision: c.Revision, started: c.From != nil, doubts: map[event.TopicPartition]string{}}
	if w.tables, err = newTables(c); err != nil {
		return nil, err
	}
	w.sql, w.fanOutKey = newTexts(full), fanOutKey(full.Schema, c, w.tables)
	w.pool, err = connect(full)
	return w, err
}

// Close ends the connections; what is under way ends first.
func (w *Writer) Close() { w.pool.Close() }

// Ping tells whether the store takes writes now.
func (w *Writer) Ping(ctx context.Context) error {
	return w.cfg.inTx(ctx, w.pool, pgx.ReadWrite, func(tx pgx.Tx) error {
		_, err := w.projection(ctx, tx)
		return err
	})
}

// projection gives projections.id. It is looked up once: retiring a projection
// and preparing it again makes another id, under which no old position row is found.
func (w *Writer) projection(ctx context.Context, tx pgx.Tx) (int64, error) {
	if id := w.id.Load(); id != 0 {
		return id, nil
	}
	var id int64
	err := tx.QueryRow(ctx, "SELECT p.id FROM "+w.book("projections")+" p JOIN "+w.book("revisions")+
		" r ON r.projection = p.id AND r.revision = $4 WHERE p.cluster = $1 AND p.namespace = $2 AND p.name = $3",
		w.who.Cluster, w.who.Namespace, w.who.Name, w.revision).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, &stores.EnvironmentError{Reason: stores.ReasonNotPrepared, Message: fmt.Sprintf(
			"the bookkeeping in schema %s knows no revision %s of projection %s/%s: it was not prepared, or was retired",
			quote(w.cfg.BookkeepingSchema), w.revision, w.who.Namespace, w.who.Name)}
	}
	if err == nil {
		w.id.Store(id)
	}
	return id, err
}

func (w *Writer) book(name string) string { return quote(w.cfg.BookkeepingSchema, name) }

// claimColumns are what scanClaim reads.
const claimColumns = "p.topic, p.partition, p.epoch, p.token, p.next_position, p.owner, p.topic_id, p.leader_epoch, p.held_version, p.event_time"

func scanClaim(row pgx.CollectableRow) (stores.Claim, error) {
	var c stores.Claim
	var next string
	var at *time.Time
	err := row.Scan(&c.Topic, &c.Partition, &c.Epoch, &c.Token, &next, &c.Owner, &c.TopicID, &c.LeaderEpoch, &c.HeldVersion, &at)
	if err != nil {
		return c, err
	}
	if at != nil {
		c.EventTime = at.UTC()
	}
	if c.Next, err = contract.Position(next).Offset(); err != nil {
		return c, damaged("a position of "+c.String(), err)
	}
	return c, nil
}

// Claim waits for a transaction of an earlier claim that is still open, at most
// for Config.LockTimeout: the server ends a frozen one before.
func (w *Writer) Claim(ctx context.Context, owner string, tps []event.TopicPartition) ([]stores.Claim, error) {
	sorted := slices.Clone(tps)
	slices.SortFunc(sorted, event.TopicPartition.Compare)
	sorted = slices.Compact(sorted)
	if len(sorted) == 0 {
		return nil, nil
	}
	topics, partitions, tokens := make([]string, len(sorted)), make([]int32, len(sorted)), make([]string, len(sorted))
	for i, tp := range sorted {
		topics[i], partitions[i] = tp.Topic, tp.Partition
	}
	var claims []stores.Claim
	err := w.retry(ctx, func() error {
		// An attempt whose answer was lost may have claimed: the next is a claim of its own, with its own tokens.
		for i := range tokens {
			if tokens[i] != "" && failpoint.Hit(failClaimTokensOnce) {
				continue
			}
			var raw [16]byte
			if _, err := rand.Read(raw[:]); err != nil {
				return err
			}
			tokens[i] = hex.EncodeToString(raw[:])
		}
		return w.cfg.rawTx(ctx, w.pool, pgx.ReadWrite, func(tx pgx.Tx) error {
			id, err := w.projection(ctx, tx)
			if err != nil {
				return err
			}
			if _, err = tx.Exec(ctx, w.sql.lock, id, w.revision, topics, partitions); err != nil {
				return err
			}
			rows, err := tx.Query(ctx, "UPDATE "+w.book("positions")+` p SET epoch = p.epoch + 1, token = a.token, owner = $3, claimed_at = now()
FROM ROWS FROM (pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::int[]), pg_catalog.unnest($6::text[])) AS a(topic, partition, token)
WHERE p.projection = $1 AND p.revision = $2 AND p.topic = a.topic AND p.partition = a.partition RETURNING `+claimColumns,
				id, w.revision, owner, topics, partitions, tokens)
			if err != nil {
				return err
			}
			if claims, err = pgx.CollectRows(rows, scanClaim); err != nil {
				return err
			}
			if err := w.setBegins(ctx, tx, id, claims); err != nil {
				return err
			}
			return w.complete(sorted, claims)
		})
	})
	if err != nil {
		if errors.Is(err, stores.ErrNoPosition) {
			w.id.Store(0)
		}
		return nil, err
	}
	// In the order that was asked for.
	byPartition := make(map[event.TopicPartition]stores.Claim, len(claims))
	for _, c := range claims {
		byPartition[c.TopicPartition] = c
	}
	out := make([]stores.Claim, len(tps))
	for i, tp := range tps {
		out[i] = byPartition[tp]
	}
	return out, nil
}

// complete fails when a partition has no row.
func (w *Writer) complete(want []event.TopicPartition, got []stores.Claim) error {
	if len(got) == len(want) {
		return nil
	}
	there := make(map[event.TopicPartition]bool, len(got))
	for _, c := range got {
		there[c.TopicPartition] = true
	}
	for _, tp := range want {
		if !there[tp] {
			return fmt.Errorf("%s of revision %s: %w", tp, w.revision, stores.ErrNoPosition)
		}
	}
	return nil
}

// setBegins says of claims where their partitions begin.
func (w *Writer) setBegins(ctx context.Context, tx pgx.Tx, id int64, claims []stores.Claim) error {
	if !w.started || len(claims) == 0 {
		return nil
	}
	var stored []byte
	if err := tx.QueryRow(ctx, "SELECT contract FROM "+w.book("revisions")+" WHERE projection = $1 AND revision = $2", id, w.revision).Scan(&stored); err != nil {
		return err
	}
	stores.SetBegins(claims, stored)
	return nil
}

// Peek reads without a lock.
func (w *Writer) Peek(ctx context.Context) ([]stores.Claim, error) {
	var out []stores.Claim
	err := w.cfg.inTx(ctx, w.pool, pgx.ReadOnly, func(tx pgx.Tx) error {
		id, err := w.projection(ctx, tx)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "SELECT "+claimColumns+" FROM "+w.book("positions")+
			" p WHERE p.projection = $1 AND p.revision = $2 ORDER BY p.topic, p.partition", id, w.revision)
		if err != nil {
			return err
		}
		if out, err = pgx.CollectRows(rows, scanClaim); err != nil {
			return err
		}
		return w.setBegins(ctx, tx, id, out)
	})
	if err == nil && len(out) == 0 {
		// A revision without topics does not exist: perhaps it was retired and prepared again.
		w.id.Store(0)
	}
	return out, err
}
