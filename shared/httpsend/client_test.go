package httpsend

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

// long is a timeout that no test should meet.
const long = 20 * time.Second

func newClient(tb testing.TB, o Options) *Client {
	o.AllowPrivate = true
	c := New(o)
	tb.Cleanup(c.CloseIdle)
	return c
}

// trust makes the client take one authority's certificates, and no other's.
func (c *Client) trust(authority *x509.Certificate) {
	c.dialer.tls.RootCAs = x509.NewCertPool()
	c.dialer.tls.RootCAs.AddCert(authority)
}

func serve(tb testing.TB, handler http.HandlerFunc) string {
	s := httptest.NewServer(handler)
	tb.Cleanup(s.Close)
	return s.URL
}

func post(tb testing.TB, c *Client, url string) (webhook.Result, webhook.Timing) {
	tb.Helper()
	return c.Post(tb.Context(), webhook.Request{URL: url, ContentType: "application/json", Body: []byte(`{"a":1}`), Timeout: long})
}

func TestRequestCarriesWhatItWasGivenAndNothingElse(t *testing.T) {
	type seen struct {
		Method, Path, Body string
		Header             http.Header
	}
	got := make(chan seen, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- seen{r.Method, r.URL.RequestURI(), string(body), r.Header}
	})
	given := http.Header{"Webhook-Id": {"evt_1"}, "Webhook-Signature": {"v1,a v1,b"}}
	c := newClient(t, Options{})
	result, _ := c.Post(t.Context(), webhook.Request{URL: url + "/hook?a=b", ContentType: "application/json", Header: given, Body: []byte("{}")})

	if result.Status != 200 || result.Failure != "" {
		t.Fatalf("result = %+v, want status 200", result)
	}
	want := seen{"POST", "/hook?a=b", "{}", http.Header{
		"Webhook-Id":        {"evt_1"},
		"Webhook-Signature": {"v1,a v1,b"},
		"Content-Type":      {"application/json"},
		"Content-Length":    {"2"},
		"User-Agent":        {"Jobhook/1.0"},
	}}
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if len(given) != 2 {
		t.Errorf("the caller's headers became %v", given)
	}
}

func TestUserAgentCanBeChosen(t *testing.T) {
	got := make(chan string, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.UserAgent() })
	post(t, newClient(t, Options{UserAgent: "Acme/2"}), url)
	if ua := <-got; ua != "Acme/2" {
		t.Errorf("User-Agent = %q, want Acme/2", ua)
	}
}

// Local hosts never go through a proxy, so only the setting can be looked at.
func TestProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	if proxy := New(Options{}).transport.Proxy; proxy != nil {
		t.Error("the transport has a proxy function")
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	requests := make(chan string, 2)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests <- r.URL.Path
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	result, _ := post(t, newClient(t, Options{}), url+"/hook")
	if got := result.Header.Get("Location"); result.Status != 302 || got != "/elsewhere" {
		t.Errorf("status %d to %q, want 302 to /elsewhere", result.Status, got)
	}
	if len(requests) != 1 {
		t.Errorf("%d requests, want 1", len(requests))
	}
}

func TestAnswerIsCutAtFourKiB(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 1 << 10 {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<10)); err != nil {
				return
			}
		}
	})
	result, _ := post(t, newClient(t, Options{}), url)
	if result.Status != 200 || len(result.Body) != webhook.MaxBodyRead {
		t.Errorf("status %d with %d bytes, want 200 with %d", result.Status, len(result.Body), webhook.MaxBodyRead)
	}
}

func TestGzipIsNeitherAskedForNorDecoded(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte("hello"))
	z.Close()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, asked := r.Header["Accept-Encoding"]; asked {
			w.WriteHeader(http.StatusBadRequest)
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(packed.Bytes())
	})
	result, _ := post(t, newClient(t, Options{}), url)
	if result.Status != 200 || !bytes.Equal(result.Body, packed.Bytes()) {
		t.Errorf("status %d, body %q; want 200 and the packed bytes", result.Status, result.Body)
	}
}

func TestRetryAfterIsRead(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	result, _ := post(t, newClient(t, Options{}), url)
	if result.Status != 503 || result.RetryAfter != 2*time.Minute {
		t.Errorf("status %d after %s, want 503 after 2m", result.Status, result.RetryAfter)
	}
}

