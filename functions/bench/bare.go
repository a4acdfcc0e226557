package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

// The load of the bare client.
const (
	bareConnections = 64
	bareTime        = 5 * time.Second
)

// bareFigures are what a plain net/http client reaches: the limit.
type bareFigures struct {
	PostsPerS   float64 `json:"posts_per_s"`
	CPUsPer1000 float64 `json:"cpu_s_per_1000"`
	BodyBytes   int     `json:"body_bytes"`
}

// measureBare runs the client in a process of its own, so that its CPU time
// can be told from the receiver's.
func measureBare(ctx context.Context) (b bareFigures, err error) {
	receivers, err := listen(&ledger{clock: clock{time.Now()}, plan: plan{endpoints: 1}})
	if err != nil {
		return b, err
	}
	defer receivers.close()
	self, err := os.Executable()
	if err != nil {
		return b, err
	}
	cmd := exec.CommandContext(ctx, self, "-bare-client", receivers.urls[0])
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return b, fmt.Errorf("bare client: %w", err)
	}
	return b, json.Unmarshal(out, &b)
}

// runBare is the client's process. It prints its figures.
func runBare(ctx context.Context, url string, out io.Writer) error {
	body, err := sampleBody()
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: bareConnections, DisableCompression: true}
	client, secrets := &http.Client{Transport: transport}, []webhook.Secret{webhook.NewSecret()}
	ctx, stop := context.WithTimeout(ctx, bareTime)
	defer stop()
	var posts atomic.Int64
	var wait sync.WaitGroup
	cpu, begun := ownCPU(), time.Now()
	for range bareConnections {
		wait.Go(func() {
			for ctx.Err() == nil {
				if err := post(client, url, secrets, body); err == nil {
					posts.Add(1)
				}
			}
		})
	}
	wait.Wait()
	n := float64(posts.Load())
	if n == 0 {
		return fmt.Errorf("no POST to %s succeeded", url)
	}
	return json.NewEncoder(out).Encode(bareFigures{
		PostsPerS: n / time.Since(begun).Seconds(), CPUsPer1000: (ownCPU() - cpu).Seconds() / n * 1000, BodyBytes: len(body),
	})
}

func post(client *http.Client, url string, secrets []webhook.Secret, body []byte) error {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if err := webhook.Sign(req.Header, secrets, "evt_01jzbench000000000000000000", time.Now(), body); err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// sampleBody is a body such as the standalone host sends.
func sampleBody() ([]byte, error) {
	id := make([]byte, idLength)
	putID(id, 0)
	f, _ := format.Lookup(format.Standard)
	body, err := f.Encode(webhook.Event{
		ID: "evt_sample", Type: webhook.JobFinished, At: time.Now(),
		Record: storedRecord(accountName(0), string(id), time.Now()),
	}, "http://127.0.0.1:40000")
	return body.Bytes, err
}

// ownCPU is the CPU time of this process, user and system.
func ownCPU() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
