// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

const fromForms = "give earliest, a time such as 2026-11-01T00:00:00Z, a duration back from now such as 36h or 7d, or positions such as readings/0=123456,readings/1=99"

// ParseFrom reads where a Replay begins, as the command line has it. A duration back becomes the time that it is.
func ParseFrom(text string, now time.Time) (v1alpha1.ReplayFrom, error) {
	var out v1alpha1.ReplayFrom
	if text == "earliest" {
		out.Earliest = &v1alpha1.ReplayEarliest{}
		return out, nil
	}
	if strings.Contains(text, "=") {
		return positions(text)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		back, ok := duration(text)
		if !ok {
			return out, fmt.Errorf("--from is %q: %s", text, fromForms)
		}
		at = now.Add(-back)
	}
	if at.After(now) {
		return out, fmt.Errorf("--from is %q, which lies in the future: %s", text, fromForms)
	}
	out.Time = ptr.To(metav1.NewTime(at.UTC().Truncate(time.Second)))
	return out, nil
}

// duration reads a Go duration, or a number of days, which must be positive.
func duration(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}

func positions(text string) (out v1alpha1.ReplayFrom, err error) {
	for _, item := range strings.Split(text, ",") {
		where, position, _ := strings.Cut(item, "=")
		topic, number, _ := strings.Cut(where, "/")
		partition, failed := strconv.ParseInt(number, 10, 32)
		offset, alsoFailed := strconv.ParseInt(position, 10, 64)
		if topic == "" || failed != nil || alsoFailed != nil || partition < 0 || offset < 0 {
			return out, fmt.Errorf("--from has %q, which is no TOPIC/PARTITION=POSITION: %s", item, fromForms)
		}
		out.Positions = append(out.Positions, v1alpha1.ReplayPosition{Topic: topic, Partition: ptr.To(int32(partition)), Position: string(contract.OffsetPosition(offset))})
	}
	return out, nil
}
