// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"reflect"
)

// listKeys are the fields by which entries of lists are matched, in the order
// in which they are tried; lists of anything else are compared whole.
var listKeys = []string{"uid", "mountPath", "containerPort", "name", "topologyKey"}

// covers reports whether every field of want has the same value in have. What
// have holds beside it (defaults, other managers' fields, injected entries of
// keyed lists) does not matter.
func covers(have, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return len(w) == 0 && have == nil
		}
		for k, v := range w {
			hv, there := h[k]
			if !there && !empty(v) {
				return false
			}
			if there && !covers(hv, v) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok {
			return len(w) == 0 && have == nil
		}
		if key := keyOf(w); key != "" {
			return coversKeyed(h, w, key)
		}
		if len(h) != len(w) {
			return false
		}
		for i := range w {
			if !covers(h[i], w[i]) {
				return false
			}
		}
		return true
	default:
		return equal(have, want)
	}
}

func coversKeyed(have, want []any, key string) bool {
	for _, w := range want {
		found := false
		for _, h := range have {
			hm, ok := h.(map[string]any)
			if ok && equal(hm[key], w.(map[string]any)[key]) {
				found = covers(hm, w)
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// keyOf is the key that all entries of a list have, "" if there is none.
func keyOf(list []any) string {
	for _, key := range listKeys {
		all := len(list) > 0
		for _, e := range list {
			m, ok := e.(map[string]any)
			if !ok || m[key] == nil {
				all = false
				break
			}
		}
		if all {
			return key
		}
	}
	return ""
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	default:
		return false
	}
}

// equal compares scalars by their JSON form: int64 and float64 of one number are one.
func equal(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
