package api

import "net/http"

// problemKind is an entry of the catalogue of problems.
type problemKind struct {
	Code   string // the type is /problems/ and the code
	Status int
	Means  string
	Do     string
}

// catalogue lists every type of problem. They stay as they are: clients
// compare them.
func catalogue() []problemKind {
	return []problemKind{
		{"malformed", http.StatusBadRequest, "The request or its body cannot be read.", "Send one JSON object, UTF-8, whole."},
		{"unauthorized", http.StatusUnauthorized, "There is no key, or it is not valid: unknown, revoked, expired, or mistyped.", "Send Authorization: Bearer jh_live_..., with a key that works. A link of the portal works once: ask for another."},
		{"forbidden", http.StatusForbidden, "The key is valid, but its scope does not allow this.", "Use a key of another scope."},
		{"key-ends", http.StatusForbidden, "The key ends by itself, as that of a session does, so that it opens no session, and makes no keys that could outlive it.", "Use a key without an end: that which the session was opened with, or one of the platform."},
		{"not-found", http.StatusNotFound, "There is nothing of that name, or it belongs to another account; which of the two is not told.", "Check the path, the id, and the account."},
		{"no-files", http.StatusNotFound, "This host keeps no files: neither uploads nor results.", "Ask whoever runs the host."},
		{"gone", http.StatusGone, "The link has expired or was revoked.", "Ask whoever sent it for the results."},
		{"method-not-allowed", http.StatusMethodNotAllowed, "There is such a path, but not with this method.", "Use a method of the Allow header."},
		{"request-timeout", http.StatusRequestTimeout, "The body did not come in time.", "Send it again, faster or in smaller parts."},
		{"too-large", http.StatusRequestEntityTooLarge, "The body is longer than may be.", "Send less at once."},
		{"answer-too-large", http.StatusRequestEntityTooLarge, "The answer is longer than the host can send, which is 6 MB on AWS. What was asked for was done.", "Ask for less at once, such as by a smaller limit."},
		{"unsupported-media-type", http.StatusUnsupportedMediaType, "The body says it is something that this route does not take.", "Send the Content-Type that the route documents, mostly application/json."},
		{"invalid", http.StatusUnprocessableEntity, "The request can be read but not accepted. Errors says, field by field, why, and what to write instead.", "Correct the fields."},
		{"too-many-requests", http.StatusTooManyRequests, "The key, or the keys of its account together, made more requests than they may.", "Wait as long as Retry-After says. The RateLimit headers tell ahead how many are left."},
		{"precondition", http.StatusPreconditionFailed, "Somebody changed it since the ETag of If-Match was read.", "Read it again, apply your change to that, and send its ETag."},

		{"taken", http.StatusConflict, "The id belongs to another account.", "Use an id that no other account has, such as one with a prefix."},
		{"transition", http.StatusConflict, "The job cannot go from the state it has to the one that was sent.", "Read the job; a run that has ended goes on only as a new run."},
		{"in-flight", http.StatusConflict, "An attempt of the delivery is queued or being made.", "Wait for its end, then try again."},
		{"stale", http.StatusConflict, "Somebody else changed it at the same moment.", "Read it and try again."},
		{"no-target", http.StatusConflict, "There is nowhere to send the delivery; errors says why.", "Give the account an endpoint; it hears of what happens from then on."},
		{"too-many-endpoints", http.StatusConflict, "The account has as many endpoints as it may.", "Delete one that is no longer used, or ask for a higher quota."},
		{"ambiguous-kind", http.StatusConflict, "Jobs of several kinds have this id.", "Add ?kind= with the one that is meant."},
		{"other-run", http.StatusConflict, "The run is not the job's current one.", "Upload the records of a run while it is the current one."},
		{"run-ended", http.StatusConflict, "The run has ended, and its records are exported.", "Upload records before the run ends, or begin a new run."},
		{"too-many-resends", http.StatusConflict, "As many bulk resends of the account as may be are running.", "Wait for the end of one, or cancel one."},
		{"resend-done", http.StatusConflict, "The bulk resend has ended, so that it cannot be cancelled.", "Nothing."},
		{"unsigned", http.StatusConflict, "The endpoint has no secret to rotate: its signing is none.", "PATCH the endpoint with signing hmac or ed25519."},
		{"key-ending", http.StatusConflict, "The key is revoked, or will end by itself, so that it gets no successor.", "Make a new key."},
		{"not-session", http.StatusConflict, "The key is not that of a session, so that it cannot be signed out with.", "Revoke the key by its id, if it is to end."},
		{"account-erasing", http.StatusConflict, "The account is being erased, so that nothing of it is written.", "Write again when that is done."},
		{"erasure-running", http.StatusConflict, "This is being erased already.", "Wait for the end of that erasure."},
		{"too-many-erasures", http.StatusConflict, "As many erasures of accounts, or of subjects, as may be are running.", "Wait for the end of one."},
		{"idempotency-in-flight", http.StatusConflict, "The first request with this Idempotency-Key has not been answered yet.", "Try again in a moment. One that was given up can be repeated after a minute."},
		{"idempotency-mismatch", http.StatusUnprocessableEntity, "The Idempotency-Key came with another request before.", "Use a new key for a new request, and the same for a repeated one."},
		{"requested-range-not-satisfiable", http.StatusRequestedRangeNotSatisfiable, "The file has no such range of bytes.", "Ask for a range within the file, or for the whole."},

		{"internal", http.StatusInternalServerError, "Something went wrong on our side.", "Try again; if it stays so, tell us the request_id."},
		{"not-implemented", http.StatusNotImplemented, "This host is not configured for it.", "Ask whoever runs the host."},
		{"service-unavailable", http.StatusServiceUnavailable, "It took too long, or the request was cancelled.", "Try again in a moment."},
	}
}
