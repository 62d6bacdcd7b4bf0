// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/projectionist-dev/projectionist/projectors/sources/kafka/recordbatch"
)

const (
	metadataVersion    = 10 // 2.8: the first with topic ids
	listOffsetsVersion = 6
	fetchVersion       = 12 // diverging epochs
	fetchVersionByID   = 13 // topics by id
)

// Timestamps that ListOffsets takes for "the end" and "the beginning".
const (
	latest   = -1
	earliest = -2
)

type partitionMeta struct {
	leader, epoch int32
	replicas      int
}

type topicMeta struct {
	code       int16
	id         topicID
	partitions []partitionMeta
}

type clusterMeta struct {
	id      string
	brokers map[int32]string
	topics  map[string]*topicMeta
	at      time.Time
}

func metadataRequest(clientID string, topics []string) *rawRequest {
	r := newRequest(protocol.Metadata, metadataVersion, clientID)
	r.data.length(len(topics))
	for _, t := range topics {
		r.data.raw(make([]byte, 16))
		r.data.string(t)
		r.data.tags()
	}
	r.data.bool(false) // never create a topic by asking for it
	r.data.bool(false)
	r.data.bool(false)
	r.data.tags()
	return r
}

func parseMetadata(b []byte) (*clusterMeta, error) {
	p := parser{b: b}
	m := &clusterMeta{brokers: map[int32]string{}, topics: map[string]*topicMeta{}, at: time.Now()}
	p.int32()
	for n := p.length(); n > 0 && !p.bad; n-- {
		id := p.int32()
		host, port := p.string(), p.int32()
		p.string()
		p.tags(nil)
		m.brokers[id] = hostPort(host, port)
	}
	m.id = p.string()
	p.int32()
	for n := p.length(); n > 0 && !p.bad; n-- {
		t := &topicMeta{code: p.int16()}
		name := p.string()
		copy(t.id[:], p.take(16))
		p.bool()
		for k := p.length(); k > 0 && !p.bad; k-- {
			p.int16()
			index := p.int32()
			part := partitionMeta{leader: p.int32(), epoch: p.int32()}
			part.replicas = p.int32s()
			p.int32s()
			p.int32s()
			p.tags(nil)
			if index < 0 || index > 1<<20 {
				p.bad = true
				break
			}
			for int(index) >= len(t.partitions) {
				t.partitions = append(t.partitions, partitionMeta{leader: -1, epoch: -1})
			}
			t.partitions[index] = part
		}
		p.int32()
		p.tags(nil)
		m.topics[name] = t
	}
	if p.bad {
		return nil, errShort
	}
	return m, nil
}

// int32s skips an array and gives its length.
func (p *parser) int32s() int {
	n := p.length()
	if n > 0 {
		p.take(4 * n)
	}
	return max(n, 0)
}

// wanted is one partition of a request to a leader.
type wanted struct {
	topic     string
	id        topicID
	partition int32
	epoch     int32 // the leader's
	offset    int64
	lastEpoch int32 // of the last batch read
}

type offsetAnswer struct {
	code   int16
	offset int64
}

type partitionKey struct {
	topic     string
	partition int32
}

func listOffsetsRequest(clientID string, parts []wanted, timestamp int64, committed bool) *rawRequest {
	r := newRequest(protocol.ListOffsets, listOffsetsVersion, clientID)
	r.data.int32(-1)
	if committed {
		r.data.int8(1)
	} else {
		r.data.int8(0)
	}
	// A topic may stand in several entries: that is simpler than grouping, and allowed.
	r.data.length(len(parts))
	for i := range parts {
		r.data.string(parts[i].topic)
		r.data.length(1)
		r.data.int32(parts[i].partition)
		r.data.int32(parts[i].epoch)
		r.data.int64(timestamp)
		r.data.tags()
		r.data.tags()
	}
	r.data.tags()
	return r
}

