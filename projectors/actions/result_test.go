// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/projectionist-dev/projectionist/contract"
)

// A result that does not fit would be none, and its Job a failure without a reason.
func TestLongMessagesFit(t *testing.T) {
	for _, part := range []string{"x", "<&>", `"`, "\x01", "ä", "\xff"} {
		path := filepath.Join(t.TempDir(), "result")
		res := contract.Result{Version: contract.Version, Reason: "Failed", Message: strings.Repeat(part, 5000)}
		if err := WriteResult(path, res); err != nil {
			t.Errorf("%q: %v", part, err)
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got contract.Result
		if err := json.Unmarshal(data, &got); err != nil || len(data) > contract.MaxResultBytes {
			t.Errorf("%q: %d bytes, %v", part, len(data), err)
		}
		if got.Reason != "Failed" || part != "\xff" && len(got.Message) < 300 || !utf8.ValidString(got.Message) || part == "ä" && strings.ContainsRune(got.Message, utf8.RuneError) {
			t.Errorf("%q: %d bytes of message", part, len(got.Message))
		}
	}
}
