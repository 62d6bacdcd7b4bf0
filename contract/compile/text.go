// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import "strings"

// canonicalText gives an expression's text without comments and without the
// spaces that mean nothing, so that reformatting a spec starts no rebuild.
//
// It is lexical on purpose. The unparser of the CEL library would also see
// through parentheses and quotes, but its output is the library's to change, and
// every projection would be rebuilt when it does.
func canonicalText(source string) string {
	var b strings.Builder
	var last string
	gap := false
	for i := 0; i < len(source); {
		if n := spaceLength(source[i:]); n > 0 {
			i, gap = i+n, true
			continue
		}
		n := tokenLength(source[i:])
		token := source[i : i+n]
		if gap && keepsGap(last, token) {
			b.WriteByte(' ')
		}
		b.WriteString(token)
		i, gap, last = i+n, false, token
	}
	return b.String()
}

// spaceLength is the length of the white space or comment that s begins with.
func spaceLength(s string) int {
	switch {
	case strings.HasPrefix(s, "//"):
		if end := strings.IndexByte(s, '\n'); end >= 0 {
			return end + 1
		}
		return len(s)
	case strings.IndexByte(" \t\n\f\r", s[0]) >= 0:
		return 1
	default:
		return 0
	}
}

// keepsGap tells whether two tokens would read otherwise without the space
// between them: words run together, but a member stays one on a line of its own.
func keepsGap(last, token string) bool {
	if last == "" || !word(last[len(last)-1]) || !word(token[0]) {
		return false
	}
	if token[0] == '.' {
		return last == "in" || (len(token) > 1 && '0' <= token[1] && token[1] <= '9')
	}
	return last[len(last)-1] != '.'
}

func word(c byte) bool {
	return c == '_' || c == '\'' || c == '"' || c == '.' || c >= 0x80 ||
		('0' <= c && c <= '9') || ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z')
}

// tokenLength is the length of the token that s begins with: a literal with
// quotes as a whole, a run of word characters, or one character.
func tokenLength(s string) int {
	n := 0
	for n < len(s) && word(s[n]) {
		if s[n] == '\'' || s[n] == '"' {
			return n + literalLength(s[n:], strings.ContainsAny(s[:n], "rR"))
		}
		n++
	}
	return max(n, 1)
}

// literalLength is the length of the literal in quotes that s begins with, or
// of all of s when it has no end.
func literalLength(s string, raw bool) int {
	quote := s[:1]
	if strings.HasPrefix(s, strings.Repeat(quote, 3)) {
		quote = s[:3]
	}
	for i := len(quote); i < len(s); i++ {
		if s[i] == '\\' && !raw {
			i++
			continue
		}
		if strings.HasPrefix(s[i:], quote) {
			return i + len(quote)
		}
	}
	return len(s)
}
