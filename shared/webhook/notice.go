package webhook

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// Notice is a change of an endpoint's health that somebody may have asked to
// hear of: the account by a webhook to another endpoint, the operator by one or
// by the topic of notices.
type Notice struct {
	Type       EventType // EndpointFailingEvent, EndpointDisabledEvent or EndpointRecoveredEvent
	Account    string
	Endpoint   string
	URL        string    // scheme, host and port of the endpoint's URL; the rest may hold a credential
	At         time.Time // with Endpoint and Type it names the notice
	Since      time.Time // of the failures
	Reason     string
	DisabledAt time.Time // for EndpointFailingEvent: when it will be disabled; zero: never
}

// ID names the notice. IDs sort by time.
func (n Notice) ID() string {
	return "ntc_" + TimePrefix(n.At) + hash(hashChars, n.Account, n.Endpoint, string(n.Type))
}

// noticeData is what a webhook tells of a notice.
type noticeData struct {
	Account    string     `json:"account"`
	Endpoint   string     `json:"endpoint_id"`
	URL        string     `json:"url"`
	Since      time.Time  `json:"since"`
	Reason     string     `json:"reason,omitempty"`
	DisabledAt *time.Time `json:"disabled_at,omitempty"`
}

// Event is the notice as an event of an account: the one it concerns, or the
// operator's. The same notice gives the same id.
func (n Notice) Event(account string) Event {
	d := noticeData{Account: n.Account, Endpoint: n.Endpoint, URL: n.URL, Since: n.Since.UTC(), Reason: n.Reason}
	if !n.DisabledAt.IsZero() {
		at := n.DisabledAt.UTC()
		d.DisabledAt = &at
	}
	record, _ := json.Marshal(d) // texts and times always marshal
	return Event{
		ID:   eventPrefix + TimePrefix(n.At) + hash(hashChars, account, n.Account, n.Endpoint, string(n.Type)),
		Type: n.Type, Account: account, At: n.At, Record: record,
	}
}

// SiteOf is the part of a URL that holds no secret: scheme, host and port. It
// is empty for what is no URL.
func SiteOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}
