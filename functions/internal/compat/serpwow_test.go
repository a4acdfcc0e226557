package compat_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/compat"
	"github.com/jobhook/jobhook/functions/internal/resend"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// lines are searches number first to last, one a line.
func lines(first, last int) string {
	var b strings.Builder
	for n := first; n <= last; n++ {
		fmt.Fprintf(&b, "{\"q\":\"%d\"}\n", n)
	}
	return b.String()
}

func TestSearchesComeInPagesOfAThousand(t *testing.T) {
	s := newSite(t)
	for _, total := range []int{0, 2345, 5} { // as the record says: nothing, the truth, too few
		id := fmt.Sprintf("PAGES%d", total)
		s.write(fmt.Sprintf(`{"account":"acme","kind":"batch","id":%q,"status":"idle","searches_total":%d}`, id, total))
		folder := files.InputsFolder("acme", job.KindBatch, id)
		s.put(folder+files.Part(1), lines(1, 999))
		s.put(folder+files.Part(2), lines(1000, 2100))
		s.put(folder+files.Part(10), lines(2101, 2345))
		for page, want := range map[int][3]string{1: {"1", "1000", "1000"}, 2: {"1001", "2000", "1000"}, 3: {"2001", "2345", "345"}} {
			body := s.get(acme, fmt.Sprintf("/serpwow/batches/%s/searches/%d", id, page)).mustUnmarshal(t)
			list := body["searches"].([]any)
			first, last := list[0].(map[string]any)["q"], list[len(list)-1].(map[string]any)["q"]
			if got := [3]string{fmt.Sprint(first), fmt.Sprint(last), fmt.Sprint(len(list))}; got != want {
				t.Errorf("total %d, page %d: got %v, want %v", total, page, got, want)
			}
			if body["searches_page_count"] != 3.0 || body["searches_page_current"] != float64(page) {
				t.Errorf("total %d, page %d: got page %v of %v, want of 3", total, page, body["searches_page_current"], body["searches_page_count"])
			}
		}
		if got := s.get(acme, fmt.Sprintf("/serpwow/batches/%s/searches/4", id)); got.status != 404 {
			t.Errorf("total %d: page 4: got %d, want 404", total, got.status)
		}
	}
}

func TestSearchesThatCannotBeReadAreToldToWhoAsksForThem(t *testing.T) {
	s := newSite(t)
	s.write(`{"account":"acme","kind":"batch","id":"BAD","status":"idle"}`)
	folder := files.InputsFolder("acme", job.KindBatch, "BAD")
	s.put(folder+files.Part(1), lines(1, 2)+"nonsense\n")
	got := s.get(acme, "/serpwow/batches/BAD/searches/1")
	if got.status != 400 || !strings.Contains(got.body, "000001.jsonl, line 3") {
		t.Errorf("got %s", got)
	}
	if got := s.get(acme, "/serpwow/batches/BAD"); got.status != 200 || !strings.Contains(got.body, `"searches_total_count":2`) {
		t.Errorf("the batch: got %s", got)
	}
}

// ids are the result sets of a list, in its order.
func (s *site) ids(t *testing.T, batch string) (ids []int) {
	t.Helper()
	for _, r := range s.get(acme, "/serpwow/batches/"+batch+"/results").mustUnmarshal(t)["results"].([]any) {
		ids = append(ids, int(r.(map[string]any)["id"].(float64)))
	}
	return ids
}

func TestResultSetsAreListedTheMostRecentFirst(t *testing.T) {
	s := newSite(t)
	var want []int
	for run := 1; run <= 70; run++ { // more than are read at once
		j := s.write(fmt.Sprintf(`{"account":"acme","kind":"batch","id":"MANY","status":"idle","run":%d,"created_at":"2020-01-01T00:00:00Z"}`, run))
		s.tell(told{j, webhook.ResultSetReady, clockAt(run), job.LevelInfo, fmt.Sprint(run), []webhook.Target{{}}})
		want = append(want, run)
	}
	slices.Reverse(want)
	if diff := cmp.Diff(s.ids(t, "MANY"), want); diff != "" {
		t.Errorf("ids (-got +want):\n%s", diff)
	}
}

func TestAnExpiredResultSetIsGone(t *testing.T) {
	s := newSite(t)
	record := `{"account":"acme","kind":"batch","id":"OLD","status":"idle","run":%d,"created_at":"2019-12-01T00:00:00Z"%s}`
	old := s.write(fmt.Sprintf(record, 1, ""))
	s.tell(told{old, webhook.ResultSetReady, now().Add(-14 * 24 * time.Hour), job.LevelInfo, "1", []webhook.Target{{}}})
	short := s.write(fmt.Sprintf(record, 2, `,"result_set":{"id":2,"token":"t","expires_at":"2020-01-01T23:59:59Z"}`))
	s.tell(told{short, webhook.ResultSetReady, now().Add(-time.Hour), job.LevelInfo, "2", []webhook.Target{{}}})
	last := s.write(fmt.Sprintf(record, 3, ""))
	s.tell(told{last, webhook.ResultSetReady, now().Add(time.Second - 14*24*time.Hour), job.LevelInfo, "3", []webhook.Target{{}}})
	if got := s.ids(t, "OLD"); !slices.Equal(got, []int{3}) {
		t.Errorf("result sets %v, want 3 alone", got)
	}
	for id, want := range map[string]int{"1": 404, "2": 404, "3": 200} {
		if got := s.get(acme, "/serpwow/batches/OLD/results/"+id); got.status != want {
			t.Errorf("result set %s: got %d, want %d", id, got.status, want)
		}
	}
}

