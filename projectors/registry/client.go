// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/projectionist-dev/projectionist/projectors/codecs"
)

// The limits (Law 10).
const (
	// MaxSchemaBytes bounds one answer of the registry.
	MaxSchemaBytes = 1 << 20
	// MaxTotalBytes bounds a schema together with all that it refers to.
	MaxTotalBytes = 4 << 20
	// MaxReferences bounds how many schemas one may refer to, directly or not.
	MaxReferences = 256
	// MaxCached is how many schemas are remembered; those used last stay.
	MaxCached = 1000
)

// Config says where the registry is. Zero durations mean the defaults.
type Config struct {
	// URLs are the registry's addresses. The one that answered last is asked first.
	URLs []string
	// Access is asked before each request; nil for none. An error of it that has a
	// Reason() string gives its reason to the UnavailableError.
	Access func() (Access, error)
	// RequestTimeout bounds one request to one address; default 5 s.
	RequestTimeout time.Duration
	// Patience is how long the first caller for an id waits for its answer; default 250 ms.
	Patience time.Duration
	// RetryAfter is how long after a failure an id is not asked for again; default 3 s.
	RetryAfter time.Duration
}

// Client implements codecs.Schemas.
type Client struct {
	cfg     Config
	ctx     context.Context //nolint:containedctx // requests outlive the calls that caused them, and end with the process
	servers []*sr.Client

	mu sync.Mutex
	// entries holds an element of recent for each id, those used last in front.
	entries map[int]*list.Element
	recent  *list.List
	// preferred is the index of the address that answered last.
	preferred int
}

var _ codecs.Schemas = (*Client)(nil)

// entry is what is known of an id.
type entry struct {
	id int
	// known is set once there is a schema, failure while there is none.
	known   *codecs.Schema
	failure *codecs.UnavailableError
	// retryAt is when a failure is old enough to ask again.
	retryAt time.Time
	// asked is closed when the request under way is over; nil when there is none.
	asked chan struct{}
}

// New makes a Client. It does not connect yet; its requests end with ctx.
func New(ctx context.Context, cfg Config) (*Client, error) {
	return newClient(ctx, cfg, newTransport(cfg.Access))
}

func newClient(ctx context.Context, cfg Config, transport http.RoundTripper) (*Client, error) {
	if len(cfg.URLs) == 0 {
		return nil, errors.New("a schema registry needs at least one URL")
	}
	def(&cfg.RequestTimeout, 5*time.Second)
	def(&cfg.Patience, 250*time.Millisecond)
	def(&cfg.RetryAfter, 3*time.Second)
	c := &Client{cfg: cfg, ctx: ctx, entries: map[int]*list.Element{}, recent: list.New()}
	for _, u := range cfg.URLs {
		server, err := sr.NewClient(sr.URLs(u), sr.UserAgent("projectionist"), sr.HTTPClient(&http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}))
		if err != nil {
			return nil, err
		}
		c.servers = append(c.servers, server)
	}
	return c, nil
}

func def(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

// Schema implements codecs.Schemas.
func (c *Client) Schema(id int) (codecs.Schema, error) {
	c.mu.Lock()
	e := c.entry(id)
	if e.known != nil {
		defer c.mu.Unlock()
		return *e.known, nil
	}
	if e.asked == nil && !time.Now().Before(e.retryAt) {
		e.asked = make(chan struct{})
		go c.ask(e)
	}
	asked, failure := e.asked, e.failure
	c.mu.Unlock()
	if failure != nil {
		return codecs.Schema{}, failure // another attempt may be under way; it has not to be waited for
	}
	patience := time.NewTimer(c.cfg.Patience)
	defer patience.Stop()
	select {
	case <-asked:
	case <-patience.C:
	case <-c.ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case e.known != nil:
		return *e.known, nil
	case e.failure != nil:
		return codecs.Schema{}, e.failure
	}
	return codecs.Schema{}, &codecs.UnavailableError{
		Reason: codecs.ReasonSchemaPending, Message: fmt.Sprintf("the schema registry is asked for schema id %d and has not answered yet", id),
	}
}

// entry gives the entry of an id, and makes it the one used last.
func (c *Client) entry(id int) *entry {
	if el, ok := c.entries[id]; ok {
		c.recent.MoveToFront(el)
		return el.Value.(*entry)
	}
	for c.recent.Len() >= MaxCached {
		oldest := c.recent.Back()
		c.recent.Remove(oldest)
		delete(c.entries, oldest.Value.(*entry).id)
	}
	e := &entry{id: id}
	c.entries[id] = c.recent.PushFront(e)
	return e
}

// ask fetches an entry's schema.
func (c *Client) ask(e *entry) {
	s, err := c.fetch(e.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		e.known, e.failure = &s, nil
	} else {
		e.failure, e.retryAt = unavailable(e.id, err), time.Now().Add(c.cfg.RetryAfter)
	}
	close(e.asked)
	e.asked = nil
}

// each asks the addresses in turn until one gives an answer, and returns the
// most telling error when none does.
func (c *Client) each(request func(context.Context, *sr.Client) error) error {
	c.mu.Lock()
	first := c.preferred
	c.mu.Unlock()
	var failed error
	for i := range c.servers {
		n := (first + i) % len(c.servers)
		ctx, cancel := context.WithTimeout(c.ctx, c.cfg.RequestTimeout)
		err := request(ctx, c.servers[n])
		cancel()
		if err == nil {
			c.mu.Lock()
			c.preferred = n
			c.mu.Unlock()
			return nil
		}
		// That one address has no such schema says little while another cannot be asked.
		if failed == nil || isMissing(failed) {
			failed = err
		}
	}
	return failed
}
