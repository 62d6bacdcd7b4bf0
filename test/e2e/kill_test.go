// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/contract"
)

// victim is what a SIGKILL hits.
type victim string

const (
	theOperator victim = "operator"
	leftBehind  victim = "projector of the old revision"
	onItsWay    victim = "projector of the new revision"
	theJob      victim = "Job"
	aBackend    victim = "backend of PostgreSQL"
	thePostgres victim = "PostgreSQL"
)

var victims = []victim{theOperator, leftBehind, onItsWay, theJob, aBackend, thePostgres}

// killer kills processes from outside, wherever they are in their work.
type killer struct {
	n   *space
	rng *rand.Rand
	// met are the errors that operators had logged when they were killed, from a time on.
	from time.Time
	met  []string

	mu      sync.Mutex
	outages []outage
	struck  map[string]bool
}

// outage is a time without a database; it goes on while to is zero.
type outage struct{ from, to time.Time }

// pause is a random time: where in its work a victim is hit is a matter of luck, and shall be.
func (k *killer) pause(most time.Duration) { time.Sleep(time.Duration(k.rng.Int64N(int64(most)))) }

// kill hits a victim; old and target are the revisions in question, action that of the Job. It gives what was hit, "" if
// there was nothing.
func (k *killer) kill(v victim, old, target string, action contract.Action) string {
	k.n.t.Helper()
	switch v {
	case theOperator:
		return k.operator()
	case leftBehind:
		return k.projector(old)
	case onItsWay:
		return k.projector(target)
	case theJob:
		return k.job(action)
	case aBackend:
		return k.backend()
	case thePostgres:
		return k.postgres()
	}
	panic(v)
}

func (k *killer) operator() string {
	k.n.t.Helper()
	errs, err := operatorErrors(k.from)
	if err != nil {
		k.n.t.Logf("the operator's log: %v", err)
	}
	var pods corev1.PodList
	if err := kube().List(k.n.t.Context(), &pods, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/component": "operator"}); err != nil {
		k.n.t.Fatal(err)
	}
	for i := range pods.Items {
		if k.strike(&pods.Items[i]) {
			k.met = append(k.met, errs...)
			return pods.Items[i].Name
		}
	}
	return ""
}

func (k *killer) projector(revision string) string {
	k.n.t.Helper()
	pods, err := k.n.projectors(k.n.t.Context(), "tally")
	if err != nil {
		k.n.t.Fatal(err)
	}
	for i := range pods {
		if pods[i].Labels["projectionist.dev/revision"] == revision && k.strike(&pods[i]) {
			return pods[i].Name
		}
	}
	return ""
}

// job waits for the process of an action on the projection, and hits it somewhere in its short life. One that ends before
// is nothing.
func (k *killer) job(action contract.Action) string {
	k.n.t.Helper()
	const within, life = 10 * time.Second, 100 * time.Millisecond
	var over map[string]bool
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var pods corev1.PodList
		if err := kube().List(k.n.t.Context(), &pods, client.InNamespace(k.n.name),
			client.MatchingLabels{"projectionist.dev/action": string(action), "projectionist.dev/projection": "tally"}); err != nil {
			k.n.t.Fatal(err)
		}
		if over == nil {
			over = map[string]bool{}
			for i := range pods.Items {
				over[pods.Items[i].Name] = ended(&pods.Items[i])
			}
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			switch {
			case over[pod.Name] || k.struck[pod.Name]:
				continue
			case ended(pod):
				return ""
			case len(processes(pod)) == 0:
				continue
			}
			k.pause(life)
			if !k.strike(pod) {
				return ""
			}
			k.struck[pod.Name] = true
			return pod.Name
		}
	}
	return ""
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// strike kills the processes of a pod's containers, and reports whether there was one.
func (k *killer) strike(pod *corev1.Pod) bool {
	hit := false
	for _, pid := range processes(pod) {
		hit = syscall.Kill(pid, syscall.SIGKILL) == nil || hit
	}
	return hit
}

