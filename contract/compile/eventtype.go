// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"strings"
)

// matches tells whether a pattern, in which * stands for any text, matches an event type.
func matches(pattern, eventType string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(eventType, parts[0])
	if len(parts) == 1 {
		return ok && rest == ""
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return ok && strings.HasSuffix(rest, last)
}

// overlap tells whether some event type matches both patterns. It takes time in
// the product of their lengths, whatever they are (Law 10).
func overlap(a, b string) bool {
	// meet[j] says whether a from i on and b from j on overlap; after is that of i+1.
	after := make([]bool, len(b)+2)
	for i := len(a); i >= 0; i-- {
		meet := make([]bool, len(b)+2)
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				meet[j] = true
			case i < len(a) && a[i] == '*':
				meet[j] = after[j] || j < len(b) && meet[j+1]
			case j < len(b) && b[j] == '*':
				meet[j] = meet[j+1] || i < len(a) && after[j]
			default:
				meet[j] = i < len(a) && j < len(b) && a[i] == b[j] && after[j+1]
			}
		}
		after = meet
	}
	return after[0]
}

// anyOverlap tells whether some event type matches a pattern of each list; an empty list is every type.
func anyOverlap(as, bs []string) bool {
	return len(as) == 0 || len(bs) == 0 || slices.ContainsFunc(as, func(a string) bool {
		return slices.ContainsFunc(bs, func(b string) bool { return overlap(a, b) })
	})
}
