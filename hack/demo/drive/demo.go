// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/hack/demo/feed"
	"github.com/projectionist-dev/projectionist/hack/demo/flights"
)

// demo is one run.
type demo struct {
	out       io.Writer
	terminal  bool
	flights   int
	data      string
	namespace string
	samples   string
	kubectl   string
	patience  time.Duration

	began   time.Time
	killed  string
	expect  int64 // events that both read models take together
	took    time.Duration
	bestSec float64
}

// errDifferent is the one outcome that no look at the cluster explains.
var errDifferent = errors.New("the read models differ from the independent computation")

// projections and the topics that each consumes, as the samples declare them.
var projections = map[string][]string{"route-stats": {"flights"}, "airport-board": {"flights", "airports"}}

func (d *demo) step(n int, format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, "[%d/7] %s\n", n, fmt.Sprintf(format, args...))
}

func (d *demo) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.patience+5*time.Minute)
	defer cancel()
	files, err := flights.Open(d.data)
	if err != nil {
		return err
	}
	d.step(4, "applying %s in namespace %s, which enforces Pod Security \"restricted\"", d.samples, d.namespace)
	if err := d.applyPlumbing(ctx); err != nil {
		return err
	}
	if err := d.kube(ctx, nil, "apply", "-f", d.samples); err != nil {
		return err
	}
	if err := d.kube(ctx, nil, "wait", "--for=condition=Ready", "evt", "--all", "--timeout=120s"); err != nil {
		return err
	}
	if err := d.feed(ctx, files); err != nil {
		return err
	}
	if err := d.follow(ctx); err != nil {
		return err
	}
	return d.compare(ctx, files)
}

// feed sends the events; the projectors are already consuming.
func (d *demo) feed(ctx context.Context, files flights.Files) error {
	total, err := files.Count(d.flights)
	if err != nil {
		return err
	}
	// The flights go to both read models, the airports to one.
	airports := total - d.flights
	d.expect = int64(2*d.flights + airports)
	d.began = time.Now()
	sent, err := feed.Run(ctx, feed.Config{
		Brokers: strings.Split(os.Getenv("KAFKA_BOOTSTRAP"), ","),
		Topics: map[string]feed.Topic{
			flights.TopicFlights: {Name: "flights", Partitions: 6}, flights.TopicAirports: {Name: "airports", Partitions: 3},
		},
	}, files.Events(d.flights))
	if err != nil {
		return err
	}
	d.step(5, "sent %s flights and %s airports to Kafka in %.1f s (%s events/s)", group(int64(d.flights)), group(int64(airports)),
		sent.Elapsed.Seconds(), group(int64(sent.Rate)))
	return nil
}

