package lambdahost

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// event is one as an HTTP API sends it.
func event(method, rawPath string, change ...func(*events.APIGatewayV2HTTPRequest)) events.APIGatewayV2HTTPRequest {
	e := events.APIGatewayV2HTTPRequest{Version: "2.0", RouteKey: "$default", RawPath: rawPath}
	e.RequestContext.Stage = "$default"
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.Path = method, rawPath
	e.RequestContext.HTTP.SourceIP = "192.0.2.7"
	for _, c := range change {
		c(&e)
	}
	return e
}

// call runs one event through a handler that sees the request.
func call(t *testing.T, e events.APIGatewayV2HTTPRequest, see http.HandlerFunc, patterns ...string) events.APIGatewayV2HTTPResponse {
	t.Helper()
	got, err := HTTP(see, patterns...)(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestAPathReachesTheHandlerAsItsSenderMeantIt: what an HTTP API hands on was
// seen on AWS (see the capture in github.com/hotsock/voker, pull request 8).
func TestAPathReachesTheHandlerAsItsSenderMeantIt(t *testing.T) {
	patterns := []string{"/v1/accounts/{account}/keys/{key}", "/v1/accounts/{account}/keys", "/v1/accounts/{account}", "/v1/jobs/{id}"}
	for _, c := range []struct{ sent, handedOn, want string }{
		{"/healthz", "/healthz", "/healthz"},
		{"/v1/jobs", "/v1/jobs", "/v1/jobs"},
		{"/v1/jobs/42", "/v1/jobs/42", "/v1/jobs/42"},
		{"/v1/jobs/a%2Fb", "/v1/jobs/a/b", "/v1/jobs/a%2Fb"},
		{"/v1/jobs/a%2Fb%2F..%2Fc", "/v1/jobs/a/b/../c", "/v1/jobs/a%2Fb%2F..%2Fc"},
		{"/v1/jobs/batch:1", "/v1/jobs/batch:1", "/v1/jobs/batch:1"},
		{"/v1/jobs/quote%22back%5C", `/v1/jobs/quote"back\`, "/v1/jobs/quote%22back%5C"},
		{"/v1/jobs/percent%2525%3A+", "/v1/jobs/percent%:+", "/v1/jobs/percent%25:+"},
		{"/v1/jobs/is%253Fit", "/v1/jobs/is?it", "/v1/jobs/is%3Fit"},
		{"/v1/jobs/a%23b", "/v1/jobs/a#b", "/v1/jobs/a%23b"},
		{"/v1/deliveries/dlv_1:resend", "/v1/deliveries/dlv_1:resend", "/v1/deliveries/dlv_1:resend"},
		{"/v1/accounts/a%2Fb", "/v1/accounts/a/b", "/v1/accounts/a%2Fb"},
		{"/v1/accounts/a/keys", "/v1/accounts/a/keys", "/v1/accounts/a/keys"},
		{"/v1/accounts/a%2Fb/keys", "/v1/accounts/a/b/keys", "/v1/accounts/a%2Fb/keys"},
		{"/v1/accounts/a%2Fb/keys/k", "/v1/accounts/a/b/keys/k", "/v1/accounts/a%2Fb/keys/k"},
		{"/other%20way", "/other way", "/other%20way"},
		{"//v1/jobs", "//v1/jobs", "//v1/jobs"},
	} {
		call(t, event("GET", c.handedOn), func(_ http.ResponseWriter, r *http.Request) {
			if got := r.URL.EscapedPath(); got != c.want || r.URL.Path != c.handedOn {
				t.Errorf("%s: got %q of %q, want %q", c.sent, got, r.URL.Path, c.want)
			}
		}, patterns...)
	}
}

func TestTheStageIsNoPartOfThePath(t *testing.T) {
	for _, c := range []struct{ stage, handedOn, want string }{
		{"$default", "/v1/jobs", "/v1/jobs"},
		{"", "/v1/jobs", "/v1/jobs"},
		{"dev", "/dev/v1/jobs", "/v1/jobs"},
		{"dev", "/dev", "/"},
		{"dev", "/dev/", "/"},
		{"dev", "/development/v1", "/development/v1"},
		{"dev", "/v1/jobs", "/v1/jobs"}, // behind a custom domain
	} {
		e := event("GET", c.handedOn, func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.Stage = c.stage })
		call(t, e, func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path != c.want {
				t.Errorf("stage %q: %q became %q, want %q", c.stage, c.handedOn, r.URL.Path, c.want)
			}
		})
	}
}

func TestARequestIsWhole(t *testing.T) {
	e := event("POST", "/v1/jobs", func(e *events.APIGatewayV2HTTPRequest) {
		e.RawQueryString = "account=a%26b&limit=5&account=c"
		e.Headers = map[string]string{"host": "hooks.example.com", "authorization": "Bearer k", "idempotency-key": "a, b", "content-type": "application/json"}
		e.Cookies = []string{"one=1", "two=2"}
		e.Body = `{"a":1}`
	})
	call(t, e, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := []string{r.Method, r.Host, r.RemoteAddr, r.RequestURI, string(body), fmt.Sprint(r.ContentLength), fmt.Sprint(r.URL.Query()["account"])}
		want := []string{"POST", "hooks.example.com", "192.0.2.7", "/v1/jobs?account=a%26b&limit=5&account=c", `{"a":1}`, "7", "[a&b c]"}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(r.Header, http.Header{"Authorization": {"Bearer k"}, "Idempotency-Key": {"a, b"}, "Content-Type": {"application/json"}, "Cookie": {"one=1; two=2"}}); diff != "" {
			t.Error(diff)
		}
		if c, err := r.Cookie("two"); err != nil || c.Value != "2" {
			t.Errorf("cookie %v, %v", c, err)
		}
	})
}

func TestABinaryBodyIsDecoded(t *testing.T) {
	binary := string([]byte{0xff, 0x00, 0x01})
	encoded := func(e *events.APIGatewayV2HTTPRequest) {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(binary)), true
	}
	got := call(t, event("POST", "/x", encoded), func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})
	if want := base64.StdEncoding.EncodeToString([]byte(binary)); got.Body != want || !got.IsBase64Encoded {
		t.Errorf("got %q, base64 %t; want %q", got.Body, got.IsBase64Encoded, want)
	}
	broken := func(e *events.APIGatewayV2HTTPRequest) { e.Body, e.IsBase64Encoded = "*", true }
	got = call(t, event("POST", "/x", broken), func(http.ResponseWriter, *http.Request) { t.Error("it was handled") })
	if got.StatusCode != 400 || got.Headers["Content-Type"] != "application/problem+json" {
		t.Errorf("got %+v", got)
	}
}

func TestAnAnswerIsWhole(t *testing.T) {
	got := call(t, event("GET", "/x"), func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "one", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "two", Value: "2"})
		w.Header().Add("Vary", "Accept")
		w.Header().Add("Vary", "Origin")
		w.WriteHeader(201)
		w.WriteHeader(500)
		io.WriteString(w, "<p>")
		io.WriteString(w, "ü")
	})
	want := events.APIGatewayV2HTTPResponse{
		StatusCode: 201, Body: "<p>ü", Cookies: []string{"one=1", "two=2"},
		Headers: map[string]string{"Vary": "Accept, Origin", "Content-Type": "text/html; charset=utf-8"},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
}

func TestAnAnswerWithoutAWordIs200(t *testing.T) {
	got := call(t, event("GET", "/x"), func(http.ResponseWriter, *http.Request) {})
	if got.StatusCode != 200 || got.Body != "" || len(got.Headers) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestHEADIsAnsweredWithoutABody(t *testing.T) {
	got := call(t, event("HEAD", "/x"), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, r.Method)
	})
	if got.StatusCode != 200 || got.Body != "" || got.Headers["Content-Type"] != "application/json" {
		t.Errorf("got %+v", got)
	}
}

func TestAnAnswerThatLambdaWouldRefuseIs413(t *testing.T) {
	for _, c := range []struct {
		unit   string
		length int
		status int
	}{
		{"x", 6<<20 - 1<<10, 200},
		{"x", 6 << 20, 413},
		{`"`, 3 << 20, 413},    // two bytes each in JSON
		{"\xff", 5 << 20, 413}, // four bytes for three in base64
		{"<", 5 << 20, 200},    // written as it is
	} {
		got := call(t, event("GET", "/x"), func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Repeat(c.unit, c.length))
		})
		if got.StatusCode != c.status {
			t.Errorf("%d times %q: %d, want %d", c.length, c.unit, got.StatusCode, c.status)
		}
		if c.status == 413 && !json.Valid([]byte(got.Body)) {
			t.Errorf("%d times %q: answer %.100q, want a problem", c.length, c.unit, got.Body)
		}
	}
}
