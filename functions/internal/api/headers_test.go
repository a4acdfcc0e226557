package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

// headersOf are the headers that an endpoint's webhooks carry.
func (s *site) headersOf(t testing.TB, path string) []webhook.Header {
	t.Helper()
	e, err := s.store.Endpoint(t.Context(), "acme", strings.TrimPrefix(path, "/v1/endpoints/"))
	if err != nil {
		t.Fatal(err)
	}
	return e.Headers
}

func TestHeadersOfAnEndpointAreNeverShownAgain(t *testing.T) {
	s := newSite(t)
	const secret = "Bearer planted-credential-of-acme-wxyz"
	path, made := s.endpoint(t, `{"url":"https://a.example","headers":{"authorization":"`+secret+`","X-Short":"planted"}}`)
	want := map[string]any{"Authorization": "****wxyz", "X-Short": "****"}
	if diff := cmp.Diff(made["headers"], any(want)); diff != "" {
		t.Errorf("made with headers (-got +want):\n%s", diff)
	}
	kept := []webhook.Header{{Name: "X-Short", Value: "planted"}, {Name: "Authorization", Value: secret}}
	if diff := cmp.Diff(s.headersOf(t, path), kept); diff != "" {
		t.Errorf("kept (-got +want):\n%s", diff)
	}
	for _, r := range []struct{ method, target, body string }{
		{"GET", path, ""}, {"GET", "/v1/endpoints", ""}, {"PATCH", path, `{"url":"https://a.example/b"}`}, {"PATCH", path, `{"url":"https://b.example"}`}, {"PATCH", path, `{"headers":{"X-Short":""}}`},
		{"POST", path + ":pause", ""}, {"POST", path + ":resume", ""}, {"POST", path + ":rotate-secret", ""}, {"POST", path + ":test", ""},
	} {
		got := s.do(s.acme, r.method, r.target, r.body)
		if got.status >= 500 || strings.Contains(got.body, "planted") || got.status < 400 && !strings.Contains(got.body, "****wxyz") {
			t.Errorf("%s %s %s: got %d %s", r.method, r.target, r.body, got.status, got.body)
		}
	}
	if strings.Contains(s.log.String(), "planted") {
		t.Errorf("the log has it: %s", s.log)
	}
}

func TestPatchedHeadersReplaceAll(t *testing.T) {
	s := newSite(t)
	path, _ := s.endpoint(t, `{"url":"https://a.example","headers":{"X-A":"1","X-B":"2"}}`)
	one, other := []webhook.Header{{Name: "X-A", Value: "1"}, {Name: "X-B", Value: "2"}}, []webhook.Header{{Name: "X-C", Value: "3"}}
	for _, tt := range []struct {
		patch string
		want  []webhook.Header
	}{
		{`{"status":"paused"}`, one}, {`{"headers":null}`, one}, {`{"headers":{"x-c":"3"}}`, other}, {`{"types":[]}`, other}, {`{"headers":{}}`, nil},
	} {
		s.must(t, 200, s.acme, "PATCH", path, tt.patch)
		if got := s.headersOf(t, path); len(got)+len(tt.want) > 0 && !cmp.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.patch, got, tt.want)
		}
	}
}

func TestATestWebhookCarriesTheHeadersOfItsEndpoint(t *testing.T) {
	s := newSite(t)
	path, _ := s.endpoint(t, `{"url":"https://a.example","headers":{"Authorization":"Bearer 0123456789abcdef","X-A":"1"}}`)
	shown := s.must(t, 200, s.acme, "POST", path+":test", "")["request"].(map[string]any)["headers"].(map[string]any)
	if got := s.target.got.Header; got.Get("Authorization") != "Bearer 0123456789abcdef" || got.Get("X-A") != "1" || got.Get("Webhook-Signature") == "" {
		t.Errorf("sent %v", got)
	}
	if diff := cmp.Diff([]any{shown["Authorization"], shown["X-A"]}, []any{[]any{"****cdef"}, []any{"****"}}); diff != "" {
		t.Errorf("shown (-got +want):\n%s", diff)
	}
}

func TestAnEndpointThatHearsOfEndpointsKeepsAFormatThatTellsOfThem(t *testing.T) {
	s := newSite(t)
	path, made := s.endpoint(t, `{"url":"https://a.example","types":["endpoint.failing","endpoint.disabled","endpoint.recovered"]}`)
	if diff := cmp.Diff(made["types"], any([]any{"endpoint.failing", "endpoint.disabled", "endpoint.recovered"})); diff != "" {
		t.Errorf("types (-got +want):\n%s", diff)
	}
	s.must(t, 200, s.acme, "PATCH", path, `{"format":"auto"}`)
	for _, format := range []string{"serpwow", "webscraper", "hkube", "socialdata"} {
		got := s.do(s.acme, "PATCH", path, `{"format":"`+format+`"}`)
		if p := got.problem(t); got.status != 422 || p.Errors[0].Field != "types[0]" || !strings.Contains(p.Errors[0].Problem, format) {
			t.Errorf("%s: got %d %s", format, got.status, got.body)
		}
		s.must(t, 201, s.acme, "POST", "/v1/endpoints", `{"url":"https://a.example","types":["job.failed"],"format":"`+format+`"}`)
	}
	s.must(t, 200, s.acme, "PATCH", path, `{"format":"hkube","types":["job.failed"]}`)
}

