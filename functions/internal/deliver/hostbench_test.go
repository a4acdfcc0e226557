package deliver_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/httpsend"
	"github.com/jobhook/jobhook/shared/webhook"
)

// trip is the way to the benchmark's receiver and back.
const trip = 20 * time.Millisecond

// BenchmarkBatchToOneHost measures a batch of first webhooks to one host that
// there is no connection to: all at once, and one ahead of the others, which
// follow when it has connected. It prints the handshakes, the processor's time
// of both sides, and how long the batch took.
func BenchmarkBatchToOneHost(b *testing.B) {
	for _, protocol := range []string{"h1", "h2"} {
		receiver := newReceiver(b, protocol == "h2")
		for _, size := range []int{10, 100} {
			for _, way := range []string{"at-once", "one-ahead"} {
				b.Run(protocol+"/"+way+"/"+map[int]string{10: "10", 100: "100"}[size], func(b *testing.B) {
					receiver.handshakes.Store(0)
					before := processorTime()
					for b.Loop() {
						client := httpsend.New(httpsend.Options{AllowPrivate: true})
						if way == "at-once" {
							postAll(client, receiver.URL, size, nil)
						} else {
							oneAhead(client, receiver.URL, size)
						}
						client.CloseIdle()
					}
					n := float64(b.N)
					b.ReportMetric(float64(receiver.handshakes.Load())/n, "handshakes/op")
					b.ReportMetric(float64((processorTime()-before).Microseconds())/n, "cpu-us/op")
				})
			}
		}
	}
}

func postAll(client *httpsend.Client, url string, n int, connected func()) {
	var wait sync.WaitGroup
	for range n {
		wait.Go(func() { post(context.Background(), client, url) })
	}
	wait.Wait()
}

func post(ctx context.Context, client *httpsend.Client, url string) {
	if r, _ := client.Post(ctx, webhook.Request{URL: url, Body: []byte("{}"), Timeout: 10 * time.Second}); r.Status != 200 {
		panic(r.Summary())
	}
}

func oneAhead(client *httpsend.Client, url string, n int) {
	connected := make(chan struct{})
	var once sync.Once
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { once.Do(func() { close(connected) }) }})
	var wait sync.WaitGroup
	wait.Go(func() { post(ctx, client, url) })
	<-connected
	wait.Go(func() { postAll(client, url, n-1, nil) })
	wait.Wait()
}

type receiver struct {
	*httptest.Server
	handshakes atomic.Int64
}

func newReceiver(b *testing.B, http2 bool) *receiver {
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r.Listener = &farListener{r.Listener}
	r.EnableHTTP2 = http2
	r.TLS = &tls.Config{VerifyConnection: func(tls.ConnectionState) error { r.handshakes.Add(1); return nil }}
	r.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of every handshake that the client gives up
	r.StartTLS()
	b.Cleanup(r.Close)
	file := filepath.Join(b.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}), 0o600); err != nil {
		b.Fatal(err)
	}
	b.Setenv("SSL_CERT_FILE", file) // the client knows no certificates but the system's
	return r
}

// farListener accepts connections whose bytes take a trip to arrive.
type farListener struct{ net.Listener }

func (l *farListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &farConn{conn}, err
}

type farConn struct{ net.Conn }

func (c *farConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	<-time.After(trip)
	return n, err
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
