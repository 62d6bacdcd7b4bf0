// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/contract"
	specs "github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// What the operator and the command line say of a handler is what the projector does.
func TestExplainIsRight(t *testing.T) {
	blind, loading := 0, 0
	for _, name := range []string{"contract.yaml", "whole.yaml"} {
		text, err := os.ReadFile(filepath.Join("../../contract/compile/testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		c := &contract.Contract{}
		if err = yaml.UnmarshalStrict(text, c); err != nil {
			t.Fatal(err)
		}
		for i := range c.Topics {
			if c.Topics[i].KeyFormat == "Avro" {
				c.Topics[i].KeyFormat = "" // There is no registry here.
			}
		}
		p := compile(t, c)
		loads, fans := map[string]bool{}, map[string]bool{}
		note := func(h *handler) {
			loads[h.path] = h.loads || p.models[h.model].Finish != nil
			fans[h.path] = len(h.where) > 0
		}
		for _, topic := range p.topics {
			for _, h := range topic.tombstones {
				note(h)
			}
			for _, taker := range topic.dispatch.takers {
				note(taker.h)
			}
		}
		for _, m := range specs.Explain(c) {
			for _, h := range m.Handlers {
				path := fmt.Sprintf("models[%s].handlers[%s]", m.Name, h.Name)
				if is, known := loads[path]; !known || is != h.Loading || fans[path] != h.FanOut {
					t.Errorf("%s: loads %v, fans out %v; explained as %+v", path, is, fans[path], h)
				}
				if h.Loading {
					loading++
				} else {
					blind++
				}
			}
		}
	}
	if blind == 0 || loading == 0 {
		t.Errorf("%d blind, %d loading handlers", blind, loading)
	}
}

// contract/compile takes int(key) for the message key: no two message keys may give one number.
func TestNumbersInMessageKeysHaveOneSpelling(t *testing.T) {
	m := items(contract.Handler{Key: exprs("id", "int(key)"), Set: exprs("note", "'x'")})
	m.Columns[0].Type = "int64"
	p := compile(t, one(m))
	for key, good := range map[string]bool{"7": true, "-7": true, "0": true, "07": false, "+7": false, "-0": false} {
		rec := &event.Record{Key: []byte(key), Value: []byte("{}")}
		_, _, err := p.NewEvaluator().Handle(event.TopicPartition{Topic: "t"}, rec, nil)
		if (err == nil) != good {
			t.Errorf("key %s: %v", key, err)
		}
		if !good {
			wantError(t, err, "HandlerError: models[items].handlers[h0].key.id: int(key) is not written as that number usually is, so that two message keys could become one row: use key, in a text column")
		}
	}
}
