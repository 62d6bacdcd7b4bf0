// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package testrun

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/goldentest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/replay"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rows"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// times are what no two runs have alike.
var times = regexp.MustCompile(`\d\.\d\ds\n|time="[\d.]+"|"seconds": [-e\d.]+`)

// screen runs tests and gives what the command shows.
func screen(t *testing.T, format output.Format, o Options) (*Report, string) {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	p := output.New(nil, &b, nil)
	p.Format = format
	if err := Print(p, r, true); err != nil {
		t.Fatal(err)
	}
	return r, times.ReplaceAllStringFunc(b.String(), func(s string) string {
		switch s[0] {
		case 't':
			return `time="0"`
		case '"':
			return `"seconds": 0`
		}
		return "0.00s\n"
	})
}

func TestScreens(t *testing.T) {
	t.Chdir("testdata")
	for _, dir := range []string{"features", "failing", "broken"} {
		_, got := screen(t, output.Text, Options{Paths: []string{dir}})
		goldentest.Equal(t, dir+"/screen.golden", got)
	}
	_, got := screen(t, JUnit, Options{Paths: []string{"failing", "broken"}})
	goldentest.Equal(t, "junit.golden", got)
	_, got = screen(t, output.JSON, Options{Paths: []string{"failing"}})
	goldentest.Equal(t, "json.golden", got)
}

func TestSelection(t *testing.T) {
	t.Chdir("testdata")
	r, err := Run(t.Context(), Options{Paths: []string{"features/shop_test.yaml"}, Run: regexp.MustCompile(`^orders/rows as`)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Summary != (Summary{Projections: 1, Cases: 2, Passed: 2}) {
		t.Errorf("summary %+v, want the two cases that match, in the one file that was named", r.Summary)
	}
	if _, err := Run(t.Context(), Options{Paths: []string{"features"}, Run: regexp.MustCompile("nothing")}); err == nil {
		t.Error("no case matches, and no error says so")
	}
}

// TestAccept rewrites expectations, and finds that they are then what comes out.
func TestAccept(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/accept")); err != nil {
		t.Fatal(err)
	}
	r, _ := screen(t, output.Text, Options{Paths: []string{dir}, Update: true})
	if r.Summary.Updated != 7 || r.Summary.Failed != 1 {
		t.Errorf("summary %+v, want 7 updated and the one that only people can mend", r.Summary)
	}
	for _, name := range []string{"orders_test.yaml", "orders.csv", "new.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		goldentest.Equal(t, filepath.Join("testdata", "accepted", name+".golden"), string(data))
	}
	again, text := screen(t, output.Text, Options{Paths: []string{dir}})
	if again.Summary.Passed != 7 || again.Summary.Failed != 1 || again.Summary.Errors != 0 {
		t.Errorf("after --update:\n%s", text)
	}
}

// TestSQLite: what passes in memory passes on another store.
func TestSQLite(t *testing.T) {
	t.Chdir("testdata")
	r, text := screen(t, output.Text, Options{Paths: []string{"features"}, Store: "sqlite:" + filepath.Join(t.TempDir(), "test.db")})
	if r.Summary.Passed != 6 || r.Summary.Cases != 6 {
		t.Error(text)
	}
}

// TestCuts: a case fails where its events give other rows or stops as one batch than one by one, although nobody expects
// anything of these rows.
func TestCuts(t *testing.T) {
	c := &contract.Contract{Models: []contract.Model{{Name: "m", Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "n", Type: "int64"}}}}}
	vs, err := rows.Views(c)
	if err != nil {
		t.Fatal(err)
	}
	run := &caseRun{program: &program{views: vs}}
	result := func(n int64, stops ...replay.Stop) *replay.Result {
		return &replay.Result{Rows: [][][]value.Value{{{"a", n}}}, Stops: stops}
	}
	stop := replay.Stop{Event: 1, Stop: contract.Stop{Reason: "OutOfRange"}}
	if got := run.compareCuts(result(1, stop), result(1, stop)); got != nil {
		t.Errorf("equal results differ: %+v", got)
	}
	got := run.compareCuts(result(1), result(2))
	if len(got) != 2 || got[1].Key != "id=a" || len(got[1].Columns) != 1 || got[1].Columns[0] != (ColumnDiff{"n", "1", "2"}) {
		t.Errorf("another row is reported as %+v", got)
	}
	if got := run.compareCuts(result(1), result(1, stop)); len(got) != 1 {
		t.Errorf("a stop of one cut alone is reported as %+v", got)
	}
}

// TestCutsAreCompared: a store that is wrong with batches alone fails cases.
func TestCutsAreCompared(t *testing.T) {
	t.Chdir("testdata")
	db, err := connect.OpenURL("memory:", "test")
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := load([]string{"features"})
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{o: Options{Run: regexp.MustCompile("rows as YAML")}, workspace: workspace.New(set), db: forgetful{db}, report: &Report{}, programs: map[*manifests.Object]*program{}}
	for _, o := range set.Objects {
		if o.Kind == manifests.KindProjectionTest {
			s.test(t.Context(), o)
		}
	}
	if len(s.report.Tests) != 1 || len(s.report.Tests[0].Cases) != 1 || s.report.Tests[0].Error != "" {
		t.Fatalf("the report is %+v", s.report)
	}
	c := s.report.Tests[0].Cases[0]
	if c.Passed || len(c.Failures) == 0 || !strings.Contains(c.Failures[0].Message, "as one batch") {
		t.Errorf("the case is %+v, want it to fail by the comparison of cuts", c)
	}
}

// forgetful is a database that loses the rows of commits of several.
type forgetful struct{ connect.Database }

func (f forgetful) Writer(c *contract.Contract) (stores.Writer, error) {
	w, err := f.Database.Writer(c)
	return forgetfulWriter{w}, err
}

type forgetfulWriter struct{ stores.Writer }

func (w forgetfulWriter) Commit(ctx context.Context, c stores.Commit) error {
	if c.Rows != nil && c.Rows.Len() > 1 {
		c.Rows = nil
	}
	return w.Writer.Commit(ctx, c)
}
