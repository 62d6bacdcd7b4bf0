// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/actions"
	"github.com/projectionist-dev/projectionist/controllers/progress"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// spec is what the simulated user asks for; the rows are a function of version.
type spec struct {
	version, token string
	rollout        v1alpha1.Rollout
	incomplete     string
	refused        bool
	suspended      bool
}

func contractOf(version string) *contract.Contract {
	c := &contract.Contract{
		Version: 1, Projection: contract.Identity{Namespace: "shop", Name: "totals"}, Topics: []contract.Topic{{Name: "orders"}},
		Models: []contract.Model{{
			Name: "totals", Key: []string{"id"}, Columns: []contract.Column{{Name: "id", Type: "text"}, {Name: "total", Type: "int64"}},
			Handlers: []contract.Handler{{Name: "placed", Topic: "orders", OnAbsent: "Create", Key: map[string]string{"id": "event.id"}, Add: map[string]string{"total": version}}},
		}},
	}
	if strings.HasSuffix(version, "-narrow") {
		c.Models[0].Columns = c.Models[0].Columns[:1]
	}
	c.DataHash = compile.DataHash(c)
	compile.Rename(c, "")
	return c
}

type simRecord struct {
	uid      string
	contract *contract.Contract
	attempts []string
	role     Role
	created  time.Time
	replay   string
	asked    int64
}

type simDeployment struct {
	created time.Time
	paused  bool
	// left is how many ticks it takes to catch up.
	left int
	// shown is what its projectors saw when they last looked.
	shown *contract.Shown
}

type simJob struct {
	batchv1.Job
	s contract.Switch
	// due is when it runs, runs how often; mute loses its answer, and one that is curt does not tell what readers see.
	due, runs int
	mute      bool
	curt      bool
	// sample is that of a verification.
	sample string
}

// sim is a cluster and a store. The operator that works on it keeps nothing between ticks.
type sim struct {
	now         time.Time
	tick        int
	spec        spec
	ahead       int
	connections Connections
	records     map[string]*simRecord
	deployments map[string]*simDeployment
	pods        map[string]int
	jobs        []*simJob
	book        contract.RevisionFacts
	serial      int
	// build is how many ticks a revision of a version takes; a negative one never does, since a partition is stopped.
	build map[string]int
	// writes counts; crash ends a pass after so many; harm and bad are for the histories.
	writes, crash int
	harm          func(*simJob)
	running       map[string]bool
	effects       map[int64]int
	bad           []string
	// wrong are the reasons for which verifications of versions fail, faults how many verifications meet a fault of the
	// surroundings first; right are the inputs of those that went well.
	wrong  map[string]string
	faults int
	right  map[string]bool
	last   Decision
	// past is the book before the last switch, pastTick when that was, lost how many switches a failover has lost.
	past           contract.RevisionFacts
	pastTick, lost int
	// unaware is true after that, until a Job has told: what serves may be taken down meanwhile, and comes back.
	unaware bool
	simReplays
}

const tickLength = 10 * time.Second

// watchTicks is how often projectors look at what readers see.
const watchTicks = 6

func newSim(s spec) *sim {
	return &sim{
		now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), spec: s, crash: -1,
		records: map[string]*simRecord{}, deployments: map[string]*simDeployment{}, pods: map[string]int{}, build: map[string]int{},
		running: map[string]bool{}, effects: map[int64]int{}, simReplays: simReplays{shown: map[string]bool{}, found: map[string]int{}},
		wrong: map[string]string{}, right: map[string]bool{},
	}
}

type crashed struct{}

// write is one request to the API server, after which the operator may end.
func (s *sim) write(f func()) {
	f()
	s.check()
	s.writes++
	if s.crash == 0 {
		s.crash = -1
		panic(crashed{})
	}
	if s.crash > 0 {
		s.crash--
	}
}

// check holds what must hold after every step.
func (s *sim) check() {
	switch active := s.book.Active; {
	case s.unaware:
		clear(s.running)
	case s.deployments[active] != nil:
		s.running[active] = true
	case s.running[active] && active != "":
		s.bad = append(s.bad, fmt.Sprintf("tick %d: readers see %s, which has no projectors", s.tick, active))
	}
	s.checkReplays()
	if s.book.Active != "" && s.book.Find(s.book.Active) == nil {
		s.bad = append(s.bad, fmt.Sprintf("tick %d: readers see %s, which has no tables", s.tick, s.book.Active))
	}
}

