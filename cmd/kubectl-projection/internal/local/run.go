// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/engine"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

const (
	// lookEvery is how often positions are looked at for the end of the run.
	lookEvery = 20 * time.Millisecond
	// reportEvery is how often progress is told.
	reportEvery = time.Second
	// startTimeout bounds reaching the broker and making the tables.
	startTimeout = 30 * time.Second
	// watchEvery and idleCommit are shorter than a projector's: somebody is looking.
	watchEvery = 250 * time.Millisecond
	idleCommit = 100 * time.Millisecond
	// batchRecords is how many records one fetch of the embedded broker gives of a partition.
	batchRecords = 2000
)

// Run runs the projections. It gives output.ErrFound when a partition stopped.
func Run(ctx context.Context, p *output.Printer, o Options) (err error) {
	pl, err := newPlan(p, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pl.close()) }()
	r := &runner{plan: pl, p: p, began: time.Now()}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.run(ctx); err != nil {
		return err
	}
	// The interrupt that ended the run does not keep the rows from being counted.
	report, err := r.report(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	if err := Print(p, report); err != nil {
		return err
	}
	if report.stopped() {
		return output.ErrFound
	}
	return nil
}

type runner struct {
	*plan
	p       *output.Printer
	feeder  *feeder
	running []*running
	began   time.Time
	took    time.Duration
	fedAll  bool
}

// running is one projection on its way.
type running struct {
	*workspace.Compiled
	program *handlers.Program
	engine  *engine.Engine
	// expected is the number of partitions.
	expected int
	rebuilt  bool
	last     contract.ProjectorStatus
}

// prepare makes brokers, tables and engines.
func (r *runner) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("nothing answered for %s", startTimeout))
	defer cancel()
	programs := make([]*handlers.Program, len(r.projections))
	for i, c := range r.projections {
		schemas, err := r.schemas(ctx, c.Contract)
		if err != nil {
			return err
		}
		if programs[i], err = handlers.Compile(c.Contract, schemas); err != nil {
			return fmt.Errorf("projection %s: %w", c.Projection.Name, err)
		}
	}
	if r.embedded {
		r.feeder = newFeeder(r.plan, programs)
		r.feeder.consumed = r.consumed
	}
	for i, c := range r.projections {
		one := &running{Compiled: c, program: programs[i]}
		if err := r.start(ctx, one); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
			}
			return fmt.Errorf("projection %s: %w", c.Projection.Name, err)
		}
		r.running = append(r.running, one)
	}
	r.announce()
	return nil
}

func (r *runner) schemas(ctx context.Context, c *contract.Contract) (codecs.Schemas, error) {
	if r.embedded {
		return nil, nil
	}
	return connect.Schemas(context.WithoutCancel(ctx), r.mounts, c.Broker)
}

