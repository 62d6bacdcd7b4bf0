// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
)

var (
	buildMu  sync.Mutex
	binaries = map[string]string{}
)

// Binary builds the projector, with build tags if given, once per test process.
func Binary(t testing.TB, tags ...string) string {
	t.Helper()
	buildMu.Lock()
	defer buildMu.Unlock()
	key := fmt.Sprint(tags)
	if bin := binaries[key]; bin != "" {
		return bin
	}
	dir, err := os.MkdirTemp("", "projectionist-rig")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "projector")
	args := []string{"build", "-o", bin}
	for _, tag := range tags {
		args = append(args, "-tags", tag)
	}
	cmd := exec.Command("go", append(args, "./cmd/projector")...)
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the projector does not build: %v\n%s", err, out)
	}
	binaries[key] = bin
	return bin
}

// RemoveBinaries removes what Binary built.
func RemoveBinaries() {
	for _, bin := range binaries {
		_ = os.RemoveAll(filepath.Dir(bin))
	}
}

// Process is one projector process.
type Process struct {
	Owner string
	Addr  string
	// Log is the file that holds what it wrote.
	Log string
	// StartedAt is when it was started.
	StartedAt time.Time

	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu sync.Mutex
	// expected is set by whoever ends it.
	expected bool
}

// Launch says how to start a projector.
type Launch struct {
	// Owner is the pod's name.
	Owner string
	// Group is another consumer group than the contract's: two owners then
	// believe to have all partitions.
	Group string
	// Failpoints is for a binary built with them.
	Failpoints string
	// Args are further flags of run.
	Args []string
}

// Start starts a projector. It is killed at the end of the test.
func (p *Projection) Start(t testing.TB, l Launch) *Process {
	t.Helper()
	proc := &Process{Owner: l.Owner, Addr: freePort(t), done: make(chan struct{}), StartedAt: time.Now()}
	proc.Log = filepath.Join(p.Dir, l.Owner+".log")
	out, err := os.OpenFile(proc.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--contract", p.writeContract(t, l.Group), "--listen", proc.Addr,
		"--secrets", filepath.Join(p.Dir, "secrets"), "--configmaps", filepath.Join(p.Dir, "configmaps")}
	proc.cmd = exec.Command(p.Bin, append(args, l.Args...)...)
	proc.cmd.Env = append(os.Environ(), "POD_NAME="+l.Owner, "PROJECTIONIST_FAILPOINTS="+l.Failpoints)
	proc.cmd.Stdout, proc.cmd.Stderr = out, out
	if err := proc.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		proc.err = proc.cmd.Wait()
		_ = out.Close()
		close(proc.done)
	}()
	t.Cleanup(func() {
		proc.Kill()
		if t.Failed() {
			t.Logf("end of the log of %s:\n%s", l.Owner, proc.Tail(6000))
		}
	})
	return proc
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

func (p *Process) expect() {
	p.mu.Lock()
	p.expected = true
	p.mu.Unlock()
}

// Kill ends it with SIGKILL and waits.
func (p *Process) Kill() {
	p.expect()
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// Freeze stops it with SIGSTOP, Resume lets it go on.
func (p *Process) Freeze() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume is the other half of Freeze.
func (p *Process) Resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

// Terminate sends SIGTERM and gives its exit error and how long it took.
func (p *Process) Terminate(within time.Duration) (time.Duration, error) {
	p.expect()
	begin := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return time.Since(begin), p.err
	case <-time.After(within):
		p.Kill()
		return time.Since(begin), fmt.Errorf("%s has not ended within %v of SIGTERM", p.Owner, within)
	}
}

// Exited is closed when it has ended.
func (p *Process) Exited() <-chan struct{} { return p.done }

// Unexpected tells that it ended although nobody ended it.
func (p *Process) Unexpected() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.expected {
		return nil
	}
	return fmt.Errorf("%s ended by itself: %w\n%s", p.Owner, errors.Join(p.err, errors.New("see its log")), p.Tail(4000))
}

// Tail is the end of its log.
func (p *Process) Tail(n int) string {
	data, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-n):])
}

var client = &http.Client{Timeout: 3 * time.Second}

// Get reads one of its endpoints.
func (p *Process) Get(path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", path, res.Status)
	}
	return body, err
}

// Status reads /status; the zero value when it does not answer.
func (p *Process) Status() (contract.ProjectorStatus, error) {
	var st contract.ProjectorStatus
	body, err := p.Get("/status")
	if err != nil {
		return st, err
	}
	return st, json.Unmarshal(body, &st)
}

// AwaitStatus polls /status until ok returns "".
func (p *Process) AwaitStatus(t testing.TB, within time.Duration, what string, ok func(contract.ProjectorStatus) string) contract.ProjectorStatus {
	t.Helper()
	var st contract.ProjectorStatus
	Until(t, within, p.Owner+": "+what, func() string {
		var err error
		if st, err = p.Status(); err != nil {
			if gone := p.Unexpected(); gone != nil {
				t.Fatal(gone)
			}
			return err.Error()
		}
		if problem := ok(st); problem != "" {
			data, _ := json.Marshal(st)
			return problem + ": " + string(bytes.TrimSpace(data))
		}
		return ""
	})
	return st
}

// Metric sums the series of a metric; 0 when it does not answer.
func (p *Process) Metric(name string) (sum float64) {
	body, err := p.Get("/metrics")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(body)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if base, _, _ := strings.Cut(series, "{"); !ok || base != name {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err == nil {
			sum += n
		}
	}
	return sum
}

// Lag is the sum of a status's lags.
func Lag(st contract.ProjectorStatus) (lag int64) {
	for _, p := range st.Partitions {
		lag += p.Lag
	}
	return lag
}