func (s *sim) input() (Input, []*batchv1.Job) {
	var jobs []batchv1.Job
	for _, j := range s.jobs {
		jobs = append(jobs, j.Job)
	}
	told := s.told(jobs)
	facts, keep, lost := told.Facts, told.Job, told.Lost
	in := Input{
		Now: s.now, Rollout: s.spec.rollout, Token: s.spec.token, LagTarget: time.Minute, Suspended: s.spec.suspended,
		Incomplete: s.spec.incomplete, MayPrepare: true, MayWrite: true, Busy: actions.Busy(jobs), Ahead: s.ahead, Limit: 1, Connections: s.connections, Store: "reads", Facts: facts,
	}
	if !s.spec.refused {
		in.Newest = contractOf(s.spec.version)
	}
	in.Replay = s.underWay(in.Newest)
	names := slices.Sorted(maps.Keys(s.records))
	for name := range s.deployments {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	names = Known(names, facts)
	if lost != "" {
		in.Facts = nil
	}
	for _, name := range names {
		r := Revision{Name: name, Pods: s.pods[name] > 0}
		uid := ""
		if rec := s.records[name]; rec != nil {
			uid = rec.uid
			r.Recorded, r.Contract, r.Attempts, r.Role, r.CreatedAt, r.Asked = true, rec.contract, rec.attempts, rec.role, rec.created, rec.asked
			r.Replay = rec.replay
		}
		if d := s.deployments[name]; d != nil {
			r.Deployed, r.DeployedAt, r.Pods = true, d.created, true
			r.Progress = s.progress(name, d)
		}
		r.Run = InPlace(r.Contract, in.Newest)
		for _, a := range []contract.Action{contract.ActionPrepare, contract.ActionPromote, contract.ActionDiscard, contract.ActionVerify} {
			if a == contract.ActionVerify {
				asked, by := s.verify(name)
				if r.ToVerify, r.VerifyOf = asked != nil, by; asked == nil {
					continue
				}
			}
			q := actions.Question{Inputs: s.inputs(a, name, uid, in.Facts, lost), Keep: keep, Final: a == contract.ActionVerify}
			state := actions.Decide(q, actions.Of(jobs, a, name), nil, s.now)
			switch a {
			case contract.ActionVerify:
				r.Verify = state
			case contract.ActionPromote:
				r.Promote = state
			case contract.ActionDiscard:
				r.Discard = state
			default:
				r.Prepare = state
			}
		}
		done, maybe := actions.Took(jobs, nil, contract.ActionPrepare, name, uid)
		r.Prepared = done || maybe
		done, maybe = actions.Took(jobs, nil, contract.ActionDiscard, name, uid)
		r.Discarding, r.Discarded = done || maybe, done
		r.Promoting = actions.UnderWay(jobs, contract.ActionPromote, name)
		in.Revisions = append(in.Revisions, r)
	}
	return in, actions.Orphans(jobs, names, keep)
}

// told is what Jobs told, lost where it is known to be old.
func (s *sim) told(jobs []batchv1.Job) actions.Told {
	told := actions.Facts(jobs, nil)
	if told.Lost == "" {
		var revisions []Revision
		for name, rec := range s.records {
			r := Revision{Name: name, Asked: rec.asked}
			if d := s.deployments[name]; d != nil {
				r.Progress = s.progress(name, d)
			}
			revisions = append(revisions, r)
		}
		slices.SortFunc(revisions, func(a, b Revision) int { return strings.Compare(a.Name, b.Name) })
		told.Lost = Outdated(told, jobs, revisions)
	}
	return told
}

func (s *sim) inputs(a contract.Action, name, uid string, facts *contract.RevisionFacts, lost string) string {
	if a == contract.ActionPrepare {
		return resources.Digest(16, uid, lost)
	}
	if a == contract.ActionVerify {
		asked, _ := s.verify(name)
		data, _ := json.Marshal(asked)
		return resources.Digest(16, string(data), uid)
	}
	data, _ := json.Marshal(Switch(name, facts, s.spec.rollout))
	inputs := resources.Digest(16, string(data), uid)
	if a == contract.ActionPromote {
		inputs = Again(inputs, name, facts, s.batch(), nil, s.now)
	}
	return inputs
}

func (s *sim) progress(name string, d *simDeployment) progress.Snapshot {
	p := progress.Partition{PartitionStatus: contract.PartitionStatus{Topic: "orders", UpdatedAt: s.now}, Owned: true, Known: true}
	switch {
	case s.book.Find(name) == nil, d.paused:
		return progress.Snapshot{}
	case d.left < 0:
		p.Stopped = &contract.Stop{Position: "7", Reason: "HandlerError", Message: "m"}
	case d.left == 0:
		p.Once, p.CaughtUp = true, true
	default:
		p.Lag = int64(d.left) * 1000
	}
	return progress.Snapshot{
		Heard: true, Fresh: true, Source: contract.Health{OK: true}, Store: contract.Health{OK: true}, Shown: d.shown,
		Expected: map[string]int32{"orders": 1}, Partitions: []progress.Partition{p},
	}
}

// pass is one reconciliation, which may end in the middle.
func (s *sim) pass() {
	defer func() {
		if e := recover(); e != nil {
			if _, ok := e.(crashed); !ok {
				panic(e)
			}
		}
	}()
	s.replayPass()
	in, orphans := s.input()
	d := Decide(in)
	s.last, s.known = d, in.Facts != nil
	if s.known && in.Facts.Active == s.book.Active && in.Facts.Sequence == s.book.Sequence {
		s.unaware = false
	}
	for _, r := range d.Record {
		if s.records[r.Contract.Revision] == nil {
			s.write(func() {
				s.serial++
				s.records[r.Contract.Revision] = &simRecord{uid: fmt.Sprintf("uid-%d", s.serial), contract: r.Contract, attempts: r.Attempts, role: r.Role, created: s.now, replay: r.Replay}
			})
		}
	}
	for i := range in.Revisions {
		r := &in.Revisions[i]
		role, asked := d.Roles[r.Name], r.Asked
		if d.Ask != nil && *d.Ask == (Ask{contract.ActionPromote, r.Name}) {
			asked = NextPromote(r.Name, in.Revisions, s.batch())
		}
		if rec := s.records[r.Name]; r.Recorded && (rec.role != role || rec.asked != asked) {
			s.write(func() { rec.role, rec.asked = role, asked })
		}
		for _, state := range []actions.State{r.Prepare, r.Promote, r.Discard, r.Verify} {
			for _, job := range state.Delete {
				s.remove(job.Name)
			}
		}
	}
	for _, j := range slices.Clone(s.jobs) {
		if len(actions.OfRevisions([]batchv1.Job{j.Job}, contract.ActionVerify, d.Cancel)) > 0 {
			s.remove(j.Name)
		}
	}
	s.start(in, d)
	for _, job := range orphans {
		s.remove(job.Name)
	}
	wanted := map[string]bool{}
	for _, run := range d.Run {
		wanted[run.Revision] = true
		i := slices.IndexFunc(in.Revisions, func(r Revision) bool { return r.Name == run.Revision })
		if in.Revisions[i].Prepare.OK() && s.deployments[run.Revision] == nil {
			s.write(func() {
				s.deployments[run.Revision] = &simDeployment{created: s.now, left: s.build[in.Revisions[i].Contract.Models[0].Handlers[0].Add["total"]]}
			})
		}
	}
	for _, run := range d.Run {
		if d := s.deployments[run.Revision]; d != nil && d.paused != run.Paused {
			s.write(func() { d.paused = run.Paused })
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.deployments)) {
		if !wanted[name] {
			s.write(func() { delete(s.deployments, name); s.pods[name] = 2 })
		}
	}
	for _, name := range d.Forget {
		s.write(func() { delete(s.records, name) })
	}
	s.observed()
}

func (s *sim) remove(name string) {
	s.write(func() { s.jobs = slices.DeleteFunc(s.jobs, func(j *simJob) bool { return j.Name == name }) })
}

func (s *sim) batch() []batchv1.Job {
	var jobs []batchv1.Job
	for _, j := range s.jobs {
		jobs = append(jobs, j.Job)
	}
	return jobs
}

// start makes the Job that was asked for.
func (s *sim) start(in Input, d Decision) {
	if d.Ask == nil {
		return
	}
	i := slices.IndexFunc(in.Revisions, func(r Revision) bool { return r.Name == d.Ask.Revision })
	r := &in.Revisions[i]
	create, uid := r.Prepare.Create, ""
	switch d.Ask.Action {
	case contract.ActionPromote:
		create = r.Promote.Create
	case contract.ActionDiscard:
		create = r.Discard.Create
	case contract.ActionVerify:
		create = r.Verify.Create
	default:
	}
	if rec := s.records[r.Name]; rec != nil {
		uid = rec.uid
	}
	s.checkVerified(d.Ask, uid)
	s.checkStarts(d.Ask)
	inputs := s.inputs(d.Ask.Action, r.Name, uid, in.Facts, s.told(s.batch()).Lost)
	name := fmt.Sprintf("%s-%s-%s-%d", d.Ask.Action, r.Name, inputs, create.Sequence)
	if slices.ContainsFunc(s.jobs, func(j *simJob) bool { return j.Name == name }) {
		return
	}
	j := &simJob{s: Switch(r.Name, in.Facts, s.spec.rollout), due: s.tick + 1, runs: 1}
	j.Job = batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: name, CreationTimestamp: metav1.NewTime(s.now),
		Labels: map[string]string{resources.LabelAction: string(d.Ask.Action), resources.LabelRevision: r.Name},
		Annotations: map[string]string{
			resources.AnnotationInputs: inputs, resources.AnnotationIncarnation: uid,
			resources.AnnotationSequence: fmt.Sprint(create.Sequence), resources.AnnotationAttempt: fmt.Sprint(create.Attempt),
			resources.AnnotationAsked: fmt.Sprint(Asked(*d.Ask, in.Revisions, s.batch())),
		},
	}}
	if asked, _ := s.verify(r.Name); asked != nil {
		j.sample = asked.Sample
	}
	if s.harm != nil {
		s.harm(j)
	}
	s.write(func() { s.jobs = append(s.jobs, j) })
}

