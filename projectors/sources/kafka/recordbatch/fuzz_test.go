// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package recordbatch_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist-dev/projectionist/projectors/sources/kafka/recordbatch"
)

// FuzzDecode holds the decoder to its promises on any input. With fix set the
// checksums are made right, so that the fuzzer gets behind them.
func FuzzDecode(f *testing.F) {
	add := func(specs ...spec) {
		b := join(f, specs...)
		f.Add(b, int64(0), int64(9), int64(0), true)
		f.Add(b[:len(b)-1], int64(1), int64(8), int64(2), false)
	}
	add(plain(0, 3), plain(3, 2))
	add(empty(0, 5), plain(5, 1))
	add(tx(0, 2, 9, transactional), marker(2, 9, false), tx(3, 2, 9, transactional), marker(5, 9, true))
	add(spec{producer: -1, lastDelta: 9, records: []kmsg.Record{rec(2, "a", "b", kmsg.Header{Key: "h", Value: []byte("v")}), rec(5, "c", "")}})
	for _, codec := range []int16{gz, snap, lz, zst} {
		s := plain(0, 4)
		s.codec = codec
		add(s)
	}
	add(spec{producer: -1, codec: snap, records: plain(0, 4).records, compress: func(b []byte) []byte { return xerial(b[:10], b[10:]) }})

	f.Fuzz(func(t *testing.T, data []byte, from, producer, first int64, fix bool) {
		if from < 0 {
			return
		}
		if fix {
			data = append([]byte(nil), data...)
			for b := data; len(b) >= 61; {
				n := 12 + (int(b[8])<<24 | int(b[9])<<16 | int(b[10])<<8 | int(b[11]))
				if n < 61 || n > len(b) {
					break
				}
				sum(b[:n])
				b = b[n:]
			}
		}
		d := recordbatch.Decoder{MaxDecompressed: 1 << 20}
		set := recordbatch.NewSet()
		defer set.Release()
		err := d.Decode(set, data, from, []recordbatch.Aborted{{ProducerID: producer, FirstOffset: first}})
		if set.Next < from {
			t.Fatalf("next %d is before %d", set.Next, from)
		}
		prev, size := from-1, 0
		for _, r := range set.Records {
			if r.Offset <= prev || r.Offset >= set.Next {
				t.Fatalf("offset %d after %d, next %d (%v)", r.Offset, prev, set.Next, err)
			}
			prev = r.Offset
			size += len(r.Key) + len(r.Value)
			for _, h := range r.Headers {
				size += len(h.Key) + len(h.Value)
			}
		}
		if size > set.Bytes {
			t.Fatalf("%d bytes, %d announced", size, set.Bytes)
		}
	})
}
