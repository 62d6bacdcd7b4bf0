// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	psaapi "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

var update = flag.Bool("update", false, "write the golden files anew")

func testContract() *contract.Contract {
	return &contract.Contract{
		Version: 1, Revision: "0123456789", DataHash: "1:0123456789abcdef",
		Projection: contract.Identity{Cluster: "c", Namespace: "shop", Name: "order-summary", UID: "uid-1"},
		Broker: contract.Broker{Name: "main", Kafka: &contract.KafkaBroker{
			BootstrapServers: []string{"kafka:9093"}, Mechanism: "SCRAM-SHA-512",
			TLS:         &contract.TLS{CA: &contract.KeyRef{Secret: "main-cluster-ca-cert", Key: "ca.crt"}},
			Credentials: &contract.SecretRef{Name: "orders-app"},
		}, Registry: &contract.Registry{
			URLs:        []string{"https://registry:8081"},
			TLS:         &contract.TLS{CA: &contract.KeyRef{ConfigMap: "registry-ca", Key: "ca.crt"}},
			Credentials: &contract.SecretRef{Name: "registry-user"},
		}},
		Store: contract.Store{Name: "orders-read", Postgres: &contract.PostgresStore{
			Credentials: contract.SecretRef{Name: "orders-db"}, DDLCredentials: &contract.SecretRef{Name: "orders-owner"},
			TLS:    &contract.TLS{Mode: "verify-full", CA: &contract.KeyRef{ConfigMap: "db-ca", Key: "ca.crt"}},
			Schema: "public", BookkeepingSchema: "projectionist",
		}},
		Group: "projectionist.shop.order-summary.0123456789", LagTargetSeconds: 60,
	}
}

func testProjector(t *testing.T, spec v1alpha1.ProjectorSpec) Projector {
	t.Helper()
	c := testContract()
	data, digest, err := EncodeContract(c)
	if err != nil {
		t.Fatal(err)
	}
	return Projector{
		Owner:      Owner{APIVersion: "cqrs.projectionist.dev/v1alpha1", Kind: "Projection", Namespace: "shop", Name: "order-summary", UID: "uid-1"},
		Projection: "order-summary", Contract: c, ContractJSON: data, ContractDigest: digest,
		Image: "example.com/projectionist:1", Replicas: 3, Spec: spec,
	}
}

func rich() v1alpha1.ProjectorSpec {
	return v1alpha1.ProjectorSpec{
		Replicas: 3,
		Resources: &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
		},
		NodeSelector: map[string]v1alpha1.LabelValue{"kubernetes.io/arch": "arm64"},
		Tolerations:  []corev1.Toleration{{Key: "batch", Operator: corev1.TolerationOpExists}},
		Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"a"}}}}},
		}}},
		PriorityClassName: "high", ImagePullSecrets: []v1alpha1.LocalRef{{Name: "registry"}},
		Labels:             map[string]v1alpha1.LabelValue{"team": "shop", LabelProjection: "no-such"},
		Annotations:        map[string]v1alpha1.AnnotationValue{"note": "x"},
		ServiceAccountName: "workload-identity",
	}
}

func testJob(action contract.Action) Job {
	c := testContract()
	return Job{
		Owner:   Owner{APIVersion: "cqrs.projectionist.dev/v1alpha1", Kind: "Projection", Namespace: "shop", Name: "order-summary", UID: "uid-1"},
		Request: contract.Request{Version: 1, Action: action, Sequence: 2}, Image: "example.com/projectionist:1",
		Inputs: "abc", Attempt: 2, LastGood: &contract.Result{Version: 1, Action: action, OK: true},
		ContractConfigMap: "order-summary-0123456789-c", Mounts: Mounts{}.Add(&c.Broker, &c.Store, true), DeadlineSeconds: 300,
		Projector: rich(), Projection: "order-summary",
	}
}

// golden compares objects with testdata/NAME.yaml.
func golden(t *testing.T, name string, objects ...any) {
	t.Helper()
	var parts []string
	for _, o := range objects {
		data, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(data))
	}
	got := strings.Join(parts, "---\n")
	path := filepath.Join("testdata", name+".yaml")
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", path, diff)
	}
}

// The volume is a little larger than what may be spilled, and is not there where nothing is built in bulk.
func TestSpillVolume(t *testing.T) {
	for want, b := range map[string]*contract.Build{
		"1088Mi": nil, "192Mi": {SpillBytes: 128 << 20}, "": {Mode: contract.BuildLive, SpillBytes: 128 << 20},
	} {
		p := testProjector(t, v1alpha1.ProjectorSpec{})
		p.Contract.Build = b
		d, err := p.Deployment()
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, v := range d.Spec.Template.Spec.Volumes {
			if v.EmptyDir != nil {
				got = v.EmptyDir.SizeLimit.String()
			}
		}
		if got != want {
			t.Errorf("%+v: %q, want %q", b, got, want)
		}
	}
}

func TestGolden(t *testing.T) {
	for name, spec := range map[string]v1alpha1.ProjectorSpec{"projector-plain": {Replicas: 3}, "projector-rich": rich()} {
		p := testProjector(t, spec)
		d, err := p.Deployment()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, p.ContractConfigMap(), p.ServiceAccount(), p.Service(), p.PodDisruptionBudget(), p.NetworkPolicy(), d)
	}
	job, err := testJob(contract.ActionPrepare).Build()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "job-prepare", job)
}

