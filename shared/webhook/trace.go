package webhook

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/jobhook/jobhook/shared/job"
)

// Names of the trace context's headers, and of the attributes of a job record
// that hold them.
const (
	HeaderTraceparent = "traceparent"
	HeaderTracestate  = "tracestate"
)

// Limits of a tracestate. W3C asks to carry at least 512 characters and at
// most 32 members; a longer one is left out whole.
const (
	maxTracestateBytes   = 512
	maxTracestateMembers = 32
	maxTracestateKey     = 256
	maxTracestateValue   = 256
)

// Trace is a W3C trace context (https://www.w3.org/TR/trace-context/), which
// the platform writes into a job's record and its receiver gets in the headers
// of the webhook. It is carried unchanged: parent-id names the last span that
// was recorded, and we record none, so a receiver's span hangs from that of the
// platform. The zero value is no trace.
type Trace struct {
	Parent string // traceparent, of version 00
	State  string // tracestate; may be empty
}

// Trace returns the trace context of the event's record. What does not keep
// the format counts as absent: an invalid traceparent takes its tracestate with
// it, an invalid tracestate goes alone, as W3C asks.
func (e Event) Trace() Trace {
	// Most records have none, and are searched in a fraction of the time that
	// reading them would take. Who writes the name with escapes is not heard.
	if !bytes.Contains(e.Record, []byte(`"`+HeaderTraceparent+`"`)) {
		return Trace{}
	}
	members, ok := job.Members(e.Record)
	if !ok {
		return Trace{}
	}
	var t Trace
	for _, m := range members {
		switch string(m.Name) {
		case HeaderTraceparent:
			t.Parent = text(m.Value)
		case HeaderTracestate:
			t.State = text(m.Value)
		}
	}
	return t.valid()
}

// text reads a JSON string, "" where there is none.
func text(value []byte) (s string) {
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}

func (t Trace) valid() Trace {
	if !ValidTraceparent(t.Parent) {
		return Trace{}
	}
	if !ValidTracestate(t.State) {
		t.State = ""
	}
	return t
}

// ID returns the trace's id, 32 hexadecimal digits; "" when there is no trace.
func (t Trace) ID() string {
	if t.Parent == "" {
		return ""
	}
	return t.Parent[3:35]
}

// SetHeader sets the headers that there are values for.
func (t Trace) SetHeader(h http.Header) {
	if t.Parent == "" {
		return
	}
	h.Set(HeaderTraceparent, t.Parent)
	if t.State != "" {
		h.Set(HeaderTracestate, t.State)
	}
}

// ValidTraceparent tells whether s is a traceparent of version 00: version,
// trace-id, parent-id and flags in lower case, neither id all zeros (section
// 3.2). Versions to come are taken for invalid: whoever passes one on unread
// could pass on anything.
func ValidTraceparent(s string) bool {
	return len(s) == 55 && s[:3] == "00-" && s[35] == '-' && s[52] == '-' &&
		isHex(s[3:35]) && isHex(s[36:52]) && isHex(s[53:]) && !isZero(s[3:35]) && !isZero(s[36:52])
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

func isZero(s string) bool { return strings.Trim(s, "0") == "" }

// ValidTracestate tells whether s is a list of at most 32 members key=value
// without a key twice (section 3.3), at most 512 bytes long. An empty one is
// valid.
func ValidTracestate(s string) bool {
	if len(s) > maxTracestateBytes {
		return false
	}
	seen := map[string]bool{}
	for member := range strings.SplitSeq(s, ",") {
		member = strings.Trim(member, " \t")
		if member == "" {
			continue
		}
		key, value, ok := strings.Cut(member, "=")
		if !ok || seen[key] || !isTraceKey(key) || !isTraceValue(value) {
			return false
		}
		seen[key] = true
	}
	return len(seen) <= maxTracestateMembers
}

// isTraceKey knows the keys of both levels of the recommendation: lower case
// letters, digits and _-*/@, first a letter or a digit.
func isTraceKey(key string) bool {
	if key == "" || len(key) > maxTracestateKey || strings.IndexByte("_-*/@", key[0]) >= 0 {
		return false
	}
	return strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_-*/@") == ""
}

// isTraceValue wants printable ASCII without comma and equals sign. Blanks
// around it were cut off with those around the member.
func isTraceValue(value string) bool {
	if value == "" || len(value) > maxTracestateValue {
		return false
	}
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == '=' || r == ',' })
}
