// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/goldentest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// seconds are what no two runs have alike.
var seconds = regexp.MustCompile(`in [\d.]+ s`)

// verified is a run from a Kafka into a SQLite file, to be compared.
type verified struct {
	testing.TB
	dir, spec, store string
}

func newVerified(t *testing.T) *verified {
	t.Helper()
	client, address := kafkaWithStock(t)
	v := &verified{TB: t, dir: t.TempDir()}
	v.spec = stock + "---\napiVersion: cqrs.projectionist.dev/v1alpha1\nkind: EventBroker\nmetadata: {name: main}\nspec: {kafka: {bootstrapServers: [\"" + address + "\"]}}\n"
	v.store = "sqlite:" + v.dir + "/stock.db"
	write(t, v.dir+"/stock.yaml", v.spec)
	for i, sku := range []string{"A", "B", "C", "D", "A", "B"} {
		receive(t, client, sku, i+1)
	}
	p, _, errs := printer()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // for a failure alone
	defer cancel()
	if err := Run(ctx, p, Options{Files: []string{v.dir + "/stock.yaml"}, Store: v.store, UntilCaughtUp: true}); err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	return v
}

func (v *verified) verify(change func(*VerifyOptions), format output.Format) (screen string, err error) {
	v.Helper()
	p, out, _ := printer()
	p.Format = format
	o := VerifyOptions{Files: []string{v.dir + "/stock.yaml"}, Store: v.store, Limit: 10}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithTimeout(v.Context(), time.Minute) // for a failure alone
	defer cancel()
	err = Verify(ctx, p, o)
	return strings.ReplaceAll(seconds.ReplaceAllString(out.String(), "in 0.1 s"), v.dir, "DIR"), err
}

func (v *verified) sql(statement string) {
	v.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(v.store, "sqlite:"))
	if err != nil {
		v.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was written
	c := compiled(v.TB.(*testing.T), v.dir+"/stock.yaml")
	r, err := db.ExecContext(v.Context(), strings.ReplaceAll(statement, "@", c.Contract.Physical("stock_level")))
	if err != nil {
		v.Fatal(err)
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		v.Fatalf("%s: %d rows (%v)", statement, n, err)
	}
}

func TestVerifyScreens(t *testing.T) {
	v := newVerified(t)
	screen, err := v.verify(nil, output.Text)
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Equal(t, "testdata/verify-equal.golden", screen)

	v.sql("UPDATE @ SET on_hand = 5 WHERE sku = 'A'")
	v.sql("DELETE FROM @ WHERE sku = 'B'")
	v.sql("INSERT INTO @ VALUES ('by hand', 1)")
	if screen, err = v.verify(nil, output.Text); !errors.Is(err, output.ErrFound) {
		t.Errorf("error %v, want one that gives exit code 1", err)
	}
	goldentest.Equal(t, "testdata/verify-differs.golden", screen)
	if screen, err = v.verify(func(o *VerifyOptions) { o.Limit = 1 }, output.Text); !errors.Is(err, output.ErrFound) || !strings.Contains(screen, "2 more; --limit shows them") {
		t.Errorf("%v\n%s", err, screen)
	}
	screen, err = v.verify(nil, output.JSON)
	var r VerifyReport
	if bad := json.Unmarshal([]byte(screen), &r); bad != nil || !errors.Is(err, output.ErrFound) {
		t.Fatalf("%v, %v\n%s", err, bad, screen)
	}
	if m := r.Models[0]; r.Equal || m.Changed != 1 || m.Missing != 1 || m.Extra != 1 || m.Equal != 2 || len(m.Differences) != 3 || *m.Differences[0].Log["on_hand"] != "6" || *m.Differences[0].Table["on_hand"] != "5" {
		t.Errorf("the report is %s", screen)
	}
	// A sample that holds none of these rows says nothing of them, and that it is a sample.
	screen, _ = v.verify(func(o *VerifyOptions) { o.Sample = "1%" }, output.Text)
	if !strings.Contains(screen, "1% of the keys compared at stock@[") {
		t.Errorf("the screen of a sample:\n%s", screen)
	}
}

const assertions = `  rollout:
    verify:
      sample: 1%
      assertions:
      - {name: some, model: stock_level, row: row.on_hand > 3}
      - {name: known, model: stock_level, row: row.sku != ''}
      - {name: enough, model: stock_level, all: count > 3 && sum.on_hand >= 20}
      - {name: few, model: stock_level, all: sum.on_hand < 20}
`

