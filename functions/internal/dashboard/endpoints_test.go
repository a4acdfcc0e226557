package dashboard_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// stored is an endpoint as the store has it.
func (s *tested) stored(account, id string) webhook.Endpoint {
	s.t.Helper()
	e, err := s.store.Endpoint(s.t.Context(), account, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// made makes an endpoint by the API.
func (s *tested) made(key, body string) string {
	s.t.Helper()
	got := s.call(key, "POST", "/v1/endpoints", body)
	var e struct{ ID string }
	if json.Unmarshal([]byte(got.body), &e); got.status != http.StatusCreated {
		s.t.Fatalf("make an endpoint: got %d %s", got.status, got.body)
	}
	return e.ID
}

// secretIn is the secret that a page shows, "" for none.
func secretIn(page shown) string {
	return regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`).FindString(page.text())
}

// hiddenIn is the value of a field that a page does not show.
func hiddenIn(t *testing.T, page shown, name string) string {
	t.Helper()
	found := regexp.MustCompile(`<input type="hidden" name="` + name + `" value="([^"]*)">`).FindStringSubmatch(page.body)
	if found == nil {
		t.Fatalf("no hidden %s:\n%s", name, page.body)
	}
	return strings.ReplaceAll(found[1], "&#34;", `"`)
}

func TestNoEndpointsTeachHowToMakeOne(t *testing.T) {
	s := newSite(t)
	got := s.signIn(s.acme).open("/endpoints")
	got.wants(t, "No endpoint yet", "Make one", "curl -X POST 'https://jobhook.example/v1/endpoints'", "New endpoint")
}

func TestEndpointsAreListedWithWhetherTheyAreCalledAndHowTheyAnswer(t *testing.T) {
	s := newSite(t)
	s.made(s.acme, `{"url":"https://a.example/hook","types":["job.failed","job.stopped"],"status":"paused"}`)
	broken := s.made(s.acme, `{"url":"https://b.example/hook","format":"serpwow"}`)
	s.made(s.other, `{"url":"https://stranger.example/hook"}`)
	s.call(s.platform, "PUT", "/v1/accounts/acme", `{"webhook_url":"https://c.example/hook"}`)
	s.breaks("acme", broken)
	got := s.signIn(s.acme).open("/endpoints")
	got.wants(t, "paused https://a.example/hook standard job.failed, job.stopped healthy",
		"enabled https://b.example/hook serpwow the usual failing circuit open",
		"https://c.example/hook the account's URL auto")
	got.lacks(t, "stranger.example", "No endpoint yet")
	if !strings.Contains(got.body, "data-live") || !strings.Contains(got.body, `href="/endpoints/`+broken+`"`) {
		t.Errorf("it does not refresh itself, or leads nowhere:\n%s", got.body)
	}
}

// breaks makes an endpoint failing, with its circuit open.
func (s *tested) breaks(account, id string) {
	s.t.Helper()
	h := webhook.Health{Endpoint: id, State: webhook.Failing, Since: s.now.Add(-time.Hour), Reason: "the receiver answered 503", Version: 1}
	h.Opens, h.OpenUntil = 2, s.now.Add(time.Minute)
	if err := s.store.SetHealth(s.t.Context(), account, webhook.Health{Endpoint: id}, h); err != nil {
		s.t.Fatal(err)
	}
}

