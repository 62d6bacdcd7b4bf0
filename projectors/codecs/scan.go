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
		switch c := b[i]; {
		case c == '"':
			n, esc := stringLength(b[i+1:])
			if n < 0 {
				return false, false
			}
			escaped = escaped || esc
			i += 1 + n
		case c == '-' || c-'0' <= 9:
			n := numberLength(b[i:])
			if n == 0 {
				return false, false
			}
			i += n
		case c == 't' || c == 'n':
			if len(b)-i < 4 || string(b[i:i+4]) != "true" && string(b[i:i+4]) != "null" {
				return false, false
			}
			i += 4
		case c == 'f':
			if len(b)-i < 5 || string(b[i:i+5]) != "false" {
				return false, false
			}
			i += 5
		case c == ',' || c == ':' || c == '{' || c == '}' || c == '[' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
		default:
			return false, false
		}
	}
	return escaped, true
}

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// stringLength is the length of a string up to and with its closing quote; -1 if
// it is none.
func stringLength(s []byte) (n int, escaped bool) {
	for {
		// Eight bytes at a time, up to one that is a quote, a backslash, a control
		// character or not ASCII. A byte above that one may be marked wrongly.
		for len(s)-n >= 8 {
			w := binary.LittleEndian.Uint64(s[n:])
			quote, slash := w^(lows*'"'), w^(lows*'\\')
			marked := (w - lows*0x20) | (quote-lows)&^quote | (slash-lows)&^slash
			if marked = (marked | w) & highs; marked != 0 {
				n += bits.TrailingZeros64(marked) / 8
				break
			}
			n += 8
		}
		if n >= len(s) {
			return -1, false
		}
		switch c := s[n]; {
		case c == '"':
			return n + 1, escaped
		case c == '\\':
			l := escapeLength(s[n:])
			if l == 0 {
				return -1, false
			}
			n += l
			escaped = true
		case c < 0x20:
			return -1, false
		case c < utf8.RuneSelf:
			n++
		default:
			r, l := utf8.DecodeRune(s[n:])
			if r == utf8.RuneError && l == 1 {
				return -1, false
			}
			n += l
		}
	}
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
