// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package codecs

import (
	"encoding/base64"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
	"github.com/projectionist-dev/projectionist/projectors/event"
)

// cloudEvents reads both content modes of CloudEvents' Kafka binding. In both
// event is the data, and the attributes are headers named ce_*, so that an
// expression need not know the mode.
type cloudEvents struct {
	documents
	// data reads what is encoded within a structured event.
	data    JSON
	text    text
	w       jsontext.Writer
	headers []event.Header
}

const (
	contentType  = "content-type"
	attributePre = "ce_"
	structured   = "application/cloudevents"
)

func (c *cloudEvents) decode(rec *event.Record, doc *Doc) error {
	media := mediaType(header(rec.Headers, contentType))
	switch {
	case media == structured+"+json":
		return c.structured(rec, doc)
	case strings.HasPrefix(media, structured):
		return decodeError("the content type is a form of CloudEvents other than JSON, or a batch: let the producer write application/cloudevents+json, or the binary mode")
	case header(rec.Headers, "ce_specversion") != nil:
		return c.binary(rec, doc, media)
	}
	return c.structured(rec, doc)
}

func (c *cloudEvents) binary(rec *event.Record, doc *Doc, media string) error {
	attributes := []struct {
		name     string
		required bool
		value    string
	}{{"ce_specversion", true, ""}, {"ce_type", true, ""}, {"ce_id", true, ""}, {"ce_time", false, ""}}
	for i := range attributes {
		a := &attributes[i]
		v := header(rec.Headers, a.name)
		switch {
		case a.required && len(v) == 0:
			return decodeError("the header %s is missing or empty", a.name)
		case !utf8.Valid(v):
			return decodeError("the header %s is not valid UTF-8", a.name)
		}
		a.value = string(v)
	}
	if err := identify(doc, attributes[0].value, attributes[1].value, attributes[2].value, attributes[3].value); err != nil {
		return err
	}
	switch {
	case rec.Value == nil:
		doc.Tombstone = true
		return nil
	case len(rec.Value) == 0:
		return c.null(doc)
	case isJSON(media) || rec.Value[0] == 0:
		return c.into(rec.Value, rec.Headers, doc)
	case strings.HasPrefix(media, "text/"):
		return c.text.string(rec.Value, doc)
	}
	return decodeError("the content type of the event's data is neither JSON nor text: let the producer write JSON, or use the format of the data")
}

func (c *cloudEvents) structured(rec *event.Record, doc *Doc) error {
	if rec.Value == nil {
		doc.Tombstone = true
		return nil
	}
	if err := c.json.into(rec.Value, doc); err != nil {
		return err
	}
	envelope, escaped := doc.Value, doc.Escaped
	if member(envelope, escaped, "specversion") == nil {
		return decodeError("the record is no CloudEvent: it has neither a header ce_specversion, nor is its payload an object with a member specversion")
	}
	c.headers = append(c.headers[:0], rec.Headers...)
	values := map[string]string{}
	envelope.GetObject().Visit(func(name []byte, v *fastjson.Value) {
		a, ok := attribute(v)
		n := string(name)
		if _, twice := values[n]; twice || !ok || n == "data" || n == "data_base64" {
			return
		}
		values[n] = a
		if n == "datacontenttype" {
			n = contentType
		} else {
			n = attributePre + n
		}
		c.headers = append(c.headers, event.Header{Key: n, Value: []byte(a)})
	})
	for _, n := range []string{"type", "id"} {
		if values[n] == "" {
			return decodeError("attribute %s of the event is missing or empty", n)
		}
	}
	if err := identify(doc, values["specversion"], values["type"], values["id"], values["time"]); err != nil {
		return err
	}
	doc.Headers = c.headers
	if b64 := member(envelope, escaped, "data_base64"); b64 != nil {
		return c.base64(b64, mediaType([]byte(values["datacontenttype"])), doc)
	}
	if doc.Value = member(envelope, escaped, "data"); doc.Value == nil {
		return c.null(doc)
	}
	return nil
}

// base64 reads data that a structured event carries as bytes.
func (c *cloudEvents) base64(v *fastjson.Value, media string, doc *Doc) error {
	b, err := base64.StdEncoding.AppendDecode(nil, v.GetStringBytes())
	switch {
	case v.Type() != fastjson.TypeString || err != nil:
		return decodeError("member data_base64 of the event is not base64 text")
	case media != "" && isJSON(media):
		return c.data.into(b, doc)
	case strings.HasPrefix(media, "text/"):
		return c.text.string(b, doc)
	}
	doc.Value = v
	return nil
}

func (c *cloudEvents) null(doc *Doc) error {
	c.w.Reset()
	c.w.Null()
	return c.data.written(&c.w, doc)
}

// identify takes over what the attributes say of the event.
func identify(doc *Doc, version, typ, id, at string) error {
	if !strings.HasPrefix(version, "1.") {
		return decodeError("attribute specversion of the event is not 1.x: let the producer write CloudEvents 1.0")
	}
	doc.Type, doc.ID = typ, id
	if at == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return decodeError("attribute time of the event is no timestamp of RFC 3339")
	}
	doc.Time = t.UTC()
	return nil
}

// attribute is the text of an attribute; false for what cannot be one.
func attribute(v *fastjson.Value) (string, bool) {
	switch v.Type() {
	case fastjson.TypeString:
		return string(v.GetStringBytes()), true
	case fastjson.TypeNumber, fastjson.TypeTrue, fastjson.TypeFalse:
		return string(v.MarshalTo(nil)), true
	default: // null stands for none, and objects and lists are no attributes
		return "", false
	}
}

// header is the last header of a name, nil if there is none.
func header(headers []event.Header, name string) []byte {
	for i := len(headers) - 1; i >= 0; i-- {
		if strings.EqualFold(headers[i].Key, name) {
			return headers[i].Value
		}
	}
	return nil
}

// mediaType is a content type without its parameters, in lower case.
func mediaType(b []byte) string {
	t, _, err := mime.ParseMediaType(string(b))
	if err != nil {
		// The type comes before the parameters that are wrong.
		before, _, _ := strings.Cut(string(b), ";")
		t = strings.ToLower(strings.TrimSpace(before))
	}
	return t
}

// isJSON is true for no content type, too: CloudEvents mean JSON by it.
func isJSON(media string) bool {
	return media == "" || media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}
