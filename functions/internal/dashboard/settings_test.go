package dashboard_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// defaultOf is the account's default endpoint; nil for none.
func (s *tested) defaultOf(account string) *webhook.Endpoint {
	s.t.Helper()
	list, err := s.store.Endpoints(s.t.Context(), account)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range list {
		if e.Default {
			return &e
		}
	}
	return nil
}

func TestACustomerSetsTestsAndRemovesHisURL(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	b.open("/settings").wants(t, "No URL is set", "auto: the format of each job's own kind")
	set := b.post("/settings", "webhook_url", "https://a.example/hook", "webhook_format", "auto", "signing", "hmac")
	set.wants(t, "The URL is saved.", "The secret, shown this once", "how to verify")
	e := s.defaultOf("acme")
	if e == nil || e.URL != "https://a.example/hook" || e.Format != "auto" || secretIn(set) != string(e.Secrets[0]) || set.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %q, stored %+v", set.status, secretIn(set), e)
	}
	page := b.open("/settings")
	if secretIn(page) != "" || !strings.Contains(page.body, `value="https://a.example/hook"`) || !strings.Contains(page.body, `action="/endpoints/`+e.ID+`/test"`) {
		t.Errorf("the settings show a secret, or not the URL, or have no test:\n%s", page.body)
	}
	page.wants(t, "enabled healthy", "Send a test", "Remove the URL for good")
	again := b.post("/settings", "webhook_url", "https://a.example/other", "webhook_format", "socialdata", "signing", "hmac")
	if e := s.defaultOf("acme"); again.location() != "/settings?said=saved" || e.URL != "https://a.example/other" || e.Format != "socialdata" {
		t.Errorf("got %d, stored %+v", again.status, e)
	}
	if got := b.post("/settings/remove"); got.location() != "/settings?said=deleted" || s.defaultOf("acme") != nil {
		t.Errorf("got %d, stored %+v", got.status, s.defaultOf("acme"))
	}
	if s.defaultOf("other") != nil {
		t.Error("another account has a URL now")
	}
}

func TestAURLThatIsRefusedStaysInTheForm(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	got := b.post("/settings", "webhook_url", "ftp://a.example", "webhook_format", "hkube", "signing", "none")
	got.wants(t, "Refused: Settings", "The URL was not saved", `The scheme is "ftp". Use http or https.`, "No URL is set")
	if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `value="ftp://a.example"`) || !strings.Contains(got.body, `value="hkube" selected`) || !strings.Contains(got.body, `id="refused-webhook_url"`) {
		t.Errorf("got %d:\n%s", got.status, got.body)
	}
	s.call(s.acme, "PATCH", "/v1/accounts/acme", `{"webhook_url":"https://a.example/hook"}`)
	if got := b.post("/settings", "webhook_url", "", "webhook_format", "auto", "signing", "hmac"); got.status != http.StatusUnprocessableEntity || s.defaultOf("acme") == nil {
		t.Errorf("an empty URL: got %d, stored %v", got.status, s.defaultOf("acme"))
	}
}

func TestSettingsSayWhatTheAccountMayUse(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	b.open("/settings").wants(t, "Deliveries are kept for as your platform has set it", "Endpoints as your platform has set it", "Events as your platform has set it", "as formats and endpoints have them")
	s.call(s.platform, "PUT", "/v1/accounts/acme", `{"quotas":{"endpoints":5,"request_rate":20,"events_per_minute":6000,"retention_days":7,"retries":0}}`)
	b.open("/settings").wants(t, "7 days", "at most 5", "at most 6,000 a minute", "at most 20 a second", "at most 0 after the first attempt")
}

// keyIn is the whole key that a page shows, "" for none.
func keyIn(page shown) string {
	return regexp.MustCompile(`jh_live_[a-z0-9]+_[a-z0-9]+`).FindString(page.text())
}

func TestAKeyIsMadeWithTheKeyThatOneHasAndShownOnce(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	form := b.open("/settings")
	form.wants(t, "your session alone may not make keys")
	once := hiddenIn(t, form, "once")
	got := b.post("/settings/keys", "name", "Nightly <export>", "present", s.acme, "once", once)
	made := keyIn(got)
	if got.status != http.StatusOK || made == "" || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %s", got.status, got.text())
	}
	got.wants(t, "The key, shown this once", "Nightly <export>")
	if strings.Contains(got.body, s.acme) || strings.Contains(got.location(), "jh_live_") {
		t.Error("the key that was typed comes back")
	}
	if works := s.call(made, "GET", "/v1/session", ""); works.status != http.StatusOK || !strings.Contains(works.body, `"account":"acme"`) || !strings.Contains(works.body, `"session":false`) {
		t.Errorf("got %d %s", works.status, works.body)
	}
	if again := keyIn(b.post("/settings/keys", "name", "Nightly <export>", "present", s.acme, "once", once)); again != made {
		t.Error("the form that was sent twice made another key")
	}
	if keyIn(b.open("/settings")) != "" {
		t.Error("the settings show a whole key")
	}
}

