// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
)

// answers are what a store says, one after the other; a negative one is a fault. Each look is told.
type answers struct {
	all    []int64
	looked chan struct{}
}

func (s *answers) next() (int64, error) {
	if s.all[0] < 0 {
		return 0, errors.New("the store is away")
	}
	return s.all[0], nil
}

func (s *answers) Shown(context.Context) (string, int64, error) {
	n, err := s.next()
	return "0123456789", n, err
}

func (s *answers) Size(ctx context.Context) (int64, error) {
	size, err := s.next()
	s.all = s.all[1:]
	select {
	case s.looked <- struct{}{}:
	case <-ctx.Done():
	}
	return size, err
}

// TestWatch: the status has what the store said last, which a fault does not change.
func TestWatch(t *testing.T) {
	p := &process{contract: &contract.Contract{}}
	s := &answers{all: []int64{100, 300, -1, 0}, looked: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	tick, done := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(done)
		p.watch(ctx, s, tick)
	}()
	if got := p.Status(); got.SizeBytes != 0 || got.Shown != nil {
		t.Errorf("%d bytes and %v before anything was asked", got.SizeBytes, got.Shown)
	}
	last := time.Now().Add(-time.Second)
	for i, want := range []int64{100, 300, 300} {
		<-s.looked
		tick <- time.Time{} // is taken once the answer is in the status
		got := p.Status()
		if got.SizeBytes != want {
			t.Errorf("look %d: %d bytes, want %d", i, got.SizeBytes, want)
		}
		if got.Shown == nil || got.Shown.Revision != "0123456789" || got.Shown.Sequence != want || got.Shown.At.Before(last) {
			t.Fatalf("look %d: readers see %v, want sequence %d", i, got.Shown, want)
		}
		last = got.Shown.At
	}
	cancel()
	<-done
}
