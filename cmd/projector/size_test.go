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

// sizes are what a store answers, one after the other; a negative one is a fault. Each look is told.
type sizes struct {
	answers []int64
	looked  chan struct{}
}

func (s *sizes) Size(ctx context.Context) (int64, error) {
	size := s.answers[0]
	s.answers = s.answers[1:]
	select {
	case s.looked <- struct{}{}:
	case <-ctx.Done():
	}
	if size < 0 {
		return 0, errors.New("the store is away")
	}
	return size, nil
}

// TestMeasure: the status has the size as last measured, which a fault does not change.
func TestMeasure(t *testing.T) {
	p := &process{contract: &contract.Contract{}}
	s := &sizes{answers: []int64{100, 300, -1, 0}, looked: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	tick, done := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(done)
		p.measure(ctx, s, tick)
	}()
	if got := p.Status().SizeBytes; got != 0 {
		t.Errorf("%d before anything was measured", got)
	}
	for i, want := range []int64{100, 300, 300} {
		<-s.looked
		tick <- time.Time{} // is taken once the answer is in the status
		if got := p.Status().SizeBytes; got != want {
			t.Errorf("look %d: %d, want %d", i, got, want)
		}
	}
	cancel()
	<-done
}
