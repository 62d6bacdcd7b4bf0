// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Execer is a connection or pool of pgx.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// auditSQL records every committed change of a position row. The recorded row
// lock orders the changes of a partition as they commit. The function runs with
// its owner's rights: a projector may not write here.
const auditSQL = `
CREATE SCHEMA @audit;
CREATE TABLE @audit.moves (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
  operation text NOT NULL,
  revision text NOT NULL, topic text NOT NULL, partition integer NOT NULL,
  old_position text, new_position text, old_epoch bigint, new_epoch bigint,
  old_token text, new_token text, old_owner text, new_owner text);
CREATE FUNCTION @audit.record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO @audit.moves (operation, revision, topic, partition, old_position, new_position,
    old_epoch, new_epoch, old_token, new_token, old_owner, new_owner)
  VALUES (TG_OP, coalesce(NEW.revision, OLD.revision), coalesce(NEW.topic, OLD.topic), coalesce(NEW.partition, OLD.partition),
    OLD.next_position, NEW.next_position, OLD.epoch, NEW.epoch, OLD.token, NEW.token, OLD.owner, NEW.owner);
  RETURN NULL;
END $$;
INSERT INTO @audit.moves (operation, revision, topic, partition, new_position, new_epoch, new_token, new_owner)
  SELECT 'START', revision, topic, partition, next_position, epoch, token, owner FROM @book.positions;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON @book.positions FOR EACH ROW EXECUTE FUNCTION @audit.record();
`

func auditSchema(book string) string { return pgx.Identifier{book + "_audit"}.Sanitize() }

// StartAudit sets the trigger on the table positions of a bookkeeping schema
// that has been prepared. It needs the rights of a superuser.
func StartAudit(ctx context.Context, x Execer, book string) error {
	sql := strings.NewReplacer("@audit", auditSchema(book), "@book", pgx.Identifier{book}.Sanitize()).Replace(auditSQL)
	_, err := x.Exec(ctx, sql)
	return err
}

// Audit is what the recorded moves say.
type Audit struct {
	// Commits and Claims count recorded moves.
	Commits, Claims int
	// Owners is the number of owners that committed.
	Owners int
	// Next is the position that each partition has come to, by "topic/partition".
	Next map[string]string
	// Violations describes what must not be.
	Violations []string
}

// OK tells whether nothing was found.
func (a *Audit) OK() bool { return len(a.Violations) == 0 }

func (a *Audit) String() string {
	verdict := "no violation"
	if !a.OK() {
		shown := a.Violations[:min(len(a.Violations), maxDiffs)]
		verdict = fmt.Sprintf("%d violations:\n  %s", len(a.Violations), strings.Join(shown, "\n  "))
	}
	return fmt.Sprintf("%d commits after %d claims of %d owners, %s", a.Commits, a.Claims, a.Owners, verdict)
}

func (a *Audit) violation(format string, args ...any) {
	a.Violations = append(a.Violations, fmt.Sprintf(format, args...))
}

// Move is one recorded change of a position row.
type Move struct {
	Seq                      int64
	Operation                string
	At                       string // "topic/partition"
	OldPosition, NewPosition string
	OldEpoch, NewEpoch       int64
	OldToken, NewToken       string
	NewOwner                 string
}

// ReadAudit reads the recorded moves and judges them.
func ReadAudit(ctx context.Context, q Querier, book string) (*Audit, error) {
	rows, err := q.Query(ctx, `SELECT seq, operation, topic || '/' || partition, coalesce(old_position, ''), coalesce(new_position, ''),
  coalesce(old_epoch, 0), coalesce(new_epoch, 0), coalesce(old_token, ''), coalesce(new_token, ''), coalesce(new_owner, '')
FROM `+auditSchema(book)+`.moves ORDER BY seq`)
	if err != nil {
		return nil, err
	}
	moves, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Move])
	if err != nil {
		return nil, err
	}
	return Judge(moves), nil
}

