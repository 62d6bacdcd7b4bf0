// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Evaluator turns records into effects. It is used by one goroutine at a time. The effects' slices of keys and changes
// are valid until its next call.
type Evaluator interface {
	Handle(tp event.TopicPartition, rec *event.Record, out []fold.Effect) ([]fold.Effect, handlers.Outcome, error)
}

// Config is what an Engine runs on. The zero values of the limits mean the defaults.
type Config struct {
	Log    sources.Log
	Group  sources.Group
	Writer stores.Writer
	// Models is the shape of the tables, NewEvaluator makes one evaluator per goroutine.
	Models       []fold.Model
	NewEvaluator func() Evaluator
	// Topics are the EventTopic names that the projection reads.
	Topics []string
	// Owner names this process in the bookkeeping: the pod's name.
	Owner  string
	Logger *slog.Logger

	// Workers is the number of evaluating goroutines; default GOMAXPROCS.
	Workers int
	// MaxCommitEvents bounds the events of one transaction (soft: a fetched batch is never cut); default 20,000.
	MaxCommitEvents int
	// MaxInFlightBytes bounds what is fetched and not committed; a record counts recordWeight more than its bytes. Default 64 MiB.
	MaxInFlightBytes int64
	// Linger is how long a small batch waits for company; default 5 ms.
	Linger time.Duration
	// IdleCommit is how long a move of the position without rows may wait; default 1 s.
	IdleCommit time.Duration
	// WatchInterval is how often the ends of the log are sampled; default 2 s.
	WatchInterval time.Duration
	// LookInterval is how often quiet partitions are compared with their position rows: how
	// long a failover of the store that lost a last commit may go unnoticed; default 10 s.
	LookInterval time.Duration
	// ReclaimAfter is how long a partition lost to another claim must stand still before it is claimed again; default 15 s.
	ReclaimAfter time.Duration
	// StalledTransactionAfter is how long the last stable offset may stay behind the high watermark; default 60 s.
	StalledTransactionAfter time.Duration
	// DrainTimeout bounds the last commit after the end of a generation; default 5 s.
	DrainTimeout time.Duration
}

func (c *Config) setDefaults() {
	def(&c.Workers, runtime.GOMAXPROCS(0))
	def(&c.MaxCommitEvents, 20_000)
	def(&c.MaxInFlightBytes, 64<<20)
	def(&c.Linger, 5*time.Millisecond)
	def(&c.IdleCommit, time.Second)
	def(&c.WatchInterval, 2*time.Second)
	def(&c.LookInterval, 10*time.Second)
	def(&c.ReclaimAfter, 15*time.Second)
	def(&c.StalledTransactionAfter, time.Minute)
	def(&c.DrainTimeout, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Engine runs one projection revision in this process.
type Engine struct {
	cfg     Config
	metrics *metrics
	rate    rate

	mu      sync.Mutex
	session *session // nil between generations
	source  contract.Health
	store   contract.Health
	counts  map[string]int32
	reached bool // broker and store, at least once
	// progress is when a commit last succeeded or nothing could be committed.
	progress time.Time
}

// New makes an Engine; Run starts it.
func New(cfg Config) *Engine {
	cfg.setDefaults()
	return &Engine{
		cfg:     cfg,
		metrics: newMetrics(), progress: time.Now(),
		source: contract.Health{Reason: "Connecting", Message: "not connected to the broker yet", Since: time.Now().UTC()},
		store:  contract.Health{Reason: "Connecting", Message: "not connected to the store yet", Since: time.Now().UTC()},
	}
}

// Run consumes until ctx is done, then drains: what was folded is committed and
// the partitions are given back. Faults of the surroundings never end it; the
// error is nil after a drain, or sources.ErrClosed's cause when somebody else
// closed the group.
func (e *Engine) Run(ctx context.Context) error {
	var wait backoff
	for ctx.Err() == nil {
		gen, err := e.cfg.Group.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			if errors.Is(err, sources.ErrClosed) {
				return err
			}
			e.sourceFailed(err)
			wait.sleep(ctx)
			continue
		}
		wait.reset()
		e.runGeneration(ctx, gen)
	}
	return e.cfg.Group.Close()
}

func (e *Engine) runGeneration(ctx context.Context, gen sources.Generation) {
	// Whatever happens the member must be free to join again.
	defer gen.Done()
	sctx, cancel := context.WithCancel(gen.Context)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()

	e.cfg.Logger.Info("generation begins", "generation", gen.ID, "partitions", len(gen.Assigned))
	s := newSession(e, gen)
	e.mu.Lock()
	e.session = s
	e.mu.Unlock()
	e.metrics.owned.Set(float64(len(gen.Assigned)))

	s.run(sctx)

	e.mu.Lock()
	e.session = nil
	e.mu.Unlock()
	e.metrics.owned.Set(0)
	e.cfg.Logger.Info("generation ends", "generation", gen.ID)
}

// Ready is true once this process has reached both broker and store. It does
// not ask for a partition: with more pods than partitions a surge would never end.
func (e *Engine) Ready() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reached
}

func (e *Engine) reachedBoth() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reached = true
}

// stuckAfter is how long partitions may lag behind healthy neighbours without a
// commit before the process is held to be broken.
const stuckAfter = 5 * time.Minute

// Alive is false when nothing moves although store and broker answer and there
// is something to do: a restart is the only cure left.
func (e *Engine) Alive() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session == nil || !e.source.OK || !e.store.OK || !e.session.behind() {
		e.progress = time.Now()
	}
	return time.Since(e.progress) < stuckAfter
}

func (e *Engine) sourceOK() { e.setHealth(&e.source, contract.Health{OK: true}) }

func (e *Engine) storeOK() { e.setHealth(&e.store, contract.Health{OK: true}) }

func (e *Engine) sourceFailed(err error) {
	h := SourceHealth(err)
	if e.setHealth(&e.source, h) {
		e.cfg.Logger.Warn("the source cannot be used, trying again", "reason", h.Reason, "error", h.Message)
	}
	e.metrics.faults.WithLabelValues("source", h.Reason).Inc()
}

func (e *Engine) storeFailed(err error) {
	h := StoreHealth(err)
	if e.setHealth(&e.store, h) {
		e.cfg.Logger.Warn("the store cannot be used, trying again", "reason", h.Reason, "error", h.Message)
	}
	e.metrics.faults.WithLabelValues("store", h.Reason).Inc()
}

// SourceHealth is what users see of a fault of the source.
func SourceHealth(err error) contract.Health {
	var schema *codecs.UnavailableError
	if errors.As(err, &schema) {
		return contract.Health{Reason: schema.Reason, Message: schema.Message}
	}
	return contract.Health{Reason: cmp.Or(sources.ReasonOf(err), sources.ReasonUnreachable), Message: err.Error()}
}

// StoreHealth is what users see of a fault of the store.
func StoreHealth(err error) contract.Health {
	var env *stores.EnvironmentError
	switch {
	case errors.As(err, &env):
		return contract.Health{Reason: env.Reason, Message: env.Message}
	case errors.Is(err, stores.ErrNoPosition):
		return contract.Health{Reason: stores.ReasonNotPrepared, Message: err.Error()}
	}
	return contract.Health{Reason: stores.ReasonUnreachable, Message: err.Error()}
}

// setHealth keeps Since while the state stays the same, and says whether it changed.
func (e *Engine) setHealth(h *contract.Health, now contract.Health) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h.OK == now.OK && h.Reason == now.Reason {
		h.Message = now.Message
		return false
	}
	now.Since = time.Now().UTC()
	*h = now
	return true
}
