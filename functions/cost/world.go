package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/logline"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/functions/internal/notify"
	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/sqsqueue"
	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	region     = "us-east-1"
	firstQueue = "first"
	retryQueue = "retry"
	stage      = "prod"
)

// world is one scenario's AWS: tables on DynamoDB Local, queues, and the
// functions as their mains wire them, several environments of each.
type world struct {
	scenario scenario
	clock    *clock
	meter    *meter
	queues   *queues
	logs     *logs
	lambda   *lambda
	receiver *receiver
	workload *workload
	plain    *dynamodb.Client // not counted
	table    string
	probe    *dynamo.Store // reads what came of it, not counted

	dispatch []*dispatch.Handler
	first    []lane
	retry    lane
	sweep    *sweep.Handler
	turns    map[string]int // which environment is next, by function
	invoked  int
}

// lane is one environment of deliver.
type lane struct {
	handler *deliver.Handler
	store   *dynamo.Store
}

// newWorld makes the tables, the accounts and the functions. Close ends it.
func newWorld(ctx context.Context, s scenario, server aws.Config, rate int) (*world, error) {
	w := &world{
		scenario: s, clock: newClock(), meter: newMeter(), logs: &logs{}, lambda: newLambda(), workload: newWorkload(s),
		plain: dynamodb.NewFromConfig(server), table: awstest.Name("deliveries"), turns: map[string]int{},
	}
	jobs := awstest.Name("jobs")
	if err := dynamo.CreateTables(ctx, w.plain, w.table, jobs); err != nil {
		return nil, err
	}
	secret := webhook.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")
	w.receiver = newReceiver(s, w.clock, secret)
	w.queues = startQueues(w.clock)
	w.probe = w.store(w.plain, "", false)
	if err := w.putAccounts(ctx, secret); err != nil {
		w.close()
		return nil, err
	}
	w.wire(server, jobs, rate)
	return w, nil
}

func (w *world) close() { w.queues.close() }

func (w *world) store(client *dynamodb.Client, jobs string, eventually bool) *dynamo.Store {
	s := dynamo.New(dynamo.Options{
		Client: client, Deliveries: w.table, Jobs: jobs, Sealer: sealer{}, Eventually: eventually, Now: w.clock.time, Log: w.log(),
	})
	if eventually {
		dynamo.Gather(s, time.Millisecond)
	}
	return s
}

func (w *world) log() *slog.Logger { return logline.New(w.logs, slog.LevelInfo) }

// putAccounts makes 20 accounts, and one whose endpoint may be dead.
func (w *world) putAccounts(ctx context.Context, secret webhook.Secret) error {
	var policy webhook.PolicyPatch
	if w.scenario.limited {
		policy.Rate = new(limitedRate)
	}
	for i := range accounts + 1 {
		account := accountName(i)
		if i == accounts {
			account = deadAccount
		}
		err := errors.Join(
			w.probe.PutAccount(ctx, webhook.Account{ID: account, Name: account, CreatedAt: start(), UpdatedAt: start()}),
			w.probe.PutEndpoint(ctx, webhook.Endpoint{
				ID: endpointID(i), Account: account, Policy: policy, URL: "https://" + account + ".example.com/webhooks/jobhook",
				Format: format.Standard, Secrets: []webhook.Secret{secret}, Status: webhook.EndpointEnabled, CreatedAt: start(), UpdatedAt: start(),
			}))
		if err != nil {
			return err
		}
	}
	return nil
}

func endpointID(i int) string { return fmt.Sprintf("ep_%012d", i) }

// trip opens the circuit of the last endpoint, as failures before the scenario
// would have, for so long.
func (w *world) trip(ctx context.Context, d time.Duration) error {
	read, err := w.probe.HealthOf(ctx, deadAccount, endpointID(accounts))
	if err != nil || !w.scenario.tripped {
		return err
	}
	now, next := w.clock.time(), read
	next.State, next.Since, next.Reason = webhook.Failing, now.Add(-time.Hour), "connect: connection refused"
	next.Circuit, next.Version = webhook.Circuit{Opens: 1, OpenUntil: now.Add(d)}, read.Version+1
	return w.probe.SetHealth(ctx, deadAccount, read, next)
}

