// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/controllers/resources"
)

var update = flag.Bool("update", false, "write the golden transcripts anew")

// transcript writes one line for each tick in which something is other than before.
type transcript struct {
	strings.Builder
	t    *testing.T
	s    *sim
	last string
}

func (x *transcript) note(format string, args ...any) {
	_, _ = fmt.Fprintf(x, "# "+format+"\n", args...)
}

// run lets n ticks pass.
func (x *transcript) run(n int) {
	for range n {
		x.s.pass()
		line := x.line()
		if line != x.last {
			_, _ = fmt.Fprintf(x, "%4d %s\n", x.s.tick, line)
			x.last = line
		}
		x.s.advance()
	}
}

func (x *transcript) line() string {
	s, d := x.s, x.s.last
	var parts []string
	for _, r := range d.Revisions {
		state := x.name(r.Name) + " " + r.State
		if s.deployments[r.Name] != nil {
			state += "*"
		}
		parts = append(parts, state)
	}
	slices.Sort(parts)
	ask := ""
	if d.Ask != nil {
		ask = fmt.Sprintf("; asks %s %s", d.Ask.Action, x.name(d.Ask.Revision))
	}
	says := "; ready"
	if d.Say != nil {
		says = "; " + d.Say.Reason
		if d.Say.Replay != "" {
			says += " of " + d.Say.Replay
		}
		if d.Say.Kind == Stuck {
			says += " (stuck)"
		}
	}
	return fmt.Sprintf("readers see %s at %d: %s%s%s%s", x.name(s.book.Active), s.book.Sequence, strings.Join(parts, ", "), ask, says, s.replayLine())
}

// name is a revision by what it is made of.
func (x *transcript) name(revision string) string {
	for _, rec := range x.s.records {
		if rec.contract.Revision == revision {
			name := rec.contract.Models[0].Handlers[0].Add["total"]
			if rec.contract.Attempt != "" {
				name += "/" + strings.TrimPrefix(rec.contract.Attempt, "uid-")
			}
			return name
		}
	}
	if revision == "" {
		return "nothing"
	}
	return "what is gone"
}

// compileToken is the revision of a version that a replayToken asked for.
func compileToken(version, token string) string {
	c := contractOf(version)
	compile.Rename(c, token)
	return c.Revision
}

func (x *transcript) revision(version string) string { return contractOf(version).Revision }

