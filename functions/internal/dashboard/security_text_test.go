package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// TestWhatTheStoreHoldsIsTextOnEveryPage writes past the API, which refuses much
// of it: a store may be older than a rule, or a platform's own.
func TestWhatTheStoreHoldsIsTextOnEveryPage(t *testing.T) {
	for i, evil := range []string{
		`"><script>x()</script>`, `'><img src=x onerror=x()>`, `</style></title></pre><script>x()</script>`, `javascript:x()`, `//evil.example`,
		"\x00\x01\x1b[31m\x7f\u0085\u202e<script>x()</script>\r\n", "\xff\xfe<script>x()</script>", strings.Repeat("W", 8<<10), `&lt;script&gt;x()`, "2026-03-01T12:00:00Z",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := newSite(t)
			s.poison(s.queued(), evil)
			d := s.plant(evil)
			for name, key := range map[string]string{"account": s.acme, "operator": s.operator} {
				b := s.signIn(key)
				at := map[string]string{"account": "", "operator": "?account=acme"}[name]
				for _, path := range []string{"/", "/jobs", "/events", "/events/" + d.EventID, "/deliveries", "/deliveries/" + d.ID, "/deliveries/" + d.ID + "/request", "/resends", "/resends/" + s.resends("acme")[0].ID, "/resends/new",
					"/endpoints", "/endpoints/ep_evil", "/endpoints/ep_evil/edit", "/settings", "/accounts", "/operator", "/operator/queues/retry"} {
					s.later()
					got := b.get(path + at)
					if got.status != http.StatusOK && got.status != http.StatusForbidden {
						t.Errorf("%s: %s: got %d %s", name, path, got.status, s.log)
					}
					if i < 5 && got.status == http.StatusOK && path != "/" && path != "/jobs" && !strings.HasSuffix(path, "/new") && !strings.HasSuffix(path, "/request") { // these are printable
						got.wants(t, evil)
					}
					leadsHome(t, path, got)
					if strings.Contains(got.body, "<script>x()") || strings.Contains(got.body, "<img") || strings.Contains(got.body, "\x00") || strings.ToValidUTF8(got.body, "") != got.body {
						t.Errorf("%s: %s: something comes as it is", name, path)
					}
				}
			}
		})
	}
}

// plant stores one of everything of acme with a text in all that is free.
func (s *tested) plant(evil string) webhook.Delivery {
	s.t.Helper()
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	ctx := s.t.Context()
	s.putAccount("acme", evil)
	must(s.store.PutEndpoint(ctx, webhook.Endpoint{ID: "ep_evil", Account: "acme", URL: evil, Format: evil, Status: webhook.EndpointPaused, StatusReason: evil, CreatedAt: s.now, UpdatedAt: s.now,
		Headers: []webhook.Header{{Name: evil, Value: evil}}, Types: []webhook.EventType{webhook.EventType(evil)}, Secrets: []webhook.Secret{webhook.Secret("whsec_" + evil)}}))
	h := webhook.Health{Endpoint: "ep_evil", State: webhook.Failing, Since: s.now, Reason: evil, Version: 1}
	h.Opens, h.OpenUntil = 3, s.now.Add(time.Hour)
	must(s.store.SetHealth(ctx, "acme", webhook.Health{Endpoint: "ep_evil"}, h))
	host := webhook.HostHealth{Host: evil, Version: 1}
	host.Opens, host.OpenUntil = 3, s.now.Add(time.Hour)
	must(s.store.SetHost(ctx, webhook.HostHealth{Host: evil}, host))
	_, k := api.MintKey(s.now, webhook.ScopeAccount, "acme", evil)
	must(s.store.PutKey(ctx, k))
	s.putResend(func(r *webhook.Resend) {
		r.Filter = webhook.Filter{Account: "acme", State: webhook.State(evil), Endpoint: evil, JobID: evil, EventID: evil, Type: webhook.EventType(evil), StatusClass: webhook.StatusClass(evil)}
	})
	s.putLedger(webhook.Ledger{Account: "acme", Accepted: 3, Difference: 2, Missing: []string{evil, "dlv_x"}, Stuck: 1})
	s.putLedger(webhook.Ledger{Accepted: 3, Difference: 2, Missing: []string{evil}, Stuck: 1})
	at := s.now.Add(-time.Hour)
	record, err := json.Marshal(map[string]any{"account": "acme", "kind": "async", "id": "x", "status": "success", "run": 1, "name": evil, evil: evil, "message": evil})
	must(err)
	e := webhook.Event{ID: "evt_evil", Type: webhook.EventType(evil), Account: "acme", Kind: job.Kind(evil), JobID: evil, Run: 1, At: at, Level: job.Level(evil), Sequence: "1", Record: record}
	d := webhook.Delivery{Account: "acme", EventID: e.ID, EventType: e.Type, Kind: e.Kind, JobID: evil, Run: 1, Sequence: "1", Target: webhook.Target{Endpoint: "ep_evil", URL: evil, Format: evil},
		State: webhook.StateHeld, Reason: evil, Generation: 1, Attempts: 1, LastFailure: evil, CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(24 * time.Hour)}
	d.ID = webhook.DeliveryID(e.ID, d.Target)
	_, err = s.store.Put(ctx, []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}})
	must(err)
	for i, body := range []string{evil, evil + "\xff", ""} {
		a := webhook.Attempt{Account: "acme", Delivery: d.ID, Generation: 1 + i, At: at.Add(time.Duration(i) * time.Minute), URL: evil, State: webhook.State(evil), Reason: evil,
			Result: webhook.Result{Status: 500 * (i % 2), Failure: webhook.Failure(evil), Code: evil, Detail: evil, Header: http.Header{evil: slices.Repeat([]string{evil}, 2)}, Body: []byte(body)}}
		must(s.store.Record(ctx, d, d, &a))
	}
	return d
}
