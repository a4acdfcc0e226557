package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// parameter is one that the document tells of.
type parameter struct {
	Name, In string
	Schema   struct{ Enum []any }
}

// operationDoc is what the property test needs of an operation.
type operationDoc struct {
	method, path string
	parameters   []parameter
	body         bool
}

func operations(t testing.TB, document []byte) (list []operationDoc) {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters  []parameter
			RequestBody *struct{}
		}
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths {
		for method, op := range item {
			list = append(list, operationDoc{strings.ToUpper(method), path, op.Parameters, op.RequestBody != nil})
		}
	}
	slices.SortFunc(list, func(a, b operationDoc) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return list
}

// chance makes random requests.
type chance struct {
	*rand.Rand
	known []string // ids that exist
}

func (c chance) pick(from []string) string { return from[c.IntN(len(from))] }

// value is a value for a parameter, that may make sense.
func (c chance) value(p parameter) string {
	switch n := c.IntN(10); {
	case n < 3 && len(p.Schema.Enum) > 0:
		return fmt.Sprint(p.Schema.Enum[c.IntN(len(p.Schema.Enum))])
	case n < 5:
		return c.pick(c.known)
	case n < 7:
		return fmt.Sprint(c.IntN(400))
	}
	return c.nonsense()
}

func (c chance) nonsense() string {
	return c.pick([]string{
		"", "0", "-1", "1e9", "9223372036854775807", "99999999999999999999", "NaN", "null", "true", "\x00", "\x1b[2J", "a\r\nX-Evil: 1", "\xff\xfe",
		"\u202egnp.exe", "ünïcödé", "😀", "%", "%zz", "%2e%2e", "..", ".", "a/b", "a:b", ":resend", "'; DROP TABLE jobs;--", `"quoted"`, "\\", "<script>", "*", "?", "#", "&x=1",
		strings.Repeat("x", 257), strings.Repeat("é", 5000), "2026-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999+14:00",
		"dlv_" + strings.Repeat("0", 36), "dlv_" + strings.Repeat("z", 36), "evt_" + strings.Repeat("z", 26), "rsd_" + strings.Repeat("0", 26),
	})
}

func (c chance) body() string {
	names := []string{"account", "kind", "id", "status", "run", "name", "url", "types", "policy", "secret", "format", "filter", "rate", "dry_run", "part", "scope", "state",
		"webhook_url", "signing", "quotas", "result_set", "records_run", "created_at", "expires_in", "overlap_seconds", "token", "headers"}
	values := []string{`null`, `0`, `-1`, `1e400`, `1.5`, `true`, `""`, `"x"`, `"acme"`, `"async"`, `"pending"`, `"https://a.example"`, `[]`, `{}`, `["job.finished"]`,
		`{"state":"dead"}`, `{"since":"2026-01-01T00:00:00Z"}`, `{"id":1,"token":"x"}`, `{"retry_seconds":[1]}`, `{"rate":1,"max_in_flight":1}`, `{"X-A":"1"}`, `{"":""}`, `{"Host":"x","\u0000":"\r\n"}`, `["endpoint.failing"]`, `"\u0000"`, `"\ud800"`, `"` + strings.Repeat("x", 70_000) + `"`, `9223372036854775808`, `[[[[]]]]`}
	if c.IntN(6) == 0 {
		return c.pick([]string{"", "null", "[]", "{", "\x00", "\xff", "5", `"x"`, strings.Repeat("[", 10_000), "{}\n{}\n[]", "{}\n"})
	}
	var members []string
	for range c.IntN(5) {
		members = append(members, fmt.Sprintf("%q:%s", c.pick(names), c.pick(values)))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// target fills the path, and adds some of the parameters and sometimes others.
func (c chance) target(op operationDoc) string {
	path, query := op.path, url.Values{}
	for _, p := range op.parameters {
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(c.value(p)))
		case p.In == "query" && c.IntN(3) == 0:
			query.Add(p.Name, c.value(p))
		}
	}
	if c.IntN(2) == 0 {
		query.Set("account", "acme")
	}
	if c.IntN(20) == 0 {
		query.Add(c.nonsense(), c.nonsense())
	}
	raw := query.Encode()
	if c.IntN(20) == 0 {
		raw += "&" + c.pick([]string{"%", "%zz=1", "a;b", "=", "&&", "after=%00", "limit=%F0%9F"})
	}
	return path + "?" + raw
}

func TestWhateverIsSentIsAnsweredOrRefused(t *testing.T) {
	s := newFileSite(t)
	d := s.plant(t, "acme", func(*webhook.Delivery) {})
	told := s.told(t, webhook.EndpointFailingEvent)
	s.unreachable(t, "a.example:443")
	set := s.exported(t, 1)
	ep := s.must(t, 201, s.acme, "POST", "/v1/endpoints", `{"url":"https://a.example"}`)["id"].(string)
	rsd := s.must(t, 202, s.acme, "POST", "/v1/resends", `{"filter":{"state":"dead"}}`)["id"].(string)
	seed := rand.Uint64()
	c := chance{rand.New(rand.NewPCG(seed, 1)), []string{"acme", "other", "1", "2", d.ID, d.EventID, d.JobID, told.ID, told.EventID, set.Token, ep, rsd}}
	t.Logf("seed %d", seed)
	all := operations(t, s.OpenAPI())
	if len(all) < 40 {
		t.Fatalf("%d operations: the list is not whole", len(all))
	}
	for _, op := range all {
		for range 40 {
			s.clock.move(100 * time.Millisecond) // keeps under the rate of an account
			target, body := c.target(op), ""
			if op.body || c.IntN(10) == 0 {
				body = c.body()
			}
			s.endures(t, c, op.method, target, body)
		}
	}
}

