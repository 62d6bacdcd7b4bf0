// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"math"
	"strconv"
	"strings"
)

// Buckets is into how many buckets the keys of a model fall, by a hash: the grain of a sample.
const Buckets = 4096

// Verification is how the rows of a revision are verified. It is no part of a Contract: rows are no function of it.
type Verification struct {
	// Sample is the share of the keys that is compared with the log, as SampleBuckets reads it.
	Sample     string      `json:"sample"`
	Assertions []Assertion `json:"assertions,omitempty"`
	// Arrival gives, by model with order: Arrival, the columns that depend on what arrives first: they are not compared.
	Arrival map[string][]string `json:"arrival,omitempty"`
	// DeadlineSeconds bounds how long it takes.
	DeadlineSeconds int32 `json:"deadlineSeconds,omitempty"`
}

// Assertion is a condition on each row of a model (Row) or on all of them together (All), in CEL.
type Assertion struct {
	Name  string `json:"name"`
	Model string `json:"model"`
	Row   string `json:"row,omitempty"`
	All   string `json:"all,omitempty"`
}

// Path is where the assertion stands below a Projection's spec.
func (a *Assertion) Path() string { return "rollout.verify.assertions[" + a.Name + "]" }

// SampleBuckets reads a share of the keys, such as 1%: how many of the Buckets it is, rounded up, 0 of 0%.
// It is false where the text is no share.
func SampleBuckets(text string) (int, bool) {
	number, percent := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent || !(share >= 0 && share <= 100) {
		return 0, false
	}
	return int(math.Ceil(share / 100 * Buckets)), true
}

// VerifyFacts is what a verify found: counts, and no value of a row (Law 7).
type VerifyFacts struct {
	// Events counts the records of the log that were read.
	Events int64 `json:"events"`
	// Rows counts those that were compared, Differing those of them that are not what the log says.
	Rows      int64 `json:"rows"`
	Differing int64 `json:"differing,omitempty"`
	// Assertions counts those that were tested, Broken those that do not hold.
	Assertions int `json:"assertions,omitempty"`
	Broken     int `json:"broken,omitempty"`
}
