// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package fold

import "hash/maphash"

// seed of all indexes of this process: keys come from outside.
var seed = maphash.MakeSeed()

// index finds rows by their keys: open addressing, eight bytes a slot. Where the processor's caches do not hold a batch, each step of a lookup waits
// for memory, and a map takes its steps one after the other, key after key; here Batch.Expect takes one step for many keys at once
// (ADR 0029). Rows are numbered as they come.
type index struct {
	slots []slot // as many as a power of two, at least a quarter of them free
	rows  int
}

// slot holds a part of a key's hash and the row's number plus one; 0 is free.
type slot struct {
	hash uint32
	row  int32
}

const fewestSlots = 8

func hashOf(key []byte) uint32 { return uint32(maphash.Bytes(seed, key)) }

// home is where to begin to look.
func (x *index) home(hash uint32) uint32 { return hash & uint32(len(x.slots)-1) }

// find gives the number of the row with the key, -1 if there is none.
func (t *table) find(hash uint32, key []byte) int32 {
	x := &t.index
	if x.rows == 0 {
		return -1
	}
	for i := x.home(hash); ; i = (i + 1) & uint32(len(x.slots)-1) {
		s := x.slots[i]
		if s.row == 0 {
			return -1
		}
		if s.hash == hash && t.muts[s.row-1].key == string(key) {
			return s.row - 1
		}
	}
}

// likely gives the number of a row whose key has the hash, nearly always that of the one key in question, -1 if there is none; there is at least one row.
func (x *index) likely(hash uint32) int32 {
	for i := x.home(hash); x.slots[i].row != 0; i = (i + 1) & uint32(len(x.slots)-1) {
		if x.slots[i].hash == hash {
			return x.slots[i].row - 1
		}
	}
	return -1
}

// add numbers the next row.
func (x *index) add(hash uint32) {
	if 4*(x.rows+1) > 3*len(x.slots) {
		x.grow()
	}
	x.rows++
	x.put(slot{hash, int32(x.rows)})
}

func (x *index) put(s slot) {
	i := x.home(s.hash)
	for x.slots[i].row != 0 {
		i = (i + 1) & uint32(len(x.slots)-1)
	}
	x.slots[i] = s
}

// grow puts rows in the order of their numbers, so that the last one stands behind all that it had to make way for.
func (x *index) grow() {
	byRow := make([]slot, x.rows)
	for _, s := range x.slots {
		if s.row > 0 {
			byRow[s.row-1] = s
		}
	}
	x.slots = make([]slot, max(fewestSlots, 2*len(x.slots)))
	for _, s := range byRow {
		x.put(s)
	}
}

// removeLast forgets the row that came last: nothing was put behind it.
func (x *index) removeLast(hash uint32) {
	i := x.home(hash)
	for int(x.slots[i].row) != x.rows {
		i = (i + 1) & uint32(len(x.slots)-1)
	}
	x.slots[i] = slot{}
	x.rows--
}

func (x *index) reset() {
	clear(x.slots)
	x.rows = 0
}
