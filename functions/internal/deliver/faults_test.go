package deliver_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/shared/webhook"
)

var errThrottled = errors.New("throttled")

func TestAnOutcomeIsWrittenOnceTheStoreComesBack(t *testing.T) {
	for failures := 1; failures <= 3; failures++ {
		onLambda(t, func(t *testing.T, w *testWorld) {
			w.sender.answer = status(500)
			left := failures
			w.store.record = func(_ context.Context, _ *webhook.Attempt, write func() error) error {
				if left--; left >= 0 {
					return errThrottled
				}
				return write()
			}
			answer := w.onTime(t, w.firstHandler(), batchOf(standard))
			if len(answer.BatchItemFailures) != 0 || len(w.sender.sent) != 1 || len(w.retry.rung) != 1 {
				t.Errorf("%d failures, %d requests, %d retries; want 0, 1, 1", len(answer.BatchItemFailures), len(w.sender.sent), len(w.retry.rung))
			}
			w.want(t, standard, webhook.StateWaiting)
			w.wantAttempts(t, standard, 1)
		})
	}
}

func TestAMessageReturnsWhenItsOutcomeCannotBeWrittenInTime(t *testing.T) {
	for name, fault := range map[string]func(ctx context.Context) error{
		"the store fails": func(context.Context) error { return errThrottled },
		"the store hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			onLambda(t, func(t *testing.T, w *testWorld) {
				w.store.afterLoad = func() { time.Sleep(17 * time.Second) }
				w.sender.answer = func(webhook.Request) webhook.Result {
					time.Sleep(29 * time.Second) // so there is no time for all tries to record
					return ok
				}
				w.store.record = func(ctx context.Context, a *webhook.Attempt, write func() error) error {
					if a != nil && a.Delivery == hkubeResult {
						return fault(ctx)
					}
					return write()
				}
				answer := w.onTime(t, w.firstHandler(), batchOf(progressOld, hkubeResult)) // both may take 30 s
				if got := failedIDs(answer); !cmp.Equal(got, []string{"2"}) {
					t.Errorf("failed messages %v, want the one that could not be recorded", got)
				}
				w.want(t, progressOld, webhook.StateDelivered)
				w.want(t, hkubeResult, webhook.StateQueued)

				w.store.record, w.sender.answer = nil, nil
				answer = w.onTime(t, w.firstHandler(), batchOf(progressOld, hkubeResult))
				w.want(t, hkubeResult, webhook.StateDelivered)
				if len(answer.BatchItemFailures) != 0 || len(w.sender.sent) != 3 {
					t.Errorf("%d failures, %d requests; want none, and no second one for what was recorded", len(answer.BatchItemFailures), len(w.sender.sent))
				}
			})
		})
	}
}

func TestAnOutcomeThatWasWrittenDespiteAnErrorIsNotSentAgain(t *testing.T) {
	onLambda(t, func(t *testing.T, w *testWorld) {
		w.sender.answer = status(500)
		lost := false
		w.store.record = func(_ context.Context, _ *webhook.Attempt, write func() error) error {
			if err := write(); err != nil || lost {
				return err
			}
			lost = true
			return errors.New("the answer was lost")
		}
		answer := w.onTime(t, w.firstHandler(), batchOf(standard))
		if len(answer.BatchItemFailures) != 0 || len(w.sender.sent) != 1 || len(w.retry.rung) != 1 {
			t.Errorf("%d failures, %d requests, %d retries; want 0, 1, 1", len(answer.BatchItemFailures), len(w.sender.sent), len(w.retry.rung))
		}
		w.want(t, standard, webhook.StateWaiting)
	})
}

func TestAStoreThatHangsReturnsTheWholeBatchInTime(t *testing.T) {
	onLambda(t, func(t *testing.T, w *testWorld) {
		h := w.firstHandler()
		h.Store = hangingStore{w.store}
		answer := w.onTime(t, h, batchOf(standard, socialData))
		if got := failedIDs(answer); !cmp.Equal(got, []string{"1", "2"}) {
			t.Errorf("failed messages %v, want both", got)
		}
	})
}

