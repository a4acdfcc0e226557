package api

import (
	"net/http"
	"path"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// verbRoot begins the paths under which routes such as
// /v1/deliveries/{id}:resend are known to the mux, which has no pattern for
// them. No request reaches such a path by itself.
const verbRoot = "/:"

// verbs registers "POST /v1/things/{id}:verb" as "POST /:verb/v1/things/{id}",
// and rewrites requests to match. Ids may hold colons: only a POST to the
// collection of a registered verb is rewritten.
type verbs struct {
	huma.Adapter
	routes []verbRoute
}

type verbRoute struct{ collection, suffix string }

func newVerbs(mux *http.ServeMux) *verbs { return &verbs{Adapter: humago.NewAdapter(mux, "")} }

// Handle registers an operation; huma calls it.
func (v *verbs) Handle(op *huma.Operation, handler func(huma.Context)) {
	before, verb, found := strings.Cut(op.Path, "}:")
	if !found {
		v.Adapter.Handle(op, handler)
		return
	}
	route := verbRoute{collection: op.Path[:strings.IndexByte(op.Path, '{')], suffix: ":" + verb}
	v.routes = append(v.routes, route)
	inner := *op // the document keeps the path that callers use
	inner.Path = "/" + route.suffix + before + "}"
	v.Adapter.Handle(&inner, handler)
}

// rewrite returns the request as the mux knows it. The verb must stand as it
// is: an encoded colon belongs to the id.
func (v *verbs) rewrite(r *http.Request, escaped string) *http.Request {
	if r.Method != http.MethodPost {
		return r
	}
	for _, route := range v.routes {
		if !strings.HasPrefix(escaped, route.collection) || !strings.HasSuffix(escaped, route.suffix) {
			continue
		}
		if object := strings.TrimSuffix(escaped, route.suffix); path.Clean(object) != object {
			continue // an id of dots alone, which the mux would resolve
		}
		again, u := *r, *r.URL
		u.Path = "/" + route.suffix + strings.TrimSuffix(u.Path, route.suffix)
		u.RawPath = "/" + route.suffix + strings.TrimSuffix(escaped, route.suffix)
		again.URL = &u
		return &again
	}
	return r
}
