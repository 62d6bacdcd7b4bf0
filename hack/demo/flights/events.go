// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package flights

import (
	"encoding/json"
	"fmt"
	"iter"
	"time"
)

// The topics that events belong to.
const (
	TopicFlights  = "flights"
	TopicAirports = "airports"
)

// Event is one record to send.
type Event struct {
	Topic string
	Key   string
	// Value is a JSON object with the field "type".
	Value []byte
}

type flightFlown struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	Origin      string `json:"origin"`
	Destination string `json:"destination"`
	Date        string `json:"date"`
	// A delay that is not known is left out: such a flight counts as a flight and adds no delay.
	Delay    *int64 `json:"delay,omitempty"`
	Distance *int64 `json:"distance,omitempty"`
}

type airportListed struct {
	Type string `json:"type"`
	Airport
}

// FlightFlown is the event of one flight, with a unique "id" and the "date" of its departure in RFC 3339, UTC.
func FlightFlown(f Flight) (Event, error) {
	value, err := json.Marshal(flightFlown{
		Type:   "FlightFlown",
		ID:     fmt.Sprintf("flight-%07d", f.Number),
		Origin: f.Origin, Destination: f.Destination,
		Date:  f.Departure.Format(time.RFC3339),
		Delay: f.Delay, Distance: f.Distance,
	})
	return Event{Topic: TopicFlights, Key: f.Origin, Value: value}, err
}

// AirportListed is the event of one airport.
func AirportListed(a Airport) (Event, error) {
	value, err := json.Marshal(airportListed{Type: "AirportListed", Airport: a})
	return Event{Topic: TopicAirports, Key: a.IATA, Value: value}, err
}

// Count is how many events Events yields for n flights (0: all of them).
func (f Files) Count(n int) (int, error) {
	airports, err := f.Airports()
	if err != nil {
		return 0, err
	}
	if n <= 0 {
		n = 0
		for _, err := range f.Flights(0) {
			if err != nil {
				return 0, err
			}
			n++
		}
	}
	return n + len(airports), nil
}

// Events yields the first n flights (0: all of them) in order and all airports spread evenly between them, so that each
// topic's half of a row comes first for some rows and last for others. An error ends the sequence.
func (f Files) Events(n int) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		airports, err := f.Airports()
		if err != nil {
			yield(Event{}, err)
			return
		}
		spread := n
		if spread <= 0 {
			spread = 1_000_000
		}
		send := func(event Event, err error) bool { return yield(event, err) && err == nil }
		sent := 0
		for flight, err := range f.Flights(n) {
			if err != nil {
				yield(Event{}, err)
				return
			}
			if !send(FlightFlown(flight)) {
				return
			}
			for sent < len(airports) && sent < flight.Number*len(airports)/spread {
				if !send(AirportListed(airports[sent])) {
					return
				}
				sent++
			}
		}
		for _, airport := range airports[sent:] {
			if !send(AirportListed(airport)) {
				return
			}
		}
	}
}
