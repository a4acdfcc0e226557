// Package faults tests the handlers together, over a real store, against faults
// of our own side: crashes between any two effects, answers that are lost,
// throttling, doorbells that ring twice, late, or never, clocks that jump.
package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/keyfile"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/storetest"
	"github.com/jobhook/jobhook/shared/webhook"
)

// account is the one customer of these worlds.
const account = "acme"

// horizon is the time between two runs of sweep.
const horizon = time.Minute

// world is the product with all that it depends on in our hands.
type world struct {
	backend backend
	now     time.Time
	store   storetest.StoreUnderTest
	first   *line
	retry   *line
	plan    plan
	calls   int                 // effects of this invocation
	dead    bool                // the process of this invocation has crashed
	faults  int                 // how many there were
	sent    map[string]*receipt // by URL and body, which is the same in all attempts of an event
	took    []*receipt          // receivers that accepted something in this invocation
	answer  webhook.Result      // to the next request
	lock    sync.Mutex          // a batch's messages are handled side by side
	clock   sync.Mutex          // guards now

	changes    []job.Written // the stream
	dispatched int           // the last change that was dispatched
	dispatch   *dispatch.Handler
	firstLane  *deliver.Handler
	retryLane  *deliver.Handler
	sweep      *sweep.Handler
}

// receipt is what the receiver of a URL knows of one event.
type receipt struct {
	url      string
	id       string          // webhook-id of the first request
	others   map[string]bool // further ids, of which there must be none
	accepted int             // since the last resend
	excused  int             // of them, in invocations in which something failed
	ever     bool            // it was accepted once
}

// backend is where a world's store lies.
type backend interface {
	// open opens the store, as a process does that starts.
	open(now func() time.Time) (storetest.StoreUnderTest, error)
	// close closes what was opened last.
	close() error
}

func newWorld(b backend) (*world, error) {
	w := &world{backend: b, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), sent: map[string]*receipt{}, answer: webhook.Result{Status: 200}}
	w.first, w.retry = &line{world: w}, &line{world: w}
	if err := w.open(); err != nil {
		return nil, err
	}
	waits := []int{5, 60, 600, 3600}
	for i, e := range []webhook.Endpoint{
		{ID: "ep_a", URL: "https://a.example/hook"}, {ID: "ep_b", URL: "https://b.example/hook", Types: webhook.OfJobs()},
	} {
		e.Account, e.Format, e.Default, e.Status, e.CreatedAt, e.UpdatedAt = account, "standard", i == 0, webhook.EndpointEnabled, w.now, w.now
		e.Policy = webhook.PolicyPatch{RetrySeconds: &waits}
		if err := w.store.PutEndpoint(context.Background(), e); err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	return w, nil
}

func (w *world) open() (err error) {
	if w.store, err = w.backend.open(w.time); err == nil {
		w.wire()
	}
	return err
}

// restart ends the process and starts another.
func (w *world) restart() error {
	if err := w.backend.close(); err != nil {
		return err
	}
	return w.open()
}

// onSQLite keeps its store in a folder.
type onSQLite struct {
	dir   string
	store *sqlite.Store
}

func (b *onSQLite) open(func() time.Time) (storetest.StoreUnderTest, error) {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, err
	}
	key, err := keyfile.Open(filepath.Join(b.dir, "key"))
	if err != nil {
		return nil, err
	}
	b.store, err = sqlite.Open(context.Background(), b.dir, sqlite.Options{Durability: sqlite.DurableProcess, Sealer: key, Log: quiet()})
	return b.store, err
}

func (b *onSQLite) close() error { return b.store.Close() }

// onDynamoDB keeps its store in tables of its own.
type onDynamoDB struct {
	client           *dynamodb.Client
	deliveries, jobs string
}

