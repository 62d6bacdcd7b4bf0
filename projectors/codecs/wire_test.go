// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"bytes"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
)

// FuzzWire holds that the wire format is split as franz-go splits it.
func FuzzWire(f *testing.F) {
	for _, s := range []string{"\x00\x00\x00\x00\x02\x00\x0a\x01x", "\x00\x00\x00\x00\x02\x02\x02\x08", "\x00\x00\x00\x00\x00", "\x01", "\x00\xff\xff\xff\xff\x06\x80\x01\x00\x02z"} {
		f.Add([]byte(s))
	}
	var reference sr.ConfluentHeader
	f.Fuzz(func(t *testing.T, b []byte) {
		id, rest, err := schemaID(b, nil)
		wantID, wantRest, refErr := reference.DecodeID(b)
		if refErr == nil && wantID == 0 {
			if err == nil {
				t.Fatal("the id 0 was read")
			}
			return
		}
		if (err == nil) != (refErr == nil) || err == nil && (id != wantID || !bytes.Equal(rest, wantRest)) {
			t.Fatalf("%d %q %v, want %d %q %v", id, rest, err, wantID, wantRest, refErr)
		}
		if err != nil {
			return
		}
		index, after, err := messageIndex(rest)
		want, wantAfter, refErr := reference.DecodeIndex(rest, maxIndex)
		if err != nil {
			return // numbers that are negative or beyond any file are refused here
		}
		if refErr != nil || !slices.Equal(index, want) || !bytes.Equal(after, wantAfter) {
			t.Fatalf("%v %q, want %v %q %v", index, after, want, wantAfter, refErr)
		}
	})
}
