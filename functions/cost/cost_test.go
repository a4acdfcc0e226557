package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/sqsqueue"
	"github.com/jobhook/jobhook/shared/webhook"
)

// What a webhook may cost, and what it should.
const (
	mostUSD, aimUSD               = 3.00, 1.75
	mostWriteUnits, aimWriteUnits = 4.0, 2.0
)

// TestADeliveryCostsAsMuchAsItDid pins the requests and the units of 1,000
// deliveries in batches of ten, and holds them to what they may cost. A change
// that needs more of them fails here; one that needs fewer writes its figures
// down, here and in the README.
func TestADeliveryCostsAsMuchAsItDid(t *testing.T) {
	got := play(t, "happy-10", 1000, 100)
	if diff := cmp.Diff(got.DynamoDB, map[string]int{"PutItem": 2000, "BatchGetItem": 100, "Query": 967, "UpdateItem": 80}); diff != "" {
		t.Errorf("requests to DynamoDB (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(got.SQS, map[string]int{"SendMessageBatch": 100, "ReceiveMessage": 100, "DeleteMessageBatch": 100}); diff != "" {
		t.Errorf("requests to SQS (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(got.Lambda.Invocations, map[string]int{"dispatch": 100, "deliver-first": 100}); diff != "" {
		t.Errorf("invocations (-got +want):\n%s", diff)
	}
	if u := got.Consumed["deliveries"]; u.Write != 2080 || len(got.Consumed) != 1 {
		t.Errorf("units %v, want 2,080 to write to the table and none elsewhere", got.Consumed)
	}
	if got.LogLines != 200 {
		t.Errorf("%d lines logged, want 200: one for each batch", got.LogLines)
	}
	c := got.perMillion()
	units, usd := c.WriteUnits/1e6, price(c).withoutEgress()
	if units > mostWriteUnits || usd > mostUSD {
		t.Errorf("%.3f write units and $%.2f per million, at most %.1f and $%.2f are allowed", units, usd, mostWriteUnits, mostUSD)
	}
	t.Logf("write units %.3f (aim: %.1f, met: %t), dollars per million %.3f (aim: %.2f, met: %t)",
		units, aimWriteUnits, units <= aimWriteUnits, usd, aimUSD, usd <= aimUSD)
}

func TestTwoRunsCountTheSame(t *testing.T) {
	for _, name := range []string{"retried-100", "dead-10"} {
		if diff := cmp.Diff(play(t, name, 100, 20), play(t, name, 100, 20)); diff != "" {
			t.Errorf("%s (-one +other):\n%s", name, diff)
		}
	}
}

func TestARetryIsCountedWithAllThatBelongsToIt(t *testing.T) {
	happy, retried := play(t, "happy-10", 100, 20), play(t, "retried-10", 100, 20)
	more := difference(retried.DynamoDB, happy.DynamoDB)
	if more["PutItem"] != 10 { // the attempt that failed
		t.Errorf("%d items put more for 10 retries, want 10", more["PutItem"])
	}
	if more["UpdateItem"] < 2*10 { // the claim and the outcome
		t.Errorf("%d items updated more for 10 retries, want 20 and statistics", more["UpdateItem"])
	}
	if n := retried.SQS["SendMessageBatch"] - happy.SQS["SendMessageBatch"]; n != 10 {
		t.Errorf("%d batches sent more for 10 retries, want 10", n)
	}
}

func TestADeadEndpointIsTriedToTheEndOfItsSchedule(t *testing.T) {
	got := play(t, "dead-10", 200, 20)
	if got.Delivered != 198 || got.Exhausted != 2 {
		t.Errorf("%d delivered, %d exhausted; want 198 and 2", got.Delivered, got.Exhausted)
	}
	if n := got.Items["attempt"].Items; n != 20 {
		t.Errorf("%d failed attempts are stored, want 10 of each of the two", n)
	}
	if got.Lambda.Invocations["sweep"] == 0 || got.Consumed["deliveries/due"].Write == 0 {
		t.Errorf("invocations %v, units %v; want some of sweep and of the sparse index", got.Lambda.Invocations, got.Consumed)
	}
}

// TestALimitedEndpointCostsOneWriteForABatch: a batch leases all its attempts
// of an endpoint at once, and nothing else differs.
func TestALimitedEndpointCostsOneWriteForABatch(t *testing.T) {
	happy, limited := play(t, "happy-10", 100, 20), play(t, "limited-10", 100, 20)
	more := difference(limited.DynamoDB, happy.DynamoDB)
	if n := more["UpdateItem"]; n < 10 || n > 100 || len(more) != 1 {
		t.Errorf("requests more for 100 deliveries in 10 batches: %v; want an UpdateItem for each batch and endpoint", more)
	}
	units := limited.Consumed["deliveries"].Write - happy.Consumed["deliveries"].Write
	if units != float64(more["UpdateItem"]) {
		t.Errorf("%v write units more for %d leases, want one each", units, more["UpdateItem"])
	}
	if diff := cmp.Diff(limited.SQS, happy.SQS); diff != "" {
		t.Errorf("requests to SQS (-limited +happy):\n%s", diff)
	}
}

// TestHeldDeliveriesAreReleasedByTheirProbe: two are held, and one of them tries
// the endpoint before the other follows.
func TestHeldDeliveriesAreReleasedByTheirProbe(t *testing.T) {
	got := play(t, "tripped-10", 200, 20)
	if got.Delivered != 200 || got.Lambda.Invocations["sweep"] != 2 || got.Lambda.Invocations["deliver-retry"] != 2 {
		t.Errorf("%d delivered, invocations %v; want 200, two runs of sweep and a batch after each", got.Delivered, got.Lambda.Invocations)
	}
	if n := got.DynamoDB["TransactWriteItems"]; n != 0 {
		t.Errorf("%d transactions, want none: the circuit closes, and nobody had been told that it opened", n)
	}
	// Each enters the index when it is held and leaves it, enters it as due when
	// it is released and leaves it when it is delivered.
	if u := got.Consumed["deliveries/due"].Write; u != 2*4 {
		t.Errorf("%v write units of the index, want 4 for each held delivery", u)
	}
}

// TestAMessageThatCannotBeDeflatedTakesNoThirdUnit: an event of a body of 1 KiB
// stays within one unit even then.
func TestAMessageThatCannotBeDeflatedTakesNoThirdUnit(t *testing.T) {
	got := play(t, "random-10", 100, 20) // the receiver holds its bodies to the same length
	if event := got.Items["event"]; event.Mean > writeUnitBytes {
		t.Errorf("an event has %.0f bytes, want no more than a unit's", event.Mean)
	}
	if u := got.Consumed["deliveries"].Write; u > 250 {
		t.Errorf("%v write units for 100 deliveries, want 2 each and those of the statistics", u)
	}
}

func TestARunWhoseWebhooksDidNotArriveFails(t *testing.T) {
	server := awstest.DynamoDB(t).Config()
	w, err := newWorld(t.Context(), scenarios()[0], server, 20)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if err := w.load(t.Context(), 0, 2, 20); err != nil {
		t.Fatal(err)
	}
	if _, err := w.outcome(t.Context(), 2, 0); err != nil {
		t.Errorf("two webhooks arrived, and yet: %v", err)
	}
	if _, err := w.outcome(t.Context(), 3, 0); err == nil {
		t.Error("a webhook that did not arrive was not missed")
	}
}

func TestAMessageIsHandedOutWhenItIsVisible(t *testing.T) {
	c := newClock()
	q := startQueues(c)
	defer q.close()
	queue := sqsqueue.New(sqs.NewFromConfig(q.config(awstest.Server{}.Config())), q.url(retryQueue))
	err := queue.Ring(t.Context(), []webhook.Doorbell{{Account: "acme", Delivery: "dlv_1", Generation: 1, After: 5 * time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	take := func(after time.Duration) int {
		c.reach(start().Add(after))
		return len(q.receive(retryQueue, 10).Records)
	}
	if early, due, hidden := take(299*time.Second), take(300*time.Second), take(301*time.Second); early != 0 || due != 1 || hidden != 0 {
		t.Errorf("%d before it is due, %d then, %d while it is hidden; want 0, 1, 0", early, due, hidden)
	}
	if err := queue.Hide(t.Context(), "m-1", time.Hour); err != nil {
		t.Fatal(err)
	}
	if hidden, again := take(300*time.Second+visibility), take(2*time.Hour); hidden != 0 || again != 1 {
		t.Errorf("%d while it is hidden for longer, %d after that; want 0 and 1", hidden, again)
	}
	want := map[string]int{"SendMessageBatch": 1, "ChangeMessageVisibilityBatch": 1}
	if diff := cmp.Diff(q.snapshot(), want); diff != "" {
		t.Errorf("requests (-got +want):\n%s", diff)
	}
}

func TestTheReportNamesEveryScenarioAndEveryPeer(t *testing.T) {
	r := newReport(100)
	r.add(outcome{
		Scenario: "happy-10", Delivered: 1000, Consumed: map[string]units{"deliveries": {Write: 2000}}, Lambda: *newLambda(),
		Items: map[string]sizes{"event": {Items: 1000, Mean: 900}, "delivery": {Items: 1000, Mean: 400}},
	})
	var table strings.Builder
	r.print(&table, true)
	lines := strings.Split(strings.TrimSpace(table.String()), "\n")
	if len(lines) != 2+1+len(peers()) || !strings.HasPrefix(lines[2], "| happy-10 | 2.000 |") {
		t.Errorf("table:\n%s", table.String())
	}
	path := filepath.Join(t.TempDir(), "cost.json")
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Scenarios map[string]struct {
			USD float64 `json:"usd_per_million"`
		} `json:"scenarios"`
	}
	if err := json.Unmarshal(b, &got); err != nil || math.Abs(got.Scenarios["happy-10"].USD-1.25) > 1e-9 {
		t.Errorf("%s: %v; want $1.25 for 2 write units", b, err)
	}
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-n", "150"}, {"-n", "0"}, {"-rate", "1"}, {"-run", "("}, {"-none"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	if o, err := parseOptions(nil); err != nil || !o.run.MatchString("happy-10") {
		t.Errorf("no flags: %+v, %v", o, err)
	}
}

func TestEveryPartIsPricedAndAddsUp(t *testing.T) {
	got := price(counts{WriteUnits: 2e6, ReadUnits: 1e6, QueueRequests: 300_000, Invocations: 200_000, GBSeconds: 10_000, LogBytes: 1e8, EgressBytes: 1e9})
	want := dollars{Writes: 1.25, Reads: 0.125, Queues: 0.15, Invocations: 0.04, Duration: 0.133334, Logs: 0.05, Traces: 0.05, Egress: 0.09}
	if diff := cmp.Diff(got, want, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })); diff != "" {
		t.Errorf("dollars (-got +want):\n%s", diff)
	}
	if total := got.withoutEgress(); math.Abs(total-1.798334) > 1e-9 {
		t.Errorf("total %f without egress, want 1.798334", total)
	}
}

func TestALineHasTheLengthThatItHasOnLambda(t *testing.T) {
	for _, tt := range []struct {
		line string
		want int
	}{
		{`{"time":"2026-03-02T10:00:00.12+01:00","level":"INFO"}` + "\n", len(`{"time":"2026-03-02T09:00:00.123456789Z","level":"INFO"}`)},
		{`{"_aws":{}}` + "\n", len(`{"_aws":{}}`)},
	} {
		if got := lineBytes([]byte(tt.line)); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", tt.line, got, tt.want)
		}
	}
}

func TestAnErrorLineIsAFaultOfTheRun(t *testing.T) {
	w := &world{logs: &logs{}, receiver: &receiver{}}
	w.log().Warn("delivery.attempted")
	if err := w.faults(); err != nil {
		t.Errorf("a warning is a fault: %v", err)
	}
	w.log().Error("message.failed")
	if w.faults() == nil {
		t.Error("an error is no fault")
	}
}

// play runs a scenario of n deliveries, at a rate a second.
func play(t *testing.T, name string, n, rate int) outcome {
	t.Helper()
	server := awstest.DynamoDB(t).Config()
	for _, s := range scenarios() {
		if s.name != name {
			continue
		}
		got, err := run(t.Context(), s, server, n, rate)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return got
	}
	t.Fatalf("there is no scenario %s", name)
	return outcome{}
}
