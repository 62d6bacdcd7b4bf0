// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/registry"
)

// servers are registries by host, reached without a network, so that time can be virtual.
type servers struct {
	mu       sync.Mutex
	handlers map[string]http.Handler // nil: nobody listens
	requests map[string]int
}

var errRefused = errors.New("connection refused")

func (s *servers) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	h := s.handlers[req.URL.Host]
	s.requests[req.URL.Host]++
	s.mu.Unlock()
	if h == nil {
		return nil, errRefused
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return rec.Result(), nil
}

func (s *servers) set(host string, h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[host] = h
}

func (s *servers) count(host string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[host]
}

// inBubble runs a test on the registries a and b, which are one fake, and a client of both.
func inBubble(t *testing.T, test func(t *testing.T, fake *srfake.Registry, s *servers, c *registry.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fake := srfake.NewRegistry()
		s := &servers{handlers: map[string]http.Handler{"a": fake.Handler(), "b": fake.Handler()}, requests: map[string]int{}}
		c, err := registry.NewOver(t.Context(), registry.Config{URLs: []string{"http://a", "http://b"}}, s)
		if err != nil {
			t.Fatal(err)
		}
		test(t, fake, s, c)
		synctest.Wait()
	})
}

func reasonOf(err error) string {
	var away *codecs.UnavailableError
	if errors.As(err, &away) {
		return away.Reason
	}
	return fmt.Sprintf("%T", err)
}

func TestASchemaIsAskedForOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, fake *srfake.Registry, s *servers, c *registry.Client) {
		fake.SeedSchema("x", 1, 7, sr.Schema{Schema: `"string"`})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				got, err := c.Schema(7)
				if err != nil || got.Type != codecs.SchemaAvro || got.Text != `"string"` {
					t.Errorf("%+v, %v", got, err)
				}
			})
		}
		wg.Wait()
		if n := s.count("a"); n != 1 {
			t.Errorf("%d requests", n)
		}
		// The registry is gone, and what is known is still known.
		s.set("a", nil)
		s.set("b", nil)
		time.Sleep(24 * time.Hour)
		if _, err := c.Schema(7); err != nil {
			t.Error(err)
		}
	})
}

