// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package scaffold

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var uuidText = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

// typeOf gives the column type that takes a value; empty for null, which says nothing.
func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return "bool"
	case json.Number:
		return typeOfNumber(v.String())
	case string:
		return typeOfText(v)
	case []any:
		return typeOfList(v)
	default:
		return "json"
	}
}

func typeOfNumber(s string) string {
	if strings.ContainsAny(s, "eE") {
		return "float64"
	}
	_, fraction, ok := strings.Cut(s, ".")
	if !ok {
		if _, err := json.Number(s).Int64(); err != nil {
			return "decimal(38,0)"
		}
		return "int64"
	}
	return decimal(len(fraction))
}

// decimal is the type for money and quantities with so many digits after the point.
func decimal(scale int) string {
	if scale > 18 {
		return "float64"
	}
	return "decimal(" + strconv.Itoa(max(18, scale+10)) + "," + strconv.Itoa(max(2, scale)) + ")"
}

func typeOfText(s string) string {
	switch {
	case uuidText.MatchString(s):
		return "uuid"
	case parses(time.RFC3339Nano, s):
		return "timestamp"
	case parses(time.DateOnly, s):
		return "date"
	default:
		return "text"
	}
}

func parses(layout, s string) bool {
	_, err := time.Parse(layout, s)
	return err == nil
}

func typeOfList(items []any) string {
	t := ""
	for _, item := range items {
		t = widen(t, typeOf(item))
	}
	switch {
	case t == "json", t == "bytes", strings.HasSuffix(t, "[]"), t == "":
		return "json"
	default:
		return t + "[]"
	}
}

// widen gives the column type that takes values of both; an empty one is that of null.
func widen(a, b string) string {
	switch {
	case a == b, b == "":
		return a
	case a == "":
		return b
	case numeric(a) && numeric(b):
		return widerNumber(a, b)
	case textual(a) && textual(b):
		return "text"
	default:
		return "json"
	}
}

func numeric(t string) bool {
	return t == "int32" || t == "int64" || t == "float64" || strings.HasPrefix(t, "decimal(") && !strings.HasSuffix(t, "[]")
}

func textual(t string) bool {
	return t == "text" || t == "uuid" || t == "timestamp" || t == "date" || t == "time"
}

func widerNumber(a, b string) string {
	for _, t := range []string{"float64", "decimal(38,0)"} {
		if a == t || b == t {
			return t
		}
	}
	if !strings.HasPrefix(a, "decimal") {
		a, b = b, a
	}
	switch {
	case !strings.HasPrefix(a, "decimal"):
		return "int64"
	case !strings.HasPrefix(b, "decimal") || scaleOf(a) >= scaleOf(b):
		return a
	default:
		return b
	}
}

func scaleOf(t string) string {
	_, scale, _ := strings.Cut(t, ",")
	return strings.Repeat("0", 3-len(scale)) + scale
}