// processes are those of a pod's containers on this machine, its sandbox aside. It looks on its own, since hack/cluster/signal
// takes longer than most Jobs live.
func processes(pod *corev1.Pod) (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	uid := "pod" + string(pod.UID)
	for _, path := range names {
		if comm, _ := os.ReadFile(path); !slices.Contains([]string{"projector", "manager"}, strings.TrimSpace(string(comm))) {
			continue
		}
		// The systemd driver of cgroups writes a pod's id with other dashes.
		group, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cgroup"))
		if !strings.Contains(strings.ReplaceAll(string(group), "_", "-"), uid) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// backend kills one of the projection's connections; the server then restarts by itself, as after any such death.
func (k *killer) backend() string {
	k.n.t.Helper()
	rows, err := database().Query(k.n.t.Context(), "SELECT pid, application_name FROM pg_stat_activity WHERE usename = 'projector' ORDER BY backend_start, pid")
	if err != nil {
		return ""
	}
	type backend struct {
		PID  int
		Name string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[backend])
	if err != nil || len(all) == 0 {
		return ""
	}
	b := all[k.rng.IntN(len(all))]
	k.falls()
	defer k.rises()
	if err := syscall.Kill(b.PID, syscall.SIGKILL); err != nil {
		k.n.t.Logf("backend %d: %v", b.PID, err)
		return ""
	}
	k.await(func() error { return syscall.Kill(b.PID, 0) }, false)
	return fmt.Sprintf("%d of %s", b.PID, b.Name)
}

// postgres kills the server and starts it again after a while.
func (k *killer) postgres() string {
	k.n.t.Helper()
	text, err := os.ReadFile(parts()["PG_PID_FILE"])
	pid, _, _ := strings.Cut(string(text), " ")
	n, errPID := strconv.Atoi(pid)
	if err != nil || errPID != nil {
		k.n.t.Fatalf("%s: %v %v", parts()["PG_PID_FILE"], err, errPID)
	}
	k.falls()
	defer k.rises()
	if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
		k.n.t.Fatalf("PostgreSQL, process %d: %v", n, err)
	}
	const most = 1500 * time.Millisecond
	k.pause(most)
	if out, err := exec.Command(root + "/hack/postgres/up").CombinedOutput(); err != nil {
		k.n.t.Fatalf("hack/postgres/up: %v\n%s", err, out)
	}
	return pid
}

func (k *killer) falls() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.outages = append(k.outages, outage{from: time.Now()})
}

// rises waits until the database takes writes again.
func (k *killer) rises() {
	k.await(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, parts()["PG_URL"])
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "SELECT txid_current()")
		_ = conn.Close(ctx)
		return err
	}, true)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.outages[len(k.outages)-1].to = time.Now()
}

// await waits until something works, or does not work any more.
func (k *killer) await(try func() error, works bool) {
	k.n.t.Helper()
	for end := time.Now().Add(soon); (try() == nil) != works; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			k.n.t.Fatal("the database does not end, or does not come back:", try())
		}
	}
}

// down reports whether the database was away at some time between two. A connection that it took with it may be used
// a moment later.
func (k *killer) down(from, to time.Time) bool {
	const moment = time.Second
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.outages, func(o outage) bool {
		return !to.Before(o.from) && (o.to.IsZero() || from.Before(o.to.Add(moment)))
	})
}

// TestDown holds what counts as an outage to its bounds.
func TestDown(t *testing.T) {
	t.Parallel()
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	k := &killer{outages: []outage{{at(10), at(20)}, {from: at(40)}}}
	for _, c := range []struct {
		from, to int
		want     bool
	}{{5, 9, false}, {5, 10, true}, {12, 13, true}, {20, 22, true}, {21, 30, false}, {30, 39, false}, {39, 40, true}, {50, 60, true}} {
		if got := k.down(at(c.from), at(c.to)); got != c.want {
			t.Errorf("from %d to %d: %t", c.from, c.to, got)
		}
	}
}
