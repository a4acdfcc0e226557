package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jobhook/jobhook/functions/internal/child"
)

// readsName is the scenario of customers who look: one account has all stored
// deliveries, which is the worst case.
const readsName = "reads-1m"

// The load of the readers: requests a second, whether or not those before are
// answered, and how long; to the API, and then to the pages of the dashboard.
const (
	readRate = 200
	pageRate = 25
	readTime = 20 * time.Second
)

// readFigures are the latencies of reads, from the due time to the whole answer.
type readFigures struct {
	Stored   int          `json:"stored"`
	PrefillS float64      `json:"prefill_s"`
	Pages    *pageFigures `json:"pages,omitempty"`
	latencies
}

// pageFigures are the latencies of the dashboard's pages, and how large they are.
type pageFigures struct {
	FirstBytes int `json:"first_bytes"` // compressed, of the first page of a visit
	latencies
}

// latencies are those of many requests.
type latencies struct {
	Requests int                  `json:"requests"`
	Errors   int                  `json:"errors"`
	P50ms    float64              `json:"p50_ms"`
	P99ms    float64              `json:"p99_ms"`
	MaxMs    float64              `json:"max_ms"`
	Routes   map[string]readRoute `json:"routes"`
}

type readRoute struct {
	P50ms float64 `json:"p50_ms"`
	P99ms float64 `json:"p99_ms"`
}

// measureReads stores o.prefill deliveries and reads them.
func measureReads(ctx context.Context, o options, binary string) (f readFigures, err error) {
	folder := filepath.Join(o.data, readsName)
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o700)); err != nil {
		return f, err
	}
	if !o.keep {
		defer os.RemoveAll(folder)
	}
	begun := time.Now()
	if err := prefill(ctx, folder, o.prefill, 1); err != nil {
		return f, fmt.Errorf("prefill: %w", err)
	}
	syscall.Sync()
	f.Stored, f.PrefillS = o.prefill, time.Since(begun).Seconds()
	c, err := child.Start(ctx, binary, folder, child.Options{})
	if err != nil {
		return f, err
	}
	defer c.Stop()
	r := newReaders(c, "Authorization", "Bearer "+child.OperatorKey)
	paths, err := r.paths(ctx)
	if err != nil {
		return f, err
	}
	f.latencies = r.read(ctx, paths, readRate)
	if err := r.failure(); err != nil {
		return f, err
	}
	f.Pages, err = r.measurePages(ctx, paths)
	return f, err
}

// measurePages opens the dashboard and looks at its pages.
func (r *readers) measurePages(ctx context.Context, seen []readPath) (*pageFigures, error) {
	var session struct {
		Key string `json:"key"`
	}
	if _, err := r.send(ctx, http.MethodPut, "/v1/accounts/"+accountName(0)); err != nil {
		return nil, fmt.Errorf("account: %w", err) // what was stored is of accounts that nobody wrote
	}
	body, err := r.send(ctx, http.MethodPost, "/v1/sessions")
	if err == nil {
		err = json.Unmarshal(body, &session)
	}
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	p := newReaders(r.child, "Cookie", "jobhook_session="+session.Key)
	f := &pageFigures{}
	if f.FirstBytes, err = p.firstBytes(ctx); err != nil {
		return nil, err
	}
	f.latencies = p.read(ctx, pagePaths(seen), pageRate)
	return f, p.failure()
}

// pagePaths are the pages that show what was read.
func pagePaths(seen []readPath) []readPath {
	account := "account=" + accountName(0)
	paths := []readPath{{"overview", "/?" + account}, {"endpoints", "/endpoints?" + account}, {"settings", "/settings?" + account}, {"operator", "/operator"}}
	for _, s := range seen {
		if path, ok := strings.CutPrefix(s.path, "/v1"); ok && s.name != "a job" {
			paths = append(paths, readPath{s.name, path})
		}
	}
	return paths
}

// firstBytes is the size of what the first page of a visit loads, compressed.
func (r *readers) firstBytes(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.child.Addr+"/?account="+accountName(0), nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set(r.header, r.value)
	req.Header.Set("Accept-Encoding", "gzip") // so that it is left as it comes
	resp, err := r.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Encoding") != "gzip") {
		err = fmt.Errorf("the first page: answer %d, encoded as %q", resp.StatusCode, resp.Header.Get("Content-Encoding"))
	}
	return int(n), err
}

