// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/projectionist-dev/projectionist/contract"
	"github.com/projectionist-dev/projectionist/projectors/codecs"
	"github.com/projectionist-dev/projectionist/projectors/connect"
	"github.com/projectionist-dev/projectionist/projectors/credentials"
	"github.com/projectionist-dev/projectionist/projectors/history"
	"github.com/projectionist-dev/projectionist/projectors/keyreplay"
	"github.com/projectionist-dev/projectionist/projectors/sources"
	"github.com/projectionist-dev/projectionist/projectors/sources/kafka"
	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// application is what brokers and databases show as the client's name.
const application = "projectionist/job"

// Runner runs actions.
type Runner struct {
	Mounts       credentials.Mounts
	ContractPath string
	Logger       *slog.Logger
}

// Run does one action. It never fails otherwise than through its Result.
func (r *Runner) Run(ctx context.Context, action contract.Action, request string) contract.Result {
	res := contract.Result{Version: contract.Version, Action: action}
	err := r.run(ctx, action, request, &res)
	if err != nil {
		explain(err, &res)
		r.Logger.Error("action failed", "action", string(action), "reason", res.Reason, "message", res.Message)
	} else {
		res.OK = true
		r.Logger.Info("action done", "action", string(action))
	}
	res.At = time.Now().UTC().Truncate(time.Second)
	return res
}

func (r *Runner) run(ctx context.Context, action contract.Action, request string, res *contract.Result) error {
	var req contract.Request
	if err := json.Unmarshal([]byte(request), &req); err != nil {
		return &requestError{fmt.Sprintf("%s does not hold a request: %v", contract.RequestEnv, err)}
	}
	if req.Version != contract.Version || req.Action != action {
		return &requestError{fmt.Sprintf("a request for %s in version %d, this binary does %s in version %d: use a projector image of the operator's release",
			req.Action, req.Version, action, contract.Version)}
	}
	switch action {
	case contract.ActionProbeBroker:
		return r.probeBroker(ctx, &req, res)
	case contract.ActionProbeTopic:
		return r.probeTopic(ctx, &req, res)
	case contract.ActionProbeStore:
		return r.probeStore(ctx, &req, res)
	case contract.ActionPrepare:
		return r.prepare(ctx, res)
	case contract.ActionRetire:
		return r.retire(ctx, &req, res)
	case contract.ActionPromote, contract.ActionDiscard:
		return r.switchRevisions(ctx, &req, res)
	case contract.ActionVerify:
		return r.verify(ctx, &req, res)
	case contract.ActionReplayKeys:
		return r.replayKeys(ctx, &req, res)
	}
	return &requestError{fmt.Sprintf("unknown action %q", action)}
}

func (r *Runner) broker(b *contract.Broker) (*kafka.Admin, error) {
	if b == nil {
		return nil, &requestError{"the request names no broker"}
	}
	cfg, err := connect.Kafka(r.Mounts, *b, nil, r.Logger)
	if err != nil {
		return nil, err
	}
	return kafka.NewAdmin(cfg)
}

func (r *Runner) probeBroker(ctx context.Context, req *contract.Request, res *contract.Result) error {
	admin, err := r.broker(req.Broker)
	if err != nil {
		return err
	}
	cluster, err := admin.Probe(ctx)
	if err != nil {
		return err
	}
	res.Broker = &contract.BrokerFacts{ClusterID: cluster.ID, Brokers: int32(cluster.Brokers)}
	if req.Broker.Registry == nil {
		return nil
	}
	registry, err := connect.Registry(ctx, r.Mounts, *req.Broker)
	if err != nil {
		return err
	}
	res.Broker.Registry = registryFacts(registry.Probe())
	return nil
}

func registryFacts(err error) *contract.RegistryFacts {
	var away *codecs.UnavailableError
	switch {
	case err == nil:
		return &contract.RegistryFacts{OK: true}
	case errors.As(err, &away):
		return &contract.RegistryFacts{Reason: away.Reason, Message: away.Message}
	}
	return &contract.RegistryFacts{Reason: codecs.ReasonRegistryUnreachable, Message: err.Error()}
}

