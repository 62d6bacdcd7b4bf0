// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
)

// FromOf is where the revision of a Replay is to begin, nil for the earliest events.
func FromOf(r *v1alpha1.Replay) *contract.From {
	f := &r.Spec.From
	switch {
	case f.Time != nil:
		return &contract.From{Time: f.Time.UTC()}
	case len(f.Positions) > 0:
		out := &contract.From{}
		for _, p := range f.Positions {
			out.Positions = append(out.Positions, contract.FromPosition{Topic: p.Topic, Partition: ptr.Deref(p.Partition, 0), Position: contract.Position(p.Position)})
		}
		return out
	}
	return nil
}

// startRefused says why a revision cannot begin where the Replay asks for, as far as that does not need the broker; "" if it can.
func (d *decider) startRefused(from *contract.From) string {
	if from.Time.After(d.Now) {
		return "spec.from.time: it lies in the future: give a time that is over"
	}
	for i, p := range from.Positions {
		if !slices.ContainsFunc(d.Contract.Topics, func(t contract.Topic) bool { return t.Name == p.Topic }) {
			return fmt.Sprintf("spec.%s.topic: the projection reads no topic %s: name one of %s", from.Path(i), p.Topic, strings.Join(topicsOf(d.Contract), ", "))
		}
	}
	_, why := compile.Summary(compile.StartRefusals(d.Contract))
	return why
}

func topicsOf(c *contract.Contract) []string {
	var out []string
	for i := range c.Topics {
		out = append(out, c.Topics[i].Name)
	}
	return out
}

// elsewhere decides of a Replay that is to begin elsewhere than with the earliest events, nil where it may.
func (d *decider) elsewhere(from *contract.From) *Decision {
	if d.Contract == nil {
		out := working(v1alpha1.ReplayPending, v1alpha1.ReasonPreparing, "what the tables of Projection %s are made of is not known yet: its projectors are about to be there", d.name())
		return &out
	}
	if why := d.startRefused(from); why != "" {
		out := d.failed(v1alpha1.ReasonStartNotPossible, "the new tables cannot begin at %s: %s. Nothing of Projection %s was changed", from, strings.TrimRight(why, "."), d.name())
		return &out
	}
	return nil
}
