// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
)

// Kinds of the group, and the one that only the command line knows.
const (
	KindEventBroker    = "EventBroker"
	KindEventTopic     = "EventTopic"
	KindReadStore      = "ReadStore"
	KindProjection     = "Projection"
	KindReplay         = "Replay"
	KindProjectionTest = "ProjectionTest"
)

// maxFileSize bounds a file, in bytes: more than the API server takes of an object, many times over.
const maxFileSize = 16 << 20

// File is a file that was read.
type File struct {
	// Name is its path as the user gave it, "-" for standard input.
	Name  string
	lines []string
}

// Line gives a line of the file, counted from 1, without its end; empty where there is none.
func (f *File) Line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	return f.lines[n-1]
}

// Object is one resource of the group in a file.
type Object struct {
	File                              *File
	APIVersion, Kind, Namespace, Name string
	// JSON is the resource as kubectl would send it.
	JSON []byte

	node *yaml.Node
	// firstLine is the number of lines before the document of the object.
	firstLine int
}

// String names the object, as problems name it: "EventTopic orders".
func (o *Object) String() string { return strings.TrimSpace(o.Kind + " " + o.Name) }

// Set is what some files and directories hold.
type Set struct {
	// Paths are what the user named, for messages.
	Paths   []string
	Files   []*File
	Objects []*Object
	// Problems are documents that are not YAML, keys that are given twice, and the like, by file and line.
	Problems []Problem
}

// Load reads files and directories (with their subdirectories, .yaml, .yml and .json alone), and standard input for
// "-". The error says what cannot be read.
func Load(paths []string, stdin io.Reader) (*Set, error) {
	s := &Set{Paths: paths}
	seen := map[string]bool{}
	for _, p := range paths {
		if p == "-" {
			data, err := io.ReadAll(io.LimitReader(stdin, maxFileSize))
			if err != nil {
				return nil, fmt.Errorf("standard input: %w", err)
			}
			s.add("-", data, true)
			continue
		}
		if err := s.walk(p, seen); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Set) walk(root string, seen map[string]bool) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		named := path == root
		if !named && !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			return nil
		}
		id, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if seen[id] {
			return nil
		}
		seen[id] = true
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Size() > maxFileSize {
			if named {
				return fmt.Errorf("%s: %d bytes are too many for manifests; at most %d are read", path, info.Size(), maxFileSize)
			}
			return nil
		}
		data, err := os.ReadFile(path) //nolint:gosec // the path is the user's own argument
		if err != nil {
			return err
		}
		s.add(path, data, named)
		return nil
	})
}

// add takes the documents of a file. What is not YAML is a problem where the file was named, or speaks of the group:
// a directory may hold templates and other things that are none of ours.
func (s *Set) add(name string, data []byte, named bool) {
	f := &File{Name: name}
	begins := f.split(data)
	used := named
	for _, d := range documents(f.lines) {
		text := data[begins[d.first]:begins[d.end]]
		ours := bytes.Contains(text, []byte(v1alpha1.GroupName))
		if !ours && !named {
			continue
		}
		if n := s.document(f, d.first, text, ours); n > 0 {
			used = true
		}
	}
	if used {
		s.Files = append(s.Files, f)
	}
}

// lineBreak is what the YAML parser counts as the end of a line (YAML 1.1, 5.4).
var lineBreak = regexp.MustCompile("\r\n|[\n\r\u0085\u2028\u2029]")

// split cuts a file into its lines. It gives where each begins, and where one after the last would.
func (f *File) split(data []byte) (begins []int) {
	at := 0
	for _, end := range append(lineBreak.FindAllIndex(data, -1), []int{len(data), len(data)}) {
		f.lines, begins = append(f.lines, string(data[at:end[0]])), append(begins, at)
		at = end[1]
	}
	return append(begins, len(data))
}

// span is a document's lines, from first to before end.
type span struct{ first, end int }

// documents cuts a file at its separators, as kubectl does.
func documents(lines []string) []span {
	var out []span
	first := 0
	for i, l := range lines {
		if strings.HasPrefix(l, "---") {
			out = append(out, span{first, i})
			first = i + 1
		}
	}
	return append(out, span{first, len(lines)})
}

// document takes one document, and says how many problems and objects it held.
func (s *Set) document(f *File, first int, text []byte, ours bool) int {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		s.Problems = append(s.Problems, syntaxProblem(f, first, text, err))
		return 1
	}
	if len(doc.Content) == 0 || !ours {
		return 0
	}
	data, err := k8syaml.YAMLToJSON(text)
	if err != nil {
		s.Problems = append(s.Problems, syntaxProblem(f, first, text, err))
		return 1
	}
	before := len(s.Objects) + len(s.Problems)
	s.object(f, first, resolve(doc.Content[0]), data)
	return len(s.Objects) + len(s.Problems) - before
}
