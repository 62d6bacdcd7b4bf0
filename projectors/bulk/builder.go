// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Config is what a Builder runs on. The zero values of the limits mean the defaults.
type Config struct {
	Contract *contract.Contract
	Log      sources.Log
	Writer   stores.Writer
	// Models is the shape of the tables, NewEvaluator makes one evaluator per goroutine.
	Models       []fold.Model
	NewEvaluator func() engine.Evaluator
	// Owner names this process in the bookkeeping: the pod's name.
	Owner  string
	Logger *slog.Logger

	// MinEvents is how long the log must be for a build to be worth while; default 200,000.
	MinEvents int64
	// MaxMemory bounds the folded rows in memory, by estimate; default a third of the
	// runtime's limit, 256 MiB where it has none. The parts of what was spilled take as much again, one after the other.
	MaxMemory int64
	// MaxInFlightBytes bounds what is fetched and not folded; a record counts recordWeight more than its bytes. Default 32 MiB.
	MaxInFlightBytes int64
	// SpillDir is where to spill to; "" is nowhere.
	SpillDir string
	// Workers is the number of evaluating goroutines; default GOMAXPROCS.
	Workers int
	// Poll is how often a process that waits looks again; default 2 s.
	Poll time.Duration
}

// DefaultMinEvents is Config.MinEvents where nothing is said.
const DefaultMinEvents = 200_000