func TestReferencesComeBeforeWhatRefersToThem(t *testing.T) {
	inBubble(t, func(t *testing.T, fake *srfake.Registry, _ *servers, c *registry.Client) {
		fake.SeedSchema("money", 1, 1, sr.Schema{Schema: "money", Type: sr.TypeProtobuf})
		money := sr.SchemaReference{Name: "money.proto", Subject: "money", Version: 1}
		fake.SeedSchema("line", 1, 2, sr.Schema{Schema: "line", Type: sr.TypeProtobuf, References: []sr.SchemaReference{money}})
		fake.SeedSchema("order", 1, 3, sr.Schema{Schema: "order", Type: sr.TypeProtobuf, References: []sr.SchemaReference{
			{Name: "line.proto", Subject: "line", Version: 1}, money,
		}})
		got, err := c.Schema(3)
		want := []codecs.Reference{{Name: "money.proto", Text: "money"}, {Name: "line.proto", Text: "line"}}
		if err != nil || got.Type != codecs.SchemaProtobuf || fmt.Sprint(got.References) != fmt.Sprint(want) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestAnOutageIsAskedAboutNowAndThen(t *testing.T) {
	inBubble(t, func(t *testing.T, fake *srfake.Registry, s *servers, c *registry.Client) {
		fake.SeedSchema("x", 1, 7, sr.Schema{Schema: `"string"`})
		s.set("a", nil)
		s.set("b", nil)
		for range 600 { // a minute
			if _, err := c.Schema(7); reasonOf(err) != codecs.ReasonRegistryUnreachable {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.count("a"); n < 10 || n > 25 {
			t.Errorf("%d requests in a minute", n)
		}
		s.set("b", fake.Handler())
		time.Sleep(5 * time.Second)
		_, _ = c.Schema(7) // starts the next attempt, and does not wait for it
		synctest.Wait()
		if _, err := c.Schema(7); err != nil {
			t.Error(err)
		}
		// The address that answered is asked first from now on.
		fake.SeedSchema("x", 2, 8, sr.Schema{Schema: `"long"`})
		before := s.count("a")
		if _, err := c.Schema(8); err != nil || s.count("a") != before {
			t.Errorf("%v; the address that is down was asked %d times more", err, s.count("a")-before)
		}
	})
}

func TestAnUnknownIDIsAWait(t *testing.T) {
	inBubble(t, func(t *testing.T, fake *srfake.Registry, s *servers, c *registry.Client) {
		_, err := c.Schema(7)
		if reasonOf(err) != codecs.ReasonSchemaMissing || !strings.Contains(err.Error(), "id 7") {
			t.Fatal(err)
		}
		if s.count("a") != 1 || s.count("b") != 1 {
			t.Error("not every address was asked")
		}
		fake.SeedSchema("x", 1, 7, sr.Schema{Schema: `"string"`})
		time.Sleep(5 * time.Second)
		_, _ = c.Schema(7)
		synctest.Wait()
		if _, err := c.Schema(7); err != nil {
			t.Error(err)
		}
	})
}

// A registry that takes its time holds up nobody for longer than a moment.
func TestASlowRegistry(t *testing.T) {
	inBubble(t, func(t *testing.T, fake *srfake.Registry, s *servers, c *registry.Client) {
		fake.SeedSchema("x", 1, 7, sr.Schema{Schema: `"string"`})
		s.set("a", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			fake.Handler().ServeHTTP(w, r)
		}))
		begin := time.Now()
		if _, err := c.Schema(7); reasonOf(err) != codecs.ReasonSchemaPending {
			t.Error(err)
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("held up for %v", d)
		}
		time.Sleep(2 * time.Second)
		if _, err := c.Schema(7); err != nil {
			t.Error(err)
		}
		// One that never answers is given up, and the next is asked.
		fake.SeedSchema("x", 2, 8, sr.Schema{Schema: `"long"`})
		s.set("a", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		if _, err := c.Schema(8); reasonOf(err) != codecs.ReasonSchemaPending {
			t.Error(err)
		}
		time.Sleep(6 * time.Second)
		if _, err := c.Schema(8); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatARegistryMayAnswer(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		reason  string
		message string
	}{
		{"an error", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"error_code":50001,"message":"CANARY"}`)
		}, codecs.ReasonRegistryUnreachable, "answers 500 (its error 50001)"},
		{"no", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, codecs.ReasonRegistryUnauthorized, "answers 403"},
		{"something else", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `<html>CANARY`) }, codecs.ReasonRegistryUnreachable, "does not answer"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://c/", http.StatusFound) }, codecs.ReasonRegistryUnreachable, "answers 302"},
		{"a huge reference", func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"schema":%q,"references":[{"name":"%s","subject":"%s","version":1}]}`, strings.Repeat("x", 900_000), r.URL.Path, strings.ReplaceAll(r.URL.Path, "/", "x"))
		}, codecs.ReasonSchemaUnusable, "longer than 4194304 bytes"},
		{"references without end", func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"schema":"x","references":[{"name":"x","subject":"x","version":%d}]}`, time.Now().UnixNano())
			time.Sleep(time.Nanosecond)
		}, codecs.ReasonSchemaUnusable, "more than 256 schemas"},
		{"a missing reference", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/subjects") {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			_, _ = io.WriteString(w, `{"schema":"x","references":[{"name":"x","subject":"x","version":1}]}`)
		}, codecs.ReasonSchemaMissing, "not all that it refers to"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, _ *srfake.Registry, s *servers, c *registry.Client) {
				s.set("a", tt.handler)
				s.set("b", tt.handler)
				_, err := c.Schema(7)
				if reasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.message) || strings.Contains(err.Error(), "CANARY") {
					t.Errorf("%v", err)
				}
				if s.count("c") > 0 {
					t.Error("a redirect was followed")
				}
			})
		})
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, fake *srfake.Registry, s *servers, c *registry.Client) {
		for id := 1; id <= registry.MaxCached+1; id++ {
			fake.SeedSchema(fmt.Sprint(id), 1, id, sr.Schema{Schema: `"string"`})
			if _, err := c.Schema(id); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Schema(1); err != nil { // is always in use
				t.Fatal(err)
			}
		}
		if n := s.count("a"); n != registry.MaxCached+1 {
			t.Errorf("%d requests for %d schemas", n, registry.MaxCached+1)
		}
		var before int
		for id, asked := range map[int]int{1: 0, registry.MaxCached + 1: 0, 2: 1} {
			before = s.count("a")
			if _, err := c.Schema(id); err != nil || s.count("a")-before != asked {
				t.Errorf("id %d: %v, asked %d times", id, err, s.count("a")-before)
			}
		}
	})
}

// Credentials and CA may change while the client runs.
func TestAccessIsReadForEachRequest(t *testing.T) {
	fake := srfake.NewRegistry()
	for id := range 10 {
		fake.SeedSchema(fmt.Sprint(id), 1, id+1, sr.Schema{Schema: `"string"`})
	}
	var want atomic.Value
	want.Store("")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != want.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fake.Handler().ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})

	var access atomic.Pointer[func() (registry.Access, error)]
	set := func(a registry.Access, err error) {
		f := func() (registry.Access, error) { return a, err }
		access.Store(&f)
	}
	c, err := registry.New(t.Context(), registry.Config{
		URLs: []string{server.URL}, Access: func() (registry.Access, error) { return (*access.Load())() }, Patience: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	const basic = "Basic dTpw" // u:p
	for i, tt := range []struct {
		access registry.Access
		err    error
		want   string
		reason string
	}{
		{registry.Access{CA: ca}, nil, "", ""},
		{registry.Access{CA: ca, Username: "u", Password: "p"}, nil, basic, ""},
		{registry.Access{CA: ca, Username: "u", Password: "CANARY"}, nil, basic, codecs.ReasonRegistryUnauthorized},
		{registry.Access{CA: ca, Token: "t", Username: "u"}, nil, "Bearer t", ""},
		{registry.Access{}, nil, "", codecs.ReasonRegistryUnreachable}, // the system's roots do not know the certificate
		{registry.Access{CA: []byte("x")}, nil, "", codecs.ReasonRegistryUnreachable},
		{registry.Access{CA: ca, ServerName: "of.nobody"}, nil, "", codecs.ReasonRegistryUnreachable},
		{registry.Access{CA: ca, ServerName: "example.com"}, nil, "", ""},
		{registry.Access{}, missing{}, "", "SecretKeyMissing"},
	} {
		set(tt.access, tt.err)
		want.Store(tt.want)
		_, err := c.Schema(i + 1)
		if tt.reason == "" && err != nil || tt.reason != "" && reasonOf(err) != tt.reason {
			t.Errorf("%d: %v, want %q", i, err, tt.reason)
		}
		if err != nil && (strings.Contains(err.Error(), "dTpw") || strings.Contains(err.Error(), "CANARY")) {
			t.Errorf("%d: the message holds a secret: %v", i, err)
		}
	}
}

type missing struct{}

func (missing) Error() string  { return "Secret s has no such key" }
func (missing) Reason() string { return "SecretKeyMissing" }

func TestRequestsEndWithTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &servers{handlers: map[string]http.Handler{"a": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })}, requests: map[string]int{}}
		c, err := registry.NewOver(ctx, registry.Config{URLs: []string{"http://a"}, Patience: time.Hour, RequestTimeout: time.Hour}, s)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		if _, err := c.Schema(7); err == nil || time.Since(begin) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		a, b            http.Handler
		reason, message string
	}{
		"the second address answers": {nil, types(), "", ""},
		"nobody answers":             {nil, nil, codecs.ReasonRegistryUnreachable, "does not answer"},
		"credentials are refused":    {status(http.StatusUnauthorized), nil, codecs.ReasonRegistryUnauthorized, "secretRef"},
		"another server":             {status(http.StatusNotFound), status(http.StatusNotFound), codecs.ReasonRegistryUnreachable, "its path"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, _ *srfake.Registry, s *servers, client *registry.Client) {
				s.set("a", c.a)
				s.set("b", c.b)
				err := client.Probe()
				if c.reason == "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				if err == nil || reasonOf(err) != c.reason || !strings.Contains(err.Error(), c.message) {
					t.Errorf("%v, want %s with %q", err, c.reason, c.message)
				}
			})
		})
	}
}

func types() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/schemas/types" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, `["JSON","PROTOBUF","AVRO"]`)
	})
}

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}
