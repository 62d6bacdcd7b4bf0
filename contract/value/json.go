// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"
)

// maxJSONDepth bounds the nesting of a json value.
const maxJSONDepth = 300

func convertJSON(in any) (Value, error) {
	b, err := appendJSON(nil, in, 0)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxTextBytes {
		return nil, errf("longer than %d bytes as JSON", MaxTextBytes)
	}
	return JSON(b), nil
}

// appendJSON writes the canonical text: keys sorted bytewise, no spaces,
// numbers as plain digits where that is short.
func appendJSON(dst []byte, in any, depth int) ([]byte, error) {
	if depth > maxJSONDepth {
		return nil, errf("nested deeper than %d levels", maxJSONDepth)
	}
	switch x := in.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, x), nil
	case int64:
		return strconv.AppendInt(dst, x, 10), nil
	case uint64:
		return strconv.AppendUint(dst, x, 10), nil
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, errf("not a finite number")
		}
		return strconv.AppendFloat(dst, x, 'g', -1, 64), nil
	case *apd.Decimal:
		if x.Form != apd.Finite {
			return nil, errf("not a finite number")
		}
		return x.Append(dst, 'G'), nil
	case string:
		return appendJSONString(dst, x)
	case JSON:
		return append(dst, x...), nil
	case time.Time:
		return appendJSONString(dst, formatTime(x))
	case []any:
		dst = append(dst, '[')
		for i, e := range x {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendJSON(dst, e, depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		dst = append(dst, '{')
		for i, k := range slices.Sorted(maps.Keys(x)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendJSONString(dst, k); err != nil {
				return nil, err
			}
			if dst, err = appendJSON(append(dst, ':'), x[k], depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	default:
		return nil, errf("%s, expected a JSON value", Describe(in))
	}
}

const hexDigits = "0123456789abcdef"

func appendJSONString(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, errf("not valid UTF-8")
	}
	if strings.IndexByte(s, 0) >= 0 {
		return nil, errf("a string with a NUL character, which a json column cannot hold")
	}
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"'), nil
}
