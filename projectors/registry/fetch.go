// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/projectionist-dev/projectionist/projectors/codecs"
)

// fetch asks for a schema and for all that it refers to.
func (c *Client) fetch(id int) (codecs.Schema, error) {
	var s sr.Schema
	err := c.each(func(ctx context.Context, server *sr.Client) (err error) {
		s, err = server.SchemaByID(ctx, id)
		return err
	})
	if err != nil {
		return codecs.Schema{}, err
	}
	r := resolver{client: c, bytes: len(s.Schema), seen: map[version]bool{}}
	if err := r.resolve(s.References); err != nil {
		return codecs.Schema{}, err
	}
	return codecs.Schema{Type: typeName(s.Type), Text: s.Schema, References: r.found}, nil
}

// Probe asks whether the registry answers as one, and accepts the credentials. It fails with *codecs.UnavailableError.
func (c *Client) Probe() error {
	err := c.each(func(ctx context.Context, server *sr.Client) error {
		_, err := server.SupportedTypes(ctx)
		return err
	})
	if err == nil {
		return nil
	}
	var withReason interface{ Reason() string }
	var answer *sr.ResponseError
	reason, message := codecs.ReasonRegistryUnreachable, fmt.Sprintf("the schema registry does not answer: %v", err)
	switch {
	case errors.As(err, &withReason):
		reason, message = withReason.Reason(), fmt.Sprintf("the credentials of the schema registry: %v", withReason)
	case !errors.As(err, &answer):
	case refuses(answer.StatusCode):
		reason, message = codecs.ReasonRegistryUnauthorized, fmt.Sprintf(
			"the schema registry answers %d: it does not accept the credentials of spec.schemaRegistry.secretRef", answer.StatusCode)
	default:
		message = fmt.Sprintf("spec.schemaRegistry.urls: an address answers %d where a schema registry lists its types of schemas (GET /schemas/types): "+
			"see whether the address and its path are right", answer.StatusCode)
	}
	return &codecs.UnavailableError{Reason: reason, Message: message, Err: err}
}

func refuses(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

func typeName(t sr.SchemaType) string {
	switch t {
	case sr.TypeAvro:
		return codecs.SchemaAvro
	case sr.TypeProtobuf:
		return codecs.SchemaProtobuf
	case sr.TypeJSON:
		return codecs.SchemaJSON
	}
	return t.String()
}

// version is one schema under a subject; it never changes either.
type version struct {
	subject string
	number  int
}

// resolver gathers what a schema refers to, each after what it refers to itself.
type resolver struct {
	client *Client
	bytes  int
	seen   map[version]bool
	found  []codecs.Reference
}

var errTooLarge = fmt.Errorf("with all that it refers to it is longer than %d bytes or more than %d schemas", MaxTotalBytes, MaxReferences)

func (r *resolver) resolve(refs []sr.SchemaReference) error {
	for _, ref := range refs {
		v := version{ref.Subject, ref.Version}
		if r.seen[v] {
			continue
		}
		if r.seen[v] = true; len(r.seen) > MaxReferences {
			return errTooLarge
		}
		var s sr.SubjectSchema
		err := r.client.each(func(ctx context.Context, server *sr.Client) (err error) {
			// A version that was deleted is still what the schema was written with.
			s, err = server.SchemaByVersion(sr.WithParams(ctx, sr.ShowDeleted), ref.Subject, ref.Version)
			return err
		})
		if err != nil {
			return err
		}
		if r.bytes += len(s.Schema.Schema); r.bytes > MaxTotalBytes {
			return errTooLarge
		}
		if err := r.resolve(s.References); err != nil {
			return err
		}
		r.found = append(r.found, codecs.Reference{Name: ref.Name, Text: s.Schema.Schema})
	}
	return nil
}

func isMissing(err error) bool {
	var answer *sr.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

// unavailable says what a failure means and what to do about it.
func unavailable(id int, err error) *codecs.UnavailableError {
	out := func(reason, format string, args ...any) *codecs.UnavailableError {
		return &codecs.UnavailableError{Reason: reason, Message: fmt.Sprintf(format, args...), Err: err}
	}
	var withReason interface{ Reason() string }
	var answer *sr.ResponseError
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &withReason):
		return out(withReason.Reason(), "the credentials of the schema registry: %v", withReason)
	case errors.As(err, &long):
		return out(codecs.ReasonSchemaUnusable, "schema id %d cannot be used: it, or one that it refers to, is longer than %d bytes", id, long.Limit)
	case errors.Is(err, errTooLarge):
		return out(codecs.ReasonSchemaUnusable, "schema id %d cannot be used: %v", id, err)
	case !errors.As(err, &answer):
		return out(codecs.ReasonRegistryUnreachable, "schema id %d is not known yet, and the schema registry does not answer: %v", id, err)
	}
	switch {
	case answer.StatusCode == http.StatusNotFound:
		return out(codecs.ReasonSchemaMissing, "the schema registry has no schema with the id %d, or not all that it refers to: it was deleted for good, "+
			"or the EventBroker names another registry than the producers use; its events wait", id)
	case refuses(answer.StatusCode):
		return out(codecs.ReasonRegistryUnauthorized, "the schema registry answers %d: it does not accept the credentials of spec.schemaRegistry.secretRef, "+
			"or they may not read schemas", answer.StatusCode)
	}
	return out(codecs.ReasonRegistryUnreachable, "the schema registry answers %d (its error %d) where a schema was expected", answer.StatusCode, answer.ErrorCode)
}
