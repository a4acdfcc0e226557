package webhook_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// FuzzCheckURL: a URL that passes can be called as it is written, names one
// host, and carries nobody's credentials before it.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://example.com/hook?a=b#c", "http://example.com:8443", "https://user:pw@example.com", "https://[2606:4700::1111]:443/",
		"https://example.com:0/", "https://example.com:65536/", "https://a b/", "https://a\r\nb/", "http://%zz/", "//example.com/", "https:///path",
		"https://[fe80::1%25eth0]/", "HTTPS://EXAMPLE.COM", "http://0x7f.1:+80/", "https://exämple.com/", "https://a:b:c/", "http://a\x00/", "https://a@b@c/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if webhook.CheckURL(raw) != nil {
			webhook.HostOf(raw) // may not panic
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || len(raw) > webhook.MaxURLBytes {
			t.Fatalf("%q passes", raw)
		}
		host, port, err := net.SplitHostPort(webhook.HostOf(raw))
		if err != nil || host == "" || port == "" || host != strings.ToLower(host) {
			t.Errorf("%q: host %q, %v", raw, webhook.HostOf(raw), err)
		}
		r, err := http.NewRequest(http.MethodPost, raw, nil)
		if err != nil {
			t.Fatalf("%q cannot be sent: %v", raw, err)
		}
		var sent bytes.Buffer
		if err := r.Write(&sent); err != nil {
			return // a host that HTTP cannot name is no harm: it is not called
		}
		got, err := http.ReadRequest(bufio.NewReader(&sent))
		if err != nil {
			t.Fatalf("%q: what was sent is no request: %v", raw, err)
		}
		if got.URL.RequestURI() != r.URL.RequestURI() || len(got.Header) != 2 {
			t.Errorf("%q: came out as %q with %v", raw, got.URL.RequestURI(), got.Header)
		}
	})
}

// FuzzCheckHeaders: what passes is sent by net/http as it is, one line each.
func FuzzCheckHeaders(f *testing.F) {
	f.Add("Authorization", "Bearer x", "X-A", "b")
	f.Add("X-A", "a\r\nX-B: c", "X-B", "d")
	f.Add("X_Forwarded_For", "127.0.0.1", "x-a", "\tb")
	f.Add("Content-Length", "0", "Transfer-Encoding", "chunked")
	f.Add("x-a", "1", "X_A", "2")
	f.Add("A\x00", "ä", "", "")
	f.Fuzz(func(t *testing.T, name, value, other, second string) {
		given := []webhook.Header{{Name: name, Value: value}, {Name: other, Value: second}}
		checked, at, err := webhook.CheckHeaders(given)
		if err != nil {
			if at < 0 || at > len(given) {
				t.Errorf("%v is told of the header %d", err, at)
			}
			return
		}
		again, _, err := webhook.CheckHeaders(checked)
		if err != nil || !slices.Equal(again, checked) {
			t.Errorf("%v becomes %v, %v when it is checked again", checked, again, err)
		}
		want := http.Header{"User-Agent": {"x"}, "Content-Length": {"2"}}
		r, err := http.NewRequest(http.MethodPost, "http://a.example/", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", "x")
		for _, h := range checked {
			r.Header[h.Name], want[h.Name] = []string{h.Value}, []string{h.Value}
		}
		var sent bytes.Buffer
		if err := r.Write(&sent); err != nil {
			t.Fatalf("%q cannot be sent: %v", checked, err)
		}
		if lines := strings.Count(sent.String(), "\n"); lines != 5+len(checked) {
			t.Errorf("%q: %d lines: %q", checked, lines, sent.String())
		}
		got, err := http.ReadRequest(bufio.NewReader(&sent))
		if err != nil {
			t.Fatalf("%q: what was sent is no request: %v", checked, err)
		}
		if !maps.EqualFunc(got.Header, want, slices.Equal[[]string]) || got.Host != "a.example" || got.ContentLength != 2 {
			t.Errorf("%q: came out as %v of %s", checked, got.Header, got.Host)
		}
	})
}

// FuzzParseRetryAfter: whatever a receiver writes is a wait of 0 to a day.
func FuzzParseRetryAfter(f *testing.F) {
	for _, seed := range []string{
		"120", "0", "-1", "1e3", "99999999999999999999", "-99999999999999999999", " 5", "5 ", "+5", "0x10", "",
		"Wed, 21 Oct 2026 07:28:00 GMT", "Wednesday, 21-Oct-26 07:28:00 GMT", "Wed Oct 21 07:28:00 2026", "Fri, 31 Dec 9999 23:59:59 GMT",
		"Mon, 01 Jan 0001 00:00:00 GMT", "Wed, 21 Oct 2026 07:28:00 +0200", "never",
	} {
		f.Add(seed, int64(1_792_567_680))
	}
	f.Fuzz(func(t *testing.T, value string, unix int64) {
		now := time.Unix(unix%253402300800, 0)
		wait := webhook.ParseRetryAfter(value, now)
		if wait < 0 || wait > webhook.MaxRetryAfter {
			t.Errorf("ParseRetryAfter(%q, %s) = %s", value, now, wait)
		}
		if at, err := http.ParseTime(value); err == nil && at.After(now) != (wait > 0) {
			t.Errorf("ParseRetryAfter(%q, %s) = %s, and the date is %s", value, now, wait, at)
		}
	})
}

// FuzzParseDoorbell: a message that is understood is what encoding/json reads,
// and is written as it was read.
func FuzzParseDoorbell(f *testing.F) {
	for _, seed := range []string{
		`{"account":"acme","delivery":"dlv_1","generation":1}`, `{"account":"acme","delivery":"dlv_1","generation":0}`,
		`{"account":"a","delivery":"b\u0041","generation":1}`, `{"account":"a","delivery":"b","generation":01}`, `{"account":"a","delivery":"é","generation":1}`,
		`{"account":"a","delivery":"b","generation":1,"generation":2}`, `{"account":"a","delivery":"b","generation":1} `, `{"account":"a","delivery":"b","generation":+1}`,
		`{"account":"a\u0000\ud800","delivery":"\"","generation":9223372036854775807}`, `{"generation":1e2}`, `{}`, `[]`, `null`, "", "{", `{"ACCOUNT":"a","delivery":"d","generation":2,"x":{}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		d, err := webhook.ParseDoorbell(message)
		var want webhook.Doorbell
		understood := json.Unmarshal([]byte(message), &want) == nil && want.Account != "" && want.Delivery != "" && want.Generation > 0
		if understood != (err == nil) || understood && d != want {
			t.Errorf("%q is read as %+v, %v; want %+v", message, d, err, want)
		}
		if err != nil {
			return
		}
		if d.Account == "" || d.Delivery == "" || d.Generation < 1 || d.After != 0 {
			t.Errorf("%q is read as %+v", message, d)
		}
		if again, err := webhook.ParseDoorbell(d.Message()); err != nil || again != d {
			t.Errorf("%q: %+v becomes %+v, %v", message, d, again, err)
		}
	})
}
