// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/contract"
)

var (
	now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	key = types.NamespacedName{Namespace: "shop", Name: "totals"}
)

// serve runs a handler where a pod would be.
func serve(t *testing.T, h http.HandlerFunc) *HTTP {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return newHTTP(n)
}

func TestPoll(t *testing.T) {
	local := Target{Pod: "p", IP: "127.0.0.1"}
	t.Run("good", func(t *testing.T) {
		h := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/status" || r.Method != http.MethodGet {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			_ = json.NewEncoder(w).Encode(contract.ProjectorStatus{Version: 1, Pod: "p"})
		})
		if s, err := h.Poll(t.Context(), local); err != nil || s.Pod != "p" {
			t.Errorf("%v %v", s, err)
		}
	})
	// Whatever a hostile pod answers, none of its bytes come back in the error.
	const canary = "CANARY-4711"
	for name, handler := range map[string]http.HandlerFunc{
		"not JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(canary)) },
		"too long": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat(canary, MaxBytes/len(canary)+1)))
		},
		"error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, canary, http.StatusInternalServerError) },
		"redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://169.254.169.254/"+canary)
			w.WriteHeader(http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := serve(t, handler).Poll(t.Context(), local)
			if err == nil || strings.Contains(err.Error(), canary) {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("no address", func(t *testing.T) {
		if _, err := NewHTTP().Poll(t.Context(), Target{IP: "example.com"}); err == nil {
			t.Error("a name was dialled")
		}
	})
}

type canned map[string]*contract.ProjectorStatus

func (c canned) Poll(_ context.Context, t Target) (*contract.ProjectorStatus, error) {
	if s := c[t.Pod]; s != nil {
		return s, nil
	}
	return nil, errUnreachable
}

// An answer counts for its own projection and revision only.
func TestAskBelievesNoOther(t *testing.T) {
	status := func(uid, revision string) *contract.ProjectorStatus {
		return &contract.ProjectorStatus{Version: 1, Projection: contract.Identity{UID: uid}, Revision: revision}
	}
	answers := Ask(t.Context(), canned{"a": status("u", "r"), "b": status("other", "r"), "c": status("u", "old")}, "u", "r", []string{"orders"},
		[]Target{{Pod: "a"}, {Pod: "b"}, {Pod: "c"}, {Pod: "d"}})
	for i, want := range []bool{true, false, false, false} {
		if got := answers[i].Err == nil; got != want {
			t.Errorf("%s: believed %t", answers[i].Target.Pod, got)
		}
	}
}

// Pods are asked only where the whole chain of owners holds.
func TestTargets(t *testing.T) {
	owned := func(name, uid, owner string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(uid), OwnerReferences: []metav1.OwnerReference{{UID: types.UID(owner), Controller: ptr.To(true)}}}
	}
	d := &appsv1.Deployment{ObjectMeta: owned("d", "d", "p")}
	sets := []appsv1.ReplicaSet{{ObjectMeta: owned("rs", "rs", "d")}, {ObjectMeta: owned("theirs", "x", "other")}}
	pod := func(name, owner string, edit func(*corev1.Pod)) corev1.Pod {
		p := corev1.Pod{ObjectMeta: owned(name, name, owner), Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1", HostIP: "192.168.0.1"}}
		if edit != nil {
			edit(&p)
		}
		return p
	}
	pods := []corev1.Pod{
		pod("good", "rs", nil), pod("foreign", "x", nil), pod("orphan", "none", nil),
		pod("pending", "rs", func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }),
		pod("host", "rs", func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
		pod("host-ip", "rs", func(p *corev1.Pod) { p.Status.PodIP = p.Status.HostIP }),
		pod("elsewhere", "rs", func(p *corev1.Pod) { p.Namespace = "other" }),
		pod("leaving", "rs", func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.NewTime(now)) }),
	}
	if got := Targets("p", d, sets, pods); len(got) != 1 || got[0].Pod != "good" {
		t.Errorf("targets %v", got)
	}
	if got := Targets("another projection", d, sets, pods); len(got) != 0 {
		t.Errorf("targets %v of another's Deployment", got)
	}
}

