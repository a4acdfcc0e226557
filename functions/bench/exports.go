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

	"github.com/jobhook/jobhook/functions/internal/child"
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
	c, err := child.Start(ctx, binary, folder, child.Options{})
	if err != nil {
		return f, err
	}
	defer c.Stop()
	if _, err := c.Call(ctx, "PUT", "/v1/jobs/export", map[string]any{"account": "bench", "kind": "batch", "status": "running", "run": 1, "name": "bench"}); err != nil {
		return f, err
	}
	idle, err := c.Usage()
	if err != nil {
		return f, err
	}
	f.Records, f.IdleMiB = o.exported, idle.PeakMiB
	bytes, err := upload(ctx, c, o.exported)
	if err != nil {
		return f, err
	}
	uploaded, err := c.Usage()
	if err != nil {
		return f, err
	}
	begun := time.Now()
	if _, err := c.Call(ctx, "PATCH", "/v1/jobs/export", map[string]any{"status": "idle"}); err != nil {
		return f, err
	}
	if err := exported(ctx, c, o.exported); err != nil {
		return f, fmt.Errorf("%w\n%s", err, c.LogTail())
	}
	f.Seconds = time.Since(begun).Seconds()
	after, err := c.Usage()
	mb := float64(bytes) / 1e6
	f.MiB, f.PeakMiB = float64(bytes)/(1<<20), after.PeakMiB
	f.UploadMBs, f.ExportMBs = mb/(uploaded.CPU-idle.CPU).Seconds(), mb/(after.CPU-uploaded.CPU).Seconds()
	return f, err
}

// upload sends n records, and returns how many bytes that were.
func upload(ctx context.Context, c *child.Child, n int) (sent int64, err error) {
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
		if _, err := c.Send(ctx, http.MethodPost, fmt.Sprintf("/v1/jobs/export/runs/1/records?part=%d", part), "application/x-ndjson", body); err != nil {
			return sent, err
		}
		sent += count
	}
	return sent, nil
}

// exported waits until the result set is ready, and has all records.
func exported(ctx context.Context, c *child.Child, records int) error {
	for {
		body, err := c.Call(ctx, http.MethodGet, "/v1/jobs/export/result-sets?account=bench", nil)
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
