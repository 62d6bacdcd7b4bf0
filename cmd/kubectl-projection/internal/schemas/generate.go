// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// Command generate writes the JSON Schemas for editors to a directory.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/schemas"
)

func main() {
	files, err := schemas.EditorFiles()
	for name, data := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Args[1], name), data, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}
