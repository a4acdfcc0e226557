package webhook_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestOwnHeadersAreCredentialsAndNothingThatReceiversBelieve(t *testing.T) {
	const allowed, refused = true, false
	tests := []struct {
		name string
		want bool
	}{
		{"Authorization", allowed}, // what own headers are for
		{"X-Api-Key", allowed},
		{"CF-Access-Client-Id", allowed}, // a service token of Cloudflare Access
		{"X-Gitlab-Token", allowed},
		{"x-tenant_id", allowed},
		{"Accept", allowed},         // says what to answer
		{"Date", allowed},           // does nothing
		{"If-Match", allowed},       // does nothing to a POST
		{"Metadataflavor", allowed}, // another word
		{"Hosted-By", allowed},      // another word

		{"Webhook-Signature", refused}, // ours
		{"webhook-id", refused},        // in any case of letters
		{"WEBHOOK_ID", refused},        // an underscore is a hyphen to CGI
		{"Svix-Signature", refused},    // libraries take it for ours
		{"Jobhook-Anything", refused},
		{"Content-Length", refused}, // frames the body
		{"Content_Length", refused},
		{"Content-Type", refused},
		{"Content-Encoding", refused},
		{"Transfer-Encoding", refused},
		{"Trailer", refused},
		{"TE", refused},
		{"Host", refused}, // names another server than the one that was checked
		{"Connection", refused},
		{"Keep-Alive", refused},
		{"Upgrade", refused},
		{"HTTP2-Settings", refused},
		{"Expect", refused}, // makes us wait
		{"Proxy-Authorization", refused},
		{"Proxy", refused}, // httpoxy
		{"Accept-Encoding", refused},
		{"User-Agent", refused},
		{"traceparent", refused},
		{"Idempotency-Key", refused}, // net/http would send twice
		{"X-Idempotency-Key", refused},
		{"Metadata", refused},                 // Azure
		{"Metadata-Flavor", refused},          // Google
		{"X-aws-ec2-metadata-token", refused}, // AWS
		{"X-Amz-Target", refused},
		{"X-Forwarded-For", refused}, // whom a proxy speaks for
		{"X_Forwarded_For", refused},
		{"X-Real-IP", refused},
		{"CF-Connecting-IP", refused},
		{"Forwarded", refused},
		{"X-HTTP-Method-Override", refused}, // another method
		{"X-Original-URL", refused},         // another path
		{"Cookie", refused},
		{"Origin", refused},

		{"", refused},
		{"A B", refused},
		{"A:B", refused},
		{"A\r\nB", refused},
		{"A.B", refused}, // a token, but some read it as another
		{"A'B", refused},
		{"Ä", refused},
		{"A\x00", refused},
		{":authority", refused},
		{strings.Repeat("a", 64), allowed},
		{strings.Repeat("a", 65), refused},
	}
	for _, tt := range tests {
		_, at, err := webhook.CheckHeaders([]webhook.Header{{Name: tt.name, Value: "v"}})
		if (err == nil) != tt.want || at != 0 {
			t.Errorf("%.70q: %v at %d, want allowed = %t", tt.name, err, at, tt.want)
		}
	}
}

func TestValuesOfOwnHeadersAreOneLine(t *testing.T) {
	for value, want := range map[string]bool{
		"Bearer abc": true, "a\tb": true, "~!@": true, strings.Repeat("x", webhook.MaxHeaderValue): true,
		"": false, " a": false, "a ": false, "a\t": false, "a\r\nX-B: b": false, "a\nb": false, "a\x00": false, "a\x7f": false, "ä": false, "\xff": false,
		strings.Repeat("x", webhook.MaxHeaderValue+1): false,
	} {
		_, _, err := webhook.CheckHeaders([]webhook.Header{{Name: "X-A", Value: value}})
		if (err == nil) != want {
			t.Errorf("%.40q: %v, want allowed = %t", value, err, want)
		}
	}
}

func TestOwnHeadersAreFewAndNoneComesTwice(t *testing.T) {
	given := []webhook.Header{{Name: "x-b", Value: "1"}, {Name: "AUTHORIZATION", Value: "2"}, {Name: "x_c", Value: "3"}}
	got, _, err := webhook.CheckHeaders(given)
	want := []webhook.Header{{Name: "X-B", Value: "1"}, {Name: "Authorization", Value: "2"}, {Name: "X_c", Value: "3"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, twice := range []string{"X-B", "x-b", "X_B"} {
		if _, at, err := webhook.CheckHeaders(append(slices.Clone(given), webhook.Header{Name: twice, Value: "4"})); err == nil || at != 3 {
			t.Errorf("%s beside x-b: %v at %d, want it refused at 3", twice, err, at)
		}
	}
	var many []webhook.Header
	for i := range webhook.MaxHeaders + 1 {
		many = append(many, webhook.Header{Name: "X-" + strconv.Itoa(i), Value: "v"})
	}
	if _, at, err := webhook.CheckHeaders(many); err == nil || at != webhook.MaxHeaders {
		t.Errorf("%d headers: %v at %d, want them refused at %d", len(many), err, at, webhook.MaxHeaders)
	}
	if _, _, err := webhook.CheckHeaders(many[1:]); err != nil {
		t.Errorf("%d headers: %v", webhook.MaxHeaders, err)
	}
}

func TestRefusedHeaderIsNamedWithoutItsValue(t *testing.T) {
	for _, h := range []webhook.Header{{Name: "Cookie", Value: "planted"}, {Name: "X-A", Value: "planted\n"}, {Name: "X-A", Value: " planted"}, {Name: "", Value: "planted"}} {
		if _, _, err := webhook.CheckHeaders([]webhook.Header{h}); err == nil || strings.Contains(err.Error(), "planted") {
			t.Errorf("%q: %v, want an error without the value", h.Name, err)
		}
	}
}
