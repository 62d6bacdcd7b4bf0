// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"time"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/history"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
	"github.com/projectionist-dev/projectionist/projectors/stores"
	"github.com/projectionist-dev/projectionist/projectors/verify"
)

// Reasons of a verify that says no. After each of them nothing changes until the spec does.
const (
	reasonVerificationFailed      = "VerificationFailed"
	reasonAssertionFailed         = "AssertionFailed"
	reasonVerificationNotPossible = "VerificationNotPossible"
)

// Bounds of a verify (Law 10).
const (
	// maxVerifyRows is how many rows are held in memory.
	maxVerifyRows = 20_000_000
	// maxTold is how many models or assertions a message tells of.
	maxTold = 4
)

// unverified says that a revision is not what it should be, or that it cannot be known.
type unverified struct{ reason, path, message string }

func (e *unverified) Error() string { return e.message }

// verify compares the rows of the revision that is mounted with the log. It has one connection to the store, with the
// projector's rights, and holds no consumer group.
func (r *Runner) verify(ctx context.Context, req *contract.Request, res *contract.Result) error {
	if req.Verify == nil {
		return &requestError{"the request does not say what to verify"}
	}
	c, err := r.contract()
	if err != nil {
		return err
	}
	limit := time.Duration(max(req.Verify.DeadlineSeconds, 1)) * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &unverified{reasonVerificationNotPossible, "spec.rollout.verify.deadlineSeconds",
		fmt.Sprintf("it was not done within %s: give it longer, or compare a sample", limit)})
	defer cancel()
	schemas, err := connect.Schemas(ctx, r.Mounts, c.Broker)
	if err != nil {
		return err
	}
	program, err := handlers.Compile(c, schemas)
	if err != nil {
		return &unverified{reasonVerificationNotPossible, "", "the revision's contract does not compile: " + err.Error()}
	}
	cfg, err := connect.Kafka(r.Mounts, c.Broker, c.Topics, r.Logger)
	if err != nil {
		return err
	}
	cfg.ClientID = application
	log, err := kafka.NewLog(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	store, err := connect.Reader(r.Mounts, c.Store, application)
	if err != nil {
		return err
	}
	defer store.Close()
	return cause(ctx, verifyOn(ctx, c, program, log, store, req.Verify, res))
}

// cause is why a context is over, where that is why something failed.
func cause(ctx context.Context, err error) error {
	var late *unverified
	if err != nil && errors.As(context.Cause(ctx), &late) {
		return late
	}
	return err
}

func verifyOn(ctx context.Context, c *contract.Contract, program *handlers.Program, log sources.Log, store stores.Admin, v *contract.Verification, res *contract.Result) error {
	snapshotter, ok := store.(stores.Snapshotter)
	if !ok {
		return &unverified{reasonVerificationNotPossible, "", "rows cannot be compared in this kind of store"}
	}
	buckets, ok := contract.SampleBuckets(v.Sample)
	if !ok {
		return &requestError{fmt.Sprintf("%q is not a share of the keys", v.Sample)}
	}
	result, err := verify.Run(ctx, verify.Options{
		Log: log, Store: snapshotter, Contract: c, Program: program, Arrival: v.Arrival,
		Sample: buckets, AssertionsOnly: buckets == 0, Assertions: v.Assertions, MaxRows: maxVerifyRows, MaxBytes: roomForRows(),
	})
	if err != nil {
		return hindered(err)
	}
	return judge(result, res)
}

// roomForRows is how many bytes rows may take: the rest of the container's is for what is read and for garbage; 0 where nothing bounds it.
func roomForRows() uint64 {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return 0
	}
	return uint64(limit) / 4 * 3
}

// hindered tells what waiting may mend from what it does not.
func hindered(err error) error {
	var (
		refused    *history.RefusedError
		invalid    *verify.InvalidAssertionError
		unreadable *stores.UnreadableRowError
	)
	switch {
	case errors.As(err, &unreadable):
		return &unverified{reasonVerificationFailed, "", unreadable.Error()}
	case errors.As(err, &invalid):
		return &unverified{reasonVerificationNotPossible, "spec." + invalid.Assertion.Path(), "it cannot be evaluated on this revision: " + invalid.Message}
	case sources.Permanent(err):
		return &unverified{reasonVerificationNotPossible, "spec.rollout.verify", sources.ReasonOf(err) + ": " + err.Error()}
	case !errors.As(err, &refused) || refused.Code == history.ReasonLogUnreadable || refused.Code == history.ReasonRevisionMoved || refused.Code == history.ReasonNotCaughtUp:
		return err
	case refused.Code == history.ReasonTooManyRows:
		return &unverified{reasonVerificationNotPossible, "spec.rollout.verify.sample", refused.Error() + ": compare a sample, or raise spec.projector.resources.limits.memory"}
	}
	return &unverified{reasonVerificationNotPossible, "spec.rollout.verify", refused.Error()}
}

// judge says what was found, in counts: no value of a row, and no key, leaves the Job (Law 7).
func judge(r *verify.Result, res *contract.Result) error {
	facts := &contract.VerifyFacts{Events: r.Events, Assertions: len(r.Assertions)}
	facts.Rows, facts.Differing = r.Compared()
	res.Verify = facts
	var differ, broken []string
	first := ""
	for i := range r.Models {
		if m := &r.Models[i]; m.Differing() > 0 {
			differ = append(differ, fmt.Sprintf("%s: %d of %d rows differ from the log (%d changed, %d missing, %d extra)",
				m.Name, m.Differing(), m.Compared(), m.Changed, m.Missing, m.Extra))
		}
	}
	for i := range r.Assertions {
		a := &r.Assertions[i]
		if a.Holds() {
			continue
		}
		facts.Broken++
		if first == "" {
			first = (&contract.Assertion{Name: a.Name}).Path()
		}
		text := fmt.Sprintf("assertion %s: %d of %d rows of %s do not meet it", a.Name, a.Broken, a.Tested, a.Model)
		if a.Over {
			text = fmt.Sprintf("assertion %s: %s with its %d rows does not meet it", a.Name, a.Model, a.Tested)
		}
		if a.Why != "" {
			text += " (" + a.Why + ")"
		}
		broken = append(broken, text)
	}
	told := append(limited(differ), limited(broken)...)
	switch {
	case len(differ) > 0:
		return &unverified{reasonVerificationFailed, "", strings.Join(told, "; ")}
	case len(broken) > 0:
		return &unverified{reasonAssertionFailed, "spec." + first, strings.Join(told, "; ")}
	}
	res.Message = fmt.Sprintf("%d rows are what the log says", facts.Rows)
	if r.Sample == 0 {
		res.Message = "no row was compared"
	}
	if len(r.Assertions) > 0 {
		res.Message += fmt.Sprintf(", and %d assertions hold", len(r.Assertions))
	}
	return nil
}

func limited(all []string) []string {
	if more := len(all) - maxTold; more > 0 {
		all = append(all[:maxTold:maxTold], fmt.Sprintf("and %d more", more))
	}
	return all
}
