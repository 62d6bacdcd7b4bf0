// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package keyreplay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/projectionist-dev/projectionist/contract/value"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/event"
	"github.com/projectionist-dev/projectionist/projectors/fold"
	"github.com/projectionist-dev/projectionist/projectors/fold/naive"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/history"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// pause is between two looks at a projector that is waited for.
const pause = 100 * time.Millisecond

// run is one replay.
type run struct {
	Options
	eval   *handlers.Evaluator
	state  *naive.State
	reader *history.Reader
	// wanted holds the keys that are folded, by model and naive.Key.
	wanted []map[string]bool
	// claims are those of the last look.
	claims        []stores.Claim
	tries         int
	effects, kept []fold.Effect
}

func newRun(o Options) *run {
	models := o.Program.Models()
	r := &run{
		Options: o, eval: o.Program.NewEvaluator(), state: naive.New(models),
		reader: history.NewReader(o.Log, o.Patience, o.Progress), wanted: make([]map[string]bool, len(models)),
	}
	for m := range models {
		r.wanted[m] = map[string]bool{}
	}
	for _, k := range o.Keys {
		r.wanted[k.Model][naive.Key(k.Values)] = true
	}
	return r
}

// fromTheBeginning folds up to the positions of the moment.
func (r *run) fromTheBeginning(ctx context.Context) error {
	claims, barriers, err := r.look(ctx)
	if err != nil {
		return err
	}
	if err := history.Check(ctx, r.Log, r.Contract, claims); err != nil {
		return err
	}
	return r.to(ctx, claims, barriers)
}

// to folds up to positions, and notes what of it cannot be told before an end.
func (r *run) to(ctx context.Context, claims []stores.Claim, barriers []stores.Barrier) error {
	if err := r.reader.To(ctx, claims, barriers, r.event); err != nil {
		return err
	}
	return r.reader.Settle(ctx)
}

// look reads the positions.
func (r *run) look(ctx context.Context) ([]stores.Claim, []stores.Barrier, error) {
	claims, barriers, err := r.Store.Positions(ctx, r.Contract)
	if err == nil {
		err = r.checked(claims)
	}
	return claims, barriers, err
}

// checked holds positions against those of the last look.
func (r *run) checked(claims []stores.Claim) error {
	if err := history.Moved(r.Contract, r.claims, claims); err != nil {
		return err
	}
	r.claims = claims
	if stores.MayBuild(claims) {
		// To end the claims of a bulk build would throw its work away.
		return history.Refused(ReasonNotBuilt, "revision %s is being built, or no projector has begun to apply events to it: there are no rows to make anew yet", r.Contract.Revision)
	}
	for _, c := range claims {
		if c.HeldVersion > 0 {
			return history.Held(c.TopicPartition)
		}
	}
	return nil
}

// event folds one event, of which it keeps what falls on wanted rows. What is dropped cannot fail: the positions say
// that the event was applied.
func (r *run) event(tp event.TopicPartition, rec *event.Record) error {
	effects, _, err := r.eval.Handle(tp, rec, r.effects[:0])
	r.effects = effects
	var unavailable *codecs.UnavailableError
	if errors.As(err, &unavailable) {
		return err
	}
	if err == nil {
		err = r.apply(effects)
	}
	if err != nil {
		return history.EventRefused(tp, rec, err)
	}
	return nil
}

func (r *run) apply(effects []fold.Effect) error {
	r.kept = r.kept[:0]
	for i := range effects {
		e := &effects[i]
		if wanted := r.wanted[e.Model]; len(wanted) > 0 && (e.Where != nil || wanted[naive.Key(e.Key)]) {
			r.kept = append(r.kept, *e)
		}
	}
	if len(r.kept) == 0 {
		return nil
	}
	return r.state.Apply(r.kept...)
}

// errBehind gives the positions back to the projector: there is more to fold than it may wait for.
var errBehind = errors.New("the gap to the projector is too large")

// chase folds after the projector until it is near enough to hold it up, and replaces the rows.
func (r *run) chase(ctx context.Context) (*Result, error) {
	began := time.Now()
	impatient := began.Add(r.Patience)
	for {
		claims, barriers, err := r.look(ctx)
		if err == nil {
			err = r.to(ctx, claims, barriers)
		}
		if err == nil && r.reader.Told(claims) == nil {
			var out *Result
			if out, err = r.replace(ctx); err == nil {
				return out, nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err == nil:
			// The projector has to reach an end first.
			if time.Now().After(impatient) {
				return nil, r.reader.Told(claims)
			}
		case errors.Is(err, errBehind), errors.Is(err, stores.ErrHeldTooLong):
			if out := r.outrun(began); out != nil {
				return nil, out
			}
			if errors.Is(err, errBehind) {
				continue
			}
			fallthrough
		case stores.Transient(err):
			if time.Now().After(impatient) {
				return nil, err
			}
		default:
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// gap counts the positions that are not folded.
func (r *run) gap(claims []stores.Claim) int64 {
	n := int64(0)
	for _, c := range claims {
		n += c.Next - r.reader.At(c.TopicPartition)
	}
	return n
}

// outrun refuses when the chase has gone on for too long.
func (r *run) outrun(began time.Time) error {
	if time.Since(began) < r.ChaseLimit {
		return nil
	}
	return history.Refused(ReasonChaseLost, "for %s the projector has applied events as fast as they are folded here, and it may not be held up for the rest: "+
		"replay the keys when it has caught up", r.ChaseLimit)
}

// replace folds the rest while the projector waits, and swaps the rows.
func (r *run) replace(ctx context.Context) (*Result, error) {
	r.tries++
	done, err := r.Store.Replace(ctx, r.Contract, stores.Replacement{
		Owner: r.Owner, Hold: r.Hold,
		Fold: func(ctx context.Context, claims []stores.Claim, barriers []stores.Barrier) ([]stores.Row, error) {
			if err := r.checked(claims); err != nil {
				return nil, err
			}
			if r.gap(claims) > r.MaxGap || r.reader.Told(claims) != nil {
				return nil, errBehind
			}
			if err := r.reader.To(ctx, claims, barriers, r.event); err != nil {
				return nil, fmt.Errorf("while the projector waited: %w", err)
			}
			if !r.reader.Settled() {
				return nil, errBehind // whose end is asked for while nobody waits
			}
			return r.rows(), nil
		},
	})
	if err != nil {
		return nil, err
	}
	return &Result{Revision: r.Contract.Revision, At: done.Claims, Events: r.reader.Events(), Tries: r.tries, Models: done.Models}, nil
}

// rows gives what is to be under each wanted key.
func (r *run) rows() []stores.Row {
	byKey := make([]map[string][]value.Value, len(r.wanted))
	for m := range r.wanted {
		byKey[m] = make(map[string][]value.Value, len(r.wanted[m]))
		for key, row := range r.state.All(m) {
			byKey[m][key] = row
		}
	}
	out := make([]stores.Row, len(r.Keys))
	for i, k := range r.Keys {
		out[i] = stores.Row{Model: k.Model, Key: k.Values, Values: byKey[k.Model][naive.Key(k.Values)]}
	}
	return out
}
