// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestParseFrom(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 999, time.UTC)
	for text, want := range map[string]string{
		"earliest":                  `{"earliest":{}}`,
		"2026-11-01T00:00:00Z":      `{"time":"2026-11-01T00:00:00Z"}`,
		"2026-11-01T02:00:00+02:00": `{"time":"2026-11-01T00:00:00Z"}`,
		"24h":                       `{"time":"2026-11-25T12:00:00Z"}`,
		"7d":                        `{"time":"2026-11-19T12:00:00Z"}`,
		"readings/0=123456":         `{"positions":[{"topic":"readings","partition":0,"position":"123456"}]}`,
		"a/0=007,b.c/12=0":          `{"positions":[{"topic":"a","partition":0,"position":"7"},{"topic":"b.c","partition":12,"position":"0"}]}`,
		"":                          "",
		"latest":                    "",
		"-1h":                       "",
		"0d":                        "",
		"2026-11-27T00:00:00Z":      "",
		"2026-11-01":                "",
		"readings=5":                "",
		"readings/0=-1":             "",
		"readings/0=1,":             "",
		"/0=1":                      "",
		"readings/x=1":              "",
	} {
		from, err := ParseFrom(text, now)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "--from") {
				t.Errorf("%q gives %+v, %v", text, from, err)
			}
			continue
		}
		if got, _ := json.Marshal(from); err != nil || string(got) != want {
			t.Errorf("%q gives %s, %v; want %s", text, got, err, want)
		}
	}
}
