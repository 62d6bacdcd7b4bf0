// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import "fmt"

// trail is the order in which events of a partition, or of a key, took effect:
// what a fold that is sensitive to order and to repetition would hold. Two bits
// each, at most four of them, and at most three different ones.
type trail uint8

func (t trail) add(event uint8) trail { return t<<2 | trail(event+1) }

// inOrder is the trail of the first n events, each once.
func inOrder(n uint8) trail {
	var t trail
	for e := range n {
		t = t.add(e)
	}
	return t
}

// String gives the numbers of the events, first to last.
func (t trail) String() string {
	text := ""
	for ; t > 0; t >>= 2 {
		text = fmt.Sprintf("e%d", t&3-1) + text
	}
	if text == "" {
		return "-"
	}
	return text
}

// name of a worker.
func name[I ~int | ~uint8](w I) int { return 'A' + int(w) }
