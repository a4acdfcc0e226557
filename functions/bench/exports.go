package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// exportName is the scenario of one large result set.
const exportName = "export-1g"

// The set: records such as a search gives, uploaded in parts.
const (
	exportRecordBytes = 5300
	exportPartRecords = 10_000
	exportPatience    = 15 * time.Minute
)

// exportFigures are what it took to make all files of a set, and to take it in.
type exportFigures struct {
	Records   int     `json:"records"`
	MiB       float64 `json:"mib"`
	UploadMBs float64 `json:"upload_mb_per_cpu_s"` // megabytes for each second of a processor
	ExportMBs float64 `json:"export_mb_per_cpu_s"` // all three formats with their archives
	Seconds   float64 `json:"export_seconds"`
	IdleMiB   float64 `json:"idle_mib"`
	PeakMiB   float64 `json:"peak_mib"` // of upload and export
}

// measureExport uploads o.exported records, ends their run, and waits for the
// result set.
func measureExport(ctx context.Context, o options, binary string) (f exportFigures, err error) {
	ctx, cancel := context.WithTimeout(ctx, exportPatience)
	defer cancel()
	folder := filepath.Join(o.data, exportName)
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o700)); err != nil {
		return f, err
	}
	if !o.keep {
		defer os.RemoveAll(folder)
	}
	c, err := start(ctx, binary, folder)
	if err != nil {
		return f, err
	}
	defer c.stop()
	if err := c.call(ctx, "PUT", "/v1/jobs/export", map[string]any{"account": "bench", "kind": "batch", "status": "running", "run": 1, "name": "bench"}); err != nil {
		return f, err
	}
	idle, err := usageOf(c.cmd.Process.Pid)
	if err != nil {
		return f, err
	}
	f.Records, f.IdleMiB = o.exported, idle.peakMiB
	bytes, err := c.upload(ctx, o.exported)
	if err != nil {
		return f, err
	}
	uploaded, err := usageOf(c.cmd.Process.Pid)
	if err != nil {
		return f, err
	}
	begun := time.Now()
	if err := c.call(ctx, "PATCH", "/v1/jobs/export", map[string]any{"status": "idle"}); err != nil {
		return f, err
	}
	if err := c.exported(ctx, o.exported); err != nil {
		return f, fmt.Errorf("%w\n%s", err, c.logTail())
	}
	f.Seconds = time.Since(begun).Seconds()
	after, err := usageOf(c.cmd.Process.Pid)
	mb := float64(bytes) / 1e6
	f.MiB, f.PeakMiB = float64(bytes)/(1<<20), after.peakMiB
	f.UploadMBs, f.ExportMBs = mb/(uploaded.cpu-idle.cpu).Seconds(), mb/(after.cpu-uploaded.cpu).Seconds()
	return f, err
}

// upload sends n records, and returns how many bytes that were.
func (c *child) upload(ctx context.Context, n int) (sent int64, err error) {
	for part, from := 1, 0; from < n; part, from = part+1, from+exportPartRecords {
		body, in := io.Pipe()
		count := int64(0)
		go func() {
			var err error
			for i := from; i < min(from+exportPartRecords, n) && err == nil; i++ {
				var written int
				written, err = fmt.Fprintf(in, `{"search":{"id":"S%d","q":"query, number %d"},"result":{"total":%d,"text":"%s","list":[{"title":"one","n":1},{"title":"two","n":2}]}}`+"\n",
					i, i, i*7, strings.Repeat("lorem ipsum, ", (exportRecordBytes-150)/13))
				count += int64(written)
			}
			in.CloseWithError(err)
		}()
		if err := c.post(ctx, fmt.Sprintf("/v1/jobs/export/runs/1/records?part=%d", part), body); err != nil {
			return sent, err
		}
		sent += count
	}
	return sent, nil
}

func (c *child) post(ctx context.Context, path string, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.addr+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+operatorKey)
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("POST %s: answer %d: %s", path, resp.StatusCode, answer)
	}
	return err
}

// exported waits until the result set is ready, and has all records.
func (c *child) exported(ctx context.Context, records int) error {
	r := &readers{child: c, client: http.DefaultClient}
	for {
		body, err := r.get(ctx, "/v1/jobs/export/result-sets?account=bench")
		if err != nil {
			return err
		}
		var list struct {
			Items []struct {
				State   string `json:"state"`
				Reason  string `json:"reason"`
				Records int    `json:"records"`
			} `json:"items"`
		}
		if err := json.Unmarshal(body, &list); err != nil {
			return err
		}
		switch {
		case len(list.Items) == 0 || list.Items[0].State == "exporting":
		case list.Items[0].State != "ready" || list.Items[0].Records != records:
			return fmt.Errorf("the export ended as %+v, want %d records", list.Items[0], records)
		default:
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the export took too long: %w", ctx.Err())
		}
	}
}