// readers read, and remember how long it took.
type readers struct {
	child         *child.Child
	client        *http.Client
	header, value string // that let them in

	lock     sync.Mutex
	all      *histogram
	routes   map[string]*histogram
	requests int
	errors   int
	last     error
}

func newReaders(c *child.Child, header, value string) *readers {
	return &readers{child: c, client: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // to the sign-in page is no page
	}, header: header, value: value,
		all: newHistogram(), routes: map[string]*histogram{}}
}

// figures are those of what was read so far.
func (r *readers) figures() latencies {
	l := latencies{Requests: r.requests, Errors: r.errors, P50ms: r.all.ms(50), P99ms: r.all.ms(99), MaxMs: r.all.ms(100), Routes: map[string]readRoute{}}
	for name, h := range r.routes {
		l.Routes[name] = readRoute{h.ms(50), h.ms(99)}
	}
	return l
}

// failure is what went wrong, if anything.
func (r *readers) failure() error {
	if r.errors == 0 {
		return nil
	}
	return fmt.Errorf("%d reads failed, the last one: %w", r.errors, r.last)
}

// readPath is one thing that customers look at.
type readPath struct{ name, path string }

// paths are the reads, in turn: lists with each filter, few or many rows of
// which match, a page in the middle, and single objects.
func (r *readers) paths(ctx context.Context) ([]readPath, error) {
	account := "account=" + accountName(0)
	var page struct {
		Items []struct {
			ID      string `json:"id"`
			EventID string `json:"event_id"`
			JobID   string `json:"job_id"`
		} `json:"items"`
		Next string `json:"next"`
	}
	body, err := r.get(ctx, "/v1/deliveries?limit=50&"+account)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &page); err != nil || len(page.Items) == 0 {
		return nil, fmt.Errorf("no deliveries to read: %.200s, %w", body, err)
	}
	one := page.Items[len(page.Items)-1]
	list := "/v1/deliveries?" + account
	return []readPath{
		{"deliveries", list},
		{"deliveries, next page", list + "&after=" + url.QueryEscape(page.Next)},
		{"deliveries, delivered", list + "&state=delivered"},
		{"deliveries, exhausted (none)", list + "&state=exhausted"},
		{"deliveries, 5xx (none)", list + "&status_class=5xx"},
		{"deliveries of a job", list + "&job=" + url.QueryEscape(one.JobID)},
		{"a delivery", "/v1/deliveries/" + one.ID + "?" + account},
		{"events", "/v1/events?" + account},
		{"an event", "/v1/events/" + one.EventID + "?" + account},
		{"jobs", "/v1/jobs?" + account},
		{"a job", "/v1/jobs/" + url.PathEscape(one.JobID) + "?" + account},
	}, nil
}

// read sends requests at a fixed rate a second.
func (r *readers) read(ctx context.Context, paths []readPath, rate int) latencies {
	var wait sync.WaitGroup
	begun, interval := time.Now(), time.Second/time.Duration(rate)
	for i := 0; i < int(readTime/interval) && ctx.Err() == nil; i++ {
		due := begun.Add(time.Duration(i) * interval)
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
		}
		p := paths[i%len(paths)]
		wait.Go(func() {
			_, err := r.get(ctx, p.path)
			r.note(p.name, time.Since(due), err)
		})
	}
	wait.Wait()
	return r.figures()
}

func (r *readers) note(name string, d time.Duration, err error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.requests++; err != nil {
		r.errors, r.last = r.errors+1, err
		return
	}
	h := r.routes[name]
	if h == nil {
		h = newHistogram()
		r.routes[name] = h
	}
	h.add(int64(d))
	r.all.add(int64(d))
}

func (r *readers) get(ctx context.Context, path string) ([]byte, error) {
	return r.send(ctx, http.MethodGet, path)
}

func (r *readers) send(ctx context.Context, method, path string) ([]byte, error) {
	var content io.Reader
	if method == http.MethodPut {
		content = strings.NewReader("{}")
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.child.Addr+path, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set(r.header, r.value)
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: answer %d: %.200s", method, path, resp.StatusCode, body)
	}
	return body, err
}
