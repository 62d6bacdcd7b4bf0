// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
)

var update = flag.Bool("update", false, "write the golden files")

func explained(t *testing.T, file string) *Projection {
	t.Helper()
	set, err := manifests.Load([]string{file}, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	w := workspace.New(set)
	compiled, err := w.Compile(w.Projections[0], "test")
	if err != nil {
		t.Fatal(err)
	}
	e, err := Explain(compiled.Contract)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestGolden(t *testing.T) {
	e := explained(t, "testdata/rich.yaml")
	for _, g := range []struct {
		name  string
		print func(*output.Printer) error
	}{
		{"testdata/rich.txt", func(p *output.Printer) error { Print(p, e); return nil }},
		{"testdata/rich.json", func(p *output.Printer) error { p.Format = output.JSON; return p.Document(e) }},
	} {
		var out bytes.Buffer
		if err := g.print(output.New(nil, &out, nil)); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(g.name, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(g.name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), out.String()); diff != "" {
			t.Errorf("%s differs (-want +got; go test -update writes it):\n%s", g.name, diff)
		}
	}
}

// TestKinds: what is shown of a handler fits the statements that carry its effects.
func TestKinds(t *testing.T) {
	want := map[string]string{
		"received": KindBlind, "sold": KindBlind, "closed": KindLoading, "recounted": KindFanOut, "gone": KindBlind, "priced": KindLoading, "put": KindLoading,
	}
	for _, m := range explained(t, "testdata/rich.yaml").Models {
		for _, h := range m.Handlers {
			if h.Kind != want[h.Name] {
				t.Errorf("%s is %s, want %s", h.Name, h.Kind, want[h.Name])
			}
			reads := strings.HasPrefix(h.Statements[0].Purpose, "read")
			if reads != (h.Kind != KindBlind) {
				t.Errorf("%s is %s, and its first statement is to %s", h.Name, h.Kind, h.Statements[0].Purpose)
			}
		}
	}
}
