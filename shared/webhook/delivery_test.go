package webhook_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestEveryStateIsFinalOrNot(t *testing.T) {
	got := map[webhook.State]bool{}
	for _, s := range webhook.States() {
		got[s] = s.Final()
	}
	want := map[webhook.State]bool{
		webhook.StateQueued: false, webhook.StateWaiting: false, webhook.StateHeld: false,
		webhook.StateDelivered: true, webhook.StateExhausted: true, webhook.StateDead: true,
		webhook.StateSuperseded: true, webhook.StateDeclined: true,
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("final (-got +want):\n%s", diff)
	}
}

func TestFirstAttemptIsTheFirstOfAllGenerations(t *testing.T) {
	for _, tt := range []struct {
		name string
		d    webhook.Delivery
		want bool
	}{
		{"new", webhook.Delivery{Generation: 1}, true},
		{"after an attempt", webhook.Delivery{Generation: 1, Attempts: 1}, false},
		{"after a postponed attempt", webhook.Delivery{Generation: 1, Postponed: 1}, false},
		{"resent", webhook.Delivery{Generation: 2}, false},
	} {
		if got := tt.d.FirstAttempt(); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestWhatWasNeverSentIsKnownWhateverItsGeneration(t *testing.T) {
	for _, tt := range []struct {
		name string
		d    webhook.Delivery
		want bool
	}{
		{"new", webhook.Delivery{Generation: 1}, true},
		{"resent before it was sent", webhook.Delivery{Generation: 2}, true},
		{"after an attempt", webhook.Delivery{Generation: 1, Attempts: 1}, false},
		{"after a postponed attempt", webhook.Delivery{Generation: 1, Postponed: 1}, false},
		{"resent after an answer", webhook.Delivery{Generation: 2, LastStatus: 500}, false},
		{"resent after a failure", webhook.Delivery{Generation: 2, LastFailure: string(webhook.FailureTimeout)}, false},
		{"resent after a success", webhook.Delivery{Generation: 2, DeliveredAt: time.Unix(1, 0)}, false},
	} {
		if got := tt.d.NeverSent(); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestALeaseHoldsUntilItsTime(t *testing.T) {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for until, want := range map[time.Time]bool{{}: false, now.Add(-1): false, now: false, now.Add(1): true} {
		if got := (webhook.Delivery{LeaseUntil: until}).InFlight(now); got != want {
			t.Errorf("lease until %v: got in flight %v, want %v", until, got, want)
		}
	}
}

func TestADeliveryNamesItself(t *testing.T) {
	d := webhook.Delivery{ID: "dlv_1", Account: "acme", Generation: 2}
	if got, want := d.Ref(), (webhook.Ref{Account: "acme", ID: "dlv_1"}); got != want {
		t.Errorf("ref: got %v, want %v", got, want)
	}
	if got, want := d.Doorbell(), (webhook.Doorbell{Account: "acme", Delivery: "dlv_1", Generation: 2}); got != want {
		t.Errorf("doorbell: got %v, want %v", got, want)
	}
}

func TestAnAttemptGoesToTheEndpointsPresentURL(t *testing.T) {
	w := webhook.Work{
		Delivery: webhook.Delivery{Target: webhook.Target{Endpoint: "ep_1", URL: "https://example.com/old"}},
		Endpoint: webhook.Endpoint{URL: "https://example.com/new"}, HasEndpoint: true,
	}
	if got, want := w.URL(), "https://example.com/new"; got != want {
		t.Errorf("an endpoint: got %s, want %s", got, want)
	}
	w.HasEndpoint = false
	if got, want := w.URL(), "https://example.com/old"; got != want {
		t.Errorf("none: got %s, want %s", got, want)
	}
}

func TestAnOutcomeHasItsEventType(t *testing.T) {
	for outcome, want := range map[job.Outcome]webhook.EventType{
		job.OutcomeSucceeded: webhook.JobFinished,
		job.OutcomeFailed:    webhook.JobFailed,
		job.OutcomeStopped:   webhook.JobStopped,
		"":                   webhook.JobFinished, // a batch that counts no runs, idle again
	} {
		if got := webhook.EndOf(outcome); got != want {
			t.Errorf("%q: got %s, want %s", outcome, got, want)
		}
	}
}

func TestAnEventReadsItsJobFromItsSnapshot(t *testing.T) {
	e := webhook.Event{Run: 7, Record: []byte(`{"account":"acme","kind":"async","id":700,"status":"success","run":1}`)}
	got, err := e.Job()
	if err != nil {
		t.Fatal(err)
	}
	want := job.Job{Account: "acme", Kind: job.KindAsync, ID: "700", Status: "success", Run: 1, Record: e.Record}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("job (-got +want):\n%s", diff)
	}
	if _, err := (webhook.Event{Record: []byte(`{}`)}).Job(); err == nil {
		t.Error("an unreadable snapshot gives no error")
	}
}

func TestADoorbellReadsBackAsItWasSent(t *testing.T) {
	want := webhook.Doorbell{Account: "acme", Delivery: "dlv_1", Generation: 2}
	sent := want
	sent.After = time.Minute // for the queue, not in the message
	got, err := webhook.ParseDoorbell(sent.Message())
	if err != nil || got != want {
		t.Errorf("got %+v and error %v, want %+v", got, err, want)
	}
	if got, want := got.Ref(), (webhook.Ref{Account: "acme", ID: "dlv_1"}); got != want {
		t.Errorf("ref: got %v, want %v", got, want)
	}
}

func TestAMessageThatIsNoDoorbellIsRefused(t *testing.T) {
	for _, message := range []string{
		``, `ding`, `[]`, `{}`, `null`,
		`{"delivery":"dlv_1","generation":1}`,
		`{"account":"acme","generation":1}`,
		`{"account":"acme","delivery":"dlv_1"}`,
		`{"account":"acme","delivery":"dlv_1","generation":-1}`,
		`{"account":"acme","delivery":"dlv_1","generation":"1"}`,
	} {
		if got, err := webhook.ParseDoorbell(message); err == nil {
			t.Errorf("%q: got %+v, want an error", message, got)
		}
	}
}

func TestAResendIsANewGenerationWithAllItsAttempts(t *testing.T) {
	p := webhook.Policy{Schedule: webhook.Fixed(1, time.Minute)}
	now := start.Add(time.Hour)
	delivered := webhook.Delivery{
		ID: "dlv_1", State: webhook.StateDelivered, Generation: 1, Attempts: 2, Postponed: 3,
		NextAt: start, LeaseUntil: now, Deadline: start, LastStatus: 200, CreatedAt: start, DeliveredAt: start,
	}
	got, err := delivered.Resend(p, now)
	if err != nil {
		t.Fatal(err)
	}
	want := webhook.Delivery{
		ID: "dlv_1", State: webhook.StateQueued, Reason: "resent", Generation: 2,
		DueAt: now.Add(time.Minute), UpdatedAt: now, Deadline: p.Deadline(now),
		LastStatus: 200, CreatedAt: start, DeliveredAt: start,
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("delivery (-got +want):\n%s", diff)
	}
}

func TestNothingIsResentWhileAnAttemptIsUnderWay(t *testing.T) {
	for _, d := range []webhook.Delivery{
		{State: webhook.StateQueued, Generation: 1},
		{State: webhook.StateWaiting, Generation: 1, LeaseUntil: start.Add(1)},
	} {
		got, err := d.Resend(webhook.Policy{}, start)
		if !errors.Is(err, webhook.ErrInFlight) || got != d {
			t.Errorf("%s: got %+v and error %v, want the delivery unchanged and ErrInFlight", d.State, got, err)
		}
	}
}
