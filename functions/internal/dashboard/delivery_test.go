package dashboard_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// attempts records attempts at a delivery, a minute apart, which change nothing
// of its row.
func (s *tested) attempts(d webhook.Delivery, list ...webhook.Attempt) {
	s.t.Helper()
	for i, a := range list {
		a.Account, a.Delivery, a.URL = d.Account, d.ID, d.Target.URL
		a.Generation = max(a.Generation, 1)
		a.At = s.now.Add(time.Duration(i-len(list)) * time.Minute)
		if a.State == "" {
			a.State, a.Reason = webhook.StateWaiting, a.Result.Summary()
		}
		read := d
		if a.Late { // somebody else was quicker
			read.Attempts++
		}
		next := read
		next.UpdatedAt = a.At
		if err := s.store.Record(s.t.Context(), read, next, &a); err != nil && !errors.Is(err, webhook.ErrStale) {
			s.t.Fatal(err)
		}
	}
}

func TestADeliveryExplainsItself(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://receiver.example/hook")
	d := s.putDelivery("acme", func(d *webhook.Delivery) {
		as(webhook.StateWaiting, 503, "")(d)
		d.Target.Endpoint, d.Attempts, d.NextAt = "ep_a", 2, s.now.Add(5*time.Minute)
	})
	got := s.signIn(s.acme).open("/deliveries/" + d.ID)
	got.wants(t, "Delivery of job.finished", "waiting The last attempt failed; the next one is scheduled.",
		"Why It waits until 2026-03-01 12:05:01 for its next attempt, as the last one failed: the receiver answered 503.",
		"Last answer 503: The receiver broke over it", "Look in the receiver's log", "Next attempt 2026-03-01 12:05:01", "Attempts 2",
		d.JobID, "async, run 1", "ep_a", "webhook-id "+d.EventID, "Resend")
	got.holds(t, `<time datetime="2026-03-01T12:05:01.000Z" data-countdown>`, `data-live`, `href="/events/`+d.EventID+`"`,
		`href="/endpoints/ep_a"`, `href="https://github.com/jobhook/jobhook#when-receivers-fail"`, `action="/deliveries/`+d.ID+`/resend"`)
}

func TestEachStateSaysWhatToDo(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	for _, tt := range []struct {
		state  webhook.State
		reason string
		want   []string
	}{
		{webhook.StateHeld, "paused: by its owner", []string{"the endpoint is paused", "It is sent when the endpoint is resumed.", "Nothing is lost"}},
		{webhook.StateExhausted, "connect: connection refused", []string{"All its attempts failed", "Mend the receiver"}},
		{webhook.StateDead, "the receiver answered 410", []string{"not tried again", "then resend it"}},
		{webhook.StateDeclined, "no target: nobody asked", []string{"no target: nobody asked", "It was never sent", "change what the reason names, then resend it"}},
		{webhook.StateSuperseded, "a newer progress event", []string{"A newer progress event of the same job made it pointless.", "Nothing. It can be resent."}},
		{webhook.StateQueued, "", []string{"its attempt is due", "Nothing: it is a matter of moments."}},
		{webhook.StateDelivered, "", []string{"It was delivered at", "The receiver took it.", "What to do Nothing."}},
	} {
		t.Run(string(tt.state), func(t *testing.T) {
			d := s.putDelivery("acme", func(d *webhook.Delivery) { d.State, d.Reason = tt.state, tt.reason })
			got := b.open("/deliveries/" + d.ID)
			got.wants(t, tt.want...)
			if live := strings.Contains(got.body, "data-live"); live == tt.state.Final() {
				t.Errorf("live: %v", live)
			}
		})
	}
}

