// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package flights

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Route is the key of the table route_stats.
type Route struct{ Origin, Destination string }

// RouteStats is a row of route_stats.
type RouteStats struct {
	// Flights counts all flights of the route.
	Flights int64
	// TotalDelay is the sum of the known delays, in minutes.
	TotalDelay int64
	// WorstDelay is the largest known delay, in minutes; nil when none is known.
	WorstDelay *int64
}

// Board is a row of airport_board, whose key is the airport's code.
type Board struct {
	// Name and City are nil for an airport that only flights name.
	Name, City *string
	// Departures and Arrivals count the flights from and to it.
	Departures, Arrivals int64
}

// Tables is the content of both tables.
type Tables struct {
	Routes   map[Route]RouteStats
	Airports map[string]Board
}

// Expected computes what the tables hold after the events of the first n flights (0: all of them) and of all airports.
func (f Files) Expected(n int) (Tables, error) {
	tables := Tables{Routes: map[Route]RouteStats{}, Airports: map[string]Board{}}
	airports, err := f.Airports()
	if err != nil {
		return Tables{}, err
	}
	for _, airport := range airports {
		tables.Airports[airport.IATA] = Board{Name: &airport.Name, City: &airport.City}
	}
	for flight, err := range f.Flights(n) {
		if err != nil {
			return Tables{}, err
		}
		route := Route{flight.Origin, flight.Destination}
		stats := tables.Routes[route]
		stats.Flights++
		if delay := flight.Delay; delay != nil {
			stats.TotalDelay += *delay
			if stats.WorstDelay == nil || *delay > *stats.WorstDelay {
				stats.WorstDelay = delay
			}
		}
		tables.Routes[route] = stats

		from := tables.Airports[flight.Origin]
		from.Departures++
		tables.Airports[flight.Origin] = from
		to := tables.Airports[flight.Destination]
		to.Arrivals++
		tables.Airports[flight.Destination] = to
	}
	return tables, nil
}

// SortedRoutes are the keys of route_stats in order.
func (t Tables) SortedRoutes() []Route {
	return slices.SortedFunc(maps.Keys(t.Routes), func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.Destination, b.Destination))
	})
}

// SortedAirports are the keys of airport_board in order.
func (t Tables) SortedAirports() []string { return slices.Sorted(maps.Keys(t.Airports)) }

// Differences says, in one line each and in the order of keys, where got is not what t expects: rows that are missing,
// rows too many, and rows with other values. It is empty when the tables are equal.
func (t Tables) Differences(got Tables) []string {
	var lines []string
	note := func(table, key, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%s %s: ", table, key)+fmt.Sprintf(format, args...))
	}
	for _, route := range t.SortedRoutes() {
		key := route.Origin + "-" + route.Destination
		want := t.Routes[route]
		switch have, found := got.Routes[route]; {
		case !found:
			note("route_stats", key, "missing, want %s", want)
		case have.String() != want.String():
			note("route_stats", key, "is %s, want %s", have, want)
		}
	}
	for _, route := range got.SortedRoutes() {
		if _, found := t.Routes[route]; !found {
			note("route_stats", route.Origin+"-"+route.Destination, "should not be there, is %s", got.Routes[route])
		}
	}
	for _, iata := range t.SortedAirports() {
		want := t.Airports[iata]
		switch have, found := got.Airports[iata]; {
		case !found:
			note("airport_board", iata, "missing, want %s", want)
		case have.String() != want.String():
			note("airport_board", iata, "is %s, want %s", have, want)
		}
	}
	for _, iata := range got.SortedAirports() {
		if _, found := t.Airports[iata]; !found {
			note("airport_board", iata, "should not be there, is %s", got.Airports[iata])
		}
	}
	return lines
}

// String shows every column.
func (s RouteStats) String() string {
	worst := "null"
	if s.WorstDelay != nil {
		worst = strconv.FormatInt(*s.WorstDelay, 10)
	}
	return fmt.Sprintf("(flights %d, total_delay %d, worst_delay %s)", s.Flights, s.TotalDelay, worst)
}

// String shows every column; what is quoted is not null.
func (b Board) String() string {
	text := func(s *string) string {
		if s == nil {
			return "null"
		}
		return strconv.Quote(*s)
	}
	return fmt.Sprintf("(name %s, city %s, departures %d, arrivals %d)", text(b.Name), text(b.City), b.Departures, b.Arrivals)
}
