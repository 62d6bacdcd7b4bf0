// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestMain holds over all tests together that the operator met no error that it did not expect.
func TestMain(m *testing.M) {
	began := time.Now()
	code := m.Run()
	errs, err := operatorErrors(began)
	if err != nil {
		errs = append(errs, err.Error())
	}
	if len(errs) > 0 {
		fmt.Fprintf(os.Stderr, "the operator's log has unexpected errors:\n%s\n", strings.Join(errs, "\n"))
		code = max(code, 1)
	}
	os.Exit(code)
}

// operatorErrors are the errors in the operator's log since a time. Namespaces end under its hands here, and two writers
// of one object meet: both are part of life.
func operatorErrors(since time.Time) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	clientset, err := kubernetes.NewForConfig(restConfig())
	if err != nil {
		return nil, err
	}
	var pods corev1.PodList
	if err := kube().List(ctx, &pods, client.InNamespace(operatorNamespace)); err != nil {
		return nil, err
	}
	seconds := int64(time.Since(since).Seconds()) + 1
	var out []string
	for i := range pods.Items {
		log, err := clientset.CoreV1().Pods(operatorNamespace).GetLogs(pods.Items[i].Name, &corev1.PodLogOptions{SinceSeconds: &seconds}).DoRaw(ctx)
		if err != nil {
			return out, err
		}
		for line := range strings.Lines(string(log)) {
			if (strings.Contains(line, `"level":"error"`) || strings.Contains(line, "panic")) &&
				!strings.Contains(line, "being terminated") && !strings.Contains(line, "the object has been modified") {
				out = append(out, strings.TrimSpace(line))
			}
		}
	}
	return out, nil
}