// start makes the tables and the engine of a projection.
func (r *runner) start(ctx context.Context, one *running) error {
	log, group, err := r.source(one.Contract)
	if err != nil {
		return err
	}
	starts, err := startsOf(ctx, log, one.Contract)
	if err != nil && !r.embedded {
		return fmt.Errorf("EventBroker %s: %w; --embedded runs without it", one.Contract.Broker.Name, err)
	}
	if err != nil {
		return err
	}
	one.expected = len(starts)
	if one.rebuilt, err = r.tables(ctx, one.Contract, starts); err != nil {
		return fmt.Errorf("%s: %w", r.storeName(one.Compiled), err)
	}
	writer, err := r.writer(one.Contract)
	if err != nil {
		return err
	}
	r.cleanup = append(r.cleanup, func() error { writer.Close(); return nil })
	logger := slog.New(slog.NewTextHandler(r.p.Err, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: withoutTime}))
	one.engine = engine.New(engine.Config{
		Log: log, Group: group, Writer: writer, Models: one.program.Models(), Owner: application,
		Logger:       logger.With("projection", one.Projection.Name),
		NewEvaluator: func() engine.Evaluator { return one.program.NewEvaluator() },
		Topics:       topicNames(one.Contract), WatchInterval: watchEvery, IdleCommit: idleCommit,
	})
	return nil
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func (r *runner) source(c *contract.Contract) (sources.Log, sources.Group, error) {
	if r.embedded {
		log := r.feeder.broker.Log()
		log.MaxRecords = batchRecords
		r.cleanup = append(r.cleanup, log.Close)
		return log, r.feeder.broker.Join(c.Group, topicNames(c)...), nil
	}
	cfg, err := connect.Kafka(r.mounts, c.Broker, c.Topics, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	// Another group than a cluster's: this run must not take partitions from it.
	cfg.Group, cfg.ClientID = c.Group+"."+localCluster, application
	log, err := kafka.NewLog(cfg)
	if err != nil {
		return nil, nil, err
	}
	r.cleanup = append(r.cleanup, log.Close)
	group, err := kafka.NewGroup(cfg, log)
	return log, group, err
}

// startsOf gives the partitions of a projection's topics, from their beginnings.
func startsOf(ctx context.Context, log sources.Log, c *contract.Contract) ([]stores.Start, error) {
	infos, err := log.Describe(ctx, topicNames(c)...)
	if err != nil {
		return nil, err
	}
	var out []stores.Start
	for _, t := range c.Topics {
		var tps []event.TopicPartition
		for i := range infos[t.Name].Partitions {
			tps = append(tps, event.TopicPartition{Topic: t.Name, Partition: i})
		}
		bounds, err := log.Bounds(ctx, tps...)
		if err != nil {
			return nil, err
		}
		for _, tp := range tps {
			out = append(out, stores.Start{TopicPartition: tp, Next: bounds[tp].Earliest, TopicID: infos[t.Name].ID})
		}
	}
	return out, nil
}

// tables makes the tables of a projection. What an earlier run has made is dropped
// where its rows cannot be gone on with: they came from a broker that is gone, or
// from another spec.
func (r *runner) tables(ctx context.Context, c *contract.Contract, starts []stores.Start) (rebuilt bool, err error) {
	admin, err := r.admin(c)
	if err != nil {
		return false, err
	}
	defer admin.Close()
	drop := func() error {
		dropped, err := admin.Retire(ctx, c.Projection)
		rebuilt = len(dropped) > 0
		return err
	}
	if r.embedded {
		if err := drop(); err != nil {
			return false, err
		}
	}
	facts, err := admin.Prepare(ctx, c, starts)
	if err != nil || facts.ActiveRevision == c.Revision {
		return rebuilt, err
	}
	if err := drop(); err != nil {
		return false, err
	}
	_, err = admin.Prepare(ctx, c, starts)
	return rebuilt, err
}

func topicNames(c *contract.Contract) []string {
	names := make([]string, len(c.Topics))
	for i, t := range c.Topics {
		names[i] = t.Name
	}
	return names
}

// run runs the engines until ctx is done or everything is caught up, then drains them.
func (r *runner) run(ctx context.Context) error {
	r.began = time.Now()
	runCtx, stop := context.WithCancel(ctx)
	defer stop()
	var engines, g errgroup.Group
	for _, one := range r.running {
		engines.Go(func() error { return one.engine.Run(runCtx) })
	}
	fed := make(chan error, 1)
	if r.embedded {
		g.Go(func() error {
			fed <- r.feeder.feed(runCtx, r.o.Events, r.p.In)
			return nil
		})
	} else {
		fed <- nil
	}
	err := r.follow(runCtx, fed)
	r.took = time.Since(r.began)
	r.look()
	stop()
	return errors.Join(err, g.Wait(), ignoreCanceled(engines.Wait()))
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// follow looks at the engines until they are done.
func (r *runner) follow(ctx context.Context, fed <-chan error) error {
	look, tell := time.NewTicker(lookEvery), time.NewTicker(reportEvery)
	defer look.Stop()
	defer tell.Stop()
	progress := newProgress(r.p)
	defer progress.end()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-fed:
			if err != nil {
				return err
			}
			r.fedAll = true
		case <-tell.C:
			r.look()
			progress.tell(r)
		case <-look.C:
			if r.o.UntilCaughtUp && r.fedAll && r.done() {
				return nil
			}
		}
	}
}

// look takes over the state of the engines.
func (r *runner) look() {
	for _, one := range r.running {
		if st := one.engine.Status(); len(st.Partitions) > 0 {
			one.last = st
		}
	}
}

// done tells whether every partition is at its end, or has stopped.
func (r *runner) done() bool {
	r.look()
	var ends map[event.TopicPartition]int64
	if r.embedded {
		ends = r.feeder.ends()
	}
	for _, one := range r.running {
		if len(one.last.Partitions) < one.expected {
			return false
		}
		for _, ps := range one.last.Partitions {
			switch next, err := ps.Position.Offset(); {
			case ps.Stopped != nil:
			case err != nil:
				return false
			case r.embedded && next < ends[event.TopicPartition{Topic: ps.Topic, Partition: ps.Partition}]:
				return false
			case !r.embedded && !ps.CaughtUp:
				return false
			}
		}
	}
	return true
}

// consumed gives how far all projections are in a partition, -1 where none reads it any more.
func (r *runner) consumed(tp event.TopicPartition) int64 {
	least := int64(-1)
	for _, one := range r.running {
		st := one.engine.Status()
		if len(st.Partitions) < one.expected {
			if slices.Contains(topicNames(one.Contract), tp.Topic) {
				return 0 // between generations
			}
			continue
		}
		for _, ps := range st.Partitions {
			if ps.Topic != tp.Topic || ps.Partition != tp.Partition || ps.Stopped != nil {
				continue
			}
			if next, err := ps.Position.Offset(); err == nil && (least < 0 || next < least) {
				least = next
			}
		}
	}
	return least
}

// announce says what runs on what.
func (r *runner) announce() {
	broker := "Kafka of EventBroker " + r.running[0].Contract.Broker.Name
	if r.embedded {
		topics := make([]string, len(r.topics))
		for i := range r.topics {
			topics[i] = fmt.Sprintf("%s (%s)", r.topics[i].Name, count(int64(partitions(&r.topics[i])), "partition"))
		}
		broker = "embedded: " + strings.Join(topics, ", ")
	}
	_, _ = fmt.Fprintf(r.p.Err, "broker   %s\n", broker)
	for _, one := range r.running {
		note := ""
		if one.rebuilt {
			note = "   rows of an earlier run are made anew"
		}
		_, _ = fmt.Fprintf(r.p.Err, "store    %s   %s (revision %s)%s\n", r.storeName(one.Compiled), one.Projection.Name, one.Contract.Revision, note)
	}
	if len(r.o.Events) == 0 && r.embedded {
		_, _ = fmt.Fprintln(r.p.Err, "no events: give files with --events")
	}
}
