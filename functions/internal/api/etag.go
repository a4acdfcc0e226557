package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Condition makes a change depend on what is to be changed. It is exported, as
// all that is embedded, for huma to see it.
type Condition struct {
	IfMatch string `header:"If-Match" maxLength:"1024" doc:"The ETag of the endpoint as you know it: if somebody has changed it since, 412."`
}

// etagChars is the length of each half of an ETag.
const etagChars = 20

// etagOf is the ETag of an endpoint: of what its owner wrote, and of all that
// is shown. Its first half alone decides If-Match, so that a change of health
// is none that a writer must read first; both decide If-None-Match.
func etagOf(e webhook.Endpoint, v endpointView) string {
	return `"` + versionOf(e) + "-" + digest(mustJSON(v))[:etagChars] + `"`
}

// versionOf changes with every write of the endpoint. Secrets do not count, so
// that nothing is told of them; the time of the write does.
func versionOf(e webhook.Endpoint) string {
	return digest(e.Account, e.ID, stamp(e.UpdatedAt), e.URL, e.Format, mustJSON(e.Policy),
		string(e.Status), e.StatusReason, fmt.Sprint(e.Types), stamp(e.OldUntil))[:etagChars]
}

// later is when an endpoint is written: now, but after it was written last, by
// as much as stores and ETags tell apart.
func later(now, last time.Time) time.Time {
	now = now.UTC().Truncate(time.Millisecond)
	if now.After(last) {
		return now
	}
	return last.UTC().Truncate(time.Millisecond).Add(time.Millisecond)
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers and times always marshal
	}
	return string(b)
}

// allows returns a problem unless the endpoint is as the caller knows it. Weak
// ETags never match (RFC 9110, section 13.1.1).
func (c Condition) allows(e webhook.Endpoint) error {
	if c.IfMatch == "" || c.IfMatch == "*" {
		return nil
	}
	version := `"` + versionOf(e)
	for tag := range strings.SplitSeq(c.IfMatch, ",") {
		tag = strings.TrimSpace(tag)
		if tag == version+`"` || strings.HasPrefix(tag, version+"-") {
			return nil
		}
	}
	return problem(http.StatusPreconditionFailed, "Somebody has changed it since you read it.").
		field("If-Match", "it is the ETag of another state", "read it again, and send the ETag of that answer")
}

// unchanged tells whether the caller of a GET has what would be shown.
func unchanged(ifNoneMatch, etag string) bool {
	for tag := range strings.SplitSeq(ifNoneMatch, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}
