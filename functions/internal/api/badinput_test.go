package api_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// stored is all that a refused request must leave alone.
func (s *site) stored(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for _, account := range []string{"acme", "other", "zero"} {
		a, _ := s.store.Account(t.Context(), account)
		endpoints, err := s.store.Endpoints(t.Context(), account)
		keys, err2 := s.store.Keys(t.Context(), account)
		jobs, _, err3 := s.store.Jobs(t.Context(), webhook.JobFilter{Account: account, Limit: 100})
		if err != nil || err2 != nil || err3 != nil {
			t.Fatal(err, err2, err3)
		}
		fmt.Fprintf(&b, "%+v\n%+v\n%+v\n", a, endpoints, keys)
		for _, j := range jobs {
			fmt.Fprintf(&b, "%s\n", j.Record)
		}
	}
	fmt.Fprintf(&b, "%d changes", len(s.changes(t)))
	return b.String()
}

func TestBadInputIsRefusedWithFieldAndCureAndChangesNothing(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/waits", `{"account":"acme","kind":"async","status":"pending"}`)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/runs", `{"account":"acme","kind":"async","status":"processing"}`)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/ended", `{"account":"acme","kind":"async","status":"success"}`)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/theirs", `{"account":"other","kind":"async","status":"pending"}`)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/idles", `{"account":"acme","kind":"batch","status":"idle","notification_csv_fields":"a, b.0.c"}`)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/pipe", `{"account":"acme","kind":"pipeline","status":"active"}`)
	ep := "/v1/endpoints/" + s.must(t, 201, s.acme, "POST", "/v1/endpoints", `{"url":"https://a.example"}`)["id"].(string)
	long := "https://a.example/" + strings.Repeat("x", 2048)
	pad := strings.Repeat("x", job.MaxRecordBytes)

	async := func(more string) string { return `{"account":"acme","kind":"async","status":"pending"` + more + `}` }
	batch := func(url string) string {
		return `{"account":"acme","kind":"batch","status":"queued","notification_webhook":"` + url + `"}`
	}
	columns := func(paths string) string {
		return `{"account":"acme","kind":"batch","status":"queued","notification_csv_fields":"` + paths + `"}`
	}
	pipe := func(hooks string) string {
		return `{"account":"acme","kind":"pipeline","status":"active","webhooks":` + hooks + `}`
	}
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
		code, field                string
	}{
		// Job records: what the issue lists.
		{"nested too deep", "PUT", "/v1/jobs/n", async(`,"deep":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), 422, "invalid", ""},
		{"nested too deep, patched", "PATCH", "/v1/jobs/runs", `{"deep":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, 422, "invalid", ""},
		{"a year of five digits", "PUT", "/v1/jobs/n", async(`,"created_at":"9999-12-31T23:59:59-01:00"`), 422, "invalid", "created_at"},
		{"seconds of a far year", "PUT", "/v1/jobs/n", async(`,"created_at":1000000000000`), 422, "invalid", "created_at"},
		{"what we ignore is no JSON", "PUT", "/v1/jobs/n", async(`,"phase":[}`), 400, "malformed", ""},
		{"reserved account", "PUT", "/v1/jobs/n", `{"account":"unknown","kind":"async","status":"pending"}`, 422, "invalid", "account"},
		{"account of a reserved name", "PUT", "/v1/accounts/unknown", `{"name":"x"}`, 422, "invalid", "account"},
		{"impossible port", "PUT", "/v1/jobs/n", batch("https://a.example:99999/"), 422, "invalid", "notification_webhook"},
		{"unknown kind", "PUT", "/v1/jobs/n", `{"account":"acme","kind":"film","status":"pending"}`, 422, "invalid", "kind"},
		{"no kind", "PUT", "/v1/jobs/n", `{"account":"acme","status":"pending"}`, 422, "invalid", "kind"},
		{"status of another kind", "PUT", "/v1/jobs/n", `{"account":"acme","kind":"async","status":"idle"}`, 422, "invalid", "status"},
		{"no status", "PUT", "/v1/jobs/n", `{"account":"acme","kind":"async"}`, 422, "invalid", "status"},
		{"impossible transition", "PUT", "/v1/jobs/runs", async(""), 409, "transition", "status"},
		{"impossible transition, patched", "PATCH", "/v1/jobs/runs", `{"status":"pending"}`, 409, "transition", "status"},
		{"run goes back", "PATCH", "/v1/jobs/runs", `{"run":0}`, 409, "transition", "run"},
		{"new run before the end", "PATCH", "/v1/jobs/runs", `{"run":2}`, 409, "transition", "run"},
		{"reopened without a new run", "PUT", "/v1/jobs/ended", async(""), 409, "transition", "run"},
		{"reopened without a new run, patched", "PATCH", "/v1/jobs/ended", `{"status":"processing"}`, 409, "transition", "run"},
		{"ended otherwise", "PATCH", "/v1/jobs/ended", `{"status":"error"}`, 409, "transition", "status"},
		{"unknown webhook key", "PUT", "/v1/jobs/n", pipe(`{"results":"https://a.example"}`), 422, "invalid", "webhooks.results"},
		{"unknown webhook key, patched", "PATCH", "/v1/jobs/pipe", `{"webhooks":{"results":"https://a.example"}}`, 422, "invalid", "webhooks.results"},
		{"not http", "PUT", "/v1/jobs/n", batch("ftp://a.example"), 422, "invalid", "notification_webhook"},
		{"no URL", "PUT", "/v1/jobs/n", batch("a.example/hook"), 422, "invalid", "notification_webhook"},
		{"no host", "PUT", "/v1/jobs/n", batch("https:///hook"), 422, "invalid", "notification_webhook"},
		{"userinfo", "PUT", "/v1/jobs/n", batch("https://u:p@a.example"), 422, "invalid", "notification_webhook"},
		{"URL too long", "PUT", "/v1/jobs/n", batch(long), 422, "invalid", "notification_webhook"},
		{"private address", "PUT", "/v1/jobs/n", batch("http://10.0.0.1/"), 422, "invalid", "notification_webhook"},
		{"private address under a name in capitals", "PUT", "/v1/jobs/n", `{"account":"acme","kind":"batch","status":"queued","Notification_Webhook":"http://10.0.0.1/"}`, 422, "invalid", "notification_webhook"},
		{"private progress URL", "PUT", "/v1/jobs/n", pipe(`{"progress":"http://10.0.0.1/"}`), 422, "invalid", "webhooks.progress"},
		{"private result URL", "PATCH", "/v1/jobs/pipe", `{"webhooks":{"result":"http://10.0.0.1/"}}`, 422, "invalid", "webhooks.result"},
		{"columns with an empty name", "PUT", "/v1/jobs/n", columns("a,b..c"), 422, "invalid", "notification_csv_fields"},
		{"columns with an empty path", "PUT", "/v1/jobs/n", columns("a,,b"), 422, "invalid", "notification_csv_fields"},
		{"columns under a name in capitals", "PUT", "/v1/jobs/n", strings.Replace(columns(".a"), "notification_csv", "Notification_CSV", 1), 422, "invalid", "notification_csv_fields"},
		{"columns with an empty name, patched", "PATCH", "/v1/jobs/idles", `{"notification_csv_fields":"a."}`, 422, "invalid", "notification_csv_fields"},
		{"a subject that is a number", "PUT", "/v1/jobs/n", async(`,"subject":17`), 422, "invalid", "subject"},
		{"a list of subjects", "PUT", "/v1/jobs/n", async(`,"subject":["17"]`), 422, "invalid", "subject"},
		{"a subject that is too long", "PUT", "/v1/jobs/n", async(`,"subject":"` + pad[:257] + `"`), 422, "invalid", "subject"},
		{"a subject of too many bytes", "PUT", "/v1/jobs/n", async(`,"subject":"` + strings.Repeat("é", 129) + `"`), 422, "invalid", "subject"},
		{"a subject that is an object, patched", "PATCH", "/v1/jobs/waits", `{"subject":{"id":"17"}}`, 422, "invalid", "subject"},
		{"a subject that is too long, patched", "PATCH", "/v1/jobs/waits", `{"subject":"` + pad[:257] + `"}`, 422, "invalid", "subject"},
		{"oversize body", "PUT", "/v1/jobs/n", async(`,"x":"` + pad + `"`), 413, "too-large", ""},
		{"oversize with what is added", "PUT", "/v1/jobs/n", async(`,"x":"` + pad[:job.MaxRecordBytes-80] + `"`), 413, "too-large", ""},
		{"oversize once patched", "PATCH", "/v1/jobs/waits", `{"x":"` + pad[:job.MaxRecordBytes-80] + `"}`, 413, "too-large", ""},
		{"longer than leaves room for what Jobhook adds", "PUT", "/v1/jobs/n", async(`,"x":"` + pad[:job.MaxRecordBytes-1024-150] + `"`), 413, "too-large", ""},
		{"longer than leaves room, once patched", "PATCH", "/v1/jobs/waits", `{"x":"` + pad[:job.MaxRecordBytes-1024-150] + `"}`, 413, "too-large", ""},
		{"id of another account", "PUT", "/v1/jobs/theirs", async(""), 409, "taken", "id"},
		{"wrong type of status", "PUT", "/v1/jobs/n", `{"account":"acme","kind":"async","status":5}`, 422, "invalid", "status"},
		{"wrong type of run", "PUT", "/v1/jobs/n", async(`,"run":"1"`), 422, "invalid", "run"},
		{"run with a fraction", "PUT", "/v1/jobs/n", async(`,"run":1.5`), 422, "invalid", "run"},
		{"negative run", "PUT", "/v1/jobs/n", async(`,"run":-1`), 422, "invalid", "run"},
		{"wrong type of a vendor's attribute", "PUT", "/v1/jobs/n", async(`,"message":[1]`), 422, "invalid", "message"},
		{"wrong type of a hook", "PUT", "/v1/jobs/n", batch(`","notification_as_json":"yes`), 422, "invalid", "notification_as_json"},
		{"wrong type, nested", "PUT", "/v1/jobs/n", pipe(`{"progress":5}`), 422, "invalid", "webhooks.progress"},
		{"no time", "PUT", "/v1/jobs/n", async(`,"created_at":"yesterday"`), 422, "invalid", "created_at"},

		// Job records: what else goes wrong.
		{"no account", "PUT", "/v1/jobs/n", `{"kind":"async","status":"pending"}`, 422, "invalid", "account"},
		{"account that is no id", "PUT", "/v1/jobs/n", `{"account":"a b","kind":"async","status":"pending"}`, 422, "invalid", "account"},
		{"path that is no id", "PUT", "/v1/jobs/a%20b", async(""), 422, "invalid", "id"},
		{"path that is no UTF-8", "PUT", "/v1/jobs/%ff", async(""), 422, "invalid", "id"},
		{"id too long", "PUT", "/v1/jobs/" + strings.Repeat("x", 257), async(""), 422, "invalid", "id"},
		{"another id in the body", "PUT", "/v1/jobs/n", async(`,"id":"m"`), 422, "invalid", "id"},
		{"another creation time", "PUT", "/v1/jobs/waits", async(`,"created_at":"2020-01-01T00:00:00Z"`), 422, "invalid", "created_at"},
		{"account patched", "PATCH", "/v1/jobs/waits", `{"account":"other"}`, 422, "invalid", "account"},
		{"kind patched", "PATCH", "/v1/jobs/waits", `{"kind":"batch"}`, 422, "invalid", "kind"},
		{"id patched", "PATCH", "/v1/jobs/waits", `{"id":"m"}`, 422, "invalid", "id"},
		{"id removed", "PATCH", "/v1/jobs/waits", `{"id":null}`, 422, "invalid", "id"},
		{"creation time patched", "PATCH", "/v1/jobs/waits", `{"created_at":"2020-01-01T00:00:00Z"}`, 422, "invalid", "created_at"},
		{"status removed", "PATCH", "/v1/jobs/waits", `{"status":null}`, 422, "invalid", "status"},
		{"another account in capitals", "PUT", "/v1/jobs/n", async(`,"ACCOUNT":"other"`), 422, "invalid", "ACCOUNT"},
		{"status with a long s", "PUT", "/v1/jobs/n", async(`,"ſtatus":"success"`), 422, "invalid", "ſtatus"},
		{"account escaped and twice", "PUT", "/v1/jobs/n", async(`,"\u0061ccount":"other"`), 422, "invalid", "account"},
		{"attribute twice", "PUT", "/v1/jobs/n", async(`,"x":1,"x":2`), 422, "invalid", "x"},
		{"no such job", "PATCH", "/v1/jobs/n", `{"status":"pending"}`, 404, "not-found", "-"},
		{"not of that kind", "PATCH", "/v1/jobs/waits?kind=batch", `{"status":"queued"}`, 404, "not-found", "-"},
		{"patch of an unknown kind", "PATCH", "/v1/jobs/waits?kind=film", `{}`, 422, "invalid", "kind"},
		{"empty body", "PUT", "/v1/jobs/n", "", 400, "malformed", ""},
		{"no JSON", "PUT", "/v1/jobs/n", "kind=async", 400, "malformed", ""},
		{"a list", "PUT", "/v1/jobs/n", "[]", 400, "malformed", ""},
		{"half an object", "PUT", "/v1/jobs/n", `{"kind":"async"`, 400, "malformed", ""},
		{"two objects", "PUT", "/v1/jobs/n", async("") + "{}", 400, "malformed", ""},
		{"broken inside", "PUT", "/v1/jobs/n", async(`,"x":[1,}]`), 400, "malformed", ""},
		{"no UTF-8", "PUT", "/v1/jobs/n", async(",\"x\":\"\xff\""), 400, "malformed", ""},
		{"broken inside, patched", "PATCH", "/v1/jobs/waits", `{"x":[1,}]}`, 400, "malformed", ""},
		{"a string, patched", "PATCH", "/v1/jobs/waits", `"x"`, 400, "malformed", ""},

		// Accounts and endpoints.
		{"unknown field", "PUT", "/v1/accounts/zero", `{"webhok_url":"https://a.example"}`, 422, "invalid", "webhok_url"},
		{"wrong type", "PUT", "/v1/accounts/zero", `{"name":5}`, 422, "invalid", "name"},
		{"bad account id", "PUT", "/v1/accounts/a%20b", `{}`, 422, "invalid", "account"},
		{"bad URL", "PUT", "/v1/accounts/zero", `{"webhook_url":"gopher://a"}`, 422, "invalid", "webhook_url"},
		{"private URL", "PUT", "/v1/accounts/zero", `{"webhook_url":"http://10.1.1.1"}`, 422, "invalid", "webhook_url"},
		{"unknown format", "PUT", "/v1/accounts/zero", `{"webhook_url":"https://a.example","webhook_format":"xml"}`, 422, "invalid", "webhook_format"},
		{"signing without a URL", "PUT", "/v1/accounts/zero", `{"signing":"hmac"}`, 422, "invalid", "signing"},
		{"broken account", "PUT", "/v1/accounts/zero", `{`, 400, "malformed", ""},
		{"oversize account", "PUT", "/v1/accounts/zero", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "too-large", ""},
		{"no URL for an endpoint", "POST", "/v1/endpoints?account=acme", `{}`, 422, "invalid", "url"},
		{"endpoint of no account", "POST", "/v1/endpoints", `{"url":"https://a.example"}`, 422, "invalid", "account"},
		{"endpoint of an unknown account", "POST", "/v1/endpoints?account=zero", `{"url":"https://a.example"}`, 404, "not-found", "-"},
		{"userinfo of an endpoint", "POST", "/v1/endpoints?account=acme", `{"url":"https://u@a.example"}`, 422, "invalid", "url"},
		{"unknown type", "POST", "/v1/endpoints?account=acme", `{"url":"https://a.example","types":["job.exploded"]}`, 422, "invalid", "types[0]"},
		{"a type twice", "POST", "/v1/endpoints?account=acme", `{"url":"https://a.example","types":["job.failed","job.failed"]}`, 422, "invalid", "types[1]"},
		{"a type twice, patched", "PATCH", ep + "?account=acme", `{"types":["job.failed","job.failed"]}`, 422, "invalid", "types[1]"},
		{"lists for types", "POST", "/v1/endpoints?account=acme", `{"url":"https://a.example","types":[[1],[1]]}`, 422, "invalid", "types[0]"},
		{"objects for types, patched", "PATCH", ep + "?account=acme", `{"types":[{},{}]}`, 422, "invalid", "types[0]"},
		{"wait too short", "POST", "/v1/endpoints?account=acme", `{"url":"https://a.example","policy":{"retry_seconds":[0]}}`, 422, "invalid", "policy.retry_seconds"},
		{"timeout too long", "PATCH", ep + "?account=acme", `{"policy":{"timeout_seconds":31}}`, 422, "invalid", "policy.timeout_seconds"},
		{"rate too high", "PATCH", ep + "?account=acme", `{"policy":{"rate":10001}}`, 422, "invalid", "policy.rate"},
		{"rate below none", "POST", "/v1/endpoints?account=acme", `{"url":"https://a.example","policy":{"rate":-1}}`, 422, "invalid", "policy.rate"},
		{"no attempts in flight", "POST", "/v1/endpoints?account=acme", `{"url":"https://a.example","policy":{"max_in_flight":0}}`, 422, "invalid", "policy.max_in_flight"},
		{"too many in flight", "PATCH", ep + "?account=acme", `{"policy":{"max_in_flight":1001}}`, 422, "invalid", "policy.max_in_flight"},
		{"endpoints told of in a format without words for them", "POST", "/v1/endpoints?account=acme", `{"url":"https://a.example","format":"hkube","types":["job.failed","endpoint.failing"]}`, 422, "invalid", "types[1]"},
		{"endpoints told of in a format without words for them, patched", "PATCH", ep + "?account=acme", `{"format":"serpwow","types":["endpoint.recovered"]}`, 422, "invalid", "types[0]"},
		{"a header that is ours", "POST", "/v1/endpoints?account=acme", `{"url":"https://a.example","headers":{"webhook-id":"1"}}`, 422, "invalid", "headers.webhook-id"},
		{"a header that is HTTP's, patched", "PATCH", ep + "?account=acme", `{"headers":{"transfer-encoding":"chunked"}}`, 422, "invalid", "headers.transfer-encoding"},
		{"a header with a line of its own", "PATCH", ep + "?account=acme", `{"headers":{"X-A":"1\r\nX-Evil: 1"}}`, 422, "invalid", "headers.X-A"},
		{"a header's name with a line", "PATCH", ep + "?account=acme", `{"headers":{"X-A\r\nX-Evil":"1"}}`, 422, "invalid", "headers.X-A\r\nX-Evil"},
		{"a whole header as its name", "PATCH", ep + "?account=acme", `{"headers":{"Authorization: Bearer x":""}}`, 422, "invalid", "headers"},
		{"a header twice", "PATCH", ep + "?account=acme", `{"headers":{"X-A":"1","x-a":"2"}}`, 422, "invalid", "headers.x-a"},
		{"a header without a value", "PATCH", ep + "?account=acme", `{"headers":{"X-A":""}}`, 422, "invalid", "headers.X-A"},
		{"a header's mask", "PATCH", ep + "?account=acme", `{"headers":{"X-A":"****1234"}}`, 422, "invalid", "headers.X-A"},
		{"a header of numbers", "PATCH", ep + "?account=acme", `{"headers":{"X-A":5}}`, 422, "invalid", "headers.X-A"},
		{"a list of headers", "PATCH", ep + "?account=acme", `{"headers":["X-A"]}`, 422, "invalid", "headers"},
		{"eleven headers", "PATCH", ep + "?account=acme", `{"headers":{"A":"1","B":"1","C":"1","D":"1","E":"1","F":"1","G":"1","H":"1","I":"1","J":"1","K":"1"}}`, 422, "invalid", "headers"},
		{"unknown policy", "PATCH", ep + "?account=acme", `{"policy":{"retries":3}}`, 422, "invalid", "policy.retries"},
		{"no secret", "PATCH", ep + "?account=acme", `{"secret":"hunter2"}`, 422, "invalid", "secret"},
		{"an empty secret", "POST", "/v1/endpoints?account=acme", `{"url":"https://a.example","secret":""}`, 422, "invalid", "secret"},
		{"an empty secret, patched", "PATCH", ep + "?account=acme", `{"secret":""}`, 422, "invalid", "secret"},
		{"a private key as the secret", "PATCH", ep + "?account=acme", `{"secret":"whsk_AAAA"}`, 422, "invalid", "secret"},
		{"a secret for ed25519", "POST", "/v1/endpoints?account=acme", `{"url":"https://a.example","signing":"ed25519","secret":"whsec_` + strings.Repeat("A", 32) + `"}`, 422, "invalid", "secret"},
		{"unknown status", "PATCH", ep + "?account=acme", `{"status":"asleep"}`, 422, "invalid", "status"},
		{"private URL, patched", "PATCH", ep + "?account=acme", `{"url":"http://10.0.0.1"}`, 422, "invalid", "url"},
		{"unknown scope", "POST", "/v1/accounts/acme/keys", `{"scope":"root"}`, 422, "invalid", "scope"},
		{"key of an unknown account", "POST", "/v1/accounts/zero/keys", `{}`, 404, "not-found", "-"},

		// Lists.
		{"limit too large", "GET", "/v1/jobs?account=acme&limit=251", "", 422, "invalid", "limit"},
		{"limit zero", "GET", "/v1/deliveries?account=acme&limit=0", "", 422, "invalid", "limit"},
		{"limit no number", "GET", "/v1/deliveries?account=acme&limit=many", "", 422, "invalid", "limit"},
		{"no account to list", "GET", "/v1/jobs", "", 422, "invalid", "account"},
		{"garbage cursor of jobs", "GET", "/v1/jobs?account=acme&after=zzz", "", 422, "invalid", "after"},
		{"garbage cursor of deliveries", "GET", "/v1/deliveries?account=acme&after=zzz", "", 422, "invalid", "after"},
		{"unknown state", "GET", "/v1/deliveries?account=acme&state=lost", "", 422, "invalid", "state"},
		{"unknown status word", "GET", "/v1/jobs?account=acme&status=lost", "", 422, "invalid", "status"},
		{"status of another kind to list", "GET", "/v1/jobs?account=acme&kind=batch&status=success", "", 422, "invalid", "status"},
		{"unknown parameter", "GET", "/v1/jobs?account=acme&stauts=pending", "", 422, "invalid", "stauts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := s.stored(t)
			got := s.do(s.platform, tt.method, tt.target, tt.body)
			p := got.problem(t)
			if got.status != tt.status || p.Type != "/problems/"+tt.code {
				t.Errorf("got %d %s, want %d %s: %.500s", got.status, p.Type, tt.status, tt.code, got.body)
			}
			names := func(e string) bool { return e == tt.field }
			var fields []string
			for _, e := range p.Errors {
				fields = append(fields, e.Field)
			}
			if tt.field != "-" && !slices.ContainsFunc(fields, names) {
				t.Errorf("fields %q, want %q: %s", fields, tt.field, got.body)
			}
			if diff := cmp.Diff(s.stored(t), before); diff != "" {
				t.Errorf("what is stored changed (-got +want):\n%s", diff)
			}
		})
	}
}

