// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package testrun

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/events"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/ptest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/replay"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/rows"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
)

// Options are what a run is asked for.
type Options struct {
	// Paths are directories and files.
	Paths []string
	// Store is the URL of the store to run on; empty is memory.
	Store string
	// Run selects cases by TEST/CASE; nil is all.
	Run *regexp.Regexp
	// Update rewrites the expected rows of cases that fail.
	Update bool
}

// cluster is the part of an identity by which tests own their tables.
const cluster = "projection-test"

// Run runs the tests of the paths. The error says why nothing could be run.
func Run(ctx context.Context, o Options) (*Report, error) {
	set, selected, err := load(o.Paths)
	if err != nil {
		return nil, err
	}
	db, err := connect.OpenScratch(cmp.Or(o.Store, "memory:"), "kubectl-projection test")
	if err != nil {
		return nil, fmt.Errorf("--store: %w", err)
	}
	s := &suite{o: o, workspace: workspace.New(set), db: db, report: &Report{}, programs: map[*manifests.Object]*program{}}
	for _, p := range set.Problems {
		s.report.Problems = append(s.report.Problems, p.String())
	}
	for _, object := range set.Objects {
		if object.Kind == manifests.KindProjectionTest && selected(object.File.Name) {
			s.test(ctx, object)
		}
	}
	if err := errors.Join(s.edits.write(), db.Close()); err != nil {
		return nil, err
	}
	s.summarize()
	if len(s.report.Tests) == 0 && len(s.report.Problems) == 0 {
		return nil, fmt.Errorf("there is no ProjectionTest in %s, or no case matches --run; see docs/testing.md for how to write one", strings.Join(o.Paths, ", "))
	}
	return s.report, ctx.Err()
}

// load reads the manifests of the paths, and for a file those beside it. It gives
// also which files' tests are meant.
func load(paths []string) (*manifests.Set, func(file string) bool, error) {
	var all []string
	named := map[string]bool{}
	var dirs []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, p)
		if info.IsDir() {
			dirs = append(dirs, filepath.Clean(p))
			continue
		}
		named[filepath.Clean(p)] = true
		beside, err := manifestsIn(filepath.Dir(p))
		if err != nil {
			return nil, nil, err
		}
		all = append(all, beside...)
	}
	set, err := manifests.Load(all, nil)
	selected := func(file string) bool {
		file = filepath.Clean(file)
		return named[file] || slices.ContainsFunc(dirs, func(d string) bool {
			rel, err := filepath.Rel(d, file)
			return err == nil && !strings.HasPrefix(rel, "..")
		})
	}
	return set, selected, err
}

// manifestsIn names the files of a directory, without those below, that may hold manifests.
func manifestsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var out []string
	for _, e := range entries {
		if !e.IsDir() && e.Type()&fs.ModeSymlink == 0 && slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(e.Name())) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, err
}

// program is a projection that compiled, or why it did not.
type program struct {
	*replay.Projection
	views []rows.View
	err   error
}

type suite struct {
	o         Options
	workspace *workspace.Workspace
	db        connect.Database
	report    *Report
	programs  map[*manifests.Object]*program
	edits     edits
}

func (s *suite) test(ctx context.Context, o *manifests.Object) {
	began := time.Now()
	t, problems := ptest.Load(o)
	r := TestReport{Name: cmp.Or(o.Name, t.Spec.Projection), Projection: t.Spec.Projection, File: o.File.Name}
	cases := s.matching(r.Name, t)
	if len(problems) == 0 && len(cases) == 0 {
		return
	}
	for _, p := range problems {
		r.Error = strings.TrimPrefix(r.Error+"\n"+p.String(), "\n")
	}
	if r.Error == "" {
		if err := s.cases(ctx, t, cases, &r); err != nil {
			r.Error = err.Error()
		}
	}
	r.Seconds = time.Since(began).Seconds()
	s.report.Tests = append(s.report.Tests, r)
}

func (s *suite) matching(test string, t *ptest.Test) []*ptest.Case {
	var out []*ptest.Case
	for i := range t.Spec.Cases {
		if c := &t.Spec.Cases[i]; s.o.Run == nil || s.o.Run.MatchString(test+"/"+c.Name) {
			out = append(out, c)
		}
	}
	return out
}

func (s *suite) cases(ctx context.Context, t *ptest.Test, cases []*ptest.Case, r *TestReport) error {
	p, err := s.workspace.Projection(t.Dir(), t.Metadata.Namespace, t.Spec.Projection)
	if err != nil {
		return fmt.Errorf("%s: %w", t.Object.Spec("projection").Value, err)
	}
	prog := s.program(p.Object, func() (*program, error) { return s.compile(p) })
	if prog.err != nil {
		return prog.err
	}
	at, err := time.Parse(time.RFC3339Nano, cmp.Or(t.Spec.Defaults.Time, ptest.DefaultTime))
	if err != nil {
		return err // it was looked at when the test was loaded
	}
	maker := events.NewMaker(prog.Contract.Topics, prog.Program.NewEvaluator(), at)
	maker.Topic = cmp.Or(t.Spec.Defaults.Topic, maker.Topic)
	var errs []error
	for _, c := range cases {
		if err := ctx.Err(); err != nil {
			return err
		}
		began := time.Now()
		run := &caseRun{suite: s, program: prog, test: t, spec: c, maker: maker}
		report, err := run.run(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: case %q: %w", t.Object.File.Name, c.Line, c.Name, err))
			continue
		}
		report.Seconds = time.Since(began).Seconds()
		r.Cases = append(r.Cases, report)
	}
	return errors.Join(errs...)
}

func (s *suite) program(o *manifests.Object, compile func() (*program, error)) *program {
	if p := s.programs[o]; p != nil {
		return p
	}
	p, err := compile()
	if err != nil {
		p = &program{err: err}
	}
	s.programs[o] = p
	return p
}

func (s *suite) summarize() {
	sum := &s.report.Summary
	projections := map[string]bool{}
	for _, t := range s.report.Tests {
		projections[t.Projection] = true
		if t.Error != "" {
			sum.Errors++
		}
		for _, c := range t.Cases {
			sum.Cases++
			switch {
			case c.Updated:
				sum.Updated++
			case c.Passed:
				sum.Passed++
			default:
				sum.Failed++
			}
		}
	}
	sum.Projections = len(projections)
}

func (s *suite) compile(p projection) (*program, error) {
	compiled, err := s.workspace.Compile(p, cluster)
	if err != nil {
		return nil, err
	}
	c := events.WithoutRegistry(compiled.Contract)
	prg, err := handlers.Compile(c, nil)
	if err != nil {
		return nil, err
	}
	vs, err := rows.Views(c)
	return &program{Projection: &replay.Projection{Contract: c, Program: prg}, views: vs}, err
}