func answer(pod string, partitions ...contract.PartitionStatus) Answer {
	return Answer{Target: Target{Pod: pod}, Status: &contract.ProjectorStatus{
		Version: 1, Source: contract.Health{OK: true}, Store: contract.Health{OK: true},
		TopicPartitions: map[string]int32{"orders": 2}, Partitions: partitions,
	}}
}

func partition(n int32, caughtUp bool, lag int64, at time.Time) contract.PartitionStatus {
	return contract.PartitionStatus{Topic: "orders", Partition: n, CaughtUp: caughtUp, Lag: lag, UpdatedAt: at, EventTime: now.Add(-24 * time.Hour)}
}

func TestMerge(t *testing.T) {
	tr := NewTracker()
	merge := func(at time.Time, answers ...Answer) Snapshot { return tr.Merge(key, "u", "r", answers, at) }

	s := merge(now, answer("a", partition(0, true, 0, now), partition(1, false, 500, now)))
	if p := s.Partitions[0]; !p.Known || p.Behind != 0 || !p.Once {
		t.Errorf("caught up: %+v", p)
	}
	if p := s.Partitions[1]; !p.Known || p.Behind != 24*time.Hour || p.Once {
		t.Errorf("a backlog counts from its newest applied event: %+v", p)
	}
	if lag, ok := s.Lag(); lag != 500 || !ok {
		t.Errorf("lag %d %t", lag, ok)
	}

	// An event for a quiet topic: behind counts from when it was caught up, not from its last event.
	s = merge(now.Add(5*time.Second), answer("a", partition(0, false, 1, now), partition(1, true, 0, now)))
	if p := s.Partitions[0]; p.Behind != 5*time.Second || !p.Once {
		t.Errorf("quiet topic: %+v", p)
	}

	// A partition between two owners keeps what was known.
	s = merge(now.Add(10*time.Second), answer("a", partition(1, true, 0, now)))
	if p := s.Partitions[0]; p.Owned || !p.Known || p.Lag != 1 {
		t.Errorf("between owners: %+v", p)
	}

	// Two owners: the newer report wins.
	s = merge(now.Add(12*time.Second), answer("a", partition(0, false, 9, now)), answer("b", partition(0, false, 3, now.Add(time.Second)), partition(1, true, 0, now)))
	if lag, _ := s.Lag(); lag != 3 || len(s.Partitions) != 2 {
		t.Errorf("two owners: lag %d of %d partitions", lag, len(s.Partitions))
	}

	// One lost poll shows what was known; a long silence does not.
	lost := Answer{Target: Target{Pod: "a"}, Err: errors.New("cannot be reached")}
	if s = merge(now.Add(20*time.Second), lost); !s.Heard || s.Fresh || s.Errors["a"] == "" {
		t.Errorf("one lost poll: %+v", s)
	}
	if s = merge(now.Add(60*time.Second), lost); s.Heard {
		t.Errorf("a long silence: %+v", s)
	}

	// Another revision, or another projection of the name, starts from nothing.
	if s = tr.Merge(key, "u", "r2", []Answer{lost}, now.Add(13*time.Second)); s.Heard {
		t.Error("another revision inherited")
	}
	sick := answer("a")
	sick.Status.Store = contract.Health{Reason: "Unreachable"}
	if s = merge(now, answer("b"), sick); s.Store.OK || s.Store.Reason != "Unreachable" || !s.Source.OK {
		t.Errorf("health: %+v", s.Store)
	}
}

func TestBucket(t *testing.T) {
	for lag, want := range map[int64]string{-1: "0", 0: "0", 1: "<100", 99: "<100", 100: "<1k", 999: "<1k", 1000: "<10k", 99_999: "<100k", 999_999: "<1M", 1_000_000: ">1M"} {
		if got := Bucket(lag); got != want {
			t.Errorf("%d: %s, want %s", lag, got, want)
		}
	}
}

