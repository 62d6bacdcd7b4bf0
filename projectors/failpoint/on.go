// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build failpoints

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// Enabled tells whether this build has failpoints.
const Enabled = true

type point struct {
	at   int64 // 0: every hit
	hits atomic.Int64
}

var points atomic.Pointer[map[string]*point]

func init() { Set(os.Getenv(Env)) }

// Set replaces the points that are on, for tests in this process.
func Set(text string) {
	p := parse(text)
	points.Store(&p)
}

// parse panics on a text that it cannot read: a test whose failpoint is
// misspelt must not pass.
func parse(text string) map[string]*point {
	out := map[string]*point{}
	for item := range strings.SplitSeq(text, ",") {
		name, count, counted := strings.Cut(strings.TrimSpace(item), "=")
		if name == "" {
			continue
		}
		p := &point{}
		if counted {
			n, err := strconv.ParseInt(count, 10, 64)
			if err != nil || n < 1 {
				panic(Env + ": " + name + "=N takes a number from 1")
			}
			p.at = n
		}
		out[name] = p
	}
	return out
}

// Hit tells whether the point is on now, and counts.
func Hit(name string) bool {
	p := (*points.Load())[name]
	if p == nil {
		return false
	}
	n := p.hits.Add(1)
	return p.at == 0 || p.at == n
}
