// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/contract"
)

// View is what is known of a projection at one moment. Its JSON form is stable: fields are added, never changed.
type View struct {
	Namespace  string                     `json:"namespace"`
	Name       string                     `json:"name"`
	Generation int64                      `json:"generation"`
	Status     v1alpha1.ProjectionStatus  `json:"status"`
	Projectors []contract.ProjectorStatus `json:"projectors,omitempty"`
	// Replays are those of the projection, oldest first.
	Replays []Replay `json:"replays,omitempty"`
	// Note says why there are no exact figures.
	Note string `json:"note,omitempty"`

	store string
	now   time.Time
	// topics are the names at the broker, by EventTopic, of topics with a partition that stopped; those that may not be read are missing.
	topics map[string]string
}

// Replay is a Replay of the projection.
type Replay struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
	// Keys is how many keys it is of; 0: it builds everything anew.
	Keys   int                   `json:"keys,omitempty"`
	Status v1alpha1.ReplayStatus `json:"status"`

	generation int64
}

// Gone is how a Replay is that is not there any more.
const Gone = "Gone"

// Replay says how one ended, and why: the type of its condition, Gone, or "" where it has not.
func (v *View) Replay(name string) (how, message string) {
	for i := range v.Replays {
		if v.Replays[i].Name == name {
			return ended(&v.Replays[i].Status)
		}
	}
	return Gone, ""
}

// shown reports whether a revision says already how it is.
func (r *Replay) shown() bool { return r.Keys == 0 && r.Status.Revision != "" }

func ended(s *v1alpha1.ReplayStatus) (how, message string) {
	for _, c := range s.Conditions {
		if (c.Type == v1alpha1.ConditionComplete || c.Type == v1alpha1.ConditionFailed) && c.Status == "True" {
			return c.Type, c.Message
		}
	}
	return "", ""
}

// attempt is who asked for a revision: the name of a Replay, else the token.
func (v *View) attempt(attempt string) string {
	for i := range v.Replays {
		if v.Replays[i].UID == attempt {
			return "Replay " + v.Replays[i].Name
		}
	}
	return attempt
}

// Read asks the API server and, where exact is set and that is allowed, the projectors.
func Read(ctx context.Context, c *cluster.Cluster, name string, exact bool, now time.Time) (*View, error) {
	// A Replay ends once its Projection's status says so: read before that, it is never ahead of it.
	replays, unlisted := c.Replays(ctx, name)
	p, err := c.Projection(ctx, name)
	if err != nil {
		return nil, err
	}
	if unlisted != nil && !cluster.Forbidden(unlisted) {
		return nil, unlisted
	}
	v := &View{Namespace: p.Namespace, Name: p.Name, Generation: p.Generation, Status: p.Status, store: p.Spec.StoreRef.Name, now: now}
	slices.SortStableFunc(v.Status.Revisions, func(a, b v1alpha1.RevisionStatus) int { return cmp.Compare(order(a.State), order(b.State)) })
	for i := range replays {
		v.Replays = append(v.Replays, Replay{replays[i].Name, string(replays[i].UID), len(replays[i].Spec.Keys.Values), replays[i].Status, replays[i].Generation})
	}
	if !exact {
		return v, nil
	}
	v.Projectors, err = c.Projectors(ctx, p)
	switch {
	case cluster.Forbidden(err):
		v.Note = "no exact figures per partition: they need the rights to list pods and to get pods/proxy"
	case err != nil:
		v.Note = "no exact figures per partition: the projectors could not be asked through the API server"
	}
	slices.SortFunc(v.Projectors, func(a, b contract.ProjectorStatus) int { return strings.Compare(a.Pod, b.Pod) })
	return v, v.lookUpTopics(ctx, c)
}

func (v *View) lookUpTopics(ctx context.Context, c *cluster.Cluster) error {
	v.topics = map[string]string{}
	for i := range v.Projectors {
		for _, ps := range v.Projectors[i].Partitions {
			if _, known := v.topics[ps.Topic]; known || ps.Stopped == nil {
				continue
			}
			t := new(v1alpha1.EventTopic)
			there, err := c.Get(ctx, ps.Topic, t)
			if err != nil && !cluster.Forbidden(err) {
				return err
			}
			v.topics[ps.Topic] = ""
			if there {
				v.topics[ps.Topic] = cmp.Or(t.Status.BrokerTopic, t.Spec.Topic, t.Name)
			}
		}
	}
	return nil
}

// order puts the revision that readers see first, then what is built, then what is kept.
func order(state string) int {
	switch state {
	case v1alpha1.RevisionActive:
		return 0
	case v1alpha1.RevisionKept, v1alpha1.RevisionDiscarding:
		return 2
	}
	return 1
}

// Revision finds one by name, nil where there is none.
func (v *View) Revision(name string) *v1alpha1.RevisionStatus {
	for i := range v.Status.Revisions {
		if v.Status.Revisions[i].Name == name {
			return &v.Status.Revisions[i]
		}
	}
	return nil
}

func (v *View) condition(kind string) (status, reason, message string) {
	if c := find(v.Status.Conditions, kind); c != nil {
		return string(c.Status), c.Reason, c.Message
	}
	return "", "", ""
}

// progress is how far one revision is, by what its projectors say.
type progress struct {
	partitions  int
	done, end   int64
	lag         int64
	perSecond   float64
	left        time.Duration
	leftIsKnown bool
}

func (v *View) progress(revision string) progress {
	var out progress
	for i := range v.Projectors {
		s := &v.Projectors[i]
		if s.Revision != revision {
			continue
		}
		out.perSecond += s.EventsPerSecond
		for _, ps := range s.Partitions {
			out.partitions++
			out.lag += ps.Lag
			position, err1 := ps.Position.Offset()
			end, err2 := ps.End.Offset()
			if err1 == nil && err2 == nil {
				begin, _ := ps.Begin.Offset() // 0 where it is the beginning of the log
				out.done += max(min(position, end)-begin, 0)
				out.end += max(end-begin, 0)
			}
		}
	}
	if out.partitions == 0 {
		return out
	}
	// Below one event a second the rest is anybody's guess.
	if out.perSecond >= 1 {
		out.left, out.leftIsKnown = time.Duration(float64(out.lag)/out.perSecond*float64(time.Second)), true
	}
	return out
}

// fromStatus is how far a revision is, by the projection's status.
func fromStatus(g *v1alpha1.BuildProgress) progress {
	var out progress
	if g.EventsDone != nil && g.EventsTotal != nil {
		out.done, out.end = *g.EventsDone, *g.EventsTotal
		out.lag = max(out.end-out.done, 0)
	}
	if g.EventsPerSecond != nil {
		out.perSecond = float64(*g.EventsPerSecond)
	}
	if g.EstimatedSecondsLeft != nil {
		out.left, out.leftIsKnown = time.Duration(*g.EstimatedSecondsLeft)*time.Second, true
	}
	return out
}

// percent is 100 only at the end.
func (p progress) percent() int {
	if p.end == 0 || p.lag == 0 {
		return 100
	}
	return min(99, int(p.done*100/p.end))
}

// short writes a number in three digits: 18.2M, 981k, 14.
func short(n int64) string {
	units := []struct {
		size   float64
		letter string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}
	for _, u := range units {
		if x := float64(n) / u.size; x >= 1 {
			if x >= 100 {
				return fmt.Sprintf("%.0f%s", x, u.letter)
			}
			return fmt.Sprintf("%.1f%s", x, u.letter)
		}
	}
	return strconv.FormatInt(n, 10)
}
