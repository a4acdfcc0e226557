package compat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

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
	c.note(r, set.Token, name)
	w.Header().Set("Content-Type", files.ContentType(name))
	w.Header().Set("Content-Disposition", files.Disposition(name))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	return c.send(w, r, file, size)
}

// note counts a download once, however many pieces it is fetched in. That it
// cannot be kept is no reason not to serve it.
func (c *routes) note(r *http.Request, token, name string) {
	if asked := r.Header.Get("Range"); asked != "" && !strings.HasPrefix(asked, "bytes=0-") {
		return
	}
	d := webhook.Download{At: c.Now(), File: name, Method: r.Method}
	if err := c.Store.AddDownload(r.Context(), token, d); err != nil {
		c.Log.WarnContext(r.Context(), "download.not_kept", "error", err)
	}
}

// send sends a file: parts of it, too, if it can be read anywhere. When it
// breaks off, so must the answer.
func (c *routes) send(w http.ResponseWriter, r *http.Request, file io.Reader, size int64) error {
	t := &transfer{ResponseWriter: w, control: http.NewResponseController(w), file: file}
	if anywhere, ok := file.(io.Seeker); ok {
		http.ServeContent(t, r, "", modified(file), struct {
			io.Reader
			io.Seeker
		}{source{t}, anywhere})
	} else {
		t.copy(r, size)
	}
	if t.broke != nil {
		c.Log.WarnContext(r.Context(), "download.broke_off", "error", t.broke)
		panic(http.ErrAbortHandler)
	}
	return t.refusal()
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

// patience is how long a download may stand still. The server's own limit is
// one of the whole answer.
const patience = time.Minute

// transfer is the answer that a file is sent in. It goes on as long as it
// moves, and keeps what http.ServeContent does not tell: why it broke off, and
// what it refused.
type transfer struct {
	http.ResponseWriter
	control *http.ResponseController
	file    io.Reader
	broke   error
	refused int // the status; 0: not refused
}

// copy sends the whole file.
func (t *transfer) copy(r *http.Request, size int64) {
	t.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	t.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = io.Copy(t, source{t}) // t keeps the error
	}
}

// WriteHeader begins the answer, unless it is a refusal: that is made in the
// system's words later.
func (t *transfer) WriteHeader(status int) {
	if status < http.StatusBadRequest {
		t.ResponseWriter.WriteHeader(status)
		return
	}
	t.refused = status
}

// Write writes on.
func (t *transfer) Write(b []byte) (int, error) {
	if t.refused != 0 {
		return len(b), nil
	}
	until := time.Now().Add(patience)
	_ = t.control.SetReadDeadline(until) // its end would end the request's context
	_ = t.control.SetWriteDeadline(until)
	n, err := t.ResponseWriter.Write(b)
	if err != nil {
		t.broke = err
	}
	return n, err
}

// refusal is why there is no file in the answer, nil when there is.
func (t *transfer) refusal() error {
	if t.refused == 0 {
		return nil
	}
	for _, name := range []string{"Content-Disposition", "Last-Modified"} {
		t.Header().Del(name)
	}
	if t.refused == http.StatusRequestedRangeNotSatisfiable {
		return refuse(t.refused, "The file has no such range of bytes.")
	}
	return refuse(t.refused, "The file has changed, or is not what the request asks for.")
}

// source is the file of a transfer.
type source struct{ t *transfer }

// Read reads on.
func (s source) Read(b []byte) (int, error) {
	n, err := s.t.file.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.t.broke = err
	}
	return n, err
}
