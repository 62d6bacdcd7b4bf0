// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package flights

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
)

// The files that hack/demo/data/fetch leaves in one directory.
const (
	FlightsFile  = "flights-3m.parquet"
	AirportsFile = "airports.csv"
)

// Flight is one row of the flights file.
type Flight struct {
	// Number is the row's place in the file, from 1.
	Number int
	// Departure is the local time of departure; the file knows no zones and it is taken as UTC.
	Departure           time.Time
	Origin, Destination string
	// Delay of the arrival in minutes, negative when early; nil when the file does not know it.
	Delay *int64
	// Distance in miles; nil when the file does not know it.
	Distance *int64
}

// Airport is one row of the airports file.
type Airport struct {
	IATA      string  `json:"iata"`
	Name      string  `json:"name"`
	City      string  `json:"city"`
	State     string  `json:"state"`
	Country   string  `json:"country"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// Files is a directory with the two input files.
type Files struct{ dir string }

// Open checks that both files are in dir.
func Open(dir string) (Files, error) {
	for _, name := range []string{FlightsFile, AirportsFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return Files{}, fmt.Errorf("input file %s: %w; hack/demo/data/fetch fetches it and prints its directory", name, err)
		}
	}
	return Files{dir: dir}, nil
}

// parquetFlight has pointers where the file allows null, which it does for every column.
type parquetFlight struct {
	Date        *int64  `parquet:"date"` // microseconds since 1970
	Delay       *int64  `parquet:"delay"`
	Distance    *int64  `parquet:"distance"`
	Origin      *string `parquet:"origin"`
	Destination *string `parquet:"destination"`
}

// Flights yields the first n flights in the file's order, which is that of their departure; all of them when n is 0.
// An error ends the sequence; having fewer than n flights is one.
func (f Files) Flights(n int) iter.Seq2[Flight, error] {
	return func(yield func(Flight, error) bool) {
		if err := f.eachFlight(n, func(flight Flight) bool { return yield(flight, nil) }); err != nil {
			yield(Flight{}, fmt.Errorf("%s: %w", FlightsFile, err))
		}
	}
}

func (f Files) eachFlight(n int, yield func(Flight) bool) error {
	file, err := os.Open(filepath.Join(f.dir, FlightsFile))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	reader := parquet.NewGenericReader[parquetFlight](file)
	defer func() { _ = reader.Close() }()

	total := int(reader.NumRows())
	if n > total {
		return fmt.Errorf("it has %d flights, and %d are wanted", total, n)
	}
	if n <= 0 {
		n = total
	}
	rows := make([]parquetFlight, 4096)
	for done := 0; done < n; {
		// A nil field of a row that is read again would keep its last value.
		clear(rows)
		count, err := reader.Read(rows[:min(len(rows), n-done)])
		for _, row := range rows[:count] {
			done++
			if row.Date == nil || row.Origin == nil || row.Destination == nil {
				return fmt.Errorf("row %d lacks its date, origin or destination", done)
			}
			flight := Flight{
				Number:    done,
				Departure: time.UnixMicro(*row.Date).UTC(),
				Origin:    *row.Origin, Destination: *row.Destination,
				Delay: row.Delay, Distance: row.Distance,
			}
			if !yield(flight) {
				return nil
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if count == 0 && done < n {
			return fmt.Errorf("it ends after %d of %d flights", done, n)
		}
	}
	return nil
}

// Airports returns all airports in the file's order.
func (f Files) Airports() ([]Airport, error) {
	file, err := os.Open(filepath.Join(f.dir, AirportsFile))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	airports, err := parseAirports(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", AirportsFile, err)
	}
	return airports, nil
}

func parseAirports(from io.Reader) ([]Airport, error) {
	rows := csv.NewReader(from)
	header, err := rows.Read()
	if err != nil {
		return nil, err
	}
	want := []string{"iata", "name", "city", "state", "country", "latitude", "longitude"}
	if !slices.Equal(header, want) {
		return nil, fmt.Errorf("its columns are %q, not %q", header, want)
	}
	var airports []Airport
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return airports, nil
		}
		if err != nil {
			return nil, err
		}
		airport := Airport{IATA: row[0], Name: row[1], City: row[2], State: row[3], Country: row[4]}
		line, _ := rows.FieldPos(0)
		if airport.Latitude, err = strconv.ParseFloat(row[5], 64); err != nil {
			return nil, fmt.Errorf("line %d: latitude: %w", line, err)
		}
		if airport.Longitude, err = strconv.ParseFloat(row[6], 64); err != nil {
			return nil, fmt.Errorf("line %d: longitude: %w", line, err)
		}
		airports = append(airports, airport)
	}
}
