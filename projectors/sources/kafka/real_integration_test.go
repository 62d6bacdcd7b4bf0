// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kafka_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/projectionist-dev/projectionist/projectors/sources/sourcetest"
)

// hack is the directory of the scripts that run a broker.
const hack = "../../../hack/kafka"

// broker says how to reach the real one: what the environment names, or what
// hack/kafka/env says of the one that hack/kafka/up started.
var broker = sync.OnceValues(func() (map[string]string, error) {
	env := map[string]string{}
	for _, kv := range os.Environ() {
		if k, v, ok := strings.Cut(kv, "="); ok && strings.HasPrefix(k, "KAFKA_") {
			env[k] = v
		}
	}
	if env["KAFKA_BOOTSTRAP"] != "" {
		return env, nil
	}
	out, err := exec.Command(filepath.Join(hack, "env")).Output()
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(out)) {
		if k, v, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "="); ok {
			env[k] = strings.Trim(v, "'")
		}
	}
	return env, nil
})

func realEnv(t testing.TB) map[string]string {
	t.Helper()
	env, err := broker()
	if err != nil || env["KAFKA_BOOTSTRAP"] == "" {
		t.Fatalf("no Kafka broker: run hack/kafka/up, or set KAFKA_BOOTSTRAP (%v)", err)
	}
	return env
}

func realHarness(t testing.TB) *harness {
	t.Helper()
	return newHarness(t, strings.Split(realEnv(t)["KAFKA_BOOTSTRAP"], ","))
}

func TestConformanceReal(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.Harness {
		t.Parallel()
		return realHarness(t)
	})
}
