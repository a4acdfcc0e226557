// Package format holds the five webhook formats. A format is data, not a code
// path: an encoder of the body, the events it sends, and the policy by which
// they are delivered unless the endpoint says otherwise. Four formats repeat
// those of existing systems, key for key; the fifth is our own.
package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// The names of the formats. Auto is none of them: on an endpoint it stands for
// the format of each job's own kind, see ForKind.
const (
	SerpWow    = "serpwow"
	WebScraper = "webscraper"
	HKube      = "hkube"
	SocialData = "socialdata"
	Standard   = "standard"
	Auto       = "auto"
)

// The content types of the bodies.
const (
	contentJSON = "application/json"
	contentForm = "application/x-www-form-urlencoded"
)

// Body is what a webhook request carries.
type Body struct {
	ContentType string
	Bytes       []byte
}

// Format is one way to tell a receiver about an event.
type Format struct {
	Name   string
	Kind   job.Kind            // the one kind whose jobs it can describe; "" means every kind
	Types  []webhook.EventType // what it sends; nil: whatever the endpoint subscribes to
	Policy webhook.Policy

	contentType string
	filter      func(e webhook.Event, j job.Job) string // a reason of the format's own not to send; may be nil
	encode      func(e webhook.Event, j job.Job, publicURL string) ([]byte, error)
}

// All returns the formats in the order of the documentation.
func All() []Format {
	return []Format{serpWow(), webScraper(), hkube(), socialData(), standard()}
}

// Lookup returns the format of that name. It reports false for Auto, which
// means a different format for each kind, and for unknown names.
func Lookup(name string) (Format, bool) {
	switch name {
	case SerpWow:
		return serpWow(), true
	case WebScraper:
		return webScraper(), true
	case HKube:
		return hkube(), true
	case SocialData:
		return socialData(), true
	case Standard:
		return standard(), true
	}
	return Format{}, false
}

// Names returns what an endpoint's format can be: every format's name, and Auto.
func Names() []string {
	var names []string
	for _, f := range All() {
		names = append(names, f.Name)
	}
	return append(names, Auto)
}

// ForKind returns the kind's own format, which Auto stands for; for an unknown
// kind the standard format, which describes every job.
func ForKind(k job.Kind) Format {
	switch k {
	case job.KindBatch:
		return serpWow()
	case job.KindScraping:
		return webScraper()
	case job.KindPipeline:
		return hkube()
	case job.KindAsync:
		return socialData()
	}
	return standard()
}

// Declines says why the format does not send this event of this job, in words
// for people. It returns "" when the format sends it.
func (f Format) Declines(e webhook.Event, j job.Job) string {
	if reason := f.mismatch(e.Type, j.Kind); reason != "" {
		return reason
	}
	if f.filter == nil {
		return ""
	}
	return f.filter(e, j)
}

// StandsFor returns the event type that one of the format stands for to those who
// subscribe: SocialData's job.finished comes with result_set.ready where there
// are records. Any other type stands for itself.
func (f Format) StandsFor(t webhook.EventType) webhook.EventType {
	if f.Name == SocialData && t == webhook.ResultSetReady {
		return webhook.JobFinished
	}
	return t
}

// mismatch says why the format has no body for such an event of such a job.
func (f Format) mismatch(t webhook.EventType, k job.Kind) string {
	switch {
	case t == webhook.JobUnreadable:
		return "a change that cannot be read is not sent"
	case f.Kind != "" && f.Kind != k:
		return fmt.Sprintf("the %s format describes %s jobs only", f.Name, f.Kind)
	case f.Types != nil && !slices.Contains(f.Types, t):
		return fmt.Sprintf("the %s format does not send %s, only %s", f.Name, t, list(f.Types))
	}
	return ""
}

// Encode renders the event's body from its snapshot and nothing else, so that
// every attempt says the same. publicURL begins the links of the standard
// format; "" leaves them out. It returns an error when the format has no body
// for such an event, or the snapshot cannot be read (a *job.FieldError).
func (f Format) Encode(e webhook.Event, publicURL string) (Body, error) {
	j, err := snapshot(e)
	if err != nil {
		return Body{}, fmt.Errorf("event %s: read its record: %w", e.ID, err)
	}
	if reason := f.mismatch(e.Type, j.Kind); reason != "" {
		return Body{}, fmt.Errorf("event %s: %s", e.ID, reason)
	}
	b, err := f.encode(e, j, publicURL)
	if err != nil {
		return Body{}, fmt.Errorf("event %s: encode as %s: %w", e.ID, f.Name, err)
	}
	return Body{ContentType: f.contentType, Bytes: b}, nil
}

// snapshot reads the event's job; tests and what tells of endpoints have none.
func snapshot(e webhook.Event) (job.Job, error) {
	if e.Type == webhook.WebhookTest || e.Type.OfEndpoint() {
		return job.Job{}, nil
	}
	return e.Job()
}

func list(types []webhook.EventType) string {
	var names []string
	for _, t := range types {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// marshal writes JSON in one line and leaves &, < and > as they are: links
// must reach receivers that do not read escapes as they were given.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// timestamp writes a time as all formats do: ISO 8601, UTC, milliseconds, Z.
func timestamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
