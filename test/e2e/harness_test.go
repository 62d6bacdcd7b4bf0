// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/controllers"
)

// root is the repository.
const root = "../.."

// soon is how long anything may take that needs pods to start, on a busy machine.
const soon = 3 * time.Minute

// parts says how to reach the real parts, from the scripts that run them.
var parts = sync.OnceValue(func() map[string]string {
	out, err := exec.Command("bash", "-c", `cd "$0" && . hack/net/env && eval "$(hack/kafka/env)" && eval "$(hack/registry/env)" && eval "$(hack/postgres/env)" &&
		KUBECONFIG=$(hack/cluster/up) && export KUBECONFIG && env -0`, root).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		panic(fmt.Sprintf("the real parts are not up; run hack/test/setup: %v", err))
	}
	env := map[string]string{}
	for kv := range strings.SplitSeq(string(out), "\x00") {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	return env
})

// restConfig reaches the cluster as its administrator.
var restConfig = sync.OnceValue(func() *rest.Config {
	config, err := clientcmd.BuildConfigFromFlags("", parts()["KUBECONFIG"])
	if err != nil {
		panic(err)
	}
	config.QPS, config.Burst = 200, 400
	config.UserAgent = "projectionist-e2e"
	return config
})

var kube = sync.OnceValue(func() client.WithWatch {
	scheme, err := controllers.NewScheme()
	if err != nil {
		panic(err)
	}
	c, err := client.NewWithWatch(restConfig(), client.Options{Scheme: scheme})
	if err != nil {
		panic(err)
	}
	return c
})

// space is a test's own namespace, and the names of what it has outside of the cluster.
type space struct {
	t    *testing.T
	name string
	// schema is its own schema in PostgreSQL.
	schema string
}

// newSpace makes a namespace that enforces "restricted", with the Services and Secrets that a platform would hand out.
// Everything goes when the test ends.
func newSpace(t *testing.T) *space {
	t.Helper()
	words := strings.ToLower(strings.Split(strings.TrimPrefix(t.Name(), "Test"), "/")[0])
	n := &space{t: t, name: fmt.Sprintf("e2e-%.20s-%04x", words, rand.N(1<<16))}
	n.schema = strings.ReplaceAll(n.name, "-", "_")
	n.apply(`
apiVersion: v1
kind: Namespace
metadata:
  name: $NS
  labels: {pod-security.kubernetes.io/enforce: restricted, projectionist.dev/e2e: "true"}
`)
	t.Cleanup(n.remove)
	n.apply(plumbing)
	return n
}

func (n *space) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if n.t.Failed() {
		n.t.Logf("--- kubectl get cqrs,pods,jobs\n%s", n.try("get", "cqrs,pods,jobs", "-o", "wide"))
		n.t.Logf("--- kubectl describe proj\n%s", n.try("describe", "proj"))
		n.t.Logf("--- projectors\n%s", n.try("logs", "-l", "app.kubernetes.io/component=projector", "--tail=30", "--prefix"))
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n.name}}
	if err := kube().Delete(ctx, ns); client.IgnoreNotFound(err) != nil {
		n.t.Errorf("namespace %s: %v", n.name, err)
	}
	sql(n.t, "DROP SCHEMA IF EXISTS "+n.schema+" CASCADE")
	sql(n.t, "DROP SCHEMA IF EXISTS "+n.schema+"_books CASCADE")
}

// fill puts the space's own names into a text.
func (n *space) fill(text string) string {
	p := parts()
	kafkaHost, kafkaPort, _ := strings.Cut(p["KAFKA_SASL_BOOTSTRAP_PODS"], ":")
	return strings.NewReplacer("$NS", n.name, "$SCHEMA", n.schema, "$HOST", kafkaHost, "$KAFKA_PORT", kafkaPort,
		"$REGISTRY", p["SCHEMA_REGISTRY_URL"], "$KAFKA_USER", p["KAFKA_SASL_USER"], "$KAFKA_PASSWORD", p["KAFKA_SASL_PASSWORD"],
		"$PG_PORT", p["PG_PORT"], "$PG_PASSWORD", p["PG_PASSWORD_PROJECTOR"], "$PG_DATABASE", p["PG_DATABASE"]).Replace(text)
}

// objects are the documents of a YAML text, with the space's names filled in.
func (n *space) objects(text string) []*unstructured.Unstructured {
	n.t.Helper()
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(n.fill(text)), 4096)
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			n.t.Fatalf("YAML: %v in\n%s", err, text)
		}
		if len(u.Object) == 0 {
			continue
		}
		if u.GetKind() != "Namespace" && u.GetNamespace() == "" {
			u.SetNamespace(n.name)
		}
		out = append(out, u)
	}
}

// tryApply applies YAML as kubectl apply --server-side does.
func (n *space) tryApply(text string) error {
	n.t.Helper()
	for _, u := range n.objects(text) {
		err := kube().Apply(n.t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("e2e"), client.ForceOwnership)
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *space) apply(text string) {
	n.t.Helper()
	if err := n.tryApply(text); err != nil {
		n.t.Fatal(err)
	}
}

// merge patches an object.
func (n *space) merge(o client.Object, patch string) {
	n.t.Helper()
	if err := kube().Patch(n.t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		n.t.Fatal(err)
	}
}

func (n *space) get(o client.Object) {
	n.t.Helper()
	if err := kube().Get(n.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		n.t.Fatal(err)
	}
}

func (n *space) delete(o client.Object) {
	n.t.Helper()
	if err := kube().Delete(n.t.Context(), o); client.IgnoreNotFound(err) != nil {
		n.t.Fatal(err)
	}
}

func (n *space) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: n.name, Name: name}
}