func TestAnEndpointIsMadeAndItsSecretShownOnce(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	form := b.open("/endpoints/new")
	got := b.post("/endpoints", "url", "https://a.example/hook", "format", "standard", "signing", "hmac", "types", "job.failed", "types", "job.stopped",
		"timeout", "7", "retries", "5 s, 10 min, 1 h", "rate", "20", "parallel", "8", "headers", "Authorization: Bearer a-secret-of-theirs\r\nX-Team:  7 \r\n",
		"once", hiddenIn(t, form, "once"))
	got.wants(t, "The endpoint is made.", "The secret, shown this once", "how to verify", "Send a test", "https://a.example/hook", "7 s for the whole answer",
		"3, after 5 s, 10 min and 1 h; after any failure", "8 in each process, and at most 20 a second")
	got.lacks(t, "a-secret-of-theirs")
	if got.status != http.StatusOK || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d, Cache-Control %q", got.status, got.header.Get("Cache-Control"))
	}
	list, err := s.store.Endpoints(t.Context(), "acme")
	if err != nil || len(list) != 1 {
		t.Fatalf("%d endpoints, %v", len(list), err)
	}
	e := list[0]
	if secretIn(got) == "" || secretIn(got) != string(e.Secrets[0]) {
		t.Errorf("got the secret %q, want %q", secretIn(got), e.Secrets[0])
	}
	if e.URL != "https://a.example/hook" || e.Format != "standard" || len(e.Types) != 2 || *e.Policy.TimeoutSeconds != 7 || *e.Policy.Rate != 20 ||
		*e.Policy.MaxInFlight != 8 || len(*e.Policy.RetrySeconds) != 3 || (*e.Policy.RetrySeconds)[1] != 600 {
		t.Errorf("got %+v", e)
	}
	if len(e.Headers) != 2 || e.Headers[0].Value != "Bearer a-secret-of-theirs" || e.Headers[1] != (webhook.Header{Name: "X-Team", Value: "7"}) {
		t.Errorf("got headers %v", e.Headers)
	}
	if again := b.open("/endpoints/" + e.ID); secretIn(again) != "" || strings.Contains(again.body, "a-secret-of-theirs") {
		t.Error("the endpoint's page shows a secret")
	}
}

func TestAFormThatIsSentTwiceMakesOneEndpoint(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	once := hiddenIn(t, b.open("/endpoints/new"), "once")
	var secrets []string
	for range 2 {
		secrets = append(secrets, secretIn(b.post("/endpoints", "url", "https://a.example/hook", "format", "standard", "signing", "hmac", "once", once)))
	}
	list, err := s.store.Endpoints(t.Context(), "acme")
	if err != nil || len(list) != 1 || secrets[0] == "" || secrets[0] != secrets[1] {
		t.Errorf("%d endpoints, %v, secrets %q", len(list), err, secrets)
	}
}

func TestEveryFormatShowsItsPolicyBeforeItIsChosen(t *testing.T) {
	s := newSite(t)
	s.signIn(s.acme).open("/endpoints/new").wants(t,
		"standard : our own body", "Jobs of every kind: job.finished, job.failed, job.stopped, result_set.ready",
		"9, after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, each up to 20 % longer; after any failure", "15 s for the whole answer",
		"Batches: result_set.ready", "5 s for the whole answer; then nobody calls that exact URL for 5 min", "5, after 30 s, 1 min, 2 min, 4 min and 8 min",
		"Scraping jobs: job.finished, job.failed, job.stopped", "5, 30 s apart; after any failure",
		"Pipelines: job.progress, job.finished, job.failed, job.stopped", "any answer below 400", "2, 5 s apart; only after 429, 5xx, or no answer",
		"Async jobs: job.finished, job.failed, result_set.ready", "an answer of exactly 200", "none: there is one attempt",
		"auto : the format of each job's own kind", "Pipelines are not: they name their URLs themselves", "Batches: serpwow", "the endpoint is disabled")
}

