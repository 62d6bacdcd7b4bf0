// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package testrun

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/events"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/ptest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/replay"
)

type projection = manifests.Of[v1alpha1.Projection]

// caseRun is one case on its way.
type caseRun struct {
	*suite
	*program
	test  *ptest.Test
	spec  *ptest.Case
	maker *events.Maker
}

// run runs the case. An error says why it could not be run.
func (c *caseRun) run(ctx context.Context) (CaseReport, error) {
	out := CaseReport{Name: c.spec.Name, Line: c.spec.Line}
	given, err := c.given()
	if err != nil {
		return out, err
	}
	files, err := c.rowFiles()
	if err != nil {
		return out, err
	}
	expected, err := tables(c.views, &c.spec.Then, files)
	if err != nil {
		return out, err
	}
	if c.spec.Then.Empty() && !c.o.Update {
		return out, errors.New("nothing is expected; write then, or let --update write it")
	}
	got, err := replay.Run(ctx, c.Projection, c.db, given, replay.Options{Cut: replay.OneByOne})
	if err != nil {
		return out, err
	}
	batch, err := replay.Run(ctx, c.Projection, c.db, given, replay.Options{Cut: replay.OneBatch})
	if err != nil {
		return out, err
	}
	stops := c.compareStops(got.Stops, given)
	var differing []Failure
	for i := range expected {
		differing = append(differing, expected[i].compare(got.Rows[expected[i].view.Index])...)
	}
	cuts := c.compareCuts(got, batch)
	if c.o.Update && len(stops) == 0 && len(cuts) == 0 && (len(differing) > 0 && acceptable(expected, got.Rows) || c.spec.Then.Empty()) {
		out.Updated = true
		return out, c.accept(expected, got.Rows)
	}
	if len(differing) > 0 {
		trace, _, err := replay.Trace(ctx, c.Projection, given, false)
		if err != nil {
			return out, err
		}
		explain(c.views, differing, trace)
	}
	out.Failures = slices.Concat(stops, differing, cuts)
	out.Passed = len(out.Failures) == 0
	return out, nil
}

// given makes the records of the case's events.
func (c *caseRun) given() ([]events.Event, error) {
	var out []events.Event
	for i := range c.spec.Given {
		e := &c.spec.Given[i]
		if e.File == "" {
			made, err := c.maker.Event(e, fmt.Sprintf("%s:%d", c.test.Object.File.Name, e.Line))
			if err != nil {
				return nil, err
			}
			out = append(out, made)
			continue
		}
		name := filepath.Join(c.test.Dir(), e.File)
		f, err := os.Open(name) //nolint:gosec // the path is the user's own
		if err != nil {
			return nil, fmt.Errorf("given[%d].file: %w", i, err)
		}
		for made, lineErr := range c.maker.Lines(name, f, e.Topic) {
			if err = lineErr; err != nil {
				break
			}
			out = append(out, made)
		}
		_ = f.Close()
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rowFiles reads the row files of the case. One that is not there yet has no rows when it is to be written.
func (c *caseRun) rowFiles() (map[string][]ptest.Row, error) {
	out := map[string][]ptest.Row{}
	for model, file := range c.spec.Then.RowFiles {
		rows, err := ptest.ReadRows(filepath.Join(c.test.Dir(), file))
		if err != nil && (!c.o.Update || !errors.Is(err, fs.ErrNotExist)) {
			return nil, fmt.Errorf("then.rowFiles.%s: %w", model, err)
		}
		out[model] = rows
	}
	return out, nil
}

// compareStops gives the differences between the events that stop and those that should.
func (c *caseRun) compareStops(got []replay.Stop, given []events.Event) []Failure {
	var out []Failure
	expected := map[int]bool{}
	for _, want := range c.spec.Then.Stopped {
		expected[want.Event] = true
		i := slices.IndexFunc(got, func(s replay.Stop) bool { return s.Event+1 == want.Event })
		switch {
		case want.Event < 1 || want.Event > len(given):
			out = append(out, Failure{Event: want.Event, Message: fmt.Sprintf("want it to stop its partition   got %d events", len(given))})
		case i < 0:
			out = append(out, Failure{Event: want.Event, Message: "want it to stop its partition   got no stop there"})
		case want.Reason != "" && want.Reason != got[i].Reason, want.Path != "" && want.Path != got[i].Path:
			f := Failure{Event: want.Event, Message: "it stops its partition, but not as expected", Details: []string{got[i].Message}}
			for _, d := range []ColumnDiff{{"reason", want.Reason, got[i].Reason}, {"path", want.Path, got[i].Path}} {
				if d.Want != "" && d.Want != d.Got {
					f.Columns = append(f.Columns, d)
				}
			}
			out = append(out, f)
		}
	}
	for _, s := range got {
		if expected[s.Event+1] {
			continue
		}
		e := &given[s.Event]
		f := Failure{
			Event:   s.Event + 1,
			Message: fmt.Sprintf("stops %s/%d: %s", e.Topic, max(0, e.Partition), s.Reason),
			Details: []string{s.Path, s.Message, "it stands in " + e.Place},
		}
		if n := behind(given, s.Event); n > 0 {
			f.Details = append(f.Details, fmt.Sprintf("events behind it in this partition were not applied: %d", n))
		}
		f.Details = slices.DeleteFunc(f.Details, func(d string) bool { return d == "" })
		out = append(out, f)
	}
	return out
}

// behind counts the events after one in its partition.
func behind(given []events.Event, i int) int {
	n := 0
	for _, e := range given[i+1:] {
		if e.Topic == given[i].Topic && max(0, e.Partition) == max(0, given[i].Partition) {
			n++
		}
	}
	return n
}

// compareCuts gives the differences between the two ways to cut the events.
func (c *caseRun) compareCuts(single, batch *replay.Result) []Failure {
	var out []Failure
	same := slices.EqualFunc(single.Stops, batch.Stops, func(a, b replay.Stop) bool { return a.Event == b.Event && a.Reason == b.Reason })
	for m := range c.views {
		v := &c.views[m]
		all := table{view: v, whole: true}
		for _, r := range single.Rows[m] {
			w := wanted{id: v.ID(r), row: r, keyText: v.Key(r)}
			for i := range r {
				w.listed = append(w.listed, i)
			}
			all.rows = append(all.rows, w)
		}
		out = append(out, all.compare(batch.Rows[m])...)
	}
	if same && len(out) == 0 {
		return nil
	}
	head := Failure{Message: "as one batch the events do not give what they give one by one (want): this is a fault of Projectionist; please report it with this test"}
	return append([]Failure{head}, out...)
}
