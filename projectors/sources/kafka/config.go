// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/projectionist-dev/projectionist/projectors/sources/kafka/recordbatch"
)

// Config says which cluster to read, as whom, and how. Zero durations and sizes
// take the defaults given at each field.
type Config struct {
	// Bootstrap are the addresses, host:port, to find the cluster by.
	Bootstrap []string
	// Security gives TLS and SASL per connection; its zero value is plaintext.
	Security Security
	// ClientID is shown in the broker's logs and quotas; "projectionist".
	ClientID string
	// Topics maps the names of EventTopics to the names of topics at the broker.
	Topics map[string]string

	// Group is the consumer group's id; only NewGroup needs it.
	Group string
	// Heartbeat bounds how late a member learns of a rebalance; 1 s.
	Heartbeat time.Duration
	// SessionTimeout is how long a silent member keeps its partitions; 10 s.
	SessionTimeout time.Duration
	// RebalanceTimeout is how long a rebalance waits for members to leave their
	// partitions; 20 s.
	RebalanceTimeout time.Duration
	// JoinBackoff is the pause after a failed attempt to join; 1 s.
	JoinBackoff time.Duration
	// GrowthInterval is how often the group's leader looks for new partitions; 10 s.
	GrowthInterval time.Duration

	// FetchMaxWait is how long the broker may wait for news; 500 ms.
	FetchMaxWait time.Duration
	// MinBytes is the least that ends the broker's wait; 1.
	MinBytes int32
	// MaxPartitionBytes bounds what one fetch gives of one partition (compressed;
	// one batch is given even if larger); 1 MiB.
	MaxPartitionBytes int32
	// MaxBytes bounds what one fetch gives of one leader; 16 MiB.
	MaxBytes int32
	// MaxBatchBytes bounds what one record batch may decompress to; 64 MiB.
	MaxBatchBytes int

	// DialTimeout bounds the making of a connection; 5 s.
	DialTimeout time.Duration
	// RequestTimeout bounds a round trip beyond the wait asked for; 15 s.
	RequestTimeout time.Duration
	// LeaderGrace is how long a partition may be without a reachable leader before
	// that becomes an error; 15 s.
	LeaderGrace time.Duration
	// BeyondEndGrace is how long a position may lie beyond the log's end, as it does
	// for moments after a leader's failure, before that becomes an error; 30 s.
	BeyondEndGrace time.Duration

	// Logf, when not nil, is told of faults that are mended inside.
	Logf func(format string, args ...any)
}

func (c Config) withDefaults() (Config, error) {
	if len(c.Bootstrap) == 0 {
		return c, errors.New("kafka: no bootstrap address: set the EventBroker's bootstrapServers")
	}
	def(&c.ClientID, "projectionist")
	def(&c.Heartbeat, time.Second)
	def(&c.SessionTimeout, 10*time.Second)
	def(&c.RebalanceTimeout, 20*time.Second)
	def(&c.JoinBackoff, time.Second)
	def(&c.GrowthInterval, 10*time.Second)
	def(&c.FetchMaxWait, 500*time.Millisecond)
	def(&c.MinBytes, 1)
	def(&c.MaxPartitionBytes, 1<<20)
	def(&c.MaxBytes, 16<<20)
	def(&c.MaxBatchBytes, recordbatch.DefaultMaxDecompressed)
	def(&c.DialTimeout, 5*time.Second)
	def(&c.RequestTimeout, 15*time.Second)
	def(&c.LeaderGrace, 15*time.Second)
	def(&c.BeyondEndGrace, 30*time.Second)
	if c.Logf == nil {
		c.Logf = func(string, ...any) {}
	}
	if c.Heartbeat*2 > c.SessionTimeout {
		return c, fmt.Errorf("kafka: heartbeat %v must be at most half of the session timeout %v", c.Heartbeat, c.SessionTimeout)
	}
	return c, nil
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