func TestWhatIsRefusedOfAnEndpointIsSaidAtItsField(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	for _, tt := range []struct{ name, value, at, want string }{
		{"url", "ftp://a.example", "url", `The scheme is "ftp". Use http or https.`},
		{"timeout", "31", "policy.timeout_seconds", "Write a number <= 30."},
		{"timeout", "soon", "policy.timeout_seconds", "It is no whole number. Write digits alone"},
		{"rate", "10001", "policy.rate", ""},
		{"parallel", "0", "policy.max_in_flight", ""},
		{"retries", "5 s, whenever", "policy.retry_seconds", `"whenever" is no wait. Write some such as 5 s, 10 min, 2 h`},
		{"retries", "5 s, 73 h", "policy.retry_seconds", "72"},
		{"retries", "9999999999999999999 h", "policy.retry_seconds", "is no wait"},
		{"headers", "Authorization Bearer abc", "headers", "Line 1 has no name and value."},
		{"headers", "A: 1\nA: 2", "headers", "Line 2 names a header that is there already."},
		{"headers", "Content-Length: 7", "headers", ""},
		{"types", "endpoint.failing", "", "does not send endpoint.failing"},
		{"types", "job.exploded", "", ""},
	} {
		t.Run(tt.name+" "+tt.value, func(t *testing.T) {
			fields := map[string]string{"url": "https://kept.example/hook", "format": "serpwow", "signing": "ed25519", tt.name: tt.value}
			var pairs []string
			for name, value := range fields {
				pairs = append(pairs, name, value)
			}
			got := b.post("/endpoints", pairs...)
			if got.status != http.StatusUnprocessableEntity {
				t.Fatalf("got %d, want 422: %s", got.status, got.text())
			}
			got.wants(t, "The endpoint was not made", tt.want)
			if tt.at != "" && (!strings.Contains(got.body, `aria-describedby="refused-`+tt.at+`"`) || !strings.Contains(got.body, `id="refused-`+tt.at+`" class="wrong"`)) {
				t.Errorf("nothing is said at %s:\n%s", tt.at, got.body)
			}
			for _, kept := range []string{`value="serpwow" checked`, `value="ed25519" selected`} {
				if !strings.Contains(got.body, kept) {
					t.Errorf("what was written is lost: %s", kept)
				}
			}
			if tt.name != "types" && tt.name != "headers" && !strings.Contains(got.body, `value="`+strings.ReplaceAll(tt.value, `"`, "&#34;")+`"`) {
				t.Errorf("%q is lost", tt.value)
			}
		})
	}
	if list, err := s.store.Endpoints(t.Context(), "acme"); err != nil || len(list) != 0 {
		t.Errorf("%d endpoints, %v", len(list), err)
	}
}

func TestAnEndpointSaysWhetherItIsCalledWhyNotAndWhatToDo(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook","headers":{"Authorization":"Bearer 0123456789abcdefg"}}`)
	b := s.signIn(s.acme)
	calm := b.open("/endpoints/" + id)
	calm.wants(t, "https://a.example/hook", "enabled It is called.", "healthy", "closed", "What to do Send a test: nothing was delivered in the last 24 hours", "Authorization: ****defg", "HMAC-SHA256", "No attempt was made", "None yet.")
	calm.lacks(t, "Resume and drain", "Held")

	s.breaks("acme", id)
	for i := range 51 {
		s.putDelivery("acme", func(d *webhook.Delivery) {
			as(webhook.StateHeld, 503, "")(d)
			d.Reason = webhook.HoldTripped.Because("the endpoint failed again and again")
			d.Target, d.Attempts = webhook.Target{Endpoint: id, URL: "https://a.example/hook", Format: "standard"}, i
		})
	}
	s.now = noon()
	got := b.open("/endpoints/" + id)
	got.wants(t, "failing It has been failing for a while", "Reason: the receiver answered 503. Since 2026-03-01 11:00:00", "open It failed so often", "It is tried next: 2026-03-01 12:01:00",
		"Will be disabled 2026-03-06 11:00:00 if no attempt succeeds until then", "Held at least 50 deliveries", "Mend the receiver; resume the endpoint to try at once", "Resume and drain", "All deliveries to this endpoint")
	if n := strings.Count(got.body, `href="/deliveries/dlv_`); n != 10 {
		t.Errorf("%d deliveries are shown, want 10", n)
	}
	if !strings.Contains(got.body, `value="2026-03-01T11:00:00"`) && !strings.Contains(got.body, `value="2026-03-01T11:00"`) {
		t.Errorf("what was missed is not looked for since the endpoint fails:\n%s", got.body)
	}
}

