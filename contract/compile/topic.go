// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/expr"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// topic is a topic of the contract with what the checks need to know of it.
type topic struct {
	contract.Topic
	// keyedBy is the canonical text of KeyedBy; empty when it is not declared or does not compile.
	keyedBy string
}

// CheckTopic gives what is wrong with an EventTopic's own expressions.
func CheckTopic(t *v1alpha1.EventTopic) []Problem {
	var problems []Problem
	compileTopic(t, &problems)
	for i := range problems {
		problems[i].Object = ""
	}
	return sortProblems(problems)
}

func compileTopic(resource *v1alpha1.EventTopic, problems *[]Problem) *topic {
	r := reporter{object: "EventTopic " + resource.Name, problems: problems}
	t := &topic{Topic: Topic(resource)}
	if t.Format != string(v1alpha1.EventFormatJSON) {
		r.add(Error, ReasonUnsupported, "format", "format %q is not known to this release; use %s", t.Format, v1alpha1.EventFormatJSON)
	}
	if p := r.topicExpression("keyedBy", t.KeyedBy); p != nil {
		t.keyedBy = p.Canonical()
		switch p.Type() {
		case expr.TypeList, expr.TypeMap, expr.TypeOptional, expr.TypeNull, expr.TypeDouble, expr.TypeBytes, expr.TypeOther:
			r.invalid("keyedBy", "a message key is compared with the expression's text, and a %s has none; name a text, a whole number or a bool", p.Type())
		default:
			if p.IsConstant() {
				r.invalid("keyedBy", "the expression is a constant, so that all events would have one message key; name what producers key the topic by, for example event.orderId")
			}
		}
	}
	text, at := value.Type{Kind: value.Text}, value.Type{Kind: value.Timestamp}
	r.topicField("event.type", t.EventType, text, "string(...)")
	r.topicField("event.id", t.EventID, text, "string(...)")
	r.topicField("event.time", t.EventTime, at, "timestamp(...)")
	return t
}

func (r reporter) topicExpression(path, source string) *expr.Program {
	if source == "" {
		return nil
	}
	p, err := expr.Compile(source, expr.Options{Scope: expr.ScopeTopic})
	if err != nil {
		r.invalid(path, "%s", err)
		return nil
	}
	return p
}

func (r reporter) topicField(path, source string, t value.Type, hint string) {
	p := r.topicExpression(path, source)
	if p == nil {
		return
	}
	if p.Type() == expr.TypeNull || p.CheckColumn(t) != nil {
		r.invalid(path, "the expression is a %s, and must be a %s; write %s", p.Type(), t, hint)
	}
}
