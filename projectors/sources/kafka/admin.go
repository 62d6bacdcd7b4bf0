// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/sources"
)

// Admin asks a cluster about itself and its topics, for the Jobs that probe a
// broker or create a topic. Each call makes its own connections; topics are
// named as at the broker, and Config.Topics is not used.
type Admin struct{ cfg Config }

// NewAdmin makes an Admin. It does not connect.
func NewAdmin(cfg Config) (*Admin, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Admin{cfg}, nil
}

// Cluster is what Probe finds.
type Cluster struct {
	ID      string
	Brokers int
}

// Probe reaches the cluster, authenticates, and checks that it is new enough.
func (a *Admin) Probe(ctx context.Context) (Cluster, error) {
	l, err := a.open()
	if err != nil {
		return Cluster{}, err
	}
	defer l.Close() //nolint:errcheck // it returns none
	m, err := l.metadata(ctx, time.Time{})
	if err != nil {
		return Cluster{}, err
	}
	return Cluster{ID: m.id, Brokers: len(m.brokers)}, nil
}

func (a *Admin) open(topics ...string) (*Log, error) {
	cfg := a.cfg
	cfg.Topics = make(map[string]string, len(topics))
	for _, t := range topics {
		cfg.Topics[t] = t
	}
	return NewLog(cfg)
}

// Topic is what DescribeTopic finds.
type Topic struct {
	// ID is empty when the broker has no ids.
	ID                string
	Partitions        int32
	ReplicationFactor int
	// Config has the topic's settings, defaults included, as the broker writes
	// them: cleanup.policy, retention.ms, retention.bytes, delete.retention.ms,
	// min.insync.replicas, message.timestamp.type and the others. It is nil when
	// the user may not read them: see ConfigErr.
	Config map[string]string
	// ConfigErr says why Config is missing. It is no reason not to go on: reading
	// a topic's settings needs a right (DESCRIBE_CONFIGS) that reading events does not.
	ConfigErr error
	// Bounds has one element per partition.
	Bounds []sources.Bounds
}

// Compacted says whether older records of a key may be missing.
func (t *Topic) Compacted() bool { return strings.Contains(t.Config["cleanup.policy"], "compact") }

// DescribeTopic reads a topic's shape, settings and extent. A missing topic is
// TopicMissing, a missing right on the topic AuthorizationFailed.
func (a *Admin) DescribeTopic(ctx context.Context, brokerTopic string) (*Topic, error) {
	l, err := a.open(brokerTopic)
	if err != nil {
		return nil, err
	}
	defer l.Close() //nolint:errcheck // it returns none
	return a.describe(ctx, l, brokerTopic)
}

func (a *Admin) describe(ctx context.Context, l *Log, name string) (*Topic, error) {
	infos, err := l.Describe(ctx, name)
	if err != nil {
		return nil, err
	}
	m, err := l.metadata(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	t := &Topic{ID: infos[name].ID, Partitions: infos[name].Partitions}
	tps := make([]event.TopicPartition, t.Partitions)
	for i := range tps {
		tps[i] = event.TopicPartition{Topic: name, Partition: int32(i)}
		t.ReplicationFactor = max(t.ReplicationFactor, m.topics[name].partitions[i].replicas)
	}
	bounds, err := l.Bounds(ctx, tps...)
	if err != nil {
		return nil, err
	}
	for _, tp := range tps {
		t.Bounds = append(t.Bounds, bounds[tp])
	}
	t.Config, t.ConfigErr = a.configs(ctx, name)
	return t, nil
}

// client makes a kafka-go client whose own metadata covers one topic: its
// CreateTopics waits until the topic shows there.
func (a *Admin) client(topic string) (*kafka.Client, func()) {
	tr := newTransport(a.cfg, []string{topic})
	return &kafka.Client{Addr: kafka.TCP(a.cfg.Bootstrap...), Transport: tr}, tr.CloseIdleConnections
}

func (a *Admin) configs(ctx context.Context, name string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.RequestTimeout)
	defer cancel()
	client, done := a.client(name)
	defer done()
	res, err := client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: name},
	}})
	if err != nil {
		return nil, a.explain(ctx, err, name)
	}
	out := map[string]string{}
	for _, r := range res.Resources {
		if r.Error != nil {
			if errors.Is(r.Error, kafka.TopicAuthorizationFailed) {
				return nil, &sources.AuthorizationFailed{Resource: fmt.Sprintf("the settings of topic %q", name), Needs: "DESCRIBE_CONFIGS"}
			}
			return nil, a.explain(ctx, r.Error, name)
		}
		for _, e := range r.ConfigEntries {
			if !e.IsSensitive {
				out[e.ConfigName] = e.ConfigValue
			}
		}
	}
	return out, nil
}

