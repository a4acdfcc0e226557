package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAnEndpointIsEditedAndWhatTheFormDoesNotShowStays(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook","types":["job.failed"],"headers":{"Authorization":"Bearer 0123456789abcdefg"},
		"policy":{"success":"200","gone_disables":false,"silence_seconds":60,"timeout_seconds":7,"retry_seconds":[90,600,7200]}}`)
	secret := s.stored("acme", id).Secrets[0]
	b := s.signIn(s.acme)
	form := b.open("/endpoints/" + id + "/edit")
	for _, want := range []string{`value="https://a.example/hook"`, `value="job.failed" checked`, `value="7"`, `value="90 s, 10 min, 2 h"`, `value="standard" checked`} {
		if !strings.Contains(form.body, want) {
			t.Errorf("the form has no %s:\n%s", want, form.body)
		}
	}
	form.wants(t, "Authorization: ****defg", "Replace them all")
	got := b.post("/endpoints/"+id+"/edit", "etag", hiddenIn(t, form, "etag"), "url", "https://a.example/other", "format", "standard", "signing", "hmac",
		"timeout", "8", "retries", "none")
	if got.location() != "/endpoints/"+id+"?said=saved" {
		t.Fatalf("got %d %s", got.status, got.text())
	}
	e := s.stored("acme", id)
	if e.URL != "https://a.example/other" || len(e.Types) != 0 || *e.Policy.TimeoutSeconds != 8 || len(*e.Policy.RetrySeconds) != 0 {
		t.Errorf("it was not changed: %+v", e)
	}
	if *e.Policy.Success != webhook.Success200 || *e.Policy.GoneDisables || *e.Policy.SilenceSeconds != 60 || len(e.Headers) != 1 || e.Secrets[0] != secret {
		t.Errorf("what no field shows was changed: %+v", e)
	}
	b.open("/endpoints/"+id).wants(t, "none: there is one attempt", "an answer of exactly 200", "8 s for the whole answer; then nobody calls that exact URL for 1 min")
}

func TestOfTwoEditorsTheSecondIsToldOfTheFirst(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook"}`)
	b := s.signIn(s.acme)
	etag := hiddenIn(t, b.open("/endpoints/"+id+"/edit"), "etag")
	s.call(s.acme, "PATCH", "/v1/endpoints/"+id, `{"url":"https://theirs.example/hook"}`)
	save := func(etag, target string) shown {
		return b.post("/endpoints/"+id+"/edit", "etag", etag, "url", target, "format", "standard", "signing", "hmac")
	}
	invalid := save(etag, "ftp://mine.example") // which must not make it know of the other
	if invalid.status != http.StatusUnprocessableEntity || hiddenIn(t, invalid, "etag") != etag {
		t.Errorf("got %d, ETag %q, want %q", invalid.status, hiddenIn(t, invalid, "etag"), etag)
	}
	got := save(etag, "https://mine.example/hook")
	if got.status != http.StatusPreconditionFailed || s.stored("acme", id).URL != "https://theirs.example/hook" {
		t.Fatalf("got %d, stored %q", got.status, s.stored("acme", id).URL)
	}
	got.wants(t, "Nothing was saved", "Somebody has changed the endpoint since you opened the form", "Open the form anew")
	if !strings.Contains(got.body, `value="https://mine.example/hook"`) {
		t.Error("what was typed is lost")
	}
	if got := save(hiddenIn(t, got, "etag"), "https://mine.example/hook"); got.location() != "/endpoints/"+id+"?said=saved" || s.stored("acme", id).URL != "https://mine.example/hook" {
		t.Errorf("saved once more: got %d, stored %q", got.status, s.stored("acme", id).URL)
	}
}

func TestHeadersAreReplacedOnlyIfThatIsSaid(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook","headers":{"X-Old":"1"}}`)
	b := s.signIn(s.acme)
	save := func(more ...string) shown {
		etag := hiddenIn(t, b.open("/endpoints/"+id+"/edit"), "etag")
		return b.post("/endpoints/"+id+"/edit", append([]string{"etag", etag, "format", "standard", "signing", "hmac"}, more...)...)
	}
	unticked := save("url", "https://a.example/hook", "headers", "X-New: 2")
	unticked.wants(t, "Nothing was saved", "the box above them is not ticked. Tick the box there")
	moved := save("url", "https://elsewhere.example/hook")
	if moved.status != http.StatusUnprocessableEntity {
		t.Errorf("to another server: got %d", moved.status)
	}
	moved.wants(t, "written for another server than that of the new url. Tick the box there")
	if e := s.stored("acme", id); e.URL != "https://a.example/hook" || e.Headers[0].Name != "X-Old" {
		t.Errorf("got %+v", e)
	}
	save("url", "https://elsewhere.example/hook", "headers", "X-New: 2", "replace", "1")
	if e := s.stored("acme", id); e.URL != "https://elsewhere.example/hook" || len(e.Headers) != 1 || e.Headers[0] != (webhook.Header{Name: "X-New", Value: "2"}) {
		t.Errorf("got %+v", e)
	}
	save("url", "https://elsewhere.example/hook", "replace", "1")
	if e := s.stored("acme", id); len(e.Headers) != 0 {
		t.Errorf("got %v", e.Headers)
	}
}

func TestAnotherWayToSignShowsItsSecret(t *testing.T) {
	s := newSite(t)
	id := s.made(s.acme, `{"url":"https://a.example/hook","signing":"none"}`)
	b := s.signIn(s.acme)
	etag := hiddenIn(t, b.open("/endpoints/"+id+"/edit"), "etag")
	got := b.post("/endpoints/"+id+"/edit", "etag", etag, "url", "https://a.example/hook", "format", "standard", "signing", "hmac")
	if secretIn(got) == "" || secretIn(got) != string(s.stored("acme", id).Secrets[0]) {
		t.Errorf("got %d, the secret %q", got.status, secretIn(got))
	}
}
