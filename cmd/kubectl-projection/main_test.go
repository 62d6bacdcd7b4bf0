// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/goldentest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/lint"
)

// call runs the command line as a plugin, and gives both streams and the exit code.
func call(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err bytes.Buffer
	code = execute(t.Context(), realEnvironment(), append([]string{"/usr/local/bin/kubectl-projection"}, args...), strings.NewReader(stdin), &out, &err)
	return out.String(), err.String(), code
}

// TestScreens holds what a user sees: both streams and the exit code.
func TestScreens(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
	}{
		{name: "help", args: []string{"--help"}},
		{name: "version", args: []string{"--version"}},
		{name: "lint-help", args: []string{"lint", "--help"}},
		{name: "lint", args: []string{"lint", "testdata/shop"}},
		{name: "lint-json", args: []string{"lint", "testdata/shop", "-o", "json"}},
		{name: "lint-yaml", args: []string{"lint", "testdata/shop", "-o", "yaml"}},
		{name: "lint-well", args: []string{"lint", "../../config/samples/shop"}},
		{name: "lint-nothing", args: []string{"lint", "-"}, stdin: "kind: ConfigMap\napiVersion: v1\n"},
		{name: "lint-no-file", args: []string{"lint", "testdata/none"}},
		{name: "lint-wrong-flag", args: []string{"lint", "testdata/shop", "-o", "xml"}},
		{name: "explain-refused", args: []string{"explain", "-f", "testdata/shop"}},
		{name: "explain-nothing", args: []string{"explain", "-f", "../../config/samples/shop", "--projection", "none"}},
		{name: "init-name", args: []string{"init", "Order_Summary", "--from", "x"}},
		{name: "verify-help", args: []string{"verify", "--help"}},
		{name: "verify-flags", args: []string{"verify", "-f", "testdata/shop", "--sample", "1%", "--all"}},
		{name: "unknown-command", args: []string{"lnit"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, code := call(t, c.stdin, c.args...)
			got := fmt.Sprintf("$ kubectl projection %s\n%s", strings.Join(c.args, " "), stdout)
			if stderr != "" {
				got += "-- standard error\n" + stderr
			}
			got += fmt.Sprintf("-- exit code %d\n", code)
			goldentest.Equal(t, filepath.Join("testdata", c.name+".golden"), got)
		})
	}
}

// TestStrict: advice is no failure unless it is asked for.
func TestStrict(t *testing.T) {
	const advice = "../../cmd/kubectl-projection/internal/lint/testdata/"
	args := []string{"lint", advice + "base", advice + "wrong/advice-unbounded-append.yaml"}
	if _, _, code := call(t, "", args...); code != 0 {
		t.Errorf("exit code %d for advice", code)
	}
	if _, _, code := call(t, "", append(args, "--strict")...); code != 1 {
		t.Errorf("exit code %d for advice with --strict", code)
	}
}

// TestLintTakesStandardInput and answers in a form that programs read.
func TestLintTakesStandardInput(t *testing.T) {
	data, err := os.ReadFile("testdata/shop/order-summary.yaml")
	if err != nil {
		t.Fatal(err)
	}
	stdout, _, code := call(t, string(data), "lint", "-", "-o", "json")
	var r lint.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 1 || r.Errors == 0 || r.Findings[0].File != "-" {
		t.Errorf("exit code %d, %v: %s", code, err, stdout)
	}
}

// TestInit writes files that are not there, and no others.
func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	args := []string{"init", "order-summary", "--from", "-", "--dir", dir}
	const event = `{"type": "OrderPlaced", "orderId": "o-1"}`
	stdout, stderr, code := call(t, event, args...)
	if code != 0 || !strings.Contains(stdout, "1 event type found in a sample of 1 event") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	if _, stderr, code = call(t, event, args...); code != 2 || !strings.Contains(stderr, "connections.yaml is there already") {
		t.Errorf("a second time: exit code %d, %s", code, stderr)
	}
	if stdout, _, code = call(t, "", "lint", dir); code != 0 || stdout != "4 files, 0 errors, 0 advice\n" {
		t.Errorf("lint: exit code %d, %s", code, stdout)
	}
}

func TestDisplayName(t *testing.T) {
	for arg, want := range map[string]string{
		"/usr/bin/kubectl-projection": "kubectl projection", "kubectl-projection.exe": "kubectl projection", "bin/projection": "projection",
	} {
		if got := displayName(arg); got != want {
			t.Errorf("%s: %s, want %s", arg, got, want)
		}
	}
}
