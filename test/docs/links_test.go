// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// links gives the line and target of every link in a Markdown text outside of code.
func links(text string) map[string]int {
	out := map[string]int{}
	fenced := false
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if fenced {
			continue
		}
		for _, m := range inline.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, ""), -1) {
			if _, seen := out[m[1]]; !seen {
				out[m[1]] = i + 1
			}
		}
	}
	return out
}

var (
	// A target ends at the first space or parenthesis: no file here has either in its name.
	inline   = regexp.MustCompile(`\]\(<?([^)>\s]+)`)
	codeSpan = regexp.MustCompile("`[^`]*`")
	// What a heading's anchor leaves out.
	dropped = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors gives the fragments that GitHub makes of a text's headings.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	count := map[string]int{}
	fenced := false
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		title := strings.TrimLeft(line, "#")
		if fenced || title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		a := strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-")
		if n := count[a]; n > 0 {
			out[a+"-"+strconv.Itoa(n)] = true
		} else {
			out[a] = true
		}
		count[a]++
	}
	return out
}

// broken says why a link leads nowhere, "" where it does not.
func broken(from, target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "it is no link"
	}
	if u.Scheme != "" || u.Host != "" {
		return ""
	}
	path := from
	if u.Path != "" {
		path = filepath.Join(filepath.Dir(from), filepath.FromSlash(u.Path))
	}
	if inside, err := filepath.Rel(root, path); err != nil || strings.HasPrefix(inside, "..") {
		return "it leads out of the repository"
	}
	info, err := os.Stat(path)
	if err != nil {
		return "there is no such file"
	}
	if u.Fragment == "" || info.IsDir() || filepath.Ext(path) != ".md" {
		return ""
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if !anchors(string(text))[u.Fragment] {
		return "there is no such heading"
	}
	return ""
}

// pages calls see for every Markdown file of the repository, by its path from the root.
func pages(t *testing.T, see func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == ".git" || e.Name() == "bin") {
			return filepath.SkipDir
		}
		if e.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			see(strings.TrimPrefix(path, root+"/"), string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRelativeLinks(t *testing.T) {
	checked := 0
	pages(t, func(path, text string) {
		for target, line := range links(text) {
			checked++
			if why := broken(filepath.Join(root, path), target); why != "" {
				t.Errorf("%s:%d: %s: %s", path, line, target, why)
			}
		}
	})
	if checked == 0 {
		t.Error("no link was found")
	}
}

func TestBrokenLinksAreSeen(t *testing.T) {
	text := "# A Heading, `x` & more\n[a](README.md#no) `[c](gone.md)` [b](gone.md)\n```\n[d](gone.md)\n```\n"
	from := filepath.Join(root, "docs", "x.md")
	for target, want := range map[string]string{
		"gone.md": "there is no such file", "../../x": "it leads out of the repository", "architecture.md#nowhere": "there is no such heading",
		"architecture.md": "", "architecture.md#the-life-of-an-event": "", "https://example.com/gone": "", "kinds": "",
	} {
		if got := broken(from, target); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	if got := links(text); len(got) != 2 || got["gone.md"] != 2 {
		t.Errorf("links: %v", got)
	}
	if got := anchors(text); !got["a-heading-x--more"] {
		t.Errorf("anchors: %v", got)
	}
}