// wire makes the functions as their mains do, with what is counted, and as many
// environments of each as the rate keeps busy.
func (w *world) wire(server aws.Config, jobs string, rate int) {
	tables := w.meter.client(server)
	messages := sqs.NewFromConfig(w.queues.config(server))
	queue := func(name string) alone {
		return alone{queue: sqsqueue.New(messages, w.queues.url(name)), turn: &sync.Mutex{}}
	}
	newDispatch := func() *dispatch.Handler {
		return &dispatch.Handler{
			Store: w.store(tables, "", true), Queue: queue(firstQueue), Metrics: metrics.New(w.logs, stage, "dispatch"), Now: w.clock.time, Log: w.log(),
		}
	}
	newLane := func(name string, eventually bool) lane {
		l := lane{store: w.store(tables, "", eventually)}
		l.handler = &deliver.Handler{
			Store: l.store, Queue: queue(name), Sender: w.receiver, PublicURL: publicURL, Health: &deliver.HealthLog{}, Crew: crew.New(),
			Metrics: metrics.New(w.logs, stage, "deliver-"+name), Now: w.clock.time, Jitter: func() float64 { return 0.5 }, Log: w.log(),
		}
		return l
	}
	for range environments(rate, w.scenario.batch, duration(0, 2+min(w.scenario.batch, accounts), w.scenario.batch)) {
		w.dispatch = append(w.dispatch, newDispatch())
	}
	for range environments(rate, w.scenario.batch, duration(answerTime, 3, w.scenario.batch)) {
		l := newLane(firstQueue, true)
		l.handler.Retry = queue(retryQueue)
		w.first = append(w.first, l)
	}
	w.retry = newLane(retryQueue, false)
	store := w.store(tables, jobs, false)
	w.sweep = &sweep.Handler{
		Store: store, Queue: queue(retryQueue), Horizon: sweepEvery,
		Notices: store, Notifier: &notify.Teller{Store: store, Queue: queue(firstQueue), Now: w.clock.time},
		Metrics: metrics.New(w.logs, stage, "sweep"), Now: w.clock.time, Log: w.log(),
	}
}

// invoke counts one invocation of a function over n records or messages, and
// its duration.
func (w *world) invoke(ctx context.Context, function string, n int, count trips, f func(context.Context) error) error {
	w.invoked++
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: jobID(w.invoked)})
	before := w.requests()
	w.receiver.took()
	err := f(ctx)
	w.lambda.add(function, duration(w.receiver.took(), count(difference(w.requests(), before), n), n))
	return err
}

// requests are those of both services.
func (w *world) requests() map[string]int {
	all := w.meter.snapshot()
	for operation, n := range w.queues.snapshot() {
		all[operation] += n
	}
	return all
}

// turn is the number of the environment that takes the next batch.
func (w *world) turn(function string, environments int) int {
	w.turns[function]++
	return w.turns[function] % environments
}

// runDispatch dispatches one batch of the stream.
func (w *world) runDispatch(ctx context.Context, records []events.DynamoDBEventRecord) error {
	h := w.dispatch[w.turn("dispatch", len(w.dispatch))]
	return w.invoke(ctx, "dispatch", len(records), dispatchTrips, func(ctx context.Context) error {
		answer, err := h.Handle(ctx, events.DynamoDBEvent{Records: records})
		if err == nil && len(answer.BatchItemFailures) > 0 {
			err = errors.New("dispatch failed at a record")
		}
		return err
	})
}

// runDeliver attempts what is visible of a queue, a batch at most. It returns
// false when nothing is.
func (w *world) runDeliver(ctx context.Context, name string) (bool, error) {
	e := w.queues.receive(name, w.scenario.batch)
	if len(e.Records) == 0 {
		return false, nil
	}
	h := w.retry.handler
	if name == firstQueue {
		h = w.first[w.turn(name, len(w.first))].handler
	}
	return true, w.invoke(ctx, "deliver-"+name, len(e.Records), deliverTrips, func(ctx context.Context) error {
		answer, err := h.Handle(ctx, e)
		w.queues.finish(name, e, answer)
		return err
	})
}

// runSweep does one run of sweep.
func (w *world) runSweep(ctx context.Context) error {
	return w.invoke(ctx, "sweep", 0, sweepTrips, func(ctx context.Context) error {
		return w.sweep.Handle(ctx, events.EventBridgeEvent{})
	})
}

// flush writes the statistics of all environments.
func (w *world) flush(ctx context.Context) error {
	err := w.retry.store.Flush(ctx)
	for _, l := range w.first {
		err = errors.Join(err, l.store.Flush(ctx))
	}
	return err
}

// reset forgets what was counted.
func (w *world) reset() {
	w.meter.reset()
	w.queues.reset()
	w.logs.reset()
	w.receiver.reset()
	w.lambda = newLambda()
}

// alone rings and hides for one delivery at a time. Those that fail within 5 ms
// of each other share a request (shared/sqsqueue); how many do depends on the
// receivers and, here, on the machine. So what is counted is the most it can be.
type alone struct {
	queue *sqsqueue.Queue
	turn  *sync.Mutex
}

// Ring sends the doorbells.
func (a alone) Ring(ctx context.Context, bells []webhook.Doorbell) error {
	a.turn.Lock()
	defer a.turn.Unlock()
	return a.queue.Ring(ctx, bells)
}

// Hide makes a message invisible for d.
func (a alone) Hide(ctx context.Context, receipt string, d time.Duration) error {
	a.turn.Lock()
	defer a.turn.Unlock()
	return a.queue.Hide(ctx, receipt, d)
}

// sealer leaves secrets as they are, at the length that shared/kmsseal gives
// them. KMS is asked once in five minutes per account and environment.
type sealer struct{}

// sealedBytes is a version, a length, a data key as KMS wraps it, a nonce and a tag.
const sealedBytes = 1 + 2 + 184 + 12 + 16

// Seal makes a secret as long as it would be.
func (sealer) Seal(_ context.Context, plain []byte, _ string) ([]byte, error) {
	return append(make([]byte, sealedBytes), plain...), nil
}

// Open takes away what Seal added.
func (sealer) Open(_ context.Context, sealed []byte, _ string) ([]byte, error) {
	return sealed[sealedBytes:], nil
}
