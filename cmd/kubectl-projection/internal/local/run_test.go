// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/hack/demo/flights"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// samples are the manifests that the demo applies.
const samples = "../../../../config/samples/flights"

// eventCount is how many flights the test of the demo's manifests flies: few by default. PROJECTIONIST_RUN_EVENTS=200000
// is the log of the demo, for measuring.
func eventCount(t *testing.T) int {
	text := os.Getenv("PROJECTIONIST_RUN_EVENTS")
	if text == "" {
		return 20_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDemoManifests runs the demo's manifests with nothing installed, and holds the rows in SQLite against a
// computation that shares no code with the projector.
func TestDemoManifests(t *testing.T) {
	n := eventCount(t)
	dir := t.TempDir()
	want := writeFlights(t, dir+"/events.ndjson", n)
	p, screen, progress := printer()
	o := Options{Files: []string{samples}, Events: []string{dir + "/events.ndjson"}, Store: "sqlite:" + dir + "/flights.db", UntilCaughtUp: true}
	if err := Run(t.Context(), p, o); err != nil {
		t.Fatalf("%v\n%s%s", err, screen, progress)
	}
	if lines := want.Differences(readFlights(t, o.Store)); len(lines) > 0 {
		t.Errorf("%d rows differ from the independent computation, the first ones:\n%s", len(lines), strings.Join(lines[:min(5, len(lines))], "\n"))
	}
	t.Logf("%d flights:\n%s", n, screen)

	// Another run on the same file starts anew: rows are not counted twice.
	p, screen, progress = printer()
	if err := Run(t.Context(), p, o); err != nil {
		t.Fatalf("%v\n%s%s", err, screen, progress)
	}
	if lines := want.Differences(readFlights(t, o.Store)); len(lines) > 0 {
		t.Errorf("after a second run %d rows differ, the first one:\n%s", len(lines), lines[0])
	}
	if !strings.Contains(progress.String(), "rows of an earlier run are made anew") {
		t.Errorf("nothing says that rows are made anew:\n%s", progress)
	}
}

// writeFlights makes events of the shape of the demo's, and computes the rows.
func writeFlights(t *testing.T, name string, n int) flights.Tables {
	t.Helper()
	want := flights.Tables{Routes: map[flights.Route]flights.RouteStats{}, Airports: map[string]flights.Board{}}
	r := rand.New(rand.NewPCG(1, 2))
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	write := func(e flights.Event, err error) {
		if err == nil {
			_, err = fmt.Fprintf(w, `{"topic":%q,"key":%q,"value":%s}`+"\n", e.Topic, e.Key, e.Value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	codes := make([]string, 70)
	for i := range codes {
		codes[i] = fmt.Sprintf("A%02d", i)
	}
	list := func(i int) {
		name, city := "Airport "+codes[i], "City "+codes[i]
		write(flights.AirportListed(flights.Airport{IATA: codes[i], Name: name, City: city}))
		b := want.Airports[codes[i]]
		b.Name, b.City = &name, &city
		want.Airports[codes[i]] = b
	}
	for i := range n {
		from, to := codes[r.IntN(len(codes))], codes[r.IntN(len(codes))]
		fl := flights.Flight{Number: i, Origin: from, Destination: to, Departure: time.Date(2001, 1, 1, 0, 0, i, 0, time.UTC)}
		s := want.Routes[flights.Route{Origin: from, Destination: to}]
		s.Flights++
		if r.IntN(10) > 0 {
			delay := int64(r.IntN(300) - 20)
			fl.Delay = &delay
			s.TotalDelay += delay
			if s.WorstDelay == nil || delay > *s.WorstDelay {
				s.WorstDelay = &delay
			}
		}
		want.Routes[flights.Route{Origin: from, Destination: to}] = s
		b := want.Airports[from]
		b.Departures++
		want.Airports[from] = b
		b = want.Airports[to]
		b.Arrivals++
		want.Airports[to] = b
		write(flights.FlightFlown(fl))
		if i%(n/len(codes)+1) == 0 && i/(n/len(codes)+1) < len(codes)-1 {
			list(i / (n/len(codes) + 1))
		}
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return want
}

// readFlights reads the tables as readers of the views do.
func readFlights(t *testing.T, storeURL string) flights.Tables {
	t.Helper()
	got := flights.Tables{Routes: map[flights.Route]flights.RouteStats{}, Airports: map[string]flights.Board{}}
	db, err := connect.OpenURL(storeURL, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it is only read
	admin, err := db.Admin()
	if err != nil {
		t.Fatal(err)
	}
	set, err := manifests.Load([]string{samples}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := workspace.New(set)
	for _, p := range w.Projections {
		c, err := w.Compile(p, localCluster)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := admin.(stores.Reader).Read(t.Context(), c.Contract, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if p.Name == "route-stats" {
				s := flights.RouteStats{Flights: r[2].(int64), TotalDelay: r[3].(int64)}
				if v, ok := r[4].(int64); ok {
					s.WorstDelay = &v
				}
				got.Routes[flights.Route{Origin: r[0].(string), Destination: r[1].(string)}] = s
				continue
			}
			b := flights.Board{Departures: r[3].(int64), Arrivals: r[4].(int64)}
			if v, ok := r[1].(string); ok {
				b.Name = &v
			}
			if v, ok := r[2].(string); ok {
				b.City = &v
			}
			got.Airports[r[0].(string)] = b
		}
	}
	return got
}

// printer gives what is shown, and apart from it the progress.
func printer() (p *output.Printer, screen, progress *bytes.Buffer) {
	screen, progress = &bytes.Buffer{}, &bytes.Buffer{}
	return output.New(strings.NewReader(""), screen, progress), screen, progress
}

const stock = `apiVersion: cqrs.projectionist.dev/v1alpha1
kind: EventTopic
metadata: {name: stock}
spec:
  brokerRef: {name: main}
  keyedBy: event.sku
  event: {type: event.type}
  create: {partitions: 2}
---
apiVersion: cqrs.projectionist.dev/v1alpha1
kind: Projection
metadata: {name: stock-levels}
spec:
  storeRef: {name: reads}
  topics: [{name: stock}]
  models:
  - name: stock_level
    key: [sku]
    columns:
    - {name: sku, type: text}
    - {name: on_hand, type: int64, default: "0"}
    handlers:
    - {name: received, events: [Received], key: {sku: event.sku}, add: {on_hand: event.quantity}}
`

// figures are what no two runs have alike.
var figures = regexp.MustCompile(`in [\d.]+ s \([\d,]+ events/s\)`)

// TestStop: a partition that stops ends the run with code 1, after all others have reached their ends.
func TestStop(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/stock.yaml", stock)
	var lines strings.Builder
	lines.WriteString(`{"topic": "stock", "partition": 1, "value": {"type": "Received", "sku": "A-7", "quantity": 3}}` + "\n")
	lines.WriteString(`{"topic": "stock", "partition": 1, "value": {"type": "Received", "sku": "A-7", "quantity": "a dozen"}}` + "\n")
	for i := range 500 {
		fmt.Fprintf(&lines, `{"topic": "stock", "partition": 0, "value": {"type": "Received", "sku": "B-%d", "quantity": 1}}`+"\n", i%7)
		fmt.Fprintln(&lines, `{"topic": "stock", "partition": 1, "value": {"type": "Received", "sku": "A-7", "quantity": 1}}`)
	}
	write(t, dir+"/events.ndjson", lines.String())
	p, screen, progress := printer()
	err := Run(t.Context(), p, Options{Files: []string{dir}, Events: []string{dir + "/events.ndjson"}, Store: "memory:", UntilCaughtUp: true})
	if !errors.Is(err, output.ErrFound) {
		t.Fatalf("error %v, want one that gives exit code 1\n%s", err, progress)
	}
	want := `stock-levels   stopped   501 events in 0 s (0 events/s)
  stock_level   8 rows
  stock/1 stopped at position 1: HandlerError
    models[stock_level].handlers[received].add.on_hand
    event.quantity is a string, expected a number
`
	if got := figures.ReplaceAllString(screen.String(), "in 0 s (0 events/s)"); got != want {
		t.Errorf("the screen is\n%swant\n%s", got, want)
	}
	if strings.Contains(screen.String()+progress.String(), "a dozen") {
		t.Error("a value of an event is shown")
	}
}

// TestInterrupt: an endless stream is consumed as it comes, and an interrupt drains.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/stock.yaml", stock)
	in, out := io.Pipe()
	defer out.Close() //nolint:errcheck // a pipe
	// The deadline is for a failure alone.
	ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
	defer interrupt()
	p, screen, progress := printer()
	p.In, p.Format = in, output.JSON
	// The progress that shows the event committed is what the interrupt waits for.
	p.Err = watcher{progress, "1 event ", interrupt}
	go func() { _, _ = fmt.Fprintln(out, `{"type": "Received", "sku": "A-7", "quantity": 3}`) }()
	if err := Run(ctx, p, Options{Files: []string{dir}, Events: []string{"stock=-"}, Store: "memory:"}); err != nil {
		t.Fatalf("%v\n%s", err, progress)
	}
	var r Report
	if err := json.Unmarshal(screen.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Projections) != 1 || r.Projections[0].Events != 1 || !r.Projections[0].CaughtUp || !slices.Equal(r.Projections[0].Models, []ModelReport{{"stock_level", 1}}) {
		t.Errorf("the report is %+v, want one event and one row", r)
	}
}

// watcher does something when a text was written.
type watcher struct {
	io.Writer
	text string
	then func()
}

func (w watcher) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(w.text)) {
		w.then()
	}
	return w.Writer.Write(b)
}

func TestRefused(t *testing.T) {
	broker := "---\napiVersion: cqrs.projectionist.dev/v1alpha1\nkind: EventBroker\nmetadata: {name: main}\nspec: {kafka: {bootstrapServers: [\"127.0.0.1:1\"]}}\n"
	store := "---\napiVersion: cqrs.projectionist.dev/v1alpha1\nkind: ReadStore\nmetadata: {name: reads}\nspec: {postgres: {secretRef: {name: reads-app}}}\n"
	for _, c := range []struct {
		name, manifests, events string
		o                       Options
		want                    string
	}{
		{name: "no projection", manifests: broker, want: "there is no Projection in the manifests"},
		{name: "a store that is none", manifests: stock, o: Options{Store: "mysql://me:hidden@host/db"}, want: "no store is known by this URL"},
		{name: "a broker that does not answer", manifests: stock + store + broker, want: "127.0.0.1:1"},
		{name: "a partition that is not there", manifests: stock, events: `{"topic": "stock", "partition": 2, "value": {}}`, o: Options{Store: "memory:"},
			want: "events.ndjson:1: topic stock has 2 partitions here"},
		{name: "a line that is no event", manifests: stock, events: `{"hidden": 1}`, o: Options{Store: "memory:"}, want: "events.ndjson:1: the line is not an event"},
		{name: "a projection that is refused", manifests: strings.Replace(stock, "add: {on_hand:", "add: {on_hands:", 1), o: Options{Store: "memory:"},
			want: "there is no column on_hands"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir+"/m.yaml", c.manifests)
			c.o.Files, c.o.UntilCaughtUp = []string{dir}, true
			if c.events != "" {
				write(t, dir+"/events.ndjson", c.events)
				c.o.Events = []string{dir + "/events.ndjson"}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			p, _, _ := printer()
			err := Run(ctx, p, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden@") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
