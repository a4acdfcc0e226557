package webhook

import "errors"

// Errors that stores return and callers match with errors.Is.
var (
	// ErrNotFound: there is no such object, or it is another account's.
	ErrNotFound = errors.New("not found")
	// ErrStale: somebody else changed the delivery first; what was to be
	// written no longer applies.
	ErrStale = errors.New("changed by somebody else")
	// ErrInFlight: an attempt of the delivery is being made right now.
	ErrInFlight = errors.New("an attempt is in flight")
	// ErrCursor: the cursor of a page is none that a list returned.
	ErrCursor = errors.New("invalid cursor")
	// ErrTaken: the id belongs to another account.
	ErrTaken = errors.New("taken by another account")
)