func TestAttemptsAreShownNewestFirst(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("acme", as(webhook.StateWaiting, 503, ""))
	s.attempts(d,
		webhook.Attempt{Result: webhook.Result{Status: 503, RetryAfter: 90 * time.Second, Header: http.Header{"X-Why": {"busy"}}, Body: []byte(`{"try":"<b>later</b>"}`)},
			Timing: webhook.Timing{DNS: 1500 * time.Microsecond, Connect: 3 * time.Millisecond, TLS: 12 * time.Millisecond, FirstByte: 40 * time.Millisecond, Total: 60 * time.Millisecond}},
		webhook.Attempt{Result: webhook.Result{Status: 500, Header: http.Header{"A": {"b"}}, Body: []byte{0xff, 0xfe, 'J'}}, Timing: webhook.Timing{FirstByte: 2 * time.Millisecond, Total: 3 * time.Millisecond}},
		webhook.Attempt{Result: webhook.Result{Failure: webhook.FailureConnect, Code: "ECONNREFUSED", Detail: "connection refused"}, Late: true},
		webhook.Attempt{Generation: 3, Result: webhook.Result{Status: 200}, State: webhook.StateDelivered},
	)
	got := s.signIn(s.acme).open("/deliveries/" + d.ID)
	got.wants(t,
		": 200 OK", "Sent as resend 2", "State after it delivered", "Empty.", "Of a success no headers",
		": no connection: connection refused (ECONNREFUSED)", "Nothing took the connection. What to do See that the receiver runs", "another attempt had decided already",
		": 500 Internal Server Error", "Binary, 3 bytes.", "ff fe 4a", "on a connection that was open already",
		": 503 Service Unavailable", "to wait 90 s", "X-Why: busy", `"try": "<b>later</b>"`,
		"60 ms in all: DNS 1.5 ms connect 3.0 ms TLS 12 ms first byte 40 ms rest 3.5 ms",
	)
	var at []int
	for _, heading := range []string{": 200 OK", ": no connection", ": 500 Internal", ": 503 Service"} {
		at = append(at, strings.Index(got.text(), heading))
	}
	for i := range at[1:] {
		if at[i] > at[i+1] {
			t.Errorf("the order is not newest first: %v", at)
		}
	}
	if strings.Contains(got.body, "<b>later") {
		t.Error("a body's tags are tags of the page")
	}
	if !strings.Contains(got.body, `<rect class="c4" x="27.50" y="0" width="66.67" height="10">`) {
		t.Errorf("the bar of the first attempt:\n%s", got.body)
	}
}

func TestWhatRefreshesItselfIsTheSameWhileNothingHappens(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("acme", func(d *webhook.Delivery) {
		as(webhook.StateWaiting, 503, "")(d)
		d.NextAt = s.now.Add(5 * time.Minute)
	})
	s.attempts(d, webhook.Attempt{Result: webhook.Result{Status: 503, Body: []byte("busy")}})
	r := s.putResend(nil)
	b := s.signIn(s.acme)
	for _, target := range []string{"/deliveries", "/deliveries/" + d.ID, "/resends", "/resends/" + r.ID} {
		before := parts(t, b.open(target))
		s.now = s.now.Add(3 * time.Second)
		if diff := cmp.Diff(parts(t, b.open(target)), before); diff != "" {
			t.Errorf("%s (-later +sooner):\n%s", target, diff)
		}
	}
}

// parts are those of a page that refresh themselves, as their sources by their ids.
func parts(t *testing.T, s shown) map[string]string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(s.body))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for n := range root.Descendants() {
		if !slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "data-part" }) {
			continue
		}
		var source strings.Builder
		if err := html.Render(&source, n); err != nil {
			t.Fatal(err)
		}
		found[n.Attr[0].Val] = source.String()
	}
	if len(found) == 0 {
		t.Fatal("no part refreshes itself")
	}
	return found
}

func TestManyAttemptsAreShownOnDemand(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("acme", as(webhook.StateExhausted, 500, ""))
	list := make([]webhook.Attempt, 12)
	for i := range list {
		list[i].Result = webhook.Result{Status: 500, Body: fmt.Appendf(nil, "body %d.", i)}
	}
	s.attempts(d, list...)
	b := s.signIn(s.acme)
	got := b.open("/deliveries/" + d.ID)
	got.wants(t, "body 11.", "body 2.", "Show all 12 attempts")
	got.lacks(t, "body 1.")
	b.open("/deliveries/"+d.ID+"?attempts=all").wants(t, "body 11.", "body 0.")
}