func TestAnEndpointShowsItsLastDay(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook"}`)
	var n webhook.Stats
	n.Account, n.Endpoint, n.Hour, n.Delivered, n.Failed, n.GivenUp = "acme", id, s.now.Add(-3*time.Hour).Truncate(time.Hour), 997, 3, 1
	n.Latency.Observe(20 * time.Millisecond)
	s.counts(n)
	s.signIn(s.acme).open("/endpoints/"+id).wants(t, "997 of 1,000 attempts, 99.7 %", "3, of these the last of their delivery: 1", "Half, at most", "The receiver's answer", "From the event to its delivery - - -")
}

func TestAnEndpointIsPausedWithAReasonAndResumed(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook"}`)
	s.breaks("acme", id)
	b := s.signIn(s.acme)
	if got := b.post("/endpoints/"+id+"/pause", "reason", "moving house"); got.location() != "/endpoints/"+id+"?said=paused" {
		t.Fatalf("got %d %q %s", got.status, got.location(), got.text())
	}
	if e := s.stored("acme", id); e.Status != webhook.EndpointPaused || e.StatusReason != "moving house" {
		t.Errorf("got %s %q", e.Status, e.StatusReason)
	}
	paused := b.open("/endpoints/" + id + "?said=paused")
	paused.wants(t, "The endpoint is paused.", "paused Its owner has paused it", "Reason: moving house", "Resume and drain")
	paused.wants(t, "failing It was failing when it was last called.")
	paused.lacks(t, "Pause the endpoint", "will be disabled")
	if got := b.post("/endpoints/" + id + "/resume"); got.location() != "/endpoints/"+id+"?said=resumed" {
		t.Fatalf("got %d %q %s", got.status, got.location(), got.text())
	}
	h, err := s.store.HealthOf(t.Context(), "acme", id)
	if e := s.stored("acme", id); err != nil || e.Status != webhook.EndpointEnabled || !h.Unknown() {
		t.Errorf("got %s, health %+v, %v", e.Status, h, err)
	}
	if got := b.post("/endpoints/"+id+"/pause", "reason", strings.Repeat("x", 201)); got.status != http.StatusUnprocessableEntity {
		t.Errorf("a long reason: got %d", got.status)
	} else {
		got.wants(t, "It was not paused", "https://a.example/hook")
	}
}

func TestATestShowsWhatWasSentAndWhatCameBack(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook","format":"socialdata","headers":{"Authorization":"Bearer 0123456789abcdefg"}}`)
	b := s.signIn(s.acme)
	s.target.result = webhook.Result{Status: 204, Header: http.Header{"Server": {"<script>alert(1)</script>"}}, Body: []byte(`{"ok":false,"why":"<b>&"}`)}
	got := b.post("/endpoints/" + id + "/test")
	got.wants(t, "it failed 204 No Content", "20 ms in all", "webhook.test", "Webhook-Signature: v1,", "Authorization: ****defg", "Server: <script>alert(1)</script>", `"why": "<b>&"`)
	if strings.Contains(got.body, "<script>alert") || strings.Contains(got.body, "0123456789") {
		t.Error("the page has a script of a stranger, or a credential")
	}
	if s.target.got.URL != "https://a.example/hook" {
		t.Errorf("sent to %q", s.target.got.URL)
	}
	s.target.result = webhook.Result{Status: 200}
	b.post("/endpoints/"+id+"/test").wants(t, "it arrived 200 OK", "Back to the endpoint")
	s.target.result = webhook.Result{Failure: webhook.FailureDNS, Code: "ENOTFOUND", Detail: "no such host"}
	b.post("/endpoints/"+id+"/test").wants(t, "it failed no address: no such host (ENOTFOUND)", "Look for a typing error in the URL", "No answer came.")
	if list, _, err := s.store.Deliveries(t.Context(), webhook.Filter{Account: "acme", Limit: 1}); err != nil || len(list) != 0 {
		t.Errorf("a test left %d deliveries, %v", len(list), err)
	}
}

