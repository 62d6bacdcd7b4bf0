// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/goldentest"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
)

// damage alters a row, deletes one and adds one.
func (v *verified) damage() {
	v.Helper()
	v.sql("UPDATE @ SET on_hand = 5 WHERE sku = 'A'")
	v.sql("DELETE FROM @ WHERE sku = 'B'")
	v.sql("INSERT INTO @ VALUES ('by hand', 1)")
}

func repair(o *VerifyOptions) { o.Repair = true }

// TestRepair: what verification finds is mended, once and for all; where the handlers were changed nothing is touched.
func TestRepair(t *testing.T) {
	v := newVerified(t)
	if screen, err := v.verify(repair, output.Text); err != nil || strings.Contains(screen, "repaired") {
		t.Errorf("there is nothing to mend: %v\n%s", err, screen)
	}
	v.damage()
	write(t, v.dir+"/changed.yaml", strings.Replace(v.spec, "add: {on_hand: event.quantity}", "add: {on_hand: 2 * event.quantity}", 1))
	if screen, err := v.verify(func(o *VerifyOptions) { o.Repair, o.Files = true, []string{v.dir + "/changed.yaml"} }, output.Text); err == nil || errors.Is(err, output.ErrFound) ||
		!strings.Contains(err.Error(), "without a rebuild") || screen != "" {
		t.Fatalf("handlers that were changed: %v\n%s", err, screen)
	}
	if got := levels(t, v.dir+"/stock.yaml", v.store); got != "A 5, C 3, D 4, by hand 1" {
		t.Fatalf("the refusal has changed rows: %s", got)
	}
	screen, err := v.verify(repair, output.Text)
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Equal(t, "testdata/verify-repaired.golden", screen)
	if screen, err := v.verify(nil, output.Text); err != nil {
		t.Fatalf("after the repair: %v\n%s", err, screen)
	}
	if got := levels(t, v.dir+"/stock.yaml", v.store); got != "A 6, B 8, C 3, D 4" {
		t.Errorf("rows %s", got)
	}
	v.damage()
	screen, err = v.verify(func(o *VerifyOptions) { o.Repair, o.Limit = true, 1 }, output.JSON)
	var r VerifyReport
	if bad := json.Unmarshal([]byte(screen), &r); bad != nil || err != nil {
		t.Fatalf("%v, %v\n%s", err, bad, screen)
	}
	if r.Equal || r.Repaired == nil || r.Repaired.Written != 2 || r.Repaired.Deleted != 1 || len(r.Repaired.Positions) != 2 || len(r.Models[0].Differences) != 1 {
		t.Errorf("the report is %s", screen)
	}
}

func (v *verified) replay(change func(*ReplayKeysOptions), format output.Format, in string) (screen string, err error) {
	v.Helper()
	p, out, _ := printer()
	p.Format, p.In = format, strings.NewReader(in)
	o := ReplayKeysOptions{Where: VerifyOptions{Files: []string{v.dir + "/stock.yaml"}, Store: v.store}}
	change(&o)
	ctx, cancel := context.WithTimeout(v.Context(), time.Minute) // for a failure alone
	defer cancel()
	err = ReplayKeys(ctx, p, o)
	return seconds.ReplaceAllString(out.String(), "in 0.1 s"), err
}

// TestReplayKeys: the rows of the keys are made anew, and no others.
func TestReplayKeys(t *testing.T) {
	v := newVerified(t)
	v.damage()
	screen, err := v.replay(func(o *ReplayKeysOptions) { o.Keys = []string{"B", "D", `["B"]`} }, output.Text, "")
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Equal(t, "testdata/replay-keys.golden", screen)
	if got := levels(t, v.dir+"/stock.yaml", v.store); got != "A 5, B 8, C 3, D 4, by hand 1" {
		t.Errorf("rows %s", got)
	}
	write(t, v.dir+"/keys", "A\n\nnone\n")
	screen, err = v.replay(func(o *ReplayKeysOptions) { o.Model, o.KeysFile = "stock_level", v.dir+"/keys" }, output.JSON, "")
	var r ReplayKeysReport
	if bad := json.Unmarshal([]byte(screen), &r); bad != nil || err != nil || r.Keys != 2 || r.Written != 1 || r.Deleted != 0 || r.Equal != 1 || r.Events != 6 || len(r.Positions) != 2 {
		t.Errorf("%v, %v\n%s", err, bad, screen)
	}
	if _, err = v.replay(func(o *ReplayKeysOptions) { o.KeysFile = "-" }, output.Text, "by hand\n"); err != nil {
		t.Error(err)
	}
	if screen, err := v.verify(nil, output.Text); err != nil {
		t.Errorf("%v\n%s", err, screen)
	}
	for want, change := range map[string]func(*ReplayKeysOptions){
		"there are no keys":                      func(*ReplayKeysOptions) {},
		"--keys: open ":                          func(o *ReplayKeysOptions) { o.KeysFile = v.dir + "/no" },
		`there is no model "x" in`:               func(o *ReplayKeysOptions) { o.Keys, o.Model = []string{"A"}, "x" },
		"key 1: an array of 2":                   func(o *ReplayKeysOptions) { o.Keys = []string{`["A", 1]`} },
		`no tables of projection c1/""/stock-le`: func(o *ReplayKeysOptions) { o.Keys, o.Where.Cluster = []string{"A"}, "c1" },
	} {
		if screen, err := v.replay(change, output.Text, ""); err == nil || !strings.Contains(err.Error(), want) || screen != "" {
			t.Errorf("error %v, want %q\n%s", err, want, screen)
		}
	}
}
