// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

const (
	// MaxIdentifierBytes is what PostgreSQL keeps of a name; it cuts the rest off silently.
	MaxIdentifierBytes = 63
	// MaxModelBytes is the longest model name whose table <model>__<revision> still fits.
	MaxModelBytes = MaxIdentifierBytes - 2 - 10
)

// checkName refuses what PostgreSQL would cut or cannot hold: two names must
// never become one. Anything else is made safe by quoting.
func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s: is empty", what)
	case len(name) > MaxIdentifierBytes:
		return fmt.Errorf("%s: %q is longer than %d bytes, which PostgreSQL would cut off: shorten it", what, name, MaxIdentifierBytes)
	case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
		return fmt.Errorf("%s: %q is not UTF-8 text without NUL characters", what, name)
	}
	return nil
}

// quote gives "name", or "schema"."name".
func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// literal quotes text for statements that take no parameters (COMMENT ON). With
// standard_conforming_strings, which prologue sets, only the quote needs care.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// constraintName names an index or constraint of a table: injective by a digest
// over table, purpose and columns, readable by a prefix of the table's name.
func constraintName(table, purpose string, columns []string) string {
	in, err := json.Marshal([]any{table, purpose, columns})
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(in)
	tail := "_" + hex.EncodeToString(sum[:12]) + "_" + purpose
	head := table
	if room := MaxIdentifierBytes - len(tail); len(head) > room {
		head = head[:room]
		for !utf8.ValidString(head) {
			head = head[:len(head)-1]
		}
	}
	return head + tail
}
