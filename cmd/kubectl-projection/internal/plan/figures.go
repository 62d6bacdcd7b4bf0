// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/contract"
)

// Why figures are not known.
const (
	notAsked    = "no cluster was asked"
	nothingRuns = "nothing runs yet"
	noRight     = "asking the projectors needs the right to get pods/proxy"
	noAnswer    = "the projectors do not answer"
	notMeasured = "no rate was measured yet"
)

// unknown says of all figures why they are not known.
func (p *Plan) unknown(why string) {
	p.Replay.EventsUnknown, p.Replay.TimeUnknown, p.Space = why, why, &Space{Unknown: why}
}

// figures fills in what projectors and the status of what runs tell: how many events there are, how fast such a revision
// was built, and how much room it takes. The error says why no projector answered.
func (p *Plan) figures(all []contract.ProjectorStatus, failed error, revisions []v1alpha1.RevisionStatus, after After) {
	r := p.Replay
	r.EventsUnknown, r.TimeUnknown, p.Space = "", "", &Space{}
	all = slices.DeleteFunc(all, func(s contract.ProjectorStatus) bool { return s.Revision != p.Active })
	why := noAnswer
	if cluster.Forbidden(failed) {
		why = noRight
	}
	var counted bool
	switch r.Events, counted = events(all, after.Contract, after.Topics); {
	case counted:
	case len(all) == 0:
		r.EventsUnknown = why
	default:
		r.EventsUnknown = "not every partition's end is known to the projectors of " + p.Active
	}
	for i := range all {
		p.Space.Bytes = max(p.Space.Bytes, all[i].SizeBytes)
	}
	switch {
	case p.Space.Bytes > 0:
		p.Space.Of = p.Active
	case len(all) == 0:
		p.Space.Unknown = why
	default:
		p.Space.Unknown = "the projectors of " + p.Active + " have not measured its tables"
	}
	built := measured(revisions, p.Active)
	if built == nil {
		r.TimeUnknown = notMeasured
		return
	}
	rate := float64(built.Built.Events) / float64(built.Built.Seconds)
	r.EventsPerSecond, r.MeasuredOn = contract.TwoDigits(rate), built.Name
	left, ok := contract.Estimate(r.Events, rate)
	switch {
	case !counted:
		r.TimeUnknown = "the number of events is not known"
	case !ok:
		r.TimeUnknown = built.Name + " was built at less than one event a second"
	default:
		r.EstimatedSeconds = int64(left / time.Second)
	}
}

// measured is the revision whose build was measured: the one that readers see, else the newest; nil if none was.
func measured(revisions []v1alpha1.RevisionStatus, active string) *v1alpha1.RevisionStatus {
	var out *v1alpha1.RevisionStatus
	for i := range revisions {
		r := &revisions[i]
		if r.Built.Events > 0 && r.Built.Seconds > 0 && (out == nil || r.Name == active) {
			out = r
		}
	}
	return out
}

// events sums the ends of all partitions; ok is false unless every one of them is known.
func events(all []contract.ProjectorStatus, c *contract.Contract, topics []v1alpha1.EventTopic) (sum int64, ok bool) {
	var partitions int32
	for i := range topics {
		if topics[i].Status.Partitions == 0 {
			return 0, false
		}
		partitions += topics[i].Status.Partitions
	}
	reads := map[string]bool{}
	for _, t := range c.Topics {
		reads[t.Name] = true
	}
	type key struct {
		topic     string
		partition int32
	}
	// While a partition changes hands, two may report it.
	ends := map[key]int64{}
	for i := range all {
		for _, ps := range all[i].Partitions {
			if end, err := ps.End.Offset(); err == nil && reads[ps.Topic] {
				k := key{ps.Topic, ps.Partition}
				ends[k] = max(ends[k], end)
			}
		}
	}
	if len(ends) != int(partitions) {
		return 0, false
	}
	for _, end := range ends {
		sum += end
	}
	return sum, true
}

// timeWords say how long the events take.
func (r *Replay) timeWords() string {
	switch {
	case r.Events == 0:
		return "nothing to wait for"
	case r.EstimatedSeconds == 0:
		return "how long that takes is not known: " + r.TimeUnknown
	}
	return fmt.Sprintf("about %s at %s events/s (measured on %s)",
		output.Span(time.Duration(r.EstimatedSeconds)*time.Second), output.Group(r.EventsPerSecond), r.MeasuredOn)
}

// spaceLines say how much room the tables take.
func (p *Plan) spaceLines() []string {
	switch s := p.Space; {
	case s == nil || s.Unknown == notAsked:
		return nil
	case s.Bytes > 0:
		return []string{fmt.Sprintf("about %s more while both revisions exist: as much as %s takes now", humanize.Bytes(uint64(s.Bytes)), s.Of)}
	default:
		return []string{"how much the new tables take is not known: " + s.Unknown}
	}
}
