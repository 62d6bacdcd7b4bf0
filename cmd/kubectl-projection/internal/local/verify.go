// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/cluster"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/secrets"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/compile"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/history"
	"github.com/projectionist-dev/projectionist/projectors/keyreplay"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

// VerifyOptions are what verify is asked for.
type VerifyOptions struct {
	// Files are files and directories of manifests, Projection one of several in them.
	Files      []string
	Projection string
	// Deployed is a projection of a cluster, in place of Files.
	Deployed *Deployed
	// Store is the URL of a store, Broker a list of addresses in place of the EventBroker's.
	Store, Broker string
	// Secrets is a directory with a directory per Secret.
	Secrets string
	// Cluster and Namespace say whose tables are meant; empty is those of a local run, and the manifest's.
	Cluster, Namespace string
	// Sample is a share of the keys, such as 1%; empty is all of them.
	Sample string
	// All lifts the bound on the rows in memory.
	All bool
	// Limit is how many differing rows of a model are shown.
	Limit int
	// Repair makes the rows that differ anew from the log.
	Repair bool
}

// Deployed is what a cluster says of a revision.
type Deployed struct {
	Projection *v1alpha1.Projection
	Contract   *contract.Contract
	Mounted    []cluster.Mounted
}

// MaxVerifyRows is how many rows verify holds in memory, unless it is told to hold all.
const MaxVerifyRows = 2_000_000

// Verify compares a projection's tables with the log. It gives output.ErrFound where they differ, and stay so.
func Verify(ctx context.Context, p *output.Printer, o VerifyOptions) (err error) {
	sample, err := sampleBuckets(o.Sample)
	if err != nil {
		return err
	}
	pl, err := newVerifyPlan(p, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pl.close()) }()
	began := time.Now()
	vo, err := pl.compared(ctx)
	if err != nil {
		return err
	}
	vo.Sample, vo.Differences = sample, o.Limit
	if v := compile.Verification(pl.projections[0].Projection.Value); v != nil {
		vo.Assertions = v.Assertions
	}
	if o.Repair {
		vo.Differences = keyreplay.MaxKeys + 1
	}
	if !o.All {
		vo.MaxRows = MaxVerifyRows
	}
	reading := newReading(p)
	vo.Progress = reading.tell
	result, err := verify.Run(ctx, *vo)
	reading.end()
	if err != nil {
		return advised(err)
	}
	report, err := newVerifyReport(pl, vo.Contract, result, time.Since(began), o.Limit)
	if err != nil {
		return err
	}
	if o.Repair && !result.Equal() {
		report.Repaired, report.refused = pl.repair(ctx, p, vo, result)
	}
	if err := errors.Join(report.print(p), report.refused); err != nil {
		return err
	}
	broken := slices.ContainsFunc(result.Assertions, func(a verify.Assertion) bool { return !a.Holds() })
	if broken || !result.Equal() && report.Repaired == nil {
		return output.ErrFound
	}
	return nil
}

// repair makes the rows that differ anew.
func (p *plan) repair(ctx context.Context, out *output.Printer, vo *verify.Options, r *verify.Result) (*ReplayedReport, error) {
	var keys []keyreplay.Key
	for m := range r.Models {
		if n := r.Models[m].Differing(); n > int64(len(r.Models[m].Differences)) {
			return nil, fmt.Errorf("%s rows of model %s differ, and at most %s are repaired: nothing was changed; rebuild the projection (spec.replayToken)",
				output.Group(n), r.Models[m].Name, output.Group(keyreplay.MaxKeys))
		}
		for _, d := range r.Models[m].Differences {
			keys = append(keys, keyreplay.Key{Model: m, Values: d.Key})
		}
	}
	done, err := p.replay(ctx, out, vo, keys)
	if err != nil {
		return nil, fmt.Errorf("the rows were not repaired: %w", err)
	}
	return newReplayedReport(done), nil
}

// replay makes rows anew.
func (p *plan) replay(ctx context.Context, out *output.Printer, vo *verify.Options, keys []keyreplay.Key) (*keyreplay.Result, error) {
	store, ok := vo.Store.(stores.Replacer)
	if !ok {
		return nil, fmt.Errorf("%s: rows cannot be replaced in this store", p.storeName(p.projections[0]))
	}
	reading := newReading(out)
	defer reading.end()
	return keyreplay.Run(ctx, keyreplay.Options{
		Log: vo.Log, Store: store, Contract: vo.Contract, Program: vo.Program, Keys: keys, Owner: application, Progress: reading.tell,
	})
}

// sampleBuckets reads a share such as 1%; 0 is all.
func sampleBuckets(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	buckets, ok := contract.SampleBuckets(text)
	if !ok || buckets == 0 {
		return 0, fmt.Errorf("--sample %q is not a share of the keys: write it as 1%% or 0.5%%", text)
	}
	return buckets, nil
}

func advised(err error) error {
	var refused *history.RefusedError
	if errors.As(err, &refused) && refused.Code == history.ReasonTooManyRows {
		return fmt.Errorf("%w: compare a sample of the keys, as with --sample 10%%, or hold all of them with --all", err)
	}
	return err
}