func parseListOffsets(b []byte) (map[partitionKey]offsetAnswer, error) {
	p := parser{b: b}
	out := map[partitionKey]offsetAnswer{}
	p.int32()
	for n := p.length(); n > 0 && !p.bad; n-- {
		topic := p.string()
		for k := p.length(); k > 0 && !p.bad; k-- {
			index := p.int32()
			a := offsetAnswer{code: p.int16()}
			p.int64()
			a.offset = p.int64()
			p.int32()
			p.tags(nil)
			out[partitionKey{topic, index}] = a
		}
		p.tags(nil)
	}
	if p.bad {
		return nil, errShort
	}
	return out, nil
}

func fetchRequest(cfg *Config, version int16, parts []wanted) *rawRequest {
	r := newRequest(protocol.Fetch, version, cfg.ClientID)
	r.limit = int(cfg.MaxBytes) + maxResponseSlack
	r.data.int32(-1)
	r.data.int32(int32(cfg.FetchMaxWait / time.Millisecond))
	r.data.int32(cfg.MinBytes)
	r.data.int32(cfg.MaxBytes)
	r.data.int8(1) // read committed
	r.data.int32(0)
	r.data.int32(-1) // no fetch session
	// The broker fills the answer in the order asked, so that the order is the
	// fairness between partitions: neighbours of one topic share an entry.
	runs := 0
	for i := range parts {
		if i == 0 || parts[i].topic != parts[i-1].topic {
			runs++
		}
	}
	r.data.length(runs)
	for i := 0; i < len(parts); {
		j := i + 1
		for j < len(parts) && parts[j].topic == parts[i].topic {
			j++
		}
		if version >= fetchVersionByID {
			r.data.raw(parts[i].id[:])
		} else {
			r.data.string(parts[i].topic)
		}
		r.data.length(j - i)
		for ; i < j; i++ {
			r.data.int32(parts[i].partition)
			r.data.int32(parts[i].epoch)
			r.data.int64(parts[i].offset)
			r.data.int32(parts[i].lastEpoch)
			r.data.int64(-1)
			r.data.int32(cfg.MaxPartitionBytes)
			r.data.tags()
		}
		r.data.tags()
	}
	r.data.length(0)
	r.data.string("")
	r.data.tags()
	return r
}

// maxResponseSlack is what an answer may hold over MaxBytes: a broker gives the
// first batch whole, whatever its size.
const maxResponseSlack = 128 << 20

type fetchAnswer struct {
	code          int16
	highWatermark int64
	lastStable    int64
	logStart      int64
	aborted       []recordbatch.Aborted
	records       []byte
	diverging     bool
	divergeEnd    int64
}

// parseFetch gives the answers in the order found. The name function turns an
// id into the topic asked for.
func parseFetch(b []byte, version int16, name func(topicID) string) (int16, map[partitionKey]*fetchAnswer, error) {
	p := parser{b: b}
	out := map[partitionKey]*fetchAnswer{}
	p.int32()
	code := p.int16()
	p.int32()
	for n := p.length(); n > 0 && !p.bad; n-- {
		var topic string
		if version >= fetchVersionByID {
			var id topicID
			copy(id[:], p.take(16))
			topic = name(id)
		} else {
			topic = p.string()
		}
		for k := p.length(); k > 0 && !p.bad; k-- {
			index := p.int32()
			a := &fetchAnswer{code: p.int16(), highWatermark: p.int64(), lastStable: p.int64(), logStart: p.int64()}
			for m := p.length(); m > 0 && !p.bad; m-- {
				a.aborted = append(a.aborted, recordbatch.Aborted{ProducerID: p.int64(), FirstOffset: p.int64()})
				p.tags(nil)
			}
			p.int32()
			a.records = p.bytes()
			p.tags(func(tag uint64, f *parser) {
				if tag == 0 {
					f.int32()
					a.divergeEnd = f.int64()
					a.diverging = a.divergeEnd >= 0
				}
			})
			out[partitionKey{topic, index}] = a
		}
		p.tags(nil)
	}
	if p.bad {
		return 0, nil, errShort
	}
	return code, out, nil
}