// Everything built passes the restricted Pod Security Standard, by the admission plugin's own code.
func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, spec any) {
		t.Helper()
		pod, err := convert[corev1.PodSpec](spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range evaluator.EvaluatePod(psaapi.LevelVersion{Level: psaapi.LevelRestricted, Version: psaapi.LatestVersion()}, &metav1.ObjectMeta{}, pod) {
			if !r.Allowed {
				t.Errorf("%s: %s: %s", name, r.ForbiddenReason, r.ForbiddenDetail)
			}
		}
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Errorf("%s mounts a token", name)
		}
		if !*pod.Containers[0].SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("%s can write to its root", name)
		}
		for _, v := range pod.Volumes {
			if v.Secret != nil && (v.Secret.Optional == nil || !*v.Secret.Optional || len(v.Secret.Items) > 0) {
				t.Errorf("%s: Secret %s is not mounted whole and optional", name, v.Secret.SecretName)
			}
		}
		for _, m := range pod.Containers[0].VolumeMounts {
			if m.SubPath != "" {
				t.Errorf("%s mounts %s by subPath, which never rotates", name, m.MountPath)
			}
		}
	}
	for name, spec := range map[string]v1alpha1.ProjectorSpec{"plain": {}, "rich": rich()} {
		d, err := testProjector(t, spec).Deployment()
		if err != nil {
			t.Fatal(err)
		}
		check("projector "+name, d.Spec.Template.Spec)
	}
	for _, a := range []contract.Action{contract.ActionProbeBroker, contract.ActionProbeTopic, contract.ActionProbeStore, contract.ActionPrepare, contract.ActionRetire} {
		job, err := testJob(a).Build()
		if err != nil {
			t.Fatal(err)
		}
		check(string(a), job.Spec.Template.Spec)
	}
}

// Only prepare and retire see the DDL credentials.
func TestDDLCredentialsStayAway(t *testing.T) {
	d, err := testProjector(t, v1alpha1.ProjectorSpec{}).Deployment()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "orders-owner") {
		t.Error("projectors mount the DDL credentials")
	}
}

// The project's own labels win over the user's.
func TestOwnLabelsWin(t *testing.T) {
	d, err := testProjector(t, rich()).Deployment()
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Spec.Template.Labels; got[LabelProjection] != "order-summary" || got["team"] != "shop" {
		t.Errorf("labels %v", got)
	}
}

// Names are DNS labels, and differ where what they are made of does.
func TestBounded(t *testing.T) {
	word := rapid.StringMatching(`[a-zA-Z0-9._-]{1,80}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := []string{word.Draw(t, "a"), word.Draw(t, "b")}, []string{word.Draw(t, "c"), word.Draw(t, "d")}
		x, y := Bounded(a...), Bounded(b...)
		for _, n := range []string{x, y} {
			if len(n) > MaxName || n[0] < 'a' || n[0] > 'z' || strings.HasSuffix(n, "-") || strings.ToLower(n) != n || strings.Contains(n, ".") {
				t.Fatalf("%q is no DNS label", n)
			}
		}
		if strings.Join(a, "-") != strings.Join(b, "-") && x == y {
			t.Fatalf("%v and %v are both %q", a, b, x)
		}
	})
}

// A Job's name is a function of owner, action, inputs and sequence, and of nothing else.
func TestJobName(t *testing.T) {
	base := testJob(contract.ActionPrepare)
	same := base
	same.Image, same.Attempt, same.LastGood = "other", 9, nil
	if base.Name() != same.Name() {
		t.Error("the name depends on what it should not")
	}
	for what, edit := range map[string]func(*Job){
		"owner":    func(j *Job) { j.Owner.UID = "uid-2" },
		"action":   func(j *Job) { j.Request.Action = contract.ActionRetire },
		"inputs":   func(j *Job) { j.Inputs = "def" },
		"sequence": func(j *Job) { j.Request.Sequence++ },
	} {
		other := base
		edit(&other)
		if other.Name() == base.Name() {
			t.Errorf("another %s gives the same name", what)
		}
	}
	long := base
	long.Owner.Name = strings.Repeat("long.name-", 20)
	if n := long.Name(); len(n) > MaxName {
		t.Errorf("%q has %d characters", n, len(n))
	}
}

// What a container's environment would expand is written so that it does not, and what comes back is what was asked.
func TestRequestsAreNotExpanded(t *testing.T) {
	keys := []string{"$(GOMEMLIMIT)", "a$$b", `c\$d`, "<&>", "ü\n\"", `["$", 1]`}
	text, err := EncodeRequest(contract.Request{Action: contract.ActionReplayKeys, Replay: &contract.KeyReplay{Model: "m", Keys: keys}})
	if err != nil || strings.ContainsAny(text, "$\n") || !strings.Contains(text, "<&>") {
		t.Errorf("%s, %v", text, err)
	}
	var back contract.Request
	if err := json.Unmarshal([]byte(text), &back); err != nil || !slices.Equal(back.Replay.Keys, keys) {
		t.Errorf("%v, %v", back.Replay, err)
	}
}
