// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package crd

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// apiServer starts an API server with our CRDs, and gives a strict client.
func apiServer(t *testing.T) (context.Context, client.Client) {
	t.Helper()
	env := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join(root, "config/crd/bases")},
		ErrorIfCRDPathMissing: true,
	}
	cfg, err := env.Start()
	if err != nil {
		t.Fatalf("no API server (set KUBEBUILDER_ASSETS to what hack/cluster/envtest-assets prints): %v", err)
	}
	t.Cleanup(func() {
		if stopErr := env.Stop(); stopErr != nil {
			t.Logf("stop: %v", stopErr)
		}
	})
	scheme := runtime.NewScheme()
	if err = v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx, client.WithFieldValidation(c, metav1.FieldValidationStrict)
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict([]byte(text), &u.Object); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	u.SetNamespace("default")
	return u
}

func TestAPIServer(t *testing.T) {
	ctx, c := apiServer(t)
	t.Run("copied YAML is accepted", func(t *testing.T) {
		for _, d := range documents(t) {
			if err := c.Create(ctx, object(t, string(d.text)), client.DryRunAll); err != nil {
				t.Errorf("%s: %v", d.where, err)
			}
		}
	})
	t.Run("defaults", func(t *testing.T) { testDefaults(ctx, t, c) })
	t.Run("scale", func(t *testing.T) { testScale(ctx, t, c) })
	t.Run("immutable fields", func(t *testing.T) { testImmutable(ctx, t, c) })
	for _, tc := range refused {
		t.Run("refused/"+tc.name, func(t *testing.T) {
			text := bases[tc.kind]
			for i := 0; i < len(tc.edit); i += 2 {
				if !strings.Contains(text, tc.edit[i]) {
					t.Fatalf("nothing to replace: %q", tc.edit[i])
				}
				text = strings.ReplaceAll(text, tc.edit[i], tc.edit[i+1])
			}
			err := c.Create(ctx, object(t, text), client.DryRunAll)
			switch {
			case err == nil:
				t.Errorf("accepted:\n%s", text)
			case !strings.Contains(err.Error(), tc.about):
				t.Errorf("got %v\nwant something about %q", err, tc.about)
			}
		})
	}
}

// bases are specs that are accepted; refused edits them.
var bases = map[string]string{
	"EventBroker": `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventBroker
metadata: {name: main}
spec:
  kafka:
    bootstrapServers: ["a:9092"]
    tls: {caSecretRef: {name: ca}}
    authentication: {mechanism: PLAIN, secretRef: {name: user}, keys: {username: u}}
`,
	"EventTopic": `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventTopic
metadata: {name: orders}
spec:
  brokerRef: {name: main}
  topic: orders.v1
  event: {type: event.type}
  create: {partitions: 3}
`,
	"ReadStore": `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: ReadStore
metadata: {name: read}
spec:
  postgres:
    secretRef: {name: db}
    tls: {mode: require}
`,
	"Projection": `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: Projection
metadata: {name: summary}
spec:
  storeRef: {name: read}
  topics: [{name: orders}]
  models:
  - name: m
    key: [id]
    columns: [{name: id, type: text}, {name: v, type: text}]
    handlers:
    - name: h
      key: {id: event.id}
      set: {v: event.v}
`,
	"Replay": `
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: Replay
metadata: {name: again}
spec:
  projectionRef: {name: summary}
  promotion: Manual
  ttlSecondsAfterFinished: 60
`,
}