func TestRateAndAttemptsInFlightAreOfThePolicy(t *testing.T) {
	s := newSite(t)
	path, made := s.endpoint(t, `{"url":"https://a.example","policy":{"rate":20,"max_in_flight":2}}`)
	want := map[string]any{"rate": json.Number("20"), "max_in_flight": json.Number("2")}
	if diff := cmp.Diff(made["policy"], any(want)); diff != "" {
		t.Errorf("policy (-got +want):\n%s", diff)
	}
	e, err := s.store.Endpoint(t.Context(), "acme", made["id"].(string))
	if err != nil || *e.Policy.Rate != 20 || *e.Policy.MaxInFlight != 2 {
		t.Errorf("kept %+v, %v", e.Policy, err)
	}
	unbounded := s.must(t, 200, s.acme, "PATCH", path, `{"policy":{"rate":0}}`)["policy"]
	if diff := cmp.Diff(unbounded, any(map[string]any{"rate": json.Number("0")})); diff != "" {
		t.Errorf("patched policy (-got +want):\n%s", diff)
	}
}

func TestHeadersDoNotFollowAURLToAnotherServer(t *testing.T) {
	s := newSite(t)
	const stays = "https://a.example/hook"
	path, _ := s.endpoint(t, `{"url":"`+stays+`","headers":{"Authorization":"Bearer planted"}}`)
	for _, url := range []string{"https://b.example/hook", "http://a.example/hook", "https://a.example:8443/hook", "http://a.example:443/hook", "https://sub.a.example/hook"} {
		for _, more := range []string{"", `,"headers":null`, `,"status":"paused"`} {
			got := s.do(s.acme, "PATCH", path, `{"url":"`+url+`"`+more+`}`)
			if p := got.problem(t); got.status != 422 || p.Errors[0].Field != "headers" || p.Errors[0].Cure != "write the headers again, or {}" {
				t.Errorf("%s%s: got %d %s", url, more, got.status, got.body)
			}
		}
	}
	if got := s.must(t, 200, s.acme, "GET", path, ""); got["url"] != stays || got["status"] != "enabled" {
		t.Errorf("it is %v", got)
	}
	for _, body := range []string{`{"url":"https://a.example/other?x=1"}`, `{"url":"HTTPS://A.Example:443/other"}`, `{"url":"https://b.example","headers":{"X-A":"1"}}`,
		`{"url":"http://c.example","headers":{}}`, `{"url":"https://d.example"}`} {
		s.must(t, 200, s.acme, "PATCH", path, body)
	}
}

func TestHeadersDoNotFollowTheAccountsURLToAnotherServer(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"name":"before","webhook_url":"https://a.example/hook"}`)
	path := "/v1/endpoints/" + made["default_endpoint"].(map[string]any)["id"].(string)
	s.must(t, 200, s.acme, "PATCH", path, `{"headers":{"Authorization":"Bearer planted"}}`)
	got := s.do(s.platform, "PUT", "/v1/accounts/acme", `{"name":"after","webhook_url":"https://b.example/hook"}`)
	if p := got.problem(t); got.status != 422 || p.Errors[0].Field != "webhook_url" || !strings.Contains(p.Errors[0].Cure, path) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := s.must(t, 200, s.platform, "GET", "/v1/accounts/acme", ""); got["name"] != "before" {
		t.Errorf("what was refused was written: %v", got)
	}
	for _, body := range []string{`{"webhook_url":"https://a.example/other"}`, `{"name":"after"}`, `{"webhook_url":""}`, `{"webhook_url":"https://b.example/hook"}`} {
		s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", body)
	}
}

func TestTheMaskShowsNothingOfAShortCredentialNorOfAPassword(t *testing.T) {
	s := newSite(t)
	_, made := s.endpoint(t, `{"url":"https://a.example","headers":{"A":"Bearer 123456789012345","B":"Bearer 1234567890123456","C":"Basic dXNlcjpwYXNzd29yZC1vZi1tYW55LWNoYXJhY3RlcnM=",
		"D":"basic\tdXNlcjpwYXNzd29yZC1vZi1tYW55LWNoYXJhY3RlcnM","E":"Negotiate    0123456789","F":"0123456789abcdef","G":"0123456789abcde"}}`)
	want := map[string]any{"A": "****", "B": "****3456", "C": "****", "D": "****", "E": "****", "F": "****cdef", "G": "****"}
	if diff := cmp.Diff(made["headers"], any(want)); diff != "" {
		t.Errorf("shown (-got +want):\n%s", diff)
	}
}
