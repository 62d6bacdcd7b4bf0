// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/controllers/plan/replay"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

// settle works until keptness has run out and nothing is written any more.
func (s *sim) settle(t *testing.T) {
	t.Helper()
	quiet := 0
	for range 800 {
		before := s.writes
		s.pass()
		s.advance()
		if s.writes == before {
			quiet++
		} else {
			quiet = 0
		}
		if quiet > 40 {
			return
		}
	}
	t.Fatalf("it does not come to rest: %+v", s.last)
}

func (s *sim) verdict(t *testing.T, history string) {
	t.Helper()
	for sequence, n := range s.effects {
		if n > 1 {
			t.Errorf("%s: %d promotes took effect on sequence %d", history, n, sequence)
		}
	}
	for _, bad := range s.bad {
		t.Errorf("%s: %s", history, bad)
	}
}

// Whatever happens on the way, the end is that of a projection that was made
// with the last spec at once: the operator ends after any write, Jobs run twice, late, or without an answer, or are
// deleted by hand, the database loses switches, specs are edited and Replays made, held and deleted at random.
func TestHistories(t *testing.T) {
	rollout := v1alpha1.Rollout{KeepRevisions: ptr.To[int32](1), KeepSeconds: ptr.To[int32](120)}
	const histories = 250
	ended, found, lost := map[string]int{}, map[string]int{}, 0
	for seed := range uint64(histories) {
		history := fmt.Sprintf("history %d", seed)
		r := rand.New(rand.NewPCG(seed, 7))
		s := newSim(spec{version: "v1", rollout: rollout})
		for v := range 5 {
			s.build[fmt.Sprintf("v%d", v)] = r.IntN(6)
		}
		s.build["v4"] = -1 // It never can be built.
		s.wrong["v3"], s.faults = v1alpha1.ReasonVerificationFailed, r.IntN(4)
		s.harm = func(j *simJob) {
			j.due += r.IntN(4)
			if r.IntN(4) == 0 {
				j.runs = 2
			}
			j.mute, j.curt = r.IntN(8) == 0, r.IntN(8) == 0
		}
		for range 60 {
			switch r.IntN(15) {
			case 0:
				s.spec.version = fmt.Sprintf("v%d", 1+r.IntN(4))
			case 1:
				s.spec.refused = !s.spec.refused
			case 2:
				s.spec.suspended = r.IntN(3) == 0
			case 3:
				s.spec.rollout.ActiveRevision = ""
				if names := keys(s); len(names) > 0 && r.IntN(2) == 0 {
					s.spec.rollout.ActiveRevision = names[r.IntN(len(names))]
				}
			case 4:
				s.spec.rollout.Promotion = []v1alpha1.Promotion{v1alpha1.PromotionAutomatic, v1alpha1.PromotionManual}[r.IntN(2)]
				s.spec.rollout.Strategy = []v1alpha1.Strategy{v1alpha1.StrategyBlueGreen, v1alpha1.StrategyInPlace}[r.IntN(2)]
			case 5:
				s.crash = r.IntN(4)
			case 6:
				s.spec.token = []string{"", "one", "two"}[r.IntN(3)]
			case 7:
				made := s.make(fmt.Sprintf("r%d", s.made))
				made.Spec.Promotion = []v1alpha1.Promotion{"", v1alpha1.PromotionAutomatic, v1alpha1.PromotionManual}[r.IntN(3)]
				made.Spec.Verify = []*v1alpha1.Verify{nil, {Sample: "4%"}, {Sample: neverHolds}}[r.IntN(3)]
				switch r.IntN(6) {
				case 0:
					fromTime(made)
				case 1:
					fromPosition(made, []string{"5", beyond}[r.IntN(2)])
				}
			case 9:
				if n := len(s.replays); n > 0 {
					s.delete(s.replays[r.IntN(n)].Name)
				}
			case 10:
				if n := len(s.replays); n > 0 {
					s.replays[r.IntN(n)].Spec.Suspend = ptr.To(r.IntN(2) == 0)
				}
			case 11:
				if s.spec.incomplete = ""; r.IntN(3) == 0 {
					s.spec.incomplete = "EventTopic orders: the first events are gone"
				}
			case 12, 13:
				s.spec.rollout.Verify = []*v1alpha1.Verify{nil, {Sample: "1%"}, {Sample: "2%"}}[r.IntN(3)]
			case 14:
				s.failover()
			case 8:
				if len(s.jobs) > 0 {
					if i := r.IntN(len(s.jobs)); len(s.jobs[i].Status.Conditions) > 0 {
						s.jobs = slices.Delete(s.jobs, i, i+1)
					}
				}
			}
			for range 1 + r.IntN(3) {
				s.pass()
				if r.IntN(3) > 0 {
					s.advance()
				}
			}
		}
		// In the end all is well again, and the same as without any of it.
		s.harm, s.crash = nil, -1
		s.spec = spec{version: "v2", rollout: rollout}
		for _, r := range slices.Clone(s.replays) {
			r.Spec.Suspend, r.Spec.Promotion = nil, ""
			if r.Spec.Verify != nil && r.Spec.Verify.Sample == neverHolds && !replay.Finished(r) {
				s.delete(r.Name) // It would wait for that.
			}
		}
		if seed%2 == 0 {
			s.spec.rollout.Verify = &v1alpha1.Verify{Sample: "3%"}
		}
		s.settle(t)
		s.replaysEnded()
		s.verdict(t, history)
		for _, j := range s.jobs {
			if j.Labels[resources.LabelAction] == string(contract.ActionVerify) && s.spec.rollout.Verify == nil {
				t.Errorf("%s: %s is of no use any more", history, j.Name)
			}
		}
		if want := "readers see v2; projectors of v2, record of v2 as active, tables of v2"; s.end() != want {
			t.Errorf("%s ends with\n%s, want\n%s", history, s.end(), want)
		}
		if t.Failed() {
			t.FailNow()
		}
		lost += s.lost
		for _, how := range s.ended {
			ended[how]++
		}
		for name, n := range s.found {
			found[name] += n
		}
	}
	for _, how := range []string{"Complete", "Superseded", "ReplayNotPossible"} {
		if ended[how] < histories/10 {
			t.Errorf("only %d Replays ended as %s: %v", ended[how], how, ended)
		}
	}
	if ended["StartNotPossible"] == 0 {
		t.Errorf("no Replay ended as StartNotPossible: %v", ended)
	}
	for _, what := range []string{"4%: right", "9%: wrong"} {
		if found[what] < histories/25 {
			t.Errorf("only %d times a verification of a Replay's own found %s: %v", found[what], what, found)
		}
	}
	if lost < histories/25 {
		t.Errorf("only %d switches were lost", lost)
	}
	t.Log(ended, found, lost)
}

// A switch that a failover of the database lost is made again: nobody asks for it, and projectors see it.
func TestLostSwitch(t *testing.T) {
	s := newSim(spec{version: "v1", rollout: v1alpha1.Rollout{KeepRevisions: ptr.To[int32](1), KeepSeconds: ptr.To[int32](3600)}})
	s.settle(t)
	s.spec.version = "v2"
	for range 20 {
		s.pass() // After the last of them the operator is told of the switch.
		if s.version(s.book.Active) == "v2" {
			break
		}
		s.advance()
	}
	s.failover()
	if s.lost != 1 || s.version(s.book.Active) != "v1" {
		t.Fatalf("%d switches are lost: %s", s.lost, s.end())
	}
	s.settle(t)
	s.verdict(t, "a lost switch")
	if want := "readers see v2; projectors of v1, projectors of v2, record of v1 as kept, record of v2 as active, tables of v1, tables of v2"; s.end() != want {
		t.Errorf("it ends with\n%s, want\n%s", s.end(), want)
	}
}

func keys(s *sim) []string {
	var out []string
	for _, f := range s.book.Revisions {
		out = append(out, f.Revision)
	}
	return out
}
