package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// keptBy is a site with three queues, in which a message is a dead letter when
// it comes a second time. It returns them by name.
func (s *site) keptBy(t testing.TB) (*site, map[string]*sqlite.Queue) {
	t.Helper()
	queues := map[string]*sqlite.Queue{}
	for _, name := range []string{"first", "retry", "export"} {
		q, err := s.store.OpenQueue(t.Context(), name, sqlite.QueueOptions{Visibility: time.Hour, MaxReceives: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		queues[name] = q
	}
	kept := api.Queues{First: queues["first"], Retry: queues["retry"], Export: queues["export"]}
	return s.with(func(c *api.Config) { c.Queues = kept }), queues
}

// poison makes a dead letter of a body.
func (s *site) poison(t testing.TB, q *sqlite.Queue, body string) {
	t.Helper()
	if err := q.Send(t.Context(), "acme", body, 0); err != nil {
		t.Fatal(err)
	}
	got := q.Receive(t.Context(), 1, 5*time.Second)
	if len(got) != 1 {
		t.Fatalf("received %d messages, want 1", len(got))
	}
	if err := q.Hide(t.Context(), got[0].Receipt, 0); err != nil {
		t.Fatal(err)
	}
	if got := q.Receive(t.Context(), 1, 0); len(got) != 0 {
		t.Fatalf("it came again: %+v", got)
	}
	if err := s.store.PutAccount(t.Context(), webhook.Account{ID: "acme"}); err != nil { // it waits for what is written before
		t.Fatal(err)
	}
}

func TestQueuesTellHowManyMessagesTheyHold(t *testing.T) {
	s, queues := newSite(t).keptBy(t)
	for _, delay := range []time.Duration{0, 0, 0, time.Hour} {
		if err := queues["retry"].Send(t.Context(), "acme", "1", delay); err != nil {
			t.Fatal(err)
		}
	}
	if got := queues["retry"].Receive(t.Context(), 2, 5*time.Second); len(got) != 2 {
		t.Fatalf("received %d messages, want 2", len(got))
	}
	s.poison(t, queues["export"], "1")
	want := []any{
		map[string]any{"name": "first", "visible": json.Number("0"), "hidden": json.Number("0"), "delayed": json.Number("0"), "dead": json.Number("0")},
		map[string]any{"name": "retry", "visible": json.Number("1"), "hidden": json.Number("2"), "delayed": json.Number("1"), "dead": json.Number("0")},
		map[string]any{"name": "export", "visible": json.Number("0"), "hidden": json.Number("0"), "delayed": json.Number("0"), "dead": json.Number("1")},
	}
	if diff := cmp.Diff(s.must(t, 200, s.operator, "GET", "/v1/queues", "")["items"], any(want)); diff != "" {
		t.Errorf("queues (-got +want):\n%s", diff)
	}
}

func TestADeadLetterTellsWhatItIsAbout(t *testing.T) {
	s, queues := newSite(t).keptBy(t)
	long := strings.Repeat("x", 4095) + "ä"
	for _, tt := range []struct {
		queue, body string
		shown       string // of the body
		account     any
		delivery    any
	}{
		{"first", `{"account":"acme","delivery":"dlv_1","generation":2}`, `{"account":"acme","delivery":"dlv_1","generation":2}`, "acme", "dlv_1"},
		{"export", `{"account":"acme","kind":"batch","job":"7","run":1,"event":"evt_1"}`, `{"account":"acme","kind":"batch","job":"7","run":1,"event":"evt_1"}`, "acme", nil},
		{"export", `{"erase":true}`, `{"erase":true}`, nil, nil},
		{"retry", `<script>`, `<script>`, nil, nil},
		{"retry", `{"account":[]}`, `{"account":[]}`, nil, nil},
		{"retry", long, strings.Repeat("x", 4095), nil, nil},
	} {
		s.poison(t, queues[tt.queue], tt.body)
		items := s.must(t, 200, s.operator, "GET", "/v1/queues/"+tt.queue+"/dead-letters", "")["items"].([]any)
		if len(items) != 1 {
			t.Fatalf("%.40s: %d dead letters, want 1", tt.body, len(items))
		}
		got := items[0].(map[string]any)
		if got["account"] != tt.account || got["delivery"] != tt.delivery || got["body"] != tt.shown || got["receives"] != json.Number("1") ||
			got["id"] == "" || got["sent_at"] == nil {
			t.Errorf("%.40s: got %v", tt.body, got)
		}
		s.must(t, 202, s.operator, "POST", "/v1/queues/"+tt.queue+":redrive", "")
		queues[tt.queue].Receive(t.Context(), 1, 5*time.Second)
	}
}

func TestARedriveBringsTheDeadLettersOfItsQueueBack(t *testing.T) {
	s, queues := newSite(t).keptBy(t)
	s.poison(t, queues["first"], "1")
	s.poison(t, queues["first"], "2")
	s.poison(t, queues["retry"], "3")
	for _, want := range []string{"2", "0"} {
		got := s.must(t, 202, s.operator, "POST", "/v1/queues/first:redrive", "")
		if diff := cmp.Diff(got, map[string]any{"redriven": json.Number(want)}); diff != "" {
			t.Errorf("redrive (-got +want):\n%s", diff)
		}
	}
	for range 2 {
		if got := queues["first"].Receive(t.Context(), 1, 5*time.Second); len(got) != 1 || got[0].Receives != 1 {
			t.Errorf("received %+v, want a message as if it were new", got)
		}
	}
	if left := s.must(t, 200, s.operator, "GET", "/v1/queues/retry/dead-letters", "")["items"].([]any); len(left) != 1 {
		t.Errorf("of the other queue %d dead letters are left, want 1", len(left))
	}
	if log := s.log.String(); strings.Count(log, "queue.redriven") != 1 || !strings.Contains(log, "messages=2") {
		t.Errorf("logged %s", log)
	}
}

func TestAHostWithoutQueuesListsNone(t *testing.T) {
	s := newSite(t)
	if got := s.must(t, 200, s.operator, "GET", "/v1/queues", ""); len(got["items"].([]any)) != 0 {
		t.Errorf("got %v, want none", got)
	}
	s.must(t, 404, s.operator, "GET", "/v1/queues/first/dead-letters", "")
}

func TestThereIsNoOtherQueue(t *testing.T) {
	s, _ := newSite(t).keptBy(t)
	for _, name := range []string{"second", "FIRST", "first-dead", "fi%72st%00", ":redrive"} {
		s.must(t, 404, s.operator, "GET", "/v1/queues/"+name+"/dead-letters", "")
		if got := s.do(s.operator, "POST", "/v1/queues/"+name+":redrive", ""); got.status != 404 {
			t.Errorf("redrive of %s: got %d %s, want 404", name, got.status, got.body)
		}
	}
}

// slow is a queue that fails after so many dead letters were sent back.
type slow struct {
	moved int
	err   error
	ends  time.Duration // of the request, as the queue is told
}

func (s *slow) Depth(context.Context) (d webhook.QueueDepth, err error)           { return d, s.err }
func (s *slow) DeadLetters(context.Context, int) (l []webhook.Message, err error) { return l, s.err }
func (s *slow) Redrive(ctx context.Context) (int, error) {
	if end, ok := ctx.Deadline(); ok {
		s.ends = time.Until(end)
	}
	return s.moved, s.err
}

func TestARedriveThatIsNotDoneInTimeTellsHowFarItCame(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		name   string
		queue  slow
		status int
		body   map[string]any
	}{
		{"some were left", slow{moved: 40, err: context.DeadlineExceeded}, 202, map[string]any{"redriven": json.Number("40"), "more": true}},
		{"none was moved", slow{err: context.DeadlineExceeded}, 503, nil},
		{"refused on the way", slow{moved: 40, err: errors.New("access denied to arn:aws:sqs")}, 500, nil},
	} {
		got := s.with(func(c *api.Config) { c.Queues.First = &tt.queue }).do(s.operator, "POST", "/v1/queues/first:redrive", "")
		if got.status != tt.status || strings.Contains(got.body, "arn:") {
			t.Errorf("%s: got %d %s, want %d", tt.name, got.status, got.body, tt.status)
		}
		if tt.body != nil {
			if diff := cmp.Diff(object(t, got.body), tt.body); diff != "" {
				t.Errorf("%s (-got +want):\n%s", tt.name, diff)
			}
		}
		if tt.queue.ends <= 0 || tt.queue.ends > 20*time.Second {
			t.Errorf("%s: it may take %v, but API Gateway waits for 30 s only", tt.name, tt.queue.ends)
		}
	}
}

func TestAQueueThatCannotBeReadIsNotTakenForAnEmptyOne(t *testing.T) {
	s := newSite(t).with(func(c *api.Config) { c.Queues.First = &slow{err: errors.New("access denied to arn:aws:sqs")} })
	for _, target := range []string{"/v1/queues", "/v1/queues/first/dead-letters"} {
		if got := s.do(s.operator, "GET", target, ""); got.status != 500 || strings.Contains(got.body, "arn:") {
			t.Errorf("%s: got %d %s, want 500", target, got.status, got.body)
		}
	}
}
