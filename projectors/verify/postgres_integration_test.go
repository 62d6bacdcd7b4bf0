// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package verify_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/projectors/history/historytest"
	"github.com/projectionist-dev/projectionist/projectors/keyreplay"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/stores/postgres"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

// onPostgres is a world whose rows are in PostgreSQL, and a way to change them by hand.
func onPostgres(t *testing.T) (*world, func(sql string, args ...any)) {
	t.Helper()
	if os.Getenv("PG_URL") == "" {
		t.Fatal("no PostgreSQL: set PG_URL to a superuser's URL, as hack/postgres/env does")
	}
	conn, err := pgx.Connect(t.Context(), os.Getenv("PG_URL"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	at := conn.Config()
	schema := "verify_" + strings.ToLower(rand.Text()[:10])
	cfg := postgres.Config{
		Resolve: func(context.Context) (postgres.Endpoint, error) {
			return postgres.Endpoint{Host: at.Host, Port: at.Port, Database: at.Database, User: at.User, Password: at.Password}, nil
		},
		Schema: schema, BookkeepingSchema: schema + "_book",
	}
	t.Cleanup(func() {
		if err := postgres.DropSchemas(context.Background(), cfg); err != nil {
			t.Error(err)
		}
	})
	admin, err := postgres.OpenAdmin(postgres.AdminConfig{Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	c := orders()
	writer, err := postgres.OpenWriter(cfg, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writer.Close)
	w := &world{historytest.NewOn(t, c, 2, admin, writer)}
	w.Topics.MaxRecords = 500
	return w, func(sql string, args ...any) {
		t.Helper()
		tag, err := conn.Exec(t.Context(), strings.ReplaceAll(sql, "@", pgx.Identifier{schema, c.Physical("order")}.Sanitize()), args...)
		if err != nil || tag.RowsAffected() != 1 {
			t.Fatalf("%s: %d rows (%v)", sql, tag.RowsAffected(), err)
		}
	}
}

// TestOnPostgres: under a projector that commits all the time there is no false alarm in 50 comparisons, and then a
// row that was altered, one that was deleted, and one that was added are found, and nothing else; and they are repaired.
func TestOnPostgres(t *testing.T) {
	w, sql := onPostgres(t)
	w.Fill(300)
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 300; ; n++ {
			select {
			case <-stop:
				failed <- nil
				return
			default:
			}
			if n%10 >= 8 {
				continue // these customers are left alone, for what is changed by hand
			}
			tp, r := order(kindOf(n), n)
			w.Append(tp, r)
			err := w.Apply(tp, -1)
			if errors.As(err, new(*stores.FencedError)) { // by the repair
				w.Claim(tp)
				err = w.Apply(tp, -1)
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	var last int64
	moved := 0
	for i := range 50 {
		o := w.options()
		if i%5 == 4 {
			o.Sample = verify.Buckets / 10
		}
		r, err := verify.Run(t.Context(), o)
		if err != nil || !r.Equal() || r.Again != nil {
			t.Fatalf("comparison %d: %+v (%v)", i, r, err)
		}
		if r.Events > last {
			moved++
		}
		last = r.Events
	}
	sql("UPDATE @ SET total = total + 0.01, state = NULL WHERE customer = 'c8' AND id = 8")
	sql("DELETE FROM @ WHERE customer = 'c8' AND id = 18")
	sql(`INSERT INTO @ (customer, id, doc) VALUES ('c8', 1000, '{"b": 1, "a": 1.50}')`)
	r, err := verify.Run(t.Context(), w.options())
	if err != nil {
		t.Fatal(err)
	}
	var keys []keyreplay.Key
	for _, d := range r.Models[0].Differences {
		keys = append(keys, keyreplay.Key{Values: d.Key})
	}
	done, err := keyreplay.Run(t.Context(), keyreplay.Options{
		Log: w.Topics, Store: w.Admin.(stores.Replacer), Contract: w.Contract, Program: w.Program, Keys: keys, Owner: "repair",
	})
	if err != nil || done.Models[0] != (stores.ReplacedRows{Written: 2, Deleted: 1}) {
		t.Errorf("the repair: %+v (%v)", done, err)
	}
	for range 5 {
		if again, err := verify.Run(t.Context(), w.options()); err != nil || !again.Equal() {
			t.Errorf("after the repair: %+v (%v)", again, err)
		}
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if m := r.Models[0]; m.Changed != 1 || m.Missing != 1 || m.Extra != 1 || r.Models[1].Differing() != 0 || len(m.Differences[0].Columns) == 0 {
		t.Errorf("%+v", r)
	}
	t.Logf("50 comparisons, %d of them later in the log than the one before, which has %d events now", moved, r.Events)
	if moved < 25 {
		t.Error("the projector hardly moved: there was no load")
	}
}