func TestListsInListsAreRefused(t *testing.T) {
	s := newSite(t)
	for _, types := range []string{`[[]]`, `[{}]`, `[[[]],[[]]]`, `[null]`} {
		if got := s.do(s.acme, "POST", "/v1/endpoints", `{"url":"https://a.example","types":`+types+`}`); got.status != 422 {
			t.Errorf("types %s: got %d %s", types, got.status, got.body)
		}
	}
}

// endures sends a request that must be answered in time, by no fault of ours.
func (s *fileSite) endures(t *testing.T, c chance, method, target, body string) {
	t.Helper()
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	u, err := url.Parse(target)
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r.URL, r = u, r.WithContext(ctx)
	r.URL = u
	r.Header.Set("Authorization", "Bearer "+c.pick([]string{s.operator, s.operator, s.platform, s.acme}))
	for name, values := range map[string][]string{
		"Content-Type": {"application/json", "application/jsonl", "text/plain", "x"}, "Range": {"bytes=0-3", "bytes=9999-", "bytes=-", "lines=1"},
		"Idempotency-Key": {"a", strings.Repeat("k", 300), "\x7f"}, "If-Match": {"*", `"x"`, "x"}, "If-None-Match": {"*", `"x"`}, "Origin": {"https://evil.example", "null"},
		"Accept": {"text/html", "image/*;q=0"}, "If-Modified-Since": {"Sun, 06 Nov 2094 08:49:37 GMT"}, "If-Range": {`"x"`},
	} {
		if name == "Content-Type" && c.IntN(5) > 0 {
			r.Header.Set(name, "application/json")
		} else if c.IntN(10) == 0 {
			r.Header.Set(name, c.pick(values))
		}
	}
	got := s.send(r)
	told := fmt.Sprintf("%s %.300q %.300q %v: got %d %.300s", method, target, body, r.Header, got.status, got.body)
	switch {
	case ctx.Err() != nil:
		t.Errorf("it hung: %s", told)
	case got.status >= 500, got.status < 200:
		t.Error(told)
	case got.status >= 400 && got.header.Get("Content-Type") != "application/problem+json":
		t.Errorf("no problem: %s", told)
	case strings.HasPrefix(got.header.Get("Location"), "/:"):
		t.Errorf("it leads to a path that nobody may know: %s", told)
	case strings.Contains(strings.Join(got.header["X-Evil"], ""), "1"):
		t.Errorf("a header was smuggled in: %s", told)
	}
}