// What a pod says that is no projector's costs the operator no more than a
// projector's answer would.
func TestForgedAnswer(t *testing.T) {
	forged := &contract.ProjectorStatus{
		Version: 1, Projection: contract.Identity{UID: "u"}, Revision: "r",
		TopicPartitions: map[string]int32{"orders": math.MaxInt32, "theirs": math.MaxInt32},
		Partitions: []contract.PartitionStatus{
			{Topic: "orders", Partition: -1}, {Topic: "orders", Partition: math.MaxInt32}, {Topic: "theirs"},
			{Topic: "orders", Partition: 0, Lag: math.MaxInt64}, {Topic: "orders", Partition: 1, Lag: math.MaxInt64},
		},
	}
	answers := Ask(t.Context(), canned{"a": forged}, "u", "r", []string{"orders"}, []Target{{Pod: "a"}})
	s := NewTracker().Merge(key, "u", "r", answers, now)
	if len(s.Partitions) > MaxPartitions || len(s.Expected) != 1 {
		t.Fatalf("%d partitions of %d topics", len(s.Partitions), len(s.Expected))
	}
	answers[0].Status.TopicPartitions = nil
	s = NewTracker().Merge(key, "u", "r", answers, now)
	if len(s.Partitions) != 2 {
		t.Fatalf("%d partitions", len(s.Partitions))
	}
	for i := range s.Partitions {
		s.Partitions[i].UpdatedAt = now
	}
	if lag, _ := s.Lag(); lag <= 0 {
		t.Errorf("lag %d", lag)
	}
}

// An event's own time may be ahead: that is no sign of being at the end.
func TestEventsOfTheFuture(t *testing.T) {
	tr := NewTracker()
	p := contract.PartitionStatus{Topic: "orders", EventTime: now.Add(24 * time.Hour), UpdatedAt: now}
	answer := []Answer{{Target: Target{Pod: "a"}, Status: &contract.ProjectorStatus{Partitions: []contract.PartitionStatus{p}}}}
	tr.Merge(key, "u", "r", answer, now)
	if s := tr.Merge(key, "u", "r", answer, now.Add(2*time.Minute)); s.Partitions[0].Behind != 2*time.Minute {
		t.Errorf("behind by %s", s.Partitions[0].Behind)
	}
}

// A partition whose end was not seen yet has no lag, rather than none to speak of.
func TestLagOfUnseenEnd(t *testing.T) {
	seen := Partition{PartitionStatus: contract.PartitionStatus{Lag: 7, UpdatedAt: now}, Owned: true}
	if lag, ok := (Snapshot{Heard: true, Partitions: []Partition{seen}}).Lag(); !ok || lag != 7 {
		t.Errorf("%d %t", lag, ok)
	}
	unseen := Partition{Owned: true}
	if lag, ok := (Snapshot{Heard: true, Partitions: []Partition{seen, unseen}}).Lag(); ok {
		t.Errorf("lag %d", lag)
	}
}

// Of the pods of a revision that is built in bulk one knows how far it is; the others only wait.
func TestBuildIsToldByWhoBuilds(t *testing.T) {
	waits := &contract.BuildStatus{Phase: contract.BuildWaiting}
	builds := &contract.BuildStatus{Phase: contract.BuildReading, Events: 5, Of: 9}
	for _, order := range [][]*contract.BuildStatus{{waits, builds, nil}, {builds, waits}, {nil, waits, builds}} {
		var answers []Answer
		for _, b := range order {
			answers = append(answers, Answer{Status: &contract.ProjectorStatus{Build: b}})
		}
		if got := combine(answers).Build; got != builds {
			t.Errorf("%+v", got)
		}
	}
	if got := combine([]Answer{{Status: &contract.ProjectorStatus{}}}).Build; got != nil {
		t.Errorf("nobody builds: %+v", got)
	}
}

// What readers see is told by whichever pod looked last.
func TestShownIsToldByWhoLookedLast(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	old, recent := &contract.Shown{Revision: "a", Sequence: 1, At: now}, &contract.Shown{Revision: "b", Sequence: 2, At: now.Add(time.Second)}
	for _, order := range [][]*contract.Shown{{old, recent, nil}, {recent, old}, {nil, recent}} {
		var answers []Answer
		for _, s := range order {
			answers = append(answers, Answer{Status: &contract.ProjectorStatus{Shown: s}})
		}
		if got := combine(answers).Shown; got != recent {
			t.Errorf("%v: %v", order, got)
		}
	}
}
