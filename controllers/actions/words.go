// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import "regexp"

var reasonForm = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,63}$`)

// Reason keeps what a pod says within the form of a condition's reason; other stands in for what has another.
func Reason(s, other string) string {
	if !reasonForm.MatchString(s) {
		return other
	}
	return s
}

// At joins a field path and a message, either of which may be empty.
func At(path, message string) string {
	switch {
	case path == "":
		return message
	case message == "":
		return path
	}
	return path + ": " + message
}
