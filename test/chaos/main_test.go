// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package chaos

import (
	"fmt"
	"os"
	"testing"

	"github.com/projectionist-dev/projectionist/test/internal/rig"
)

var parts *rig.Rig

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	defer rig.RemoveBinaries()
	broker, err := rig.StartPart("kafka", rig.Instance("chaos"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer down(broker)
	database, err := rig.StartPart("postgres", rig.Instance("chaos"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer down(database)
	if parts, err = rig.New(broker, database); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer parts.Close()
	return m.Run()
}

func down(p *rig.Part) {
	if err := p.Down(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
