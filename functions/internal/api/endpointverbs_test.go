package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/webhook"
)

// endpoint makes one and returns its path.
func (s *site) endpoint(t testing.TB, body string) (path string, made map[string]any) {
	t.Helper()
	made = s.must(t, 201, s.acme, "POST", "/v1/endpoints", body)
	return "/v1/endpoints/" + made["id"].(string), made
}

// signsWith are the secrets that sign for an endpoint now.
func (s *site) signsWith(t testing.TB, path string) (list []string) {
	t.Helper()
	e, err := s.store.Endpoint(t.Context(), "acme", strings.TrimPrefix(path, "/v1/endpoints/"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range e.Signing(s.clock.now()) {
		if public := secret.Public(); public != "" {
			list = append(list, public)
			continue
		}
		list = append(list, string(secret))
	}
	return list
}

func TestTheOldSecretSignsUntilTheOverlapEnds(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct{ signing, shows string }{{"hmac", "secret"}, {"ed25519", "public_key"}} {
		path, made := s.endpoint(t, `{"url":"https://a.example","signing":"`+tt.signing+`"}`)
		first := made[tt.shows].(string)
		rotated := s.must(t, 200, s.acme, "POST", path+":rotate-secret", "")
		second := rotated[tt.shows].(string)
		if second == first || rotated["signing"] != tt.signing || rotated["old_secret_until"] != stampOf(s.clock.now().Add(24*time.Hour)) {
			t.Errorf("%s: got %v", tt.signing, rotated)
		}
		if diff := cmp.Diff(s.signsWith(t, path), []string{second, first}); diff != "" {
			t.Errorf("%s: signs with (-got +want):\n%s", tt.signing, diff)
		}
		s.clock.move(time.Hour)
		third := s.must(t, 200, s.acme, "POST", path+":rotate-secret", `{"overlap_seconds":60}`)[tt.shows].(string)
		if diff := cmp.Diff(s.signsWith(t, path), []string{third, second}); diff != "" {
			t.Errorf("%s: rotated twice, it signs with (-got +want):\n%s", tt.signing, diff)
		}
		s.clock.move(time.Minute)
		if diff := cmp.Diff(s.signsWith(t, path), []string{third}); diff != "" {
			t.Errorf("%s: after the overlap it signs with (-got +want):\n%s", tt.signing, diff)
		}
		read := s.do(s.acme, "GET", path, "")
		if strings.Contains(read.body, "whsec_") || strings.Contains(read.body, "whsk_") {
			t.Errorf("%s: a secret is shown twice: %s", tt.signing, read.body)
		}
		fourth := s.must(t, 200, s.acme, "POST", path+":rotate-secret", `{"overlap_seconds":0}`)
		if diff := cmp.Diff(s.signsWith(t, path), []string{fourth[tt.shows].(string)}); diff != "" || fourth["old_secret_until"] != nil {
			t.Errorf("%s: without an overlap it signs with (-got +want):\n%s", tt.signing, diff)
		}
	}
}

func TestASecretOfOnesOwnIsTakenForHMACOnly(t *testing.T) {
	s := newSite(t)
	own := "whsec_" + strings.Repeat("QUJD", 8)
	path, _ := s.endpoint(t, `{"url":"https://a.example"}`)
	if got := s.must(t, 200, s.acme, "POST", path+":rotate-secret", `{"secret":"`+own+`"}`); got["secret"] != own || got["old_secret_until"] == nil {
		t.Errorf("got %v", got)
	}
	ed, _ := s.endpoint(t, `{"url":"https://a.example","signing":"ed25519"}`)
	none, _ := s.endpoint(t, `{"url":"https://a.example","signing":"none"}`)
	for _, tt := range []struct {
		path, body string
		status     int
		code       string
	}{
		{ed, `{"secret":"` + own + `"}`, 422, "invalid"},
		{path, `{"secret":"hunter2"}`, 422, "invalid"},
		{path, `{"overlap_seconds":604801}`, 422, "invalid"},
		{path, `{"overlap_seconds":-1}`, 422, "invalid"},
		{none, ``, 409, "unsigned"},
	} {
		before := s.signsWith(t, tt.path)
		got := s.do(s.acme, "POST", tt.path+":rotate-secret", tt.body)
		if got.status != tt.status || got.problem(t).Type != "/problems/"+tt.code {
			t.Errorf("%s: got %d %s, want %d %s", tt.body, got.status, got.body, tt.status, tt.code)
		}
		if diff := cmp.Diff(s.signsWith(t, tt.path), before); diff != "" {
			t.Errorf("%s: the secrets changed (-got +want):\n%s", tt.body, diff)
		}
	}
}

func TestAPatchedSecretEndsARotation(t *testing.T) {
	s := newSite(t)
	path, _ := s.endpoint(t, `{"url":"https://a.example"}`)
	s.must(t, 200, s.acme, "POST", path+":rotate-secret", "")
	got := s.must(t, 200, s.acme, "PATCH", path, `{"signing":"ed25519"}`)
	if diff := cmp.Diff(s.signsWith(t, path), []string{got["public_key"].(string)}); diff != "" || got["old_secret_until"] != nil {
		t.Errorf("signs with (-got +want):\n%s", diff)
	}
}

func TestAnEndpointIsPausedAndResumed(t *testing.T) {
	s := newSite(t)
	path, _ := s.endpoint(t, `{"url":"https://a.example"}`)
	for _, tt := range []struct{ verb, body, status, reason string }{
		{"pause", `{"reason":"moving house"}`, "paused", "moving house"},
		{"pause", "", "paused", "paused by its owner"},
		{"resume", "", "enabled", ""},
		{"resume", "", "enabled", ""},
	} {
		got := s.must(t, 200, s.acme, "POST", path+":"+tt.verb, tt.body)
		reason, _ := got["status_reason"].(string)
		if got["status"] != tt.status || reason != tt.reason || got["secret"] != nil {
			t.Errorf("%s %s: got %v", tt.verb, tt.body, got)
		}
	}
	if err := s.store.Disable(t.Context(), "acme", strings.TrimPrefix(path, "/v1/endpoints/"), "https://a.example", "410"); err != nil {
		t.Fatal(err)
	}
	if got := s.must(t, 200, s.acme, "POST", path+":resume", ""); got["status"] != "enabled" {
		t.Errorf("a disabled one: %v", got)
	}
	if got := s.do(s.acme, "POST", path+":pause", `{"reason":"`+strings.Repeat("x", 201)+`"}`); got.status != 422 {
		t.Errorf("a long reason: got %d, want 422", got.status)
	}
}

func TestATestWebhookShowsWhatWasSentAndWhatCameBack(t *testing.T) {
	s := newSite(t)
	for _, format := range []string{"standard", "auto", "serpwow", "webscraper", "hkube", "socialdata"} {
		path, made := s.endpoint(t, `{"url":"https://a.example/hook","format":"`+format+`","status":"paused"}`)
		s.target.result = webhook.Result{Status: 200, Header: http.Header{"X-Is": {"there"}}, Body: []byte("thanks")}
		got := s.must(t, 200, s.acme, "POST", path+":test", "")
		request := got["request"].(map[string]any)
		response := got["response"].(map[string]any)
		if got["delivered"] != true || got["status"].(interface{ String() string }).String() != "200" || request["url"] != "https://a.example/hook" ||
			response["body"] != "thanks" || got["timing_ms"].(map[string]any)["total"].(interface{ String() string }).String() != "20" {
			t.Errorf("%s: got %v", format, got)
		}
		header := http.Header{}
		for name, values := range request["headers"].(map[string]any) {
			header.Set(name, values.([]any)[0].(string))
		}
		body := request["body"].(string)
		if err := webhook.Verify(header, []string{made["secret"].(string)}, s.clock.now(), []byte(body)); err != nil || !strings.Contains(body, "webhook.test") ||
			header.Get("Content-Type") != "application/json" || body != string(s.target.got.Body) {
			t.Errorf("%s: %v; sent %s with %v", format, err, body, header)
		}
	}
}

func TestWhateverTheReceiverDoesATestWebhookIsAnswered(t *testing.T) {
	s := newSite(t)
	path, _ := s.endpoint(t, `{"url":"https://a.example/hook"}`)
	for _, r := range []webhook.Result{
		{Status: 500, Body: []byte{0xff}},
		{Status: 302, Header: http.Header{"Location": {"/x"}}},
		{Failure: webhook.FailureRefusedAddress, Detail: "the address is private"},
		{Failure: webhook.FailureTimeout, Code: "ETIMEDOUT"},
		{Failure: webhook.FailureOurs, Code: "EMFILE"},
	} {
		s.target.result = r
		got := s.must(t, 200, s.acme, "POST", path+":test", "")
		failure, _ := got["failure"].(string)
		if got["delivered"] != false || failure != string(r.Failure) || (got["response"] != nil) != (r.Status != 0) {
			t.Errorf("%+v: got %v", r, got)
		}
	}
	s = s.with(func(c *api.Config) { c.Sender = nil })
	if got := s.do(s.acme, "POST", path+":test", ""); got.status != 501 || got.problem(t).Type != "/problems/not-implemented" {
		t.Errorf("without a sender: got %d %s, want 501", got.status, got.body)
	}
}

// conditional sends a request with If-Match or If-None-Match.
func (s *site) conditional(method, target, header, value, body string) answer {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+s.acme)
	r.Header.Set(header, value)
	return s.send(r)
}

func TestAChangeOfAnotherStateIsRefused(t *testing.T) {
	s := newSite(t)
	made := s.do(s.acme, "POST", "/v1/endpoints", `{"url":"https://a.example"}`)
	path := "/v1/endpoints/" + object(t, made.body)["id"].(string)
	old := made.header.Get("ETag")
	if read := s.do(s.acme, "GET", path, ""); read.header.Get("ETag") != old || old == "" {
		t.Fatalf("ETag %q when it was made, %q when it is read", old, read.header.Get("ETag"))
	}
	patched := s.conditional("PATCH", path, "If-Match", old, `{"types":["job.failed"]}`)
	current := patched.header.Get("ETag")
	if patched.status != 200 || current == old || current == "" {
		t.Fatalf("got %d, ETag %q after %q: %s", patched.status, current, old, patched.body)
	}
	requests := []struct{ method, target, body string }{
		{"POST", path + ":test", ""}, {"POST", path + ":pause", ""}, {"POST", path + ":resume", ""}, {"POST", path + ":rotate-secret", ""},
		{"PATCH", path, `{"url":"https://b.example"}`}, {"DELETE", path, ""},
	}
	for _, r := range requests {
		for _, tag := range []string{old, "W/" + current, `"none"`, "garbage", `"a", "b"`} {
			got := s.conditional(r.method, r.target, "If-Match", tag, r.body)
			if got.status != 412 || got.problem(t).Type != "/problems/precondition" {
				t.Errorf("%s %s if %s: got %d %s, want 412", r.method, r.target, tag, got.status, got.body)
			}
		}
	}
	for _, r := range requests {
		got := s.conditional(r.method, r.target, "If-Match", `"x", `+current, r.body)
		if got.status >= 300 {
			t.Errorf("%s %s: got %d %s", r.method, r.target, got.status, got.body)
		}
		if tag := got.header.Get("ETag"); tag != "" {
			if tag == current {
				t.Errorf("%s %s: the ETag stayed", r.method, r.target)
			}
			current = tag
		}
	}
	if got := s.do(s.acme, "GET", path, ""); got.status != 404 {
		t.Errorf("it is still there: %d", got.status)
	}
	if got := s.conditional("DELETE", path, "If-Match", "*", ""); got.status != 404 {
		t.Errorf("deleted again: got %d, want 404", got.status)
	}
}

func TestAnEndpointThatStayedAsItIsIsNotSentAgain(t *testing.T) {
	s := newSite(t)
	path, made := s.endpoint(t, `{"url":"https://a.example"}`)
	tag := s.do(s.acme, "GET", path, "").header.Get("ETag")
	for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if got := s.conditional("GET", path, "If-None-Match", known, ""); got.status != 304 || got.body != "" || got.header.Get("ETag") != tag {
			t.Errorf("%s: got %d %q, ETag %s", known, got.status, got.body, got.header.Get("ETag"))
		}
	}
	h := webhook.Health{Endpoint: made["id"].(string), State: webhook.Failing, Since: s.clock.now(), Reason: "500"}
	s.falls(t, h)
	got := s.conditional("GET", path, "If-None-Match", tag, "")
	if got.status != 200 || got.header.Get("ETag") == tag {
		t.Errorf("failing now: got %d %s", got.status, got.body)
	}
	if got := s.conditional("POST", path+":pause", "If-Match", tag, ""); got.status != 200 {
		t.Errorf("its health is none of a writer's concern: got %d %s", got.status, got.body)
	}
}

func TestTheETagOfAnAnswerWithASecretIsThatOfTheNextRead(t *testing.T) {
	s := newSite(t)
	s.clock.move(123456789 * time.Nanosecond) // finer than what is kept
	path, _ := s.endpoint(t, `{"url":"https://a.example","policy":{"retry_seconds":[]},"types":[]}`)
	rotated := s.do(s.acme, "POST", path+":rotate-secret", "")
	read := s.do(s.acme, "GET", path, "")
	if rotated.header.Get("ETag") != read.header.Get("ETag") {
		t.Errorf("got %s, then %s", rotated.header.Get("ETag"), read.header.Get("ETag"))
	}
}
