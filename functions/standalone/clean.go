package main

import (
	"context"
	"time"

	"github.com/jobhook/jobhook/functions/internal/export"
	"github.com/jobhook/jobhook/shared/files"
)

// cleanEvery is how often files are looked for that have outlived their use.
const cleanEvery = time.Hour

// cleanFiles removes results a day after their links have ended, and inputs as
// old as deliveries may be. Records stay for both together: the run that they
// were uploaded for may last long.
func (p *process) cleanFiles(ctx context.Context, retention time.Duration) {
	ticker := time.NewTicker(cleanEvery)
	defer ticker.Stop()
	for {
		now := time.Now()
		kept := export.DefaultRetention + 24*time.Hour
		for prefix, before := range map[string]time.Time{
			files.Results: now.Add(-kept), files.Records: now.Add(-kept - retention), files.Inputs: now.Add(-retention),
		} {
			if err := p.files.RemoveBefore(ctx, prefix, before); err != nil && ctx.Err() == nil {
				p.log.ErrorContext(ctx, "files.not_cleaned", "prefix", prefix, "error", err)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
