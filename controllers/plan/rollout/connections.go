// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
)

// Connections is what the store's projections take of its connections, all together.
type Connections struct {
	// Limit is ReadStore.spec.maxConnections; 0: none.
	Limit int32
	// Pods are the projectors of all revisions that run, and of those that were asked for earlier than this projection's next one.
	Pods int32
	// Projections of the store have at most one Job each at a time.
	Projections int32
	// Verified are those of them whose revisions are verified, by a Job of its own.
	Verified int32
	// Replayed are those of them that have a Replay of some keys, whose Job goes beside the others.
	Replayed int32
	// Need is how many projectors another revision of this projection would have.
	Need int32
}

// roomPoll is how often one that waits for connections looks whether there are some.
const roomPoll = 15 * time.Second

// taken counts the most that there can be at a time: those of pods, of a Job for each projection, of a verification and of a Replay of keys where there is one, and of the store's own probe.
func (c Connections) taken() int32 {
	return c.Pods*contract.ProjectorConnections + (c.Projections+c.Replayed+1)*contract.ActionConnections + c.Verified*contract.VerifyConnections
}

// full reports whether another revision's projectors would exceed the limit.
func (c Connections) full() bool {
	return c.Limit > 0 && c.Need > 0 && c.taken()+c.Need*contract.ProjectorConnections > c.Limit
}

// crowded reports whether a revision's projectors would take more connections
// than the store's projections may have. Of what readers see it is never asked.
func (d *decider) crowded(r *Revision) bool {
	return !r.Deployed && (d.role(r) == RoleCandidate || d.out.Active == "") && d.Connections.full()
}

// queue says who goes before a revision that waits.
func (d *decider) queue(r *Revision) string {
	if !d.outranked(r) {
		return d.room()
	}
	who := "projections of ReadStore %s build"
	if d.Ahead == 1 {
		who = "projection of ReadStore %s builds"
	}
	return fmt.Sprintf("%d "+who+" first (its spec.maxConcurrentReplays is %d)", d.Ahead, d.Store, max(d.Limit, 1))
}

// room says what a revision that is crowded waits for.
func (d *decider) room() string {
	c, noun := d.Connections, "projectors"
	if c.Need == 1 {
		noun = "projector"
	}
	beside := ""
	if c.Verified > 0 {
		beside += fmt.Sprintf(", %d for each verification", contract.VerifyConnections)
	}
	if c.Replayed > 0 {
		beside += fmt.Sprintf(", %d for each Replay of keys", contract.ActionConnections)
	}
	return fmt.Sprintf("its %d %s would take %d connections, and those of ReadStore %s have %d of the %d that its spec.maxConnections allows "+
		"(%d for each projector, %d for the Jobs of each projection and of the store%s). It starts when others end, or raise maxConnections, or run fewer replicas or kept revisions",
		c.Need, noun, c.Need*contract.ProjectorConnections, d.Store, c.taken(), c.Limit, contract.ProjectorConnections, contract.ActionConnections, beside)
}

// overdrawn warns of more connections than allowed: nothing that runs is stopped for it.
func (d *decider) overdrawn() string {
	c := d.Connections
	if c.Limit <= 0 || c.taken() <= c.Limit {
		return ""
	}
	return fmt.Sprintf("Projectors and Jobs of ReadStore %s may take %d connections, and its spec.maxConnections is %d: nothing that runs is stopped for that; raise it, or run fewer replicas or kept revisions",
		d.Store, c.taken(), c.Limit)
}
