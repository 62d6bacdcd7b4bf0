// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"fmt"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/handlers"
	"github.com/projectionist-dev/projectionist/projectors/keyreplay"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// replayOwner is what the bookkeeping shows as who ended a projector's claims.
const replayOwner = "projectionist/replay-keys"

// maxReplayPositions is how many positions fit into a result beside a message.
const maxReplayPositions = 40

// replayKeys makes rows of the contract's revision anew. It has a projector's rights at the broker and the store, and no more.
func (r *Runner) replayKeys(ctx context.Context, req *contract.Request, res *contract.Result) error {
	if err := checkKeys(req.Replay); err != nil {
		return err
	}
	c, err := r.contract()
	if err != nil {
		return err
	}
	schemas, err := connect.Schemas(ctx, r.Mounts, c.Broker)
	if err != nil {
		return err
	}
	program, err := handlers.Compile(c, schemas)
	if err != nil {
		return &requestError{"the contract does not compile: " + err.Error()}
	}
	cfg, err := connect.Kafka(r.Mounts, c.Broker, c.Topics, r.Logger)
	if err != nil {
		return err
	}
	cfg.ClientID = replayOwner
	log, err := kafka.NewLog(cfg)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // it was read
	admin, err := r.store(asProjector(c.Store))
	if err != nil {
		return err
	}
	defer admin.Close()
	return replay(ctx, log, admin, c, program, req.Replay, res)
}

// checkKeys holds a request to its limits (Law 10).
func checkKeys(k *contract.KeyReplay) error {
	if k == nil || k.Model == "" || len(k.Keys) == 0 {
		return &requestError{"the request names no model or no keys"}
	}
	size := 0
	for _, key := range k.Keys {
		size += len(key)
	}
	if len(k.Keys) > contract.MaxReplayKeys || size > contract.MaxReplayKeyBytes {
		return &requestError{fmt.Sprintf("there are %d keys of %d bytes, and at most %d of %d bytes at a time: replay them in parts, or rebuild the projection",
			len(k.Keys), size, contract.MaxReplayKeys, contract.MaxReplayKeyBytes)}
	}
	return nil
}

// asProjector is the store without the rights to define tables.
func asProjector(st contract.Store) *contract.Store {
	if st.Postgres != nil {
		p := *st.Postgres
		p.DDLCredentials = nil
		st.Postgres = &p
	}
	return &st
}

func replay(ctx context.Context, log sources.Log, admin stores.Admin, c *contract.Contract, program *handlers.Program, k *contract.KeyReplay, res *contract.Result) error {
	store, ok := admin.(stores.Replacer)
	if !ok {
		return &requestError{"rows cannot be replaced in this kind of store"}
	}
	keys, err := keyreplay.ParseKeys(program.Models(), k.Model, k.Keys)
	if err != nil {
		return &requestError{err.Error()}
	}
	done, err := keyreplay.Run(ctx, keyreplay.Options{Log: log, Store: store, Contract: c, Program: program, Keys: keys, Owner: replayOwner})
	if err != nil {
		return err
	}
	total := done.Total()
	res.Replay = &contract.ReplayFacts{Revision: c.Revision, Written: total.Written, Deleted: total.Deleted, Equal: total.Equal, Events: done.Events}
	if len(done.At) <= maxReplayPositions {
		res.Replay.Positions = map[string][]contract.Position{}
		for _, at := range done.At {
			res.Replay.Positions[at.Topic] = append(res.Replay.Positions[at.Topic], contract.OffsetPosition(at.Next))
		}
	}
	return nil
}