func TestTheRequestIsShownWithItsCurlCommand(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("acme", nil)
	b := s.signIn(s.acme)
	b.open("/deliveries/"+d.ID).holds(t, `href="/deliveries/`+d.ID+`/request"`, "The request, and as curl")
	got := b.open("/deliveries/" + d.ID + "/request")
	got.wants(t, "As it would be sent now, to https://receiver.example/hook", "Content-Type: application/json", `"type": "job.finished"`,
		"curl --globoff", "-H 'Content-Type: application/json'", `--data-raw '{"type":"job.finished",`, "It is not signed", "--url 'https://receiver.example/hook'", "Copy")
	if !strings.Contains(got.body, `data-copy="curl"`) {
		t.Error("nothing copies the command")
	}
}

func TestTheRequestOfASignedDeliverySaysHowLongItsSignatureHolds(t *testing.T) {
	s := newSite(t)
	made := s.call(s.acme, "POST", "/v1/endpoints", `{"url":"https://receiver.example/hook","format":"standard","headers":{"X-Token":"0123456789abcdefgh"}}`)
	_, rest, _ := strings.Cut(made.body, `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	d := s.putDelivery("acme", func(d *webhook.Delivery) { d.Target.Endpoint = id })
	got := s.signIn(s.acme).open("/deliveries/" + d.ID + "/request")
	got.wants(t, "Signed at 2026-03-01 12:00:01", "older than five minutes", "-H 'Webhook-Signature: v1,", "X-Token: ****efgh", "-H 'X-Token: ****efgh'")
	got.lacks(t, "It is not signed", "0123456789")
}

func TestADeliveryWithNowhereToGoHasNoRequest(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("acme", func(d *webhook.Delivery) {
		as(webhook.StateDeclined, 0, "")(d)
		d.Target, d.Reason = webhook.Target{}, "no target: nobody asked"
	})
	b := s.signIn(s.acme)
	b.open("/deliveries/"+d.ID).wants(t, "There is none: There is nowhere to send it.", "Reason: no target: nobody asked.", "Give the account a webhook_url", "Attempts None was made.")
	b.open("/deliveries/"+d.ID+"/request").wants(t, "There is none: There is nowhere to send it.", "Back to the delivery")
	got := b.post("/deliveries/" + d.ID + "/resend")
	if got.status != http.StatusConflict {
		t.Errorf("resend: got %d, want 409", got.status)
	}
	got.wants(t, "Refused: Delivery of job.finished", "It was not sent again : There is nowhere to send it.", "give the account a webhook_url", "Delivery of job.finished")
	if row, err := s.store.Delivery(t.Context(), d.Ref()); err != nil || row.Generation != 1 || len(s.bells.rung) != 0 {
		t.Errorf("generation %d, %d rung, %v: want 1 and none", row.Generation, len(s.bells.rung), err)
	}
}

func TestAResendGoesOutOnceMore(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("acme", as(webhook.StateExhausted, 500, ""))
	b := s.signIn(s.acme)
	got := b.post("/deliveries/" + d.ID + "/resend")
	if got.status != http.StatusSeeOther || got.location() != "/deliveries/"+d.ID+"?said=resent" {
		t.Fatalf("got %d to %s", got.status, got.location())
	}
	b.open(got.location()).wants(t, "It is on its way once more.", "queued", "0 since it was resent, which it was once")
	want := []webhook.Doorbell{{Account: "acme", Delivery: d.ID, Generation: 2}}
	if diff := cmp.Diff(s.bells.rung, want); diff != "" {
		t.Errorf("doorbells (-got +want):\n%s", diff)
	}
	again := b.post("/deliveries/" + d.ID + "/resend")
	if again.status != http.StatusConflict {
		t.Errorf("while it is queued: got %d, want 409", again.status)
	}
	again.wants(t, "It was not sent again : An attempt is queued or being made")
}

func TestWhoPressesResendTwiceSendsOnce(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("acme", as(webhook.StateExhausted, 500, ""))
	b := s.signIn(s.acme)
	form := b.open("/deliveries/"+d.ID).fields(t, "/deliveries/"+d.ID+"/resend")
	for range 2 {
		if got := b.post("/deliveries/"+d.ID+"/resend", form...); got.location() != "/deliveries/"+d.ID+"?said=resent" {
			t.Errorf("got %d %s", got.status, got.text())
		}
	}
	row, err := s.store.Delivery(t.Context(), d.Ref())
	if err != nil || row.Generation != 2 || len(s.bells.rung) != 1 {
		t.Fatalf("generation %d, %d rung, %v: want 2 and 1", row.Generation, len(s.bells.rung), err)
	}
	ended := row
	ended.State = webhook.StateDelivered
	if err := s.store.Record(t.Context(), row, ended, nil); err != nil {
		t.Fatal(err)
	}
	late := b.post("/deliveries/"+d.ID+"/resend", form...) // from a page that was opened before
	late.wants(t, "It was not sent again", "It has been sent again since you opened this page")
	if row, err = s.store.Delivery(t.Context(), d.Ref()); err != nil || late.status != http.StatusConflict || row.Generation != 2 {
		t.Errorf("got %d, generation %d, %v: want 409 and 2", late.status, row.Generation, err)
	}
	if got := b.post("/deliveries/"+d.ID+"/resend", late.fields(t, "/deliveries/"+d.ID+"/resend")...); got.status != http.StatusSeeOther || len(s.bells.rung) != 2 {
		t.Errorf("from the page as it is: got %d, %d rung, want 303 and 2", got.status, len(s.bells.rung))
	}
}

func TestTheAddressOfAResendLeadsBackToTheDelivery(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("acme", as(webhook.StateExhausted, 500, ""))
	if got := s.signIn(s.acme).get("/deliveries/" + d.ID + "/resend"); got.location() != "/deliveries/"+d.ID || len(s.bells.rung) != 0 {
		t.Errorf("got %d to %q, %d rung", got.status, got.location(), len(s.bells.rung))
	}
}

func TestADeliveryIsNotSentToABrowserThatHasItAlready(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://receiver.example/hook","status":"paused"}`) // which signs
	d := s.putDelivery("acme", func(d *webhook.Delivery) {
		as(webhook.StateHeld, 503, "")(d)
		d.Target.Endpoint, d.Reason = id, "paused: by its owner"
	})
	s.attempts(d, webhook.Attempt{Result: webhook.Result{Status: 503, Body: []byte("busy")}})
	b := s.signIn(s.acme)
	tag := b.open("/deliveries/" + d.ID).header.Get("ETag")
	s.now = s.now.Add(90 * time.Second)
	r := httptest.NewRequest("GET", "/deliveries/"+d.ID, nil)
	r.Header.Set("If-None-Match", tag)
	if got := b.do(r); tag == "" || got.status != http.StatusNotModified {
		t.Errorf("got %d for ETag %q, want 304", got.status, tag)
	}
}

