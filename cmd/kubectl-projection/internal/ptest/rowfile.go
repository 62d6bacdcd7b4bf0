// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package ptest

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ReadRows reads a file of rows: CSV with a line of column names, where an empty
// field is NULL and lists and json columns are JSON; or JSON, a list of objects.
func ReadRows(name string) ([]Row, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(name) {
	case ".json":
		var rows []Row
		if err := json.Unmarshal(data, &rows); err != nil {
			return nil, fmt.Errorf("%s: it is not a JSON list of objects", name)
		}
		return rows, nil
	case ".csv":
		return readCSV(name, string(data))
	default:
		return nil, fmt.Errorf("%s: rows are read from .csv and .json files", name)
	}
}

func readCSV(name, data string) ([]Row, error) {
	lines, err := csv.NewReader(strings.NewReader(data)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s: there is no line of column names", name)
	}
	var rows []Row
	for _, fields := range lines[1:] {
		r := Row{}
		for i, column := range lines[0] {
			r[column] = Value{Null: fields[i] == "", Text: fields[i], JSON: fields[i]}
		}
		rows = append(rows, r)
	}
	return rows, nil
}
