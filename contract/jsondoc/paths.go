// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package jsondoc

// Member is a place in documents that a Paths names.
type Member int32

const (
	// root is the document itself.
	root Member = 0
	none Member = -1
)

// Paths names the members to look for. The zero value names none.
// It must not change once a Doc was scanned with it; then it is safe for
// concurrent use.
type Paths struct {
	// nodes are the named members, each after the one that holds it; the first is the root.
	nodes []node
}

type node struct {
	children []child
	// slots is a hash table of indexes into children, from 1, with steps of one and no
	// more than a quarter of it taken: most names of a document are nobody's, and one
	// look says so. It has 1<<(64-shift) slots.
	slots []int32
	shift uint8
}

type child struct {
	// head is headOf the name.
	head   uint64
	name   string
	member Member
}

// hash makes the slots anew.
func (n *node) hash() {
	bits := 3
	for len(n.children)*4 > 1<<bits {
		bits++
	}
	n.slots, n.shift = make([]int32, 1<<bits), uint8(64-bits)
	for i, c := range n.children {
		at := n.slot(c.head, len(c.name))
		for n.slots[at] != 0 {
			at = n.after(at)
		}
		n.slots[at] = int32(i + 1)
	}
}

// slot gives where a name is in slots, or after that.
func (n *node) slot(head uint64, length int) int {
	const golden = 0x9E3779B97F4A7C15 // 2 to the 64th by the golden ratio, which spreads names over the highest bits
	return int((head + uint64(length)) * golden >> n.shift)
}

func (n *node) after(slot int) int { return (slot + 1) & (len(n.slots) - 1) }

// headOf gives the first eight bytes of a name, the first lowest; 0 stands for those that it has not.
func headOf[T string | []byte](name T) (head uint64) {
	for i := range min(len(name), 8) {
		head |= uint64(name[i]) << (8 * i)
	}
	return head
}

// Add names a path, and all that it leads through: the last of the members is the
// path's end, and the one before it holds it; the first is the document itself.
func (p *Paths) Add(names ...string) []Member {
	if len(p.nodes) == 0 {
		p.nodes = make([]node, 1)
	}
	out := []Member{root}
	at := root
	for _, name := range names {
		at = p.child(at, name)
		out = append(out, at)
	}
	return out
}

func (p *Paths) child(of Member, name string) Member {
	n := &p.nodes[of]
	for _, c := range n.children {
		if c.name == name {
			return c.member
		}
	}
	m := Member(len(p.nodes))
	n.children = append(n.children, child{headOf(name), name, m})
	n.hash()
	p.nodes = append(p.nodes, node{})
	return m
}
