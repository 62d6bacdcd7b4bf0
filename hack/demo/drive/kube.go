// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// kube runs kubectl in the demo's namespace, showing nothing unless it fails.
func (d *demo) kube(ctx context.Context, stdin io.Reader, args ...string) error {
	_, err := d.exec(ctx, stdin, args...)
	return err
}

func (d *demo) output(ctx context.Context, args ...string) (string, error) {
	return d.exec(ctx, nil, args...)
}

func (d *demo) exec(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.kubectl, append([]string{"--request-timeout=150s", "-n", d.namespace}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// applyPlumbing makes what a user's platform would have: the namespace, names
// for the broker and the database that run on the host, and their Secrets in
// the forms of Strimzi and CloudNativePG.
func (d *demo) applyPlumbing(ctx context.Context) error {
	kafkaHost, kafkaPort, _ := strings.Cut(os.Getenv("KAFKA_SASL_BOOTSTRAP_PODS"), ":")
	manifest := fmt.Sprintf(plumbing, d.namespace,
		kafkaHost, kafkaPort, os.Getenv("PG_HOST_PODS"), os.Getenv("PG_PORT"),
		os.Getenv("KAFKA_SASL_PASSWORD"), os.Getenv("KAFKA_SASL_USER"), os.Getenv("PG_PASSWORD_PROJECTOR"), os.Getenv("PG_DATABASE"))
	return d.kube(ctx, strings.NewReader(manifest), "apply", "-f", "-")
}

const plumbing = `
apiVersion: v1
kind: Namespace
metadata:
  name: %[1]s
  labels:
    pod-security.kubernetes.io/enforce: restricted
---
apiVersion: v1
kind: Service
metadata: {name: kafka}
spec:
  ports: [{name: sasl, port: 9092, targetPort: %[3]s}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kafka, labels: {kubernetes.io/service-name: kafka}}
addressType: IPv4
ports: [{name: sasl, port: %[3]s}]
endpoints: [{addresses: ["%[2]s"]}]
---
apiVersion: v1
kind: Service
metadata: {name: reads-rw}
spec:
  ports: [{name: postgres, port: 5432, targetPort: %[5]s}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reads-rw, labels: {kubernetes.io/service-name: reads-rw}}
addressType: IPv4
ports: [{name: postgres, port: %[5]s}]
endpoints: [{addresses: ["%[4]s"]}]
---
apiVersion: v1
kind: Secret
metadata: {name: kafka-user}
stringData:
  password: "%[6]s"
  sasl.jaas.config: 'org.apache.kafka.common.security.scram.ScramLoginModule required username="%[7]s" password="%[6]s";'
---
apiVersion: v1
kind: Secret
metadata: {name: reads-app}
type: kubernetes.io/basic-auth
stringData:
  username: projector
  password: "%[8]s"
  dbname: "%[9]s"
  host: reads-rw
  port: "5432"
  uri: postgresql://projector:%[8]s@reads-rw.%[1]s:5432/%[9]s
`

// explain shows where to look when the demo did not come through.
func (d *demo) explain() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{"get", "cqrs,jobs,pods", "-o", "wide"},
		{"get", "proj", "-o", `jsonpath={range .items[*]}{.metadata.name}{range .status.conditions[*]}{"\n  "}{.type}={.status} {.reason}: {.message}{end}{"\n"}{end}`},
	} {
		if out, err := d.output(ctx, args...); err == nil {
			fmt.Fprintln(os.Stderr, out)
		}
	}
}
