// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
	"github.com/projectionist-dev/projectionist/projectors/sources/sourcetest"
)

func admin(t testing.TB, h *harness) *kafka.Admin {
	t.Helper()
	a, err := kafka.NewAdmin(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// adminCases run on the fake broker and on a real one.
func adminCases(t *testing.T, h *harness) {
	ctx := sourcetest.Context(t)
	a := admin(t, h)
	cluster, err := a.Probe(ctx)
	if err != nil || cluster.ID == "" || cluster.Brokers < 1 {
		t.Fatalf("probe: %+v, %v", cluster, err)
	}
	name := h.topic("made")
	if _, err = a.DescribeTopic(ctx, name); sources.ReasonOf(err) != sources.ReasonTopicMissing {
		t.Fatalf("a missing topic gives %v", err)
	}
	spec := kafka.TopicSpec{Name: name, Partitions: 3, ReplicationFactor: 1, Config: map[string]string{"cleanup.policy": "compact", "retention.ms": "3600000"}}
	out, err := a.CreateTopic(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	if !out.Created || out.Topic.Partitions != 3 || out.Topic.ID == "" || out.Topic.ReplicationFactor != 1 || len(out.Topic.Bounds) != 3 ||
		out.Topic.Config["retention.ms"] != "3600000" || !out.Topic.Compacted() || len(out.Differences) != 0 {
		t.Fatalf("created %+v", out)
	}
	again, err := a.CreateTopic(ctx, spec)
	if err != nil || again.Created || len(again.Differences) != 0 || again.Topic.ID != out.Topic.ID {
		t.Fatalf("again: %+v, %v", again, err)
	}
	spec.Partitions, spec.Config["retention.ms"] = 5, "1000"
	differs, err := a.CreateTopic(ctx, spec)
	want := []string{"it has 3 partitions, not 5", `its retention.ms is "3600000", not "1000"`}
	if err != nil || !reflect.DeepEqual(differs.Differences, want) || differs.Grown != 0 {
		t.Fatalf("got %+v, %v, want %q", differs, err, want)
	}
	spec.Grow = true
	grown, err := a.CreateTopic(ctx, spec)
	if err != nil || grown.Grown != 3 || grown.Topic.Partitions != 5 || len(grown.Differences) != 1 {
		t.Fatalf("grown: %+v, %v", grown, err)
	}
	t2, err := a.DescribeTopic(ctx, name)
	if err != nil || t2.ConfigErr != nil || t2.Partitions != 5 {
		t.Fatalf("described: %+v, %v", t2, err)
	}
	for _, key := range []string{"cleanup.policy", "retention.ms", "retention.bytes", "delete.retention.ms", "min.insync.replicas", "message.timestamp.type"} {
		if t2.Config[key] == "" {
			t.Errorf("no %s", key)
		}
	}
	refused(t, a, kafka.TopicSpec{Name: h.topic("rf"), Partitions: 1, ReplicationFactor: 9})
	deletesGroups(t, h, a)
}

// deletesGroups deletes a group, also one in which somebody is still a member, as one is that was killed.
func deletesGroups(t *testing.T, h *harness, a *kafka.Admin) {
	t.Helper()
	ctx := sourcetest.Context(t)
	h.CreateTopic(t, "grouped", 1)
	cfg := h.cfg
	cfg.Topics, cfg.Group = map[string]string{"grouped": h.topic("grouped")}, h.topic("deleted")
	l, err := kafka.NewLog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g, err := kafka.NewGroup(cfg, l)
	if err != nil {
		t.Fatal(err)
	}
	gen := next(t, g, 1)
	if err := gen.CommitAdvisory(map[event.TopicPartition]int64{{Topic: "grouped"}: 0}); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"with a member", "one that is gone"} {
		if err := a.DeleteGroup(ctx, cfg.Group); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	gen.Done()
	if err := errors.Join(g.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, a *kafka.Admin, spec kafka.TopicSpec) {
	t.Helper()
	if _, err := a.CreateTopic(sourcetest.Context(t), spec); sources.ReasonOf(err) != kafka.ReasonTopicRefused {
		t.Errorf("%+v gives %v", spec, err)
	}
}

func TestAdmin(t *testing.T) {
	_, h := fakeHarness(t)
	adminCases(t, h)
}

func TestAdminRights(t *testing.T) {
	c, h := fakeHarness(t)
	h.CreateTopic(t, "orders", 1)
	a := admin(t, h)
	ctx := sourcetest.Context(t)

	f := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	topic, err := a.DescribeTopic(ctx, h.topic("orders"))
	if err != nil || sources.ReasonOf(topic.ConfigErr) != sources.ReasonAuthorizationFailed {
		t.Errorf("without DESCRIBE_CONFIGS: %+v, %v", topic, err)
	}
	f.Remove()

	f = c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	if _, err := a.CreateTopic(ctx, kafka.TopicSpec{Name: h.topic("new"), Partitions: 1}); sources.ReasonOf(err) != sources.ReasonAuthorizationFailed {
		t.Errorf("without CREATE: %v", err)
	}
	f.Remove()

	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: h.topic("orders"), Err: kerr.TopicAuthorizationFailed, Count: -1})
	if _, err := a.DescribeTopic(ctx, h.topic("orders")); sources.ReasonOf(err) != sources.ReasonAuthorizationFailed {
		t.Errorf("without DESCRIBE: %v", err)
	}
}