func TestABatchWhoseRunsNobodyCountsHasItsResultSets(t *testing.T) {
	s := newSite(t)
	for set := 7; set <= 8; set++ {
		j := s.write(fmt.Sprintf(`{"account":"acme","kind":"batch","id":"FREE","status":"idle","created_at":"2020-01-01T00:00:00Z",
			"result_set":{"id":%d,"files":{"json":{"pages":["https://files.example/%d.json"]}}}}`, set, set))
		s.tell(told{j, webhook.ResultSetReady, clockAt(set), job.LevelInfo, fmt.Sprint(set), []webhook.Target{{}}})
	}
	if got := s.ids(t, "FREE"); !slices.Equal(got, []int{8, 7}) {
		t.Errorf("result sets %v, want 8 and 7", got)
	}
	if got := s.get(acme, "/serpwow/batches/FREE/results/7"); !strings.Contains(got.body, "https://files.example/7.json") {
		t.Errorf("got %s", got)
	}
}

// statusOf is webhook_status of the batch's one result set.
func (s *site) statusOf(t *testing.T, batch string) string {
	t.Helper()
	r := s.get(acme, "/serpwow/batches/"+batch+"/results/1").mustUnmarshal(t)["result"].(map[string]any)
	status, ok := r["webhook_status"].(map[string]any)
	if !ok {
		return ""
	}
	return fmt.Sprint(status["status"], len(status["log"].([]any)))
}

