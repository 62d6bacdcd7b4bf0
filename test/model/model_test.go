// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// maxStates keeps a model that has grown by mistake from eating the machine.
const maxStates = 2_000_000

// run searches a model under some guards.
type run func(g Guards, only ...string) (Result, error)

func of[S comparable](system func(Guards) System[S]) run {
	return func(g Guards, only ...string) (Result, error) { return Check(system(g), maxStates, only...) }
}

// The models. The fence is searched in two sizes: two partitions with one fault, and one with two.
var models = map[string]run{
	"fence": of(func(g Guards) System[fenceState] {
		return NewFence(g, FenceSize{Events: [fenceParts]uint8{2, 1}, Faults: 1})
	}),
	"fence, more faults": of(func(g Guards) System[fenceState] {
		return NewFence(g, FenceSize{Events: [fenceParts]uint8{2, 0}, Faults: 2})
	}),
	"holds":             of(NewHolds),
	"promotion":         of(NewPromotion),
	"switches":          of(NewSwitches),
	"topics":            of(NewTopics),
	"growth":            of(func(g Guards) System[growthState] { return NewGrowth(g, false) }),
	"growth, multiples": of(func(g Guards) System[growthState] { return NewGrowth(g, true) }),
}

// needs is what goes wrong without a guard, and in which model.
var needs = []struct{ guard, model, broken string }{
	{"FenceClaim", "fence", OnlyHolder},
	{"FenceClaim", "holds", KeyInOrder},
	{"FenceToken", "fence", OnlyHolder},
	{"FenceToken", "holds", KeyInOrder},
	{"FencePosition", "fence", ExactlyOnce},
	{"FenceRaises", "fence", ExactlyOnce},
	{"PositionWithRows", "fence", ExactlyOnce},
	{"MissingRowStops", "fence", ExactlyOnce},
	{"FoldPerPartition", "fence", ExactlyOnce},
	{"LostAnswerReads", "fence", KeepsOwn},
	{"Reclaims", "fence", Stuck},
	{"ReclaimWaits", "fence", NoPingPong},
	{"LooksAtRows", "fence", Stuck},
	{"ServerEndsFrozen", "fence", Stuck},

	{"FenceHeld", "holds", HeldForAReason},
	{"ResolveRaises", "holds", HeldForAReason},
	{"ResolveLocks", "holds", HeldForAReason},
	{"HeldReload", "holds", Stuck},
	{"OneVersion", "holds", KeyInOrder},
	{"HoldsFollowers", "holds", KeyInOrder},
	{"HoldWithPosition", "holds", NothingLost},

	{"ExpectsSequence", "promotion", OnePerSequence},
	{"ExpectsSequence", "switches", OnePerSequence},
	{"ExpectsActive", "switches", LeavesExpected},
	{"LocksRevisions", "promotion", NeverLess},
	{"LocksPositions", "promotion", NeverBack},
	{"ComparesPositions", "promotion", NeverBack},
	{"MissingIsBehind", "promotion", NeverBack},
	{"HoldsAreSubset", "promotion", NeverLess},
	{"ViewsWithRecord", "promotion", ViewIsRecorded},
	{"AwaitsSnapshots", "promotion", NeverHalf},
	{"AwaitsDurable", "promotion", NeverBack},
	{"KeptStaysDurable", "promotion", NeverBack},
	{"RollbackCompares", "promotion", NeverBack},
	{"NewTopicsReachEnd", "topics", ShowsNew},
	{"RemovedIsConsent", "topics", Stuck},
	{"PromotingStays", "topics", ShowsNew},
	{"ViewsReplaced", "topics", ViewStays},

	{"OldPause", "growth", KeyAcross},
	{"NewWait", "growth", KeyAcross},
	{"NewWait", "growth, multiples", KeyAcross},
	{"AllArrive", "growth", KeyAcross},
	{"EndsAreHighWatermarks", "growth", KeyAcross},
	{"FirstBarrierStands", "growth", KeyAcross},
	{"BarrierWithRows", "growth", KeyAcross},
	{"BarriersKept", "growth", KeyAcross},
	{"PreparedAsKnown", "growth, multiples", KeyAcross},
	{"NewRowsOnly", "growth", OnceGrown},
	{"GrowthKnown", "growth", KeyAcross},
}

func TestProtocolHolds(t *testing.T) {
	t.Parallel()
	for name, check := range models {
		t.Run(name, func(t *testing.T) {
			explored(t, check, AllGuards())
		})
	}
}

func explored(t *testing.T, check run, g Guards) {
	t.Helper()
	r, err := check(g)
	if err != nil {
		t.Fatal(err)
	}
	if r.Broken != "" {
		t.Fatalf("broken: %s\n%s", r.Broken, r)
	}
	t.Logf("%d states, %d steps between them, at most %d from the first: no invariant is broken", r.States, r.Steps, r.Depth)
}

func TestEachGuardIsNeeded(t *testing.T) {
	t.Parallel()
	for _, need := range needs {
		t.Run(need.guard+", "+need.model, func(t *testing.T) {
			r, err := models[need.model](without(t, need.guard), need.broken)
			if err != nil {
				t.Fatal(err)
			}
			if r.Broken != need.broken {
				t.Fatalf("%d states, and nothing is broken", r.States)
			}
			t.Logf("%d steps", len(r.Trace)-1)
			text := fmt.Sprintf("Without %s (model: %s) this is broken:\n%s.\n\n%s", need.guard, need.model, need.broken, r)
			golden(t, strings.ReplaceAll(need.guard+"-"+need.model, ", ", "-"), text)
		})
	}
}

// Where partitions are multiplied, nothing is asked of the surroundings.
func TestMultiplesNeedNoCare(t *testing.T) {
	t.Parallel()
	explored(t, models["growth, multiples"], without(t, "GrowthKnown"))
}

func TestEachGuardIsListed(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, need := range needs {
		listed = append(listed, need.guard)
	}
	all := AllGuards()
	for i := range reflect.TypeFor[Guards]().NumField() {
		name := reflect.TypeFor[Guards]().Field(i).Name
		if !slices.Contains(listed, name) {
			t.Errorf("the tables do not say what goes wrong without %s", name)
		}
		if !reflect.ValueOf(all).Field(i).Bool() {
			t.Errorf("AllGuards leaves out %s", name)
		}
	}
}

// The page names each guard, and shows nothing that is not found.
func TestPageFollowsTheModel(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeFor[Guards]().NumField() {
		if name := reflect.TypeFor[Guards]().Field(i).Name; !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/protocol.md does not name %s", name)
		}
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var found strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found.Write(text)
	}
	blocks := strings.Split(string(page), "```\n")
	if len(blocks) < 3 {
		t.Error("docs/protocol.md shows no trace")
	}
	for i := 1; i < len(blocks); i += 2 {
		if !strings.Contains(found.String(), blocks[i]) {
			t.Errorf("docs/protocol.md shows a trace that is not in testdata:\n%s", blocks[i])
		}
	}
}

func without(t *testing.T, guard string) Guards {
	t.Helper()
	g := AllGuards()
	field := reflect.ValueOf(&g).Elem().FieldByName(guard)
	if !field.IsValid() {
		t.Fatalf("there is no guard %s", guard)
	}
	field.SetBool(false)
	return g
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if string(want) != got {
		t.Errorf("%s differs from what was found:\n%s", file, got)
	}
}