func TestAnotherAccountsObjectsAndUnknownOnesAreAnsweredAlike(t *testing.T) {
	s := newFileSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/theirs", `{"account":"other","kind":"batch","status":"running"}`)
	s.upload("/v1/jobs/theirs/runs/1/records", "", strings.NewReader("{}"))
	d := s.plant(t, "other", func(d *webhook.Delivery) { d.Target.Endpoint = "ep_theirs" })
	ep := s.must(t, 201, s.other, "POST", "/v1/endpoints", `{"url":"https://other.example"}`)["id"].(string)
	rsd := s.must(t, 202, s.other, "POST", "/v1/resends", `{"filter":{"state":"dead"}}`)["id"].(string)
	swap := func(id string, chars int) string { return id[:len(id)-chars] + strings.Repeat("0", chars) }
	ids := map[string][2]string{ // by how a path begins: theirs, and one that does not exist
		"/v1/accounts/": {"other", "nobody"}, "/v1/jobs/": {"theirs", "absent"}, "/v1/endpoints/": {ep, swap(ep, 5)},
		"/v1/deliveries/": {d.ID, swap(d.ID, 5)}, "/v1/events/": {d.EventID, swap(d.EventID, 5)}, "/v1/resends/": {rsd, swap(rsd, 5)},
		"/v1/keys/": {"k", "l"},
	}
	bodies := map[string]string{"POST /v1/endpoints": `{"url":"https://a.example"}`, "PATCH /v1/endpoints/{id}": `{"status":"paused"}`,
		"POST /v1/resends": `{"filter":{"state":"dead"}}`, "PUT /v1/accounts/{account}": `{}`, "PATCH /v1/jobs/{id}": `{"name":"x"}`,
		"PUT /v1/jobs/{id}": `{"account":"acme","kind":"batch","status":"running"}`}
	before, tried := s.stored(t), 0
	for _, op := range operations(t, s.OpenAPI()) {
		if !strings.HasPrefix(op.path, "/v1/") {
			continue
		}
		var pair [2]string
		for i := range pair {
			pair[i] = op.path
			for begins, id := range ids {
				if strings.HasPrefix(op.path, begins) {
					pair[i] = strings.NewReplacer("{account}", id[i], "{id}", id[i], "{run}", "1", "{key}", "k").Replace(op.path)
				}
			}
		}
		takesAccount := slices.ContainsFunc(op.parameters, func(p parameter) bool { return p.In == "query" && p.Name == "account" })
		queries := [][2]string{{"", ""}}
		if takesAccount {
			queries = append(queries, [2]string{"?account=other", "?account=nobody"}, [2]string{"?account=acme", "?account=acme"})
		}
		for _, q := range queries {
			if pair[0] == pair[1] && q[0] == q[1] {
				continue // the caller's own list
			}
			s.alike(t, s.acme, op.method, pair[0]+q[0], pair[1]+q[1], bodies[op.method+" "+op.path])
			if q[0] == "?account=acme" {
				s.alike(t, s.platform, op.method, pair[0]+q[0], pair[1]+q[1], bodies[op.method+" "+op.path])
			}
			tried++
		}
	}
	for _, filter := range [][2]string{
		{"/v1/deliveries?job=" + d.JobID, "/v1/deliveries?job=absent"}, {"/v1/deliveries?event=" + d.EventID, "/v1/deliveries?event=evt_absent"},
		{"/v1/deliveries?endpoint=ep_theirs", "/v1/deliveries?endpoint=ep_absent"}, {"/v1/events?job=" + d.JobID, "/v1/events?job=absent"},
		{"/v1/deliveries?after=" + d.ID, "/v1/deliveries?after=" + swap(d.ID, 5)}, {"/v1/events?after=" + d.EventID, "/v1/events?after=" + swap(d.EventID, 5)},
	} {
		s.alike(t, s.acme, "GET", filter[0], filter[1], "")
	}
	if tried < 50 {
		t.Errorf("%d pairs were tried: the list is not whole", tried)
	}
	if after := s.stored(t); after != before {
		t.Errorf("something was written:\n%s\nbefore:\n%s", after, before)
	}
}

// alike sends two requests whose answers may not differ.
func (s *fileSite) alike(t *testing.T, key, method, theirs, absent, body string) {
	t.Helper()
	s.clock.move(time.Second)
	a, b := s.do(key, method, theirs, body), s.do(key, method, absent, body)
	for _, header := range []answer{a, b} {
		header.header.Del("RateLimit") // counts down
		header.header.Del("RateLimit-Remaining")
		header.header.Del("RateLimit-Reset")
	}
	if a.status != b.status || a.body != b.body || fmt.Sprint(a.header) != fmt.Sprint(b.header) {
		t.Errorf("%s %s: got %d %s %v\n%s: %d %s %v", method, theirs, a.status, a.body, a.header, absent, b.status, b.body, b.header)
	}
	if a.status < 400 && !strings.Contains(theirs, "?") || a.status >= 500 {
		t.Errorf("%s %s: got %d %s", method, theirs, a.status, a.body)
	}
}

// FuzzListParameters gives lists whatever parameters: they are answered, or
// refused by a problem.
func FuzzListParameters(f *testing.F) {
	lists := []string{"deliveries", "events", "jobs"}
	for list := range lists {
		for _, seed := range [][3]string{
			{"after", "dlv_" + strings.Repeat("0", 36), "limit=1"}, {"after", "evt_" + strings.Repeat("z", 26), ""}, {"after", "\x00", ""},
			{"after", strings.Repeat("x", 1025), ""}, {"after", "djEuYWNtZQ", "kind=async"}, {"since", "2026-01-01T00:00:00Z", "until=2026-01-02T00:00:00Z"},
			{"since", "0000-01-01T00:00:00Z", ""}, {"until", "9999-12-31T23:59:60Z", ""}, {"status_class", "2xx", "state=dead"}, {"type", "job.finished", ""},
			{"job", "\xff", "job=2"}, {"event", "evt_", ""}, {"endpoint", strings.Repeat("é", 256), ""}, {"limit", "9223372036854775808", ""}, {"kind", "batch", "status=idle"},
			{"", "", "%zz"}, {"", "", "a;b"},
		} {
			f.Add(uint8(list), seed[0], seed[1], seed[2])
		}
	}
	s := newSite(f)
	s.must(f, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"pending"}`)
	s.plant(f, "acme", func(*webhook.Delivery) {})
	f.Fuzz(func(t *testing.T, list uint8, name, value, more string) {
		r := httptest.NewRequest("GET", "/v1/"+lists[int(list)%len(lists)], nil)
		r.URL.RawQuery = url.Values{"account": {"acme"}, name: {value}}.Encode() + "&" + more
		r.Header.Set("Authorization", "Bearer "+s.operator)
		got := s.send(r)
		if got.status != 200 && (got.status < 400 || got.status >= 500) {
			t.Fatalf("%s: got %d %s", r.URL, got.status, got.body)
		}
		if got.status >= 400 {
			got.problem(t)
		}
	})
}
