// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/goldentest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// lintFiles runs lint on files as the command does, and gives its screen.
func lintFiles(t *testing.T, paths ...string) (*Report, string) {
	t.Helper()
	set, err := manifests.Load(paths, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	report, err := Run(set)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	Print(output.New(nil, &out, nil), report)
	return report, out.String()
}

// TestWrong holds the screen of every wrong manifest. Each has a finding of its own file that says what to do: an error,
// or advice where the name says so.
func TestWrong(t *testing.T) {
	t.Chdir("testdata")
	files, err := filepath.Glob("wrong/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			report, screen := lintFiles(t, "base", file)
			goldentest.Equal(t, strings.TrimSuffix(file, ".yaml")+".golden", screen)
			want := Error
			if strings.HasPrefix(name, "advice-") {
				want = Advice
			}
			if len(report.Findings) == 0 || report.Findings[0].Severity != want {
				t.Fatalf("there is no %s:\n%s", want, screen)
			}
			for _, f := range report.Findings {
				if f.File != file || f.Line < 1 || f.Column < 1 || f.Message == "" {
					t.Errorf("a finding without place or message, or about another file: %+v", f)
				}
				if f.Severity == Error && f.Fix == "" {
					t.Errorf("%s: %s: nothing says what to do", f.Path, f.Message)
				}
			}
		})
	}
	t.Logf("%d wrong manifests", len(files))
}

// TestRight: what every case starts from has no finding.
func TestRight(t *testing.T) {
	if _, screen := lintFiles(t, "testdata/base"); screen != "1 file, 0 errors, 0 advice\n" {
		t.Error(screen)
	}
}

// TestAlone: a Replay is made long after its Projection, and its file is no error without that one's.
func TestAlone(t *testing.T) {
	_, screen := lintFiles(t, "testdata/alone/replay.yaml")
	want := `testdata/alone/replay.yaml:5:25: advice: Replay again projectionRef.name
    what it asks of Projection "order-summary" is not checked, which is not among the files
      projectionRef: {name: order-summary}
                            ^^^^^^^^^^^^^
    looked in testdata/alone/replay.yaml (1 file), where there is no Projection: name the file that
    has it too
1 file, 0 errors, 1 advice
`
	if screen != want {
		t.Errorf("%s\nwant\n%s", screen, want)
	}
}

// breaks makes one kind of line break of all that YAML has.
var breaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// FuzzRun: whatever a file holds, lint answers, and every finding is in the file.
func FuzzRun(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := manifests.Load([]string{"-"}, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		report, err := Run(set)
		if err != nil {
			t.Fatal(err)
		}
		Print(output.New(nil, &bytes.Buffer{}, nil), report)
		lines := strings.Count(breaks.Replace(text), "\n") + 1
		for _, finding := range report.Findings {
			if finding.Line < 1 || finding.Line > lines || finding.Column < 1 {
				t.Errorf("%+v is not in a file of %d lines", finding, lines)
			}
		}
	})
}

// TestCarriageReturns: files of every system are shown with the lines that their editor counts.
func TestCarriageReturns(t *testing.T) {
	data, err := os.ReadFile("testdata/alone/replay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, end := range []string{"\n", "\r\n", "\r"} {
		set, err := manifests.Load([]string{"-"}, strings.NewReader(strings.ReplaceAll(string(data), "\n", end)))
		if err != nil {
			t.Fatal(err)
		}
		report, err := Run(set)
		if err != nil {
			t.Fatal(err)
		}
		var screen bytes.Buffer
		Print(output.New(nil, &screen, nil), report)
		if want == "" {
			want = screen.String()
		}
		if screen.String() != want || !strings.Contains(want, "-:5:25: advice") {
			t.Errorf("%q:\n%s\nwant\n%s", end, screen.String(), want)
		}
	}
}