func TestInformationalAnswersAreSkipped(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusNoContent)
	})
	result, _ := post(t, newClient(t, Options{}), url)
	if result.Status != 204 || result.Body != nil {
		t.Errorf("result = %+v, want 204 without a body", result)
	}
}

func TestReceiverMayAnswerBeforeItReadTheBody(t *testing.T) {
	answered := make(chan struct{})
	url := listen(t, func(c conn) {
		c.readHead()
		c.write("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")
		<-answered
	})
	defer close(answered)
	c := newClient(t, Options{})
	result, _ := c.Post(t.Context(), webhook.Request{URL: url, Body: make([]byte, 32<<20), Timeout: long})
	if result.Status != 202 || string(result.Body) != "ok" {
		t.Errorf("result = %+v, want 202 ok", result)
	}
}

func TestShortAnswersKeepTheConnection(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no body": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"length":  func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") },
		"chunked": func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); io.WriteString(w, "ok") },
		"exactly 4 KiB": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4096")
			io.WriteString(w, strings.Repeat("x", 4096))
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, answer)
			c := newClient(t, Options{})
			_, first := post(t, c, url)
			_, second := post(t, c, url)
			if first.Connect == 0 || first.Total == 0 || first.FirstByte == 0 {
				t.Errorf("first: %+v, want connect, first byte and total", first)
			}
			if second.Connect != 0 || second.DNS != 0 || second.Total == 0 || second.FirstByte == 0 {
				t.Errorf("second: %+v, want no connect", second)
			}
		})
	}
}

func TestHTTPSIsTimedAndMultiplexed(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	c := newClient(t, Options{MaxSockets: 2})
	c.trust(s.Certificate())

	result, first := post(t, c, s.URL)
	if string(result.Body) != "HTTP/2.0" || first.TLS == 0 || first.Connect == 0 || first.DNS != 0 {
		t.Errorf("first: %+v, %+v; want HTTP/2.0 over a new connection to a literal address", result, first)
	}
	result, second := post(t, c, s.URL)
	if string(result.Body) != "HTTP/2.0" || second.TLS != 0 || second.Connect != 0 {
		t.Errorf("second: %+v, %+v; want HTTP/2.0 over the same connection", result, second)
	}
}

func TestIdleConnectionsGiveWayWhenSocketsAreScarce(t *testing.T) {
	c := newClient(t, Options{MaxSockets: 1})
	one, two := serve(t, func(http.ResponseWriter, *http.Request) {}), serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, url := range []string{one, two, one, two} {
		if result, timing := post(t, c, url); result.Status != 200 || timing.Connect == 0 {
			t.Errorf("result = %+v after %+v, want 200 over a new connection", result, timing)
		}
	}
}

func TestDialWaitsForAFreeSocket(t *testing.T) {
	c := newClient(t, Options{MaxSockets: 1})
	entered, leave := make(chan struct{}), make(chan struct{})
	busy := serve(t, func(http.ResponseWriter, *http.Request) { close(entered); <-leave })
	other := serve(t, func(http.ResponseWriter, *http.Request) {})

	results := make(chan webhook.Result, 2)
	send := func(url string) { result, _ := post(t, c, url); results <- result }
	go send(busy)
	<-entered

	late, _ := c.Post(t.Context(), webhook.Request{URL: other, Timeout: unhurried})
	if want := (webhook.Result{Failure: webhook.FailureOurs, Code: "EMFILE", Detail: "no free connection on our side"}); !cmp.Equal(late, want) {
		t.Errorf("without a free socket: %+v, want %+v", late, want)
	}

	go send(other)
	for c.dialer.waiting.Load() == 0 {
		runtime.Gosched()
	}
	close(leave)
	for range 2 {
		if result := <-results; result.Status != 200 {
			t.Errorf("result = %+v, want 200", result)
		}
	}
}

func BenchmarkPost(b *testing.B) {
	url := serve(b, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "ok")
	})
	c := newClient(b, Options{})
	r := webhook.Request{
		URL:         url,
		ContentType: "application/json",
		Header:      http.Header{"Webhook-Id": {"evt_1"}, "Webhook-Timestamp": {"1"}, "Webhook-Signature": {"v1,x"}},
		Body:        bytes.Repeat([]byte("x"), 1<<10),
		Timeout:     5 * time.Second,
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if result, _ := c.Post(context.Background(), r); result.Status != 200 {
				b.Fatal(result)
			}
		}
	})
}

// discardLog quiets a test server that reports what its clients do wrong.
func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
