// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// The pauses between failed attempts: doubled from the first to the last.
const (
	firstPause = 5 * time.Second
	lastPause  = 2 * time.Minute
)

// Question is what is to be known.
type Question struct {
	// Inputs is the digest of what is asked, sequence aside; see Inputs.
	Inputs string
	// RepeatAfter asks again that long after a good answer; zero: never.
	RepeatAfter time.Duration
	// Unsettled tells whether a good answer leaves something to be asked again soon, as after a failed one.
	Unsettled func(*contract.Result) bool
	// Hold asks nothing new for now; what is known is still reported.
	Hold bool
	// Final asks nothing again after an answer that waiting does not change, whatever else was asked since.
	Final bool
	// Keep names a Job that stays, whatever it answers: what it left is still needed.
	Keep string
}

// Inputs is the digest of a request without its sequence, and of a contract's digest.
func Inputs(r contract.Request, contractDigest string) (string, error) {
	r.Sequence = 0
	data, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	return resources.Digest(16, string(data), contractDigest), nil
}

// State is what is known and what to do about it.
type State struct {
	// Result is the newest answer to exactly this question, nil if there is none yet.
	Result *contract.Result
	// LastGood is the newest successful answer to exactly this question, nil if there is none.
	LastGood *contract.Result
	// Running is the name of the Job that is under way, "" if none.
	Running string
	// Hindered says why the Job under way does not get on.
	Hindered *contract.Result

	// Create asks for a Job.
	Create *Create
	// Stamp are the results to write to Jobs' annotations, by name.
	Stamp map[string]*contract.Result
	// Delete are Jobs that nothing is learnt from any more.
	Delete []*batchv1.Job
	// RequeueAfter is when to look again if nothing happens; zero: no need.
	RequeueAfter time.Duration
}

// Create is a Job to be made.
type Create struct {
	Sequence int64
	Attempt  int
	LastGood *contract.Result
}

// Failed reports whether the newest answer says no.
func (s State) Failed() bool { return s.Result != nil && !s.Result.OK }

// Final reports whether the newest answer says no, and asking again would not change it.
func (s State) Final() bool { return s.Failed() && !s.Result.Retryable }

// settled reports whether the question has an answer that stays.
func (s State) settled(q Question) bool { return q.Final && (s.OK() || s.Final()) }

// OK reports whether the newest answer says yes.
func (s State) OK() bool { return s.Result != nil && s.Result.OK }

// Decide looks at all Jobs of one owner and action, and at their pods.
func Decide(q Question, jobs []batchv1.Job, pods []corev1.Pod, now time.Time) State {
	views := make([]view, 0, len(jobs))
	for i := range jobs {
		if jobs[i].DeletionTimestamp.IsZero() {
			views = append(views, observe(&jobs[i], pods))
		}
	}
	slices.SortFunc(views, func(a, b view) int {
		return cmp.Or(cmp.Compare(a.sequence, b.sequence), cmp.Compare(a.job.Name, b.job.Name))
	})
	s := State{Stamp: map[string]*contract.Result{}}
	var latest *view
	for i := range views {
		v := &views[i]
		latest = v
		if v.inputs != q.Inputs {
			continue
		}
		if v.lastGood != nil {
			s.LastGood = v.lastGood
		}
		switch {
		case v.finished:
			s.Running, s.Hindered = "", nil
			s.Result = outcome(*v)
			if s.Result.OK {
				s.LastGood = s.Result
			}
			if differ(v.stamped, s.Result) {
				s.Stamp[v.job.Name] = s.Result
			}
		default:
			s.Running = v.job.Name
			s.Hindered = hindrance(*v, pods, now)
			if s.Hindered != nil && (v.stamped == nil || v.stamped.Message != s.Hindered.Message) {
				s.Stamp[v.job.Name] = s.Hindered
			}
			s.RequeueAfter = stuckAfter
		}
	}
	next(&s, q, latest, now)
	s.Delete = obsolete(views, q, s.settled(q))
	return s
}

// next decides whether and when another Job is made.
func next(s *State, q Question, latest *view, now time.Time) {
	switch {
	case s.settled(q):
		return
	case latest == nil:
		s.Create = &Create{Sequence: 1, Attempt: 1}
	case latest.inputs != q.Inputs:
		s.Create = &Create{Sequence: latest.sequence + 1, Attempt: 1}
	case !latest.finished:
		return
	case s.Result.OK && q.RepeatAfter == 0:
		return
	default:
		pause, attempt := q.RepeatAfter, 1
		if !s.Result.OK || (q.Unsettled != nil && q.Unsettled(s.Result)) {
			pause, attempt = Pause(latest.attempt), latest.attempt+1
		}
		if wait := latest.at.Add(pause).Sub(now); wait > 0 {
			s.RequeueAfter = wait
			return
		}
		s.Create = &Create{Sequence: latest.sequence + 1, Attempt: attempt, LastGood: s.LastGood}
	}
	if q.Hold {
		s.Create = nil
	}
}

// Pause is how long to wait after so many failed attempts in a row.
func Pause(attempt int) time.Duration {
	d := firstPause
	for range max(attempt, 1) - 1 {
		if d *= 2; d >= lastPause {
			return lastPause
		}
	}
	return d
}

// obsolete are the Jobs before the newest one that answers the question, and
// those for another question once a Job for this one exists, or once it is settled.
func obsolete(views []view, q Question, settled bool) []*batchv1.Job {
	newestAnswer := -1
	for i, v := range views {
		if v.inputs == q.Inputs && v.finished {
			newestAnswer = i
		}
	}
	var out []*batchv1.Job
	for i, v := range views {
		switch {
		case v.job.Name == q.Keep:
		case v.inputs != q.Inputs:
			if hasLater(views, i, q.Inputs) || settled {
				out = append(out, v.job)
			}
		case i < newestAnswer:
			out = append(out, v.job)
		}
	}
	return out
}

func hasLater(views []view, i int, inputs string) bool {
	return slices.ContainsFunc(views[i+1:], func(v view) bool { return v.inputs == inputs })
}

func differ(stamped, result *contract.Result) bool {
	if stamped == nil {
		return true
	}
	a, errA := json.Marshal(stamped)
	b, errB := json.Marshal(result)
	return errA != nil || errB != nil || string(a) != string(b)
}