func (b *onDynamoDB) open(now func() time.Time) (storetest.StoreUnderTest, error) {
	if b.deliveries == "" {
		b.deliveries, b.jobs = awstest.Name("deliveries"), awstest.Name("jobs")
		if err := dynamo.CreateTables(context.Background(), b.client, b.deliveries, b.jobs); err != nil {
			return nil, err
		}
	}
	return dynamo.New(dynamo.Options{Client: b.client, Deliveries: b.deliveries, Jobs: b.jobs, Now: now, Log: quiet()}), nil
}

func (b *onDynamoDB) close() error { return nil }

// wire makes the handlers anew: what a process has in its memory dies with it.
func (w *world) wire() {
	now := w.time
	store := &flaky{StoreUnderTest: w.store, world: w}
	traffic := &deliver.Traffic{}
	w.dispatch = &dispatch.Handler{Store: store, Queue: w.first, Now: now, Log: quiet()}
	lane := func(q *line, retry deliver.RetryQueue) *deliver.Handler {
		return &deliver.Handler{
			Store: store, Queue: q, Retry: retry, Sender: w, Health: &deliver.HealthLog{}, Traffic: traffic, Now: now,
			Jitter: func() float64 { return 0 }, Pause: w.pass, Log: quiet(),
		}
	}
	w.firstLane, w.retryLane = lane(w.first, w.retry), lane(w.retry, nil)
	w.sweep = &sweep.Handler{
		Store: store, Queue: w.retry, Horizon: horizon, Now: now, Log: quiet(), Ledger: &sweep.Ledger{Books: store, Ends: w.dispatch},
	}
}