func TestASecretIsRotatedOnceHoweverOftenTheFormIsSent(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook"}`)
	old := s.stored("acme", id).Secrets[0]
	b := s.signIn(s.acme)
	form := b.open("/endpoints/" + id)
	form.wants(t, "Rotate the secret")
	etag := hiddenIn(t, form, "etag")
	got := b.post("/endpoints/"+id+"/rotate", "etag", etag, "overlap", "3600")
	e := s.stored("acme", id)
	if got.status != http.StatusOK || secretIn(got) != string(e.Secrets[0]) || e.Secrets[0] == old || e.Secrets[1] != old || !e.OldUntil.Equal(s.now.Add(time.Hour)) {
		t.Fatalf("got %d, the secret %q, stored %v until %s", got.status, secretIn(got), e.Secrets, e.OldUntil)
	}
	got.wants(t, "The secret before signs too until 2026-03-01 13:00:00", "shown this once")
	if got.header.Get("Cache-Control") != "no-store" || strings.Contains(got.body, "data-live") {
		t.Error("the page with the secret is kept, or would be loaded anew")
	}
	again := b.post("/endpoints/"+id+"/rotate", "etag", etag, "overlap", "3600")
	if again.status != http.StatusPreconditionFailed || s.stored("acme", id).Secrets[1] != old {
		t.Errorf("sent twice: got %d, the old secret signs: %t", again.status, s.stored("acme", id).Secrets[1] == old)
	}
	again.wants(t, "No secret was made", "you have sent this form twice")
	b.open("/endpoints/"+id).wants(t, "Old secret 2026-03-01 13:00:00 : until then it signs too", "it ends with this")
	s.now = s.now.Add(time.Hour)
	b.open("/endpoints/"+id).lacks(t, "Old secret", "it ends with this")
}

func TestAnEndpointWithAKeyPairShowsThePublicKeyOnly(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	got := b.post("/endpoints", "url", "https://a.example/hook", "format", "standard", "signing", "ed25519")
	got.wants(t, "The public key", "whpk_")
	if strings.Contains(got.body, "whsk_") {
		t.Error("the private key is shown")
	}
	b.post("/endpoints", "url", "https://b.example/hook", "format", "standard", "signing", "none").lacks(t, "shown this once", "The public key", "Rotate the secret")
}

func TestAnEndpointIsDeletedAfterAQuestion(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook"}`)
	b := s.signIn(s.acme)
	b.open("/endpoints/"+id).wants(t, "Delete", "This cannot be undone", "Delete this endpoint for good")
	got := b.post("/endpoints/" + id + "/delete")
	if got.location() != "/endpoints?said=deleted" {
		t.Fatalf("got %d %q", got.status, got.location())
	}
	if list, err := s.store.Endpoints(t.Context(), "acme"); err != nil || len(list) != 0 {
		t.Errorf("%d endpoints, %v", len(list), err)
	}
	b.open("/endpoints?said=deleted").wants(t, "It is deleted.")
}

func TestAnEndpointsPageStaysTheSameUntilSomethingChanges(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook"}`)
	s.breaks("acme", id)
	b := s.signIn(s.acme)
	for _, target := range []string{"/endpoints", "/endpoints/" + id} {
		before := b.open(target)
		s.now = s.now.Add(4 * time.Second)
		if after := b.open(target); before.header.Get("ETag") == "" || after.header.Get("ETag") != before.header.Get("ETag") {
			t.Errorf("%s is another after four seconds", target)
		}
		s.now = s.now.Add(time.Minute) // the circuit is half-open then
		if after := b.open(target); after.header.Get("ETag") == before.header.Get("ETag") {
			t.Errorf("%s does not show that the circuit is tried", target)
		}
		s.now = noon()
	}
}

func TestAnEndpointOfEachKindsOwnFormatShowsThePoliciesOfAll(t *testing.T) {
	s := newSite(t)
	s.call(s.acme, "PATCH", "/v1/accounts/acme", `{"webhook_url":"https://a.example/hook"}`)
	id := s.made(s.acme, `{"url":"https://b.example/hook","format":"serpwow","types":["job.failed"]}`)
	b := s.signIn(s.acme)
	got := b.open("/endpoints/" + s.defaultOf("acme").ID)
	got.wants(t, "The account's URL yes", "Batches: serpwow", "Scraping jobs: webscraper", "Async jobs: socialdata", "It is the account's URL: jobs that name no URL")
	got.lacks(t, "Pipelines: ")
	b.open("/endpoints/"+id).wants(t, "Batches: nothing, as the format sends none of the event types that were chosen")
}

