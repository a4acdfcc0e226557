package sqlite

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

// writtenBy leaves in dir the file of an earlier version, with these rows.
func writtenBy(t *testing.T, dir string, version int, rows string) {
	t.Helper()
	names, err := migrations.ReadDir("migrations")
	check(t, err)
	all := fmt.Sprintf("PRAGMA application_id = %#x;\n", appID)
	for _, name := range names[:version] {
		b, err := migrations.ReadFile("migrations/" + name.Name())
		check(t, err)
		all += string(b)
	}
	script(t, dir, all+rows+fmt.Sprintf("PRAGMA user_version = %d;", version))
}

func TestAFileOfTheReleaseBeforeHealthKeepsItsEndpointsAndHealth(t *testing.T) {
	dir := t.TempDir()
	secrets, err := prefixSealer{}.Seal([]byte(`["whsec_c2VjcmV0"]`), "acme")
	check(t, err)
	writtenBy(t, dir, 2, fmt.Sprintf(`
		INSERT INTO endpoints (id, account, url, format, is_default, types, policy, secrets, status, status_reason, created_at, updated_at)
			VALUES ('ep_1', 'acme', 'https://example.com/1', 'standard', 1, '["job.failed"]', '{"timeout_seconds":7}', x'%x', 'enabled', '', 1, 2);
		INSERT INTO health (endpoint, state, since, reason) VALUES ('ep_1', 'failing', 3, 'the receiver answered 500');
		INSERT INTO deliveries (account, id, event_seq, event_id, event_type, kind, job_id, run, sequence, endpoint, url, format, recorded, %s, created_at, expires_at)
			VALUES ('acme', 'dlv_1', 1, 'evt_1', 'job.failed', 'async', 'j1', 1, '1', 'ep_1', '', 'standard', 0, 'held', 'paused', 1, 0, 0, 0, 0, 0, 0, 0, '', 4, 0, 5, 6);`,
		secrets, stateColumns))
	s := open(t, dir, Options{})
	timeout := 7
	want := webhook.Endpoint{
		ID: "ep_1", Account: "acme", URL: "https://example.com/1", Format: "standard", Default: true, Types: []webhook.EventType{webhook.JobFailed},
		Policy: webhook.PolicyPatch{TimeoutSeconds: &timeout}, Secrets: []webhook.Secret{"whsec_c2VjcmV0"}, Status: webhook.EndpointEnabled,
		CreatedAt: time.UnixMicro(1), UpdatedAt: time.UnixMicro(2),
	}
	health := webhook.Health{Endpoint: "ep_1", State: webhook.Failing, Since: time.UnixMicro(3), Reason: "the receiver answered 500", Version: 1}
	list, err := s.Holders(t.Context())
	check(t, err)
	if diff := cmp.Diff(list, []webhook.Holder{{Account: "acme", Endpoint: want, Exists: true, Health: health, Why: "paused"}}); diff != "" {
		t.Errorf("holders (-got +want):\n%s", diff)
	}
	read, err := s.HealthOf(t.Context(), "acme", "ep_1")
	check(t, err)
	next := read
	next.Opens, next.Version = 1, read.Version+1
	check(t, s.SetHealth(t.Context(), "acme", read, next))
}

func TestAFileOfTheReleaseBeforeSessionsKeepsItsStatisticsKeysAndMessages(t *testing.T) {
	dir := t.TempDir()
	latency, hour := webhook.Histogram{2: 3}, time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	stored, err := json.Marshal(latency)
	check(t, err)
	writtenBy(t, dir, 5, fmt.Sprintf(`
		INSERT INTO stats (endpoint, hour, account, delivered, failed, latency) VALUES ('ep_1', %d, 'acme', 2, 1, '%s');
		INSERT INTO keys (id, account, scope, name, hash, created_at, revoked_at) VALUES
			('k1', 'acme', 'account', 'ci', x'01', 1, 0),
			('k2', 'acme', 'account', 'portal session', x'01', 1, 3600000001),
			('k3', 'acme', 'account', 'portal session', x'01', 2, 0),
			('k4', 'acme', 'account', 'portal session', x'01', 3, 7200000003);
		INSERT INTO messages (id, queue, grp, body, sent_at, visible_at, receives, cold) VALUES (1, 'first-dead', 'a', 'poison', 1, 0, 3, 1);`,
		micros(hour), stored))
	s := open(t, dir, Options{})
	want := webhook.Stats{Account: "acme", Endpoint: "ep_1", Hour: hour, Delivered: 2, Failed: 1, Latency: latency}
	hasStats := func(want webhook.Stats) {
		t.Helper()
		list, err := s.Stats(t.Context(), "acme", "ep_1", hour, hour.Add(time.Hour))
		check(t, err)
		if diff := cmp.Diff(list, []webhook.Stats{want}); diff != "" {
			t.Errorf("statistics (-got +want):\n%s", diff)
		}
	}
	hasStats(want)
	more := webhook.Stats{Account: "acme", Endpoint: "ep_1", Hour: hour, Failed: 1, GivenUp: 1, Lag: webhook.Histogram{4: 1}}
	check(t, s.write(t.Context(), func(t *tx) error { return addStats(t.Conn, more) }))
	want.Add(more)
	hasStats(want)
	keys, err := s.Keys(t.Context(), "acme")
	check(t, err)
	key := func(id, name string, made, ends int64) webhook.Key {
		k := webhook.Key{ID: id, Account: "acme", Scope: webhook.ScopeAccount, Name: name, Hash: []byte{1}, CreatedAt: time.UnixMicro(made)}
		if ends > 0 {
			k.RevokedAt = time.UnixMicro(ends)
		}
		return k
	}
	of := []webhook.Key{key("k1", "ci", 1, 0), key("k3", "portal session", 2, 0), key("k4", "portal session", 3, 7200000003)} // no session goes on for ever, or for two hours
	if diff := cmp.Diff(keys, of); diff != "" {
		t.Errorf("keys (-got +want):\n%s", diff)
	}
	opened := key("k2", "portal session", 1, 3600000001)
	opened.Session = true
	if got, err := s.Key(t.Context(), "k2"); err != nil || !cmp.Equal(got, opened) {
		t.Errorf("the session is %+v, %v", got, err)
	}
	depth, err := openQueue(t, s, QueueOptions{Visibility: time.Second, MaxReceives: 3}).Depth(t.Context())
	check(t, err)
	if want := (webhook.QueueDepth{Dead: 1}); depth != want {
		t.Errorf("depth %+v, want %+v", depth, want)
	}
}
