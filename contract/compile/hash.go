// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/projectionist-dev/projectionist/contract"
)

// hashVersion is the version of the algorithm behind DataHash. A change of the
// canonical form below is a new version, and needs a way to compare stored
// contracts by the old one; golden hashes hold it in place.
const hashVersion = "1"

// revisionDigits is how many hex digits of the hash name a revision.
const revisionDigits = 10

// The canonical form: what rows are a function of (CORRECTNESS 9), and what
// readers see of them, and nothing else. Names of handlers, checks and upcasts,
// comments, indexes (but unique ones, which refuse events), schemas (which only
// check specs), connections, groups and lag targets are not in it. A field that
// has its default is left out, so that a field which a later release adds leaves
// old hashes alone. Topics, models, events, enums, checks, version groups and
// unique indexes are sorted, since their order means nothing; columns, key columns,
// joins, handlers and upcasts keep theirs: readers see the first three, and the
// others take effect in order.
type (
	canonical struct {
		Topics []canonicalTopic `json:"topics"`
		Models []canonicalModel `json:"models"`
	}
	canonicalTopic struct {
		Name        string            `json:"name"`
		BrokerTopic string            `json:"brokerTopic"`
		Format      string            `json:"format,omitempty"`
		KeyFormat   string            `json:"keyFormat,omitempty"`
		KeyField    string            `json:"keyField,omitempty"`
		KeyedBy     string            `json:"keyedBy,omitempty"`
		EventType   string            `json:"eventType,omitempty"`
		EventID     string            `json:"eventID,omitempty"`
		EventTime   string            `json:"eventTime,omitempty"`
		Upcasts     []canonicalUpcast `json:"upcasts,omitempty"`
	}
	canonicalUpcast struct {
		Events []string          `json:"events,omitempty"`
		When   string            `json:"when,omitempty"`
		Set    map[string]string `json:"set,omitempty"`
		Unset  []string          `json:"unset,omitempty"`
		Type   string            `json:"type,omitempty"`
	}
	canonicalModel struct {
		Name     string             `json:"name"`
		Key      []string           `json:"key"`
		Order    string             `json:"order,omitempty"`
		Columns  []canonicalColumn  `json:"columns"`
		Checks   []string           `json:"checks,omitempty"`
		Versions []canonicalVersion `json:"versions,omitempty"`
		Joins    []canonicalJoin    `json:"joins,omitempty"`
		Unique   [][]string         `json:"unique,omitempty"`
		Handlers []canonicalHandler `json:"handlers"`
	}
	canonicalColumn struct {
		Name      string   `json:"name"`
		Type      string   `json:"type"`
		Default   *string  `json:"default,omitempty"`
		NotNull   bool     `json:"notNull,omitempty"`
		Enum      []string `json:"enum,omitempty"`
		Min       *string  `json:"min,omitempty"`
		Max       *string  `json:"max,omitempty"`
		MaxItems  int32    `json:"maxItems,omitempty"`
		Distinct  bool     `json:"distinct,omitempty"`
		Generated string   `json:"generated,omitempty"`
		Native    string   `json:"native,omitempty"`
	}
	canonicalVersion struct {
		Column  string   `json:"column"`
		Columns []string `json:"columns"`
	}
	canonicalJoin struct {
		Model string            `json:"model"`
		Match map[string]string `json:"match"`
		Set   map[string]string `json:"set"`
	}
	canonicalHandler struct {
		Topic     string            `json:"topic"`
		Events    []string          `json:"events,omitempty"`
		Default   bool              `json:"default,omitempty"`
		Tombstone bool              `json:"tombstone,omitempty"`
		ForEach   string            `json:"forEach,omitempty"`
		When      string            `json:"when,omitempty"`
		OnAbsent  string            `json:"onAbsent,omitempty"`
		Key       map[string]string `json:"key,omitempty"`
		Where     map[string]string `json:"where,omitempty"`
		VersionBy map[string]string `json:"versionBy,omitempty"`
		Set       map[string]string `json:"set,omitempty"`
		SetOnce   map[string]string `json:"setOnce,omitempty"`
		Unset     []string          `json:"unset,omitempty"`
		Add       map[string]string `json:"add,omitempty"`
		Min       map[string]string `json:"min,omitempty"`
		Max       map[string]string `json:"max,omitempty"`
		Append    map[string]string `json:"append,omitempty"`
		Merge     map[string]string `json:"merge,omitempty"`
		Delete    bool              `json:"delete,omitempty"`
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

// AttemptRevision names the revision that rebuilds data of a hash once more; with
// no attempt it is Revision.
func AttemptRevision(dataHash, attempt string) string {
	if attempt == "" {
		return Revision(dataHash)
	}
	sum := sha256.Sum256([]byte(dataHash + "\n" + attempt))
	return hex.EncodeToString(sum[:])[:revisionDigits]
}

// Rename makes c the contract of an attempt: its own revision and consumer group, the same data from the beginning of the log.
func Rename(c *contract.Contract, attempt string) {
	c.Attempt, c.From = attempt, nil
	c.Revision = AttemptRevision(c.DataHash, attempt)
	c.Group = group(c)
}

// SameData tells whether two contracts make the same rows. Both are hashed anew,
// so that it does not matter which release made the stored one.
func SameData(stored, fresh *contract.Contract) bool { return DataHash(stored) == DataHash(fresh) }

// KeepIdentity gives a freshly compiled contract the hash, revision and group of
// a stored one when both make the same rows, and tells whether it did: a release
// that hashes differently must not start a rebuild. The group keeps the stored
// revision, too, with the prefix of now, and so does where it began to read.
func KeepIdentity(stored, fresh *contract.Contract) bool {
	if !SameData(stored, fresh) {
		return false
	}
	fresh.DataHash, fresh.Revision, fresh.Attempt, fresh.From = stored.DataHash, stored.Revision, stored.Attempt, stored.From
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
