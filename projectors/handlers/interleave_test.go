// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	specs "github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/contract/compile/compiletest"
	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
)

// The ordering rule holds for what projectors run, and not only for the
// interpreter of contract/compile's own test: whatever is admitted gives the same
// rows and refuses the same events, however partitions interleave.
func TestNoAdmittedRowDependsOnInterleaving(t *testing.T) {
	admitted, refused := 0, 0
	check := func(rt *rapid.T) {
		c := admit(t, compiletest.Spec(rt))
		if c == nil {
			return
		}
		admitted++
		p := compile(t, c)
		arrival := specs.Explain(c)[0].Arrival
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		for range 20 {
			partitions := compiletest.Partitions(random)
			x, bad := run(t, p, compiletest.Interleave(random, partitions))
			y, alsoBad := run(t, p, compiletest.Interleave(random, partitions))
			refused += len(bad)
			if c.Models[0].Order != "" && len(bad)+len(alsoBad) > 0 {
				continue // By consent, chance decides which events are refused.
			}
			if !slices.Equal(bad, alsoBad) || !reflect.DeepEqual(without(&p.models[0], x, arrival), without(&p.models[0], y, arrival)) {
				rt.Fatalf("rows differ:\n%v refused %v\n%v refused %v\nmodel: %+v\npartitions: %v\nleft out: %v", x, bad, y, alsoBad, c.Models[0], partitions, arrival)
			}
		}
	}
	for range 2 {
		rapid.Check(t, check)
	}
	t.Logf("%d specs were admitted, %d events refused", admitted, refused)
	if admitted < 50 || refused == 0 {
		t.Errorf("only %d specs were admitted, %d events refused", admitted, refused)
	}
}

// admit compiles a drawn spec; nil where it is refused.
func admit(t *testing.T, spec string) *contract.Contract {
	t.Helper()
	in := specs.Input{
		Projection: &v1alpha1.Projection{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n"}},
		Brokers:    []v1alpha1.EventBroker{{ObjectMeta: metav1.ObjectMeta{Name: "main"}, Spec: v1alpha1.EventBrokerSpec{Kafka: &v1alpha1.KafkaBroker{}}}},
		Stores: []v1alpha1.ReadStore{{ObjectMeta: metav1.ObjectMeta{Name: "read"}, Spec: v1alpha1.ReadStoreSpec{
			Postgres: v1alpha1.PostgresStore{SecretRef: v1alpha1.LocalRef{Name: "db"}},
		}}},
	}
	if err := yaml.UnmarshalStrict([]byte(spec), &in.Projection.Spec); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict([]byte(compiletest.Topics), &in.Topics); err != nil {
		t.Fatal(err)
	}
	c, _ := specs.Compile(in)
	return c
}

// run folds events one by one, and gives the rows and the numbers of the events that were refused, sorted.
func run(t *testing.T, p *Program, events []compiletest.Message) (rows [][]value.Value, refused []int) {
	t.Helper()
	state, ev := naive.New(p.models), p.NewEvaluator()
	for i, e := range events {
		rec := &event.Record{Offset: int64(i), Key: []byte(e.Key()), Value: e.JSON()}
		effects, _, err := ev.Handle(event.TopicPartition{Topic: e.Topic}, rec, nil)
		if err != nil {
			t.Fatalf("%v in %s", err, e.JSON())
		}
		if err = state.Apply(effects...); err != nil {
			refused = append(refused, e.Number)
		}
	}
	slices.Sort(refused)
	return state.Rows(0), refused
}

// without writes rows without columns; where these are all, it is not asked either which rows there are.
func without(m *fold.Model, rows [][]value.Value, columns []string) []string {
	all := true
	var out []string
	for i := range m.Columns {
		all = all && (slices.Contains(m.Key, i) || m.Columns[i].Name == contract.DeletedColumn || slices.Contains(columns, m.Columns[i].Name))
	}
	if all {
		return nil
	}
	for _, row := range rows {
		line := ""
		for i := range m.Columns {
			switch col := &m.Columns[i]; {
			case slices.Contains(columns, col.Name):
			case row[i] == nil:
				line += col.Name + "=NULL "
			default:
				line += fmt.Sprintf("%s=%q ", col.Name, col.Type.Format(row[i]))
			}
		}
		out = append(out, line)
	}
	return out
}
