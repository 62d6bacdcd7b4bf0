// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Root is the directory of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Part is one real part, run by the scripts in hack/<Name>.
type Part struct {
	Name     string // kafka or postgres
	Instance string
	env      map[string]string
	started  bool // by us: it was not running before
	mu       sync.Mutex
}

// Instance names an instance of a suite's own: its parts are broken, so that it
// shares none with the other tests, which PROJECTIONIST_INSTANCE is for.
func Instance(suite string) string {
	if of := os.Getenv("PROJECTIONIST_INSTANCE"); of != "" && of != suite {
		return of + "-" + suite
	}
	return suite
}

// StartPart brings a part up and reads how to reach it.
func StartPart(name, instance string) (*Part, error) {
	p := &Part{Name: name, Instance: instance}
	p.started = p.run("status") != nil
	if err := p.Up(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := p.script(&out, "env"); err != nil {
		return nil, err
	}
	p.env = map[string]string{}
	for line := range strings.Lines(out.String()) {
		if k, v, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "="); ok {
			p.env[k] = strings.Trim(v, "'")
		}
	}
	return p, nil
}

// Env gives a variable that the part's env script exports.
func (p *Part) Env(name string) string { return p.env[name] }

func (p *Part) script(out *bytes.Buffer, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(Root(), "hack", p.Name, name))
	cmd.Env = append(os.Environ(), "PROJECTIONIST_INSTANCE="+p.Instance)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("hack/%s/%s of instance %s: %w\n%s", p.Name, name, p.Instance, err, stderr.String())
	}
	return nil
}

func (p *Part) run(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.script(&bytes.Buffer{}, name)
}

// Up starts the part where it is not running, and waits until it answers.
func (p *Part) Up() error { return p.run("up") }

// Restart stops the part cleanly and starts it again.
func (p *Part) Restart() error { return p.run("restart") }

// Down stops the part and removes its data where it was started by this Part.
func (p *Part) Down() error {
	if !p.started {
		return nil
	}
	return p.run("down")
}

// pid is that of the running part.
func (p *Part) pid() (int, error) {
	data, err := os.ReadFile(p.env[map[string]string{"kafka": "KAFKA_PID_FILE", "postgres": "PG_PID_FILE"}[p.Name]])
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data))
	if len(fields) == 0 {
		return 0, errors.New("the pid file is empty")
	}
	return strconv.Atoi(fields[0])
}

// Crash ends the part at once, without a script's delay: SIGKILL for the
// broker, PostgreSQL's immediate shutdown for the database. Up brings it back.
func (p *Part) Crash() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := p.pid()
	if err != nil {
		return err
	}
	signal := syscall.SIGKILL
	if p.Name == "postgres" {
		signal = syscall.SIGQUIT
	}
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("%s with pid %d: %w", p.Name, pid, err)
	}
	for range 1000 {
		if gone(pid) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s with pid %d is still there after signal %v", p.Name, pid, signal)
}

// gone tells whether a process has ended; a zombie that nobody reaps has.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

// Rig is a broker, a database and the means to use them beside the projector.
type Rig struct {
	Broker   *Part
	Database *Part
	Kafka    *Kafka
	// Pool connects to the database as its superuser.
	Pool *pgxpool.Pool
}

// New brings up a broker and a database. The database may be an instance of its own.
func New(broker, database *Part) (*Rig, error) {
	k, err := NewKafka(broker.Env("KAFKA_BOOTSTRAP"))
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.New(context.Background(), database.Env("PG_URL_SUPERUSER"))
	if err != nil {
		return nil, err
	}
	return &Rig{Broker: broker, Database: database, Kafka: k, Pool: pool}, nil
}

// Close lets go of connections.
func (r *Rig) Close() {
	r.Kafka.Close()
	r.Pool.Close()
}

// Retry repeats a query while the database is away, for at most a minute.
func Retry[T any](t testing.TB, what string, fn func(ctx context.Context) (T, error)) T {
	t.Helper()
	var last error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		v, err := fn(ctx)
		cancel()
		if err == nil {
			return v
		}
		last = err
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: %v", what, last)
	panic("unreachable")
}

// Until polls until ok returns "", and fails with what it last returned when
// the time is over. It is for states that nothing signals.
func Until(t testing.TB, within time.Duration, what string, ok func() string) {
	t.Helper()
	end := time.Now().Add(within)
	for {
		problem := ok()
		if problem == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v: %s", what, within, problem)
		}
		time.Sleep(30 * time.Millisecond)
	}
}
