// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"testing"
)

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		name, have, want string
		covers           bool
	}{
		{"same", `{"a":1}`, `{"a":1}`, true},
		{"defaults do not matter", `{"a":1,"b":2}`, `{"a":1}`, true},
		{"another value", `{"a":1}`, `{"a":2}`, false},
		{"missing", `{}`, `{"a":1}`, false},
		{"empty is as good as missing", `{}`, `{"a":{},"b":[],"c":null}`, true},
		{"deep", `{"a":{"b":{"c":1}}}`, `{"a":{"b":{"c":2}}}`, false},
		{"injected entry of a keyed list", `{"containers":[{"name":"sidecar"},{"name":"projector","image":"x"}]}`, `{"containers":[{"name":"projector","image":"x"}]}`, true},
		{"lost entry of a keyed list", `{"env":[{"name":"A","value":"1"}]}`, `{"env":[{"name":"A","value":"1"},{"name":"B","value":"2"}]}`, false},
		{"plain list", `{"args":["run"]}`, `{"args":["run"]}`, true},
		{"plain list with more", `{"args":["run","x"]}`, `{"args":["run"]}`, false},
		{"scalar for a map", `{"a":"x"}`, `{"a":{"b":1}}`, false},
	} {
		var have, want any
		if json.Unmarshal([]byte(c.have), &have) != nil || json.Unmarshal([]byte(c.want), &want) != nil {
			t.Fatal(c.name)
		}
		if got := covers(have, want); got != c.covers {
			t.Errorf("%s: %t", c.name, got)
		}
	}
	if !covers(map[string]any{"n": int64(3)}, map[string]any{"n": float64(3)}) {
		t.Error("numbers of two Go types differ")
	}
}