// checkVerified holds that nothing is shown unverified that was to be verified, and that no answer is asked for twice.
func (s *sim) checkVerified(ask *Ask, uid string) {
	if asked, _ := s.verify(ask.Revision); asked == nil {
		return
	}
	inputs := s.inputs(contract.ActionVerify, ask.Revision, uid, nil, "")
	f := s.book.Find(ask.Revision)
	switch {
	case ask.Action == contract.ActionPromote && ask.Revision != s.spec.rollout.ActiveRevision && f != nil && f.PromotedAt.IsZero() && !s.right[inputs]:
		s.bad = append(s.bad, fmt.Sprintf("tick %d: %s is shown and was not found right", s.tick, s.version(ask.Revision)))
	case ask.Action == contract.ActionVerify:
		for _, j := range s.jobs {
			var r contract.Result
			if j.Annotations[resources.AnnotationInputs] == inputs && json.Unmarshal([]byte(j.Annotations[resources.AnnotationResult]), &r) == nil && !r.Retryable {
				s.bad = append(s.bad, fmt.Sprintf("tick %d: %s is verified once more", s.tick, s.version(ask.Revision)))
			}
		}
	}
}

// verified is what a verification finds.
func (s *sim) verified(j *simJob, r *contract.Result) {
	version := s.version(j.Labels[resources.LabelRevision])
	switch reason := s.wrong[version]; {
	case s.book.Find(j.Labels[resources.LabelRevision]) == nil:
		r.OK, r.Reason, r.Message, r.Retryable = false, "RevisionMissing", "m", true
	case s.faults > 0:
		s.faults--
		r.OK, r.Reason, r.Message, r.Retryable = false, "Unreachable", "m", true
	case j.sample == neverHolds:
		s.found[j.sample+": wrong"]++
		r.OK, r.Reason, r.Path, r.Message = false, v1alpha1.ReasonAssertionFailed, "spec.rollout.verify.assertions[few]", "m"
	case reason != "":
		r.OK, r.Reason, r.Message = false, reason, "m"
	default:
		s.right[j.Annotations[resources.AnnotationInputs]] = true
		s.found[j.sample+": right"]++
	}
}

