// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/preview"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/secrets"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// kafkaWithStock is a broker with a topic of stock, and its address.
func kafkaWithStock(t *testing.T) (*kgo.Client, string) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "stock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("stock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client, cluster.ListenAddrs()[0]
}

func receive(t *testing.T, client *kgo.Client, sku string, quantity int) {
	t.Helper()
	r := &kgo.Record{Key: []byte(sku), Value: fmt.Appendf(nil, `{"type": "Received", "sku": %q, "quantity": %d}`, sku, quantity)}
	if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// TestFromKafka: a run goes on where the last one ended, and begins anew with another spec.
func TestFromKafka(t *testing.T) {
	client, address := kafkaWithStock(t)
	dir := t.TempDir()
	spec := stock + "---\napiVersion: cqrs.projectionist.dev/v1alpha1\nkind: EventBroker\nmetadata: {name: main}\nspec: {kafka: {bootstrapServers: [\"" + address + "\"]}}\n"
	store := "sqlite:" + dir + "/stock.db"
	run := func(spec string) (screen, progress string) {
		t.Helper()
		write(t, dir+"/stock.yaml", spec)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // for a failure alone
		defer cancel()
		p, out, errs := printer()
		if err := Run(ctx, p, Options{Files: []string{dir + "/stock.yaml"}, Store: store, UntilCaughtUp: true}); err != nil {
			t.Fatalf("%v\n%s", err, errs)
		}
		return out.String(), errs.String()
	}
	receive(t, client, "A", 3)
	receive(t, client, "B", 4)
	if screen, _ := run(spec); !strings.Contains(screen, "2 events") {
		t.Errorf("the first run:\n%s", screen)
	}
	receive(t, client, "A", 5)
	screen, progress := run(spec)
	if got := levels(t, dir+"/stock.yaml", store); got != "A 8, B 4" || !strings.Contains(screen, "1 event ") || strings.Contains(progress, "anew") {
		t.Errorf("after one more event the rows are %s, want A 8, B 4, made by the new event alone:\n%s%s", got, progress, screen)
	}
	screen, progress = run(strings.Replace(spec, "add: {on_hand: event.quantity}", "add: {on_hand: 2 * event.quantity}", 1))
	if got := levels(t, dir+"/stock.yaml", store); got != "A 16, B 8" || !strings.Contains(progress, "anew") {
		t.Errorf("after a change of the spec the rows are %s, want A 16, B 8, made anew:\n%s%s", got, progress, screen)
	}
}

// levels are the rows that readers see.
func levels(t *testing.T, file, store string) string {
	t.Helper()
	c := compiled(t, file)
	db, err := connect.OpenURL(store, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it is only read
	admin, err := db.Admin()
	if err != nil {
		t.Fatal(err)
	}
	got, err := admin.(stores.Reader).Read(t.Context(), c.Contract, 0)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, r := range got {
		parts = append(parts, fmt.Sprintf("%v %v", r[0], r[1]))
	}
	return strings.Join(parts, ", ")
}

func compiled(t *testing.T, file string) *workspace.Compiled {
	t.Helper()
	set, err := manifests.Load([]string{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := workspace.New(set)
	c, err := w.Compile(w.Projections[0], localCluster)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPreviewFromKafka reads the first events of a topic and joins no group.
func TestPreviewFromKafka(t *testing.T) {
	client, address := kafkaWithStock(t)
	for i := range 5 {
		receive(t, client, fmt.Sprintf("S%d", i), i)
	}
	file := t.TempDir() + "/stock.yaml"
	write(t, file, stock+"---\napiVersion: cqrs.projectionist.dev/v1alpha1\nkind: EventBroker\nmetadata: {name: main}\nspec: {kafka: {bootstrapServers: [\""+address+"\"]}}\n")
	c := compiled(t, file)
	mounts, remove, err := secrets.Gather(secrets.Sources{}, c.Contract)
	if err != nil {
		t.Fatal(err)
	}
	defer remove() //nolint:errcheck // an empty directory
	got, err := preview.FromKafka(t.Context(), mounts, c.Contract, "stock", 3)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d events (%v), want 3", len(got), err)
	}
	for _, e := range got {
		if !e.Placed || e.Topic != "stock" || !strings.Contains(string(e.Record.Value), string(e.Record.Key)) {
			t.Errorf("event %+v, want one of the topic with its place", e)
		}
	}
}
