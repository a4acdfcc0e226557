package webhook

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Failure names the step at which a request failed without an answer. It is
// empty when an answer came.
type Failure string

// The failures.
const (
	FailureDNS            Failure = "dns"             // the host has no address
	FailureConnect        Failure = "connect"         // refused, unreachable
	FailureTLS            Failure = "tls"             // handshake or certificate
	FailureTimeout        Failure = "timeout"         // no whole answer in time
	FailureReset          Failure = "reset"           // the connection broke
	FailureProtocol       Failure = "protocol"        // the answer is no HTTP
	FailureRefusedAddress Failure = "refused_address" // the host's address is private or reserved
	FailureUnsendable     Failure = "unsendable"      // no request could be made of the event
	FailureOurs           Failure = "ours"            // we had no socket or file left: the receiver was not called, and no attempt is spent
)

// Kept sizes of an answer, in bytes.
const (
	MaxBodyRead    = 4 << 10 // read from any answer
	MaxBodySuccess = 256     // kept of a success
	MaxHeaderKept  = 4 << 10 // kept of a failure's headers, names and values
)

// Result is what came back from one request.
type Result struct {
	Status     int
	Failure    Failure
	Code       string // a network error's own name, such as ECONNREFUSED
	Detail     string // one safe line about a failure
	RetryAfter time.Duration
	Header     http.Header // of the answer
	Body       []byte      // of the answer, at most MaxBodyRead
}

// Summary says in a few words what happened, for people.
func (r Result) Summary() string {
	if r.Failure == "" {
		return fmt.Sprintf("the receiver answered %d", r.Status)
	}
	if r.Detail == "" {
		return string(r.Failure)
	}
	return string(r.Failure) + ": " + r.Detail
}

// Trim drops what is not kept: a success keeps MaxBodySuccess bytes and no
// headers, a failure MaxBodyRead bytes and MaxHeaderKept bytes of headers.
func (r Result) Trim(success bool) Result {
	if success {
		r.Header = nil
		r.Body = r.Body[:min(len(r.Body), MaxBodySuccess)]
		return r
	}
	r.Body = r.Body[:min(len(r.Body), MaxBodyRead)]
	r.Header = trimHeader(r.Header)
	return r
}

// trimHeader keeps headers, in the order of their names, as far as they fit.
func trimHeader(h http.Header) http.Header {
	if h == nil {
		return nil
	}
	kept, room := http.Header{}, MaxHeaderKept
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			if size := len(name) + len(value); size <= room {
				kept[name], room = append(kept[name], value), room-size
			}
		}
	}
	return kept
}

// ParseRetryAfter reads a Retry-After header, seconds or an HTTP date
// (RFC 9110, section 10.2.3), cut to MaxRetryAfter. What is absent, in the past
// or malformed is 0.
func ParseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		if seconds <= 0 {
			return 0
		}
		return time.Duration(min(seconds, int64(MaxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil || !at.After(now) {
		return 0
	}
	return min(at.Sub(now), MaxRetryAfter)
}
