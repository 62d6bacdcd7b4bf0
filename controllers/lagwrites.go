// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// lagEvery is the least time between two writes of a status in which nothing
// but the lag changed (Law 9).
const lagEvery = 30 * time.Second

// lagWrites remembers when statuses were last written. Forgetting costs one
// write. The zero value is ready to use.
type lagWrites struct {
	mu sync.Mutex
	at map[types.NamespacedName]time.Time
}

// tooSoon reports whether only the lag changed and was written too recently,
// and how long to wait then.
func (l *lagWrites) tooSoon(before, after *v1alpha1.Projection, now time.Time) (bool, time.Duration) {
	if before.Status.Lag == after.Status.Lag {
		return false, 0
	}
	rest := after.Status.DeepCopy()
	rest.Lag = before.Status.Lag
	if !equality.Semantic.DeepEqual(before.Status, *rest) {
		return false, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := l.at[client.ObjectKeyFromObject(before)].Add(lagEvery).Sub(now)
	return wait > 0, wait
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
