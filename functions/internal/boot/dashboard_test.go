package boot_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/lambdatest"
)

// browse asks for a page as API Gateway hands a browser's request over. A form
// comes in base64, and cookies apart from the headers.
func (s *site) browse(f *lambdatest.Function, method, page string, header map[string]string, form url.Values, cookies ...string) events.APIGatewayV2HTTPResponse {
	s.Helper()
	path, query, _ := strings.Cut(page, "?")
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(s.request("api-operator", "{{method}}", method, "{{path}}", path), &e); err != nil {
		s.Fatal(err)
	}
	e.Headers = map[string]string{"host": e.Headers["host"], "accept": "text/html", "accept-encoding": "gzip, deflate, br", "x-forwarded-proto": "https"}
	for name, value := range header {
		e.Headers[name] = value
	}
	e.RawQueryString, e.Cookies = query, cookies
	if form != nil {
		e.Headers["content-type"] = "application/x-www-form-urlencoded"
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(form.Encode())), true
	}
	payload, err := json.Marshal(e)
	if err != nil {
		s.Fatal(err)
	}
	return invoke[events.APIGatewayV2HTTPResponse](s, f, payload)
}

// unpacked is the page in an answer that was compressed, which Lambda hands on
// in base64.
func unpacked(t testing.TB, answer events.APIGatewayV2HTTPResponse) string {
	t.Helper()
	if !answer.IsBase64Encoded {
		t.Fatalf("the body is no base64: %.200s", answer.Body)
	}
	packed, err := base64.StdEncoding.DecodeString(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// headerOf is a header of an answer, whatever the case of its name.
func headerOf(answer events.APIGatewayV2HTTPResponse, name string) string {
	for n, value := range answer.Headers {
		if strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}

func TestTheDashboardIsServedThroughLambda(t *testing.T) {
	s := newSite(t)
	f := s.start("api", nil)
	own := map[string]string{"sec-fetch-site": "same-origin", "origin": "https://hooks.example.com"}

	in := s.browse(f, "POST", "/sign-in", own, url.Values{"key": {s.operatorKey}})
	if in.StatusCode != http.StatusSeeOther || len(in.Cookies) != 1 || headerOf(in, "Set-Cookie") != "" {
		t.Fatalf("signing in: %d, cookies %q, %v", in.StatusCode, in.Cookies, in.Headers)
	}
	c, err := http.ParseSetCookie(in.Cookies[0])
	if err != nil || !c.Secure || !c.HttpOnly || c.Value == "" || strings.Contains(s.operatorKey, c.Value) {
		t.Fatalf("cookie %q, %v", in.Cookies[0], err)
	}
	cookie := c.Name + "=" + c.Value

	const overview = "/?account=" + solo
	shown := s.browse(f, "GET", overview, nil, nil, "theme=dark", cookie)
	if shown.StatusCode != http.StatusOK || headerOf(shown, "Content-Encoding") != "gzip" || !strings.HasPrefix(headerOf(shown, "Content-Type"), "text/html") {
		t.Fatalf("the overview: %d %v", shown.StatusCode, shown.Headers)
	}
	if page := unpacked(t, shown); !strings.Contains(page, s.receiver.URL+"/solo") {
		t.Errorf("the overview does not name the endpoint:\n%s", page)
	}
	again := s.browse(f, "GET", overview, map[string]string{"if-none-match": headerOf(shown, "ETag")}, nil, cookie)
	if again.StatusCode != http.StatusNotModified || again.Body != "" {
		t.Errorf("once more: %d %.200s, ETag %q", again.StatusCode, again.Body, headerOf(shown, "ETag"))
	}

	pause := "/endpoints/ep_solo/pause?account=" + solo
	strange := s.browse(f, "POST", pause, map[string]string{"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, url.Values{}, cookie)
	if e, err := s.store.Endpoint(t.Context(), solo, "ep_solo"); err != nil || strange.StatusCode != http.StatusForbidden || e.Status != "enabled" {
		t.Errorf("a form of another site: %d, the endpoint is %s, %v", strange.StatusCode, e.Status, err)
	}
	paused := s.browse(f, "POST", pause, own, url.Values{}, cookie)
	if e, err := s.store.Endpoint(t.Context(), solo, "ep_solo"); err != nil || paused.StatusCode != http.StatusSeeOther || e.Status != "paused" {
		t.Errorf("the page's own form: %d, the endpoint is %s, %v", paused.StatusCode, e.Status, err)
	}
	if out := s.browse(f, "GET", overview, nil, nil); out.StatusCode == http.StatusOK || out.StatusCode >= 500 {
		t.Errorf("without the cookie: %d", out.StatusCode)
	}
}
