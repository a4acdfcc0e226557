package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestFilterWantsWhatItNames(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := webhook.Delivery{
		State: webhook.StateExhausted, Target: webhook.Target{Endpoint: "ep_1"}, JobID: "7", EventID: "evt_1",
		EventType: webhook.JobFinished, CreatedAt: at, LastStatus: 503,
	}
	tests := []struct {
		name   string
		filter webhook.Filter
		want   bool
	}{
		{"nothing", webhook.Filter{}, true},
		{"its state", webhook.Filter{State: webhook.StateExhausted}, true},
		{"another state", webhook.Filter{State: webhook.StateDead}, false},
		{"another endpoint", webhook.Filter{Endpoint: "ep_2"}, false},
		{"another job", webhook.Filter{JobID: "8"}, false},
		{"another event", webhook.Filter{EventID: "evt_2"}, false},
		{"another type", webhook.Filter{Type: webhook.JobFailed}, false},
		{"since its moment", webhook.Filter{Since: at}, true},
		{"since later", webhook.Filter{Since: at.Add(1)}, false},
		{"until its moment", webhook.Filter{Until: at}, false},
		{"until later", webhook.Filter{Until: at.Add(1)}, true},
		{"its class", webhook.Filter{StatusClass: webhook.Class5xx}, true},
		{"another class", webhook.Filter{StatusClass: webhook.Class4xx}, false},
		{"no answer", webhook.Filter{StatusClass: webhook.ClassNoAnswer}, false},
		{"no attempt", webhook.Filter{StatusClass: webhook.ClassNoAttempt}, false},
		{"all of it", webhook.Filter{State: webhook.StateExhausted, Endpoint: "ep_1", JobID: "7", EventID: "evt_1",
			Type: webhook.JobFinished, Since: at, Until: at.Add(1), StatusClass: webhook.Class5xx}, true},
	}
	for _, test := range tests {
		if got := test.filter.Wants(d); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
	d.LastStatus, d.LastFailure = 0, "timeout"
	if f := (webhook.Filter{StatusClass: webhook.ClassNoAnswer}); !f.Wants(d) {
		t.Error("a timeout is no lack of an answer")
	}
	d.LastFailure = ""
	if f := (webhook.Filter{StatusClass: webhook.ClassNoAttempt}); !f.Wants(d) {
		t.Error("what was never attempted has had an attempt")
	}
}

func TestResultSetTokenTellsWhereTheSetIs(t *testing.T) {
	one := webhook.NewResultSetToken("acme", job.KindBatch, "7", 3)
	two := webhook.NewResultSetToken("acme", job.KindBatch, "7", 3)
	if one == two {
		t.Error("two tokens of a run are the same: they can be guessed")
	}
	hash, run, ok := webhook.ParseResultSetToken(one)
	if !ok || run != 3 || len(hash) != 40 || !strings.HasPrefix(two, hash+"-3-") {
		t.Errorf("hash %q, run %d, %t", hash, run, ok)
	}
	if other := webhook.NewResultSetToken("acme2", job.KindBatch, "7", 3); strings.HasPrefix(other, hash) {
		t.Error("another account's job has the same place")
	}
	for _, bad := range []string{"", "x", one + "-1", strings.Replace(one, "-3-", "-03-", 1), strings.Replace(one, "-3-", "--3-", 1), hash + "-3-short", one + strings.Repeat("a", 100)} {
		if _, _, ok := webhook.ParseResultSetToken(bad); ok {
			t.Errorf("%q is taken for a token", bad)
		}
	}
}

func TestAnOldSecretSignsUntilItsTime(t *testing.T) {
	now := time.Now()
	e := webhook.Endpoint{Secrets: []webhook.Secret{"new", "old"}, OldUntil: now}
	if got := e.Signing(now.Add(-1)); len(got) != 2 {
		t.Errorf("%v before, want both", got)
	}
	if got := e.Signing(now); len(got) != 1 || got[0] != "new" {
		t.Errorf("%v then, want the new one", got)
	}
	if got := (webhook.Endpoint{}).Signing(now); len(got) != 0 {
		t.Errorf("%v, want none", got)
	}
}

func TestARevokedKeyWorksUntilThen(t *testing.T) {
	now := time.Now()
	k := webhook.Key{RevokedAt: now}
	if !k.Valid(now.Add(-1)) || k.Valid(now) || !(webhook.Key{}).Valid(now) {
		t.Error("a key is valid before the time from which it is revoked, and for ever without one")
	}
}
