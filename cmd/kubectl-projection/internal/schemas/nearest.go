// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package schemas

import "strings"

// Nearest gives the candidate that a mistyped word probably stands for; empty where none is near. Case is not counted.
func Nearest(word string, candidates []string) string {
	best, distance := "", max(2, len(word)/3)+1
	if len(word) < 4 {
		distance = 2
	}
	for _, c := range candidates {
		if d := edits(strings.ToLower(word), strings.ToLower(c)); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// edits is the number of letters to insert, remove, replace or swap with the next (optimal string alignment).
func edits(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(next[j-1]+1, row[j]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