func TestAnEndpointSaysWhatItNeedsWhateverItsHealth(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook"}`)
	b := s.signIn(s.acme)
	count := func(delivered, failed, given int) {
		var n webhook.Stats
		n.Account, n.Endpoint, n.Hour, n.Delivered, n.Failed, n.GivenUp = "acme", id, s.now.Add(-time.Hour).Truncate(time.Hour), delivered, failed, given
		s.counts(n)
	}
	read := func() shown { s.t.Helper(); return b.open("/endpoints/" + id) }
	count(0, 7, 0)
	read().wants(t, "healthy", "All 7 attempts of the last 24 hours failed. Mend the receiver")
	count(3, 0, 0)
	read().wants(t, "What to do Nothing.")
	count(3, 1, 1)
	read().wants(t, "What to do Recover what it missed")
	h := webhook.Health{Endpoint: id, Version: 1}
	h.Opens, h.OpenUntil = 1, s.now.Add(-time.Second)
	if err := s.store.SetHealth(t.Context(), "acme", webhook.Health{Endpoint: id}, h); err != nil {
		t.Fatal(err)
	}
	half := read()
	half.wants(t, "half open", "Wait for the attempt that tries it.", "Held nothing")
	half.lacks(t, "What to do Nothing.")
	s.putDelivery("acme", func(d *webhook.Delivery) {
		as(webhook.StateHeld, 503, "")(d)
		d.Reason, d.Target.Endpoint = webhook.HoldTripped.Because("the endpoint failed again and again"), id
	})
	read().wants(t, "Held 1 delivery ")
}

func TestAnEndpointsPageIsNamedByItsURL(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook"}`)
	b := s.signIn(s.acme)
	b.open("/endpoints/"+id).holds(t, "<h1>https://a.example/hook</h1>")
	if got := b.post("/endpoints/"+id+"/pause", "reason", strings.Repeat("x", 201)); !strings.Contains(got.body, "<title>Refused: https://a.example/hook") {
		t.Errorf("got %s", got.text())
	}
}

func TestEndpointsOfOneURLAreToldApart(t *testing.T) {
	s := newSite(t)
	first, second := s.made(s.acme, `{"url":"https://a.example/hook"}`), s.made(s.acme, `{"url":"https://a.example/hook"}`)
	s.signIn(s.acme).open("/endpoints").wants(t, "https://a.example/hook ("+first+")", "https://a.example/hook ("+second+")")
}

func TestAllThatIsWrongWithAFormIsSaidAtOnceInItsOwnWords(t *testing.T) {
	s := newSite(t)
	got := s.signIn(s.acme).post("/endpoints", "url", "https://a.example/hook", "format", "standard", "signing", "hmac",
		"timeout", "soon", "rate", "10001", "retries", "whenever", "headers", "Authorization Bearer a-secret")
	got.wants(t, "Refused: New endpoint", "Timeout, in seconds : it is no whole number", `Retry after : "whenever" is no wait`, "Headers, one a line : line 1 has no name and value", "Attempts a second : ")
	got.lacks(t, "policy.", "headers :")
	if n := strings.Count(got.text(), "Timeout, in seconds :"); n != 1 {
		t.Errorf("the timeout is complained of %d times", n)
	}
	if list, err := s.store.Endpoints(t.Context(), "acme"); err != nil || len(list) != 0 || got.status != http.StatusUnprocessableEntity {
		t.Errorf("got %d, %d endpoints, %v", got.status, len(list), err)
	}
}

