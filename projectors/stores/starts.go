// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// Recorded is how many partitions of a topic a revision of a projection has, or has had, position rows for.
type Recorded struct {
	Topic, TopicID string
	Count          int32
}

// AsRecorded leaves out the starts of partitions that no other revision of the
// projection knows of yet: their topic has grown, and nobody has seen it. The
// new revision has to see it, too, so that there is a barrier between what keys
// have in their old partitions and in their new ones (CORRECTNESS 1). A topic
// that is new to the projection, or was made anew at the broker, is taken as it is.
func AsRecorded(starts []Start, recorded []Recorded) []Start {
	return slices.DeleteFunc(slices.Clone(starts), func(s Start) bool {
		var known int32
		for _, r := range recorded {
			if r.Topic == s.Topic && (r.TopicID == s.TopicID || r.TopicID == "" || s.TopicID == "") {
				known = max(known, r.Count)
			}
		}
		return known > 0 && s.Partition >= known
	})
}

// Reasons of a StartError.
const (
	// ReasonStartNotPossible says that a revision cannot begin where it was asked to.
	ReasonStartNotPossible = "StartNotPossible"
	// ReasonTopicGrown says that it can, once the partitions that a topic has gained were taken in.
	ReasonTopicGrown = "TopicGrown"
)

// StartError says why a revision does not begin where contract.Contract.From asks for. Nothing was made.
type StartError struct {
	// Code is one of the reasons above.
	Code string
	// Path is the field below a Replay's spec, Message what is wrong with it and what to do.
	Path, Message string
}

func (e *StartError) Error() string { return e.Message }

// Reason gives Code.
func (e *StartError) Reason() string { return e.Code }

// Retryable tells whether waiting helps.
func (e *StartError) Retryable() bool { return e.Code == ReasonTopicGrown }

func notPossible(path, format string, args ...any) error {
	return &StartError{ReasonStartNotPossible, path, fmt.Sprintf(format, args...)}
}

// Resolve gives the starts of a new revision of c's: as AsRecorded has them, from where c.From asks for, and in order. The contract
// that is returned is what the bookkeeping is to hold: c, with what came of c.From. It fails with a *StartError.
func Resolve(c *contract.Contract, starts []Start, recorded []Recorded) ([]Start, *contract.Contract, error) {
	known := AsRecorded(starts, recorded)
	slices.SortFunc(known, func(a, b Start) int { return a.Compare(b.TopicPartition) })
	if c.From == nil {
		return known, c, nil
	}
	for _, s := range starts {
		if !slices.ContainsFunc(known, func(k Start) bool { return k.TopicPartition == s.TopicPartition }) {
			return nil, nil, &StartError{ReasonTopicGrown, "from", fmt.Sprintf(
				"topic %s has grown, and no projector has taken in its partition %d yet, so that it is not known what comes before it: it is tried again", s.Topic, s.Partition)}
		}
	}
	if err := place(c.From, known); err != nil {
		return nil, nil, err
	}
	from := *c.From
	from.Begins = map[string][]contract.Position{}
	for _, s := range known {
		from.Begins[s.Topic] = append(from.Begins[s.Topic], contract.OffsetPosition(s.Next))
	}
	out := *c
	out.From = &from
	return known, &out, nil
}

// place moves starts from the earliest to where a revision is to begin.
func place(from *contract.From, starts []Start) error {
	if !from.Time.IsZero() {
		for i := range starts {
			starts[i].Next = max(starts[i].Next, starts[i].At)
		}
		return nil
	}
	named := map[event.TopicPartition]bool{}
	for i, p := range from.Positions {
		tp, path := event.TopicPartition{Topic: p.Topic, Partition: p.Partition}, from.Path(i)
		at := slices.IndexFunc(starts, func(s Start) bool { return s.TopicPartition == tp })
		next, err := p.Position.Offset()
		switch {
		case err != nil:
			return notPossible(path+".position", "%s: give the decimal digits of an offset", err)
		case at < 0:
			return notPossible(path, "there is no partition %s: name one that the projection reads", tp)
		case next < starts[at].Next:
			return notPossible(path+".position", "%s begins at position %d, and the events before it are gone: give that, or a later one", tp, starts[at].Next)
		case next > starts[at].End:
			return notPossible(path+".position", "%s ends at position %d, before %d: give that, or an earlier one", tp, starts[at].End, next)
		}
		named[tp], starts[at].Next = true, next
	}
	for _, s := range starts {
		if !named[s.TopicPartition] && s.Next > 0 {
			return notPossible("from.positions", "%s is not named, and the events before its position %d are gone: name it, with that position or a later one", s.TopicPartition, s.Next)
		}
	}
	return nil
}

// CheckGrowth refuses starts of c's that lie on both sides of a growth of their topic: the events of a key that has moved to
// another partition would be read from before it, and those from after it, which may be newer, would not.
func CheckGrowth(c *contract.Contract, starts []Start, barriers []Barrier) error {
	if c.From == nil {
		return nil
	}
	for _, b := range barriers {
		before, after := "", ""
		for _, s := range starts {
			if s.Topic != b.Topic || s.Partition >= b.After {
				continue
			}
			end := int64(0)
			if int(s.Partition) < len(b.Ends) {
				end = b.Ends[s.Partition]
			}
			switch at := fmt.Sprintf("%s at position %d", s.TopicPartition, s.Next); {
			case s.Partition < b.Before && s.Next < end:
				before = at
			case s.Next > end:
				after = at
			}
		}
		if before != "" && after != "" {
			return notPossible("from", "topic %s has grown from %d to %d partitions, and the start lies before that for %s, and after it for %s: keys that have moved would be read from one of them alone. Give a later or an earlier start",
				b.Topic, b.Before, b.After, before, after)
		}
	}
	return nil
}

// Recording is the text of a contract for the bookkeeping, which has the stored text, if any: what came of From stays.
func Recording(c *contract.Contract, stored []byte) ([]byte, error) {
	out := *c
	if was := fromOf(stored); out.From != nil && was != nil {
		from := *out.From
		from.Begins = was.Begins
		out.From = &from
	}
	return json.Marshal(&out)
}

// fromOf is the start in a contract's text, nil where there is none, or no text that can be read.
func fromOf(stored []byte) *contract.From {
	var c struct {
		From *contract.From `json:"from"`
	}
	if len(stored) == 0 || json.Unmarshal(stored, &c) != nil {
		return nil
	}
	return c.From
}

// SetBegins says of claims where their partitions begin, by the contract's text in the bookkeeping.
func SetBegins(claims []Claim, stored []byte) {
	from := fromOf(stored)
	if from == nil {
		return
	}
	for i := range claims {
		if at, known := from.Begin(claims[i].Topic, claims[i].Partition); known {
			claims[i].Begin = at
		} else {
			claims[i].Begin = BeginUnknown
		}
	}
}

// BeginUnknown is Claim.Begin where a revision began later than with the first events, and nobody has written down where.
const BeginUnknown = -1
