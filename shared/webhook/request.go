package webhook

import (
	"net/http"
	"time"
)

// Request is one POST to a receiver. Its headers must not name Idempotency-Key or
// X-Idempotency-Key: net/http takes them for leave to send a POST again.
type Request struct {
	URL         string        // as CheckURL wants it
	ContentType string        // of Body
	Header      http.Header   // signatures, the trace and the like; read, never changed
	Body        []byte        // must not change before the answer is there
	Timeout     time.Duration // from DNS to the last byte read of the answer; 0: MaxTimeout
}
