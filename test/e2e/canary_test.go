// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// nowhere fails if any of the words is in an object of the space (Secrets aside), an Event, a log or a metric of it, or
// in the operator's log.
func (n *space) nowhere(words ...string) {
	n.t.Helper()
	ctx := n.t.Context()
	search := func(where, text string) {
		for _, w := range words {
			if strings.Contains(text, w) {
				n.t.Errorf("%s holds %q", where, w)
			}
		}
	}
	search("an object", n.kubectl("get", "cqrs,configmaps,jobs,pods,deployments,services,events,serviceaccounts", "-o", "yaml"))
	var pods corev1.PodList
	if err := kube().List(ctx, &pods, client.InNamespace(n.name)); err != nil {
		n.t.Fatal(err)
	}
	clientset, err := kubernetes.NewForConfig(restConfig())
	if err != nil {
		n.t.Fatal(err)
	}
	logs := func(namespace, pod string) string {
		text, err := clientset.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(ctx)
		if err != nil {
			n.t.Logf("logs of %s: %v", pod, err)
		}
		return string(text)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		search("the log of pod "+p.Name, logs(n.name, p.Name))
		if p.Labels["app.kubernetes.io/component"] != "projector" || p.Status.Phase != corev1.PodRunning {
			continue
		}
		for _, path := range []string{"/metrics", "/status", "/healthz", "/readyz"} {
			text, err := clientset.CoreV1().Pods(n.name).ProxyGet("http", p.Name, "8080", path, nil).DoRaw(ctx)
			if err != nil {
				n.t.Logf("%s of %s: %v", path, p.Name, err)
			}
			search(path+" of pod "+p.Name, string(text))
		}
	}
	operatorLife.RLock()
	defer operatorLife.RUnlock()
	if err := kube().List(ctx, &pods, client.InNamespace(operatorNamespace)); err != nil {
		n.t.Fatal(err)
	}
	for i := range pods.Items {
		search("the operator's log", logs(operatorNamespace, pods.Items[i].Name))
	}
	search("the operator's metrics", operatorMetrics(ctx, n))
}

// operatorMetrics is what the operator serves to a scraper with the right to read it.
func operatorMetrics(ctx context.Context, n *space) string {
	n.t.Helper()
	n.apply(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: scraper}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: $NS-scraper}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: projectionist-metrics-reader}
subjects: [{kind: ServiceAccount, name: scraper, namespace: $NS}]
`)
	n.t.Cleanup(func() { n.try("delete", "clusterrolebinding", n.name+"-scraper") })
	token := strings.TrimSpace(n.kubectl("create", "token", "scraper"))
	address := n.forward(operatorNamespace, "deployment/"+operatorName, "8443")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
	if err != nil {
		n.t.Fatal(err)
	}
	// Its certificate is its own: who it is was settled by the way to it.
	scraper := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answer, err := scraper.Do(request)
	if err != nil {
		n.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		n.t.Errorf("the operator's metrics answer who does not say who it is with %s", answer.Status)
	}
	// The API server's authorizer learns of the binding through a watch of its own, and the operator remembers a refusal.
	eventually(n.t, quick, "the scraper may read metrics", func(context.Context) string {
		return strings.TrimPrefix(strings.TrimSpace(n.try("auth", "can-i", "get", "/metrics", "--as=system:serviceaccount:"+n.name+":scraper")), "yes")
	})
	request.Header.Set("Authorization", "Bearer "+token)
	if answer, err = scraper.Do(request); err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		n.t.Fatalf("the operator's metrics: %s %v", answer.Status, err)
	}
	return string(text)
}

// forward opens a way to a port of a pod, for as long as the test runs, and gives its address here.
func (n *space) forward(namespace, target, port string) string {
	n.t.Helper()
	cmd := exec.CommandContext(n.t.Context(), root+"/hack/cluster/kubectl", "-n", namespace, "port-forward", target, ":"+port)
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	_, rest, found := strings.Cut(line, "Forwarding from ")
	address, _, _ := strings.Cut(rest, " ")
	if err != nil || !found {
		n.t.Fatalf("port-forward says %q (%v)", line, err)
	}
	return address
}

// keyElsewhere is a key that goes to another of three partitions than a given key.
func (n *space) keyElsewhere(key string) string {
	n.t.Helper()
	partitioner := kgo.StickyKeyPartitioner(nil).ForTopic("any")
	partition := func(k string) int { return partitioner.Partition(&kgo.Record{Key: []byte(k)}, 3) }
	for i := range 100 {
		if k := fmt.Sprint("other", i); partition(k) != partition(key) {
			return k
		}
	}
	n.t.Fatal("no such key")
	return ""
}
