// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/events"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/manifests"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/output"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/secrets"
	"github.com/projectionist-dev/projectionist/cmd/kubectl-projection/internal/workspace"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Options are what run is asked for.
type Options struct {
	// Files are files and directories of manifests.
	Files []string
	// Embedded asks for a broker in this process.
	Embedded bool
	// Events are files for that broker: FILE, TOPIC=FILE, or - for standard input.
	Events []string
	// Store is the URL of a store; empty is the ReadStore of the manifests, or a file.
	Store string
	// Secrets is a directory with a directory per Secret.
	Secrets string
	// UntilCaughtUp ends the run when the ends of all topics are reached.
	UntilCaughtUp bool
}

const (
	// localCluster is the part of an identity by which local runs own their tables.
	localCluster = "local"
	// application is what databases and brokers show as the client's name.
	application = "kubectl-projection"
	// defaultStore is used where nothing names a store.
	defaultStore = "sqlite:projection.db"
)

// plan is what will run, on what.
type plan struct {
	o        Options
	embedded bool
	// deployed is true where a cluster says what the tables were built from.
	deployed bool
	// storeURL is empty where each projection has its ReadStore.
	storeURL string
	// operators is the ReadStore of tables that an operator has made, which says their schemas even where storeURL leads there.
	operators   contract.Store
	projections []*workspace.Compiled
	topics      []v1alpha1.EventTopic
	mounts      credentials.Mounts
	cleanup     []func() error
	databases   map[string]connect.Database
}

// newPlan reads the manifests and decides. The plan must be closed.
func newPlan(p *output.Printer, o Options) (*plan, error) {
	set, err := manifests.Load(o.Files, p.In)
	if err != nil {
		return nil, err
	}
	w := workspace.New(set)
	if len(w.Projections) == 0 {
		return nil, errors.New("there is no Projection in the manifests")
	}
	out := &plan{o: o, embedded: o.Embedded || len(o.Events) > 0 || len(w.Brokers) == 0, databases: map[string]connect.Database{}}
	for _, pr := range w.Projections {
		c, err := w.Compile(pr, localCluster)
		if err != nil {
			return nil, err
		}
		if !out.embedded && !c.HasBroker {
			return nil, fmt.Errorf("the EventBroker of Projection %s is not among the manifests: name its file with -f, too, or use --embedded", pr.Name)
		}
		out.projections = append(out.projections, c)
	}
	if err := out.collectTopics(); err != nil {
		return nil, err
	}
	out.storeURL = o.Store
	if o.Store == "" && (out.embedded || len(w.Stores) == 0) {
		out.storeURL = defaultStore
	}
	var contracts []*contract.Contract
	for _, c := range out.projections {
		if out.storeURL == "" && !c.HasStore {
			return nil, fmt.Errorf("the ReadStore of Projection %s is not among the manifests: name its file with -f, too, or give --store", c.Projection.Name)
		}
		contracts = append(contracts, c.Contract)
	}
	mounts, remove, err := secrets.Gather(secrets.Sources{Dir: o.Secrets, Manifests: o.Files, Environ: os.Environ()}, contracts...)
	if err != nil {
		return nil, err
	}
	out.mounts, out.cleanup = mounts, append(out.cleanup, remove)
	return out, nil
}

// collectTopics gives every topic once; two of one name are a fault of the manifests.
func (p *plan) collectTopics() error {
	seen := map[string]v1alpha1.EventTopic{}
	for _, c := range p.projections {
		for _, t := range c.Topics {
			if other, ok := seen[t.Name]; !ok {
				seen[t.Name] = t
				p.topics = append(p.topics, t)
			} else if other.Namespace != t.Namespace || other.Spec.Topic != t.Spec.Topic {
				return fmt.Errorf("there are two EventTopics %s, which cannot run together: give fewer manifests with -f", t.Name)
			}
		}
		if p.embedded {
			c.Contract = events.WithoutRegistry(c.Contract)
		}
	}
	return nil
}

// storeName is what people are told of a projection's store; no password is in it.
func (p *plan) storeName(c *workspace.Compiled) string {
	if p.storeURL == "" {
		return "ReadStore " + c.Contract.Store.Name
	}
	return connect.Redact(p.storeURL)
}

// database gives the store that the URL names; all projections share it.
func (p *plan) database() (connect.Database, error) {
	if db := p.databases[p.storeURL]; db != nil {
		return db, nil
	}
	db, err := connect.OpenURLOf(p.operators, p.storeURL, application)
	if err != nil {
		return nil, fmt.Errorf("--store: %w", err)
	}
	p.databases[p.storeURL] = db
	p.cleanup = append(p.cleanup, db.Close)
	return db, nil
}

func (p *plan) admin(c *contract.Contract) (stores.Admin, error) {
	if p.storeURL == "" {
		return connect.Admin(p.mounts, c.Store, application)
	}
	db, err := p.database()
	if err != nil {
		return nil, err
	}
	return db.Admin()
}

func (p *plan) writer(c *contract.Contract) (stores.Writer, error) {
	if p.storeURL == "" {
		return connect.Writer(p.mounts, c, application)
	}
	db, err := p.database()
	if err != nil {
		return nil, err
	}
	return db.Writer(c)
}

func (p *plan) close() error {
	var errs []error
	for i := len(p.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, p.cleanup[i]())
	}
	return errors.Join(errs...)
}

// partitions is how many partitions a topic of the embedded broker has.
func partitions(t *v1alpha1.EventTopic) int32 { return cmp.Or(t.Spec.Create.Partitions, 1) }
