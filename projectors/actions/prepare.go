// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// prepare makes everything a revision needs in the store. Its positions start
// where each partition begins now, or where the contract says: they are written down here once, so that
// nothing later falls back to a default.
func (r *Runner) prepare(ctx context.Context, res *contract.Result) error {
	c, err := r.contract()
	if err != nil {
		return err
	}
	broker, err := r.broker(&c.Broker)
	if err != nil {
		return err
	}
	var starts []stores.Start
	for _, t := range c.Topics {
		topic, describeErr := broker.DescribeTopic(ctx, t.BrokerTopic)
		if describeErr != nil {
			return named(describeErr, t.Name)
		}
		for i, b := range topic.Bounds {
			starts = append(starts, stores.Start{
				TopicPartition: event.TopicPartition{Topic: t.Name, Partition: int32(i)},
				Next:           b.Earliest, TopicID: topic.ID, End: b.End,
			})
		}
	}
	if c.From != nil && !c.From.Time.IsZero() {
		if err := r.byTime(ctx, c, starts); err != nil {
			return err
		}
	}
	admin, err := r.store(&c.Store)
	if err != nil {
		return err
	}
	defer admin.Close()
	return prepareOn(ctx, admin, c, starts, res)
}

// byTime asks the broker where the time lies at which a revision is to begin.
func (r *Runner) byTime(ctx context.Context, c *contract.Contract, starts []stores.Start) error {
	cfg, err := connect.Kafka(r.Mounts, c.Broker, c.Topics, r.Logger)
	if err != nil {
		return err
	}
	cfg.ClientID = application
	log, err := kafka.NewLog(cfg)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // it was read
	return seek(ctx, log, c.From, starts)
}

// seek fills in where the time lies at which a revision is to begin.
func seek(ctx context.Context, log sources.Timed, from *contract.From, starts []stores.Start) error {
	tps := make([]event.TopicPartition, len(starts))
	for i := range starts {
		tps[i] = starts[i].TopicPartition
	}
	found, err := log.At(ctx, from.Time, tps...)
	if err != nil {
		return err
	}
	for i := range starts {
		starts[i].At = found[starts[i].TopicPartition]
	}
	return nil
}

func prepareOn(ctx context.Context, admin stores.Admin, c *contract.Contract, starts []stores.Start, res *contract.Result) error {
	facts, err := admin.Prepare(ctx, c, starts)
	if err == nil {
		res.Prepare = &facts
	}
	if sw, ok := admin.(stores.Switcher); ok {
		readRevisions(ctx, sw, c.Projection, res)
	}
	return err
}