func TestAnAttemptThatMightNotEndInTimeIsNotBegun(t *testing.T) {
	onLambda(t, func(t *testing.T, w *testWorld) {
		w.store.afterLoad = func() { time.Sleep(20 * time.Second) }
		answer := w.onTime(t, w.firstHandler(), batchOf(hkubeResult, standard)) // they may take 30 s and 15 s
		if got := failedIDs(answer); !cmp.Equal(got, []string{"1"}) {
			t.Errorf("returned messages %v, want the one that may take 30 s", got)
		}
		if diff := cmp.Diff(w.queue.hidden, map[string]time.Duration{"AQEB1": 5 * time.Second}); diff != "" {
			t.Errorf("hidden (-got +want):\n%s", diff)
		}
		w.want(t, hkubeResult, webhook.StateQueued)
		w.want(t, standard, webhook.StateDelivered)
	})
}

func TestAClaimThatCameTooLateStrandsNothing(t *testing.T) {
	onLambda(t, func(t *testing.T, w *testWorld) {
		w.sender.answer = status(500)
		w.onTime(t, w.firstHandler(), batchOf(standard))
		w.sender.answer = nil
		w.now = w.now.Add(5 * time.Second)
		w.store.record = func(_ context.Context, _ *webhook.Attempt, write func() error) error {
			time.Sleep(40 * time.Second)
			return write()
		}
		answer := w.onTime(t, w.handler(nil), batchOf(standard))
		d := w.delivery(t, standard)
		if len(w.sender.sent) != 1 || len(answer.BatchItemFailures) != 1 || !d.InFlight(w.now) {
			t.Fatalf("%d requests, %d failures, in flight %t; want the claim alone, and its message back", len(w.sender.sent), len(answer.BatchItemFailures), d.InFlight(w.now))
		}
		w.store.record = nil
		w.now = w.now.Add(w.queue.hidden["AQEB1"])
		w.onTime(t, w.handler(nil), batchOf(standard))
		w.want(t, standard, webhook.StateDelivered)
	})
}

func TestAnAttemptThatIsCutOffSpendsNothingAndReturns(t *testing.T) {
	onLambda(t, func(t *testing.T, w *testWorld) {
		w.sender.hangs = true
		answer := w.onTime(t, w.firstHandler(), batchOf(socialData)) // which has one attempt only
		if d := w.want(t, socialData, webhook.StateQueued); d.Attempts != 0 || len(answer.BatchItemFailures) != 1 {
			t.Errorf("%d attempts, %d failures; want none, and the message back", d.Attempts, len(answer.BatchItemFailures))
		}
		if got := w.queue.hidden["AQEB1"]; got != 5*time.Second {
			t.Errorf("hidden for %s, want 5s", got)
		}
		w.sender.hangs = false
		w.onTime(t, w.firstHandler(), batchOf(socialData))
		w.want(t, socialData, webhook.StateDelivered)
	})
}

func TestWhatCannotBeLoadedReturnsAlone(t *testing.T) {
	w := newWorld(t)
	w.store.load = func(works []webhook.Work) { works[1].Err = errThrottled }
	answer := w.handle(t, w.firstHandler(), batchOf(standard, socialData, serpWow))
	if got := failedIDs(answer); !cmp.Equal(got, []string{"2"}) {
		t.Errorf("failed messages %v, want the second", got)
	}
	w.want(t, standard, webhook.StateDelivered)
	w.want(t, socialData, webhook.StateQueued)
	w.want(t, serpWow, webhook.StateDelivered)
}

func TestAMessageWhoseDeliveryIsGoneIsDroppedWithOneLogLine(t *testing.T) {
	w := newWorld(t)
	var log bytes.Buffer
	h := w.firstHandler()
	h.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	const gone = "dlv_00000000000000000000000000gone"
	answer := w.handle(t, h, batchOf(gone, standard))
	if len(answer.BatchItemFailures) != 0 {
		t.Errorf("failures %v, want none", answer.BatchItemFailures)
	}
	if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); len(lines) != 1 || !strings.Contains(lines[0], gone) {
		t.Errorf("log %q, want one line that names the delivery", lines)
	}
	w.want(t, standard, webhook.StateDelivered)
}

