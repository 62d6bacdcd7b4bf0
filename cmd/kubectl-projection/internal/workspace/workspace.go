// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
)

// Workspace is what some manifests hold.
type Workspace struct {
	manifests.Resources
	// Problems are what keeps resources from being read as they are meant.
	Problems []manifests.Problem
}

// New takes a set of manifests.
func New(set *manifests.Set) *Workspace {
	w := &Workspace{}
	var more []manifests.Problem
	w.Resources, more = set.Resources()
	w.Problems = append(slices.Clone(set.Problems), more...)
	return w
}

// Projection finds the Projection of a name that is nearest to a directory.
func (w *Workspace) Projection(dir, namespace, name string) (manifests.Of[v1alpha1.Projection], error) {
	p, n, err := nearest(w.Projections, dir, namespace, name)
	if err == nil && n == 0 {
		err = fmt.Errorf("there is no Projection %q among the manifests; name its directory or file, too", name)
	}
	return p, err
}

// nearest finds an object by its name: in a directory and below it, else in the
// parent and below, and so on. It gives the number found, 0 or 1; several at the
// same distance are an error.
func nearest[T any](all []manifests.Of[T], dir, namespace, name string) (found manifests.Of[T], n int, err error) {
	var named []manifests.Of[T]
	for _, o := range all {
		if o.Name == name && manifests.SameNamespace(o.Namespace, namespace) {
			named = append(named, o)
		}
	}
	at := absolute(dir)
	for {
		var here []manifests.Of[T]
		for _, o := range named {
			if below(absolute(filepath.Dir(o.File.Name)), at) {
				here = append(here, o)
			}
		}
		switch {
		case len(here) == 1:
			return here[0], 1, nil
		case len(here) > 1:
			return found, 0, fmt.Errorf("there are several of %s: %s and %s; remove one, or keep each beside what refers to it",
				here[0].Object, here[0].Locate("").Value, here[1].Locate("").Value)
		}
		parent := filepath.Dir(at)
		if parent == at {
			return found, 0, nil
		}
		at = parent
	}
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

func below(dir, root string) bool {
	return dir == root || strings.HasPrefix(dir, strings.TrimSuffix(root, string(filepath.Separator))+string(filepath.Separator))
}

// Compiled is a projection that can run.
type Compiled struct {
	Projection manifests.Of[v1alpha1.Projection]
	// Topics are the EventTopics that it reads.
	Topics   []v1alpha1.EventTopic
	Contract *contract.Contract
	// HasBroker and HasStore tell whether the manifests hold them; what stands in
	// for them in the contract leads nowhere.
	HasBroker, HasStore bool
}

// RefusedError says why a projection cannot run.
type RefusedError struct {
	Projection string
	// Lines are the problems, one each, with their places.
	Lines []string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("Projection %s is not accepted:\n%s", e.Projection, strings.Join(e.Lines, "\n"))
}

// Surroundings are the resources that a projection refers to, as far as the manifests have them.
type Surroundings struct {
	Input compile.Input
	// Objects are those resources as problems of the compiler name them: "EventTopic orders".
	Objects map[string]*manifests.Object
	// Ambiguous says which names several resources bear, equally near.
	Ambiguous []error
}

// Around looks up what a projection refers to, each nearest to the file that refers to it.
func (w *Workspace) Around(p manifests.Of[v1alpha1.Projection]) Surroundings {
	out := Surroundings{Input: compile.Input{Projection: p.Value}, Objects: map[string]*manifests.Object{}}
	in := &out.Input
	take := func(o *manifests.Object, n int, err error) bool {
		if err != nil {
			out.Ambiguous = append(out.Ambiguous, err)
		}
		if n == 1 {
			out.Objects[o.String()] = o
		}
		return n == 1
	}
	dir := filepath.Dir(p.File.Name)
	for _, ref := range p.Value.Spec.Topics {
		t, n, err := nearest(w.Topics, dir, p.Namespace, ref.Name)
		if !take(t.Object, n, err) {
			continue
		}
		in.Topics = append(in.Topics, *t.Value)
		if broker := t.Value.Spec.BrokerRef.Name; !hasBroker(in.Brokers, broker) {
			if b, n, err := w.Broker(t); take(b.Object, n, err) {
				in.Brokers = append(in.Brokers, *b.Value)
			}
		}
	}
	if s, n, err := nearest(w.Stores, dir, p.Namespace, p.Value.Spec.StoreRef.Name); take(s.Object, n, err) {
		in.Stores = append(in.Stores, *s.Value)
	}
	return out
}

// Broker finds the EventBroker of a topic, nearest to it; n is the number found, 0 or 1.
func (w *Workspace) Broker(t manifests.Of[v1alpha1.EventTopic]) (b manifests.Of[v1alpha1.EventBroker], n int, err error) {
	return nearest(w.Brokers, filepath.Dir(t.File.Name), t.Namespace, t.Value.Spec.BrokerRef.Name)
}

func hasBroker(all []v1alpha1.EventBroker, name string) bool {
	return slices.ContainsFunc(all, func(b v1alpha1.EventBroker) bool { return b.Name == name })
}

// Compile gives the contract of a projection. EventBroker and ReadStore may be
// missing. The cluster is part of the identity under which tables are owned. It
// fails with *RefusedError.
func (w *Workspace) Compile(p manifests.Of[v1alpha1.Projection], cluster string) (*Compiled, error) {
	return w.CompileWith(p, cluster, func(*compile.Input) error { return nil })
}

// CompileWith is Compile after more has added what the manifests lack.
func (w *Workspace) CompileWith(p manifests.Of[v1alpha1.Projection], cluster string, more func(*compile.Input) error) (*Compiled, error) {
	out := &Compiled{Projection: p}
	refused := &RefusedError{Projection: p.Name}
	for _, problem := range w.Problems {
		if problem.Position.File == p.File.Name {
			refused.Lines = append(refused.Lines, problem.String())
		}
	}
	around := w.Around(p)
	for _, err := range around.Ambiguous {
		refused.Lines = append(refused.Lines, p.File.Name+": "+err.Error())
	}
	in, objects := around.Input, around.Objects
	in.Cluster = cluster
	if err := more(&in); err != nil {
		return nil, err
	}
	for i := range in.Topics {
		broker := in.Topics[i].Spec.BrokerRef.Name
		if out.HasBroker = hasBroker(in.Brokers, broker); !out.HasBroker {
			in.Brokers = append(in.Brokers, standInBroker(broker))
		}
	}
	if out.HasStore = len(in.Stores) > 0; !out.HasStore {
		in.Stores = append(in.Stores, standInStore(p.Value.Spec.StoreRef.Name))
	}
	c, problems := compile.Compile(in)
	for _, problem := range compile.Errors(problems) {
		refused.Lines = append(refused.Lines, place(p.Object, objects, problem)+": "+problem.String())
	}
	if len(refused.Lines) > 0 {
		return nil, refused
	}
	out.Contract, out.Topics = c, in.Topics
	return out, nil
}

// place finds where in the files a problem of the compiler is.
func place(p *manifests.Object, others map[string]*manifests.Object, problem compile.Problem) string {
	o := p
	if problem.Object != "" {
		if o = others[problem.Object]; o == nil {
			return p.File.Name
		}
	}
	return o.Spec(problem.Path).Key.String()
}

// standInBroker is an EventBroker for manifests that have none.
func standInBroker(name string) v1alpha1.EventBroker {
	b := v1alpha1.EventBroker{}
	b.Name = name
	b.Spec.Kafka = &v1alpha1.KafkaBroker{BootstrapServers: []string{"localhost:9092"}}
	b.Spec.SchemaRegistry = v1alpha1.SchemaRegistry{URLs: []string{"http://localhost:8081"}}
	return b
}

// standInStore is a ReadStore for manifests that have none.
func standInStore(name string) v1alpha1.ReadStore {
	s := v1alpha1.ReadStore{}
	s.Name = name
	s.Spec.Postgres = v1alpha1.PostgresStore{SecretRef: v1alpha1.LocalRef{Name: "none"}}
	return s
}
