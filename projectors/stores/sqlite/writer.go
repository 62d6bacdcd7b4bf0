// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"slices"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// writer writes one revision.
type writer struct {
	d      *Database
	c      *contract.Contract
	tables []*table
	models []fold.Model
}

var _ stores.Writer = (*writer)(nil)

// Writer gives the data path into the contract's revision. It fails on a
// contract that Prepare would refuse.
func (d *Database) Writer(c *contract.Contract) (stores.Writer, error) {
	tables, err := tablesOf(c)
	if err != nil {
		return nil, err
	}
	w := &writer{d: d, c: c, tables: tables}
	for _, t := range tables {
		w.models = append(w.models, *t.model)
	}
	return w, nil
}

// Close leaves the Database open.
func (w *writer) Close() {}

// Ping begins a transaction that could write.
func (w *writer) Ping(ctx context.Context) error {
	return w.d.write(ctx, func(s *session) error {
		_, err := s.projection(w.c)
		return err
	})
}

const claimColumns = "topic, partition, epoch, token, next_offset, owner, topic_id, leader_epoch, held_version, event_time"

func scanClaim(scan func(...any) error) (stores.Claim, error) {
	var c stores.Claim
	var at sql.NullString
	err := scan(&c.Topic, &c.Partition, &c.Epoch, &c.Token, &c.Next, &c.Owner, &c.TopicID, &c.LeaderEpoch, &c.HeldVersion, &at)
	if at.Valid && err == nil {
		c.EventTime, _ = value.ParseTimestamp(at.String)
	}
	return c, err
}

// position reads a position row.
func (w *writer) position(s *session, id int64, tp event.TopicPartition) (stores.Claim, error) {
	out, found := stores.Claim{}, false
	err := s.query("SELECT "+claimColumns+" FROM projectionist_positions WHERE projection = ? AND revision = ? AND topic = ? AND partition = ?",
		[]any{id, w.c.Revision, tp.Topic, tp.Partition}, func(rows *sql.Rows) (err error) {
			found = true
			out, err = scanClaim(rows.Scan)
			return err
		})
	if err == nil && !found {
		err = missing(tp, w.c.Revision)
	}
	return out, err
}

