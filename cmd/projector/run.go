// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/bulk"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/server"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
)

// runOptions are the flags of run; their defaults are the operator's layout.
type runOptions struct {
	contract string
	listen   string
	mounts   credentials.Mounts

	sessionTimeout, stalledAfter time.Duration
	cpuProfile                   string
	spill                        string
	buildMinEvents, buildMemory  int64
}

func runCommand(logger func() *slog.Logger) *cobra.Command {
	o := runOptions{mounts: credentials.DefaultMounts()}
	cmd := &cobra.Command{
		Use: "run", Short: "Run one revision of a projection until told to stop", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o, logger()) },
	}
	cmd.Flags().StringVar(&o.contract, "contract", contract.ContractPath, "file of the contract")
	cmd.Flags().StringVar(&o.listen, "listen", fmt.Sprintf(":%d", contract.Port), "address of /status, /metrics, /healthz and /readyz")
	mountFlags(cmd, &o.mounts)
	cmd.Flags().StringVar(&o.spill, "spill", contract.SpillDir, "directory for what does not fit into memory while a revision is built in bulk")
	// For tests that cannot wait for the usual times.
	cmd.Flags().DurationVar(&o.sessionTimeout, "session-timeout", 0, "how long a silent projector keeps its partitions")
	cmd.Flags().DurationVar(&o.stalledAfter, "stalled-transaction-after", 0, "how long a producer's transaction may hold back events before it is reported")
	cmd.Flags().StringVar(&o.cpuProfile, "cpu-profile", "", "file to write a profile of the processor's time to")
	cmd.Flags().Int64Var(&o.buildMinEvents, "build-min-events", 0, "how many events make a bulk build worth while")
	cmd.Flags().Int64Var(&o.buildMemory, "build-memory", 0, "how many bytes of rows a bulk build holds in memory")
	for _, hidden := range []string{"session-timeout", "stalled-transaction-after", "cpu-profile", "build-min-events", "build-memory"} {
		_ = cmd.Flags().MarkHidden(hidden)
	}
	return cmd
}

// readContract reads the contract and refuses one that this binary does not know.
func readContract(path string) (*contract.Contract, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the path is the operator's, or the user's own flag
	if err != nil {
		return nil, err
	}
	var c contract.Contract
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.Version > contract.Version || c.Version < contract.Version-1 || c.Version < 1 {
		return nil, fmt.Errorf("%s: contract version %d, this projector knows %d: use a projector image of the operator's release",
			path, c.Version, contract.Version)
	}
	return &c, nil
}

