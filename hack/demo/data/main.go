// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Command data is the demo's source of events: it prints them, sends them to Kafka, and prints the tables that two read
// models of them must hold. See the packages flights and feed beside it.
package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/projectionist-dev/projectionist/hack/demo/feed"
	"github.com/projectionist-dev/projectionist/hack/demo/flights"
)

const usage = `usage: data COMMAND [flags]

  events     print the events, one JSON object a line: topic, key, value
  produce    send the events to Kafka, each once
  expected   print a table that the read models must equal, as CSV (null is an empty field)

The input files come from hack/demo/data/fetch, which prints their directory. "data COMMAND -h" lists the flags.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		_, _ = io.WriteString(stderr, usage)
		return flag.ErrHelp
	}
	command, args := args[0], args[1:]
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", defaultDir(), "directory with the input files")
	count := flags.Int("flights", 200_000, "how many flights; 0 for all three million")

	var action func(flights.Files) error
	switch command {
	case "events":
		action = func(files flights.Files) error { return printEvents(ctx, stdout, files, *count) }
	case "expected":
		table := flags.String("table", "route_stats", "route_stats or airport_board")
		action = func(files flights.Files) error { return printExpected(stdout, files, *count, *table) }
	case "produce":
		brokers := flags.String("brokers", os.Getenv("KAFKA_BOOTSTRAP"), "bootstrap addresses host:port, with commas between")
		rate := flags.Float64("rate", 0, "events per second; 0 for as fast as it goes")
		flightsTopic := flags.String("flights-topic", flights.TopicFlights, "topic of the flights")
		flightsPartitions := flags.Int("flights-partitions", 6, "partitions to make it with")
		airportsTopic := flags.String("airports-topic", flights.TopicAirports, "topic of the airports")
		airportsPartitions := flags.Int("airports-partitions", 3, "partitions to make it with")
		action = func(files flights.Files) error {
			return produce(ctx, stdout, files, *count, feed.Config{
				Brokers: strings.FieldsFunc(*brokers, func(r rune) bool { return r == ',' || r == ' ' }),
				Topics: map[string]feed.Topic{
					flights.TopicFlights:  {Name: *flightsTopic, Partitions: *flightsPartitions},
					flights.TopicAirports: {Name: *airportsTopic, Partitions: *airportsPartitions},
				},
				Rate: *rate,
			})
		}
	default:
		_, _ = io.WriteString(stderr, usage)
		return fmt.Errorf("unknown command %q", command)
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	files, err := flights.Open(*dir)
	if err != nil {
		return err
	}
	return action(files)
}

// defaultDir is where the newest fetch left the files.
func defaultDir() string {
	cache := os.Getenv("PROJECTIONIST_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		cache = filepath.Join(home, ".cache", "projectionist")
	}
	found, err := filepath.Glob(filepath.Join(cache, "demo", "vega-datasets-*"))
	if err != nil || len(found) == 0 {
		return filepath.Join(cache, "demo")
	}
	return found[len(found)-1]
}

func printEvents(ctx context.Context, to io.Writer, files flights.Files, count int) error {
	out := bufio.NewWriter(to)
	lines := json.NewEncoder(out)
	for event, err := range files.Events(count) {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := lines.Encode(struct {
			Topic string          `json:"topic"`
			Key   string          `json:"key"`
			Value json.RawMessage `json:"value"`
		}{event.Topic, event.Key, event.Value}); err != nil {
			return err
		}
	}
	return out.Flush()
}

func produce(ctx context.Context, to io.Writer, files flights.Files, count int, cfg feed.Config) error {
	total, err := files.Count(count)
	if err != nil {
		return err
	}
	cfg.Progress = func(p feed.Progress) {
		state := "sent"
		if p.Done {
			state = "all sent:"
		}
		_, _ = fmt.Fprintf(to, "%s %d of %d events (%.0f %%), %.0f events/s, %.1f s\n",
			state, p.Events, total, 100*float64(p.Events)/float64(max(1, total)), p.Rate, p.Elapsed.Seconds())
	}
	_, err = feed.Run(ctx, cfg, files.Events(count))
	return err
}

func printExpected(to io.Writer, files flights.Files, count int, table string) error {
	if table != "route_stats" && table != "airport_board" {
		return fmt.Errorf("-table %q: there are route_stats and airport_board", table)
	}
	tables, err := files.Expected(count)
	if err != nil {
		return err
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	out := csv.NewWriter(to)
	if table == "route_stats" {
		_ = out.Write([]string{"origin", "destination", "flights", "total_delay", "worst_delay"})
		for _, route := range tables.SortedRoutes() {
			stats := tables.Routes[route]
			worst := ""
			if stats.WorstDelay != nil {
				worst = number(*stats.WorstDelay)
			}
			_ = out.Write([]string{route.Origin, route.Destination, number(stats.Flights), number(stats.TotalDelay), worst})
		}
	} else {
		_ = out.Write([]string{"iata", "name", "city", "departures", "arrivals"})
		text := func(s *string) string {
			if s == nil {
				return ""
			}
			return *s
		}
		for _, iata := range tables.SortedAirports() {
			row := tables.Airports[iata]
			_ = out.Write([]string{iata, text(row.Name), text(row.City), number(row.Departures), number(row.Arrivals)})
		}
	}
	out.Flush()
	return out.Error()
}