// Judge checks moves in the order in which they were recorded.
func Judge(moves []Move) *Audit {
	a := &Audit{Next: map[string]string{}}
	last := map[string]Move{}
	claimOf := map[string]string{} // token: the partition, epoch and owner that it was minted for
	committers := map[string]bool{}
	for _, m := range moves {
		prev, known := last[m.At]
		switch {
		case m.Operation == "DELETE":
			a.violation("move %d: the position row of %s was deleted", m.Seq, m.At)
		case m.Operation == "START" || m.Operation == "INSERT":
			if known {
				a.violation("move %d: %s got a second position row", m.Seq, m.At)
			}
		case !known:
			a.violation("move %d: %s moves without a start", m.Seq, m.At)
		case m.OldPosition != prev.NewPosition || m.OldEpoch != prev.NewEpoch || m.OldToken != prev.NewToken:
			a.violation("move %d: %s goes on from %s (epoch %d), the move before ended at %s (epoch %d)",
				m.Seq, m.At, m.OldPosition, m.OldEpoch, prev.NewPosition, prev.NewEpoch)
		}
		if m.Operation == "UPDATE" {
			a.update(m, claimOf, committers)
		}
		last[m.At] = m
		a.Next[m.At] = m.NewPosition
	}
	a.Owners = len(committers)
	return a
}

// update judges a claim or a commit.
func (a *Audit) update(m Move, claimOf map[string]string, committers map[string]bool) {
	if m.NewEpoch < m.OldEpoch {
		a.violation("move %d: the epoch of %s falls from %d to %d", m.Seq, m.At, m.OldEpoch, m.NewEpoch)
	}
	switch compare(m.OldPosition, m.NewPosition) {
	case 1:
		a.violation("move %d: %s goes back from %s to %s (epoch %d): what is between is applied twice", m.Seq, m.At, m.OldPosition, m.NewPosition, m.NewEpoch)
	case 0:
		if m.NewToken == m.OldToken {
			return // neither claim nor progress
		}
	}
	identity := fmt.Sprintf("%s epoch %d of %s", m.At, m.NewEpoch, m.NewOwner)
	if m.OldPosition == m.NewPosition { // a claim
		a.Claims++
		if before, used := claimOf[m.NewToken]; used {
			a.violation("move %d: %s comes with the token of an earlier claim: %s", m.Seq, identity, before)
		}
		if m.NewEpoch <= m.OldEpoch {
			a.violation("move %d: a claim of %s does not raise the epoch %d", m.Seq, m.At, m.OldEpoch)
		}
		claimOf[m.NewToken] = identity
		return
	}
	a.Commits++
	committers[m.NewOwner] = true
	switch claim, made := claimOf[m.NewToken]; {
	case m.NewToken != m.OldToken || m.NewEpoch != m.OldEpoch:
		a.violation("move %d: %s was committed from %s to %s under epoch %d, while epoch %d held it",
			m.Seq, m.At, m.OldPosition, m.NewPosition, m.NewEpoch, m.OldEpoch)
	case !made:
		a.violation("move %d: %s was committed under a token that no claim minted", m.Seq, m.At)
	case claim != identity:
		a.violation("move %d: the commit of %s comes under the token of %s", m.Seq, identity, claim)
	}
}

// compare orders two positions as numbers.
func compare(a, b string) int {
	x, okX := new(big.Int).SetString(a, 10)
	y, okY := new(big.Int).SetString(b, 10)
	if !okX || !okY {
		return strings.Compare(a, b)
	}
	return x.Cmp(y)
}

// Reached adds a violation for each partition that has not come to its end.
// ends are by "topic/partition".
func (a *Audit) Reached(ends map[string]int64) {
	for at, end := range ends {
		if a.Next[at] != num(end) {
			a.violation("%s has come to %q, the log ends at %d", at, a.Next[at], end)
		}
	}
}
