// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package recordbatch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

const (
	codecGzip   = 1
	codecSnappy = 2
	codecLZ4    = 3
	codecZstd   = 4
)

// decompress appends the decompressed form of src to dst, which has length 0.
// The error lacks the batch's offset.
func decompress(codec int16, dst, src []byte, limit int) ([]byte, *Error) {
	var out []byte
	var err error
	var name string
	switch codec {
	case codecGzip:
		name = "gzip"
		out, err = gunzip(dst, src, limit)
	case codecSnappy:
		name = "snappy"
		out, err = unsnappy(dst, src, limit)
	case codecLZ4:
		name = "lz4"
		out, err = unlz4(dst, src, limit)
	case codecZstd:
		name = "zstd"
		out, err = unzstd(dst, src, limit)
	default:
		return nil, &Error{Kind: UnknownCodec, Why: fmt.Sprintf("its codec number is %d", codec)}
	}
	switch {
	case errors.Is(err, errTooLarge):
		return nil, &Error{Kind: TooLarge, Why: fmt.Sprintf("it decompresses (%s) to more than %d bytes", name, limit)}
	case err != nil:
		return nil, &Error{Kind: Corrupt, Why: name + " cannot decompress it"}
	}
	return out, nil
}

var errTooLarge = errors.New("too large")

// readAll appends r's bytes to dst, at most limit of them.
func readAll(dst []byte, r io.Reader, hint, limit int) ([]byte, error) {
	dst = slices.Grow(dst, min(max(hint, 4096), limit))
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, len(dst)/2+4096)
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > limit {
			return nil, errTooLarge
		}
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

var gzips = sync.Pool{New: func() any { return new(gzip.Reader) }}

func gunzip(dst, src []byte, limit int) ([]byte, error) {
	z, _ := gzips.Get().(*gzip.Reader)
	defer gzips.Put(z)
	if err := z.Reset(bytes.NewReader(src)); err != nil {
		return nil, err
	}
	return readAll(dst, z, 4*len(src), limit)
}

var lz4s = sync.Pool{New: func() any { return lz4.NewReader(nil) }}

func unlz4(dst, src []byte, limit int) ([]byte, error) {
	z, _ := lz4s.Get().(*lz4.Reader)
	defer lz4s.Put(z)
	z.Reset(bytes.NewReader(src))
	return readAll(dst, z, 4*len(src), limit)
}

// xerial is the head of the framing that Java's snappy writes: this magic, a
// version and a compatible version, then blocks each with their length.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const xerialHeader = 16

func unsnappy(dst, src []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(src, xerial) {
		return unsnappyBlock(dst, src, limit)
	}
	if len(src) < xerialHeader {
		return nil, io.ErrUnexpectedEOF
	}
	src = src[xerialHeader:]
	for len(src) > 0 {
		if len(src) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := int64(binary.BigEndian.Uint32(src))
		src = src[4:]
		if n > int64(len(src)) {
			return nil, io.ErrUnexpectedEOF
		}
		var err error
		if dst, err = unsnappyBlock(dst, src[:n], limit); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return dst, nil
}

func unsnappyBlock(dst, src []byte, limit int) ([]byte, error) {
	n, err := snappy.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if n > limit-len(dst) {
		return nil, errTooLarge
	}
	// A block expands at most about 64 times: a length beyond that is a lie
	// that must not be allocated for.
	if n > 128*len(src)+1024 {
		return nil, io.ErrUnexpectedEOF
	}
	start := len(dst)
	dst = slices.Grow(dst, n)[:start+n]
	out, err := snappy.Decode(dst[start:], src)
	if err != nil {
		return nil, err
	}
	if len(out) != n {
		return nil, io.ErrUnexpectedEOF
	}
	return dst, nil
}

// zstds holds one decoder per limit; a process uses one limit.
var zstds sync.Map

func unzstd(dst, src []byte, limit int) ([]byte, error) {
	pool, ok := zstds.Load(limit)
	if !ok {
		pool, _ = zstds.LoadOrStore(limit, &sync.Pool{New: func() any {
			z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxMemory(uint64(limit)))
			if err != nil {
				return err
			}
			return z
		}})
	}
	p, _ := pool.(*sync.Pool)
	switch z := p.Get().(type) {
	case *zstd.Decoder:
		defer p.Put(z)
		out, err := z.DecodeAll(src, dst)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) || (err == nil && len(out) > limit) {
			return nil, errTooLarge
		}
		return out, err
	case error:
		return nil, z
	}
	return nil, io.ErrUnexpectedEOF
}