// follow shows progress until both read models hold every event, and kills a
// projector when the work is half done.
func (d *demo) follow(ctx context.Context) error {
	d.step(6, "projecting; a projector is killed half way")
	db, err := pgx.Connect(ctx, os.Getenv("PG_URL"))
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx)) //nolint:errcheck // read only
	deadline := time.Now().Add(d.patience)
	var last, lastShown int64
	lastAt, shownAt := time.Now(), time.Time{}
	for {
		done, err := d.done(ctx, db)
		if err != nil {
			return err
		}
		now := time.Now()
		if d.killed == "" && done >= d.expect*2/5 && done < d.expect {
			if err := d.kill(ctx); err != nil {
				return err
			}
			continue
		}
		if now.Sub(lastAt) >= 500*time.Millisecond && done > last {
			d.bestSec = max(d.bestSec, float64(done-last)/now.Sub(lastAt).Seconds())
			last, lastAt = done, now
		}
		if now.Sub(shownAt) >= time.Second || done >= d.expect {
			rate := float64(done-lastShown) / now.Sub(shownAt).Seconds()
			if shownAt.IsZero() {
				rate = 0
			}
			d.bar(done, rate)
			lastShown, shownAt = done, now
		}
		if done >= d.expect {
			d.took = now.Sub(d.began)
			if d.terminal {
				_, _ = fmt.Fprintln(d.out)
			}
			return nil
		}
		if now.After(deadline) {
			return fmt.Errorf("not caught up after %s: %s of %s events", d.patience, group(done), group(d.expect))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// done is how many events both read models hold: the sum of their positions.
// The topics hold no transactions, so positions count events.
func (d *demo) done(ctx context.Context, db *pgx.Conn) (int64, error) {
	var exists bool
	if err := db.QueryRow(ctx, "SELECT to_regclass('projectionist.positions') IS NOT NULL").Scan(&exists); err != nil || !exists {
		return 0, err
	}
	var n int64
	err := db.QueryRow(ctx, `SELECT coalesce(sum(p.next_position::bigint), 0) FROM projectionist.positions p`).Scan(&n)
	return n, err
}

// bar draws one line of progress; in place on a terminal.
func (d *demo) bar(done int64, rate float64) {
	const width = 30
	filled := int(done * width / max(1, d.expect))
	line := fmt.Sprintf("      %s%s %3d%%  %s of %s  %s/s  lag %s",
		strings.Repeat("█", filled), strings.Repeat("░", width-filled), done*100/max(1, d.expect),
		short(done), short(d.expect), short(int64(rate)), short(d.expect-done))
	if d.terminal {
		_, _ = fmt.Fprintf(d.out, "\r%-78s", line)
		return
	}
	_, _ = fmt.Fprintln(d.out, line)
}

// kill ends a projector without a warning, as a failing node would.
func (d *demo) kill(ctx context.Context) error {
	out, err := d.output(ctx, "get", "pods", "-l", "projectionist.dev/projection=route-stats,app.kubernetes.io/component=projector",
		"--field-selector=status.phase=Running", "-o", "jsonpath={.items[0].metadata.name}")
	if err != nil {
		return err
	}
	d.killed = out
	if d.terminal {
		_, _ = fmt.Fprintln(d.out)
	}
	_, _ = fmt.Fprintf(d.out, "      killing pod %s (SIGKILL)\n", d.killed)
	_, err = d.output(ctx, "delete", "pod", d.killed, "--grace-period=0", "--force", "--wait=false")
	return err
}

// compare reads the views as any query service would, and holds them against
// a computation over the input files that shares no code with the projector.
func (d *demo) compare(ctx context.Context, files flights.Files) error {
	want, err := files.Expected(d.flights)
	if err != nil {
		return err
	}
	got, err := readTables(ctx, os.Getenv("PG_URL_READER"))
	if err != nil {
		return err
	}
	d.step(7, "%s events: %d read models caught up in %.1f s (%s events/s, at best %s), one projector pod killed on the way",
		group(d.expect), len(projections), d.took.Seconds(), group(int64(float64(d.expect)/d.took.Seconds())), group(int64(d.bestSec)))
	different := want.Differences(got)
	verdict := map[bool]string{true: "equal to the independent computation", false: "NOT EQUAL to the independent computation"}
	_, _ = fmt.Fprintf(d.out, "      route_stats    %7s rows   %s\n", group(int64(len(got.Routes))), verdict[!mentions(different, "route_stats")])
	_, _ = fmt.Fprintf(d.out, "      airport_board  %7s rows   %s\n\n", group(int64(len(got.Airports))), verdict[!mentions(different, "airport_board")])
	if len(different) > 0 {
		for _, line := range different[:min(10, len(different))] {
			_, _ = fmt.Fprintln(d.out, "      "+line)
		}
		return errDifferent
	}
	// The status is written at most every 30 s while only the lag changes.
	if err := d.kube(ctx, nil, "wait", "--for=jsonpath={.status.status}=CaughtUp", "proj", "--all", "--timeout=90s"); err != nil {
		return err
	}
	return d.epilogue(ctx)
}

func mentions(lines []string, table string) bool {
	for _, l := range lines {
		if strings.HasPrefix(l, table) {
			return true
		}
	}
	return false
}

func (d *demo) epilogue(ctx context.Context) error {
	view, err := d.output(ctx, "get", "cqrs")
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(d.out, "$ kubectl get cqrs -n %s\n%s\n\n", d.namespace, view)
	_, _ = fmt.Fprintf(d.out, `  export KUBECONFIG=%s
  export DEMO_DB='%s'
  kubectl get proj -n %s                         # you are talking to a real cluster
  kubectl describe proj route-stats -n %s        # conditions say what it is doing
  psql "$DEMO_DB" -c 'select * from route_stats order by flights desc limit 5'
  psql "$DEMO_DB" -c "select * from airport_board where departures > 9000 order by departures desc"
  make demo-down                                      # remove everything again
`, os.Getenv("KUBECONFIG"), os.Getenv("PG_URL_READER"), d.namespace, d.namespace)
	return nil
}

func readTables(ctx context.Context, url string) (flights.Tables, error) {
	t := flights.Tables{Routes: map[flights.Route]flights.RouteStats{}, Airports: map[string]flights.Board{}}
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return t, err
	}
	defer db.Close(context.WithoutCancel(ctx)) //nolint:errcheck // read only
	rows, err := db.Query(ctx, "SELECT origin, destination, flights, total_delay, worst_delay FROM route_stats")
	if err != nil {
		return t, err
	}
	var r flights.Route
	var s flights.RouteStats
	if _, err = pgx.ForEachRow(rows, []any{&r.Origin, &r.Destination, &s.Flights, &s.TotalDelay, &s.WorstDelay}, func() error {
		t.Routes[r] = s
		s.WorstDelay = nil
		return nil
	}); err != nil {
		return t, err
	}
	if rows, err = db.Query(ctx, "SELECT iata, name, city, departures, arrivals FROM airport_board"); err != nil {
		return t, err
	}
	var iata string
	var b flights.Board
	_, err = pgx.ForEachRow(rows, []any{&iata, &b.Name, &b.City, &b.Departures, &b.Arrivals}, func() error {
		t.Airports[iata] = b
		b.Name, b.City = nil, nil
		return nil
	})
	return t, err
}