// newVerifyPlan reads the manifests and the Secrets. The plan must be closed.
func newVerifyPlan(p *output.Printer, o VerifyOptions) (*plan, error) {
	c, err := toVerify(p, o)
	if err != nil {
		return nil, err
	}
	if o.Broker != "" {
		// A stand-in says no more than the addresses, an EventBroker how to log in, too.
		b := contract.KafkaBroker{}
		if k := c.Contract.Broker.Kafka; k != nil {
			b = *k
		}
		b.BootstrapServers = strings.Split(o.Broker, ",")
		c.Contract.Broker.Kafka = &b
	} else if !c.HasBroker {
		return nil, fmt.Errorf("the EventBroker of Projection %s is not among the manifests: name its file with -f, too, or give --broker", c.Projection.Name)
	}
	out := &plan{storeURL: o.Store, projections: []*workspace.Compiled{c}, databases: map[string]connect.Database{}}
	if o.Store == "" && !c.HasStore {
		out.storeURL = defaultStore
	}
	if c.HasStore && (o.Deployed != nil || o.Cluster != "") {
		out.operators = c.Contract.Store
	}
	if file, ok := strings.CutPrefix(out.storeURL, "sqlite:"); ok {
		// To open a database that is not there would make one.
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("%s: %w", out.storeURL, err)
		}
	}
	from := secrets.Sources{Dir: o.Secrets, Manifests: o.Files, Environ: os.Environ()}
	if o.Deployed != nil {
		from.Mounted, out.deployed = o.Deployed.Mounted, true
	}
	mounts, remove, err := secrets.Gather(from, c.Contract)
	if err != nil {
		return nil, err
	}
	out.mounts, out.cleanup = mounts, append(out.cleanup, remove)
	return out, nil
}

// toVerify is what is to be compared, from the manifests or from the cluster.
func toVerify(p *output.Printer, o VerifyOptions) (*workspace.Compiled, error) {
	if d := o.Deployed; d != nil {
		return &workspace.Compiled{
			Projection: manifests.Of[v1alpha1.Projection]{Object: &manifests.Object{Kind: "Projection", Namespace: d.Projection.Namespace, Name: d.Projection.Name}, Value: d.Projection},
			Contract:   d.Contract, HasBroker: true, HasStore: true,
		}, nil
	}
	set, err := manifests.Load(o.Files, p.In)
	if err != nil {
		return nil, err
	}
	w := workspace.New(set)
	pr, err := theProjection(w, o.Projection)
	if err != nil {
		return nil, err
	}
	c, err := w.Compile(pr, cmp.Or(o.Cluster, localCluster))
	if err != nil {
		return nil, err
	}
	owner := &c.Contract.Projection
	owner.Namespace = cmp.Or(o.Namespace, owner.Namespace)
	return c, nil
}

// theProjection is the Projection of a name, or the only one.
func theProjection(w *workspace.Workspace, name string) (out manifests.Of[v1alpha1.Projection], err error) {
	switch {
	case name != "":
		return w.Projection(".", "", name)
	case len(w.Projections) == 0:
		return out, errors.New("there is no Projection in the manifests")
	case len(w.Projections) > 1:
		names := make([]string, len(w.Projections))
		for i, p := range w.Projections {
			names[i] = p.Name
		}
		return out, fmt.Errorf("there are several Projections, %s: say which one", strings.Join(names, ", "))
	}
	return w.Projections[0], nil
}

// compared reaches store and broker, and says what is to be compared.
func (p *plan) compared(ctx context.Context) (*verify.Options, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("nothing answered for %s", startTimeout))
	defer cancel()
	one := p.projections[0]
	c := one.Contract
	admin, err := p.admin(c)
	if err != nil {
		return nil, err
	}
	p.cleanup = append(p.cleanup, func() error { admin.Close(); return nil })
	snapshotter, ok := admin.(stores.Snapshotter)
	if !ok {
		return nil, fmt.Errorf("%s: rows cannot be compared in this store", p.storeName(one))
	}
	if !p.deployed {
		if err := p.builtFrom(ctx, snapshotter); err != nil {
			return nil, err
		}
	}
	schemas, err := connect.Schemas(context.WithoutCancel(ctx), p.mounts, c.Broker)
	if err != nil {
		return nil, err
	}
	program, err := handlers.Compile(c, schemas)
	if err != nil {
		return nil, err
	}
	log, err := p.log(c)
	if err != nil {
		return nil, err
	}
	return &verify.Options{Log: log, Store: snapshotter, Contract: c, Program: program, Arrival: compile.Arrival(c)}, nil
}

// builtFrom sees to it that the manifests are what the tables that readers see were built from.
func (p *plan) builtFrom(ctx context.Context, snapshotter stores.Snapshotter) error {
	one := p.projections[0]
	c := one.Contract
	active, err := snapshotter.Active(ctx, c.Projection)
	if err != nil {
		return fmt.Errorf("%s: %w", p.storeName(one), whose(err))
	}
	made := c.Revision
	if !compile.KeepIdentity(active, c) {
		return fmt.Errorf("the manifests are not what the tables were built from: readers see revision %s of %s, the manifests make revision %s; "+
			"the handlers or topics were changed without a rebuild. Compare with the manifests of then, or rebuild", active.Revision, c.Projection.Name, made)
	}
	return nil
}

// log reads the topics, in no consumer group.
func (p *plan) log(c *contract.Contract) (sources.Log, error) {
	cfg, err := connect.Kafka(p.mounts, c.Broker, c.Topics, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	cfg.ClientID = application
	log, err := kafka.NewLog(cfg)
	if err == nil {
		p.cleanup = append(p.cleanup, log.Close)
	}
	return log, err
}

// whose says by which flags the tables of others of that name are meant.
func whose(err error) error {
	var unknown *stores.UnknownProjectionError
	if !errors.As(err, &unknown) || len(unknown.Others) == 0 {
		return err
	}
	var flags []string
	for _, o := range unknown.Others {
		f := "--cluster " + o.Cluster
		if o.Namespace != "" {
			f += " --namespace " + o.Namespace
		}
		flags = append(flags, f)
	}
	return fmt.Errorf("%w: use %s", err, strings.Join(flags, ", or "))
}