// act is the store.
func (s *sim) act(j *simJob) contract.Result {
	a, name := contract.Action(j.Labels[resources.LabelAction]), j.Labels[resources.LabelRevision]
	r := contract.Result{Version: 1, Action: a, OK: true, At: s.now}
	refuse := func(reason string, retryable bool) {
		r.OK, r.Reason, r.Message, r.Retryable = false, reason, "m", retryable
	}
	stale := j.s.Active != s.book.Active || j.s.Sequence != s.book.Sequence
	switch f := s.book.Find(name); {
	case a == contract.ActionVerify:
		s.verified(j, &r)
		return r
	case a == contract.ActionPrepare && f == nil && s.beyond(name):
		refuse("StartNotPossible", false)
	case a == contract.ActionPrepare:
		if f == nil {
			s.book.Revisions = append(s.book.Revisions, contract.RevisionFact{Revision: name})
		}
		if s.book.Active == "" {
			s.book.Active, s.book.Sequence = name, 1
			s.book.Find(name).PromotedAt = s.now
		}
	case a == contract.ActionPromote && name == s.book.Active, a == contract.ActionDiscard && f == nil:
	case a == contract.ActionDiscard && name == s.book.Active:
		refuse("RevisionActive", false)
	case stale:
		refuse("Superseded", false)
	case f == nil:
		refuse("RevisionMissing", false)
	case a == contract.ActionDiscard:
		if s.deployments[name] != nil {
			s.bad = append(s.bad, fmt.Sprintf("tick %d: the tables of %s go under its projectors", s.tick, name))
		}
		s.book.Revisions = slices.DeleteFunc(s.book.Revisions, func(f contract.RevisionFact) bool { return f.Revision == name })
	case strings.HasSuffix(s.version(name), "-narrow") && !j.s.Allow.BreakReaders:
		refuse("ReadersWouldBreak", false)
	default:
		s.past, s.pastTick = s.book, s.tick
		s.past.Revisions = slices.Clone(s.book.Revisions)
		s.effects[s.book.Sequence]++
		s.book.Find(s.book.Active).LeftAt = s.now
		s.book.Active, s.book.Sequence = name, s.book.Sequence+1
		*s.book.Find(name) = contract.RevisionFact{Revision: name, PromotedAt: s.now}
	}
	facts := s.book
	facts.Revisions = slices.Clone(s.book.Revisions)
	r.Revisions = &facts
	return r
}

