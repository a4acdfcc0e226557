package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestANoticeIsOneEventOfEachAccountThatHearsIt(t *testing.T) {
	n := webhook.Notice{Type: webhook.EndpointFailingEvent, Account: "acme", Endpoint: "ep_1", URL: "https://example.com", At: noon, Since: noon, DisabledAt: noon.Add(time.Hour)}
	own, same, operators := n.Event("acme"), n.Event("acme"), n.Event("operator")
	if own.ID != same.ID || own.ID == operators.ID || own.Account != "acme" || operators.Account != "operator" {
		t.Errorf("events %s, %s, %s; want one of the account and another of the operator's", own.ID, same.ID, operators.ID)
	}
	if want := `"disabled_at":"2026-01-01T13:00:00Z"`; !strings.Contains(string(own.Record), want) {
		t.Errorf("record %s, want %s in it", own.Record, want)
	}
	n.Type, n.DisabledAt = webhook.EndpointRecoveredEvent, time.Time{}
	if other := n.Event("acme"); other.ID == own.ID || strings.Contains(string(other.Record), "disabled_at") {
		t.Errorf("event %s with %s, want another, and no time", other.ID, other.Record)
	}
	if n.ID() == (webhook.Notice{Type: n.Type, Account: n.Account, Endpoint: "ep_2", At: n.At}).ID() {
		t.Error("notices of two endpoints have one id")
	}
}

func TestASiteHoldsNoSecretOfItsURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://Example.com/hook/s3cret?token=s3cret#s3cret": "https://example.com",
		"http://example.com:8080/":                            "http://example.com:8080",
		"https://user:s3cret@example.com/":                    "https://example.com",
		"https://[2001:db8::1]:8443/hook":                     "https://[2001:db8::1]:8443",
		"s3cret":                                              "", "": "", "://s3cret": "",
	} {
		if got := webhook.SiteOf(url); got != want {
			t.Errorf("%q: got %q, want %q", url, got, want)
		}
	}
}
