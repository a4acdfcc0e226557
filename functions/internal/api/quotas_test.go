package api_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQuotasAreSetShownAndReplaced(t *testing.T) {
	s := newSite(t)
	put := func(body string) any {
		t.Helper()
		return s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", body)["quotas"]
	}
	set := put(`{"quotas":{"endpoints":3,"request_rate":50,"events_per_minute":600,"retention_days":7,"retries":0}}`)
	if got := fmt.Sprint(set); got != "map[endpoints:3 events_per_minute:600 request_rate:50 retention_days:7 retries:0]" {
		t.Errorf("got %s", got)
	}
	if diff := cmp.Diff(put(`{"name":"Acme"}`), set); diff != "" {
		t.Errorf("after another change (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(s.must(t, 200, s.acme, "GET", "/v1/accounts/acme", "")["quotas"], set); diff != "" {
		t.Errorf("as the account sees it (-got +want):\n%s", diff)
	}
	if got := fmt.Sprint(put(`{"quotas":{"retention_days":30}}`)); got != "map[retention_days:30]" {
		t.Errorf("replaced: %s", got)
	}
	for _, bad := range []string{`{"endpoints":-1}`, `{"endpoints":101}`, `{"retries":21}`, `{"request_rate":1.5}`, `{"rate":1}`, `5`} {
		if got := s.do(s.platform, "PUT", "/v1/accounts/acme", `{"quotas":`+bad+`}`); got.status != 422 {
			t.Errorf("%s: got %d %s, want 422", bad, got.status, got.body)
		}
	}
	if got := s.do(s.acme, "PUT", "/v1/accounts/acme", `{"quotas":{}}`); got.status != 403 {
		t.Errorf("by the account itself: got %d, want 403", got.status)
	}
}

func TestTheQuotaOfEndpointsIsKept(t *testing.T) {
	s := newSite(t)
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"quotas":{"endpoints":2}}`)
	for i, want := range []int{201, 201, 409} {
		got := s.do(s.acme, "POST", "/v1/endpoints", `{"url":"https://a.example"}`)
		if got.status != want {
			t.Errorf("endpoint %d: got %d %s, want %d", i+1, got.status, got.body, want)
		}
	}
	if got := s.do(s.other, "POST", "/v1/endpoints", `{"url":"https://a.example"}`); got.status != 201 {
		t.Errorf("of another account: got %d", got.status)
	}
	got := s.do(s.platform, "PUT", "/v1/accounts/acme", `{"name":"New","webhook_url":"https://a.example"}`)
	if got.status != 409 || got.problem(t).Type != "/problems/too-many-endpoints" {
		t.Errorf("as the default URL: got %d %s", got.status, got.body)
	}
	if account := s.must(t, 200, s.acme, "GET", "/v1/accounts/acme", ""); account["name"] == "New" || account["default_endpoint"] != nil {
		t.Errorf("the refused write changed the account: %v", account)
	}
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"quotas":{"endpoints":3},"webhook_url":"https://a.example"}`)
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"webhook_url":"https://b.example"}`) // it is there already
}

func TestTheQuotaOfRetriesCutsWhatEndpointsAskFor(t *testing.T) {
	s := newSite(t)
	waits := func(e map[string]any) string { return fmt.Sprint(e["policy"].(map[string]any)["retry_seconds"]) }
	before, _ := s.endpoint(t, `{"url":"https://a.example","policy":{"retry_seconds":[7,8,9,10]}}`)
	few, _ := s.endpoint(t, `{"url":"https://a.example","policy":{"retry_seconds":[7]}}`)
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"quotas":{"retries":2}}`)
	for path, want := range map[string]string{before: "[7 8]", few: "[7]"} {
		if got := waits(s.must(t, 200, s.acme, "GET", path, "")); got != want {
			t.Errorf("there before: got %s, want %s", got, want)
		}
	}
	for _, tt := range []struct{ body, want string }{
		{`"format":"standard"`, "[5 300]"},
		{`"format":"serpwow"`, "[30 60]"},
		{`"format":"webscraper"`, "[30 30]"},
		{`"format":"hkube"`, "<nil>"},
		{`"format":"socialdata"`, "<nil>"},
		{`"format":"auto"`, "[30 60]"},
		{`"policy":{"retry_seconds":[3,4,5]}`, "[3 4]"},
		{`"policy":{"retry_seconds":[3]}`, "[3]"},
		{`"policy":{"retry_seconds":[]}`, "[]"},
	} {
		if _, made := s.endpoint(t, `{"url":"https://a.example",`+tt.body+`}`); waits(made) != tt.want {
			t.Errorf("%s: got %s, want %s", tt.body, waits(made), tt.want)
		}
	}
	if got := waits(s.must(t, 200, s.acme, "PATCH", few, `{"policy":{}}`)); got != "[5 300]" {
		t.Errorf("patched back to the format's: got %s, want them cut", got)
	}
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"quotas":{"retries":0}}`)
	if got := waits(s.must(t, 200, s.acme, "GET", few, "")); got != "[]" {
		t.Errorf("no retries at all: got %s", got)
	}
}