// time is the time of this world.
func (w *world) time() time.Time {
	w.clock.Lock()
	defer w.clock.Unlock()
	return w.now
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.clock.Lock()
	defer w.clock.Unlock()
	w.now = w.now.Add(d)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// close ends the world.
func (w *world) close(t testing.TB) {
	if err := w.backend.close(); err != nil {
		t.Error(err)
	}
}

// Post is the receivers: they answer what the world was told to.
func (w *world) Post(_ context.Context, r webhook.Request) (result webhook.Result, timing webhook.Timing) {
	err := w.effect(func() error {
		got := w.receive(r)
		result = w.answer
		if result.Failure == "" && result.Status/100 == 2 {
			got.accepted, got.ever = got.accepted+1, true
			w.took = append(w.took, got)
		}
		return nil
	})
	if err != nil { // whatever came of it, we did not hear
		return webhook.Result{Failure: webhook.FailureTimeout, Detail: err.Error()}, timing
	}
	return result, timing
}

func (w *world) receive(r webhook.Request) *receipt {
	key, id := r.URL+" "+string(r.Body), r.Header.Get("webhook-id")
	got := w.sent[key]
	if got == nil {
		got = &receipt{url: r.URL, id: id, others: map[string]bool{}}
		w.sent[key] = got
	}
	if id != got.id {
		got.others[id] = true
	}
	return got
}

// receipt finds what the receiver knows of a delivery, nil for nothing.
func (w *world) receipt(d webhook.Delivery) *receipt {
	for _, r := range w.sent {
		if r.id == d.EventID && r.url == d.Target.URL {
			return r
		}
	}
	return nil
}

// invoke runs a handler with at most one fault, and tells whether it lived to
// give its answer.
func (w *world) invoke(p plan, f func(ctx context.Context)) (lived bool) {
	before := w.faults
	w.plan, w.calls, w.dead, w.took = p, 0, false, nil
	f(context.Background())
	if w.faults > before {
		for _, r := range w.took {
			r.excused++
		}
	}
	lived, w.plan, w.dead = !w.dead, plan{}, false
	if !lived {
		w.wire()
	}
	return lived
}

// runDispatch hands over the next changes, from the given one on.
func (w *world) runDispatch(p plan, after int) error {
	changes := w.changes[after:min(len(w.changes), after+100)]
	if len(changes) == 0 {
		return nil
	}
	e := events.DynamoDBEvent{}
	for _, c := range changes {
		r, err := record(c)
		if err != nil {
			return err
		}
		e.Records = append(e.Records, r)
	}
	var answer events.DynamoDBEventResponse
	var err error
	lived := w.invoke(p, func(ctx context.Context) { answer, err = w.dispatch.Handle(ctx, e) })
	if err != nil || !lived || len(answer.BatchItemFailures) > 0 {
		return err // the batch comes again
	}
	w.dispatched = max(w.dispatched, changes[len(changes)-1].Seq)
	return nil
}

// runLane hands some messages to their handler, and deletes those that it is
// done with, unless that is what is lost.
func (w *world) runLane(p plan, q *line, batch []*message, keep bool) error {
	handler := w.firstLane
	if q == w.retry {
		handler = w.retryLane
	}
	var e events.SQSEvent
	for _, m := range batch {
		m.received(w.now)
		e.Records = append(e.Records, m.sqs())
	}
	var answer events.SQSEventResponse
	var err error
	lived := w.invoke(p, func(ctx context.Context) { answer, err = handler.Handle(ctx, e) })
	if err != nil || !lived || keep {
		return err
	}
	failed := map[string]bool{}
	for _, f := range answer.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	for _, m := range batch {
		if !failed[m.id] {
			q.remove(m)
		}
	}
	return nil
}

func (w *world) runSweep(p plan) error {
	var err error
	lived := w.invoke(p, func(ctx context.Context) { err = w.sweep.Handle(ctx, events.EventBridgeEvent{}) })
	if !lived || p.kind != none {
		return nil // what it could not do it does in the next run
	}
	return err
}

// write puts a job, as the platform does, and the change into the stream.
func (w *world) write(id, status string) error {
	var before []byte
	written, _, err := w.store.WriteJob(context.Background(), id, job.KindScraping, func(old *job.Job) (job.Job, error) {
		created := w.now
		if old != nil {
			created, before = old.CreatedAt, old.Record
			if old.Ended() {
				return *old, nil
			}
		}
		return job.Decode(fmt.Appendf(nil, `{"account":%q,"kind":"scraping","id":%q,"run":1,"status":%q,"created_at":%q,"updated_at":%q}`,
			account, id, status, created.UTC().Format(timeForm), w.now.UTC().Format(timeForm)))
	})
	if err == nil && string(before) != string(written.Record) {
		w.changes = append(w.changes, job.Written{Seq: len(w.changes) + 1, At: w.now, Old: before, New: written.Record})
	}
	return err
}

const timeForm = "2006-01-02T15:04:05.000Z"

// deliveries returns all there are.
func (w *world) deliveries() (all []webhook.Delivery, err error) {
	f := webhook.Filter{Account: account, Limit: webhook.MaxPage}
	for {
		list, next, err := w.store.Deliveries(context.Background(), f)
		if all = append(all, list...); err != nil || next == "" {
			return all, err
		}
		f.After = next
	}
}

// record is a change as a stream carries it.
func record(c job.Written) (r events.DynamoDBEventRecord, err error) {
	r.EventName = "MODIFY"
	if len(c.Old) == 0 {
		r.EventName = "INSERT"
	}
	r.Change.SequenceNumber = strconv.Itoa(c.Seq)
	r.Change.ApproximateCreationDateTime.Time = c.At
	if r.Change.OldImage, err = image(c.Old); err == nil {
		r.Change.NewImage, err = image(c.New)
	}
	return r, err
}

// image reads a flat record of texts and numbers.
func image(record []byte) (map[string]events.DynamoDBAttributeValue, error) {
	if len(record) == 0 {
		return nil, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(record, &fields); err != nil {
		return nil, err
	}
	attributes := map[string]events.DynamoDBAttributeValue{}
	for name, value := range fields {
		switch v := value.(type) {
		case string:
			attributes[name] = events.NewStringAttribute(v)
		case float64:
			attributes[name] = events.NewNumberAttribute(strconv.FormatFloat(v, 'f', -1, 64))
		default:
			return nil, fmt.Errorf("attribute %s: %v", name, value)
		}
	}
	return attributes, nil
}