// The assertions of the manifests are tested, and so are those of a cluster's Projection, on the revision that it names.
func TestVerifyAssertions(t *testing.T) {
	v := newVerified(t)
	spec := strings.Replace(v.spec, "  models:\n", assertions+"  models:\n", 1)
	if spec == v.spec {
		t.Fatal("nothing was replaced")
	}
	write(t, v.dir+"/asserting.yaml", spec)
	screen, err := v.verify(func(o *VerifyOptions) { o.Files = []string{v.dir + "/asserting.yaml"} }, output.Text)
	if !errors.Is(err, output.ErrFound) {
		t.Errorf("error %v, want one that gives exit code 1", err)
	}
	goldentest.Equal(t, "testdata/verify-assertions.golden", screen)

	c := compiled(t, v.dir+"/asserting.yaml")
	deployed := func(o *VerifyOptions) {
		o.Files, o.Deployed = nil, &Deployed{Projection: c.Projection.Value, Contract: c.Contract}
	}
	again, err := v.verify(deployed, output.JSON)
	var r VerifyReport
	if bad := json.Unmarshal([]byte(again), &r); bad != nil || !errors.Is(err, output.ErrFound) || len(r.Assertions) != 4 {
		t.Fatalf("%v, %v\n%s", err, bad, again)
	}
	if a := r.Assertions[0]; !r.Equal || a.Holds || a.Broken == 0 || len(a.Rows) != int(a.Broken) || a.Rows[0]["sku"] == nil || r.Assertions[2].Values["count"] != "4" {
		t.Errorf("%+v", r)
	}
	// A cluster says what the tables were built from: nobody else is asked.
	other := *c.Contract
	other.Revision = "0123456789"
	if screen, err := v.verify(func(o *VerifyOptions) { deployed(o); o.Deployed.Contract = &other }, output.Text); err == nil || errors.Is(err, output.ErrFound) {
		t.Errorf("a revision without tables: %v\n%s", err, screen)
	}
}

func TestVerifyRefused(t *testing.T) {
	v := newVerified(t)
	changed := func(o *VerifyOptions) {
		write(t, v.dir+"/changed.yaml", strings.Replace(v.spec, "add: {on_hand: event.quantity}", "add: {on_hand: 2 * event.quantity}", 1))
		o.Files = []string{v.dir + "/changed.yaml"}
	}
	revision := compiled(t, v.dir+"/stock.yaml").Contract.Revision
	for _, c := range []struct {
		name   string
		change func(*VerifyOptions)
		want   []string
	}{
		{"handlers changed without a rebuild", changed, []string{"readers see revision " + revision, "without a rebuild"}},
		{"another cluster's tables", func(o *VerifyOptions) { o.Cluster = "c1" }, []string{`no tables of projection c1/""/stock-levels`, "use --cluster local"}},
		{"a file that is not there", func(o *VerifyOptions) { o.Store = "sqlite:" + v.dir + "/none.db" }, []string{"none.db", "no such file"}},
		{"a share that is none", func(o *VerifyOptions) { o.Sample = "1" }, []string{"--sample", "write it as 1%"}},
		{"nothing of it", func(o *VerifyOptions) { o.Sample = "0%" }, []string{"--sample"}},
		{"another projection", func(o *VerifyOptions) { o.Projection = "none" }, []string{`no Projection "none"`}},
		{"no broker", func(o *VerifyOptions) {
			write(t, v.dir+"/bare.yaml", stock)
			o.Files = []string{v.dir + "/bare.yaml"}
		}, []string{"the EventBroker of Projection stock-levels is not among the manifests"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			screen, err := v.verify(c.change, output.Text)
			if err == nil || errors.Is(err, output.ErrFound) || screen != "" {
				t.Fatalf("error %v\n%s", err, screen)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q", err, want)
				}
			}
		})
	}
	// Manifests without a broker do, where it is named.
	address := regexp.MustCompile(`bootstrapServers: \["(.*)"\]`).FindStringSubmatch(v.spec)[1]
	if screen, err := v.verify(func(o *VerifyOptions) { o.Files, o.Broker = []string{v.dir + "/bare.yaml"}, address }, output.Text); err != nil {
		t.Errorf("with --broker: %v\n%s", err, screen)
	}
}
