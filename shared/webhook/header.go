package webhook

import (
	"fmt"
	"net/textproto"
	"slices"
	"strings"
)

// Header is a header of the customer's own, such as Authorization.
type Header struct {
	Name  string `json:"name"`  // canonical, see CheckHeaders
	Value string `json:"value"` // may be a credential
}

// Limits of an endpoint's own headers.
const (
	MaxHeaders     = 10
	MaxHeaderValue = 2048 // bytes
	maxHeaderName  = 64
)

// CheckHeaders returns the headers with canonical names, or tells which of them
// (counted from 0) cannot be used, and why: names must be of letters, digits,
// hyphens and underscores, values visible ASCII, space and tab, without space at
// the ends; none may stand for what Jobhook or HTTP itself writes, and no name
// may come twice. Many receivers cannot tell an underscore from a hyphen, so
// here neither can names.
func CheckHeaders(list []Header) (checked []Header, at int, err error) {
	if len(list) > MaxHeaders {
		return nil, MaxHeaders, fmt.Errorf("there are %d headers; use at most %d", len(list), MaxHeaders)
	}
	for i, h := range list {
		if err := h.check(); err != nil {
			return nil, i, err
		}
		h.Name = textproto.CanonicalMIMEHeaderKey(h.Name)
		if slices.ContainsFunc(checked, func(other Header) bool { return hyphened(other.Name) == hyphened(h.Name) }) {
			return nil, i, fmt.Errorf("the header %s comes twice; give it once", h.Name)
		}
		checked = append(checked, h)
	}
	return checked, 0, nil
}

func (h Header) check() error {
	switch {
	case h.Name == "" || len(h.Name) > maxHeaderName || strings.ContainsFunc(h.Name, func(r rune) bool { return !isNameChar(r) }):
		return fmt.Errorf("%.70q is no header's name; use up to %d letters, digits, hyphens and underscores", h.Name, maxHeaderName)
	case isReserved(hyphened(h.Name)):
		return fmt.Errorf("the header %s is not yours to set, as Jobhook, HTTP or a proxy writes it; use another name", textproto.CanonicalMIMEHeaderKey(h.Name))
	case h.Value == "" || len(h.Value) > MaxHeaderValue:
		return fmt.Errorf("the value of %s has %d bytes; use 1 to %d", h.Name, len(h.Value), MaxHeaderValue)
	case strings.ContainsFunc(h.Value, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }):
		return fmt.Errorf("the value of %s holds a character that cannot be sent; use visible ASCII characters", h.Name)
	case strings.TrimSpace(h.Value) != h.Value:
		return fmt.Errorf("the value of %s begins or ends with a space; remove it", h.Name)
	}
	return nil
}

// isNameChar tells the characters of names. RFC 9110 knows more (section
// 5.6.2), which no receiver needs and some read as others.
func isNameChar(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_'
}

// hyphened is the name as CGI and its heirs see it: to them X_Forwarded_For is
// X-Forwarded-For (RFC 3875, section 4.1.18).
func hyphened(name string) string {
	return textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// isReserved tells whether a customer may not set a header. A URL may point at
// anybody's server, so what such a server believes of whoever sends it is not
// for a customer to say. Credentials are: Authorization, X-Api-Key,
// CF-Access-Client-Id and the like stay free, and so does whatever does nothing
// in a request (Date, If-Match, Range).
func isReserved(name string) bool {
	for _, prefix := range [...]string{
		"Webhook-", "Svix-", // the signature, also under the name that libraries of Standard Webhooks read too
		"Jobhook-", "X-Jobhook-", // kept for us
		"Content-",     // the body's type, length and coding
		"Proxy-",       // to the next proxy
		"Sec-",         // a browser's word, and WebSocket
		"X-Forwarded-", // whom a proxy speaks for
		"X-Original-",  // X-Original-URL: another path than the one that was checked
		"X-Rewrite-",   // X-Rewrite-URL: the same
		"Metadata-",    // the key to a cloud's metadata: Metadata-Flavor (Google), Metadata-Token (Linode)
		"X-Aws-",       // the same: X-aws-ec2-metadata-token
		"X-Google-",    // the same: X-Google-Metadata-Request
		"X-Amz-",       // makes a POST a call of an API of AWS: X-Amz-Target
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "Host", "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect", "Http2-Settings", // HTTP's own (RFC 9110, sections 7 and 10.1)
		"Accept-Encoding",           // answers are kept as they come, and nobody could read a packed one
		"User-Agent",                // says who calls
		"Traceparent", "Tracestate", // the job's
		"Idempotency-Key", "X-Idempotency-Key", // net/http takes it for leave to send a request again; webhook-id serves the purpose
		"Metadata",                                                                                                                      // the key to Azure's metadata
		"Proxy",                                                                                                                         // CGI makes it the variable HTTP_PROXY
		"Via", "Forwarded", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", // whom a proxy speaks for
		"X-Http-Method", "X-Http-Method-Override", "X-Method-Override", // makes another method of a POST
		"Cookie", "Origin", "Referer": // what a receiver knows its users' browsers by
		return true
	}
	return false
}
