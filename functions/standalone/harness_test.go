package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/freeport"
)

// operatorKey is given to every server under test.
const operatorKey = "jh_live_e2eoperator000000_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

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
	dir, err := os.MkdirTemp("", "jobhook-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "standalone")
	if out, err := exec.Command("go", "build", raceFlag, "-o", binary, ".").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// server is a running standalone process.
type server struct {
	url    string
	data   string
	cmd    *exec.Cmd
	output *lockedBuffer
	exited chan struct{}
	err    error // of the process, once exited is closed
}

// lockedBuffer takes the output of a process.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// freeAddr returns an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := freeport.Addr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// start starts a server on the folder and waits until it answers.
func start(t *testing.T, data string, args ...string) *server {
	t.Helper()
	s := launch(t, data, args...)
	if err := s.ready(t.Context()); err != nil {
		t.Fatalf("server: %v\n%s", err, s.output)
	}
	return s
}

// launch starts a server and does not wait for it.
func launch(t *testing.T, data string, args ...string) *server {
	t.Helper()
	addr := freeAddr(t)
	s := &server{url: "http://" + addr, data: data, output: &lockedBuffer{}, exited: make(chan struct{})}
	s.cmd = exec.Command(binary, append([]string{"--addr", addr, "--data", data, "--allow-private", "--log-level", "info"}, args...)...)
	s.cmd.Env = append(os.Environ(), "JOBHOOK_OPERATOR_KEY="+operatorKey)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(s.kill)
	return s
}

// ready waits until the server answers, for at most a minute.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/healthz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("it ended: %w", s.err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// kill ends the server at once, as a crash would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may have ended already
	<-s.exited
}

// stop ends the server gracefully and returns its exit error.
func (s *server) stop(t *testing.T) error {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-s.exited
	return s.err
}

// call makes an API request and decodes the answer into out, if that is not nil.
func (s *server) call(ctx context.Context, method, path string, body, out any) (status int, err error) {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		reader = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, reader)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+operatorKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode >= 300 {
		return resp.StatusCode, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, raw)
	}
	if out == nil || len(raw) == 0 {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(raw, out)
}

func (s *server) must(t *testing.T, method, path string, body, out any) {
	t.Helper()
	if _, err := s.call(t.Context(), method, path, body, out); err != nil {
		t.Fatalf("%v\n%s", err, s.output)
	}
}

// object is a JSON object.
type object = map[string]any

// account makes an account.
func (s *server) account(t *testing.T, id string) {
	t.Helper()
	s.must(t, "PUT", "/v1/accounts/"+id, object{"name": id}, nil)
}

// endpoint makes a signed endpoint of the standard format and returns its id and secret.
func (s *server) endpoint(t *testing.T, account, url string, policy object) (id, secret string) {
	t.Helper()
	var made struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	}
	s.must(t, "POST", "/v1/endpoints?account="+account, object{"url": url, "format": "standard", "policy": policy}, &made)
	return made.ID, made.Secret
}

// delivery is a delivery as the API shows it.
type delivery struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Reason   string `json:"reason"`
	JobID    string `json:"job_id"`
	Attempts []struct {
		Status int  `json:"status"`
		Late   bool `json:"late"`
	} `json:"attempts"`
}

// deliveries lists all deliveries of an account in a state, or in any with "".
func (s *server) deliveries(t *testing.T, account, state string) (all []delivery) {
	t.Helper()
	after := ""
	for {
		var page struct {
			Items []delivery `json:"items"`
			Next  string     `json:"next"`
		}
		s.must(t, "GET", "/v1/deliveries?limit=250&account="+account+"&state="+state+"&after="+after, nil, &page)
		if all = append(all, page.Items...); page.Next == "" {
			return all
		}
		after = page.Next
	}
}

// receiver is a server that takes webhooks.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []hook
	answer func(h hook, n int) int // n counts the requests of that webhook-id, from 1
	seen   map[string]int
	news   chan struct{}
}

// hook is a webhook as it arrived.
type hook struct {
	id     string
	path   string
	header http.Header
	body   []byte
	status int // our answer
}

// newReceiver answers 200 unless answer says otherwise; 0 never answers.
func newReceiver(t *testing.T, answer func(h hook, n int) int) *receiver {
	t.Helper()
	r := &receiver{answer: answer, seen: map[string]int{}, news: make(chan struct{}, 1)}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender was killed
	}
	h := hook{id: req.Header.Get("webhook-id"), path: req.URL.Path, header: req.Header, body: body, status: 200}
	r.mu.Lock()
	r.seen[h.id]++
	if r.answer != nil {
		h.status = r.answer(h, r.seen[h.id])
	}
	r.got = append(r.got, h)
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
	if h.status == 0 {
		<-req.Context().Done()
		return
	}
	w.WriteHeader(h.status)
}

// all returns what has arrived.
func (r *receiver) all() []hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]hook(nil), r.got...)
}

// eventually waits until the condition holds, for at most a minute.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// exitCode returns the code that a process ended with.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func contains(s *server, text string) bool { return strings.Contains(s.output.String(), text) }
