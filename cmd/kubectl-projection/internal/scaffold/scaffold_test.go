// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package scaffold

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/lint"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/testrun"
)

var update = flag.Bool("update", false, "write the golden files")

// TestInputs: whatever the input, what is made has no finding of lint, its test passes, and it is as golden.
func TestInputs(t *testing.T) {
	for _, c := range []struct{ file, channel string }{
		{"orders.ndjson", ""}, {"plain.ndjson", ""}, {"cloudevents.ndjson", ""}, {"cloudevents-binary.ndjson", ""},
		{"stock.schema.json", ""}, {"accounts.asyncapi2.yaml", ""}, {"sensors.asyncapi3.json", "readings"},
	} {
		t.Run(c.file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", c.file))
			if err != nil {
				t.Fatal(err)
			}
			source, err := Read(data, c.channel)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			var all strings.Builder
			for _, f := range Files(source, Options{Name: "first-view"}) {
				if err := os.WriteFile(filepath.Join(dir, f.Name), []byte(f.Text), 0o600); err != nil {
					t.Fatal(err)
				}
				all.WriteString("# " + f.Name + "\n" + f.Text)
			}
			compareGolden(t, filepath.Join("testdata", c.file+".golden"), all.String())
			set, err := manifests.Load([]string{dir}, nil)
			if err != nil {
				t.Fatal(err)
			}
			report, err := lint.Run(set)
			if err != nil {
				t.Fatal(err)
			}
			var screen bytes.Buffer
			lint.Print(output.New(nil, &screen, nil), report)
			if len(report.Findings) > 0 {
				t.Errorf("lint:\n%s", screen.String())
			}
			result, err := testrun.Run(t.Context(), testrun.Options{Paths: []string{dir}})
			if err != nil {
				t.Fatal(err)
			}
			if s := result.Summary; s.Passed != 1 || s.Failed+s.Errors > 0 {
				screen.Reset()
				_ = testrun.Print(output.New(nil, &screen, nil), result, true)
				t.Errorf("test:\n%s", screen.String())
			}
		})
	}
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got; go test -update writes it):\n%s", name, diff)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ name, input, channel, want string }{
		{"nothing", "", "", "it is neither JSON, NDJSON nor YAML"},
		{"text", "hello", "", "it is neither JSON, NDJSON nor YAML"},
		{"a number as an event", "1\n2\n", "", "event 1: the payload is no object"},
		{"tombstones alone", `{"topic": "a", "key": "k", "value": null}`, "", "there is no event with a payload"},
		{"two topics", `{"topic": "a", "value": {"x": 1}} {"topic": "b", "value": {"x": 1}}`, "", "event 2 is of topic b, and those before are of a"},
		{"no members", `{"type": "object", "properties": {}}`, "", "it describes no payload with members"},
		{"a reference out of the file", `{"oneOf": [{"$ref": "other.json"}]}`, "", "$ref other.json leads out of the document: bundle it into one file first"},
		{"a reference to nothing", `{"oneOf": [{"$ref": "#/$defs/x"}]}`, "", "$ref #/$defs/x names nothing"},
		{"AsyncAPI 1", "asyncapi: '1.2.0'", "", "AsyncAPI 1.2.0 is not known here: versions 2 and 3 are"},
		{"no channel", "asyncapi: '2.6.0'", "", "has no channel"},
		{"several channels", "asyncapi: '2.6.0'\nchannels: {a: {}, b: {}}", "", "choose one with --channel: a, b"},
		{"an unknown channel", "asyncapi: '2.6.0'\nchannels: {a: {}}", "c", `has no channel "c"; it has a`},
		{"no message", "asyncapi: '2.6.0'\nchannels: {a: {}}", "", "channel a has no message"},
		{
			"Avro", "asyncapi: '3.0.0'\nchannels: {a: {messages: {m: {payload: {schemaFormat: 'application/vnd.apache.avro', schema: {}}}}}}", "",
			"the payload of message m is described in application/vnd.apache.avro",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read([]byte(c.input), c.channel)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestARecursiveSchemaEnds: a schema may refer to itself.
func TestARecursiveSchemaEnds(t *testing.T) {
	s, err := Read([]byte(`{"type": "object", "properties": {"id": {"type": "string"}, "parent": {"$ref": "#"}}, "required": ["id"]}`), "")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Events[0].Fields); n != 2 {
		t.Errorf("%d fields", n)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ in, snake, kebab string }{
		{"orderId", "order_id", "order-id"}, {"OrderPlaced", "order_placed", "order-placed"}, {"HTTPStatus", "http_status", "http-status"},
		{"com.example.customer.renamed", "com_example_customer_renamed", "com-example-customer-renamed"}, {"2fa", "x2fa", "x2fa"},
		{"größe", "gr_e", "gr-e"}, {"--", "x", "x"}, {"line2Total", "line2_total", "line2-total"},
	} {
		if snake(c.in) != c.snake || kebab(c.in) != c.kebab {
			t.Errorf("%s: %s and %s, want %s and %s", c.in, snake(c.in), kebab(c.in), c.snake, c.kebab)
		}
	}
}

func TestWiden(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"int64", "decimal(18,2)", "decimal(18,2)"}, {"decimal(18,2)", "decimal(18,4)", "decimal(18,4)"}, {"int64", "float64", "float64"},
		{"decimal(38,0)", "int64", "decimal(38,0)"}, {"uuid", "text", "text"}, {"date", "timestamp", "text"}, {"bool", "text", "json"}, {"", "bool", "bool"},
		{"int64", "decimal(22,12)", "decimal(22,12)"},
	} {
		for _, got := range []string{widen(c.a, c.b), widen(c.b, c.a)} {
			if got != c.want {
				t.Errorf("%s and %s: %s, want %s", c.a, c.b, got, c.want)
			}
		}
	}
}