func TestEachAttemptShowsItsRequestAsFarAsItIsKnown(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://receiver.example/hook","headers":{"X-Token":"0123456789abcdefgh"}}`)
	d := s.putDelivery("acme", func(d *webhook.Delivery) {
		as(webhook.StateExhausted, 503, "")(d)
		d.Target.Endpoint = id
	})
	s.attempts(d, webhook.Attempt{Result: webhook.Result{Failure: webhook.FailureConnect}}, webhook.Attempt{Result: webhook.Result{Failure: webhook.FailureUnsendable}},
		webhook.Attempt{Result: webhook.Result{Status: 503}})
	b := s.signIn(s.acme)
	got := b.open("/deliveries/" + d.ID)
	last := s.now.Add(-time.Minute).Unix()
	got.wants(t, "Request It did not get as far as the receiver. POST https://receiver.example/hook", "Webhook-Id: "+d.EventID, fmt.Sprintf("Webhook-Timestamp: %d", last), fmt.Sprintf("Webhook-Timestamp: %d", last-120),
		"Content-Type: application/json", "X-Token: ****efgh", `"type": "job.finished"`, "A signature is made for each attempt and not kept.")
	got.lacks(t, "0123456789", "Webhook-Signature", fmt.Sprint(last-60))
	if n := strings.Count(got.text(), "POST https://receiver.example/hook"); n != 2 {
		t.Errorf("%d requests are shown, want 2: of one attempt none was made", n)
	}

	if gone := s.call(s.acme, "DELETE", "/v1/endpoints/"+id, ""); gone.status != http.StatusNoContent {
		t.Fatalf("delete: got %d %s", gone.status, gone.body)
	}
	b.open("/deliveries/"+d.ID).wants(t, "Webhook-Id: "+d.EventID, fmt.Sprintf("Webhook-Timestamp: %d", last), "The body cannot be made any more")
}

