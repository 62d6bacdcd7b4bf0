// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package recordbatch_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/projectionist-dev/projectionist/projectors/sources/kafka/recordbatch"
)

// BenchmarkDecode decodes batches of 2,000 records of 500 bytes; one operation is one record.
func BenchmarkDecode(b *testing.B) {
	for _, codec := range []int16{none, gz, snap, lz, zst} {
		b.Run([]string{"none", "gzip", "snappy", "lz4", "zstd"}[codec], func(b *testing.B) {
			const n = 2000
			s := spec{producer: -1, codec: codec}
			for i := range n {
				s.records = append(s.records, rec(int32(i), fmt.Sprintf("key-%08d", i), string(bytes.Repeat([]byte(fmt.Sprintf("%010d", i*7919)), 50))))
			}
			data := s.bytes(b)
			var d recordbatch.Decoder
			b.SetBytes(500)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += n {
				set := recordbatch.NewSet()
				if err := d.Decode(set, data, 0, nil); err != nil {
					b.Fatal(err)
				}
				set.Release()
			}
		})
	}
}