func (c *Config) setDefaults() {
	if c.MinEvents == 0 {
		c.MinEvents = DefaultMinEvents
	}
	if c.MaxMemory == 0 {
		c.MaxMemory = 256 << 20
		if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
			c.MaxMemory = limit / 3
		}
	}
	if c.MaxInFlightBytes == 0 {
		c.MaxInFlightBytes = 32 << 20
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Poll == 0 {
		c.Poll = 2 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Builder builds one revision, if that is to be.
type Builder struct {
	cfg     Config
	metrics *metrics

	mu            sync.Mutex
	source, store contract.Health
	reached       bool // broker and store, at least once
	counts        map[string]int32
	phase         string
	since         time.Time
	progress      time.Time
	work          *work // nil unless this process builds
	built         int64 // positions folded into the tables
	builtRows     int64
}

// New makes a Builder; Run starts it.
func New(cfg Config) *Builder {
	cfg.setDefaults()
	now := time.Now()
	return &Builder{
		cfg: cfg, metrics: newMetrics(), progress: now,
		source: contract.Health{Reason: "Connecting", Message: "not connected to the broker yet", Since: now.UTC()},
		store:  contract.Health{Reason: "Connecting", Message: "not connected to the store yet", Since: now.UTC()},
	}
}

// unfit says why a revision is not built in bulk.
type unfit struct{ reason, message string }

func (u *unfit) Error() string { return u.reason + ": " + u.message }

func unfitf(reason, format string, args ...any) error {
	return &unfit{reason, fmt.Sprintf(format, args...)}
}

// Why a revision is not built in bulk: outcomes of projectionist_builds_total.
const (
	outcomeMode         = "Mode"
	outcomeSpec         = "Spec"
	outcomeShortLog     = "ShortLog"
	outcomeBegun        = "Begun"
	outcomeTopics       = "Topics"
	outcomeEventRefused = "EventRefused"
	outcomeSpillLimit   = "SpillLimit"
	outcomeSpillFailed  = "SpillFailed"
	outcomeTooLarge     = "TooLarge"
)

// errLost says that another process has the right to build, or projectors have claimed.
var errLost = errors.New("another projector has claimed the partitions")

// Run returns when projectors may apply events: the revision is built, or is
// not to be built in bulk. Faults of the surroundings never end it. The error is ctx's.
func (b *Builder) Run(ctx context.Context) error {
	defer b.setPhase("")
	var wait backoff
	for ctx.Err() == nil {
		err := b.try(ctx)
		var why *unfit
		switch {
		case ctx.Err() != nil:
		case err == nil:
			b.metrics.builds.WithLabelValues("Built").Inc()
			return nil
		case errors.As(err, &why):
			b.metrics.builds.WithLabelValues(why.reason).Inc()
			b.cfg.Logger.Info("the revision is not built in bulk: events are applied as they come", "reason", why.reason, "message", why.message)
			return nil
		case errors.Is(err, stores.ErrBuilding), errors.Is(err, errLost):
			b.setPhase(contract.BuildWaiting)
			wait.reset()
			sleep(ctx, b.cfg.Poll/2+rand.N(b.cfg.Poll)) //nolint:gosec // jitter needs no secrecy
		default:
			sleep(ctx, wait.next())
		}
	}
	return context.Cause(ctx)
}

// try builds the revision. An error that is no *unfit is a reason to try again.
func (b *Builder) try(ctx context.Context) error {
	capable, err := b.suits()
	if err != nil {
		return err
	}
	infos, err := b.cfg.Log.Describe(ctx, b.topics()...)
	if err != nil {
		b.sourceFailed(ctx, err)
		return err
	}
	b.sourceOK()
	claims, err := b.cfg.Writer.Peek(ctx)
	if err != nil {
		b.storeFailed(ctx, err)
		return err
	}
	b.storeOK()
	b.noteCounts(infos)
	if !stores.MayBuild(claims) {
		return unfitf(outcomeBegun, "%v", stores.ErrBuilt)
	}
	if !stores.Building(claims) {
		if err := b.judge(ctx, claims, infos); err != nil {
			return err
		}
	}
	build, err := capable.StartBuild(ctx, b.cfg.Owner)
	switch {
	case errors.Is(err, stores.ErrBuilt):
		return unfitf(outcomeBegun, "%v", err)
	case errors.Is(err, stores.ErrBuilding):
		return err
	case err != nil:
		b.storeFailed(ctx, err)
		return err
	}
	defer build.Close()
	w := newWork(b, build.Claims(), infos)
	err = w.run(ctx, build)
	if errors.As(err, new(*unfit)) {
		b.abandon(ctx, build)
	}
	return err
}

// judge says what of the log speaks against a build that nobody has begun. Once somebody has, the log is for the holder of
// the right to judge: what has grown or was removed since does not matter to one who has read what was there before, and a
// process that went on to apply events would end hours of reading.
func (b *Builder) judge(ctx context.Context, claims []stores.Claim, infos map[string]sources.TopicInfo) error {
	w := newWork(b, claims, infos)
	err := w.sample(ctx)
	if todo := w.remaining(); err == nil && todo < b.cfg.MinEvents {
		err = unfitf(outcomeShortLog, "%d events are less than %d, from which on it is worth while", todo, b.cfg.MinEvents)
	}
	if !errors.As(err, new(*unfit)) {
		return err
	}
	// Another process may have looked at the log earlier, and have begun. One that begins after this look has read
	// for seconds only when the projectors' claims end it.
	now, failed := b.cfg.Writer.Peek(ctx)
	switch {
	case failed != nil:
		b.storeFailed(ctx, failed)
		return failed
	case stores.Building(now):
		return stores.ErrBuilding
	}
	return err
}

// suits tells whether store and contract allow it at all.
func (b *Builder) suits() (stores.Builder, error) {
	if b.cfg.Contract.Build.Live() {
		return nil, unfitf(outcomeMode, "spec.rollout.build.mode is %s", contract.BuildLive)
	}
	capable, ok := b.cfg.Writer.(stores.Builder)
	if !ok {
		return nil, unfitf(outcomeSpec, "this kind of store has no bulk builds")
	}
	if why := Unsuited(b.cfg.Contract); why != "" {
		return nil, unfitf(outcomeSpec, "%s", why)
	}
	return capable, nil
}

// Unsuited says what of a contract can only be applied event by event; "" if nothing.
func Unsuited(c *contract.Contract) string {
	for i := range c.Models {
		m := &c.Models[i]
		if m.Order != "" {
			return fmt.Sprintf("models[%s].order: what its rows hold depends on what arrives first", m.Name)
		}
		for _, ix := range m.Indexes {
			if ix.Unique {
				return fmt.Sprintf("models[%s].indexes: a unique index refuses an event by what other rows hold at its turn", m.Name)
			}
		}
		for j := range m.Handlers {
			if len(m.Handlers[j].Where) > 0 {
				return fmt.Sprintf("models[%s].handlers[%s].where: it writes rows that no key names", m.Name, m.Handlers[j].Name)
			}
		}
	}
	return ""
}

// abandon sees to it that nobody tries again, before the lock is given back.
func (b *Builder) abandon(ctx context.Context, build stores.Build) {
	var wait backoff
	for ctx.Err() == nil {
		err := build.Abandon(ctx)
		if err == nil {
			return
		}
		b.storeFailed(ctx, err)
		sleep(ctx, wait.next())
	}
}

func (b *Builder) topics() []string {
	names := make([]string, len(b.cfg.Contract.Topics))
	for i := range names {
		names[i] = b.cfg.Contract.Topics[i].Name
	}
	return names
}

// topicAt gives a topic's index, by which spilled records name it.
func (b *Builder) topicAt(tp event.TopicPartition) int {
	for i := range b.cfg.Contract.Topics {
		if b.cfg.Contract.Topics[i].Name == tp.Topic {
			return i
		}
	}
	return -1
}

// backoff doubles from 100 ms to 5 s, with jitter.
type backoff struct{ last time.Duration }

func (b *backoff) reset() { b.last = 0 }

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, 100*time.Millisecond), 5*time.Second)
	return b.last/2 + rand.N(b.last/2) //nolint:gosec // jitter needs no secrecy
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
