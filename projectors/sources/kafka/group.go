// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// closeTimeout bounds Close: kafka-go may wait for a rebalance to end.
const closeTimeout = 5 * time.Second

// Group is a member of a consumer group. It is a sources.Group.
type Group struct {
	cfg      Config
	log      *Log
	cg       *kafka.ConsumerGroup
	balancer *balancer
	// names gives the EventTopics of a topic at the broker.
	names map[string][]string

	life  context.Context //nolint:containedctx // it is the member's life
	close context.CancelFunc
}

var _ sources.Group = (*Group)(nil)

// NewGroup makes a member of cfg.Group, which joins in the background. log is
// asked for the topics' partitions and must outlive the member.
func NewGroup(cfg Config, log *Log) (*Group, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Group == "" {
		return nil, errors.New("kafka: no consumer group id")
	}
	d := &dialer{sec: cfg.Security, opTimeout: cfg.RequestTimeout + cfg.RebalanceTimeout}
	d.net.Timeout = cfg.DialTimeout
	d.net.KeepAlive = 15 * time.Second
	g := &Group{cfg: cfg, log: log, balancer: &balancer{}, names: map[string][]string{}}
	g.life, g.close = context.WithCancel(context.Background())
	g.balancer.count = func() (map[string]int32, error) {
		byName, countErr := g.counts(g.life, cfg.SessionTimeout/2)
		out := map[string]int32{}
		for name, n := range byName {
			out[cfg.Topics[name]] = n
		}
		return out, countErr
	}
	for name, topic := range cfg.Topics {
		g.names[topic] = append(g.names[topic], name)
	}
	g.cg, err = kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:      cfg.Group,
		Brokers: cfg.Bootstrap,
		Dialer: &kafka.Dialer{
			ClientID: cfg.ClientID, DialFunc: d.dial, Timeout: 2 * cfg.DialTimeout, SASLMechanism: newMechanism(cfg.Security),
		},
		Topics:            slices.Sorted(maps.Keys(g.names)),
		GroupBalancers:    []kafka.GroupBalancer{g.balancer},
		HeartbeatInterval: cfg.Heartbeat,
		SessionTimeout:    cfg.SessionTimeout,
		RebalanceTimeout:  cfg.RebalanceTimeout,
		JoinGroupBackoff:  cfg.JoinBackoff,
		Timeout:           10 * time.Second,
		// What the group has committed is never read: it is advice for tools.
		StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		g.close()
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return g, nil
}

// Close implements sources.Group.
func (g *Group) Close() error {
	g.close()
	done := make(chan error, 1)
	go func() { done <- g.cg.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeTimeout):
		return fmt.Errorf("kafka: group %s was not left within %v: others take over after the session timeout", g.cfg.Group, closeTimeout)
	}
}

// Next implements sources.Group.
func (g *Group) Next(ctx context.Context) (sources.Generation, error) {
	for {
		gen, err := g.cg.Next(ctx)
		switch {
		case err == nil:
			return g.generation(ctx, gen), nil
		case errors.Is(err, kafka.ErrGroupClosed):
			return sources.Generation{}, sources.ErrClosed
		case ctx.Err() != nil:
			return sources.Generation{}, ctx.Err()
		}
		if reported := g.report(ctx, err); reported != nil {
			return sources.Generation{}, reported
		}
		g.cfg.Logf("group %s: %v", g.cfg.Group, err)
	}
}

// report says what of kafka-go's errors a user must know; the others belong to
// the normal course of a group, and kafka-go joins again.
func (g *Group) report(ctx context.Context, err error) error {
	var code kafka.Error
	if errors.As(err, &code) && !isAuthentication(err) {
		switch code {
		case kafka.GroupAuthorizationFailed:
			return &sources.AuthorizationFailed{Resource: fmt.Sprintf("group %q", g.cfg.Group), Needs: "READ"}
		case kafka.TopicAuthorizationFailed:
			return &sources.AuthorizationFailed{Resource: "the topics of group " + g.cfg.Group, Needs: "READ and DESCRIBE"}
		case kafka.InvalidSessionTimeout, kafka.InconsistentGroupProtocol, kafka.InvalidGroupId, kafka.GroupMaxSizeReached:
			return fmt.Errorf("group %q at broker %s: %w", g.cfg.Group, g.cfg.Bootstrap[0], err)
		}
		return nil
	}
	return classify(ctx, g.cfg.Bootstrap[0], err)
}