func (n *space) projection(name string) *v1alpha1.Projection {
	return &v1alpha1.Projection{ObjectMeta: n.meta(name)}
}

func (n *space) replay(name string) *v1alpha1.Replay {
	return &v1alpha1.Replay{ObjectMeta: n.meta(name)}
}

func (n *space) broker(name string) *v1alpha1.EventBroker {
	return &v1alpha1.EventBroker{ObjectMeta: n.meta(name)}
}

func (n *space) topic(name string) *v1alpha1.EventTopic {
	return &v1alpha1.EventTopic{ObjectMeta: n.meta(name)}
}

func (n *space) store(name string) *v1alpha1.ReadStore {
	return &v1alpha1.ReadStore{ObjectMeta: n.meta(name)}
}

// fed makes broker, store and a topic with so many events.
func (n *space) fed(events int) *stream {
	n.t.Helper()
	n.apply(brokerAndStore + ordersTopic)
	n.ready(n.topic("orders"))
	s := n.stream()
	if err := s.send(n.t.Context(), events); err != nil {
		n.t.Fatal(err)
	}
	return s
}

// kubectl runs kubectl in the space and gives what it prints.
func (n *space) kubectl(args ...string) string {
	n.t.Helper()
	out, err := n.run(args...)
	if err != nil {
		n.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (n *space) try(args ...string) string {
	out, err := n.run(args...)
	if err != nil {
		out += err.Error()
	}
	return out
}

func (n *space) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, root+"/hack/cluster/kubectl", append([]string{"-n", n.name}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &out, os.Environ()
	err := cmd.Run()
	return out.String(), err
}

// eventually repeats a check until it gives "", and otherwise fails with what it gave last.
func eventually(t *testing.T, within time.Duration, what string, check func(context.Context) string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for last := ""; ; {
		if now := check(ctx); now == "" {
			return
		} else if ctx.Err() == nil {
			last = now
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s: %s", what, within, last)
		case <-tick.C:
		}
	}
}

// conditions of any of our kinds.
func conditions(o client.Object) (generation int64, observed int64, all []metav1.Condition) {
	read := func(p *int64) int64 {
		if p == nil {
			return -1
		}
		return *p
	}
	switch k := o.(type) {
	case *v1alpha1.EventBroker:
		return k.Generation, read(k.Status.ObservedGeneration), k.Status.Conditions
	case *v1alpha1.EventTopic:
		return k.Generation, read(k.Status.ObservedGeneration), k.Status.Conditions
	case *v1alpha1.ReadStore:
		return k.Generation, read(k.Status.ObservedGeneration), k.Status.Conditions
	case *v1alpha1.Projection:
		return k.Generation, read(k.Status.ObservedGeneration), k.Status.Conditions
	case *v1alpha1.Replay:
		return k.Generation, read(k.Status.ObservedGeneration), k.Status.Conditions
	}
	panic(fmt.Sprintf("%T has no conditions", o))
}

// condition waits until a condition of the newest generation has a status and a reason, and gives it. A reason of ""
// is any.
func (n *space) condition(o client.Object, kind, status, reason string) metav1.Condition {
	n.t.Helper()
	var found metav1.Condition
	what := fmt.Sprintf("%T %s: %s=%s %s", o, o.GetName(), kind, status, reason)
	eventually(n.t, soon, what, func(ctx context.Context) string {
		if err := kube().Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err.Error()
		}
		generation, observed, all := conditions(o)
		if observed != generation {
			return fmt.Sprintf("observed generation %d, want %d", observed, generation)
		}
		c := meta.FindStatusCondition(all, kind)
		if c == nil {
			return fmt.Sprintf("it has no such condition, but %v", all)
		}
		if string(c.Status) != status || (reason != "" && c.Reason != reason) {
			return fmt.Sprintf("it is %s %s: %s", c.Status, c.Reason, c.Message)
		}
		found = *c
		return ""
	})
	return found
}

// ready waits until an object is.
func (n *space) ready(all ...client.Object) {
	n.t.Helper()
	for _, o := range all {
		n.condition(o, "Ready", "True", "")
	}
}

// says fails unless a text holds all of the words.
func says(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("it says\n  %s\nwithout %q", text, w)
		}
	}
}

func (n *space) gone(o client.Object, within time.Duration) {
	n.t.Helper()
	eventually(n.t, within, fmt.Sprintf("%T %s is gone", o, o.GetName()), func(ctx context.Context) string {
		err := kube().Get(ctx, client.ObjectKeyFromObject(o), o)
		if apierrors.IsNotFound(err) {
			return ""
		}
		return fmt.Sprintf("it is there: finalizers %v (%v)", o.GetFinalizers(), err)
	})
}

func (n *space) writeFile(path, text string) {
	n.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
}
