// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package jsondoc

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// bad is the place after something that is not JSON.
const bad = -1

// space gives the place of the first byte from i that is no white space.
func space(s []byte, i int) int {
	for i < len(s) && s[i] <= ' ' && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// value reads the value that begins at i, and notes it as the member want. It
// gives the place after it, or bad.
func (d *Doc) value(i, depth int, want Member) int {
	s := d.text
	if i >= len(s) || depth > MaxDepth {
		return bad
	}
	var kind Kind
	var end int
	switch c := s[i]; c {
	case '"':
		quote, as := d.string(i + 1)
		if quote < 0 {
			return bad
		}
		if want >= 0 {
			d.found[want] = found{int32(i + 1), int32(quote), String, as}
		}
		return quote + 1
	case '{':
		// It is noted before its members, so that these find no member of it in another object.
		if want >= 0 {
			d.found[want].kind = Object
		}
		return d.object(i+1, depth, want)
	case '[':
		kind, end = List, d.list(i+1, depth)
	case 't':
		kind, end = True, literal(s, i, "true")
	case 'f':
		kind, end = False, literal(s, i, "false")
	case 'n':
		kind, end = Null, literal(s, i, "null")
	default:
		kind, end = Number, number(s, i)
	}
	if want >= 0 && end >= 0 {
		d.found[want] = found{int32(i), int32(end), kind, plain}
	}
	return end
}

// object reads the members and the end of the object whose brace is before i.
func (d *Doc) object(i, depth int, want Member) int {
	s := d.text
	if i = space(s, i); i < len(s) && s[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(s) || s[i] != '"' {
			return bad
		}
		from := i + 1
		end, as := from, plain
		if len(s)-from >= 8 {
			// Nearly all names end in their first word, which spares a call.
			end += bits.TrailingZeros64(special(binary.LittleEndian.Uint64(s[from:]))) / 8
		}
		if end >= len(s) || s[end] != '"' {
			if end, as = d.string(end); end < 0 {
				return bad
			}
		}
		member := none
		if want >= 0 {
			member = d.wanted(want, from, end, as)
		}
		if i = space(s, end+1); i >= len(s) || s[i] != ':' {
			return bad
		}
		if i = d.value(space(s, i+1), depth+1, member); i < 0 {
			return bad
		}
		if i = space(s, i); i >= len(s) {
			return bad
		}
		switch s[i] {
		case ',':
			i = space(s, i+1)
		case '}':
			return i + 1
		default:
			return bad
		}
	}
}

// wanted gives the member that a name of the object of means, none if it is not
// wanted or was found already: of two members of one name the first counts.
func (d *Doc) wanted(of Member, from, to int, as spelling) Member {
	name := d.text[from:to]
	var head uint64
	switch {
	case as == escaped:
		var room [64]byte
		name = appendUnescaped(room[:0], name)
		head = headOf(name)
	case len(d.text)-from >= 8:
		head = binary.LittleEndian.Uint64(d.text[from:])
		if len(name) < 8 {
			head &= 1<<(8*len(name)) - 1
		}
	default:
		head = headOf(name)
	}
	n := &d.paths.nodes[of]
	if len(n.slots) == 0 {
		return none
	}
	for at := n.slot(head, len(name)); n.slots[at] != 0; at = n.after(at) {
		c := &n.children[n.slots[at]-1]
		if c.head != head || len(c.name) != len(name) || len(name) > 8 && c.name != string(name) {
			continue
		}
		if d.found[c.member].kind != Missing {
			return none
		}
		return c.member
	}
	return none
}

// list reads the elements and the end of the list whose bracket is before i.
func (d *Doc) list(i, depth int) int {
	s := d.text
	if i = space(s, i); i < len(s) && s[i] == ']' {
		return i + 1
	}
	for {
		if i = d.value(i, depth+1, none); i < 0 {
			return bad
		}
		if i = space(s, i); i >= len(s) {
			return bad
		}
		switch s[i] {
		case ',':
			i = space(s, i+1)
		case ']':
			return i + 1
		default:
			return bad
		}
	}
}

func literal(s []byte, i int, text string) int {
	if len(s)-i < len(text) || string(s[i:i+len(text)]) != text {
		return bad
	}
	return i + len(text)
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?
func number(s []byte, i int) int {
	if s[i] == '-' {
		i++
	}
	switch first := i; {
	case i < len(s) && s[i] == '0':
		i++
	default:
		if i = digits(s, i); i == first {
			return bad
		}
	}
	if i < len(s) && s[i] == '.' {
		first := i + 1
		if i = digits(s, first); i == first {
			return bad
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		first := i + 1
		if first < len(s) && (s[first] == '+' || s[first] == '-') {
			first++
		}
		if i = digits(s, first); i == first {
			return bad
		}
	}
	return i
}

func digits(s []byte, i int) int {
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return i
}

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks the bytes of a word that are a quote, a backslash, a control
// character or not ASCII. Above the first one, others may be marked, too.
func special(w uint64) uint64 {
	quote, slash := w^lows*'"', w^lows*'\\'
	return ((w - lows*0x20) | (quote-lows)&^quote | (slash-lows)&^slash | w) & highs
}

// ordinary gives the place of the first byte from i that special marks.
func ordinary(s []byte, i int) int {
	for len(s)-i >= 8 {
		if marked := special(binary.LittleEndian.Uint64(s[i:])); marked != 0 {
			return i + bits.TrailingZeros64(marked)/8
		}
		i += 8
	}
	for i < len(s) && s[i] >= 0x20 && s[i] < utf8.RuneSelf && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}

// string gives the place of the quote that closes the string from i, or bad.
func (d *Doc) string(i int) (end int, as spelling) {
	s := d.text
	if i = ordinary(s, i); i < len(s) && s[i] == '"' {
		return i, plain
	}
	return d.unusual(i)
}

// unusual is string from the first byte that is not ordinary.
func (d *Doc) unusual(i int) (end int, as spelling) {
	s := d.text
	for i < len(s) {
		switch c := s[i]; {
		case c == '"':
			return i, as
		case c == '\\':
			n := d.escape(s[i+1:])
			if n == 0 {
				return bad, plain
			}
			i += 1 + n
			d.escaped, as = true, escaped
		case c < 0x20:
			return bad, plain
		case c < utf8.RuneSelf:
			i = ordinary(s, i)
		default:
			r, n := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && n == 1 {
				return bad, plain
			}
			i += n
		}
	}
	return bad, plain
}

// escape gives the length of what follows a backslash, 0 if that is no escape. It
// takes both halves of a surrogate pair at once.
func (d *Doc) escape(s []byte) int {
	if len(s) == 0 {
		return 0
	}
	switch s[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	case 'u':
		u, ok := hex4(s[1:])
		if !ok {
			return 0
		}
		if u < 0xD800 || u > 0xDFFF {
			return 5
		}
		if u < 0xDC00 && len(s) > 6 && s[5] == '\\' && s[6] == 'u' {
			if low, ok := hex4(s[7:]); ok && low >= 0xDC00 && low <= 0xDFFF {
				return 11
			}
		}
		d.half = true
		return 5
	}
	return 0
}

// hex4 reads four hexadecimal digits.
func hex4(s []byte) (u rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for _, c := range s[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case (c|0x20)-'a' <= 5:
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		u = u<<4 | rune(c)
	}
	return u, true
}
