// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// plugins is a directory with kubectl-projection, as kubectl looks for it.
var plugins = sync.OnceValue(func() string {
	dir, err := filepath.Abs(root + "/bin/e2e")
	if err != nil {
		panic(err)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", dir+"/", "./cmd/kubectl-projection")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		panic(string(out))
	}
	return dir
})

// plugin runs "kubectl projection" in the space and wants this exit code and these words.
func (n *space) plugin(code int, words []string, args ...string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 2*soon)
	defer cancel()
	cmd := exec.CommandContext(ctx, root+"/hack/cluster/kubectl", append([]string{"projection", args[0], "-n", n.name}, args[1:]...)...)
	cmd.Env = append(os.Environ(), "PATH="+plugins()+":"+os.Getenv("PATH"), "NO_COLOR=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		n.t.Fatal(err)
	}
	line := strings.ReplaceAll(strings.Join(args, " "), parts()["PG_PASSWORD_PROJECTOR"], "...")
	n.t.Logf("$ kubectl projection %s   (exit code %d, %v)\n%s", line, got, time.Since(began).Round(time.Millisecond), out.String())
	if got != code {
		n.t.Fatalf("kubectl projection %s ended with %d, want %d", line, got, code)
	}
	says(n.t, out.String(), words...)
	return out.String()
}

// verifyArgs are those of a verify from here, where broker and store are at other addresses than from pods.
func (n *space) verifyArgs(projection string, more ...string) []string {
	return append([]string{"verify", projection, "--broker", parts()["KAFKA_SASL_BOOTSTRAP_PODS"],
		"--store", n.fill("postgres://projector:$PG_PASSWORD@$HOST:$PG_PORT/$PG_DATABASE")}, more...)
}

// verifies wants the tables that readers see to be equal to the log.
func (n *space) verifies(projection string, words ...string) {
	n.t.Helper()
	n.plugin(0, append(words, "all equal"), n.verifyArgs(projection)...)
}

// TestCommandLine does with the command line what a user does with a projection in a cluster: looks at a change before it is
// applied, follows it, goes back and forth, finds a row that somebody meddled with, and rebuilds.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.fed(3_000)
	n.apply(tally(1, "keepSeconds: 600"))
	n.caughtUp("tally")
	p := n.projection("tally")
	n.get(p)
	first := p.Status.ActiveRevision
	n.plugin(0, []string{"tally", first, "active"}, "status", "tally")

	// A change, from the pull request to the cluster.
	file := filepath.Join(t.TempDir(), "tally.yaml")
	n.writeFile(file, tally(2, "keepSeconds: 600"))
	plan := n.plugin(2, []string{"new revision", "models[tally].handlers[line].add.events", "create"}, "plan", "-f", file)
	n.apply(tally(2, "keepSeconds: 600"))
	second := n.active("tally", soon, not(first))
	says(t, plan, second)
	n.caughtUp("tally")
	n.plugin(0, []string{"nothing to do"}, "plan", "-f", file)
	n.writeFile(file, tally(3, "keepSeconds: 600"))
	eventually(t, soon, "the projector has measured its tables", func(context.Context) string {
		plan = n.plugin(2, nil, "plan", "-f", file)
		if !strings.Contains(plan, "more while both revisions exist") {
			return plan
		}
		return ""
	})
	says(t, plan, "about 3,000 events", "no rate was measured yet")
	n.plugin(0, []string{first, "*  " + second}, "revisions", "tally")

	n.plugin(0, []string{first}, "rollback", "tally", "--wait", "--timeout", "90s")
	n.active("tally", soon, is(first))
	n.plugin(2, []string{"readers see revision " + first + " already"}, "promote", "tally", first)
	n.plugin(0, []string{second}, "promote", "tally", second, "--wait", "--timeout", "90s")
	n.active("tally", soon, is(second))

	// A row that somebody meddled with.
	verify := func(code int, words []string, more ...string) {
		t.Helper()
		n.plugin(code, words, n.verifyArgs("tally", more...)...)
	}
	verify(0, []string{"300 rows"})
	sql(t, n.fill("UPDATE $SCHEMA.tally__"+second+" SET events = 7 WHERE id = '0-7'"))
	sql(t, n.fill("DELETE FROM $SCHEMA.tally__"+second+" WHERE id = '0-8'"))
	verify(1, []string{"0-7", "0-8"})
	verify(0, []string{"0-7", "0-8"}, "--repair")
	verify(0, []string{"300 rows"})
	verify(0, []string{"300 rows"}, "--revision", first[:5])

	// Once more from the log, beside; and given up once it is asked for.
	n.plugin(0, []string{second + " active;", "preparing", "promoting", "readers see "}, "replay", "tally", "--watch", "--timeout", "90s")
	third := n.active("tally", soon, not(second))
	n.plugin(0, []string{"compared with the log before readers see it (100% of the keys)"}, "replay", "tally", "--verify", "all", "--wait", "--timeout", "90s")
	n.active("tally", soon, not(third))
	n.plugin(0, nil, "replay", "tally", "--promotion", "Manual")
	n.plugin(0, nil, "abort", "tally")
	n.plugin(2, []string{"has no unfinished Replay"}, "abort", "tally")
	n.caughtUp("tally")
	n.plugin(2, []string{"nobody"}, "status", "nobody")
}
