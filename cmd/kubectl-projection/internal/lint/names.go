// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/schemas"
)

// taken finds resources that are there twice in one directory: the later would overwrite the earlier. Directories may
// hold variants of each other.
func (l *linter) taken() {
	for i, o := range l.set.Objects {
		for _, other := range l.set.Objects[:i] {
			if o.Kind == other.Kind && o.Name == other.Name && o.Name != "" && o.Namespace == other.Namespace &&
				filepath.Dir(o.File.Name) == filepath.Dir(other.File.Name) {
				l.field(o, "metadata.name", false, Finding{
					Severity: Error, Reason: ReasonNameTaken,
					Message: fmt.Sprintf("%s is there already, at %s", o, other.Locate("metadata.name").Key),
					Fix:     "rename one of them, or remove it",
				})
				break
			}
		}
	}
}

// tables finds models of two projections that write one view of one store: the second is refused when its tables are
// prepared.
func (l *linter) tables() {
	type view struct {
		store *manifests.Object
		name  string
	}
	first := map[view]manifests.Of[v1alpha1.Projection]{}
	for _, p := range l.workspace.Projections {
		store := l.workspace.Around(p).Objects[manifests.KindReadStore+" "+p.Value.Spec.StoreRef.Name]
		for _, m := range p.Value.Spec.Models {
			v := view{store, m.Name}
			other, ok := first[v]
			if !ok {
				first[v] = p
				continue
			}
			if other.Object == p.Object || m.Name == "" || store == nil {
				continue
			}
			l.field(p.Object, "spec.models["+m.Name+"].name", false, Finding{
				Severity: Error, Reason: ReasonNameTaken,
				Message: fmt.Sprintf("%s has a model of this name in the same ReadStore, at %s: both would be the view %s", other, other.Locate("spec.models["+m.Name+"].name").Value, m.Name),
				Fix:     "rename one of them",
			})
		}
	}
}

// names lists the resources of a kind.
func (l *linter) names(kind string) []string {
	var out []string
	for _, o := range l.set.Objects {
		if o.Kind == kind {
			out = append(out, o.Name)
		}
	}
	return out
}

// missing says where the target of a reference was looked for, and what is there.
func (l *linter) missing(o *manifests.Object, path, fix string) (at, better string) {
	place := o.Locate(path)
	name, kind := place.Text(), referred(path)
	if inner := o.Locate(path + ".name"); inner.Found {
		place, name, path = inner, inner.Text(), path+".name"
	}
	if kind == "" || !place.Found {
		return path, fix
	}
	looked := fmt.Sprintf("looked in %s (%s)", strings.Join(l.set.Paths, ", "), output.Count(len(l.set.Files), "file"))
	var names []string
	for _, other := range l.set.Objects {
		if other.Kind != kind {
			continue
		}
		if other.Name == name {
			return path, fmt.Sprintf("there is one in namespace %s, and references never cross a namespace; %s", other.Namespace, looked)
		}
		if manifests.SameNamespace(other.Namespace, o.Namespace) {
			names = append(names, other.Name)
		}
	}
	slices.Sort(names)
	switch near := schemas.Nearest(name, names); {
	case near != "":
		return path, fmt.Sprintf("did you mean %s? %s", near, capital(looked))
	case len(names) > 0:
		return path, fmt.Sprintf("there is %s; %s: correct the name, or name the file that has it too", strings.Join(names[:min(len(names), 5)], ", "), looked)
	default:
		return path, looked + ", where there is no " + kind + ": name the file that has it too"
	}
}

// referred is the kind that a reference at a path names.
func referred(path string) string {
	switch {
	case strings.HasSuffix(path, "brokerRef"):
		return manifests.KindEventBroker
	case strings.HasSuffix(path, "projectionRef"):
		return manifests.KindProjection
	case strings.HasSuffix(path, "storeRef"):
		return manifests.KindReadStore
	case strings.HasPrefix(path, "spec.topics["):
		return manifests.KindEventTopic
	default:
		return ""
	}
}

func capital(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] }