func TestWebhookStatusSumsUpTheDeliveriesInSerpWowsFormat(t *testing.T) {
	s := newSite(t)
	j := s.write(`{"account":"acme","kind":"batch","id":"HOOKS","status":"idle","run":1,"created_at":"2020-01-01T00:00:00Z"}`)
	list := s.tell(told{j, webhook.ResultSetReady, clockAt(1), job.LevelInfo, "1", []webhook.Target{
		toURL("https://a.example/hook", format.SerpWow), toURL("https://b.example/hook", format.SerpWow), toURL("https://c.example/hook", format.Standard)}})
	check := func(want string) {
		t.Helper()
		if got := s.statusOf(t, "HOOKS"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check("pending0")
	s.attempt(list[2], clockAt(2), webhook.StateExhausted, webhook.Result{Status: 500})
	check("pending0")
	s.attempt(list[0], clockAt(2), webhook.StateDelivered, webhook.Result{Status: 204})
	check("pending1")
	d := s.attempt(list[1], clockAt(3), webhook.StateWaiting, webhook.Result{Status: 500})
	check("pending2")
	s.attempt(d, clockAt(33), webhook.StateExhausted, webhook.Result{Status: 500})
	check("failed3")
}

func TestAResendReachesEveryWebhookOfTheResultSet(t *testing.T) {
	s := newSite(t)
	j := s.write(`{"account":"acme","kind":"batch","id":"TWO","status":"idle","run":1,"created_at":"2020-01-01T00:00:00Z"}`)
	for i, d := range s.tell(told{j, webhook.ResultSetReady, clockAt(1), job.LevelInfo, "1", []webhook.Target{
		toURL("https://a.example/hook", format.SerpWow), {Endpoint: "ep_gone", URL: "https://gone.example", Format: format.SerpWow}}}) {
		s.attempt(d, clockAt(2+i), webhook.StateDelivered, webhook.Result{Status: 200})
	}
	target := "/serpwow/batches/TWO/results/1/resendwebhook"
	if got := s.do(acme, "HEAD", target); got.status != 200 || len(s.receiver.asked) != 0 {
		t.Errorf("HEAD: got %s and %d requests, want none", got, len(s.receiver.asked))
	}
	if got := s.get(acme, target); got.status != 200 || len(s.receiver.asked) != 1 {
		t.Errorf("got %s and %d requests, want the one whose endpoint is there", got, len(s.receiver.asked))
	}
	if got := s.statusOf(t, "TWO"); got != "ok3" {
		t.Errorf("webhook_status %s, want the resend in the log", got)
	}
}

// resender answers as it is told to.
type resender struct {
	d       webhook.Delivery
	attempt *webhook.Attempt
	err     error
}

func (r resender) ResendNow(context.Context, webhook.Ref) (webhook.Delivery, *webhook.Attempt, error) {
	return r.d, r.attempt, r.err
}

func TestWhatKeepsAResendFromBeingSentIsTold(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		name   string
		resend resender
		status int
		says   string
	}{
		{"in flight", resender{err: webhook.ErrInFlight}, 400, "an attempt is queued or being made"},
		{"stale", resender{err: fmt.Errorf("delivery: %w", webhook.ErrStale)}, 400, "an attempt is queued or being made"},
		{"no target", resender{err: &resend.NoTargetError{Why: "the endpoint was deleted", Cure: "make a new endpoint"}}, 400, "the endpoint was deleted; make a new endpoint"},
		{"held", resender{d: webhook.Delivery{State: webhook.StateHeld, Reason: webhook.HoldPaused.Because("paused by its owner")}}, 400, "it is held: paused: paused by its owner"},
		{"queued", resender{d: webhook.Delivery{State: webhook.StateQueued, Reason: "resent"}}, 400, "The webhook is queued and will be sent"},
		{"no time", resender{err: fmt.Errorf("delivery: %w", context.DeadlineExceeded)}, 400, "there was no time"},
		{"expired", resender{err: webhook.ErrNotFound}, 404, "Not Found"},
		{"our fault", resender{err: errors.New("disk full")}, 500, "Internal Server Error"},
	} {
		s.with(func(c *compat.Config) { c.Resend = tt.resend })
		got := s.get(acme, "/serpwow/batches/9E867FAA/results/4/resendwebhook")
		if got.status != tt.status || !strings.Contains(got.body, tt.says) || !strings.Contains(got.body, `"success":false`) {
			t.Errorf("%s: got %s", tt.name, got)
		}
	}
}

// crowd answers when so many resends are under way at once.
type crowd struct {
	all  *sync.WaitGroup
	left chan time.Duration // that each of them has
}

func (c crowd) ResendNow(ctx context.Context, _ webhook.Ref) (webhook.Delivery, *webhook.Attempt, error) {
	end, _ := ctx.Deadline()
	c.left <- time.Until(end)
	c.all.Done()
	c.all.Wait()
	return webhook.Delivery{}, &webhook.Attempt{State: webhook.StateDelivered}, nil
}

func TestResendsAreMadeSideBySideWithinTheTimeOfARequest(t *testing.T) {
	s := newSite(t)
	j := s.write(`{"account":"acme","kind":"batch","id":"WIDE","status":"idle","run":1,"created_at":"2020-01-01T00:00:00Z"}`)
	const endpoints = 3
	var targets []webhook.Target
	for n := range endpoints {
		targets = append(targets, toURL(fmt.Sprintf("https://%d.example/hook", n), format.SerpWow))
	}
	s.tell(told{j, webhook.ResultSetReady, clockAt(1), job.LevelInfo, "1", targets})
	c := crowd{&sync.WaitGroup{}, make(chan time.Duration, endpoints)}
	c.all.Add(endpoints)
	s.with(func(config *compat.Config) { config.Resend = c })
	if got := s.get(acme, "/serpwow/batches/WIDE/results/1/resendwebhook"); got.status != 200 {
		t.Errorf("got %s", got)
	}
	for range endpoints {
		if left := <-c.left; left <= 0 || left > 25*time.Second {
			t.Errorf("a resend has %v, want at most 25s", left)
		}
	}
}

// withEndpoint tells of a result set to an endpoint that is waited for so long.
func (s *site) withEndpoint(t *testing.T, batch string, seconds int) {
	t.Helper()
	ep := webhook.Endpoint{ID: "ep_" + batch, Account: "acme", URL: "https://slow.example/hook", Format: format.SerpWow, Default: true, Status: webhook.EndpointEnabled}
	ep.Policy.TimeoutSeconds = &seconds
	if err := s.store.PutEndpoint(t.Context(), ep); err != nil {
		t.Fatal(err)
	}
	j := s.write(fmt.Sprintf(`{"account":"acme","kind":"batch","id":%q,"status":"idle","run":1,"created_at":"2020-01-01T00:00:00Z"}`, batch))
	target := webhook.Target{Endpoint: ep.ID, URL: ep.URL, Format: format.SerpWow}
	d := s.tell(told{j, webhook.ResultSetReady, clockAt(1), job.LevelInfo, "1", []webhook.Target{target}})[0]
	s.attempt(d, clockAt(2), webhook.StateExhausted, webhook.Result{Status: 500})
}

func TestAResendThatMayTakeTooLongIsQueued(t *testing.T) {
	for _, tt := range []struct {
		timeout, status, requests int
		says                      string
	}{
		{5, 200, 1, "resent successfully"},
		{30, 400, 0, "The webhook is queued and will be sent"},
	} {
		s := newSite(t)
		s.withEndpoint(t, "SLOW", tt.timeout)
		got := s.get(acme, "/serpwow/batches/SLOW/results/1/resendwebhook")
		if got.status != tt.status || !strings.Contains(got.body, tt.says) || len(s.receiver.asked) != tt.requests ||
			strings.Contains(got.body, `"success":true`) != (tt.status == 200) {
			t.Errorf("timeout of %d s: got %s and %d requests, want %d", tt.timeout, got, len(s.receiver.asked), tt.requests)
		}
	}
}