func (r *Runner) probeTopic(ctx context.Context, req *contract.Request, res *contract.Result) error {
	admin, err := r.broker(req.Broker)
	if err != nil {
		return err
	}
	if req.Topic == nil {
		return &requestError{"the request names no topic"}
	}
	if req.Create == nil {
		topic, describeErr := admin.DescribeTopic(ctx, req.Topic.BrokerTopic)
		if describeErr == nil {
			res.Topic = topicFacts(topic)
		}
		return named(describeErr, req.Topic.Name)
	}
	out, err := admin.CreateTopic(ctx, kafka.TopicSpec{
		Name: req.Topic.BrokerTopic, Partitions: req.Create.Partitions,
		ReplicationFactor: int(req.Create.ReplicationFactor), Config: req.Create.Config,
	})
	if err != nil {
		return err
	}
	res.Topic = topicFacts(&out.Topic)
	res.Topic.Created = out.Created
	if len(out.Differences) > 0 {
		res.Message = "the topic exists and differs from spec.create: " + out.Differences[0]
	}
	return nil
}

// named puts the EventTopic's name into an error of the broker's topic: the
// administrator of a broker knows no EventTopics.
func named(err error, topic string) error {
	var missing *sources.TopicMissing
	if errors.As(err, &missing) {
		missing.Topic = topic
	}
	return err
}

func topicFacts(t *kafka.Topic) *contract.TopicFacts {
	f := &contract.TopicFacts{
		ID: t.ID, Partitions: t.Partitions, ReplicationFactor: int32(t.ReplicationFactor),
		CleanupPolicy:   t.Config["cleanup.policy"],
		RetentionMillis: number(t.Config["retention.ms"]), RetentionBytes: number(t.Config["retention.bytes"]),
		DeleteRetentionMillis: number(t.Config["delete.retention.ms"]),
	}
	for _, b := range t.Bounds {
		if b.Earliest > 0 {
			f.Trimmed++
		}
		f.Events += b.End - b.Earliest
	}
	return f
}

// number is -1, which means unlimited, for what the broker did not say.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (r *Runner) store(st *contract.Store) (stores.Admin, error) {
	if st == nil {
		return nil, &requestError{"the request names no store"}
	}
	return connect.Admin(r.Mounts, *st, application)
}

func (r *Runner) probeStore(ctx context.Context, req *contract.Request, res *contract.Result) error {
	admin, err := r.store(req.Store)
	if err != nil {
		return err
	}
	defer admin.Close()
	facts, err := admin.Probe(ctx)
	res.Store = &facts
	return err
}

// contract reads the contract that is mounted.
func (r *Runner) contract() (*contract.Contract, error) {
	data, err := os.ReadFile(r.ContractPath)
	if err != nil {
		return nil, &requestError{"the contract is not mounted: " + err.Error()}
	}
	c := &contract.Contract{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, &requestError{"the contract cannot be read: " + err.Error()}
	}
	return c, nil
}

func (r *Runner) retire(ctx context.Context, req *contract.Request, res *contract.Result) error {
	admin, err := r.store(req.Store)
	if err != nil {
		return err
	}
	defer admin.Close()
	if req.Owner == nil {
		return &requestError{"the request names no owner"}
	}
	dropped, err := admin.Retire(ctx, *req.Owner)
	if err != nil {
		return err
	}
	r.Logger.Info("retired", "relations", dropped)
	r.leaveGroups(ctx, req.Broker, req.Groups, res)
	return nil
}

// switchRevisions promotes or discards. The facts are in the result, whatever
// came of it, as far as they are known: the operator then knows what to ask for next.
func (r *Runner) switchRevisions(ctx context.Context, req *contract.Request, res *contract.Result) error {
	if req.Owner == nil || req.Switch == nil || req.Switch.Revision == "" {
		return &requestError{"the request names no owner or no revision"}
	}
	admin, err := r.store(req.Store)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := doSwitch(ctx, admin, req, res); err != nil {
		return err
	}
	if req.Action == contract.ActionDiscard && req.Group != "" {
		r.leaveGroups(ctx, req.Broker, []string{req.Group}, res)
	}
	return nil
}

// groupsLimit bounds what is spent on groups at a broker that may be away.
const groupsLimit = 30 * time.Second

