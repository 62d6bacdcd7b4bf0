// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// MaxName is the longest name that is also a DNS label and a label's value.
const MaxName = 63

// Digest is the first n hex digits of the SHA-256 of the parts, which are kept
// apart so that moving text between them changes it.
func Digest(n int, parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:n]
}

// Bounded joins parts with "-" into a DNS label of at most MaxName characters.
// Where the joined name is too long or holds what a label may not, it is cut
// and a hash of the whole keeps it apart from its like.
func Bounded(parts ...string) string {
	whole := strings.Join(parts, "-")
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		default:
			return '-'
		}
	}, whole)
	if name != "" && (name[0] < 'a' || name[0] > 'z') {
		name = "p" + name
	}
	if name == whole && len(name) <= MaxName && !strings.HasSuffix(name, "-") {
		return name
	}
	const hashLen = 8
	if limit := MaxName - hashLen - 1; len(name) > limit {
		name = name[:limit]
	}
	return strings.TrimRight(name, "-") + "-" + Digest(hashLen, parts...)
}

// RevisionName is the name of a revision's Deployment and PodDisruptionBudget.
func RevisionName(projection, revision string) string { return Bounded(projection, revision) }

// ContractName is the name of the ConfigMap that holds one exact contract of a
// revision: another contract gets another name, so that a projector that runs
// is never handed one that was not proven by a prepare.
func ContractName(projection, revision, contentDigest string) string {
	return Bounded(projection, revision, contentDigest)
}
