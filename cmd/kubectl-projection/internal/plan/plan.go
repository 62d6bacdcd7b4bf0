// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/change"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/projectors/stores/postgres"
)

// Plan says what a change of one projection will do. Its JSON form is stable: fields are added, never changed.
type Plan struct {
	Namespace string       `json:"namespace,omitempty"`
	Name      string       `json:"name"`
	Class     change.Class `json:"class"`
	// Active is the revision that readers see, Target the one that the new spec has; both may be empty.
	Active string `json:"active,omitempty"`
	Target string `json:"target,omitempty"`
	// Kept is true where the target is a revision of before that is kept: nothing is built.
	Kept bool `json:"kept,omitempty"`
	// Moves is the revision that a changed rollout.activeRevision moves readers to, where no new one is built.
	Moves   string   `json:"moves,omitempty"`
	Refused []string `json:"refused,omitempty"`
	Reasons []Reason `json:"reasons,omitempty"`
	Tables  []Table  `json:"tables,omitempty"`
	// Views are what readers see of it, where a new revision takes over.
	Views   []change.View `json:"views,omitempty"`
	Replay  *Replay       `json:"replay,omitempty"`
	Space   *Space        `json:"space,omitempty"`
	Rollout *Rollout      `json:"rollout,omitempty"`
	// Notes say what could not be known or compared.
	Notes []string `json:"notes,omitempty"`
}

// Reason is one difference.
type Reason struct {
	Path    string `json:"path"`
	Message string `json:"message"`
	// Rebuild is true where it needs a new revision.
	Rebuild bool `json:"rebuild"`
}

func (r Reason) String() string { return r.Path + ": " + r.Message }

// Table is a table that is made, or that gets an index.
type Table struct {
	Name    string `json:"name"`
	View    string `json:"view"`
	Columns int    `json:"columns"`
	Indexes int    `json:"indexes"`
	// DDL is what is executed by the prepare; views are replaced by the switch, where there are any yet.
	DDL []string `json:"ddl"`
	// Undeclared are indexes that the spec no longer has; the database keeps them.
	Undeclared []string `json:"undeclared,omitempty"`
}

// Replay is what a new revision reads.
type Replay struct {
	Topics []Topic `json:"topics"`
	// Events is how many there are about, as positions of the log; EventsUnknown says why that is not known.
	Events        int64  `json:"events,omitempty"`
	EventsUnknown string `json:"eventsUnknown,omitempty"`
	// EventsPerSecond is the rate of the build of revision MeasuredOn, EstimatedSeconds how long all of them take at that
	// rate, in steps; 0 where TimeUnknown says why it is not known.
	EventsPerSecond  int64  `json:"eventsPerSecond,omitempty"`
	MeasuredOn       string `json:"measuredOn,omitempty"`
	EstimatedSeconds int64  `json:"estimatedSeconds,omitempty"`
	TimeUnknown      string `json:"timeUnknown,omitempty"`
}

// Space is what the tables of a new revision take beside those that are there.
type Space struct {
	// Bytes is what those of revision Of take now; 0 where Unknown says why it is not known.
	Bytes   int64  `json:"bytes,omitempty"`
	Of      string `json:"of,omitempty"`
	Unknown string `json:"unknown,omitempty"`
}

