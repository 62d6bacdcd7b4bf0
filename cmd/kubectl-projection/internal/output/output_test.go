// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestNoColourButOnTerminals: what is no terminal gets none, and Paint adds nothing then.
func TestNoColourButOnTerminals(t *testing.T) {
	p := New(nil, &bytes.Buffer{}, &bytes.Buffer{})
	if p.Color || p.Paint(Red, "x") != "x" {
		t.Error("a buffer gets colour")
	}
	p.Color = true
	if got := p.Paint(Red, "x"); got != "\x1b[1;31mx\x1b[0m" {
		t.Errorf("%q", got)
	}
}

func TestDocument(t *testing.T) {
	v := struct {
		Rule string `json:"rule"`
	}{"a < b && c"}
	for format, want := range map[Format]string{JSON: "{\n  \"rule\": \"a < b && c\"\n}\n", YAML: "rule: a < b && c\n"} {
		var out bytes.Buffer
		p := New(nil, &out, nil)
		p.Format = format
		if err := p.Document(v); err != nil || out.String() != want {
			t.Errorf("%s: %q, %v", format, out.String(), err)
		}
	}
}

func TestFormatFlag(t *testing.T) {
	p := New(nil, nil, nil)
	cmd := &cobra.Command{}
	p.FormatFlag(cmd, "junit")
	if err := cmd.ParseFlags([]string{"-o", "junit"}); err != nil || p.Format != "junit" {
		t.Errorf("%s, %v", p.Format, err)
	}
	if err := cmd.ParseFlags([]string{"-o", "xml"}); err == nil || !strings.Contains(err.Error(), "use one of text, json, yaml, junit") {
		t.Errorf("%v", err)
	}
}

func TestWrap(t *testing.T) {
	long := strings.Repeat("word ", 30)
	for _, line := range strings.Split(strings.TrimSuffix(Wrap(long, 4), "\n"), "\n") {
		if !strings.HasPrefix(line, "    word") || len(line) > Width {
			t.Errorf("%q", line)
		}
	}
	if got := Wrap("one\ntwo", 2); got != "  one\n  two\n" {
		t.Errorf("%q", got)
	}
}