func TestABodyThatSaysItIsSomethingElseIsRefused(t *testing.T) {
	s := newSite(t)
	for contentType, want := range map[string]int{
		"application/x-www-form-urlencoded": 415, "text/plain": 415, "text/json": 415,
		"": 201, "application/json; charset=utf-8": 201, "Application/Merge-Patch+JSON": 201,
	} {
		r := httptest.NewRequest("PUT", fmt.Sprintf("/v1/jobs/%d", len(contentType)), strings.NewReader(`{"account":"acme","kind":"async","status":"pending"}`))
		r.Header.Set("Authorization", "Bearer "+s.platform)
		r.Header.Set("Content-Type", contentType)
		if got := s.send(r); got.status != want {
			t.Errorf("%q: got %d %s, want %d", contentType, got.status, got.body, want)
		}
	}
}

// bottomless is a body without an end, and how much of it was read.
type bottomless struct{ read int }

func (e *bottomless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	e.read += len(b)
	return len(b), nil
}

func TestNoRouteReadsABodyWithoutEnd(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"batch","status":"running"}`)
	s = s.with(func(c *api.Config) { c.MaxUpload = 1 << 20 })
	for _, r := range append(routes(), route{method: "POST", target: "/v1/portal-sessions"}) {
		if r.method == "GET" || r.method == "DELETE" {
			continue
		}
		for _, idempotency := range []string{"", "k"} {
			body := &bottomless{}
			request := httptest.NewRequest(r.method, r.target, body)
			request.Header.Set("Authorization", "Bearer "+s.operator)
			if idempotency != "" {
				request.Header.Set("Idempotency-Key", idempotency)
			}
			if got := s.send(request); got.status >= 500 || body.read > 4<<20 {
				t.Errorf("%s %s: got %d %s after %d bytes", r.method, r.target, got.status, got.body, body.read)
			}
		}
	}
}

func TestAnswersAreJSONWhateverIsAccepted(t *testing.T) {
	s := newSite(t)
	for _, accept := range []string{"text/html", "application/cbor", "application/xml;q=0.9, image/*", "*/*", ";;q=x", "application/json;q=0"} {
		for _, idempotency := range []string{"", "k" + accept} {
			r := httptest.NewRequest("POST", "/v1/accounts/acme/portal-links", nil)
			r.Header.Set("Authorization", "Bearer "+s.platform)
			r.Header.Set("Accept", accept)
			if idempotency != "" {
				r.Header.Set("Idempotency-Key", idempotency)
			}
			if got := s.send(r); got.status != 201 || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%q: got %d %s %s", accept, got.status, got.header.Get("Content-Type"), got.body)
			}
		}
	}
}

func TestPrivateTargetsPassWhereTheyAreAllowed(t *testing.T) {
	s := newSite(t)
	s.RefusedHost = nil
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"webhook_url":"http://10.0.0.1:9000/"}`)
}
