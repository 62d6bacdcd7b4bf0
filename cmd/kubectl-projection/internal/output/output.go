// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"
)

// ErrFound is what a command returns when it ran and what it found is bad: problems, a failed test. It is printed
// already; the process ends with exit code 1.
var ErrFound = errors.New("problems were found")

// CodeError ends the process with an exit code of a command's own, for what it found; all is printed already.
type CodeError int

func (e CodeError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Format is a form of a command's answer.
type Format string

// The formats that every command has.
const (
	Text Format = "text"
	JSON Format = "json"
	YAML Format = "yaml"
)

// Printer is where a command reads and writes.
type Printer struct {
	In       io.Reader
	Out, Err io.Writer
	// Format is what the user asked for with -o.
	Format Format
	// Color is true where Out is a terminal, and neither NO_COLOR nor TERM=dumb is set.
	Color bool
	// Terminal is true where Out is a terminal, on which a screen can be drawn again in place.
	Terminal bool
}

// New gives a printer that writes text.
func New(in io.Reader, out, err io.Writer) *Printer {
	terminal := isTerminal(out) && os.Getenv("TERM") != "dumb"
	return &Printer{In: in, Out: out, Err: err, Format: Text, Terminal: terminal, Color: terminal && os.Getenv("NO_COLOR") == ""}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// FormatFlag adds the flag -o to a command, which takes text, json, yaml and the formats of that command alone.
func (p *Printer) FormatFlag(cmd *cobra.Command, more ...Format) {
	formats := append([]Format{Text, JSON, YAML}, more...)
	cmd.Flags().VarP(&formatValue{&p.Format, formats}, "output", "o", "form of the answer: "+join(formats))
	_ = cmd.RegisterFlagCompletionFunc("output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return strings.Split(join(formats), ", "), cobra.ShellCompDirectiveNoFileComp
	})
}

// Document writes v as JSON or YAML, by Format. Its form is that of its json tags.
func (p *Printer) Document(v any) error {
	if p.Format == YAML {
		data, err := yaml.Marshal(v)
		if err != nil {
			return err
		}
		_, err = p.Out.Write(data)
		return err
	}
	enc := json.NewEncoder(p.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Printf writes text to Out. Errors are those of a reader that went away, which ends the process anyway.
func (p *Printer) Printf(format string, args ...any) { _, _ = fmt.Fprintf(p.Out, format, args...) }

// The styles of text: SGR parameters of ANSI terminals.
const (
	Bold   = "1"
	Faint  = "2"
	Red    = "1;31"
	Green  = "32"
	Yellow = "1;33"
)

// Paint gives s in a style, or s itself where there is no colour.
func (p *Printer) Paint(style, s string) string {
	if !p.Color {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}

// formatValue is a pflag.Value that takes one of a list.
type formatValue struct {
	to      *Format
	formats []Format
}

func (v *formatValue) String() string { return string(*v.to) }
func (v *formatValue) Type() string   { return "format" }

func (v *formatValue) Set(s string) error {
	if !slices.Contains(v.formats, Format(s)) {
		return fmt.Errorf("use one of %s", join(v.formats))
	}
	*v.to = Format(s)
	return nil
}

func join(formats []Format) string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

// Count writes a number of things: 1 file, 2 files.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Group writes a number with its thousands apart: 18,220,114.
func Group(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Span writes a time span in its two largest units: 2 h 4 m, 3 d, 40 s.
func Span(d time.Duration) string {
	seconds := int64(max(d, 0) / time.Second)
	units := []struct {
		name string
		size int64
	}{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}
	for i, u := range units {
		n := seconds / u.size
		if n == 0 && i < len(units)-1 {
			continue
		}
		out := fmt.Sprintf("%d %s", n, u.name)
		if i < len(units)-1 {
			if rest := seconds % u.size / units[i+1].size; rest > 0 {
				out += fmt.Sprintf(" %d %s", rest, units[i+1].name)
			}
		}
		return out
	}
	return ""
}

// Width is where text is wrapped, in characters.
const Width = 100

// Wrap breaks text at spaces into lines that begin with so many spaces, and ends it with a new line.
func Wrap(text string, indent int) string {
	var out strings.Builder
	for paragraph := range strings.SplitSeq(text, "\n") {
		width := 0
		for _, word := range strings.Fields(paragraph) {
			n := utf8.RuneCountInString(word)
			switch {
			case width == 0:
				out.WriteString(strings.Repeat(" ", indent))
				width = indent
			case width+1+n > Width:
				out.WriteString("\n" + strings.Repeat(" ", indent))
				width = indent
			default:
				out.WriteByte(' ')
				width++
			}
			out.WriteString(word)
			width += n
		}
		out.WriteByte('\n')
	}
	return out.String()
}
