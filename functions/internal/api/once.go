package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/jobhook/jobhook/shared/webhook"
)

// The headers of requests that are to be done once
// (draft-ietf-httpapi-idempotency-key-header).
const (
	headerOnce     = "Idempotency-Key"
	headerReplayed = "Idempotency-Replayed"
)

const (
	onceKept      = 24 * time.Hour  // how long an answer is kept
	onceAbandoned = time.Minute     // a first request without an answer by then is taken for dead
	onceEnds      = 5 * time.Second // to keep an answer, or make room again, even if the client is gone
	maxOnceKey    = 255
)

// defaultMaxBody is huma's limit where an operation sets none, in bytes.
const defaultMaxBody = 1 << 20

// takesOnce tells whether requests of the operation may carry an
// Idempotency-Key: a POST under a key, which is read whole.
func (o operation) takesOnce(scopes []webhook.Scope) bool {
	return o.method == http.MethodPost && scopes != nil && !o.streams && !o.anew && o.maxBody >= 0
}

func onceParameter() *huma.Param {
	return &huma.Param{Name: headerOnce, In: "header", Schema: &huma.Schema{Type: "string", MinLength: new(1), MaxLength: new(maxOnceKey)},
		Description: "1 to 255 printable characters. For 24 hours the same key with the same request gets the same answer, and nothing happens twice."}
}

// once answers a repeated request as it was answered first. An answer is kept
// before it is sent, so that whoever has seen it gets it again. What may go
// better the next time is not kept, see isKept.
func (a *API) once(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	keys, asked := r.Header[headerOnce]
	if !asked {
		next(ctx)
		return
	}
	if len(keys) != 1 || !isOnceKey(keys[0]) {
		invalid(headerOnce, "it is no key", "send one key of 1 to 255 printable characters").write(w)
		return
	}
	body, whole := buffered(ctx, r)
	if !whole {
		next(ctx) // which refuses it
		return
	}
	c := callerOf(ctx.Context())
	o := webhook.Once{
		ID: digest(c.key, r.Method, r.URL.EscapedPath(), keys[0]), Account: c.account,
		Fingerprint: digest(r.URL.RawQuery, r.Header.Get("If-Match"), string(body)),
		StartedAt:   a.Now().UTC(), ExpiresAt: a.Now().UTC().Add(onceKept),
	}
	kept, begun, err := a.beginOnce(ctx.Context(), o)
	switch {
	case err != nil:
		a.problemOf(ctx.Context(), err).write(w)
	case begun:
		a.firstTime(ctx, w.(*response), o, next)
	case kept.Fingerprint != o.Fingerprint:
		problem(http.StatusUnprocessableEntity, "The request cannot be accepted.").as("idempotency-mismatch").
			field(headerOnce, "it came with another request before", "use a new key for a new request").write(w)
	case kept.Status == 0:
		conflict("idempotency-in-flight", "The first request of this key is under way; try again in a moment.").with("Retry-After", "1").write(w)
	default:
		replay(w, kept)
	}
}

// beginOnce begins a request, also one that was begun and given up: by a
// process that died, as all others end it. Of two that retry such a one in the
// same moment, one is let through.
func (a *API) beginOnce(ctx context.Context, o webhook.Once) (webhook.Once, bool, error) {
	kept, begun, err := a.Store.BeginOnce(ctx, o)
	if err != nil || begun || kept.Status != 0 || kept.Fingerprint != o.Fingerprint || o.StartedAt.Sub(kept.StartedAt) < onceAbandoned {
		return kept, begun, err
	}
	if err := a.Store.ForgetOnce(ctx, kept); err != nil {
		return kept, false, err
	}
	return a.Store.BeginOnce(ctx, o)
}

// firstTime does what is asked for, keeps the answer, and sends it.
func (a *API) firstTime(ctx huma.Context, w *response, o webhook.Once, next func(huma.Context)) {
	answer := &held{status: http.StatusOK}
	w.held = answer
	ended := false
	defer func() {
		if !ended { // it panicked
			w.held = nil
			a.forgetOnce(ctx.Context(), o)
		}
	}()
	next(ctx)
	ended = true
	if isKept(answer.status) {
		o.Status, o.Header, o.Body = answer.status, keptHeader(w.Header()), answer.body.Bytes()
		a.endOnce(ctx.Context(), o)
	} else {
		a.forgetOnce(ctx.Context(), o)
	}
	w.release()
}

// isKept tells whether repeats get an answer of that status. What we failed at,
// had no time for, or could not do as things stood, is to be tried again.
func isKept(status int) bool {
	return status < 500 && status != http.StatusTooManyRequests && status != http.StatusConflict
}

// endOnce keeps an answer. What was done is done: that it cannot be kept is no
// reason not to send it.
func (a *API) endOnce(ctx context.Context, o webhook.Once) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), onceEnds)
	defer cancel()
	if err := a.Store.EndOnce(ctx, o); err != nil {
		a.Log.ErrorContext(ctx, "answer.not_kept", "error", err)
	}
}

func (a *API) forgetOnce(ctx context.Context, o webhook.Once) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), onceEnds)
	defer cancel()
	if err := a.Store.ForgetOnce(ctx, o); err != nil {
		a.Log.ErrorContext(ctx, "request.not_forgotten", "error", err)
	}
}

// keptHeader is what of an answer's headers belongs to what was done, rather
// than to the moment.
func keptHeader(h http.Header) map[string]string {
	kept := map[string]string{}
	for _, name := range []string{"Content-Type", "Etag", "Location", "Retry-After", "Www-Authenticate"} {
		if value := h.Get(name); value != "" {
			kept[name] = value
		}
	}
	return kept
}

func replay(w http.ResponseWriter, o webhook.Once) {
	for name, value := range o.Header {
		w.Header().Set(name, value)
	}
	w.Header().Set(headerReplayed, "true")
	w.WriteHeader(o.Status)
	w.Write(o.Body) // the client is gone if this fails
}

// buffered reads the body and puts it back. It is not whole when it broke off
// or is longer than the operation allows; whoever reads it next meets the same.
func buffered(ctx huma.Context, r *http.Request) (body []byte, whole bool) {
	limit := ctx.Operation().MaxBodyBytes
	if limit <= 0 {
		limit = defaultMaxBody
	}
	if r.Body == nil {
		return nil, true
	}
	if wait := ctx.Operation().BodyReadTimeout; wait > 0 {
		// A writer that knows no deadlines has its own.
		_ = ctx.SetReadDeadline(time.Now().Add(wait))
	}
	rest := r.Body
	body, err := io.ReadAll(io.LimitReader(rest, limit+1))
	if err != nil {
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
		return nil, false
	}
	if int64(len(body)) > limit {
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), rest))
		return nil, false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, true
}

// failing is the rest of a body that broke off.
type failing struct{ err error }

// Read returns the error, but never the end of a body that has none.
func (f failing) Read([]byte) (int, error) {
	if errors.Is(f.err, io.EOF) {
		return 0, io.ErrUnexpectedEOF
	}
	return 0, f.err
}

func isOnceKey(key string) bool {
	return key != "" && len(key) <= maxOnceKey && !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
}

// digest is a hash of the parts, each with its length, so that no two lists of
// parts look alike.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
