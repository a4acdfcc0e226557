package deliver_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

// postman answers every request alike and remembers the last.
type postman struct {
	result webhook.Result
	got    webhook.Request
}

func (p *postman) Post(_ context.Context, r webhook.Request) (webhook.Result, webhook.Timing) {
	p.got = r
	return p.result, webhook.Timing{Total: time.Millisecond}
}

func TestATrialIsASignedTestWebhookInEveryFormat(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	secret, old := webhook.NewSecret(), webhook.NewSecret()
	pair, public := webhook.NewKeyPair()
	for _, name := range format.Names() {
		for _, tt := range []struct {
			name    string
			secrets []webhook.Secret
			keys    []string // each alone verifies it
			refused string   // does not
		}{
			{"hmac", []webhook.Secret{secret}, []string{string(secret)}, string(old)},
			{"ed25519", []webhook.Secret{pair}, []string{public}, string(old)},
			{"rotating", []webhook.Secret{pair, old}, []string{public, string(old)}, string(secret)},
		} {
			p := &postman{result: webhook.Result{Status: 200, Body: []byte("thanks")}}
			e := webhook.Endpoint{Account: "acme", URL: "https://a.example/hook", Format: name, Secrets: tt.secrets, OldUntil: now.Add(time.Hour)}
			got := deliver.Try(t.Context(), p, e, "https://jobhook.example", now)
			if !got.Delivered || p.got.URL != e.URL || p.got.ContentType != "application/json" || string(got.Result.Body) != "thanks" {
				t.Errorf("%s, %s: got %+v of %+v", name, tt.name, got, p.got)
			}
			for _, key := range tt.keys {
				if err := webhook.Verify(p.got.Header, []string{key}, now, p.got.Body); err != nil {
					t.Errorf("%s, %s: %v", name, tt.name, err)
				}
			}
			if err := webhook.Verify(p.got.Header, []string{tt.refused}, now, p.got.Body); err == nil {
				t.Errorf("%s, %s: a key that is none of its own verifies it", name, tt.name)
			}
			var body struct{ Type, Timestamp string }
			if err := json.Unmarshal(p.got.Body, &body); err != nil || body.Type != "webhook.test" || body.Timestamp != "2026-03-01T12:00:00.000Z" {
				t.Errorf("%s, %s: body %s", name, tt.name, p.got.Body)
			}
		}
	}
}

func TestATrialIsJudgedByTheEndpointsPolicy(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	long := 30
	for _, tt := range []struct {
		name      string
		e         webhook.Endpoint
		result    webhook.Result
		delivered bool
		timeout   time.Duration
	}{
		{"a success", webhook.Endpoint{Format: "standard"}, webhook.Result{Status: 204}, true, 15 * time.Second},
		{"a failure", webhook.Endpoint{Format: "standard"}, webhook.Result{Status: 500}, false, 15 * time.Second},
		{"no answer", webhook.Endpoint{Format: "standard"}, webhook.Result{Failure: webhook.FailureConnect}, false, 15 * time.Second},
		{"auto is judged as standard", webhook.Endpoint{Format: "auto"}, webhook.Result{Status: 301}, false, 15 * time.Second},
		{"a rule of its own", webhook.Endpoint{Format: "standard", Policy: webhook.PolicyPatch{Success: new(webhook.Success200)}},
			webhook.Result{Status: 204}, false, 15 * time.Second},
		{"a timeout beyond a gateway's", webhook.Endpoint{Format: "standard", Policy: webhook.PolicyPatch{TimeoutSeconds: &long}},
			webhook.Result{Status: 200}, true, 25 * time.Second},
	} {
		p := &postman{result: tt.result}
		got := deliver.Try(t.Context(), p, tt.e, "", now)
		if got.Delivered != tt.delivered || got.Request.Timeout != tt.timeout {
			t.Errorf("%s: delivered %t in %s, want %t in %s", tt.name, got.Delivered, got.Request.Timeout, tt.delivered, tt.timeout)
		}
	}
}

func TestATrialThatCannotBeSignedIsNotSent(t *testing.T) {
	p := &postman{}
	got := deliver.Try(t.Context(), p, webhook.Endpoint{URL: "https://a.example", Secrets: []webhook.Secret{"whsec_?"}}, "", time.Now())
	if got.Delivered || got.Result.Failure != webhook.FailureUnsendable || p.got.URL != "" {
		t.Errorf("got %+v, sent to %q", got.Result, p.got.URL)
	}
	if strings.Contains(got.Result.Detail, "whsec_?") {
		t.Errorf("the secret is in the detail: %s", got.Result.Detail)
	}
}
