package api

import (
	"net/http"
	"slices"
)

// What a browser may send and read, of the origins that may call at all.
const (
	corsMethods = "GET, POST, PUT, PATCH, DELETE"
	corsSends   = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match"
	corsReads   = "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After"
	corsSeconds = "600" // that a browser remembers the answer to a preflight
)

// crossOrigin lets the pages of chosen origins call, and answers preflights; it
// reports whether the request is done with. There are no cookies to protect:
// what a page can do depends on the key it has.
func (a *API) crossOrigin(w http.ResponseWriter, r *http.Request) bool {
	if len(a.CORSOrigins) == 0 {
		return false
	}
	h, origin := w.Header(), r.Header.Get("Origin")
	h.Add("Vary", "Origin")
	if !slices.Contains(a.CORSOrigins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", corsReads)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsSends)
	h.Set("Access-Control-Max-Age", corsSeconds)
	w.WriteHeader(http.StatusNoContent)
	return true
}