func run(ctx context.Context, o runOptions, log *slog.Logger) error {
	started := time.Now().UTC()
	c, err := readContract(o.contract)
	if err != nil {
		return err
	}
	schemas, err := connect.Schemas(ctx, o.mounts, c.Broker)
	if err != nil {
		return err
	}
	program, err := handlers.Compile(c, schemas)
	if err != nil {
		return fmt.Errorf("the contract does not compile: %w", err)
	}
	pod := cmp.Or(os.Getenv("POD_NAME"), hostname())
	log = log.With("namespace", c.Projection.Namespace, "projection", c.Projection.Name, "revision", c.Revision)

	if o.cpuProfile != "" {
		stop, err := profile(o.cpuProfile)
		if err != nil {
			return err
		}
		defer stop()
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	p := &process{contract: c, pod: pod, started: started}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	// The endpoints outlive the drain, so that its progress can be seen.
	serveCtx, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	g := &errgroup.Group{}
	g.Go(func() error { return server.Serve(serveCtx, listener, server.Handler(p, registry)) })
	g.Go(func() error {
		defer stopServing()
		return p.consume(ctx, o, program, registry, log)
	})
	context.AfterFunc(ctx, func() { p.draining.Store(true) })
	return g.Wait()
}

// profile writes a CPU profile until stop is called.
func profile(path string) (stop func(), err error) {
	f, err := os.Create(path) //nolint:gosec // the path is the user's own flag
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}

func hostname() string {
	h, _ := os.Hostname()
	return h
}

// process is what the endpoints tell about this process, before and after the
// engine exists.
type process struct {
	contract *contract.Contract
	pod      string
	started  time.Time
	builder  atomic.Pointer[bulk.Builder]
	engine   atomic.Pointer[engine.Engine]
	fault    atomic.Pointer[contract.Health]
	draining atomic.Bool
	// size is what the tables take, in bytes, 0 before that is known.
	size atomic.Int64
	// shown is what readers see, nil before that is known.
	shown atomic.Pointer[contract.Shown]
}

// consume connects, waiting for Secrets that are not there yet, and runs the
// engine until ctx is done.
func (p *process) consume(ctx context.Context, o runOptions, program *handlers.Program, reg prometheus.Registerer, log *slog.Logger) error {
	cfg, ok := p.source(ctx, o.mounts, log)
	if !ok {
		return nil
	}
	cfg.Group = p.contract.Group
	cfg.ClientID = "projectionist/" + p.pod
	if o.sessionTimeout > 0 {
		cfg.SessionTimeout, cfg.Heartbeat = o.sessionTimeout, min(time.Second, o.sessionTimeout/6)
	}
	source, err := kafka.NewLog(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	group, err := kafka.NewGroup(cfg, source)
	if err != nil {
		return err
	}
	writer, err := connect.Writer(o.mounts, p.contract,
		fmt.Sprintf("projectionist/%s/%s/%s", p.contract.Projection.Namespace, p.contract.Projection.Name, p.pod))
	if err != nil {
		return err
	}
	defer writer.Close()

	evaluator := func() engine.Evaluator { return program.NewEvaluator() }
	b := bulk.New(bulk.Config{
		Contract: p.contract, Log: source, Writer: writer, Models: program.Models(), NewEvaluator: evaluator, Owner: p.pod, Logger: log,
		SpillDir: o.spill, MinEvents: o.buildMinEvents, MaxMemory: o.buildMemory,
	})
	b.Register(reg)
	p.builder.Store(b)
	if err := b.Run(ctx); err != nil {
		return group.Close() // told to stop: what was built so far is nowhere yet
	}
	e := engine.New(engine.Config{
		Log: source, Group: group, Writer: writer, Models: program.Models(), Owner: p.pod, Logger: log,
		NewEvaluator: evaluator,
		Topics:       topicNames(p.contract), StalledTransactionAfter: o.stalledAfter,
	})
	e.Register(reg)
	p.engine.Store(e)
	defer p.watching(ctx, writer)()
	return e.Run(ctx)
}

// source tries until the broker's addresses are known: they may be in a Secret
// that somebody has yet to create.
func (p *process) source(ctx context.Context, m credentials.Mounts, log *slog.Logger) (kafka.Config, bool) {
	for {
		cfg, err := connect.Kafka(m, p.contract.Broker, p.contract.Topics, log)
		if err == nil {
			return cfg, true
		}
		p.fault.Store(&contract.Health{Reason: "SecretKeyMissing", Message: err.Error(), Since: p.started})
		log.Warn("the broker's addresses are not known yet", "error", err.Error())
		select {
		case <-ctx.Done():
			return kafka.Config{}, false
		case <-time.After(5 * time.Second):
		}
	}
}

func topicNames(c *contract.Contract) []string {
	names := make([]string, len(c.Topics))
	for i, t := range c.Topics {
		names[i] = t.Name
	}
	return names
}

func (p *process) Status() contract.ProjectorStatus {
	st := contract.ProjectorStatus{Version: contract.Version, Partitions: []contract.PartitionStatus{}}
	b, e := p.builder.Load(), p.engine.Load()
	if e != nil {
		st = e.Status()
		events, rows := b.Built()
		st.EventsTotal, st.RowsTotal = st.EventsTotal+events, st.RowsTotal+rows
	} else if b != nil {
		st = b.Status()
	} else if f := p.fault.Load(); f != nil {
		st.Source = *f
	}
	st.Projection, st.Revision, st.DataHash = p.contract.Projection, p.contract.Revision, p.contract.DataHash
	st.Pod, st.StartedAt, st.Draining, st.SizeBytes, st.Shown = p.pod, p.started, p.draining.Load(), p.size.Load(), p.shown.Load()
	return st
}

func (p *process) Ready() bool {
	b, e := p.builder.Load(), p.engine.Load()
	return (b != nil && b.Ready() || e != nil && e.Ready()) && !p.draining.Load()
}

func (p *process) Alive() bool {
	if e := p.engine.Load(); e != nil {
		return e.Alive()
	}
	b := p.builder.Load()
	return b == nil || b.Alive()
}