func TestWhatStrangersWriteIsTextOnAnEndpoint(t *testing.T) {
	s := newSite(t)
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>`
	id := s.made(s.acme, `{"url":"https://a.example/'\"><script>alert(1)</script>?javascript:alert(3)"}`)
	s.change(id, func(e *webhook.Endpoint) {
		e.Status, e.StatusReason, e.Format = webhook.EndpointPaused, evil, evil
		e.Types, e.Headers = []webhook.EventType{evil}, []webhook.Header{{Name: evil, Value: "0123456789abcdef" + evil}}
	})
	s.falls(webhook.Health{Endpoint: id, State: webhook.Failing, Since: noon(), Reason: evil})
	s.target.result = webhook.Result{Failure: webhook.Failure(evil), Code: evil, Detail: evil}
	b := s.signIn(s.acme)
	pages := map[string]shown{
		"list": b.open("/endpoints"), "page": b.open("/endpoints/" + id), "form": b.open("/endpoints/" + id + "/edit"), "test": b.post("/endpoints/" + id + "/test"),
		"refused": b.post("/endpoints", "url", evil, "format", evil, "signing", evil, "types", evil, "timeout", evil, "retries", evil, "rate", evil, "headers", evil),
	}
	for name, page := range pages {
		if strings.Contains(page.body, "<script>alert") || strings.Contains(page.body, "<img") || strings.Contains(page.body, `href="https://a.`) {
			t.Errorf("%s: it is no text:\n%s", name, page.body)
		}
	}
	pages["page"].wants(t, "Reason: "+evil)
}

func TestAnothersEndpointIsNotFound(t *testing.T) {
	s := newSite(t)
	id := s.made(s.other, `{"url":"https://stranger.example/hook"}`)
	b := s.signIn(s.acme)
	for _, target := range []string{"/endpoints/" + id, "/endpoints/" + id + "/edit", "/endpoints/" + id + "?account=other", "/endpoints/%2E%2E"} {
		if got := b.get(target); got.status != http.StatusNotFound || strings.Contains(got.body, "stranger.example") {
			t.Errorf("GET %s: got %d", target, got.status)
		}
	}
	for _, action := range []string{"edit", "test", "pause", "resume", "rotate", "delete"} {
		if got := b.post("/endpoints/"+id+"/"+action, "overlap", "0", "url", "https://a.example", "format", "standard"); got.status != http.StatusNotFound {
			t.Errorf("%s: got %d %s", action, got.status, got.location())
		}
	}
	if e := s.stored("other", id); e.Status != webhook.EndpointEnabled || len(e.Secrets) != 1 || s.target.got.URL != "" {
		t.Errorf("it was changed, or called: %+v", e)
	}
}

func TestTheAddressOfAFormLeadsBackToTheEndpoint(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook"}`)
	b := s.signIn(s.acme)
	for _, action := range []string{"test", "pause", "resume", "rotate", "delete"} {
		if got := b.get("/endpoints/" + id + "/" + action); got.location() != "/endpoints/"+id {
			t.Errorf("GET %s: got %d %q", action, got.status, got.location())
		}
	}
	if e := s.stored("acme", id); e.Status != webhook.EndpointEnabled || s.target.got.URL != "" {
		t.Errorf("a GET did something: %+v", e)
	}
}

func TestAPlatformLooksAfterTheEndpointsOfAnAccount(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.platform)
	got := b.post("/endpoints?account=acme", "url", "https://a.example/hook", "format", "standard", "signing", "hmac")
	got.wants(t, "The endpoint is made.", "acme")
	list, err := s.store.Endpoints(t.Context(), "acme")
	if err != nil || len(list) != 1 {
		t.Fatalf("%d endpoints, %v", len(list), err)
	}
	for _, want := range []string{`action="/endpoints/` + list[0].ID + `/test?account=acme"`, `<input type="hidden" name="account" value="acme">`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %s:\n%s", want, got.body)
		}
	}
	if got := b.post("/endpoints/" + list[0].ID + "/pause?account=acme"); got.location() != "/endpoints/"+list[0].ID+"?account=acme&said=paused" {
		t.Errorf("pause: got %d %q", got.status, got.location())
	}
	if got := b.get("/endpoints/" + list[0].ID + "?account=other"); got.status != http.StatusNotFound {
		t.Errorf("as another account's: got %d", got.status)
	}
}