func (a *Admin) explain(ctx context.Context, err error, topic string) error {
	switch {
	case errors.Is(err, kafka.TopicAuthorizationFailed):
		return topicForbidden(topic)
	case errors.Is(err, kafka.ClusterAuthorizationFailed):
		return &sources.AuthorizationFailed{Resource: fmt.Sprintf("the cluster (for topic %q)", topic), Needs: "CREATE, or create the topic yourself"}
	}
	return classify(ctx, strings.Join(a.cfg.Bootstrap, ","), err)
}

// DeleteGroup removes a consumer group and the offsets committed for it, which are
// a courtesy and no loss (Law 2). One that does not exist is no error. Its members
// are removed with it: whoever deletes a group has seen to it that no projector
// runs, and one that was killed stays a member until its session ends.
func (a *Admin) DeleteGroup(ctx context.Context, group string) error {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.RequestTimeout)
	defer cancel()
	tr := newTransport(a.cfg, []string{})
	defer tr.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(a.cfg.Bootstrap...), Transport: tr}
	err := deleteGroup(ctx, client, group)
	if errors.Is(err, kafka.NonEmptyGroup) {
		if err = removeMembers(ctx, client, group); err == nil {
			err = deleteGroup(ctx, client, group)
		}
	}
	switch {
	case err == nil, errors.Is(err, kafka.GroupIdNotFound):
		return nil
	case errors.Is(err, kafka.NonEmptyGroup):
		return &GroupInUse{Group: group}
	case errors.Is(err, kafka.GroupAuthorizationFailed):
		return &sources.AuthorizationFailed{Resource: fmt.Sprintf("the consumer group %q", group), Needs: "DELETE, DESCRIBE and READ"}
	}
	return classify(ctx, strings.Join(a.cfg.Bootstrap, ","), err)
}

func deleteGroup(ctx context.Context, client *kafka.Client, group string) error {
	res, err := client.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return err
	}
	return res.Errors[group]
}

// removeMembers takes all members out of a group, as if each had left.
func removeMembers(ctx context.Context, client *kafka.Client, group string) error {
	res, err := client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return err
	}
	// One at a time: an older broker takes no more in a request.
	for _, g := range res.Groups {
		if g.Error != nil {
			return g.Error
		}
		for _, m := range g.Members {
			left, err := client.LeaveGroup(ctx, &kafka.LeaveGroupRequest{GroupID: group, Members: []kafka.LeaveGroupRequestMember{{ID: m.MemberID}}})
			if err == nil {
				err = left.Error
			}
			if err != nil && !errors.Is(err, kafka.UnknownMemberId) {
				return err
			}
		}
	}
	return nil
}

// GroupInUse means that a consumer group got members again while it was to be deleted.
type GroupInUse struct{ Group string }

func (e *GroupInUse) Error() string {
	return fmt.Sprintf("the consumer group %q still has members", e.Group)
}

// TopicSpec is a topic to create.
type TopicSpec struct {
	Name string
	// Partitions and ReplicationFactor take the broker's default when 0.
	Partitions        int32
	ReplicationFactor int
	// Config are settings such as cleanup.policy.
	Config map[string]string
	// Grow adds partitions to a topic that has fewer. Keys then move between
	// partitions: it must be asked for.
	Grow bool
}

// Outcome is what CreateTopic did and found.
type Outcome struct {
	// Created is false when the topic was there already.
	Created bool
	// Grown is the number of partitions before, when some were added.
	Grown int32
	// Differences says, for a topic that was there, where it is not as specified.
	// Nothing of this is changed.
	Differences []string
	Topic       Topic
}