func (w *writer) Claim(ctx context.Context, by string, tps []event.TopicPartition) ([]stores.Claim, error) {
	out := make([]stores.Claim, len(tps))
	err := w.d.write(ctx, func(s *session) error {
		id, err := s.projection(w.c)
		if err != nil {
			return err
		}
		for i, tp := range tps {
			if out[i], err = w.position(s, id, tp); err != nil {
				return err
			}
			c := &out[i]
			c.Epoch, c.Token, c.Owner = c.Epoch+1, rand.Text(), by
			if err := s.exec("UPDATE projectionist_positions SET epoch = ?, token = ?, owner = ? WHERE projection = ? AND revision = ? AND topic = ? AND partition = ?",
				c.Epoch, c.Token, c.Owner, id, w.c.Revision, tp.Topic, tp.Partition); err != nil {
				return err
			}
		}
		return s.setBegins(id, w.c.Revision, out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (w *writer) Peek(ctx context.Context) ([]stores.Claim, error) {
	var out []stores.Claim
	err := w.d.with(ctx, func(s *session) error {
		id, err := s.projection(w.c)
		if err != nil {
			return err
		}
		out, err = s.claims(id, w.c.Revision)
		return err
	})
	return out, err
}

// claims reads all position rows of a revision, in order.
func (s *session) claims(id int64, revision string) (out []stores.Claim, err error) {
	err = s.query("SELECT "+claimColumns+" FROM projectionist_positions WHERE projection = ? AND revision = ? ORDER BY topic, partition",
		[]any{id, revision}, func(rows *sql.Rows) error {
			c, err := scanClaim(rows.Scan)
			out = append(out, c)
			return err
		})
	if err != nil {
		return nil, err
	}
	return out, s.setBegins(id, revision, out)
}

// setBegins says of claims where their partitions begin.
func (s *session) setBegins(id int64, revision string, claims []stores.Claim) error {
	if len(claims) == 0 {
		return nil
	}
	var stored string
	if err := s.row("SELECT contract FROM projectionist_revisions WHERE projection = ? AND revision = ?", id, revision).Scan(&stored); err != nil {
		return err
	}
	stores.SetBegins(claims, []byte(stored))
	return nil
}

// fence holds the claims of a commit against the position rows (Law 3).
func (w *writer) fence(s *session, id int64, advances []stores.Advance) error {
	var fenced []event.TopicPartition
	for i := range advances {
		a := &advances[i]
		p, err := w.position(s, id, a.Claim.TopicPartition)
		switch {
		case err != nil:
			return err
		case a.Next < a.Claim.Next:
			return invalid("a commit would move %s back", a.Claim.TopicPartition)
		case p.Epoch != a.Claim.Epoch, p.Token != a.Claim.Token, p.Next != a.Claim.Next, p.HeldVersion != a.Claim.HeldVersion:
			fenced = append(fenced, a.Claim.TopicPartition)
		}
	}
	if fenced != nil {
		return &stores.FencedError{Partitions: fenced}
	}
	return nil
}

// advance moves the position rows.
func (w *writer) advance(s *session, id int64, advances []stores.Advance) error {
	for i := range advances {
		a := &advances[i]
		var at any
		if !a.EventTime.IsZero() {
			at = a.EventTime.UTC().Truncate(time.Microsecond).Format(timestampForm)
		}
		if err := s.run(`UPDATE projectionist_positions SET next_offset = ?, leader_epoch = ?, topic_id = coalesce(nullif(?, ''), topic_id),
event_time = max(coalesce(event_time, ?4), coalesce(?4, event_time)) WHERE projection = ? AND revision = ? AND topic = ? AND partition = ?`,
			a.Next, a.LeaderEpoch, a.TopicID, at, id, w.c.Revision, a.Claim.Topic, a.Claim.Partition); err != nil {
			return err
		}
	}
	return nil
}

// AddPartitions inserts only rows from the recorded number of partitions on: a
// row below that number is never made again (CORRECTNESS 4). A barrier is shared
// by all revisions of a projection, so the first one recorded decides After.
func (w *writer) AddPartitions(ctx context.Context, b stores.Barrier) (stores.Barrier, error) {
	if int(b.Before) != len(b.Ends) || b.After <= b.Before {
		return b, invalid("the barrier of topic %s from %d to %d partitions has %d ends", b.Topic, b.Before, b.After, len(b.Ends))
	}
	var first stores.Barrier
	err := w.d.write(ctx, func(s *session) error {
		id, err := s.projection(w.c)
		if err != nil {
			return err
		}
		counts, err := s.partitions(id, w.c.Revision)
		if err != nil {
			return err
		}
		count := counts[b.Topic]
		if b.Before > count {
			return invalid("topic %s has %d position rows, a barrier from %d on leaves a gap", b.Topic, count, b.Before)
		}
		var topicID string
		if err := s.row("SELECT coalesce(max(topic_id), '') FROM projectionist_positions WHERE projection = ? AND revision = ? AND topic = ?", id, w.c.Revision, b.Topic).Scan(&topicID); err != nil {
			return err
		}
		if b.Before == count {
			if err := s.exec("INSERT INTO projectionist_barriers (projection, topic, topic_id, before_count, after_count, ends) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
				id, b.Topic, topicID, b.Before, b.After, formatEnds(b.Ends)); err != nil {
				return err
			}
		}
		all, err := s.barriers(id, "b.topic = ? AND b.topic_id = ?", b.Topic, topicID)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(all, func(o stores.Barrier) bool { return o.Before == b.Before })
		if at < 0 {
			return missing(event.TopicPartition{Topic: b.Topic, Partition: b.Before}, w.c.Revision)
		}
		first = all[at]
		for n := count; n < first.After; n++ {
			if err := s.exec("INSERT INTO projectionist_positions (projection, revision, topic, partition, next_offset, topic_id) VALUES (?, ?, ?, ?, 0, ?)",
				id, w.c.Revision, b.Topic, n, topicID); err != nil {
				return err
			}
		}
		return s.exec("UPDATE projectionist_partitions SET count = max(count, ?) WHERE projection = ? AND revision = ? AND topic = ?", first.After, id, w.c.Revision, b.Topic)
	})
	return first, err
}

// Barriers lists those of the topics as this revision reads them: a topic that
// was made anew has none of the old one's.
func (w *writer) Barriers(ctx context.Context) ([]stores.Barrier, error) {
	var out []stores.Barrier
	err := w.d.with(ctx, func(s *session) error {
		id, err := s.projection(w.c)
		if err != nil {
			return err
		}
		out, err = s.barriersOf(id, w.c.Revision)
		return err
	})
	return out, err
}

func (s *session) barriersOf(id int64, revision string) ([]stores.Barrier, error) {
	return s.barriers(id, `EXISTS (SELECT 1 FROM projectionist_positions p WHERE p.projection = b.projection AND p.revision = ? AND p.topic = b.topic)
AND (b.topic_id = '' OR b.topic_id = (SELECT max(p.topic_id) FROM projectionist_positions p WHERE p.projection = b.projection AND p.revision = ? AND p.topic = b.topic))`,
		revision, revision)
}