func TestAnAttemptIsRecordedThoughNewerProgressCannotBeLookedFor(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	w.store.overtaken = errThrottled
	answer := w.ring(t, progressOld)
	w.want(t, progressOld, webhook.StateWaiting)
	w.wantAttempts(t, progressOld, 1)
	if len(answer.BatchItemFailures) != 0 {
		t.Error("the message returned although its attempt was recorded")
	}
}

func TestWhatHangsBesideTheOutcomeDoesNotKeepItFromBeingRecorded(t *testing.T) {
	tests := map[string]struct {
		id     string
		answer webhook.Result
		want   webhook.State
	}{
		"silence":   {serpWow, webhook.Result{Failure: webhook.FailureTimeout}, webhook.StateWaiting},
		"disable":   {standard, webhook.Result{Status: 410}, webhook.StateDead},
		"overtaken": {progressOld, webhook.Result{Status: 500}, webhook.StateWaiting},
	}
	for part, test := range tests {
		t.Run(part, func(t *testing.T) {
			onLambda(t, func(t *testing.T, w *testWorld) {
				w.sender.answer = func(webhook.Request) webhook.Result { return test.answer }
				h := w.firstHandler()
				h.Store = besideStore{w.store, part}
				answer := w.onTime(t, h, batchOf(test.id))
				if len(answer.BatchItemFailures) != 0 {
					t.Errorf("failures %v, want none", answer.BatchItemFailures)
				}
				w.want(t, test.id, test.want)
			})
		})
	}
}

// timeout is that of the function on AWS.
const timeout = time.Minute

// onLambda runs a test in a bubble, where time is a matter of waiting for it.
func onLambda(t *testing.T, f func(t *testing.T, w *testWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}

// firstHandler is the handler of the first queue, with real pauses.
func (w *testWorld) firstHandler() *deliver.Handler {
	h := w.handler(w.retry)
	h.Pause = nil
	return h
}

// onTime invokes the handler as Lambda does, and holds it to its deadline.
func (w *testWorld) onTime(t *testing.T, h *deliver.Handler, e events.SQSEvent) events.SQSEventResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	h.Pause = nil
	answer, err := h.Handle(ctx, e)
	if err != nil {
		t.Error(err)
	}
	if ctx.Err() != nil {
		t.Error("the invocation timed out: the answer is lost")
	}
	return answer
}

func (w *testWorld) wantAttempts(t *testing.T, id string, want int) {
	t.Helper()
	list, err := w.store.Attempts(t.Context(), webhook.Ref{Account: "acme", ID: id})
	if err != nil || len(list) != want {
		t.Errorf("%d attempts are recorded, %v; want %d", len(list), err, want)
	}
}

// hangingStore does not answer Load.
type hangingStore struct{ *faultyStore }

func (hangingStore) Load(ctx context.Context, _ []webhook.Ref) ([]webhook.Work, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// besideStore does not answer in one of the calls that are made beside
// recording an outcome.
type besideStore struct {
	*faultyStore
	hangsAt string
}

func (s besideStore) hang(ctx context.Context, at string) error {
	if s.hangsAt != at {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s besideStore) Silence(ctx context.Context, url string, until time.Time) error {
	return errors.Join(s.hang(ctx, "silence"), s.faultyStore.Silence(ctx, url, until))
}

func (s besideStore) Disable(ctx context.Context, account, endpoint, url, reason string, told ...webhook.Notice) error {
	return errors.Join(s.hang(ctx, "disable"), s.faultyStore.Disable(ctx, account, endpoint, url, reason, told...))
}

func (s besideStore) Overtaken(ctx context.Context, d webhook.Delivery) (bool, error) {
	if err := s.hang(ctx, "overtaken"); err != nil {
		return false, err
	}
	return s.faultyStore.Overtaken(ctx, d)
}
