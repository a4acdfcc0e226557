// Package logline makes the logger of the functions on AWS: one JSON object a
// line, with the id of the request that it belongs to.
package logline

import (
	"context"
	"io"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// RequestIDKey is the key of the request's id in a line.
const RequestIDKey = "request_id"

// New returns a logger that writes a JSON line for everything at or above the
// level. What is logged with the context of an invocation carries request_id;
// a line without one was written outside of any, or without its context.
func New(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(handler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})})
}

// RequestID returns the id that Lambda gave the invocation, "" outside of one.
func RequestID(ctx context.Context) string {
	lc, ok := lambdacontext.FromContext(ctx)
	if !ok {
		return ""
	}
	return lc.AwsRequestID
}

// handler adds the request's id. Within a group of slog it would stand in the
// group; no line of ours has one.
type handler struct{ slog.Handler }

// Handle writes the record.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String(RequestIDKey, id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the handler around the one with the attributes.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the handler around the one with the group.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
