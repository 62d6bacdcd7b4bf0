// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// buckets are the lags that a projection's status has, the smallest first.
var buckets = []string{"0", "<100", "<1k", "<10k", "<100k", "<1M", ">1M"}

// liveLag keeps how far behind readers were at most while a revision was built beside what they see.
type liveLag struct {
	// active is what readers saw at the first look.
	active string
	// events is the greatest sum over the partitions, as projectors tell; -1 once a look lacked some of them.
	events int64
	// bucket is the greatest by the status, as an index into buckets, from 1; 0: none was there.
	bucket int
	looks  int
}

func (l *liveLag) look(v *View) {
	if l.active == "" {
		l.active = v.Status.ActiveRevision
	}
	builds := slices.ContainsFunc(v.Status.Revisions, func(r v1alpha1.RevisionStatus) bool {
		return r.Name != l.active && (r.State == v1alpha1.RevisionBuilding || r.State == v1alpha1.RevisionVerifying)
	})
	if l.active == "" || v.Status.ActiveRevision != l.active || !builds {
		return
	}
	l.looks++
	if g := v.progress(l.active); l.events < 0 || g.partitions == 0 || g.partitions < int(v.Status.Partitions) {
		l.events = -1
	} else {
		l.events = max(l.events, g.lag)
	}
	if r := v.Revision(l.active); r != nil {
		l.bucket = max(l.bucket, slices.Index(buckets, r.Lag)+1)
	}
}

// String gives the words, empty where nothing was built or nothing is known.
func (l *liveLag) String() string {
	switch {
	case l.looks == 0 || l.events < 0 && l.bucket == 0:
		return ""
	case l.events >= 0:
		return "at most " + output.Count(int(l.events), "event")
	}
	const from = ", by the status"
	switch b := buckets[l.bucket-1]; b[0] {
	case '<':
		return "below " + strings.TrimPrefix(b, "<") + " events" + from
	case '>':
		return "at times above " + strings.TrimPrefix(b, ">") + " events" + from
	}
	return "none" + from
}
