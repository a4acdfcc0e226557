package awstest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// maxBuffered is the largest body that is read before it is sent. What is
// larger is an upload, which shall not be held in memory twice.
const maxBuffered = 1 << 20

// Buffered returns a RoundTripper that sends bodies from memory of its own. The
// SDK closes a request's body as soon as there is an answer, and a local server
// may answer before the transport has seen the body's end: the request then
// fails with "use of closed network connection".
func Buffered(next http.RoundTripper) http.RoundTripper { return buffered{next} }

type buffered struct{ next http.RoundTripper }

func (b buffered) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength < 0 || r.ContentLength > maxBuffered {
		return b.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if closed := r.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, fmt.Errorf("read the request's body: %w", err)
	}
	r = r.Clone(r.Context())
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
	return b.next.RoundTrip(r)
}
