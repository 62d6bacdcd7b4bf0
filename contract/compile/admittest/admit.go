// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admittest compiles the specs that compiletest draws, for tests of what runs them. It is apart from that, which the
// compiler's own tests use.
package admittest

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/contract/compile/compiletest"
)

// Admit compiles a drawn spec, and says which columns depend on arrival; nil where it is refused.
func Admit(t testing.TB, spec string) (*contract.Contract, map[string][]string) {
	t.Helper()
	in := compile.Input{
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
	c, _ := compile.Compile(in)
	if c == nil {
		return nil, nil
	}
	return c, map[string][]string{"m": compile.Explain(c)[0].Arrival}
}