// CreateTopic creates a topic unless it exists. Calling it again changes
// nothing. A wrong setting is an error that says so.
func (a *Admin) CreateTopic(ctx context.Context, spec TopicSpec) (*Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*a.cfg.RequestTimeout)
	defer cancel()
	client, done := a.client(spec.Name)
	defer done()
	l, err := a.open(spec.Name)
	if err != nil {
		return nil, err
	}
	defer l.Close() //nolint:errcheck // it returns none

	out := &Outcome{}
	t, err := a.describe(ctx, l, spec.Name)
	switch {
	case sources.ReasonOf(err) == sources.ReasonTopicMissing:
		if err = a.create(ctx, client, spec); err == nil {
			out.Created = true
		} else if !errors.Is(err, kafka.TopicAlreadyExists) {
			return nil, err
		}
		if t, err = a.describeNew(ctx, l, spec.Name); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	if !out.Created && spec.Grow && t.Partitions < spec.Partitions {
		before := t.Partitions
		res, err := client.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{
			Topics: []kafka.TopicPartitionsConfig{{Name: spec.Name, Count: spec.Partitions}},
		})
		if err == nil {
			err = res.Errors[spec.Name]
		}
		if err != nil {
			return nil, a.refused(ctx, spec, err)
		}
		out.Grown = before
		for t.Partitions < spec.Partitions {
			if t, err = a.describeNew(ctx, l, spec.Name); err != nil {
				return nil, err
			}
		}
	}
	out.Topic = *t
	if !out.Created {
		out.Differences = differences(spec, t)
	}
	return out, nil
}

func (a *Admin) create(ctx context.Context, client *kafka.Client, spec TopicSpec) error {
	tc := kafka.TopicConfig{Topic: spec.Name, NumPartitions: -1, ReplicationFactor: -1}
	if spec.Partitions > 0 {
		tc.NumPartitions = int(spec.Partitions)
	}
	if spec.ReplicationFactor > 0 {
		tc.ReplicationFactor = spec.ReplicationFactor
	}
	for _, k := range slices.Sorted(maps.Keys(spec.Config)) {
		tc.ConfigEntries = append(tc.ConfigEntries, kafka.ConfigEntry{ConfigName: k, ConfigValue: spec.Config[k]})
	}
	res, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{tc}})
	if err == nil {
		err = res.Errors[spec.Name]
	}
	if err == nil || errors.Is(err, kafka.TopicAlreadyExists) {
		return err
	}
	return a.refused(ctx, spec, err)
}

func (a *Admin) refused(ctx context.Context, spec TopicSpec, err error) error {
	for _, code := range []kafka.Error{kafka.InvalidTopic, kafka.InvalidConfiguration, kafka.InvalidReplicationFactor,
		kafka.InvalidPartitionNumber, kafka.PolicyViolation, kafka.InvalidRequest} {
		if errors.Is(err, code) {
			return &TopicRefused{Topic: spec.Name, Err: err}
		}
	}
	return a.explain(ctx, err, spec.Name)
}

// TopicRefused says that the broker does not accept a topic as specified.
type TopicRefused struct { //nolint:errname // named as the reason that users see
	Topic string
	Err   error
}

// ReasonTopicRefused is the reason of TopicRefused.
const ReasonTopicRefused = "TopicRefused"

// Reason implements sources.Error.
func (e *TopicRefused) Reason() string { return ReasonTopicRefused }
func (e *TopicRefused) Unwrap() error  { return e.Err }

func (e *TopicRefused) Error() string {
	return fmt.Sprintf("the broker refuses topic %q: %v; correct the EventTopic's creation settings (name, partitions, "+
		"replication factor, config)", e.Topic, e.Err)
}

// describeNew waits until brokers know a topic that the controller has just made.
func (a *Admin) describeNew(ctx context.Context, l *Log, name string) (*Topic, error) {
	for {
		t, err := a.describe(ctx, l, name)
		if err == nil && t.Partitions > 0 || err != nil && sources.ReasonOf(err) != sources.ReasonTopicMissing {
			return t, err
		}
		select {
		case <-ctx.Done():
			return nil, classify(ctx, l.bootstrap, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func differences(spec TopicSpec, t *Topic) []string {
	var out []string
	if spec.Partitions > 0 && t.Partitions != spec.Partitions {
		out = append(out, fmt.Sprintf("it has %d partitions, not %d", t.Partitions, spec.Partitions))
	}
	if spec.ReplicationFactor > 0 && t.ReplicationFactor != spec.ReplicationFactor {
		out = append(out, "its replication factor is "+strconv.Itoa(t.ReplicationFactor)+", not "+strconv.Itoa(spec.ReplicationFactor))
	}
	for _, k := range slices.Sorted(maps.Keys(spec.Config)) {
		if have, ok := t.Config[k]; ok && have != spec.Config[k] {
			out = append(out, fmt.Sprintf("its %s is %q, not %q", k, have, spec.Config[k]))
		}
	}
	return out
}
