// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// lagEvery is the least time between two writes of a status in which nothing
// but how far it is changed (Law 9).
const lagEvery = 30 * time.Second

// lagWrites remembers when how far a resource is was last written alone.
// Forgetting costs one write. The zero value is ready to use.
type lagWrites struct {
	mu sync.Mutex
	at map[types.NamespacedName]time.Time
}

// tooSoon reports whether nothing but how far it is changed, and was written too
// recently, and how long to wait then.
func (l *lagWrites) tooSoon(before, after *v1alpha1.Projection, now time.Time) (bool, time.Duration) {
	if !onlyHowFar(before.Status, after.Status) {
		return false, 0
	}
	wait := l.wait(client.ObjectKeyFromObject(before), lagEvery, now)
	return wait > 0, wait
}

// wait is how long it is until how far a resource is may be written again; 0 or less: it may be now.
func (l *lagWrites) wait(key types.NamespacedName, every time.Duration, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at[key].Add(every).Sub(now)
}

// onlyHowFar reports whether two statuses differ, and in nothing but the lag, the
// word, and what conditions and revisions say that did not change: their messages, and why Ready
// is True. All of these are written together, so that they never contradict.
func onlyHowFar(before, after v1alpha1.ProjectionStatus) bool {
	if equality.Semantic.DeepEqual(before, after) || len(before.Conditions) != len(after.Conditions) {
		return false
	}
	rest := after.DeepCopy()
	rest.Lag, rest.Status = before.Lag, before.Status
	for i := range min(len(rest.Revisions), len(before.Revisions)) {
		is, was := &rest.Revisions[i], &before.Revisions[i]
		is.Lag, is.Message, is.Progress = was.Lag, was.Message, was.Progress
	}
	for i := range rest.Conditions {
		is, was := &rest.Conditions[i], &before.Conditions[i]
		if is.Type == v1alpha1.ConditionReady && is.Status == metav1.ConditionTrue && was.Status == metav1.ConditionTrue {
			is.Reason = was.Reason
		}
		is.Message = was.Message
	}
	return equality.Semantic.DeepEqual(before, *rest)
}

func (l *lagWrites) wrote(key types.NamespacedName, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[types.NamespacedName]time.Time{}
	}
	l.at[key] = now
}

func (l *lagWrites) forget(key types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.at, key)
}