func (g *Group) generation(ctx context.Context, gen *kafka.Generation) sources.Generation {
	owned := make(map[string][]int32, len(gen.Assignments))
	var assigned []event.TopicPartition
	for topic, ps := range gen.Assignments {
		for _, p := range ps {
			owned[topic] = append(owned[topic], int32(p.ID))
			for _, name := range g.names[topic] {
				assigned = append(assigned, event.TopicPartition{Topic: name, Partition: int32(p.ID)})
			}
		}
		slices.Sort(owned[topic])
	}
	slices.SortFunc(assigned, event.TopicPartition.Compare)
	asLeader := g.balancer.assigned(gen.ID, owned)
	counts := make(map[string]int32, len(g.cfg.Topics))
	if asLeader != nil {
		for name, topic := range g.cfg.Topics {
			counts[name] = asLeader[topic]
		}
	} else if seen, err := g.counts(ctx, g.cfg.RequestTimeout); err == nil {
		counts = seen
	} else {
		// Better than nothing: what this member was given.
		for _, tp := range assigned {
			counts[tp.Topic] = max(counts[tp.Topic], tp.Partition+1)
		}
	}

	life, end := context.WithCancel(g.life)
	left := make(chan struct{})
	var once sync.Once
	gen.Start(func(kctx context.Context) {
		select {
		case <-kctx.Done():
		case <-life.Done():
		case <-left:
		}
		end()
		<-left
	})
	if asLeader != nil {
		gen.Start(func(kctx context.Context) { g.watchGrowth(kctx, life, counts) })
	}
	return sources.Generation{
		ID:       gen.ID,
		Assigned: assigned,
		Counts:   counts,
		Context:  life,
		Done:     func() { once.Do(func() { end(); close(left) }) },
		CommitAdvisory: func(next map[event.TopicPartition]int64) error {
			if life.Err() != nil {
				return life.Err()
			}
			commits := map[string]map[int]int64{}
			for tp, offset := range next {
				topic, ok := g.cfg.Topics[tp.Topic]
				if !ok {
					return fmt.Errorf("kafka: EventTopic %s is not configured", tp.Topic)
				}
				if commits[topic] == nil {
					commits[topic] = map[int]int64{}
				}
				commits[topic][int(tp.Partition)] = max(commits[topic][int(tp.Partition)], offset)
			}
			return gen.CommitOffsets(commits)
		},
	}
}

// counts gives the number of partitions per EventTopic, 0 for a topic that does not exist.
func (g *Group) counts(ctx context.Context, limit time.Duration) (map[string]int32, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	infos, err := g.log.Describe(ctx, slices.Sorted(maps.Keys(g.cfg.Topics))...)
	if err != nil {
		var missing *sources.TopicMissing
		if !errors.As(err, &missing) {
			return nil, err
		}
	}
	out := make(map[string]int32, len(g.cfg.Topics))
	for name := range g.cfg.Topics {
		out[name] = infos[name].Partitions
	}
	return out, nil
}

// watchGrowth returns, and so ends the generation, when the topics have had
// other numbers of partitions than the assignment covers at two looks. Only the
// leader watches: it alone knows what the assignment covers, and the broker
// rebalances when the leader joins again, while it may ignore another member.
func (g *Group) watchGrowth(kctx context.Context, life context.Context, counts map[string]int32) {
	ctx, cancel := context.WithCancel(life)
	defer cancel()
	stop := context.AfterFunc(kctx, cancel)
	defer stop()
	tick := time.NewTicker(g.cfg.GrowthInterval)
	defer tick.Stop()
	differed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := g.counts(ctx, g.cfg.RequestTimeout)
		if err != nil {
			continue
		}
		if maps.Equal(now, counts) {
			differed = false
			continue
		}
		if differed {
			g.cfg.Logf("group %s: the topics' partitions changed from %v to %v", g.cfg.Group, counts, now)
			return
		}
		differed = true
	}
}
