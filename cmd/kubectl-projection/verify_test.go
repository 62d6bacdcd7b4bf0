// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/local"
)

// What verify takes from a cluster: the contract of the revision, and the Secrets that it names, no others.
func TestDeployed(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"reads-app", "another"} {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.projection.Namespace, Name: name}, Data: map[string][]byte{"username": []byte(name)}}
		if err := w.client.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	asked := map[string]bool{}
	forbidden := false
	c := cluster.New(interceptor.NewClient(w.client.(client.WithWatch), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, ok := o.(*corev1.Secret); ok {
				asked[key.Name] = true
				if forbidden {
					return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, key.Name, nil)
				}
			}
			return c.Get(ctx, key, o, opts...)
		},
	}), w.projection.Namespace, nil)
	get := func(o local.VerifyOptions, revision string) (*local.Deployed, error) {
		o.Projection = "order-summary"
		return deployed(t.Context(), c, &o, revision)
	}
	d, err := get(local.VerifyOptions{}, "")
	if err != nil {
		t.Fatal(err)
	}
	if d.Contract.Revision != w.active.Revision || len(d.Mounted) != 1 || string(d.Mounted[0].Data["username"]) != "reads-app" || len(asked) != 1 {
		t.Errorf("%+v, asked for %v", d, asked)
	}
	if d, err = get(local.VerifyOptions{}, w.active.Revision[:4]); err != nil || d.Contract.Revision != w.active.Revision {
		t.Errorf("by the beginning of its name: %+v (%v)", d, err)
	}
	if _, err = get(local.VerifyOptions{}, "0000"); err == nil || !strings.Contains(err.Error(), "there are "+w.active.Revision) {
		t.Errorf("an unknown revision: %v", err)
	}
	if d.Projection.Spec.Rollout.Verify != nil {
		t.Errorf("verified by %+v", d.Projection.Spec.Rollout.Verify)
	}
	// What a Replay has built is verified as that says, and what others have built is not.
	w.attempt("u-again")
	for _, name := range []string{"another", "again"} {
		o := &v1alpha1.Replay{ObjectMeta: metav1.ObjectMeta{Namespace: w.projection.Namespace, Name: name, UID: types.UID("u-" + name)}}
		o.Spec.ProjectionRef.Name, o.Spec.Verify = w.projection.Name, &v1alpha1.Verify{Assertions: []v1alpha1.Assertion{{Name: name}}}
		if err := w.client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if d, err = get(local.VerifyOptions{}, ""); err != nil || d.Projection.Spec.Rollout.Verify == nil || d.Projection.Spec.Rollout.Verify.Assertions[0].Name != "again" {
		t.Errorf("verified by %+v (%v)", d.Projection.Spec.Rollout.Verify, err)
	}
	forbidden = true
	if _, err = get(local.VerifyOptions{}, ""); err == nil || !strings.Contains(err.Error(), "you may not read reads-app in namespace shop: give what they hold with --secrets") {
		t.Errorf("without the right: %v", err)
	}
	if _, err = get(local.VerifyOptions{Secrets: "dir"}, ""); err != nil {
		t.Errorf("without the right, with --secrets: %v", err)
	}
	if d, err = get(local.VerifyOptions{Store: "memory:"}, ""); err != nil || len(d.Mounted) != 0 {
		t.Errorf("a store of one's own: %+v (%v)", d, err)
	}
	if d.Contract.Store.Postgres == nil {
		t.Error("the contract was changed")
	}
}
