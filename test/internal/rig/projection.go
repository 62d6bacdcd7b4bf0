// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/test/oracle"
)

// The names of the Secrets that a Projection's contract refers to.
const (
	StoreSecret  = "store"
	BrokerSecret = "broker"
)

// Projection is one revision with schemas, topics and Secrets of its own.
type Projection struct {
	*Rig
	Contract contract.Contract
	// ID makes names unique: schemas, topics, the group.
	ID string
	// Dir holds contract, Secrets and logs.
	Dir string
	// Bin is the projector's binary.
	Bin string
	// partitions by EventTopic name.
	partitions map[string]int32
}

// Spec says what NewProjection makes.
type Spec struct {
	// Topics are made with the given number of partitions each, where Partitions says so.
	Topics     []contract.Topic
	Partitions map[string]int32
	// Config are settings of created topics.
	Config map[string]string
	Models []contract.Model
	// Bin is the projector's binary; default Binary(t).
	Bin string
}

// NewProjection creates topics, contract and Secrets. Topics are named after
// the projection at the broker. Nothing is prepared yet.
func (r *Rig) NewProjection(t testing.TB, spec Spec) *Projection {
	t.Helper()
	var raw [4]byte
	_, _ = rand.Read(raw[:])
	p := &Projection{Rig: r, ID: "t" + hex.EncodeToString(raw[:]), Dir: t.TempDir(), Bin: spec.Bin, partitions: map[string]int32{}}
	if p.Bin == "" {
		p.Bin = Binary(t)
	}
	port, _ := strconv.ParseInt(r.Database.Env("PG_PORT"), 10, 32)
	p.Contract = contract.Contract{
		Version:    contract.Version,
		Projection: contract.Identity{Cluster: "rig", Namespace: "test", Name: p.ID, UID: p.ID},
		Broker:     contract.Broker{Name: "broker", Kafka: &contract.KafkaBroker{BootstrapServers: []string{r.Broker.Env("KAFKA_BOOTSTRAP")}}},
		Store: contract.Store{Name: "store", Postgres: &contract.PostgresStore{
			Host: r.Database.Env("PG_HOST"), Port: int32(port), Database: r.Database.Env("PG_DATABASE"),
			Credentials: contract.SecretRef{Name: StoreSecret}, Schema: p.ID, BookkeepingSchema: p.Book(),
			TLS: &contract.TLS{Mode: "disable"},
		}},
		Models: spec.Models, LagTargetSeconds: 60,
	}
	for _, topic := range spec.Topics {
		topic.BrokerTopic, topic.Format = p.BrokerTopic(topic.Name), "JSON"
		p.Contract.Topics = append(p.Contract.Topics, topic)
		if n := spec.Partitions[topic.Name]; n > 0 {
			p.partitions[topic.Name] = n
			r.Kafka.CreateTopic(t, topic.BrokerTopic, n, spec.Config)
		}
	}
	p.Contract.DataHash = compile.DataHash(&p.Contract)
	p.Contract.Revision = compile.Revision(p.Contract.DataHash)
	p.Contract.Group = p.ID
	p.WriteSecret(t, StoreSecret, map[string]string{"username": "projector", "password": r.Database.Env("PG_PASSWORD_PROJECTOR")})
	return p
}

// BrokerTopic is a topic's name at the broker.
func (p *Projection) BrokerTopic(name string) string { return p.ID + "." + name }

// Book is the bookkeeping schema.
func (p *Projection) Book() string { return p.ID + "_book" }

// Partitions is the number of partitions that a topic was made with, or has grown to by Grow.
func (p *Projection) Partitions(topic string) int32 { return p.partitions[topic] }

// Grow adds partitions to a topic.
func (p *Projection) Grow(t testing.TB, topic string, partitions int32) {
	t.Helper()
	p.Kafka.Grow(t, p.BrokerTopic(topic), partitions)
	p.partitions[topic] = partitions
}

