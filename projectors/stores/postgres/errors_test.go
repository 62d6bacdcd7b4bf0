// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// What the server has answered is no lost connection; what nobody knows is taken for one.
func TestKindsOfErrors(t *testing.T) {
	for _, tc := range []struct {
		err    error
		want   fault
		reason string
	}{
		{damaged("a position", io.ErrUnexpectedEOF), faultPermanent, ReasonStoreError},
		{fmt.Errorf("read: %w", pgx.ErrNoRows), faultPermanent, ReasonStoreError},
		{pgx.ScanArgError{ColumnIndex: 1, Err: errors.New("cannot scan NULL")}, faultPermanent, ReasonStoreError},
		{io.EOF, faultLost, stores.ReasonUnreachable},
		{context.DeadlineExceeded, faultLost, stores.ReasonUnreachable},
		{errors.New("a word of the driver's"), faultLost, stores.ReasonUnreachable},
		{&pgconn.PgError{Code: "57P01"}, faultLost, stores.ReasonUnreachable},
		{&pgconn.PgError{Code: stateLockNotAvailable}, faultRetry, ReasonContention},
	} {
		var env *stores.EnvironmentError
		if got := kind(tc.err); got != tc.want || !errors.As(environment(t.Context(), tc.err), &env) || env.Reason != tc.reason {
			t.Errorf("%v: %d and %v, want %d and %s", tc.err, got, env, tc.want, tc.reason)
		}
	}
}
