package secrecy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/child"
	// What the binary is made of, so that no result of another one is taken from the cache.
	_ "github.com/jobhook/jobhook/functions/internal/dispatch"
	_ "github.com/jobhook/jobhook/functions/internal/export"
	_ "github.com/jobhook/jobhook/functions/internal/host"
	_ "github.com/jobhook/jobhook/functions/internal/notify"
	_ "github.com/jobhook/jobhook/functions/internal/site"
	_ "github.com/jobhook/jobhook/functions/internal/sweep"
	_ "github.com/jobhook/jobhook/shared/httpsend"
	_ "github.com/jobhook/jobhook/shared/sqlite"
)

// binary is the built program; TestMain builds it.
var binary string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "jobhook-secrecy-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "standalone")
	if err := child.Build(context.Background(), binary); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// product is the running standalone process and all that it ever said.
type product struct {
	t      *testing.T
	data   string // its folder
	key    string // the operator's
	child  *child.Child
	output *output

	mu    sync.Mutex // of what is heard: webhooks come when they like
	heard []answer
}

// output takes what the process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// answer is one of the API's, or a webhook that came.
type answer struct {
	asked  string // method and path
	by     string // whose key asked; empty: nobody's
	status int
	text   string // headers and body
	body   []byte
}

// newProduct runs the product on an empty folder.
func newProduct(t *testing.T, operatorKey string) *product {
	t.Helper()
	p := &product{t: t, data: t.TempDir(), key: operatorKey, output: &output{}}
	p.start()
	return p
}

// start runs the product, with everything logged.
func (p *product) start() {
	p.t.Helper()
	c, err := child.Start(p.t.Context(), binary, p.data, child.Options{OperatorKey: p.key, Log: p.output,
		Flags: []string{"--log-level", "debug", "--log-format", "text", "--rate", "100000"}})
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.output)
	}
	p.child = c
	p.t.Cleanup(c.Kill)
}

// stop ends the product, so that all it had to say has been said.
func (p *product) stop() { p.child.Stop() }

// eventually waits until the condition holds, for at most a minute.
func (p *product) eventually(what string, condition func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.t.Fatalf("not within a minute: %s\n%s", what, p.output)
		}
	}
}

// caller makes requests with one key.
type caller struct {
	p    *product
	name string
	key  string // empty: none
}

// send makes a request and keeps the answer. Further headers come in pairs.
func (c caller) send(method, path, body string, header ...string) answer {
	c.p.t.Helper()
	r, err := http.NewRequestWithContext(c.p.t.Context(), method, "http://"+c.p.child.Addr+path, strings.NewReader(body))
	if err != nil {
		c.p.t.Fatal(err)
	}
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		c.p.t.Fatalf("%s %s: %v\n%s", method, path, err, c.p.output)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	resp.Header.Write(&text)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.p.t.Fatalf("%s %s: %v", method, path, err)
	}
	text.Write(b)
	a := answer{asked: method + " " + path, by: c.name, status: resp.StatusCode, text: text.String(), body: b}
	c.p.hear(a)
	return a
}

// hear keeps what was said.
func (p *product) hear(a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, a)
}

// hasHeard tells whether an answer, or a webhook, of that name has come.
func (p *product) hasHeard(asked string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.heard, func(a answer) bool { return a.asked == asked })
}

// must is send for a request that has to succeed. It returns the answer's
// members.
func (c caller) must(method, path, body string, header ...string) map[string]any {
	c.p.t.Helper()
	a := c.send(method, path, body, header...)
	if a.status >= 300 {
		c.p.t.Fatalf("%s: %d %s", a.asked, a.status, a.body)
	}
	var members map[string]any
	if len(a.body) > 0 {
		if err := json.Unmarshal(a.body, &members); err != nil {
			c.p.t.Fatalf("%s: %v: %s", a.asked, err, a.body)
		}
	}
	return members
}

// ids lists what a list has.
func (c caller) ids(path string) (all []string) {
	c.p.t.Helper()
	items, _ := c.must("GET", path, "")["items"].([]any)
	for _, item := range items {
		id, _ := item.(map[string]any)["id"].(string)
		all = append(all, id)
	}
	return all
}

// raw is a receiver that answers every request with the same bytes.
func raw(t *testing.T, text string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				r := make([]byte, 64<<10)
				if _, err := c.Read(r); err != nil {
					return
				}
				io.WriteString(c, text)
				c.SetDeadline(time.Now().Add(30 * time.Second))
				io.Copy(io.Discard, c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return "http://" + l.Addr().String()
}
