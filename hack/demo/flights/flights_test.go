// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package flights

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

func ptr[T any](v T) *T { return &v }

const airportsCSV = `iata,name,city,state,country,latitude,longitude
AAA,Alpha Field,Alphaville,AL,USA,31.5,-89.25
BBB,"Beta, Municipal",Betatown,TX,USA,30.68,-95.01
CCC,Gamma,Gammaton,NM,USA,38.9,-104.5
`

// write makes a directory with these flights and the airports of airportsCSV.
func write(t *testing.T, rows []parquetFlight) Files {
	t.Helper()
	dir := t.TempDir()
	if err := parquet.WriteFile(filepath.Join(dir, FlightsFile), rows); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, AirportsFile), []byte(airportsCSV), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func row(minute int64, delay *int64, origin, destination string) parquetFlight {
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(minute) * time.Minute)
	return parquetFlight{Date: ptr(at.UnixMicro()), Delay: delay, Distance: ptr(int64(100)), Origin: &origin, Destination: &destination}
}

var sample = []parquetFlight{
	row(1, ptr(int64(33)), "AAA", "BBB"),
	row(2, ptr(int64(-13)), "AAA", "BBB"),
	row(3, nil, "AAA", "BBB"),
	row(4, nil, "BBB", "ZZZ"),
	row(5, ptr(int64(-5)), "BBB", "AAA"),
}

func TestExpected(t *testing.T) {
	got, err := write(t, sample).Expected(0)
	if err != nil {
		t.Fatal(err)
	}
	want := Tables{
		Routes: map[Route]RouteStats{
			{"AAA", "BBB"}: {Flights: 3, TotalDelay: 20, WorstDelay: ptr(int64(33))},
			{"BBB", "ZZZ"}: {Flights: 1},
			{"BBB", "AAA"}: {Flights: 1, TotalDelay: -5, WorstDelay: ptr(int64(-5))},
		},
		Airports: map[string]Board{
			"AAA": {Name: ptr("Alpha Field"), City: ptr("Alphaville"), Departures: 3, Arrivals: 1},
			"BBB": {Name: ptr("Beta, Municipal"), City: ptr("Betatown"), Departures: 2, Arrivals: 3},
			"CCC": {Name: ptr("Gamma"), City: ptr("Gammaton")},
			"ZZZ": {Arrivals: 1},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if lines := want.Differences(got); len(lines) > 0 {
		t.Errorf("differences between equal tables: %q", lines)
	}
}

func TestExpectedOfFirstFlights(t *testing.T) {
	got, err := write(t, sample).Expected(2)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Routes) != 1 || got.Routes[Route{"AAA", "BBB"}].Flights != 2 {
		t.Errorf("routes of the first two flights: %v", got.Routes)
	}
}

func TestDifferences(t *testing.T) {
	want := Tables{
		Routes: map[Route]RouteStats{
			{"AAA", "BBB"}: {Flights: 3, TotalDelay: 20, WorstDelay: ptr(int64(33))},
			{"BBB", "AAA"}: {Flights: 1},
		},
		Airports: map[string]Board{"AAA": {Name: ptr("null"), Departures: 1}, "BBB": {}},
	}
	got := Tables{
		Routes: map[Route]RouteStats{
			{"AAA", "BBB"}: {Flights: 4, TotalDelay: 20, WorstDelay: ptr(int64(33))},
			{"AAA", "CCC"}: {Flights: 1},
		},
		Airports: map[string]Board{"AAA": {Departures: 1}, "DDD": {Arrivals: 2}},
	}
	lines := want.Differences(got)
	for i, part := range []string{
		"route_stats AAA-BBB: is (flights 4, total_delay 20, worst_delay 33), want (flights 3,",
		"route_stats BBB-AAA: missing",
		"route_stats AAA-CCC: should not be there",
		`airport_board AAA: is (name null, city null, departures 1, arrivals 0), want (name "null",`,
		"airport_board BBB: missing",
		"airport_board DDD: should not be there",
	} {
		if len(lines) <= i || !strings.Contains(lines[i], part) {
			t.Errorf("line %d of %q lacks %q", i, lines, part)
		}
	}
	if len(lines) != 6 {
		t.Errorf("%d differences, want 6: %q", len(lines), lines)
	}
}

func TestEvents(t *testing.T) {
	files := write(t, sample)
	var flown, listed []string
	var order strings.Builder
	for event, err := range files.Events(0) {
		if err != nil {
			t.Fatal(err)
		}
		var value struct{ Type, ID, Origin, IATA string }
		if err := json.Unmarshal(event.Value, &value); err != nil {
			t.Fatal(err)
		}
		switch value.Type {
		case "FlightFlown":
			if event.Topic != TopicFlights || event.Key != value.Origin {
				t.Errorf("flight %s is in topic %s under key %s", value.ID, event.Topic, event.Key)
			}
			flown = append(flown, string(event.Value))
		case "AirportListed":
			if event.Topic != TopicAirports || event.Key != value.IATA {
				t.Errorf("airport %s is in topic %s under key %s", value.IATA, event.Topic, event.Key)
			}
			listed = append(listed, event.Key)
		}
		order.WriteByte(value.Type[0])
	}
	if want := []string{"AAA", "BBB", "CCC"}; !reflect.DeepEqual(listed, want) {
		t.Errorf("airports %q, want %q", listed, want)
	}
	if len(flown) != len(sample) {
		t.Fatalf("%d flights, want %d", len(flown), len(sample))
	}
	if want := `{"type":"FlightFlown","id":"flight-0000001","origin":"AAA","destination":"BBB","date":"2001-01-01T00:01:00Z","delay":33,"distance":100}`; flown[0] != want {
		t.Errorf("first flight is %s, want %s", flown[0], want)
	}
	if strings.Contains(flown[2], "delay") {
		t.Errorf("a delay that is not known is in the event: %s", flown[2])
	}
	count, err := files.Count(0)
	if err != nil || count != order.Len() {
		t.Errorf("Count is %d (%v), and there are %d events", count, err, order.Len())
	}

	order.Reset()
	for event, err := range files.Events(len(sample)) {
		if err != nil {
			t.Fatal(err)
		}
		order.WriteByte(event.Topic[0])
	}
	if want := "ffaffafa"; order.String() != want {
		t.Errorf("topics come in the order %s, want %s", order.String(), want)
	}
}

func TestBadFiles(t *testing.T) {
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "hack/demo/data/fetch") {
		t.Errorf("an empty directory gives %v, want an error that names the fetch script", err)
	}
	last := func(files Files, n int) (err error) {
		for _, err = range files.Flights(n) {
		}
		return err
	}
	if err := last(write(t, sample), 6); err == nil || !strings.Contains(err.Error(), "has 5 flights, and 6 are wanted") {
		t.Errorf("more flights than there are: %v", err)
	}
	broken := append([]parquetFlight{}, sample...)
	broken[3].Destination = nil
	if err := last(write(t, broken), 0); err == nil || !strings.Contains(err.Error(), "row 4 lacks") {
		t.Errorf("a row without destination: %v", err)
	}
	for name, text := range map[string]string{
		"columns":  "iata,name\nAAA,Alpha\n",
		"latitude": "iata,name,city,state,country,latitude,longitude\nAAA,A,A,A,A,north,1\n",
	} {
		if _, err := parseAirports(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("bad %s: %v", name, err)
		}
	}
}