// failover makes the database forget the last switch, if that is so new that it may not have reached a standby, and the
// revision that readers saw before still serves.
func (s *sim) failover() {
	if s.past.Active == "" || s.tick-s.pastTick > 3 || s.book.Sequence != s.past.Sequence+1 || len(s.book.Revisions) != len(s.past.Revisions) ||
		s.deployments[s.past.Active] == nil {
		return
	}
	s.book, s.past = s.past, contract.RevisionFacts{}
	delete(s.effects, s.book.Sequence)
	s.lost++
	s.unaware = true
}

// beyond tells whether a revision was to begin where the log has nothing.
func (s *sim) beyond(name string) bool {
	rec := s.records[name]
	return rec != nil && rec.contract.From != nil && slices.ContainsFunc(rec.contract.From.Positions, func(p contract.FromPosition) bool { return p.Position == beyond })
}

func (s *sim) version(name string) string {
	if rec := s.records[name]; rec != nil {
		return rec.contract.Models[0].Handlers[0].Add["total"]
	}
	return ""
}

// advance lets Jobs, pods and projectors get on.
func (s *sim) advance() {
	s.tick++
	s.now = s.now.Add(tickLength)
	for _, j := range s.jobs {
		if len(j.Status.Conditions) > 0 || j.due > s.tick {
			continue
		}
		r := s.act(j)
		for range j.runs - 1 {
			_ = s.act(j)
		}
		s.check()
		if j.curt && r.Action == contract.ActionPromote {
			r.Revisions = nil
		}
		if !j.mute {
			data, _ := json.Marshal(r)
			j.Annotations[resources.AnnotationResult] = string(data)
		}
		j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(s.now)}}
	}
	for name := range s.pods {
		if s.pods[name]--; s.pods[name] <= 0 {
			delete(s.pods, name)
		}
	}
	for name, d := range s.deployments {
		if d.paused || s.book.Find(name) == nil {
			continue
		}
		if d.left > 0 {
			d.left--
		}
		if s.tick%watchTicks == 0 {
			d.shown = &contract.Shown{Revision: s.book.Active, Sequence: s.book.Sequence, At: s.now}
		}
	}
}

// end is what remains once all is done: names are given by version, since nothing else tells two runs apart.
func (s *sim) end() string {
	var out []string
	for _, f := range s.book.Revisions {
		out = append(out, "tables of "+s.version(f.Revision))
	}
	for name := range s.deployments {
		out = append(out, "projectors of "+s.version(name))
	}
	for name, r := range s.records {
		out = append(out, fmt.Sprintf("record of %s as %s", s.version(name), r.role))
	}
	slices.Sort(out)
	return fmt.Sprintf("readers see %s; %s", s.version(s.book.Active), strings.Join(out, ", "))
}
