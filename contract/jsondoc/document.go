// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package jsondoc

import (
	"errors"
	"unsafe"

	"github.com/valyala/fastjson"
)

const (
	// MaxDepth bounds the nesting of a text: values in objects and lists, the outermost among them.
	MaxDepth = fastjson.MaxDepth
	// keepBytes is the largest text whose parse tree is kept for the next one.
	keepBytes = 256 << 10
)

// What a Scan refuses.
var (
	ErrSyntax        = errors.New("not JSON in UTF-8, or nested too deep")
	ErrHalfSurrogate = errors.New("an escape is half a surrogate pair")
)

// Kind is what a member is.
type Kind uint8

// The kinds. The zero Kind is that of a member that is not there.
const (
	Missing Kind = iota
	Null
	False
	True
	Number
	String
	Object
	List
)

// Doc is one text at a time. It belongs to one goroutine. The zero value is ready to use.
type Doc struct {
	text []byte
	// escaped, half: see Escaped and ErrHalfSurrogate.
	escaped, half bool
	paths         *Paths
	found         []found
	// unescaped holds strings that are not spelled as they are.
	unescaped []byte

	tree   *fastjson.Value
	parser fastjson.Parser
	large  bool
}

// found is where a member's spelling is: a string's without its quotes.
type found struct {
	from, to int32
	kind     Kind
	as       spelling
}

// spelling says how a string is found.
type spelling uint8

const (
	plain spelling = iota
	escaped
	// unescaped strings are in Doc.unescaped.
	unescaped
)

// Scan makes b, of less than 2 GiB, the document, which stays valid as long as b;
// nil paths name nothing. An error is ErrSyntax or ErrHalfSurrogate; there is no
// document then.
func (d *Doc) Scan(b []byte, paths *Paths) error {
	d.text, d.paths, d.tree, d.escaped, d.half = b, paths, nil, false, false
	if cap(d.unescaped) > keepBytes {
		d.unescaped = nil
	}
	d.unescaped = d.unescaped[:0]
	want := none
	if paths == nil || len(paths.nodes) == 0 {
		d.found = d.found[:0]
	} else {
		want = root
		n := len(paths.nodes)
		if cap(d.found) < n {
			d.found = make([]found, n)
		}
		d.found = d.found[:n]
		clear(d.found)
	}
	if end := d.value(space(b, 0), 1, want); end < 0 || space(b, end) != len(b) {
		return d.refuse(ErrSyntax)
	}
	if d.half {
		return d.refuse(ErrHalfSurrogate)
	}
	return nil
}

func (d *Doc) refuse(err error) error {
	d.text, d.paths = nil, nil
	clear(d.found)
	return err
}

// Escaped tells whether the text has a backslash.
func (d *Doc) Escaped() bool { return d.escaped }

// Knows tells whether the document was scanned for the paths, so that their members can be asked for.
func (d *Doc) Knows(p *Paths) bool { return d.paths == p }

// Kind tells what a member is.
func (d *Doc) Kind(m Member) Kind { return d.found[m].kind }

// Number gives the spelling of a member that is a Number. It shares the text's memory.
func (d *Doc) Number(m Member) string {
	f := &d.found[m]
	return alias(d.text[f.from:f.to])
}

// String gives the value of a member that is a String. It is valid as long as the document.
func (d *Doc) String(m Member) string {
	f := &d.found[m]
	if f.as == plain {
		return alias(d.text[f.from:f.to])
	}
	return d.unescape(f)
}

// unescape is String for one that is not spelled as it is.
func (d *Doc) unescape(f *found) string {
	if f.as == escaped {
		from := len(d.unescaped)
		d.unescaped = appendUnescaped(d.unescaped, d.text[f.from:f.to])
		f.from, f.to, f.as = int32(from), int32(len(d.unescaped)), unescaped
	}
	return alias(d.unescaped[f.from:f.to])
}

func alias(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // valid as long as the document, as documented; a copy per member is what this package avoids
}

// Tree gives the whole document. It is valid until the next Scan or Parse.
func (d *Doc) Tree() *fastjson.Value {
	if d.tree == nil {
		if err := d.parse(d.text); err != nil {
			// FuzzScan holds that there is none.
			panic("jsondoc: a text that was scanned cannot be parsed")
		}
	}
	return d.tree
}

// Parse gives the tree of a text of which it is known that it is JSON in UTF-8; an
// error says that it is nested deeper than MaxDepth. It is valid until the next Scan or Parse.
func (d *Doc) Parse(b []byte) (*fastjson.Value, error) {
	d.text, d.paths, d.tree = nil, nil, nil
	err := d.parse(b)
	return d.tree, err
}

func (d *Doc) parse(b []byte) (err error) {
	if d.large {
		// A parse tree is many times its text: one large document must not pin it.
		d.parser = fastjson.Parser{}
	}
	d.large = len(b) > keepBytes
	d.tree, err = d.parser.ParseBytes(b)
	return err
}
