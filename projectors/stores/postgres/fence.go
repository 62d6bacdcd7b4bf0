// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/failpoint"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// The wrong branches that a test forces; see package failpoint.
const (
	failFenceNoEpochToken = "postgres/fence-no-epoch-token" //nolint:gosec // a name, no secret
	failFenceNone         = "postgres/fence-none"
	failClaimTokensOnce   = "postgres/claim-tokens-once" //nolint:gosec // a name, no secret
	failPositionOutside   = "postgres/position-outside-transaction"
	failDieBeforePosition = "postgres/die-before-position"
)

// texts are the statements that do not depend on a shape.
type texts struct {
	begin, commit, rollback string
	prologue                string
	lock, fence             string
	fenceNoEpoch, fenceNone string // failpoints only
	read                    string
}

func newTexts(cfg Config) texts {
	positions := quote(cfg.BookkeepingSchema, "positions")
	const mine = "p.projection = $1 AND p.revision = $2 AND p.topic = a.topic AND p.partition = a.partition"
	fence := func(conditions string) string {
		return "WITH f AS (UPDATE " + positions + ` p SET next_position = a.next, epoch = a.epoch, token = a.token,
  event_time = greatest(p.event_time, a.event_time),
  leader_epoch = CASE WHEN a.leader_epoch >= 0 THEN a.leader_epoch ELSE p.leader_epoch END,
  topic_id = CASE WHEN p.topic_id = '' THEN a.topic_id ELSE p.topic_id END, updated_at = pg_catalog.clock_timestamp()
FROM ROWS FROM (pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::int[]), pg_catalog.unnest($6::bigint[]), pg_catalog.unnest($7::text[]),
  pg_catalog.unnest($8::text[]), pg_catalog.unnest($9::bigint[]), pg_catalog.unnest($10::text[]), pg_catalog.unnest($11::timestamptz[]),
  pg_catalog.unnest($12::int[]), pg_catalog.unnest($13::text[]))
  AS a(topic, partition, epoch, token, expected, held_version, next, event_time, leader_epoch, topic_id)
WHERE ` + mine + conditions + ` RETURNING 1)
SELECT 1 / ((SELECT pg_catalog.count(*) FROM f) = $3::bigint)::int`
	}
	const held = " AND p.held_version = a.held_version"
	t := texts{
		begin: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", commit: "COMMIT", rollback: "ROLLBACK",
		prologue: cfg.prologue(),
		lock: "SELECT pg_catalog.count(*) FROM (SELECT 1 FROM " + positions + ` p
JOIN ROWS FROM (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::int[])) AS a(topic, partition) ON ` + mine + `
ORDER BY p.topic, p.partition FOR UPDATE OF p) l`,
		// epoch and token are written as they are: an audit of the row sees whose commit it was.
		fence: fence(" AND p.epoch = a.epoch AND p.token = a.token AND p.next_position = a.expected" + held),
		read:  "SELECT " + claimColumns + " FROM " + positions + " p WHERE p.projection = $1 AND p.revision = $2",
	}
	if failpoint.Enabled {
		t.fenceNoEpoch, t.fenceNone = fence(" AND p.next_position = a.expected"+held), fence("")
	}
	return t
}

// fenceText is the fence, or the wrong one that a test asked for.
func (w *Writer) fenceText() string {
	switch {
	case failpoint.Enabled && failpoint.Hit(failFenceNone):
		return w.sql.fenceNone
	case failpoint.Enabled && failpoint.Hit(failFenceNoEpochToken):
		return w.sql.fenceNoEpoch
	}
	return w.sql.fence
}

var (
	textType  = value.Type{Kind: value.Text}
	int32Type = value.Type{Kind: value.Int32}
	int64Type = value.Type{Kind: value.Int64}
	timeType  = value.Type{Kind: value.Timestamp}
)

// scalar parameters, in binary.
func textParam(s string) []byte { return []byte(s) }

func int64Param(n int64) []byte { return appendValue(nil, int64Type, n) }

func (w *Writer) lockParams(id int64, advances []stores.Advance) [][]byte {
	n := len(advances)
	return [][]byte{
		int64Param(id), textParam(w.revision),
		encodeArray(textType, n, func(i int) value.Value { return advances[i].Claim.Topic }),
		encodeArray(int32Type, n, func(i int) value.Value { return int64(advances[i].Claim.Partition) }),
	}
}

func (w *Writer) fenceParams(id int64, advances []stores.Advance) [][]byte {
	n := len(advances)
	text := func(at func(*stores.Advance) string) []byte {
		return encodeArray(textType, n, func(i int) value.Value { return at(&advances[i]) })
	}
	number := func(t value.Type, at func(*stores.Advance) int64) []byte {
		return encodeArray(t, n, func(i int) value.Value { return at(&advances[i]) })
	}
	return [][]byte{
		int64Param(id), textParam(w.revision), int64Param(int64(n)),
		text(func(a *stores.Advance) string { return a.Claim.Topic }),
		number(int32Type, func(a *stores.Advance) int64 { return int64(a.Claim.Partition) }),
		number(int64Type, func(a *stores.Advance) int64 { return a.Claim.Epoch }),
		text(func(a *stores.Advance) string { return a.Claim.Token }),
		text(func(a *stores.Advance) string { return string(contract.OffsetPosition(a.Claim.Next)) }),
		number(int64Type, func(a *stores.Advance) int64 { return a.Claim.HeldVersion }),
		text(func(a *stores.Advance) string { return string(contract.OffsetPosition(a.Next)) }),
		encodeArray(timeType, n, func(i int) value.Value {
			if at := advances[i].EventTime; !at.IsZero() {
				return at.Truncate(time.Microsecond)
			}
			return nil
		}),
		number(int32Type, func(a *stores.Advance) int64 { return int64(a.LeaderEpoch) }),
		text(func(a *stores.Advance) string { return a.TopicID }),
	}
}

// outcome is what the position rows say about a commit.
type outcome uint8

const (
	outcomeNotYet    outcome = iota // the rows are as the claims say: it did not happen
	outcomeCommitted                // the rows are where the commit moves them, under its claims
	outcomeFenced
)

// judge compares rows with a commit. A row that stands at the commit's own end
// under the commit's own claim can only have been put there by this commit:
// nobody else holds the token, and a transaction moves all of its rows or none.
func judge(advances []stores.Advance, rows map[event.TopicPartition]stores.Claim) (outcome, []event.TopicPartition) {
	var fenced, arrived []event.TopicPartition
	moved := 0
	for _, a := range advances {
		row := rows[a.Claim.TopicPartition]
		if a.Next != a.Claim.Next {
			moved++
		}
		switch {
		case row.Epoch != a.Claim.Epoch || row.Token != a.Claim.Token || row.HeldVersion != a.Claim.HeldVersion:
			fenced = append(fenced, a.Claim.TopicPartition)
		case row.Next == a.Claim.Next:
		case row.Next == a.Next:
			arrived = append(arrived, a.Claim.TopicPartition)
		default:
			fenced = append(fenced, a.Claim.TopicPartition)
		}
	}
	switch {
	case len(fenced) > 0:
		return outcomeFenced, fenced
	case len(arrived) == 0:
		return outcomeNotYet, nil
	case len(arrived) == moved:
		return outcomeCommitted, arrived
	default:
		// Another cut of the same events was committed before: these have moved on.
		return outcomeFenced, arrived
	}
}
