// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/projectionist-dev/projectionist/projectors/event"
)

// flight is one fetch request to one leader, under way or answered. A flight
// outlives the call that started it: when the leader of another partition
// answers first, the next call takes the flight over instead of asking again.
type flight struct {
	addr  string
	asked map[event.TopicPartition]wanted

	mu     sync.Mutex
	done   bool
	signal chan<- struct{} // of the call that waits; capacity 1

	// The fields below are written before done.
	byName  bool // the broker was asked by the topics' names, not their ids
	buf     *buffer
	answers map[partitionKey]*fetchAnswer
	err     error
}

// watch makes signal be told when the flight is done, now or later.
func (f *flight) watch(signal chan<- struct{}) {
	f.mu.Lock()
	f.signal = signal
	done := f.done
	f.mu.Unlock()
	if done {
		notify(signal)
	}
}

func (f *flight) finished() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.done
}

func (f *flight) finish(buf *buffer, answers map[partitionKey]*fetchAnswer, err error) {
	f.mu.Lock()
	f.buf, f.answers, f.err, f.done = buf, answers, err, true
	signal := f.signal
	f.mu.Unlock()
	if signal != nil {
		notify(signal)
	}
}

func notify(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// discard gives an answered flight's buffer back.
func (f *flight) discard() {
	if f.finished() && f.buf != nil {
		f.buf.release()
		f.buf = nil
	}
}

// run does the round trip.
func (l *Log) run(ctx context.Context, f *flight, parts []wanted) {
	version, err := l.versionOf(ctx, f.addr)
	if err != nil {
		f.finish(nil, nil, err)
		return
	}
	names := make(map[topicID]string, len(l.topics))
	for i := range parts {
		if parts[i].id == (topicID{}) {
			version = min(version, fetchVersion)
		}
		names[parts[i].id] = parts[i].topic
	}
	f.byName = version < fetchVersionByID
	r := fetchRequest(&l.cfg, version, parts)
	var buf *buffer
	r.alloc = func(n int) []byte {
		buf = getBuffer(n)
		return buf.b
	}
	data, err := l.roundTrip(ctx, f.addr, l.cfg.FetchMaxWait, r)
	if err != nil {
		// kafka-go's goroutine may still write into the buffer: it is left to the
		// garbage collector, and so is the variable that alloc sets.
		l.mu.Lock()
		delete(l.fetchVer, f.addr)
		l.mu.Unlock()
		f.finish(nil, nil, err)
		return
	}
	code, answers, err := parseFetch(data, version, func(id topicID) string { return names[id] })
	if err == nil && code != 0 {
		err = codeError(f.addr, code)
	}
	if err != nil {
		buf.release()
		f.finish(nil, nil, classify(ctx, f.addr, err))
		return
	}
	f.finish(buf, answers, nil)
}

// buffer holds an answer for as long as someone reads it.
type buffer struct {
	b    []byte
	refs atomic.Int32
}

// Buffers come in powers of two, from 4 KiB to 64 MiB.
const (
	minBufferBits = 12
	maxBufferBits = 26
)

var bufferPools [maxBufferBits + 1]sync.Pool

func bufferClass(n int) int { return max(bits.Len(uint(max(n, 1)-1)), minBufferBits) }

func getBuffer(n int) *buffer {
	class := bufferClass(n)
	if class > maxBufferBits {
		b := &buffer{b: make([]byte, n)}
		b.refs.Store(1)
		return b
	}
	b, ok := bufferPools[class].Get().(*buffer)
	if !ok {
		b = &buffer{b: make([]byte, 1<<class)}
	}
	b.b = b.b[:n]
	b.refs.Store(1)
	return b
}

func (b *buffer) retain() { b.refs.Add(1) }

func (b *buffer) release() {
	if b.refs.Add(-1) != 0 {
		return
	}
	if class := bufferClass(cap(b.b)); class <= maxBufferBits && cap(b.b) == 1<<class {
		bufferPools[class].Put(b)
	}
}
