// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Command image writes a container image, as a docker-archive tar, from static binaries: no builder, no base image, no
// shell. The same inputs give the same bytes.
//
//	image [-label KEY=VALUE]... OUT.tar REF BINARY=/PATH/IN/IMAGE...
//
// The first binary is the entrypoint. Whatever is not named comes from nowhere: the image holds the binaries, a passwd
// and group file with the non-root user 65532, and an empty /tmp.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// nonRoot is the user that distroless images run as, too.
const nonRoot = 65532

// epoch stands for every time in the image, so that two builds of the same inputs are the same bytes.
var epoch = time.Unix(0, 0).UTC()

type labels map[string]string

func (l labels) String() string { return fmt.Sprint(map[string]string(l)) }

func (l labels) Set(kv string) error {
	key, value, ok := strings.Cut(kv, "=")
	if !ok || key == "" {
		return fmt.Errorf("want KEY=VALUE, got %q", kv)
	}
	l[key] = value
	return nil
}

// binary is one file of the image.
type binary struct {
	from string // on this machine
	to   string // absolute, in the image
}

func main() {
	set := labels{}
	flag.Var(set, "label", "an OCI label, `KEY=VALUE` (repeatable)")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: image [-label KEY=VALUE]... OUT.tar REF BINARY=/PATH/IN/IMAGE...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() < 3 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), flag.Args()[2:], set); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(out, ref string, args []string, set labels) error {
	tag, err := name.NewTag(ref, name.WithDefaultTag("latest"))
	if err != nil {
		return fmt.Errorf("image reference: %w", err)
	}
	binaries, err := parseBinaries(args)
	if err != nil {
		return err
	}
	files, err := layer(binaries)
	if err != nil {
		return err
	}
	img, err := build(files, binaries[0].to, tag, set)
	if err != nil {
		return err
	}
	return write(out, tag, img)
}

func parseBinaries(args []string) ([]binary, error) {
	binaries := make([]binary, 0, len(args))
	seen := map[string]bool{}
	for _, arg := range args {
		from, to, ok := strings.Cut(arg, "=")
		if !ok || !path.IsAbs(to) || path.Clean(to) != to || to == "/" {
			return nil, fmt.Errorf("want BINARY=/PATH/IN/IMAGE, got %q", arg)
		}
		if seen[to] {
			return nil, fmt.Errorf("%s is given twice", to)
		}
		seen[to] = true
		binaries = append(binaries, binary{from: from, to: to})
	}
	return binaries, nil
}

// layer is the tar of the image's files: directories before what they hold, in the order of their names.
func layer(binaries []binary) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	dirs := map[string]int64{"tmp": 0o1777, "etc": 0o755}
	files := map[string][]byte{
		"etc/passwd": []byte(fmt.Sprintf("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%[1]d:%[1]d:nonroot:/tmp:/sbin/nologin\n", nonRoot)),
		"etc/group":  []byte(fmt.Sprintf("root:x:0:\nnonroot:x:%d:\n", nonRoot)),
	}
	modes := map[string]int64{"etc/passwd": 0o644, "etc/group": 0o644}
	for _, b := range binaries {
		content, err := os.ReadFile(b.from)
		if err != nil {
			return nil, err
		}
		inner := strings.TrimPrefix(b.to, "/")
		files[inner], modes[inner] = content, 0o755
		for dir := path.Dir(inner); dir != "."; dir = path.Dir(dir) {
			if _, known := dirs[dir]; !known {
				dirs[dir] = 0o755
			}
		}
	}
	for _, dir := range sorted(dirs) {
		err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeDir, Name: dir + "/", Mode: dirs[dir], ModTime: epoch, Format: tar.FormatPAX,
		})
		if err != nil {
			return nil, err
		}
	}
	for _, file := range sorted(files) {
		err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: file, Mode: modes[file], Size: int64(len(files[file])), ModTime: epoch, Format: tar.FormatPAX,
		})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(files[file]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func build(files []byte, entrypoint string, tag name.Tag, set labels) (v1.Image, error) {
	rootFS, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files)), nil
	})
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, rootFS)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Created = v1.Time{Time: epoch}
	config.Config.User = fmt.Sprintf("%[1]d:%[1]d", nonRoot)
	config.Config.WorkingDir = "/tmp"
	config.Config.Entrypoint = []string{entrypoint}
	config.Config.Env = []string{"PATH=" + path.Dir(entrypoint), "HOME=/tmp"}
	config.Config.Labels = map[string]string{
		"org.opencontainers.image.title":   path.Base(tag.RepositoryStr()),
		"org.opencontainers.image.version": tag.TagStr(),
	}
	for key, value := range set {
		config.Config.Labels[key] = value
	}
	return mutate.ConfigFile(img, config)
}

// write puts the archive in its place in one step: whoever finds the file finds all of it.
func write(out string, tag name.Tag, img v1.Image) error {
	tmp, err := os.CreateTemp(filepath.Dir(out), filepath.Base(out)+".*")
	if err != nil {
		return err
	}
	err = errors.Join(tarball.Write(tag, img, tmp), tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), out)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
