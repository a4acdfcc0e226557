package resend_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/resend"
	"github.com/jobhook/jobhook/functions/internal/worldtest"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// bells remembers what was rung for.
type bells struct {
	rung []webhook.Doorbell
	err  error
}

func (b *bells) Ring(_ context.Context, list []webhook.Doorbell) error {
	b.rung = append(b.rung, list...)
	return b.err
}

// deliverer stands for the attempt, and says what comes of it.
type deliverer struct {
	store   *sqlite.Store
	attends bool
	err     error
	asked   []string
	during  func(context.Context) // nil: nothing happens meanwhile
}

func (d *deliverer) Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	if d.during != nil {
		d.during(ctx)
	}
	d.asked = append(d.asked, e.Records[0].Body)
	bell, err := webhook.ParseDoorbell(e.Records[0].Body)
	if d.err != nil || err != nil || !d.attends {
		return events.SQSEventResponse{}, errors.Join(d.err, err)
	}
	read, err := d.store.Delivery(ctx, bell.Ref())
	if err != nil {
		return events.SQSEventResponse{}, err
	}
	next := read
	next.State, next.Attempts, next.LastStatus, next.DueAt = webhook.StateWaiting, 1, 503, time.Time{}
	a := webhook.Attempt{Account: read.Account, Delivery: read.ID, Generation: read.Generation, At: worldtest.Start().Add(time.Hour), URL: read.Target.URL,
		Result: webhook.Result{Status: 503, Body: []byte("busy")}, State: next.State}
	return events.SQSEventResponse{}, d.store.Record(ctx, read, next, &a)
}

type site struct {
	*resend.Sender
	store   *sqlite.Store
	bells   *bells
	deliver *deliverer
	now     time.Time
	planted int
}

func newSite(t *testing.T) *site {
	s := &site{store: worldtest.Open(t), bells: &bells{}, now: worldtest.Start()}
	s.deliver = &deliverer{store: s.store, attends: true}
	s.Sender = &resend.Sender{Store: s.store, Queue: s.bells, Deliver: s.deliver, PublicURL: "https://jobhook.example",
		Now: func() time.Time { return s.now }, Log: slog.New(slog.DiscardHandler)}
	return s
}

