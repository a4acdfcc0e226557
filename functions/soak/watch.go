package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// sample is what the process held at a moment.
type sample struct {
	MiB        float64
	Files      int
	Goroutines int
	StoreMiB   float64
}

const sampleEvery = 5 * time.Second

func (s *soak) watch(load context.Context) {
	for pause(load, sampleEvery) {
		s.take()
	}
}

// take adds a sample, unless the process is away.
func (s *soak) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return
	}
	usage, err := s.process.Usage()
	if err != nil {
		return // it is just ending
	}
	n, err := goroutines(s.debug)
	if err != nil {
		return
	}
	s.samples = append(s.samples, sample{usage.MiB, usage.Files, n, sizeOf(s.data)})
}

// goroutines asks the process for the first line of its goroutine profile.
func goroutines(addr string) (n int, err error) {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + addr + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscanf(line, "goroutine profile: total %d", &n)
	return n, err
}

// sizeOf is how much the database has on disk.
func sizeOf(folder string) float64 {
	total := int64(0)
	files, _ := filepath.Glob(filepath.Join(folder, "jobhook.db*")) // the pattern is well formed
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			total += info.Size()
		}
	}
	return float64(total) / (1 << 20)
}

// books are what the soak wants of a ledger.
type books struct {
	CheckedAt  time.Time      `json:"checked_at"`
	Accepted   int            `json:"accepted"`
	Uncounted  int            `json:"uncounted"`
	Difference int            `json:"difference"`
	States     map[string]int `json:"states"`
}

// ledger asks for the last check of all accounts together.
func (s *soak) ledger(ctx context.Context) (b books, err error) {
	answer, err := s.patiently(ctx, http.MethodGet, "/v1/ledger")
	if err != nil {
		return b, err
	}
	return b, json.Unmarshal(answer, &b)
}

// checked waits for a check of the ledger that began when the load was over:
// the first of a process comes a minute after its start.
func (s *soak) checked(ctx context.Context) error {
	for {
		b, err := s.ledger(ctx)
		if err != nil {
			return err
		}
		if b.CheckedAt.After(s.loadOver) {
			s.books = b
			return nil
		}
		if !pause(ctx, time.Second) {
			return fmt.Errorf("the ledger was not checked after the load: %w", ctx.Err())
		}
	}
}

// balance tells whether the books balance.
func (b books) balance() promise {
	total := 0
	for _, n := range b.States {
		total += n
	}
	return promise{"the ledger balances",
		fmt.Sprintf("accepted %d, uncounted %d, in all states %d, difference %d, checked at %s", b.Accepted, b.Uncounted, total, b.Difference, b.CheckedAt.UTC().Format(time.TimeOnly)),
		!b.CheckedAt.IsZero() && b.Difference == 0 && b.Accepted+b.Uncounted == total}
}