// WriteSecret writes a mounted Secret as the kubelet does: a reader sees the old or the new content.
func (p *Projection) WriteSecret(t testing.TB, name string, keys map[string]string) {
	t.Helper()
	dir := filepath.Join(p.Dir, "secrets", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for k, v := range keys {
		tmp := filepath.Join(dir, "."+k+".new")
		if err := os.WriteFile(tmp, []byte(v), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, filepath.Join(dir, k)); err != nil {
			t.Fatal(err)
		}
	}
}

// writeContract writes the contract, in another consumer group than usual unless group is "".
func (p *Projection) writeContract(t testing.TB, group string) string {
	t.Helper()
	c := p.Contract
	name := "contract.json"
	if group != "" {
		c.Group, name = group, "contract-"+group+".json"
	}
	data, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	// Another projector may be reading it.
	path := filepath.Join(p.Dir, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Prepare runs the action prepare, which must succeed.
func (p *Projection) Prepare(t testing.TB) {
	t.Helper()
	if res, said := p.TryPrepare(t); !res.OK {
		t.Fatalf("prepare: %s: %s\n%s", res.Reason, res.Message, said)
	}
}

// TryPrepare runs the action prepare as a Job does, and gives its result and what it logged.
func (p *Projection) TryPrepare(t testing.TB) (res contract.Result, said string) {
	t.Helper()
	return p.Act(t, time.Minute, contract.Request{Action: contract.ActionPrepare, Sequence: 1})
}

// Act runs an action as a Job does, and gives its result and what it logged. It is killed after a while.
func (p *Projection) Act(t testing.TB, within time.Duration, req contract.Request) (res contract.Result, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	req.Version = contract.Version
	request, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	action, result := string(req.Action), filepath.Join(p.Dir, "result.json")
	cmd := exec.CommandContext(ctx, p.Bin, action, "--contract", p.writeContract(t, ""), "--result", result,
		"--secrets", filepath.Join(p.Dir, "secrets"), "--configmaps", filepath.Join(p.Dir, "configmaps"))
	cmd.Env = append(os.Environ(), contract.RequestEnv+"="+string(request))
	out, failed := cmd.CombinedOutput()
	data, err := os.ReadFile(result)
	if err != nil {
		t.Fatalf("%s left no result: %v\n%s", action, err, out)
	}
	if err := json.Unmarshal(data, &res); err != nil {
		t.Fatalf("%s left %s: %v", action, data, err)
	}
	if res.OK != (failed == nil) {
		t.Fatalf("%s's result says %t, its exit %v", action, res.OK, failed)
	}
	return res, string(data) + string(out)
}

// Audit starts the audit of the positions.
func (p *Projection) Audit(t testing.TB) {
	t.Helper()
	if err := oracle.StartAudit(context.Background(), p.Pool, p.Book()); err != nil {
		t.Fatalf("audit: %v", err)
	}
}

// ReadAudit reads what the audit recorded and judges it.
func (p *Projection) ReadAudit(t testing.TB) *oracle.Audit {
	t.Helper()
	return Retry(t, "audit", func(ctx context.Context) (*oracle.Audit, error) { return oracle.ReadAudit(ctx, p.Pool, p.Book()) })
}

// At names a partition as positions do.
type At struct {
	Topic     string
	Partition int32
}

// PositionRow is what the bookkeeping says about a partition.
type PositionRow struct {
	Next  int64
	Epoch int64
	Owner string
}

// Positions reads the position rows.
func (p *Projection) Positions(t testing.TB) map[At]PositionRow {
	t.Helper()
	return Retry(t, "positions", func(ctx context.Context) (map[At]PositionRow, error) {
		rows, err := p.Pool.Query(ctx, "SELECT topic, partition, next_position::bigint, epoch, owner FROM "+
			pgx.Identifier{p.Book(), "positions"}.Sanitize())
		if err != nil {
			return nil, err
		}
		out := map[At]PositionRow{}
		var at At
		var row PositionRow
		_, err = pgx.ForEachRow(rows, []any{&at.Topic, &at.Partition, &row.Next, &row.Epoch, &row.Owner}, func() error {
			out[at] = row
			return nil
		})
		return out, err
	})
}

// AwaitActive waits until a projector of this projection is in the middle of a
// transaction that writes, and gives the number of such transactions.
func (p *Projection) AwaitActive(t testing.TB) int {
	t.Helper()
	active := 0
	Until(t, 30*time.Second, "a projector's transaction", func() string {
		active = Retry(t, "pg_stat_activity", func(ctx context.Context) (n int, err error) {
			err = p.Pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
WHERE application_name LIKE '%/' || $1 || '/%' AND state <> 'idle' AND backend_xid IS NOT NULL`, p.ID).Scan(&n)
			return n, err
		})
		if active == 0 {
			return "none"
		}
		return ""
	})
	return active
}

// Ends reads the ends of all topics' partitions at the broker.
func (p *Projection) Ends(t testing.TB) map[At]int64 {
	t.Helper()
	out := map[At]int64{}
	for topic, n := range p.partitions {
		for i, end := range p.Kafka.Ends(t, p.BrokerTopic(topic), n) {
			out[At{topic, int32(i)}] = end
		}
	}
	return out
}

// AwaitEnds waits until the positions have come to the ends of the log.
func (p *Projection) AwaitEnds(t testing.TB, within time.Duration) {
	t.Helper()
	ends := p.Ends(t)
	Until(t, within, "the end of the log", func() string {
		rows := p.Positions(t)
		behind, first := int64(0), ""
		for at, end := range ends {
			if d := end - rows[at].Next; d > 0 {
				behind += d
				first = at.Topic + "/" + strconv.Itoa(int(at.Partition)) + " at " + strconv.FormatInt(rows[at].Next, 10)
			}
		}
		if behind == 0 {
			return ""
		}
		return strconv.FormatInt(behind, 10) + " positions behind, among them " + first
	})
}

// AuditEnds are the ends in the audit's form.
func (p *Projection) AuditEnds(t testing.TB) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for at, end := range p.Ends(t) {
		out[at.Topic+"/"+strconv.Itoa(int(at.Partition))] = end
	}
	return out
}

// freePort asks the system for a port.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Drop removes schemas of the projection: a long suite would fill the disk.
func (p *Projection) Drop(t testing.TB) {
	t.Helper()
	for _, schema := range []string{p.ID, p.Book(), p.Book() + "_audit"} {
		if _, err := p.Pool.Exec(context.Background(), "DROP SCHEMA IF EXISTS "+pgx.Identifier{schema}.Sanitize()+" CASCADE"); err != nil {
			t.Logf("drop schema: %s", strings.TrimSpace(err.Error()))
		}
	}
}