// plant stores an exhausted delivery of acme, which change may change first.
func (s *site) plant(t *testing.T, change func(*webhook.Delivery)) webhook.Delivery {
	t.Helper()
	s.planted++
	j, err := job.Decode(fmt.Appendf(nil, `{"account":"acme","kind":"async","id":"%d","status":"success","run":1,"created_at":"2026-01-01T00:00:00Z"}`, s.planted))
	if err != nil {
		t.Fatal(err)
	}
	e := webhook.Event{ID: webhook.EventID(j, webhook.JobFinished, ""), Type: webhook.JobFinished, Account: "acme", Kind: j.Kind, JobID: j.ID, Run: 1, At: s.now, Record: j.Record}
	d := webhook.Delivery{Account: "acme", EventID: e.ID, EventType: e.Type, Kind: j.Kind, JobID: j.ID, Run: 1,
		Target: webhook.Target{Endpoint: "ep_standard", URL: "https://receiver.example/standard", Format: "standard"},
		State:  webhook.StateExhausted, Reason: "status 500", Generation: 1, Attempts: 5, CreatedAt: s.now, UpdatedAt: s.now, ExpiresAt: s.now.Add(time.Hour)}
	change(&d)
	d.ID = webhook.DeliveryID(e.ID, d.Target)
	if _, err := s.store.Put(t.Context(), []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (s *site) row(t *testing.T, d webhook.Delivery) webhook.Delivery {
	t.Helper()
	row, err := s.store.Delivery(t.Context(), d.Ref())
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func TestAResendRingsAfterItsTimeAndStandsInTheDueIndexUntilThen(t *testing.T) {
	s := newSite(t)
	d := s.plant(t, func(*webhook.Delivery) {})
	const after = 5 * time.Minute
	got, err := s.Resend(t.Context(), d.Ref(), after)
	if err != nil {
		t.Fatal(err)
	}
	want := []webhook.Doorbell{{Account: "acme", Delivery: d.ID, Generation: 2, After: after}}
	if diff := cmp.Diff(s.bells.rung, want); diff != "" {
		t.Errorf("doorbells (-got +want):\n%s", diff)
	}
	row := s.row(t, d)
	if row.State != webhook.StateQueued || row.Generation != 2 || row.Attempts != 0 || !row.DueAt.After(s.now.Add(after)) || got.ID != d.ID || got.Generation != 2 {
		t.Errorf("row %+v", row)
	}
	if _, err := s.Resend(t.Context(), d.Ref(), 0); !errors.Is(err, webhook.ErrInFlight) {
		t.Errorf("again: %v, want ErrInFlight", err)
	}
}

func TestALostRingIsNoError(t *testing.T) {
	s := newSite(t)
	s.bells.err = errors.New("queue down")
	d := s.plant(t, func(*webhook.Delivery) {})
	if _, err := s.Resend(t.Context(), d.Ref(), 0); err != nil || s.row(t, d).DueAt.IsZero() {
		t.Errorf("%v, due at %v: want a time at which sweep rings", err, s.row(t, d).DueAt)
	}
}

func TestWhatHasNoTargetSaysWhatToDo(t *testing.T) {
	s := newSite(t)
	for name, target := range map[string]webhook.Target{
		"none": {}, "deleted endpoint": {Endpoint: "ep_gone", URL: "https://x.example", Format: "standard"},
		"unknown format": {Endpoint: "ep_standard", URL: "https://x.example", Format: "auto"}, "format of another kind": {URL: "https://x.example", Format: "hkube"},
	} {
		t.Run(name, func(t *testing.T) {
			d := s.plant(t, func(d *webhook.Delivery) {
				d.State, d.Reason, d.Target = webhook.StateDeclined, "no target: nobody asked", target
			})
			before := s.row(t, d)
			_, err := s.Resend(t.Context(), d.Ref(), 0)
			var none *resend.NoTargetError
			if !errors.As(err, &none) || none.Why == "" || none.Cure == "" || !strings.Contains(err.Error(), none.Cure) {
				t.Errorf("got %v, want a *NoTargetError with a cure", err)
			}
			if _, _, err := s.ResendNow(t.Context(), d.Ref()); !errors.As(err, &none) {
				t.Errorf("at once: got %v", err)
			}
			if diff := cmp.Diff(s.row(t, d), before); diff != "" {
				t.Errorf("the row changed (-got +want):\n%s", diff)
			}
		})
	}
	if len(s.bells.rung)+len(s.deliver.asked) != 0 {
		t.Errorf("rang %v, attempted %v", s.bells.rung, s.deliver.asked)
	}
}

func TestAnUnknownDeliveryIsNotFound(t *testing.T) {
	s := newSite(t)
	d := s.plant(t, func(*webhook.Delivery) {})
	for _, r := range []webhook.Ref{{Account: "acme", ID: "dlv_none"}, {Account: "other", ID: d.ID}} {
		_, err := s.Resend(t.Context(), r, 0)
		_, _, err2 := s.ResendNow(t.Context(), r)
		if !errors.Is(err, webhook.ErrNotFound) || !errors.Is(err2, webhook.ErrNotFound) {
			t.Errorf("%v: %v, %v, want ErrNotFound", r, err, err2)
		}
	}
}

func TestWhoWaitsGetsTheReceiversAnswer(t *testing.T) {
	s := newSite(t)
	d := s.plant(t, func(*webhook.Delivery) {})
	row, attempt, err := s.ResendNow(t.Context(), d.Ref())
	if err != nil || attempt == nil || attempt.Result.Status != 503 || string(attempt.Result.Body) != "busy" || row.State != webhook.StateWaiting || row.Generation != 2 {
		t.Errorf("row %+v, attempt %+v, %v", row, attempt, err)
	}
	want := []string{webhook.Doorbell{Account: "acme", Delivery: d.ID, Generation: 2}.Message()}
	if diff := cmp.Diff(s.deliver.asked, want); diff != "" || len(s.bells.rung) != 0 {
		t.Errorf("attempts, %d rung (-got +want):\n%s", len(s.bells.rung), diff)
	}
}

func TestWhoHangsUpLeavesTheAttemptToItsEnd(t *testing.T) {
	s := newSite(t)
	d := s.plant(t, func(*webhook.Delivery) {})
	ctx, hangUp := context.WithCancel(t.Context())
	s.deliver.during = func(during context.Context) {
		hangUp()
		end, bound := during.Deadline()
		if during.Err() != nil || !bound || time.Until(end) > 25*time.Second {
			t.Errorf("the attempt has %v, error %v; want a time of its own", time.Until(end), during.Err())
		}
	}
	row, attempt, err := s.ResendNow(ctx, d.Ref())
	if err != nil || attempt == nil || attempt.Result.Status != 503 || row.State != webhook.StateWaiting {
		t.Errorf("row %+v, attempt %+v, %v", row, attempt, err)
	}
}

func TestTheCallersDeadlineIsKept(t *testing.T) {
	s := newSite(t)
	d := s.plant(t, func(*webhook.Delivery) {})
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
	defer cancel()
	s.deliver.during = func(during context.Context) {
		if end, bound := during.Deadline(); !bound || time.Until(end) > 9*time.Second {
			t.Errorf("the attempt has %v, want what the caller has", time.Until(end))
		}
	}
	if _, _, err := s.ResendNow(ctx, d.Ref()); err != nil {
		t.Error(err)
	}
}

func TestWhoHasHungUpBeforeGetsNothingSent(t *testing.T) {
	s := newSite(t)
	d := s.plant(t, func(*webhook.Delivery) {})
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	if _, _, err := s.ResendNow(ctx, d.Ref()); !errors.Is(err, context.Canceled) || len(s.deliver.asked) != 0 || s.row(t, d).Generation != 1 {
		t.Errorf("%v, attempts %v, row %+v; want nothing done", err, s.deliver.asked, s.row(t, d))
	}
}

func TestWhatIsHeldHasNoAnswer(t *testing.T) {
	s := newSite(t)
	s.deliver.attends = false
	d := s.plant(t, func(*webhook.Delivery) {})
	if row, attempt, err := s.ResendNow(t.Context(), d.Ref()); err != nil || attempt != nil || row.Generation != 2 {
		t.Errorf("row %+v, attempt %+v, %v, want no attempt", row, attempt, err)
	}
}

func TestAnAttemptThatFailsLeavesTheRowDue(t *testing.T) {
	s := newSite(t)
	s.deliver.err = errors.New("no room")
	d := s.plant(t, func(*webhook.Delivery) {})
	if _, _, err := s.ResendNow(t.Context(), d.Ref()); err == nil || s.row(t, d).DueAt.IsZero() {
		t.Errorf("%v, due at %v: want the error, and a time at which sweep rings", err, s.row(t, d).DueAt)
	}
}

func TestHiddenRingsInstead(t *testing.T) {
	queue := &bells{}
	bell := webhook.Doorbell{Account: "acme", Delivery: "dlv_1", Generation: 3}
	for wait, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: 15 * time.Minute} {
		queue.rung = nil
		if err := (resend.Hidden{Queue: queue}).Hide(t.Context(), bell.Message(), wait); err != nil {
			t.Fatal(err)
		}
		later := bell
		later.After = want
		if diff := cmp.Diff(queue.rung, []webhook.Doorbell{later}); diff != "" {
			t.Errorf("%s (-got +want):\n%s", wait, diff)
		}
	}
	var syntax *json.SyntaxError
	if err := (resend.Hidden{Queue: queue}).Hide(t.Context(), "a receipt of SQS", 0); !errors.As(err, &syntax) {
		t.Errorf("another receipt: %v, want an error", err)
	}
}

func TestWhatIsToldOfAnEndpointIsResentThoughNoJobIsBehindIt(t *testing.T) {
	s := newSite(t)
	e := webhook.Notice{Type: webhook.EndpointFailingEvent, Account: "acme", Endpoint: "ep_auto", URL: "https://receiver.example/auto", At: s.now, Since: s.now}.Event("acme")
	d := webhook.Delivery{Account: "acme", EventID: e.ID, EventType: e.Type, State: webhook.StateExhausted, Generation: 1, Attempts: 5,
		Target:    webhook.Target{Endpoint: "ep_standard", URL: "https://receiver.example/standard", Format: "standard"},
		CreatedAt: s.now, UpdatedAt: s.now, ExpiresAt: s.now.Add(time.Hour)}
	d.ID = webhook.DeliveryID(e.ID, d.Target)
	if _, err := s.store.Put(t.Context(), []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}}); err != nil {
		t.Fatal(err)
	}
	next, err := s.Resend(t.Context(), d.Ref(), 0)
	if err != nil || next.State != webhook.StateQueued || next.Generation != 2 {
		t.Errorf("got %+v, %v", next, err)
	}
	if diff := cmp.Diff(s.bells.rung, []webhook.Doorbell{next.Doorbell()}); diff != "" {
		t.Errorf("bells (-got +want):\n%s", diff)
	}
}
