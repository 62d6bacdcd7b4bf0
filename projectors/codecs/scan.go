// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scan holds text that fastjson's parser has accepted to the letter of JSON, and
// to UTF-8. The parser sees to the structure (brackets, commas, colons); it
// forgives the spelling of numbers, NaN, escapes and bare control characters.
//
// fastjson's own validator makes the structure's walk a second time and forgives
// some control characters still: this takes half the time, and decoding is the
// largest part of what an event costs. A fuzz test holds it equal to encoding/json.
func scan(b []byte) (escaped, ok bool) {
	for i := 0; i < len(b); {
		switch classes[b[i]] {
		case structure:
			i++
		case quote:
			n, esc := stringLength(b[i+1:])
			if n == 0 {
				return false, false
			}
			escaped = escaped || esc
			i += 1 + n
		case digit:
			n := numberLength(b[i:])
			if n == 0 {
				return false, false
			}
			i += n
		case letter:
			n := literalLength(b[i:])
			if n == 0 {
				return false, false
			}
			i += n
		default:
			return false, false
		}
	}
	return escaped, true
}

// class is what a byte outside of strings begins.
type class uint8

const (
	structure class = iota + 1 // white space among it
	quote
	digit
	letter
)

var classes = [256]class{
	'{': structure, '}': structure, '[': structure, ']': structure, ',': structure, ':': structure, ' ': structure, '\t': structure, '\n': structure, '\r': structure,
	'"': quote, 't': letter, 'f': letter, 'n': letter,
	'-': digit, '0': digit, '1': digit, '2': digit, '3': digit, '4': digit, '5': digit, '6': digit, '7': digit, '8': digit, '9': digit,
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

// stringLength is the length of a string up to and with its closing quote; 0 if
// it is none.
func stringLength(s []byte) (n int, escaped bool) {
	for {
		for len(s)-n >= 8 {
			if marked := special(binary.LittleEndian.Uint64(s[n:])); marked != 0 {
				n += bits.TrailingZeros64(marked) / 8
				break
			}
			n += 8
		}
		if n >= len(s) {
			return 0, false
		}
		switch c := s[n]; {
		case c == '"':
			return n + 1, escaped
		case c == '\\':
			l := escapeLength(s[n:])
			if l == 0 {
				return 0, false
			}
			n += l
			escaped = true
		case c < 0x20:
			return 0, false
		case c < utf8.RuneSelf:
			n++
		default:
			r, l := utf8.DecodeRune(s[n:])
			if r == utf8.RuneError && l == 1 {
				return 0, false
			}
			n += l
		}
	}
}

// literalLength is the length of true, false or null; 0 if s begins with none.
func literalLength(s []byte) int {
	switch {
	case len(s) >= 4 && (string(s[:4]) == "true" || string(s[:4]) == "null"):
		return 4
	case len(s) >= 5 && string(s[:5]) == "false":
		return 5
	}
	return 0
}

// escapeLength is the length of the escape that s begins with; 0 if it is none.
func escapeLength(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(s) < 6 {
			return 0
		}
		for _, c := range s[2:6] {
			if c-'0' > 9 && (c|0x20)-'a' > 5 {
				return 0
			}
		}
		return 6
	}
	return 0
}

// numberLength is the length of the number that s begins with; 0 if it is none.
func numberLength(s []byte) int {
	i := 0
	digits := func() bool {
		from := i
		for i < len(s) && s[i]-'0' <= 9 {
			i++
		}
		return i > from
	}
	if s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if !digits() {
		return 0
	}
	if i < len(s) && s[i] == '.' {
		if i++; !digits() {
			return 0
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return 0
		}
	}
	// The parser takes 1-2 and 01 for one number.
	if i < len(s) && (s[i]-'0' <= 9 || s[i] == '-' || s[i] == '+' || s[i] == '.' || s[i]|0x20 == 'e') {
		return 0
	}
	return i
}