var refused = []struct {
	name, kind string
	edit       []string
	about      string
}{
	{"no kind of broker", "EventBroker", []string{"  kafka:\n    bootstrapServers: [\"a:9092\"]\n    tls: {caSecretRef: {name: ca}}\n    authentication: {mechanism: PLAIN, secretRef: {name: user}, keys: {username: u}}\n", "  {}\n"}, "spec.kafka: Required value"},
	{"nothing to connect to", "EventBroker", []string{`    bootstrapServers: ["a:9092"]` + "\n", "", ", secretRef: {name: user}, keys: {username: u}}", "}"}, "secretRef: Required value"},
	{"no servers and no Secret", "EventBroker", []string{`    bootstrapServers: ["a:9092"]` + "\n", "", "    authentication: {mechanism: PLAIN, secretRef: {name: user}, keys: {username: u}}\n", ""}, "set bootstrapServers, or an authentication.secretRef"},
	{"server without port", "EventBroker", []string{"a:9092", "broker"}, "should match"},
	{"a list that is a string", "EventBroker", []string{`["a:9092"]`, "a:9092"}, "must be of type array"},
	{"two CAs", "EventBroker", []string{"{caSecretRef: {name: ca}}", "{caSecretRef: {name: ca}, caConfigMapRef: {name: ca}}"}, "not both"},
	{"mechanism", "EventBroker", []string{"PLAIN", "GSSAPI"}, `supported values: "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "TLS"`},
	{"mutual TLS without TLS", "EventBroker", []string{"PLAIN", "TLS", "    tls: {caSecretRef: {name: ca}}\n", ""}, "mechanism TLS needs tls"},
	{"unknown property of a Secret", "EventBroker", []string{"{username: u}", "{user: u}"}, "keys maps username"},
	{"path as a Secret's name", "EventBroker", []string{"{name: user}", "{name: ../user}"}, "should match"},
	{"group prefix", "EventBroker", []string{"    tls:", "    groupPrefix: \"a b\"\n    tls:"}, "should match"},
	{"unknown field", "EventBroker", []string{"    tls:", "    zookeeper: x\n    tls:"}, `unknown field "spec.kafka.zookeeper"`},

	{"registry without address", "EventBroker", []string{"  kafka:", "  schemaRegistry: {secretRef: {name: r}}\n  kafka:"}, "urls: Required value"},
	{"registry address", "EventBroker", []string{"  kafka:", "  schemaRegistry: {urls: [\"registry:8081\"]}\n  kafka:"}, "should match"},
	{"registry address with a password", "EventBroker", []string{"  kafka:", "  schemaRegistry: {urls: [\"https://me:secret@registry\"]}\n  kafka:"}, "should match"},
	{"registry keys", "EventBroker", []string{"  kafka:", "  schemaRegistry: {urls: [\"https://r\"], secretRef: {name: r}, keys: {user: u}}\n  kafka:"}, "keys maps username, password or token"},
	{"registry keys of no Secret", "EventBroker", []string{"  kafka:", "  schemaRegistry: {urls: [\"https://r\"], keys: {token: t}}\n  kafka:"}, "set secretRef, or remove keys"},

	{"no broker", "EventTopic", []string{"  brokerRef: {name: main}\n", ""}, "spec.brokerRef: Required value"},
	{"topic name", "EventTopic", []string{"orders.v1", "orders/v1"}, "should match"},
	{"topic name of dots", "EventTopic", []string{"orders.v1", ".."}, "no topic names"},
	{"format", "EventTopic", []string{"  topic:", "  format: XML\n  topic:"}, `supported values: "JSON", "CloudEvents", "Debezium", "DebeziumOutbox", "Avro", "Protobuf", "JSONSchema", "Text", "Bytes"`},
	{"key format", "EventTopic", []string{"  topic:", "  key: {format: Protobuf}\n  topic:"}, `supported values: "Text", "JSON", "Avro", "Bytes"`},
	{"field of a text key", "EventTopic", []string{"  topic:", "  key: {field: id}\n  topic:"}, "only keys of format JSON or Avro have members"},
	{"schema without text", "EventTopic", []string{"  topic:", "  schemas: [{events: [A]}]\n  topic:"}, "jsonSchema: Required value"},
	{"schema that is no text", "EventTopic", []string{"  topic:", "  schemas: [{jsonSchema: {type: object}}]\n  topic:"}, `unknown field "spec.schemas[0].jsonSchema.type"`},
	{"upcast that does nothing", "EventTopic", []string{"  topic:", "  upcasts: [{name: old, events: [A]}]\n  topic:"}, "give at least one of set, unset and type"},
	{"upcast twice", "EventTopic", []string{"  topic:", "  upcasts: [{name: old, type: A}, {name: old, type: B}]\n  topic:"}, "Duplicate value"},
	{"upcast of a number", "EventTopic", []string{"  topic:", "  upcasts: [{name: old, set: {n: 0}}]\n  topic:"}, "must be of type string"},
	{"partitions", "EventTopic", []string{"{partitions: 3}", "{partitions: 0}"}, "greater than or equal to 1"},
	{"number for a string", "EventTopic", []string{"{partitions: 3}", "{partitions: 3, config: {retention.ms: -1}}"}, "must be of type string"},
	{"nothing in event", "EventTopic", []string{"{type: event.type}", "{}"}, "at least 1 properties"},
	{"expression length", "EventTopic", []string{"{type: event.type}", "{type: " + strings.Repeat("a", 2049) + "}"}, "may not be more than 2048"},

	{"no Secret", "ReadStore", []string{"    secretRef: {name: db}\n", ""}, "spec.postgres.secretRef: Required value"},
	{"tls mode", "ReadStore", []string{"require", "prefer"}, `supported values: "disable", "require", "verify-ca", "verify-full"`},
	{"port", "ReadStore", []string{"    tls:", "    port: 70000\n    tls:"}, "less than or equal to 65535"},
	{"schema name", "ReadStore", []string{"    tls:", "    schema: 'a\"b'\n    tls:"}, "should match"},
	{"system schema", "ReadStore", []string{"    tls:", "    schema: pg_catalog\n    tls:"}, "begin with pg_"},
	{"one schema for both", "ReadStore", []string{"    tls:", "    schema: projectionist\n    tls:"}, "must differ"},
	{"keys of no Secret", "ReadStore", []string{"    tls:", "    ddlKeys: {username: u}\n    tls:"}, "set ddlSecretRef"},

	{"name length", "Projection", []string{"{name: summary}", "{name: a" + strings.Repeat("b", 40) + "}"}, "at most 40 characters"},
	{"name begins with a digit", "Projection", []string{"{name: summary}", "{name: 1st}"}, "beginning with a letter"},
	{"topic twice", "Projection", []string{"[{name: orders}]", "[{name: orders}, {name: orders}]"}, "Duplicate value"},
	{"no topics", "Projection", []string{"[{name: orders}]", "[]"}, "at least 1 item"},
	{"model twice", "Projection", []string{"  models:\n", "  models:\n  - {name: m, key: [id], columns: [{name: id, type: text}], handlers: [{name: h, key: {id: event.id}, delete: true}]}\n"}, "Duplicate value"},
	{"model name", "Projection", []string{"- name: m\n", "- name: 'm\"; drop'\n"}, "should match"},
	{"model name length", "Projection", []string{"- name: m\n", "- name: " + strings.Repeat("m", 52) + "\n"}, "may not be more than 51"},
	{"column twice", "Projection", []string{"{name: v, type: text}", "{name: id, type: text}"}, "Duplicate value"},
	{"key that is a string", "Projection", []string{"key: [id]", "key: id"}, "must be of type array"},
	{"default that is a number", "Projection", []string{"{name: v, type: text}", "{name: v, type: int32, default: 0}"}, "must be of type string"},
	{"handler without key", "Projection", []string{"      key: {id: event.id}\n", ""}, "give key (the row to change) or where (all rows that match), not both"},
	{"handler with key and where", "Projection", []string{"      set:", "      where: {id: event.id}\n      set:"}, "give key (the row to change) or where (all rows that match), not both"},
	{"events and default", "Projection", []string{"      set:", "      events: [A]\n      default: true\n      set:"}, "give one of events, default and tombstone"},
	{"events and tombstone", "Projection", []string{"      set:", "      events: [A]\n      tombstone: true\n      set:"}, "give one of events, default and tombstone"},
	{"two versions", "Projection", []string{"      set:", "      versionBy: {a: event.a, b: event.b}\n      set:"}, "must have at most 1 item"},
	{"set of a number", "Projection", []string{"      set: {v: event.v}", "      set: {v: 1}"}, "must be of type string"},
	{"unset that is a map", "Projection", []string{"      set: {v: event.v}", "      unset: {v: true}"}, `unknown field "spec.models[0].handlers[0].unset.v"`},
	{"order", "Projection", []string{"    key: [id]", "    order: Any\n    key: [id]"}, `supported values: "Log", "Arrival"`},
	{"check twice", "Projection", []string{"    key: [id]", "    checks: [{name: c, rule: row.v != ''}, {name: c, rule: row.v != ''}]\n    key: [id]"}, "Duplicate value"},
	{"check without rule", "Projection", []string{"    key: [id]", "    checks: [{name: c}]\n    key: [id]"}, "rule: Required value"},
	{"version without columns", "Projection", []string{"    key: [id]", "    versions: [{column: v}]\n    key: [id]"}, "columns: Required value"},
	{"join without match", "Projection", []string{"    key: [id]", "    joins: [{model: m, set: {w: v}}]\n    key: [id]"}, "match: Required value"},
	{"joined column that is a list", "Projection", []string{"    key: [id]", "    joins: [{model: m, match: {id: id}, set: {w: [v]}}]\n    key: [id]"}, "must be of type string"},
	{"joined column's name", "Projection", []string{"    key: [id]", "    joins: [{model: m, match: {id: id}, set: {w: 'v\"'}}]\n    key: [id]"}, "should match"},
	{"index method", "Projection", []string{"    key: [id]", "    indexes: [{columns: [v], method: Tree}]\n    key: [id]"}, `supported values: "BTree", "Hash", "GIN", "GiST", "BRIN"`},
	{"unique GIN", "Projection", []string{"    key: [id]", "    indexes: [{columns: [v], method: GIN, unique: true}]\n    key: [id]"}, "only a BTree index can be unique"},
	{"Hash of two columns", "Projection", []string{"    key: [id]", "    indexes: [{columns: [id, v], method: Hash}]\n    key: [id]"}, "a Hash index has one column"},
	{"generated with default", "Projection", []string{"{name: v, type: text}", "{name: v, type: text, generated: row.id, default: x}"}, "a generated column has the value of its expression"},
	{"native with quotes", "Projection", []string{"{name: v, type: text}", "{name: v, type: text, native: 'a\"b'}"}, "should match"},
	{"empty range", "Projection", []string{"{name: v, type: text}", "{name: v, type: int32, range: {}}"}, "at least 1 properties"},
	{"range of a number", "Projection", []string{"{name: v, type: text}", "{name: v, type: int32, range: {min: 0}}"}, "must be of type string"},
	{"cap of nothing", "Projection", []string{"{name: v, type: text}", "{name: v, type: 'text[]', list: {maxItems: 0}}"}, "greater than or equal to 1"},
	{"empty enum", "Projection", []string{"{name: v, type: text}", "{name: v, type: text, enum: []}"}, "at least 1 item"},
	{"handler that does nothing", "Projection", []string{"      set: {v: event.v}\n", ""}, "give at least one of set, setOnce, unset, add, min, max, append and merge, or delete: true alone"},
	{"handler that deletes and sets", "Projection", []string{"      set:", "      delete: true\n      set:"}, "give at least one of set, setOnce, unset, add, min, max, append and merge, or delete: true alone"},
	{"on is true in YAML", "Projection", []string{"      set:", "      on: orders\n      set:"}, "unknown field"},
	{"onAbsent", "Projection", []string{"      set:", "      onAbsent: Fail\n      set:"}, `supported values: "Create", "Ignore"`},
	{"replicas", "Projection", []string{"  storeRef:", "  projector: {replicas: 0}\n  storeRef:"}, "greater than or equal to 1"},
	{"a Replay of nothing", "Replay", []string{"  projectionRef: {name: summary}\n", ""}, "spec.projectionRef: Required value"},
	{"a Replay of another namespace", "Replay", []string{"{name: summary}", "{name: other/summary}"}, "should match"},
	{"who promotes a Replay", "Replay", []string{"Manual", "Never"}, `supported values: "Automatic", "Manual"`},
	{"a Replay that ended before it began", "Replay", []string{"ttlSecondsAfterFinished: 60", "ttlSecondsAfterFinished: -1"}, "greater than or equal to 0"},
	{"a Replay from two places", "Replay", []string{"  promotion:", "  from: {earliest: {}, time: '2026-11-01T00:00:00Z'}\n  promotion:"}, "from is one of earliest, time and positions: give exactly one"},
	{"a Replay from nowhere", "Replay", []string{"  promotion:", "  from: {}\n  promotion:"}, "from is one of earliest, time and positions"},
	{"keys and a start", "Replay", []string{"  promotion: Manual", "  from: {earliest: {}}\n  keys: {model: m, values: [a]}"}, "give keys or from, not both"},
	{"keys and a promotion", "Replay", []string{"  promotion:", "  keys: {model: m, values: [a]}\n  promotion:"}, "give keys or promotion, not both"},
	{"keys and a verification", "Replay", []string{"  promotion: Manual", "  verify: {}\n  keys: {model: m, values: [a]}"}, "give keys or verify, not both"},
	{"a sample of a Replay of more than all", "Replay", []string{"  promotion:", "  verify: {sample: 101%}\n  promotion:"}, "spec.verify.sample"},
	{"an assertion of a Replay of two kinds", "Replay", []string{"  promotion:", "  verify: {assertions: [{name: a, model: m, row: 'true', all: 'true'}]}\n  promotion:"}, "give row (a condition on every row) or all"},
	{"keys of no model", "Replay", []string{"  promotion: Manual", "  keys: {values: [a]}"}, "spec.keys.model: Required value"},
	{"no keys", "Replay", []string{"  promotion: Manual", "  keys: {model: m, values: []}"}, "should have at least 1 items"},
	{"a key that is no text", "Replay", []string{"  promotion: Manual", "  keys: {model: m, values: [[berlin, 5]]}"}, "must be of type string"},
	{"too many keys", "Replay", []string{"  promotion: Manual", "  keys: {model: m, values: [" + strings.Repeat("a, ", 1001) + "]}"}, "must have at most 1000 items"},
	{"a key that is too long", "Replay", []string{"  promotion: Manual", "  keys: {model: m, values: [" + strings.Repeat("a", 4097) + "]}"}, "may not be more than 4096"},
	{"keys that are too long together", "Replay", []string{"  promotion: Manual", "  keys: {model: m, values: [" + strings.Repeat(strings.Repeat("ü", 33)+", ", 993) + "]}"}, "longer than 65536 bytes together"},
	{"what is not in this release", "Projection", []string{"  storeRef:", "  errors: {policy: DeadLetter}\n  storeRef:"}, `unknown field "spec.errors"`},
	{"a strategy", "Projection", []string{"  storeRef:", "  rollout: {strategy: Recreate}\n  storeRef:"}, `supported values: "BlueGreen", "InPlace"`},
	{"in place, and something kept", "Projection", []string{"  storeRef:", "  rollout: {strategy: InPlace, keepRevisions: 1}\n  storeRef:"}, "strategy InPlace keeps no revision after the switch"},
	{"in place, and kept for a while", "Projection", []string{"  storeRef:", "  rollout: {strategy: InPlace, keepSeconds: 60}\n  storeRef:"}, "remove keepRevisions and keepSeconds, or use strategy BlueGreen"},
	{"a sample of more than all", "Projection", []string{"  storeRef:", "  rollout: {verify: {sample: 101%}}\n  storeRef:"}, "spec.rollout.verify.sample"},
	{"an assertion of both", "Projection", []string{"  storeRef:", "  rollout: {verify: {assertions: [{name: a, model: m, row: row.a > 0, all: count > 0}]}}\n  storeRef:"}, "give row (a condition on every row) or all (one on the whole table), not both"},
	{"an assertion of nothing", "Projection", []string{"  storeRef:", "  rollout: {verify: {assertions: [{name: a, model: m}]}}\n  storeRef:"}, "give row (a condition on every row) or all (one on the whole table), not both"},
	{"a revision's name", "Projection", []string{"  storeRef:", "  rollout: {activeRevision: newest}\n  storeRef:"}, "spec.rollout.activeRevision"},
	{"a consent", "Projection", []string{"  storeRef:", "  rollout: {allow: [Everything]}\n  storeRef:"}, `supported values: "BreakReaders", "StaleRevision"`},
	{"a lock that is held for too long", "Projection", []string{"  storeRef:", "  rollout: {lockTimeoutMilliseconds: 500}\n  storeRef:"}, "less than or equal to 450"},
	{"a way to build", "Projection", []string{"  storeRef:", "  rollout: {build: {mode: Bulk}}\n  storeRef:"}, `supported values: "Auto", "Live"`},
	{"a bound on what is not made", "Projection", []string{"  storeRef:", "  rollout: {build: {mode: Live, maxEventsPerSecond: 5}}\n  storeRef:"}, "mode Live makes none"},
	{"a build that stands still", "Projection", []string{"  storeRef:", "  rollout: {build: {maxEventsPerSecond: 0}}\n  storeRef:"}, "greater than or equal to 1"},
	{"a spill that is no quantity", "Projection", []string{"  storeRef:", "  rollout: {build: {spillLimit: much}}\n  storeRef:"}, "spec.rollout.build.spillLimit"},
	{"deletion policy", "Projection", []string{"  storeRef:", "  deletionPolicy: Drop\n  storeRef:"}, `supported values: "Retain", "Delete"`},
	{"label value", "Projection", []string{"  storeRef:", "  projector: {labels: {team: 'a b'}}\n  storeRef:"}, "should match"},
}