// Topic is what is known of one of them.
type Topic struct {
	Name       string `json:"name"`
	Partitions int32  `json:"partitions,omitempty"`
	// Possible is the status of the condition ReplayPossible, Reason and Message are its own; empty where it is not known.
	Possible string `json:"replayPossible,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Message  string `json:"message,omitempty"`
}

// Rollout is how readers get to the new revision.
type Rollout struct {
	Promotion v1alpha1.Promotion `json:"promotion"`
	// Pinned is the revision that the new spec keeps readers on, where that is not the target.
	Pinned              string `json:"pinned,omitempty"`
	BreakReadersAllowed bool   `json:"breakReadersAllowed,omitempty"`
	// Verify is how the new revision is verified before readers see it; nil where it is not.
	Verify           *Verify `json:"verify,omitempty"`
	LockMilliseconds int32   `json:"lockTimeoutMilliseconds"`
	KeepSeconds      int32   `json:"keepSeconds"`
	KeepRevisions    int32   `json:"keepRevisions"`
}

// Verify is what is asked of a revision before readers see it.
type Verify struct {
	// Sample is the share of the keys whose rows are compared with the log, as 1%; Assertions is how many are tested.
	Sample     string `json:"sample"`
	Assertions int    `json:"assertions,omitempty"`
}

// Before is what runs. All of it may be missing.
type Before struct {
	// Projection is the resource as it is; nil where it is not there.
	Projection *v1alpha1.Projection
	// Contract is that of the revision that readers see; nil where nothing runs.
	Contract *contract.Contract
	// Attempts are the replayTokens that count as done with it.
	Attempts []string
	// Others are further revisions that have tables.
	Others []change.Revision
}

// After is what is declared.
type After struct {
	Projection *v1alpha1.Projection
	Contract   *contract.Contract
	// KnowsBroker and KnowsStore are false where something stands in for a connection that could not be read.
	KnowsBroker, KnowsStore bool
	Topics                  []v1alpha1.EventTopic
	// TopicStatus is true where the status of topics comes from a cluster.
	TopicStatus bool
}

// Make compares. It fails where the store would refuse the tables.
func Make(before Before, after After) (*Plan, error) {
	fresh := *after.Contract
	out := &Plan{Namespace: after.Projection.Namespace, Name: after.Projection.Name}
	if before.Contract != nil {
		out.Active = before.Contract.Revision
		fresh.Projection = before.Contract.Projection
		if !after.KnowsBroker {
			fresh.Broker = before.Contract.Broker
			out.Notes = append(out.Notes, "the EventBroker could not be read: changes of how to connect to it are not seen")
		}
		if !after.KnowsStore {
			fresh.Store = before.Contract.Store
			out.Notes = append(out.Notes, "the ReadStore could not be read: changes of how to connect to it are not seen")
		}
	}
	change.Aim(&change.Revision{Contract: before.Contract, Attempts: before.Attempts}, before.Others, &fresh, after.Projection.Spec.ReplayToken)
	out.Target = fresh.Revision
	c := change.Between(before.Contract, &fresh)
	out.Class = c.Class
	reasons := c.Reasons
	if before.Projection != nil {
		settings := change.Spec(&before.Projection.Spec, &after.Projection.Spec)
		if len(settings) > 0 && out.Class == change.NothingToDo {
			out.Class = change.InPlace
		}
		if pin := after.Projection.Spec.Rollout.ActiveRevision; pin != before.Projection.Spec.Rollout.ActiveRevision && pin != out.Active {
			out.Moves = pin
		}
		reasons = append(reasons, settings...)
	}
	for _, r := range reasons {
		out.Reasons = append(out.Reasons, Reason{r.Path, r.Message, r.Rebuild})
	}
	switch out.Class {
	case change.NewRevision, change.BreaksReaders:
		out.Kept = keeps(before.Projection, out.Target)
		if missing := after.missing(); missing != "" && out.Active != "" && !begun(before.Projection, out.Target) {
			out.Class = change.Refused
			out.Refused = []string{v1alpha1.ReasonReplayNotPossible + ": " + change.Lacking(out.Target, out.Active, missing) + ". " + change.LackingWayOut}
			return out, nil
		}
		out.Views = c.Views
		out.Rollout = rolloutOf(after.Projection, out.Target, out.Kept)
		if out.Kept {
			return out, nil
		}
		out.Replay, out.Space = replayOf(after), &Space{Unknown: notAsked}
		return out, out.create(&fresh)
	case change.InPlace:
		if before.Contract != nil {
			return out, out.indexes(before.Contract, &fresh)
		}
	}
	return out, nil
}

func keeps(p *v1alpha1.Projection, revision string) bool {
	return p != nil && slices.ContainsFunc(p.Status.Revisions, func(r v1alpha1.RevisionStatus) bool {
		return r.Name == revision && r.State == v1alpha1.RevisionKept
	})
}

// begun reports whether there is a revision that the operator goes on with, whatever has become of the log since. One that waits for
// its turn, or was found lacking already, has nothing yet.
func begun(p *v1alpha1.Projection, revision string) bool {
	return p != nil && slices.ContainsFunc(p.Status.Revisions, func(r v1alpha1.RevisionStatus) bool {
		return r.Name == revision && r.State != v1alpha1.RevisionQueued && r.State != v1alpha1.RevisionDiscarding && r.Reason != v1alpha1.ReasonReplayNotPossible
	})
}

// missing says which events a revision that is built now would lack, "" if none, or where nothing is known of the topics.
func (a *After) missing() string {
	if !a.TopicStatus {
		return ""
	}
	topics := make([]*v1alpha1.EventTopic, len(a.Topics))
	for i := range topics {
		topics[i] = &a.Topics[i]
	}
	return change.Missing(topics)
}

func rolloutOf(p *v1alpha1.Projection, target string, kept bool) *Rollout {
	r := change.Defaulted(p.Spec.Rollout)
	out := &Rollout{
		Promotion: r.Promotion, LockMilliseconds: r.LockTimeoutMilliseconds, KeepSeconds: *r.KeepSeconds, KeepRevisions: *r.KeepRevisions,
		BreakReadersAllowed: slices.Contains(r.Allow, v1alpha1.ConsentBreakReaders),
	}
	if r.ActiveRevision != target {
		out.Pinned = r.ActiveRevision
	}
	// What readers have seen before, and what a human names, is shown without.
	if v := compile.VerificationBy(r.Verify); v != nil && !kept && r.ActiveRevision != target {
		out.Verify = &Verify{v.Sample, len(v.Assertions)}
	}
	return out
}

func replayOf(after After) *Replay {
	out := &Replay{EventsUnknown: notAsked, TimeUnknown: notAsked}
	for i := range after.Topics {
		t := &after.Topics[i]
		topic := Topic{Name: t.Name}
		if after.TopicStatus {
			topic.Partitions = t.Status.Partitions
			for _, c := range t.Status.Conditions {
				if c.Type == v1alpha1.ConditionReplayPossible {
					topic.Possible, topic.Reason, topic.Message = string(c.Status), c.Reason, c.Message
				}
			}
		}
		out.Topics = append(out.Topics, topic)
	}
	return out
}

// create lists the tables of a new revision.
func (p *Plan) create(c *contract.Contract) error {
	ddl, err := postgres.Explain(c)
	if err != nil {
		return err
	}
	for i := range c.Models {
		m := &c.Models[i]
		statements := ddl[i].DDL
		if p.Active != "" {
			// The view comes after its table, and its comments after it.
			view := slices.IndexFunc(statements, func(sql string) bool { return strings.HasPrefix(sql, "CREATE OR REPLACE VIEW ") })
			statements = statements[:max(view, 0)]
		}
		p.Tables = append(p.Tables, Table{
			Name: c.Physical(m.Name), View: m.Name, Columns: len(m.StoredColumns()), Indexes: len(m.Indexes), DDL: statements,
		})
	}
	return nil
}

// indexes lists the tables that get or forget an index. Both contracts are of one revision, so that an index that both have has one text.
func (p *Plan) indexes(from, to *contract.Contract) error {
	before, err := postgres.Explain(from)
	if err != nil {
		return err
	}
	after, err := postgres.Explain(to)
	if err != nil {
		return err
	}
	for i := range to.Models {
		m := &to.Models[i]
		j := slices.IndexFunc(from.Models, func(o contract.Model) bool { return o.Name == m.Name })
		if j < 0 {
			return fmt.Errorf("model %s is new, and the change would be made in place", m.Name)
		}
		t := Table{Name: to.Physical(m.Name), View: m.Name, Columns: len(m.StoredColumns()), Indexes: len(m.Indexes)}
		for _, sql := range newIndexes(before[j].DDL, after[i].DDL) {
			t.DDL = append(t.DDL, postgres.Concurrently(sql))
		}
		for _, gone := range newIndexes(after[i].DDL, before[j].DDL) {
			t.Undeclared = append(t.Undeclared, indexName(gone))
		}
		if len(t.DDL)+len(t.Undeclared) > 0 {
			p.Tables = append(p.Tables, t)
		}
	}
	return nil
}

func newIndexes(before, after []string) []string {
	return slices.DeleteFunc(slices.Clone(after), func(sql string) bool {
		return !strings.HasPrefix(sql, "CREATE INDEX ") || slices.Contains(before, sql)
	})
}

// indexName is the quoted name in CREATE INDEX.
func indexName(sql string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(sql, "CREATE INDEX "), " ON ")
	return name
}

// RefusedPlan is the plan of a projection that would not be accepted.
func RefusedPlan(p *v1alpha1.Projection, lines []string) *Plan {
	return &Plan{Namespace: p.Namespace, Name: p.Name, Class: change.Refused, Refused: lines}
}

// rebuilds gives the reasons for a new revision, refused or not, or all where there is none.
func (p *Plan) rebuilds() (why, others []Reason) {
	for _, r := range p.Reasons {
		if r.Rebuild || p.Class == change.InPlace {
			why = append(why, r)
		} else {
			others = append(others, r)
		}
	}
	return why, others
}

// Code is the exit code of a pipeline step for a class.
func Code(c change.Class) int {
	return map[change.Class]int{
		change.NothingToDo: 0, change.Refused: 1, change.NewRevision: 2, change.BreaksReaders: 3, change.InPlace: 4,
	}[c]
}

// severity orders classes: what a person should look at first is the greatest.
var severity = []change.Class{change.NothingToDo, change.InPlace, change.NewRevision, change.BreaksReaders, change.Refused}

// Worst gives the class that decides the exit code of several plans.
func Worst(plans []*Plan) change.Class {
	worst := 0
	for _, p := range plans {
		worst = max(worst, slices.Index(severity, p.Class))
	}
	return severity[worst]
}
