package webhook_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestCheckURL(t *testing.T) {
	const base = "https://example.com/"
	for _, tt := range []struct {
		name, url string
		says      string // in the error; "" when the URL is accepted
	}{
		{"https", "https://example.com/hook", ""},
		{"http", "http://example.com", ""},
		{"a port, a query and a fragment", "https://example.com:8443/a/b?c=d&e=%20#f", ""},
		{"the scheme in capitals", "HTTPS://EXAMPLE.COM/", ""},
		{"an address, which is checked when dialling", "http://127.0.0.1:9001/", ""},
		{"an IPv6 address", "http://[::1]:8080/", ""},
		{"a host outside ASCII", "https://exämple.com/", ""},
		{"as long as can be", base + strings.Repeat("x", webhook.MaxURLBytes-len(base)), ""},
		{"too long", base + strings.Repeat("x", webhook.MaxURLBytes-len(base)+1), "at most 2048"},
		{"empty", "", "use http or https"},
		{"no scheme", "example.com/hook", "use http or https"},
		{"no scheme but slashes", "//example.com/hook", "use http or https"},
		{"a path", "/hook", "use http or https"},
		{"another scheme", "ftp://example.com/", `"ftp"`},
		{"a file", "file:///etc/passwd", `"file"`},
		{"a script", "javascript:alert(1)", `"javascript"`},
		{"opaque", "https:example.com", "names no host"},
		{"no host", "https:///hook", "names no host"},
		{"a port only", "https://:443/hook", "names no host"},
		{"a user", "https://user@example.com/", "user name or password"},
		{"a password", "https://user:pw@example.com/", "user name or password"},
		{"an empty user", "https://@example.com/", "user name or password"},
		{"a port that is no number", "https://example.com:port/", "no valid URL"},
		{"a bracket left open", "https://[::1/", "no valid URL"},
		{"a space", "https://example.com/a b", "no valid URL"},
		{"a space before", " https://example.com/", "no valid URL"},
		{"a line break", "https://example.com/\nHost: other", "no valid URL"},
		{"a line break after", "https://example.com/\n", "no valid URL"},
		{"a DEL", "https://example.com/\x7f", "no valid URL"},
		{"a broken escape", "https://example.com/%zz", "no valid URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := webhook.CheckURL(tt.url)
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("got error %v, want none", err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("got error %v, want one that says %q", err, tt.says)
			}
		})
	}
}

func TestSubscribes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		types []webhook.EventType
		want  []webhook.EventType
	}{
		{"nothing named is every end of a job", nil,
			[]webhook.EventType{webhook.JobFinished, webhook.JobFailed, webhook.JobStopped, webhook.ResultSetReady}},
		{"progress only", []webhook.EventType{webhook.JobProgress}, []webhook.EventType{webhook.JobProgress}},
		{"two", []webhook.EventType{webhook.JobFailed, webhook.JobProgress}, []webhook.EventType{webhook.JobProgress, webhook.JobFailed}},
		{"all", webhook.Subscribable(), webhook.Subscribable()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []webhook.EventType
			for _, e := range webhook.Subscribable() {
				if (webhook.Endpoint{Types: tt.types}).Subscribes(e) {
					got = append(got, e)
				}
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("subscribed (-got +want):\n%s", diff)
			}
		})
	}
}
