package webhook

import "time"

// ResendState tells how far a bulk resend is.
type ResendState string

// The states of a bulk resend.
const (
	ResendRunning   ResendState = "running"
	ResendDone      ResendState = "done"
	ResendCancelled ResendState = "cancelled"
)

// Resend sends many deliveries of an account once more. Sweep advances it page
// by page, by its cursor.
type Resend struct {
	ID      string // rsd_ and 26 characters that sort by time of creation
	Account string
	Filter  Filter // Account, After and Limit are not used
	State   ResendState
	Cursor  string // Filter.After of the next page
	Rate    int    // deliveries a second
	Looked  int    // deliveries that the filter matched so far
	Resent  int
	Skipped int // could not be resent: no target, or an attempt was under way
	Version int // 1; each change adds one

	CreatedAt time.Time
	UpdatedAt time.Time
	EndedAt   time.Time
}