// Whole roll-outs, tick by tick (of ten seconds). A star is a Deployment.
func TestTranscripts(t *testing.T) {
	keep := v1alpha1.Rollout{KeepRevisions: ptr.To[int32](1), KeepSeconds: ptr.To[int32](60), DeadlineSeconds: 600}
	for name, play := range map[string]func(*transcript){
		"first-build": func(x *transcript) { x.run(6) },
		"automatic": func(x *transcript) {
			x.run(4)
			x.note("v2 takes three ticks to build, and v1 is kept for six")
			x.s.spec.version, x.s.build["v2"] = "v2", 3
			x.run(30)
		},
		"manual": func(x *transcript) {
			x.s.spec.rollout.Promotion = v1alpha1.PromotionManual
			x.run(4)
			x.s.spec.version = "v2"
			x.run(8)
			x.note("kubectl projection promote")
			x.s.spec.rollout.ActiveRevision = x.revision("v2")
			x.run(20)
		},
		"rollback-by-pin": func(x *transcript) {
			x.run(4)
			x.s.spec.version = "v2"
			x.run(8)
			x.note("activeRevision: v1")
			x.s.spec.rollout.ActiveRevision = x.revision("v1")
			x.run(10)
			x.note("no activeRevision")
			x.s.spec.rollout.ActiveRevision = ""
			x.run(10)
		},
		"in-place": func(x *transcript) {
			x.s.spec.rollout = v1alpha1.Rollout{Strategy: v1alpha1.StrategyInPlace}
			x.run(4)
			x.note("v2 takes three ticks to build; v1 is what readers see until then, and goes at once")
			x.s.spec.version, x.s.build["v2"] = "v2", 3
			x.run(14)
			x.note("git revert: v1 is built anew")
			x.s.spec.version = "v1"
			x.run(16)
		},
		"git-revert": func(x *transcript) {
			x.run(4)
			x.s.spec.version = "v2"
			x.run(8)
			x.note("git revert while v1 is kept")
			x.s.spec.version = "v1"
			x.run(20)
		},
		"superseded": func(x *transcript) {
			x.run(4)
			x.s.spec.version, x.s.build["v2"] = "v2", 20
			x.run(5)
			x.note("v3 before v2 is built")
			x.s.spec.version, x.s.build["v3"] = "v3", 2
			x.run(25)
		},
		"failing-build": func(x *transcript) {
			x.run(4)
			x.s.spec.version, x.s.build["v2"] = "v2", -1
			x.run(40)
			x.note("put back")
			x.s.spec.version = "v1"
			x.run(12)
		},
		"replay-token": func(x *transcript) {
			x.run(4)
			x.s.spec.token = "one"
			x.run(20)
			x.note("no token any more, then the same again")
			x.s.spec.token = ""
			x.run(4)
			x.s.spec.token = "one"
			x.run(4)
		},
		"replay": func(x *transcript) {
			x.run(4)
			x.note("kubectl apply: a Replay, kept for two minutes once it has ended")
			x.s.build["v1"] = 3
			x.s.make("again").Spec.TTLSecondsAfterFinished = ptr.To[int32](120)
			x.run(24)
		},
		"replay-verify": func(x *transcript) {
			x.run(4)
			x.note("a Replay with a verify of its own, which the projection has not; its verification meets a fault first")
			x.s.faults = 1
			x.s.make("one").Spec.Verify = &v1alpha1.Verify{Sample: "4%"}
			x.run(14)
			x.note("one of which an assertion does not hold")
			x.s.make("two").Spec.Verify = &v1alpha1.Verify{Sample: neverHolds}
			x.run(10)
			x.note("rollout.verify of the projection, which holds, is not asked in its place")
			x.s.spec.rollout.Verify = &v1alpha1.Verify{Sample: "100%"}
			x.run(5)
			x.note("it is deleted, and the next one has none of its own")
			x.s.delete("two")
			x.s.make("three")
			x.run(14)
		},
		"replay-manual": func(x *transcript) {
			x.run(4)
			x.s.make("again").Spec.Promotion = v1alpha1.PromotionManual
			x.run(8)
			x.note("kubectl projection promote")
			x.s.spec.rollout.ActiveRevision = x.s.last.Target
			x.run(10)
			x.note("no activeRevision")
			x.s.spec.rollout.ActiveRevision = ""
			x.run(10)
		},
		"replay-of-a-manual-projection": func(x *transcript) {
			x.s.spec.rollout.Promotion = v1alpha1.PromotionManual
			x.run(4)
			x.s.make("again").Spec.Promotion = v1alpha1.PromotionAutomatic
			x.run(20)
		},
		"replay-suspended": func(x *transcript) {
			x.run(4)
			x.note("suspended before it begins: the next one goes first")
			x.s.make("one").Spec.Suspend = ptr.To(true)
			x.s.make("two")
			x.run(10)
			x.note("it may begin, takes eight ticks, and is suspended on the way")
			x.s.build["v1"] = 8
			x.s.find("one").Spec.Suspend = ptr.To(false)
			x.run(8)
			x.s.find("one").Spec.Suspend = ptr.To(true)
			x.run(15)
			x.note("it goes on")
			x.s.find("one").Spec.Suspend = nil
			x.run(15)
		},
		"replay-superseded": func(x *transcript) {
			x.run(4)
			x.s.build["v1"] = 20
			x.s.make("again")
			x.run(6)
			x.note("the fold is changed")
			x.s.spec.version = "v2"
			x.run(20)
		},
		"replay-and-a-token": func(x *transcript) {
			x.run(4)
			x.s.build["v1"] = 5
			x.s.make("again")
			x.run(6)
			x.note("replayToken is set meanwhile")
			x.s.spec.token = "one"
			x.run(20)
		},
		"replay-after-a-token": func(x *transcript) {
			x.run(4)
			x.s.spec.token = "one"
			x.run(6)
			x.note("a Replay: the token that is still there asks for nothing more afterwards")
			x.s.make("again")
			x.run(20)
		},
		"replay-deleted": func(x *transcript) {
			x.run(4)
			x.s.build["v1"] = 20
			x.s.make("again")
			x.run(6)
			x.note("kubectl delete, while the newest spec is refused")
			x.s.spec.refused = true
			x.s.delete("again")
			x.run(10)
		},
		"replay-queue": func(x *transcript) {
			x.run(4)
			x.s.build["v1"] = 2
			x.s.make("one")
			x.run(2)
			x.s.make("two")
			x.run(20)
		},
		"replay-waits-for-a-change": func(x *transcript) {
			x.run(4)
			x.s.spec.version, x.s.build["v2"] = "v2", 5
			x.run(2)
			x.s.make("again")
			x.run(25)
		},
		"replay-not-possible": func(x *transcript) {
			x.run(4)
			x.s.spec.incomplete = "EventTopic orders: the first events are gone"
			x.s.make("again")
			x.run(4)
		},
		"replay-not-possible-any-more": func(x *transcript) {
			x.run(4)
			x.s.ahead = 1
			x.s.make("again")
			x.run(6)
			x.note("events are deleted while it waits for its place")
			x.s.spec.incomplete = "EventTopic orders: the first events are gone"
			x.run(8)
		},
		"replay-from": func(x *transcript) {
			x.run(4)
			x.note("a Replay from a time on, of a topic whose first events are gone")
			x.s.spec.incomplete = "EventTopic orders: the first events are gone"
			fromTime(x.s.make("since"))
			x.run(14)
			x.note("they are there again, and the spec changes")
			x.s.spec.incomplete = ""
			x.s.spec.version = "v2"
			x.run(6)
			x.note("git revert asks for all rows: a build, although the rows since then are kept")
			x.s.spec.version = "v1"
			x.run(20)
		},
		"replay-from-by-pin": func(x *transcript) {
			x.run(4)
			fromTime(x.s.make("since"))
			x.run(8)
			x.s.spec.version = "v2"
			x.run(6)
			x.note("activeRevision: the one of the Replay")
			x.s.spec.rollout.ActiveRevision = compileToken("v1", "uid-since")
			x.s.spec.version = "v1"
			x.run(8)
			x.note("without the pin readers stay")
			x.s.spec.rollout.ActiveRevision = ""
			x.run(14)
		},
		"replay-from-beyond-the-log": func(x *transcript) {
			x.run(4)
			fromPosition(x.s.make("beyond"), beyond)
			x.run(14)
		},
		"replay-that-stops": func(x *transcript) {
			x.run(4)
			x.s.build["v1"] = -1
			x.s.make("again")
			x.run(10)
			x.note("kubectl projection abort")
			x.s.delete("again")
			x.run(10)
		},
		"readers-would-break": func(x *transcript) {
			x.run(4)
			x.s.spec.version = "v2-narrow"
			x.run(8)
			x.note("allow: [BreakReaders]")
			x.s.spec.rollout.Allow = []v1alpha1.Consent{v1alpha1.ConsentBreakReaders}
			x.run(20)
		},
		"queue": func(x *transcript) {
			x.run(4)
			x.note("another projection of the store builds")
			x.s.spec.version, x.s.ahead = "v2", 1
			x.run(6)
			x.note("it is done")
			x.s.ahead = 0
			x.run(20)
		},
		"connections": func(x *transcript) {
			x.note("another projection has all connections of the store")
			x.s.connections = Connections{Limit: 16, Pods: 3, Projections: 2, Need: 1}
			x.run(4)
			x.note("it has one replica fewer")
			x.s.connections.Pods = 2
			x.run(5)
			x.note("v2 needs as many again")
			x.s.spec.version, x.s.connections.Pods = "v2", 3
			x.run(5)
			x.note("maxConnections: 20")
			x.s.connections.Limit = 20
			x.run(20)
		},
		"events-are-gone": func(x *transcript) {
			x.run(4)
			x.s.spec.version, x.s.spec.incomplete = "v2", "EventTopic orders: the first events are gone"
			x.run(4)
			x.note("put back")
			x.s.spec.version = "v1"
			x.run(4)
		},
		"verified": func(x *transcript) {
			x.run(4)
			x.note("v2 is verified before readers move")
			x.s.spec.rollout.Verify = &v1alpha1.Verify{Sample: "100%"}
			x.s.spec.version = "v2"
			x.run(20)
			x.note("git revert after v1 is gone, and back while v2 is kept: what readers have seen is not verified again")
			x.s.spec.version = "v1"
			x.run(7)
			x.s.spec.version = "v2"
			x.run(4)
		},
		"verification-fails": func(x *transcript) {
			x.s.spec.rollout.Verify = &v1alpha1.Verify{Sample: "100%"}
			x.run(4)
			x.note("v2 is not what the log says")
			x.s.spec.version, x.s.wrong["v2"] = "v2", v1alpha1.ReasonVerificationFailed
			x.run(40)
			x.note("replayToken: again, and it fails once more; then v3, which does not meet an assertion")
			x.s.spec.token = "again"
			x.run(12)
			x.s.spec.version, x.s.wrong["v3"] = "v3", v1alpha1.ReasonAssertionFailed
			x.run(12)
			x.note("activeRevision: v3 shows it all the same")
			x.s.spec.rollout.ActiveRevision = compileToken("v3", "again")
			x.run(4)
		},
		"verification-meets-a-fault": func(x *transcript) {
			x.s.spec.rollout.Verify = &v1alpha1.Verify{Sample: "100%"}
			x.run(4)
			x.s.spec.version, x.s.faults = "v2", 2
			x.run(14)
		},
		"verification-is-edited": func(x *transcript) {
			x.s.spec.rollout.Verify = &v1alpha1.Verify{Sample: "100%"}
			x.s.harm = func(j *simJob) {
				if j.Labels[resources.LabelAction] == string(contract.ActionVerify) {
					j.due += 4
				}
			}
			x.run(4)
			x.s.spec.version, x.s.wrong["v2"] = "v2", v1alpha1.ReasonAssertionFailed
			x.run(6)
			x.note("another sample while it is verified")
			x.s.spec.rollout.Verify = &v1alpha1.Verify{Sample: "1%"}
			x.run(8)
			x.note("other assertions, which it meets")
			x.s.spec.rollout.Verify = &v1alpha1.Verify{Sample: "1%", Assertions: []v1alpha1.Assertion{{Name: "a"}}}
			delete(x.s.wrong, "v2")
			x.run(5)
			x.run(6)
			x.s.spec.version = "v3"
			x.run(6)
			x.note("no verification any more, while one runs for v3")
			x.s.spec.rollout.Verify = nil
			x.run(4)
		},
		"verified-by-hand": func(x *transcript) {
			x.s.spec.rollout.Verify, x.s.spec.rollout.Promotion = &v1alpha1.Verify{Sample: "100%"}, v1alpha1.PromotionManual
			x.run(4)
			x.s.spec.version = "v2"
			x.run(8)
			x.note("promotion: Automatic")
			x.s.spec.rollout.Promotion = v1alpha1.PromotionAutomatic
			x.run(4)
		},
		"deadline": func(x *transcript) {
			x.run(4)
			x.s.spec.version, x.s.build["v2"] = "v2", 70
			x.run(85)
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := &transcript{t: t, s: newSim(spec{version: "v1", rollout: keep})}
			play(x)
			x.s.verdict(t, name)
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(x.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if x.String() != string(want) {
				t.Errorf("%s (-update writes it anew):\n%s\nwant\n%s", path, x, want)
			}
		})
	}
}