func TestAKeyIsMadeByNoOtherKey(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	before, _ := s.store.Keys(t.Context(), "acme")
	for why, key := range map[string]string{
		"this key does not work":                            "jh_live_nonsense",
		"this key is of another account":                    s.other,
		"this key makes no others, as it ends itself":       b.cookie.Value,
		"this key does not work: it is mistyped, was revok": "",
	} {
		got := b.post("/settings/keys", "name", "kept", "present", key)
		got.wants(t, "No key was made", why)
		if got.status != http.StatusUnprocessableEntity || keyIn(got) != "" || !strings.Contains(got.body, `value="kept"`) || !strings.Contains(got.body, `id="refused-present"`) {
			t.Errorf("%s: got %d:\n%s", why, got.status, got.text())
		}
	}
	if after, err := s.store.Keys(t.Context(), "acme"); err != nil || len(after) != len(before) {
		t.Errorf("%d keys, want %d, %v", len(after), len(before), err)
	}
	if got := b.get("/settings"); got.status != http.StatusOK {
		t.Errorf("a wrong key ended the session: got %d", got.status)
	}
}

func TestAKeyIsRevokedWithTheKeyThatOneHas(t *testing.T) {
	s := newSite(t)
	lasting := s.mint(webhook.ScopeAccount, "acme")
	b := s.signIn(lasting)
	id := strings.Split(s.acme, "_")[2]
	b.open("/settings").wants(t, "test jh_live_"+id+"_", "works Revoke", "Whatever uses it is refused at once, for good, and so are the sessions that were opened with it.")
	got := b.post("/settings/keys/"+id+"/revoke", "present", lasting)
	if got.location() != "/settings?said=revoked" {
		t.Fatalf("got %d %s", got.status, got.text())
	}
	if got := s.call(s.acme, "GET", "/v1/endpoints", ""); got.status != http.StatusUnauthorized {
		t.Errorf("the key still works: %d", got.status)
	}
	s.now = s.now.Add(time.Second)
	page := b.open("/settings?said=revoked")
	page.wants(t, "The key no longer works.", "revoked 2026-03-01 12:00:00")
	if strings.Contains(page.body, "/settings/keys/"+id+"/revoke") {
		t.Error("it can be revoked once more")
	}
}

func TestAKeyIsRevokedByNoSession(t *testing.T) {
	s := newSite(t)
	b, id := s.signIn(s.acme), strings.Split(s.acme, "_")[2]
	for why, key := range map[string]string{
		"this key does not work":                            "jh_live_nonsense",
		"this key is of another account":                    s.other,
		"this key revokes no others, as it is a session's":  b.cookie.Value,
		"this key does not work: it is mistyped, was revok": "",
	} {
		got := b.post("/settings/keys/"+id+"/revoke", "present", key)
		got.wants(t, "The key was not revoked", why)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `id="refused-present"`) || !strings.Contains(got.body, `id="revoke-`+id+`" open`) {
			t.Errorf("%s: got %d:\n%s", why, got.status, got.text())
		}
		if key != "" && strings.Contains(got.body, key) {
			t.Errorf("%s: the key that was typed comes back", why)
		}
	}
	if got := s.call(s.acme, "GET", "/v1/endpoints", ""); got.status != http.StatusOK {
		t.Errorf("the key does not work any more: %d", got.status)
	}
}

func TestWhoRevokesTheKeyHeSignedInWithIsSignedOut(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	b.post("/settings/keys/"+strings.Split(s.acme, "_")[2]+"/revoke", "present", s.acme)
	s.now = s.now.Add(time.Second)
	if got := b.get("/settings"); got.status == http.StatusOK || strings.Contains(got.body, "API keys") {
		t.Errorf("got %d %s", got.status, got.text())
	}
}

func TestAnothersKeysAndSettingsAreNotFound(t *testing.T) {
	s := newSite(t)
	s.call(s.other, "PATCH", "/v1/accounts/other", `{"webhook_url":"https://stranger.example/hook"}`)
	b := s.signIn(s.acme)
	theirs := strings.Split(s.other, "_")[2]
	for _, id := range []string{theirs, "nobodys"} {
		if got := b.post("/settings/keys/"+id+"/revoke", "present", s.acme); got.status != http.StatusNotFound {
			t.Errorf("revoke %s: got %d", id, got.status)
		}
	}
	if got := s.call(s.other, "GET", "/v1/endpoints", ""); got.status != http.StatusOK {
		t.Errorf("another's key: got %d", got.status)
	}
	b.open("/settings?account=other").lacks(t, "stranger.example", theirs)
	b.post("/settings?account=other", "webhook_url", "https://mine.example/hook", "webhook_format", "auto", "signing", "hmac")
	if e := s.defaultOf("other"); e == nil || e.URL != "https://stranger.example/hook" {
		t.Errorf("got %+v", e)
	}
}

func TestAPlatformLooksAfterTheSettingsOfAnAccount(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.platform)
	b.post("/settings?account=acme", "webhook_url", "https://a.example/hook", "webhook_format", "auto", "signing", "hmac").wants(t, "The URL is saved.")
	if e := s.defaultOf("acme"); e == nil || e.URL != "https://a.example/hook" {
		t.Errorf("got %+v", e)
	}
	got := b.post("/settings/keys?account=acme", "name", "For them", "present", s.platform)
	if works := s.call(keyIn(got), "GET", "/v1/session", ""); !strings.Contains(works.body, `"scope":"account","account":"acme"`) {
		t.Errorf("got %s %s", got.text(), works.body)
	}
	if got := b.get("/settings"); got.location() != "/accounts" {
		t.Errorf("without an account: got %d to %q", got.status, got.location())
	}
	if got := b.get("/settings?account=nobody"); got.status != http.StatusNotFound {
		t.Errorf("of no account: got %d", got.status)
	}
	if got := b.get("/settings/keys?account=acme"); got.location() != "/settings?account=acme" {
		t.Errorf("the address of the form: got %d %q", got.status, got.location())
	}
}
