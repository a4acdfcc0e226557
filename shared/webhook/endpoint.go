package webhook

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxURLBytes bounds a webhook URL.
const MaxURLBytes = 2048

// EndpointStatus tells whether an endpoint is called.
type EndpointStatus string

// The statuses of an endpoint.
const (
	EndpointEnabled  EndpointStatus = "enabled"
	EndpointPaused   EndpointStatus = "paused"   // deliveries are held until it is resumed
	EndpointDisabled EndpointStatus = "disabled" // nothing new is queued; what is under way is held
)

// Endpoint is a URL that receives an account's webhooks.
type Endpoint struct {
	ID           string
	Account      string
	URL          string
	Format       string      // a format's name; "auto" is the format of each job's own kind
	Default      bool        // the account's URL: a URL on the job itself takes its place
	Types        []EventType // what it subscribes to; empty means all of jobs but job.progress
	Policy       PolicyPatch // what differs from the format's policy
	Headers      []Header    // sent with every webhook; may hold credentials, and is kept as a secret
	Secrets      []Secret    // empty: not signed; the first is the newest
	OldUntil     time.Time   // all secrets but the first sign until then
	Status       EndpointStatus
	StatusReason string
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Signing returns the secrets to sign with at a time, the newest first: two
// while one is being rotated.
func (e Endpoint) Signing(now time.Time) []Secret {
	if len(e.Secrets) > 1 && !now.Before(e.OldUntil) {
		return e.Secrets[:1]
	}
	return e.Secrets
}

// Account is a customer of the platform.
type Account struct {
	ID        string
	Name      string
	Quotas    Quotas
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Quotas bound what an account may use. Zero, or nil, is what the host allows everybody.
type Quotas struct {
	Endpoints       int  `json:"endpoints,omitempty"`         // how many it may have
	RequestRate     int  `json:"request_rate,omitempty"`      // requests to the API a second
	EventsPerMinute int  `json:"events_per_minute,omitempty"` // those beyond are declined
	RetentionDays   int  `json:"retention_days,omitempty"`    // how long its deliveries are kept
	Retries         *int `json:"retries,omitempty"`           // at most so many after the first attempt
}

// Subscribes tells whether the endpoint asked for events of this type.
func (e Endpoint) Subscribes(t EventType) bool {
	if len(e.Types) == 0 {
		return t != JobProgress && !t.OfEndpoint()
	}
	return slices.Contains(e.Types, t)
}

// CheckURL tells why a URL can be no webhook target: it must be absolute, http
// or https, at most MaxURLBytes long, and carry no user information. It says
// nothing about where the host's address lies; that is checked when dialling.
func CheckURL(raw string) error {
	if len(raw) > MaxURLBytes {
		return fmt.Errorf("the URL has %d bytes; at most %d are allowed", len(raw), MaxURLBytes)
	}
	u, err := url.Parse(raw)
	if err != nil || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("it is no valid URL; write one such as https://example.com/hook")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("the scheme is %q; use http or https", u.Scheme)
	case u.Hostname() == "":
		return fmt.Errorf("the URL names no host; write one such as https://example.com/hook")
	case u.Port() != "" && !isPort(u.Port()):
		return fmt.Errorf("the port is %q; use 1 to 65535", u.Port())
	case u.User != nil:
		return fmt.Errorf("the URL carries a user name or password; put credentials into the path or query, or verify signatures instead")
	}
	return nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}
