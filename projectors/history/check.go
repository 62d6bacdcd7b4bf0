// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Check sees to it that the log of the contract's topics holds, from where the revision began, what the claims say was applied. The
// claims are those of all partitions, in order. It fails with a *RefusedError, a *sources.TopicRecreated, or an error of the source.
func Check(ctx context.Context, log sources.Log, c *contract.Contract, claims []stores.Claim) error {
	var topics []string
	for _, t := range c.Topics {
		topics = append(topics, t.Name)
	}
	infos, err := log.Describe(ctx, topics...)
	if err != nil {
		return err
	}
	rows := map[string]int32{}
	var read []event.TopicPartition
	for _, c := range claims {
		info, ours := infos[c.Topic]
		if !ours {
			return Refused(ReasonPositionMissing, "the bookkeeping has a position of topic %s, which the projection does not read", c.Topic)
		}
		if c.Partition != rows[c.Topic] {
			return Refused(ReasonPositionMissing, "the bookkeeping has no position row of %s/%d: restore it, or rebuild the projection", c.Topic, rows[c.Topic])
		}
		rows[c.Topic]++
		if c.HeldVersion > 0 {
			return Held(c.TopicPartition)
		}
		if c.TopicID != "" && info.ID != "" && c.TopicID != info.ID {
			return &sources.TopicRecreated{Topic: c.Topic, WasID: c.TopicID, NowID: info.ID}
		}
		if c.Begin == stores.BeginUnknown {
			return Refused(ReasonBeginUnknown, "the revision began later than with the first events, and the bookkeeping does not say where for %s: an older release may have prepared it; replay the projection", c.TopicPartition)
		}
		if c.Next > c.Begin {
			read = append(read, c.TopicPartition)
		}
	}
	for _, name := range topics {
		if rows[name] == 0 || rows[name] > infos[name].Partitions {
			return Refused(ReasonPositionMissing, "topic %s has %d position rows and %d partitions: restore what is missing, or rebuild the projection", name, rows[name], infos[name].Partitions)
		}
	}
	if len(read) == 0 {
		return nil
	}
	bounds, err := log.Bounds(ctx, read...)
	if err != nil {
		return err
	}
	for _, c := range claims {
		switch b, asked := bounds[c.TopicPartition]; {
		case !asked:
		case c.Begin > 0 && b.Earliest > c.Begin:
			return Refused(ReasonHistoryMissing, "%s begins at position %d, and the revision began at %d, so that events that made its rows are gone: see the topic's retention", c.TopicPartition, b.Earliest, c.Begin)
		case b.Earliest > c.Begin:
			// Where a first build of a log without its beginning began is not in the bookkeeping.
			return Refused(ReasonHistoryMissing, "%s begins at position %d, so that the events before it are gone, and nothing says whether they are in the tables: "+
				"full history is needed, see the topic's retention", c.TopicPartition, b.Earliest)
		case c.Next > b.HighWatermark:
			return Refused(ReasonHistoryMissing, "%s was applied up to position %d, and its log ends at %d: the topic has lost its end", c.TopicPartition, c.Next, b.HighWatermark)
		}
	}
	return nil
}

// Moved fails where a position fell between two looks at a revision: positions never fall (Law 6); they do when it was
// dropped and prepared anew.
func Moved(c *contract.Contract, was, now []stores.Claim) error {
	byPartition := map[event.TopicPartition]stores.Claim{}
	for _, n := range now {
		byPartition[n.TopicPartition] = n
	}
	for _, w := range was {
		if n, there := byPartition[w.TopicPartition]; !there || n.Next < w.Next || w.TopicID != "" && n.TopicID != w.TopicID {
			return Refused(ReasonRevisionMoved, "the position of %s fell meanwhile: somebody dropped revision %s and built it anew; try again", w.TopicPartition, c.Revision)
		}
	}
	return nil
}

// Held refuses a partition of which keys are held, or were.
func Held(tp event.TopicPartition) *RefusedError {
	return Refused(ReasonKeysHeld, "keys of %s are held, or were: this release cannot tell which of their events were applied; use the one that holds them", tp)
}
