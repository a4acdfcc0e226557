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
	"sync"
	"syscall"
	"time"

	"github.com/jobhook/jobhook/functions/internal/child"
)

// readsName is the scenario of customers who look: one account has all stored
// deliveries, which is the worst case.
const readsName = "reads-1m"

// The load of the readers: requests a second, whether or not those before are
// answered, and how long.
const (
	readRate = 200
	readTime = 20 * time.Second
)

// readFigures are the latencies of reads, from the due time to the whole answer.
type readFigures struct {
	Stored   int                  `json:"stored"`
	PrefillS float64              `json:"prefill_s"`
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
	r := &readers{child: c, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}, all: newHistogram(), routes: map[string]*histogram{}}
	paths, err := r.paths(ctx)
	if err != nil {
		return f, err
	}
	r.read(ctx, paths)
	f.Requests, f.Errors = r.requests, r.errors
	f.P50ms, f.P99ms, f.MaxMs = r.all.ms(50), r.all.ms(99), r.all.ms(100)
	f.Routes = map[string]readRoute{}
	for name, h := range r.routes {
		f.Routes[name] = readRoute{h.ms(50), h.ms(99)}
	}
	if r.errors > 0 {
		return f, fmt.Errorf("%d reads failed, the last one: %w", r.errors, r.last)
	}
	return f, nil
}

// readers read, and remember how long it took.
type readers struct {
	child  *child.Child
	client *http.Client

	lock     sync.Mutex
	all      *histogram
	routes   map[string]*histogram
	requests int
	errors   int
	last     error
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

// read sends requests at a fixed rate.
func (r *readers) read(ctx context.Context, paths []readPath) {
	var wait sync.WaitGroup
	defer wait.Wait()
	begun, interval := time.Now(), time.Second/readRate
	for i := range int(readTime / interval) {
		due := begun.Add(time.Duration(i) * interval)
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return
		}
		p := paths[i%len(paths)]
		wait.Go(func() {
			_, err := r.get(ctx, p.path)
			r.note(p.name, time.Since(due), err)
		})
	}
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
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.child.Addr+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+child.OperatorKey)
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: answer %d: %.200s", path, resp.StatusCode, body)
	}
	return body, err
}