// leaveGroups removes what dropped revisions leave at the broker. It is a courtesy
// (Law 2): a broker that is away, or a right that is missing, holds nothing up, and
// the broker forgets a group of its own accord.
func (r *Runner) leaveGroups(ctx context.Context, broker *contract.Broker, groups []string, res *contract.Result) {
	if len(groups) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, groupsLimit)
	defer cancel()
	admin, err := r.broker(broker)
	for _, group := range groups {
		failed := err
		if failed == nil {
			failed = admin.DeleteGroup(ctx, group)
		}
		if failed != nil {
			res.Message = fmt.Sprintf("the consumer group %q stays at the broker until that forgets it: %v", group, failed)
			r.Logger.Warn("the consumer group stays", "group", group, "error", failed.Error())
		}
	}
}

func doSwitch(ctx context.Context, admin stores.Admin, req *contract.Request, res *contract.Result) error {
	sw, ok := admin.(stores.Switcher)
	if !ok {
		return &requestError{"this kind of store has no revisions side by side"}
	}
	do := sw.Promote
	if req.Action == contract.ActionDiscard {
		do = sw.Discard
	}
	facts, err := do(ctx, *req.Owner, *req.Switch)
	if facts.Active != "" {
		res.Revisions = &facts
	}
	return err
}

// readRevisions adds what the bookkeeping says. That it cannot be read is no
// failure of what was done before. It has time of its own: the Job's may be over.
func readRevisions(ctx context.Context, sw stores.Switcher, owner contract.Identity, res *contract.Result) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if facts, err := sw.Revisions(ctx, owner); err == nil && facts.Active != "" {
		res.Revisions = &facts
	}
}

// requestError says that operator and projector do not understand each other.
type requestError struct{ message string }

func (e *requestError) Error() string { return e.message }

// passing are the reasons of a *history.RefusedError that time may take away.
var passing = []string{history.ReasonLogUnreadable, history.ReasonRevisionMoved, keyreplay.ReasonNotBuilt, history.ReasonNotCaughtUp, keyreplay.ReasonChaseLost}

// explain turns an error into what conditions show.
func explain(err error, res *contract.Result) {
	res.Reason, res.Message, res.Retryable = "Failed", err.Error(), true
	var (
		reasoned interface{ Reason() string }
		env      *stores.EnvironmentError
		taken    *stores.NameTakenError
		start    *stores.StartError
		refused  *stores.SwitchError
		history  *history.RefusedError
		data     *stores.DataError
		request  *requestError
		no       *unverified
	)
	switch {
	case errors.As(err, &request):
		res.Reason, res.Retryable = "BadRequest", false
	case errors.As(err, &no):
		res.Reason, res.Path, res.Retryable = no.reason, no.path, false
	case errors.As(err, &taken):
		res.Reason, res.Path, res.Retryable = stores.ReasonNameTaken, "spec.models", false
	case errors.As(err, &start):
		res.Reason, res.Path, res.Retryable = start.Code, "spec."+start.Path, start.Retryable()
	case errors.As(err, &refused):
		res.Reason, res.Message, res.Retryable = refused.Code, refused.Message, refused.Retryable
	case errors.As(err, &history):
		res.Reason, res.Message, res.Retryable = history.Code, history.Message, slices.Contains(passing, history.Code)
	case errors.As(err, &data):
		res.Reason, res.Retryable = data.Reason, false
	case errors.As(err, &env):
		res.Reason, res.Message = env.Reason, env.Message
	case errors.As(err, &reasoned):
		res.Reason, res.Retryable = reasoned.Reason(), !sources.Permanent(err)
	case errors.Is(err, context.DeadlineExceeded):
		res.Reason, res.Message = "Timeout", "nothing answered in time; it is tried again"
	case errors.Is(err, context.Canceled):
		res.Reason, res.Message = "Interrupted", "the Job was told to stop before it was done; it is tried again"
	}
}

// WriteResult writes a result where the kubelet finds it, its message cut to what fits.
func WriteResult(path string, res contract.Result) error {
	message := strings.ToValidUTF8(res.Message, "?")
	for limit := 1500; ; limit /= 2 {
		res.Message = cut(message, limit)
		data, err := json.Marshal(res)
		if err != nil {
			return err
		}
		// As JSON a character may take six bytes.
		if len(data) <= contract.MaxResultBytes {
			return os.WriteFile(path, data, 0o600)
		}
		if limit == 0 {
			return fmt.Errorf("the result has %d bytes, a termination message takes %d", len(data), contract.MaxResultBytes)
		}
	}
}

// cut gives at most limit bytes of a text, whole characters, and dots for the rest.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "..."
}
