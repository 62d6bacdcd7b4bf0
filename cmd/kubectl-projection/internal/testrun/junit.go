// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package testrun

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// The JUnit form that CI systems read: a suite per ProjectionTest.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	File     string      `xml:"file,attr,omitempty"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string       `xml:"name,attr"`
	Class   string       `xml:"classname,attr"`
	File    string       `xml:"file,attr,omitempty"`
	Line    int          `xml:"line,attr,omitempty"`
	Time    string       `xml:"time,attr"`
	Failure *junitResult `xml:"failure,omitempty"`
	Error   *junitResult `xml:"error,omitempty"`
}

type junitResult struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",cdata"`
}

func printJUnit(w io.Writer, r *Report) error {
	out := junitSuites{Tests: r.Summary.Cases, Failures: r.Summary.Failed, Errors: r.Summary.Errors + len(r.Problems)}
	for _, t := range r.Tests {
		s := junitSuite{Name: t.Name, File: t.File, Tests: len(t.Cases), Time: seconds(t.Seconds)}
		for _, c := range t.Cases {
			jc := junitCase{Name: c.Name, Class: t.Name, File: t.File, Line: c.Line, Time: seconds(c.Seconds)}
			if !c.Passed && !c.Updated {
				s.Failures++
				jc.Failure = failureOf(&c)
			}
			s.Cases = append(s.Cases, jc)
		}
		if t.Error != "" {
			s.Errors, s.Tests = s.Errors+1, s.Tests+1
			s.Cases = append(s.Cases, junitCase{Name: "(could not run)", Class: t.Name, File: t.File, Time: seconds(0), Error: errorOf(t.Error)})
		}
		out.Suites = append(out.Suites, s)
	}
	for _, p := range r.Problems {
		out.Suites = append(out.Suites, junitSuite{Name: "manifests", Tests: 1, Errors: 1, Time: seconds(0),
			Cases: []junitCase{{Name: "(could not be read)", Class: "manifests", Time: seconds(0), Error: errorOf(p)}}})
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

func errorOf(text string) *junitResult {
	first, _, _ := strings.Cut(text, "\n")
	return &junitResult{Message: first, Text: text}
}

// failureOf gives the text that the terminal shows.
func failureOf(c *CaseReport) *junitResult {
	var b bytes.Buffer
	p := output.New(nil, &b, io.Discard)
	for i := range c.Failures {
		printFailure(p, &c.Failures[i])
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], indent)
	}
	return &junitResult{Message: lines[0], Text: strings.Join(lines, "\n")}
}
