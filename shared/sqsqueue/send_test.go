package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

func bells(n int, after time.Duration) []webhook.Doorbell {
	list := make([]webhook.Doorbell, n)
	for i := range list {
		list[i] = webhook.Doorbell{Account: "acme", Delivery: fmt.Sprint("dlv_", i), Generation: 1, After: after}
	}
	return list
}

// sizes tells how many entries each call had.
func sizes(calls []call) (list []int) {
	for _, c := range calls {
		list = append(list, len(c.Entries))
	}
	return list
}

func TestBellsAreSentInBatchesOfTen(t *testing.T) {
	f := &fake{}
	if err := f.queue(t).Ring(t.Context(), bells(25, 0)); err != nil {
		t.Fatal(err)
	}
	total, seen := 0, map[string]bool{}
	for _, c := range f.made("SendMessageBatch") {
		total += len(c.Entries)
		for _, e := range c.Entries {
			seen[e.MessageBody] = true
		}
	}
	if n := len(f.calls); n != 3 || total != 25 || len(seen) != 25 {
		t.Errorf("%d calls with %d entries and %d bodies, want 3 with 25 and 25", n, total, len(seen))
	}
}

func TestOnlyTheEntriesThatFailedAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused sync.Map
		f := &fake{refuse: func(_ int, e entry) *refusal {
			if _, again := refused.LoadOrStore(e.MessageBody, true); again || !strings.Contains(e.MessageBody, "7") {
				return nil
			}
			return &refusal{Code: "InternalError", Message: "try again"}
		}}
		if err := f.queue(t).Ring(t.Context(), bells(20, 0)); err != nil {
			t.Fatal(err)
		}
		sent := map[string]int{}
		for _, c := range f.calls {
			for _, e := range c.Entries {
				sent[e.MessageBody]++
			}
		}
		for body, n := range sent {
			want := 1
			if strings.Contains(body, "7") {
				want = 2
			}
			if n != want {
				t.Errorf("%s was sent %d times, want %d", body, n, want)
			}
		}
		if len(sent) != 20 {
			t.Errorf("%d bells were sent, want 20", len(sent))
		}
	})
}

func TestWhatBecomesOfAnEntryThatIsRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		refusal refusal
		times   int // it is refused
		calls   int
		want    string // in the error
	}{
		{"for good: no further try", refusal{Code: "InvalidMessageContents", SenderFault: true}, 99, 1, "InvalidMessageContents"},
		{"throttled, once", refusal{Code: "RequestThrottled", SenderFault: true}, 1, 2, ""},
		{"a fault of SQS, three times", refusal{Code: "InternalError"}, 3, 4, ""},
		{"a fault of SQS, always", refusal{Code: "InternalError", Message: "oh"}, 99, maxTries, "InternalError: oh"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{refuse: func(call int, _ entry) *refusal {
					if call > test.times {
						return nil
					}
					r := test.refusal
					return &r
				}}
				err := f.queue(t).Send(t.Context(), "acme", "1", 0)
				if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("got error %v, want %q", err, test.want)
				}
				if len(f.calls) != test.calls {
					t.Errorf("got %d calls, want %d", len(f.calls), test.calls)
				}
			})
		})
	}
}

func TestAnEntryWithoutAnAnswerIsNotTakenForSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(*http.Request, call) *http.Response { return respond(http.StatusOK, struct{}{}) }}
		err := f.queue(t).Ring(t.Context(), bells(3, 0))
		if !errors.Is(err, errUnanswered) || !strings.Contains(err.Error(), "queue first: send: 3 of 3: ") {
			t.Errorf("got %v, want 3 of 3: %v", err, errUnanswered)
		}
	})
}

func TestAThrottledCallIsMadeAgainUntilTheDeadline(t *testing.T) {
	t.Run("it is taken in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{}
			f.answer = func(*http.Request, call) *http.Response {
				if len(f.made("SendMessageBatch")) < 3 {
					return throttled()
				}
				return nil
			}
			if err := f.queue(t).Ring(t.Context(), bells(2, 0)); err != nil {
				t.Error(err)
			}
			if got := sizes(f.calls); !cmp.Equal(got, []int{2, 2, 2}) {
				t.Errorf("got calls with %v entries, want three with 2", got)
			}
		})
	})
	t.Run("it is not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{answer: func(*http.Request, call) *http.Response { return throttled() }}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			begun := time.Now()
			if err := f.queue(t).Ring(ctx, bells(2, 0)); err == nil {
				t.Error("got no error")
			}
			if took := time.Since(begun); took > time.Millisecond {
				t.Errorf("it ended %v after the deadline", took-time.Millisecond)
			}
		})
	})
}

func TestTheEndOfTheContextEndsACallAtOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		call func(context.Context, *Queue) error
	}{
		{"ring", func(ctx context.Context, q *Queue) error { return q.Ring(ctx, bells(100, 0)) }},
		{"ring for later", func(ctx context.Context, q *Queue) error { return q.Ring(ctx, bells(1, time.Second)) }},
		{"hide", func(ctx context.Context, q *Queue) error { return q.Hide(ctx, "r", time.Second) }},
		{"delete", func(ctx context.Context, q *Queue) error { return q.Delete(ctx, []string{"r"}) }},
		{"redrive", func(ctx context.Context, q *Queue) error { _, err := q.Redrive(ctx); return err }},
		{"dead letters", func(ctx context.Context, q *Queue) error { _, err := q.DeadLetters(ctx, 1); return err }},
		{"depth", func(ctx context.Context, q *Queue) error { _, err := q.Depth(ctx); return err }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{answer: func(r *http.Request, _ call) *http.Response {
					<-r.Context().Done()
					return nil
				}}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begun := time.Now()
				err := test.call(ctx, f.queue(t))
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want the end of the deadline", err)
				}
				if took := time.Since(begun); took > time.Second {
					t.Errorf("took %v, want 1s", took)
				}
			})
		})
	}
}

func TestFewRequestsAreMadeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		f := &fake{answer: func(*http.Request, call) *http.Response {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-time.After(time.Second)
			now.Add(-1)
			return nil
		}}
		if err := f.queue(t).Ring(t.Context(), bells(300, 0)); err != nil {
			t.Fatal(err)
		}
		if got := most.Load(); got < 2 || got > maxAtOnce {
			t.Errorf("%d requests at once, want 2 to %d", got, maxAtOnce)
		}
	})
}

func TestLargeBodiesGoInSmallerBatches(t *testing.T) {
	f := &fake{}
	q := f.queue(t)
	big := strings.Repeat("x", maxBatchBytes/3)
	if err := summary(q.sendEach(t.Context(), []letter{{body: big}, {body: big}, {body: big}, {body: big}, {body: strings.Repeat("y", maxBatchBytes)}})); err != nil {
		t.Fatal(err)
	}
	for _, c := range f.calls {
		bytes := 0
		for _, e := range c.Entries {
			bytes += len(e.MessageBody)
		}
		if bytes > maxBatchBytes {
			t.Errorf("a request of %d entries has %d bytes", len(c.Entries), bytes)
		}
	}
	if len(f.calls) != 3 {
		t.Errorf("got batches of %v, want three", sizes(f.calls))
	}
}

func TestDelaysAreWholeSecondsRoundedUp(t *testing.T) {
	for _, test := range []struct {
		d, most time.Duration
		want    int32
	}{
		{0, maxDelay, 0},
		{-time.Second, maxDelay, 0},
		{time.Nanosecond, maxDelay, 1},
		{time.Second, maxDelay, 1},
		{1500 * time.Millisecond, maxDelay, 2},
		{time.Hour, maxDelay, 900},
		{13 * time.Hour, maxVisibility, 43200},
		{time.Minute, maxWait, 20},
	} {
		if got := seconds(test.d, test.most); got != test.want {
			t.Errorf("%v: got %d, want %d", test.d, got, test.want)
		}
	}
}

func TestGroupsAreAccountsAsSQSTakesThem(t *testing.T) {
	for _, group := range []string{"acme", "a!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~Z9", strings.Repeat("a", 128)} {
		if got := groupID(group); *got != group {
			t.Errorf("%s became %s", group, *got)
		}
	}
	seen := map[string]bool{}
	for _, group := range []string{"a b", "é", "a\x7f", "a\n", strings.Repeat("a", 129), strings.Repeat("a", 130)} {
		got := *groupID(group)
		if len(got) > maxGroup || *groupID(got) != got || got != *groupID(group) || seen[got] {
			t.Errorf("%.20q became %q, want a group of its own that is always the same", group, got)
		}
		seen[got] = true
	}
	if got := groupID(""); got != nil {
		t.Errorf("no group became %q", *got)
	}
}

func TestAPanicBecomesAnError(t *testing.T) {
	f := &fake{answer: func(*http.Request, call) *http.Response { panic("oh") }}
	q := f.queue(t)
	for name, err := range map[string]error{
		"ring":           q.Ring(t.Context(), bells(11, 0)),
		"ring for later": q.Ring(t.Context(), bells(1, time.Second)),
		"hide":           q.Hide(t.Context(), "r", 0),
		"delete":         q.Delete(t.Context(), []string{"r"}),
	} {
		if err == nil || !strings.Contains(err.Error(), "panic: oh") {
			t.Errorf("%s: got %v, want the panic", name, err)
		}
	}
}
