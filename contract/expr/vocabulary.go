// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"github.com/projectionist-dev/projectionist/contract/jsondoc"
)

// vocabulary is which variables an expression may name.
type vocabulary struct {
	scope   Scope
	columns []Column
	// index finds a column by name; nil: there is no row.
	index map[string]int
	item  bool
	// members are Options.Members.
	members *jsondoc.Paths
}

func newVocabulary(o Options) *vocabulary {
	v := &vocabulary{scope: o.Scope, columns: o.Row, item: o.Item, members: o.Members}
	if o.Row != nil {
		v.index = make(map[string]int, len(o.Row))
		for i, c := range o.Row {
			v.index[c.Name] = i
		}
	}
	return v
}

// column finds the column of a variable row.x.
func (v *vocabulary) column(variable string) (int, bool) {
	name, ok := strings.CutPrefix(variable, v.prefix())
	if !ok {
		return 0, false
	}
	i, ok := v.index[name]
	return i, ok
}

// prefix is what the variables of columns begin with.
func (v *vocabulary) prefix() string {
	if v.scope == ScopeTable {
		return ""
	}
	return "row."
}

// help names what there is.
func (v *vocabulary) help() string {
	if v.scope == ScopeTable {
		return "there are " + v.tableHelp()
	}
	var names []string
	if v.scope == ScopeHandler || v.scope == ScopeTopic {
		names = append(names, "event")
	}
	if v.scope != ScopeRow {
		names = append(names, "key", "headers")
	}
	if v.index != nil {
		names = append(names, "row")
	}
	if v.item {
		names = append(names, "item", "index")
	}
	if v.scope == ScopeHandler || v.scope == ScopeTombstone {
		names = append(names, "and meta.topic, .partition, .position, .time, .type, .id")
	}
	return "there are " + strings.Join(names, ", ")
}

// refuse says why a declared variable is not there; "" if it is.
func (v *vocabulary) refuse(variable string) string {
	meta := strings.HasPrefix(variable, "meta.")
	switch {
	case strings.HasPrefix(variable, "row.") && v.index != nil && v.scope != ScopeTable:
		return ""
	case v.scope == ScopeTable:
		if _, ok := v.column(variable); ok {
			return ""
		}
		return variable + " is not there: this is a function of the table alone; " + v.help()
	case variable == "item" || variable == "index":
		if v.item {
			return ""
		}
		return variable + " is there in a handler with forEach only; " + v.help()
	case v.scope == ScopeTopic && meta:
		return variable + " is not there yet: an EventTopic's expressions read event, key and headers only"
	case v.scope == ScopeTombstone && variable == "event":
		return "event is not there: the handler takes records without a value (tombstone: true), which have key, headers and meta only"
	case v.scope == ScopeRow:
		return variable + " is not there: checks, generated columns and assertions are functions of row alone"
	}
	return ""
}

// baseVariables are the variables that do not depend on Options; refuse says which of them are there.
func baseVariables() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Variable("event", cel.DynType),
		cel.Variable("item", cel.DynType),
		cel.Variable("index", cel.IntType),
		cel.Variable("key", cel.StringType),
		cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("meta.topic", cel.StringType),
		cel.Variable("meta.partition", cel.IntType),
		cel.Variable("meta.position", cel.StringType),
		cel.Variable("meta.time", cel.TimestampType),
		cel.Variable("meta.type", cel.StringType),
		cel.Variable("meta.id", cel.StringType),
	}
}

var baseNames = []string{
	"event", "item", "index", "key", "headers", "meta.topic", "meta.partition", "meta.position", "meta.time", "meta.type", "meta.id",
}

// variables collects the variables that a checked expression reads: "row" stands
// beside each "row.x". An Error names the first that is not there.
func (v *vocabulary) variables(a *ast.AST) (map[string]bool, *Error) {
	vars := map[string]bool{}
	var failed *Error
	walk(a.Expr(), func(e, _ ast.Expr, bound *binding) bool {
		if e.Kind() != ast.IdentKind || failed != nil {
			return failed == nil
		}
		name, absolute := strings.CutPrefix(e.AsIdent(), ".")
		if !absolute && bound.has(name) {
			return false
		}
		if _, isColumn := v.column(name); !isColumn && !slices.Contains(baseNames, name) {
			return false
		} else if isColumn {
			vars["row"] = true
		}
		if why := v.refuse(name); why != "" {
			// The place of meta.time is its point.
			line, col := place(a, e.ID())
			failed = &Error{line, max(1, col-max(0, strings.LastIndexByte(name, '.'))), why}
		}
		vars[name] = true
		return false
	})
	return vars, failed
}

// near gives the candidate that a misspelt name most likely means, "" if none is close.
func near(name string, candidates []string) string {
	best, least := "", len(name)/3+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c), least+1); d <= least && (best == "" || d < least) {
			best, least = c, d
		}
	}
	return best
}

// distance is how many characters to insert, remove, replace or swap make b of a; limit or more is limit.
func distance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) >= limit || len(y)-len(x) >= limit {
		return limit
	}
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(y)], limit)
}

// didYouMean is a hint for a misspelt name, "" if none is close.
func didYouMean(name string, candidates []string, text func(string) string) string {
	if c := near(name, candidates); c != "" {
		return fmt.Sprintf(" (did you mean %s?)", text(c))
	}
	return ""
}
