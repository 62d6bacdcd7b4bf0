// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/projectionist-dev/projectionist/hack/demo/flights"
)

func TestCommands(t *testing.T) {
	dir := t.TempDir()
	type row struct {
		Date        int64  `parquet:"date,optional"`
		Delay       *int64 `parquet:"delay"`
		Distance    int64  `parquet:"distance,optional"`
		Origin      string `parquet:"origin,optional"`
		Destination string `parquet:"destination,optional"`
	}
	rows := []row{{978307260000000, nil, 2176, "LAS", "PHL"}}
	if err := parquet.WriteFile(filepath.Join(dir, flights.FlightsFile), rows); err != nil {
		t.Fatal(err)
	}
	airports := "iata,name,city,state,country,latitude,longitude\nLAS,McCarran,Las Vegas,NV,USA,36.08,-115.15\n"
	if err := os.WriteFile(filepath.Join(dir, flights.AirportsFile), []byte(airports), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, want string }{
		{"events -flights 1", `{"topic":"flights","key":"LAS","value":{"type":"FlightFlown","id":"flight-0000001","origin":"LAS","destination":"PHL","date":"2001-01-01T00:01:00Z","distance":2176}}
{"topic":"airports","key":"LAS","value":{"type":"AirportListed","iata":"LAS","name":"McCarran","city":"Las Vegas","state":"NV","country":"USA","latitude":36.08,"longitude":-115.15}}
`},
		{"expected -flights 1", "origin,destination,flights,total_delay,worst_delay\nLAS,PHL,1,0,\n"},
		{"expected -flights 0 -table airport_board", "iata,name,city,departures,arrivals\nLAS,McCarran,Las Vegas,1,0\nPHL,,,0,1\n"},
	} {
		var out bytes.Buffer
		args := append(strings.Fields(test.args), "-dir", dir)
		if err := run(t.Context(), args, &out, t.Output()); err != nil {
			t.Errorf("%s: %v", test.args, err)
		}
		if out.String() != test.want {
			t.Errorf("%s prints\n%s\nwant\n%s", test.args, out.String(), test.want)
		}
	}
	for args, want := range map[string]string{
		"fold":                   `unknown command "fold"`,
		"events extra":           `unexpected argument "extra"`,
		"expected -table routes": "there are route_stats and airport_board",
		"produce -brokers ,":     "no broker is named",
	} {
		command, rest, _ := strings.Cut(args, " ")
		err := run(t.Context(), append([]string{command, "-dir", dir, "-flights", "1"}, strings.Fields(rest)...), &bytes.Buffer{}, t.Output())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", args, err, want)
		}
	}
}