func testDefaults(ctx context.Context, t *testing.T, c client.Client) {
	p := &v1alpha1.Projection{}
	create(ctx, t, c, bases["Projection"], p)
	s := p.Spec
	if s.Projector.Replicas != 1 || s.LagTargetSeconds != 60 || s.DeletionPolicy != v1alpha1.DeletionPolicyRetain ||
		s.Models[0].Handlers[0].OnAbsent != v1alpha1.OnAbsentCreate || s.Models[0].Order != v1alpha1.ModelOrderLog {
		t.Errorf("defaults of a Projection: %+v", s)
	}
	if r := s.Rollout; r.Strategy != v1alpha1.StrategyBlueGreen || r.Promotion != v1alpha1.PromotionAutomatic || r.KeepRevisions != nil || r.KeepSeconds != nil ||
		r.DeadlineSeconds != 86400 || r.LockTimeoutMilliseconds != 100 || r.Build != nil {
		t.Errorf("defaults of a roll-out: %+v", r)
	}
	if g := p.Status.ObservedGeneration; g == nil || *g != -1 {
		t.Errorf("a fresh object's observedGeneration is %v", g)
	}
	r := &v1alpha1.ReadStore{}
	create(ctx, t, c, bases["ReadStore"], r)
	if pg := r.Spec.Postgres; pg.Schema != "public" || pg.BookkeepingSchema != "projectionist" {
		t.Errorf("defaults of a ReadStore: %+v", pg)
	}
	b := &v1alpha1.EventBroker{}
	create(ctx, t, c, bases["EventBroker"], b)
	if b.Spec.Kafka.TLS.CASecretRef.Key != "ca.crt" {
		t.Errorf("defaults of an EventBroker: %+v", b.Spec.Kafka.TLS)
	}
	e := &v1alpha1.EventTopic{}
	create(ctx, t, c, bases["EventTopic"], e)
	if e.Spec.Format != v1alpha1.EventFormatJSON {
		t.Errorf("defaults of an EventTopic: %+v", e.Spec)
	}
}

