// Package download is what all downloads share: an answer that goes on as long
// as it moves, and the rule by which parts of a file count as one download.
package download

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// patience is how long a transfer may stand still. The server's own timeouts,
// which count from the start of a request, are for short ones.
const patience = time.Minute

// Wait gives the other side some time from now on. Who writes to no network has
// no deadlines.
func Wait(c *http.ResponseController) {
	until := time.Now().Add(patience)
	_ = c.SetReadDeadline(until) // its end would end the request's context
	_ = c.SetWriteDeadline(until)
}

// Answer is what a file is sent in. It keeps what http.ServeContent does not
// tell: what was refused, which the caller then says in words of its own, and
// why it broke off.
type Answer struct {
	http.ResponseWriter
	control *http.ResponseController
	begins  func(status int)
	refused int
	broke   error
}

// NewAnswer returns an answer; begins is called before one that is no refusal.
func NewAnswer(w http.ResponseWriter, begins func(status int)) *Answer {
	return &Answer{ResponseWriter: w, control: http.NewResponseController(w), begins: begins}
}

// WriteHeader begins the answer, unless it is a refusal.
func (a *Answer) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		a.refused = status
		return
	}
	a.begins(status)
	a.ResponseWriter.WriteHeader(status)
}

// Write writes on.
func (a *Answer) Write(b []byte) (int, error) {
	if a.refused != 0 {
		return len(b), nil
	}
	Wait(a.control)
	n, err := a.ResponseWriter.Write(b)
	if err != nil {
		a.broke = err
	}
	return n, err
}

// Refused returns the status of a refusal, which is still to be written, and
// what it means; 0 when there is none.
func (a *Answer) Refused() (status int, means string) {
	if a.refused == 0 {
		return 0, ""
	}
	for _, name := range []string{"Content-Disposition", "Content-Length", "Last-Modified"} {
		a.Header().Del(name)
	}
	if a.refused == http.StatusRequestedRangeNotSatisfiable {
		return a.refused, "The file has no such range of bytes."
	}
	return a.refused, "The file has changed, or is not what the request asks for."
}

// Broke tells why the file was not sent to its end.
func (a *Answer) Broke() error { return a.broke }

// Watch returns a reader of the file whose errors Broke tells.
func (a *Answer) Watch(file io.Reader) io.Reader { return watched{file, a} }

type watched struct {
	file io.Reader
	by   *Answer
}

func (w watched) Read(b []byte) (int, error) {
	n, err := w.file.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		w.by.broke = err
	}
	return n, err
}

// Continues tells whether an answer goes on with a download that was counted
// when it began: all its ranges begin above 0. So one counts once, however many
// pieces it is fetched in. The last bytes of a file, such as -500, may be all of
// it.
func Continues(status int, ranges string) bool {
	if status != http.StatusPartialContent {
		return false
	}
	_, list, _ := strings.Cut(ranges, "=")
	for one := range strings.SplitSeq(list, ",") {
		first, _, _ := strings.Cut(strings.TrimSpace(one), "-")
		if n, err := strconv.ParseInt(strings.TrimSpace(first), 10, 64); err != nil || n == 0 {
			return false
		}
	}
	return true
}
