package compat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/jobhook/jobhook/functions/internal/download"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// serveFile sends a file, or its reader to where it lies, and keeps note of it.
func (c *routes) serveFile(w http.ResponseWriter, r *http.Request, set webhook.ResultSet, format string) error {
	name := job.ResultSet{ID: set.Run, CSVHash: set.CSVHash}.FileName(set.Kind, set.JobID, format, 0)
	key := files.ResultsFolder(set.Account, set.Kind, set.JobID, set.Run) + name
	link, err := c.Files.Link(r.Context(), key, files.LinkOptions{Method: r.Method, FileName: name})
	if err != nil {
		return fmt.Errorf("link to results: %w", err)
	}
	if link != "" {
		c.note(r, set.Token, name)
		http.Redirect(w, r, link, http.StatusFound)
		return nil
	}
	file, size, err := c.Files.Open(r.Context(), key)
	if errors.Is(err, webhook.ErrNotFound) {
		return noData()
	}
	if err != nil {
		return fmt.Errorf("open results: %w", err)
	}
	defer file.Close()
	w.Header().Set("Content-Type", files.ContentType(name))
	w.Header().Set("Content-Disposition", files.Disposition(name))
	return c.send(w, r, file, size, func() { c.note(r, set.Token, name) })
}

// note counts a download. That it cannot be kept is no reason not to serve it.
func (c *routes) note(r *http.Request, token, name string) {
	d := webhook.Download{At: c.Now(), File: name, Method: r.Method}
	if err := c.Store.AddDownload(r.Context(), token, d); err != nil {
		c.Log.WarnContext(r.Context(), "download.not_kept", "error", err)
	}
}

// send sends a file: parts of it, too, if it can be read anywhere. When it
// breaks off, so must the answer.
func (c *routes) send(w http.ResponseWriter, r *http.Request, file io.Reader, size int64, note func()) error {
	out := download.NewAnswer(w, func(status int) {
		if !download.Continues(status, r.Header.Get("Range")) {
			note()
		}
	})
	if anywhere, ok := file.(io.Seeker); ok {
		http.ServeContent(out, r, "", modified(file), struct {
			io.Reader
			io.Seeker
		}{out.Watch(file), anywhere})
	} else {
		whole(out, r, file, size)
	}
	if err := out.Broke(); err != nil {
		c.Log.WarnContext(r.Context(), "download.broke_off", "error", err)
		panic(http.ErrAbortHandler)
	}
	if status, means := out.Refused(); status != 0 {
		return refuse(status, "%s", means)
	}
	return nil
}

// whole sends the whole file.
func whole(out *download.Answer, r *http.Request, file io.Reader, size int64) {
	out.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	out.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = io.Copy(out, out.Watch(file)) // out keeps the error
	}
}

// modified is when a file was written, zero when that is not known.
func modified(file io.Reader) time.Time {
	known, ok := file.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return time.Time{}
	}
	info, err := known.Stat()
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