// create makes the object for the rest of the test and reads it into out.
func create(ctx context.Context, t *testing.T, c client.Client, text string, out client.Object) {
	t.Helper()
	u := object(t, text)
	if err := c.Create(ctx, u); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Delete(ctx, u); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, out); err != nil {
		t.Fatal(err)
	}
}

func testScale(ctx context.Context, t *testing.T, c client.Client) {
	p := &v1alpha1.Projection{}
	create(ctx, t, c, bases["Projection"], p)
	scale := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "autoscaling/v1", "kind": "Scale",
		"metadata": map[string]any{"name": p.Name, "namespace": p.Namespace},
		"spec":     map[string]any{"replicas": int64(3)},
	}}
	if err := c.SubResource("scale").Update(ctx, p, client.WithSubResourceBody(scale)); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
		t.Fatal(err)
	}
	if p.Spec.Projector.Replicas != 3 {
		t.Errorf("replicas: %d", p.Spec.Projector.Replicas)
	}
}

func testImmutable(ctx context.Context, t *testing.T, c client.Client) {
	r := &v1alpha1.ReadStore{}
	create(ctx, t, c, bases["ReadStore"], r)
	r.Spec.Postgres.Host = "other"
	if err := c.Update(ctx, r); err != nil {
		t.Errorf("the host cannot be changed: %v", err)
	}
	r.Spec.Postgres.Schema = "other"
	if err := c.Update(ctx, r); err == nil || !strings.Contains(err.Error(), "make a new ReadStore") {
		t.Errorf("the schema was changed: %v", err)
	}
	p := &v1alpha1.Projection{}
	create(ctx, t, c, bases["Projection"], p)
	p.Spec.StoreRef.Name = "other"
	if err := c.Update(ctx, p); err == nil || !strings.Contains(err.Error(), "make a new Projection") {
		t.Errorf("the store was changed: %v", err)
	}
	for name, edit := range map[string]func(*v1alpha1.ReplaySpec){
		"projectionRef":           func(s *v1alpha1.ReplaySpec) { s.ProjectionRef.Name = "other" },
		"promotion":               func(s *v1alpha1.ReplaySpec) { s.Promotion = v1alpha1.PromotionAutomatic },
		"no promotion":            func(s *v1alpha1.ReplaySpec) { s.Promotion = "" },
		"ttlSecondsAfterFinished": func(s *v1alpha1.ReplaySpec) { s.TTLSecondsAfterFinished = nil },
		"a verification":          func(s *v1alpha1.ReplaySpec) { s.Verify = &v1alpha1.Verify{} },
		"an assertion":            func(s *v1alpha1.ReplaySpec) { s.Verify.Assertions[0].All = "count > 2" },
		"a sample":                func(s *v1alpha1.ReplaySpec) { s.Verify.Sample = "2%" },
		"no verification":         func(s *v1alpha1.ReplaySpec) { s.Verify = nil },
		"a key":                   func(s *v1alpha1.ReplaySpec) { s.Keys.Values[0] = "b" },
		"no keys":                 func(s *v1alpha1.ReplaySpec) { s.Keys = v1alpha1.ReplayKeys{} },
	} {
		o := &v1alpha1.Replay{}
		text := bases["Replay"]
		if strings.HasSuffix(name, "key") || strings.HasSuffix(name, "keys") {
			text = strings.Replace(text, "promotion: Manual", "keys: {model: m, values: ["+strings.Repeat(strings.Repeat("a", 64)+", ", 1000)+"]}", 1)
		}
		if name == "an assertion" || name == "a sample" || name == "no verification" {
			text = strings.Replace(text, "promotion: Manual", "verify: {sample: 1%, assertions: [{name: some, model: m, all: count > 1}]}", 1)
		}
		text = strings.Replace(text, "name: again", "name: "+strings.ToLower(strings.ReplaceAll(name, " ", "-")), 1)
		create(ctx, t, c, text, o)
		suspend := true
		o.Spec.Suspend = &suspend
		if err := c.Update(ctx, o); err != nil {
			t.Errorf("suspend cannot be changed: %v", err)
		}
		edit(&o.Spec)
		if err := c.Update(ctx, o); err == nil || !strings.Contains(err.Error(), "a Replay asks once: only suspend can be changed") {
			t.Errorf("%s was changed: %v", name, err)
		}
	}
}
