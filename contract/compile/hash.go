// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/contract/value"
)

// hashVersion is the version of the algorithm behind DataHash. A change of the
// canonical form below is a new version, and needs a way to compare stored
// contracts by the old one; golden hashes hold it in place.
const hashVersion = "1"

// revisionDigits is how many hex digits of the hash name a revision.
const revisionDigits = 10

// The canonical form: what rows are a function of (CORRECTNESS 9), and nothing
// else. Names of handlers, indexes, connections, groups and lag targets are not
// in it. A field that has its default is left out, so that a field which a later
// release adds leaves old hashes alone. Topics, models and events are sorted,
// since their order means nothing; columns, key columns and handlers keep theirs:
// readers see the first, and handlers of one event take effect in order.
type (
	canonical struct {
		Topics []canonicalTopic `json:"topics"`
		Models []canonicalModel `json:"models"`
	}
	canonicalTopic struct {
		Name        string `json:"name"`
		BrokerTopic string `json:"brokerTopic"`
		Format      string `json:"format,omitempty"`
		KeyedBy     string `json:"keyedBy,omitempty"`
		EventType   string `json:"eventType,omitempty"`
		EventID     string `json:"eventID,omitempty"`
		EventTime   string `json:"eventTime,omitempty"`
	}
	canonicalModel struct {
		Name     string             `json:"name"`
		Key      []string           `json:"key"`
		Columns  []canonicalColumn  `json:"columns"`
		Handlers []canonicalHandler `json:"handlers"`
	}
	canonicalColumn struct {
		Name    string  `json:"name"`
		Type    string  `json:"type"`
		Default *string `json:"default,omitempty"`
	}
	canonicalHandler struct {
		Topic    string            `json:"topic"`
		Events   []string          `json:"events,omitempty"`
		When     string            `json:"when,omitempty"`
		OnAbsent string            `json:"onAbsent,omitempty"`
		Key      map[string]string `json:"key"`
		Set      map[string]string `json:"set,omitempty"`
		Add      map[string]string `json:"add,omitempty"`
		Max      map[string]string `json:"max,omitempty"`
		Append   map[string]string `json:"append,omitempty"`
		Delete   bool              `json:"delete,omitempty"`
	}
)

// DataHash identifies what the rows of a contract are a function of:
// "<algorithm version>:<sha256 in hex>".
func DataHash(c *contract.Contract) string {
	sum := sha256.Sum256(canonicalJSON(c))
	return hashVersion + ":" + hex.EncodeToString(sum[:])
}

// Revision gives the digits of a data hash that physical names carry; "" when it is none.
func Revision(dataHash string) string {
	_, digits, ok := strings.Cut(dataHash, ":")
	if !ok || len(digits) < revisionDigits {
		return ""
	}
	return digits[:revisionDigits]
}

// SameData tells whether two contracts make the same rows. Both are hashed anew,
// so that it does not matter which release made the stored one.
func SameData(stored, fresh *contract.Contract) bool { return DataHash(stored) == DataHash(fresh) }

// KeepIdentity gives a freshly compiled contract the hash, revision and group of
// a stored one when both make the same rows, and tells whether it did: a release
// that hashes differently must not start a rebuild. The group keeps the stored
// revision, too, with the prefix of now.
func KeepIdentity(stored, fresh *contract.Contract) bool {
	if !SameData(stored, fresh) {
		return false
	}
	fresh.DataHash, fresh.Revision = stored.DataHash, stored.Revision
	fresh.Group = group(fresh)
	return true
}

func canonicalJSON(c *contract.Contract) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(canonicalForm(c)); err != nil {
		panic(err) // Strings, bools, and maps and slices of them: Encode cannot fail.
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func canonicalForm(c *contract.Contract) canonical {
	out := canonical{Topics: []canonicalTopic{}, Models: []canonicalModel{}}
	for _, t := range c.Topics {
		ct := canonicalTopic{
			Name: t.Name, BrokerTopic: t.BrokerTopic, Format: t.Format, KeyedBy: canonicalText(t.KeyedBy),
			EventType: canonicalText(t.EventType), EventID: canonicalText(t.EventID), EventTime: canonicalText(t.EventTime),
		}
		if ct.Format == string(v1alpha1.EventFormatJSON) {
			ct.Format = ""
		}
		out.Topics = append(out.Topics, ct)
	}
	slices.SortFunc(out.Topics, func(a, b canonicalTopic) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range c.Models {
		cm := canonicalModel{Name: m.Name, Key: m.Key, Columns: []canonicalColumn{}, Handlers: []canonicalHandler{}}
		for _, col := range m.Columns {
			cm.Columns = append(cm.Columns, canonicalColumn{Name: col.Name, Type: canonicalType(col.Type), Default: col.Default})
		}
		for i := range m.Handlers {
			cm.Handlers = append(cm.Handlers, canonicalHandlerOf(&m.Handlers[i]))
		}
		out.Models = append(out.Models, cm)
	}
	slices.SortFunc(out.Models, func(a, b canonicalModel) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func canonicalHandlerOf(h *contract.Handler) canonicalHandler {
	out := canonicalHandler{
		Topic: h.Topic, Events: slices.Sorted(slices.Values(h.Events)), When: canonicalText(h.When), OnAbsent: h.OnAbsent,
		Key: canonicalTexts(h.Key), Set: canonicalTexts(h.Set), Add: canonicalTexts(h.Add), Max: canonicalTexts(h.Max),
		Append: canonicalTexts(h.Append), Delete: h.Delete,
	}
	if out.OnAbsent == string(v1alpha1.OnAbsentCreate) || h.Delete {
		out.OnAbsent = ""
	}
	return out
}

func canonicalType(s string) string {
	t, err := value.Parse(s)
	if err != nil {
		return s
	}
	return t.String()
}

func canonicalTexts(in map[string]string) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[k] = canonicalText(v)
	}
	return out
}
