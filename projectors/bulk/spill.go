// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/klauspost/compress/s2"
)

// spill is one file, in which each bucket has pieces. It has no name as soon as
// it is open, so that it is gone with the process however that ends.
type spill struct {
	dir   string
	limit int64
	piece int

	mu      sync.Mutex
	file    *os.File // nil until it is needed
	written int64
	buf     []byte
}

// pieces are where a bucket's entries are, and those that are not written yet.
type pieces struct {
	at      []piece
	pending []byte
}

type piece struct {
	offset int64
	size   int
}

// What of a bucket's entries is compressed and written at once, in bytes: much, but over all
// buckets no more than a part of the memory that is left to them.
const leastPiece, mostPiece = 256, 64 << 10

func newSpill(dir string, limit, memory int64) *spill {
	return &spill{dir: dir, limit: limit, piece: int(min(max(memory/(4*manyBuckets), leastPiece), mostPiece))}
}

func (s *spill) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

// add appends an entry. The caller holds the bucket's mutex.
func (s *spill) add(p *pieces, entry []byte) error {
	p.pending = append(p.pending, entry...)
	if len(p.pending) < s.piece {
		return nil
	}
	return s.flush(p)
}

func (s *spill) flush(p *pieces) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	s.buf = s2.Encode(s.buf[:cap(s.buf)], p.pending)
	if s.written+int64(len(s.buf)) > s.limit {
		return unfitf(outcomeSpillLimit, "more than %d bytes would be spilled: raise spec.rollout.build.spillLimit, or give the projector more memory", s.limit)
	}
	if _, err := s.file.WriteAt(s.buf, s.written); err != nil {
		return unfitf(outcomeSpillFailed, "the spill cannot be written: %v", reasonOf(err))
	}
	p.at = append(p.at, piece{s.written, len(s.buf)})
	s.written += int64(len(s.buf))
	p.pending = p.pending[:0]
	return nil
}

func (s *spill) open() error {
	if s.dir == "" {
		return unfitf(outcomeSpillFailed, "the rows do not fit into memory, and there is no place to spill to")
	}
	f, err := os.CreateTemp(s.dir, "build-")
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		return unfitf(outcomeSpillFailed, "the spill cannot be made: %v", reasonOf(err))
	}
	s.file = f
	return nil
}

// reasonOf leaves out the file's name.
func reasonOf(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// each gives the bytes of a bucket's entries, piece by piece, in order.
func (s *spill) each(p *pieces, visit func([]byte) error) error {
	var packed, plain []byte
	for _, at := range p.at {
		if cap(packed) < at.size {
			packed = make([]byte, at.size)
		}
		packed = packed[:at.size]
		if _, err := s.file.ReadAt(packed, at.offset); err != nil {
			return unfitf(outcomeSpillFailed, "the spill cannot be read: %v", reasonOf(err))
		}
		var err error
		if plain, err = s2.Decode(plain[:cap(plain)], packed); err != nil {
			return unfitf(outcomeSpillFailed, "the spill was changed: %v", err)
		}
		if err := visit(plain); err != nil {
			return err
		}
	}
	return visit(p.pending)
}

func (s *spill) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}