func TestNoButtonMovesWithWhatChanges(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://receiver.example/hook"}`)
	s.breaks("acme", id)
	d := s.putDelivery("acme", as(webhook.StateWaiting, 500, ""))
	r := s.putResend(nil)
	b := s.signIn(s.acme)
	for target, parts := range map[string][]string{
		"/deliveries/" + d.ID: {"state", "attempts"}, "/resends/" + r.ID: {"progress"}, "/resends": {"list"}, "/deliveries": {"list"},
		"/endpoints": {"list"}, "/endpoints/" + id: {"status", "numbers", "last"},
	} {
		page := b.open(target)
		for _, part := range parts {
			_, below, found := strings.Cut(page.body, `<div id="`+part+`" data-part>`)
			if below, _, _ = strings.Cut(below, "</main>"); !found || strings.Contains(below, "<button type=\"submit\"") {
				t.Errorf("%s: part %s is not there, or has a button in it or below it", target, part)
			}
		}
	}
}

func TestWhatStrangersWriteIsTextOnADelivery(t *testing.T) {
	s := newSite(t)
	evil := `"'><script>alert(1)</script><img src=x onerror=alert(1)>`
	d := s.putDelivery("acme", func(d *webhook.Delivery) {
		as(webhook.StateDead, 500, "")(d)
		d.Target.URL, d.Reason = "javascript:alert(1)//"+evil, "no"+evil
	})
	s.attempts(d, webhook.Attempt{Reason: evil, State: webhook.StateDead, Result: webhook.Result{Status: 500, Header: http.Header{"X-" + evil: {evil}}, Body: []byte(`{"a":"` + "\x00\x1b" + `"}` + evil)}},
		webhook.Attempt{Result: webhook.Result{Failure: webhook.Failure(evil), Code: evil, Detail: evil}})
	b := s.signIn(s.acme)
	for _, target := range []string{"/deliveries/" + d.ID, "/deliveries", "/deliveries?job=" + url.QueryEscape(evil), "/resends/new?event=" + url.QueryEscape(evil) + "&count=1"} {
		got := b.open(target)
		for _, not := range []string{"<script>alert", "<img", `href="javascript`, `src="javascript`, "\x1b"} {
			if strings.Contains(got.body, not) {
				t.Errorf("%s: the page has %s:\n%s", target, not, got.body)
			}
		}
	}
	b.open("/deliveries/"+d.ID).wants(t, "javascript:alert(1)", "␀␛")
}

func TestAnothersDeliveryIsNotFound(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("other", as(webhook.StateDead, 500, ""))
	b := s.signIn(s.acme)
	for name, got := range map[string]shown{
		"page": b.get("/deliveries/" + d.ID), "with an account": b.get("/deliveries/" + d.ID + "?account=other"),
		"resend": b.post("/deliveries/" + d.ID + "/resend"), "none": b.get("/deliveries/dlv_none"),
	} {
		if got.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", name, got.status)
		}
		got.lacks(t, d.JobID, d.EventID)
	}
	if row, err := s.store.Delivery(t.Context(), d.Ref()); err != nil || row.Generation != 1 {
		t.Errorf("generation %d, %v: want 1", row.Generation, err)
	}
	s.signIn(s.platform).open("/deliveries/"+d.ID+"?account=other").wants(t, "Delivery of job.finished")
}
