// Package site puts together all that is served over HTTP: the native API with
// its pages and downloads, the routes of the four systems, and the dashboard.
package site

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/functions/internal/compat"
	"github.com/jobhook/jobhook/functions/internal/dashboard"
	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/resend"
)

// Store keeps all that is shown and written, and what an attempt needs: SerpWow's
// clients wait for one.
type Store interface {
	api.Store
	compat.Store
	deliver.Store
}

// Files keeps uploads and results.
type Files interface {
	api.Files
	// Open returns a file and its size in bytes, or webhook.ErrNotFound.
	Open(ctx context.Context, key string) (io.ReadCloser, int64, error)
}

// New returns the handler of everything. Store and Files take the place of
// those in c, which also needs Retry and Sender.
func New(store Store, files Files, c api.Config) http.Handler {
	resender := &resend.Sender{
		Store: store, Queue: c.Retry, PublicURL: c.PublicURL, Now: c.Now, Log: c.Log,
		Deliver: &deliver.Handler{
			Store: store, Queue: resend.Hidden{Queue: c.Retry}, Sender: c.Sender, PublicURL: c.PublicURL,
			Health: &deliver.HealthLog{}, Rules: c.Rules, Now: c.Now, Log: c.Log,
		},
	}
	c.Store, c.Files = store, files
	native := api.New(c)
	systems := compat.New(compat.Config{
		Store: store, Files: files, Resend: resender, Authenticate: native.Authenticate, Limit: native.Allow,
		PublicURL: c.PublicURL, Now: c.Now, Log: c.Log,
	})
	pages := dashboard.New(dashboard.Config{API: native, PublicURL: c.PublicURL, Version: c.Version, Now: c.Now, Log: c.Log})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case isSystems(r.URL.Path):
			systems.ServeHTTP(w, r)
		case pages.Serves(r):
			pages.ServeHTTP(w, r)
		default:
			native.ServeHTTP(w, r)
		}
	})
}

// isSystems tells whether a path is below the base of one of the systems.
func isSystems(path string) bool {
	for _, base := range []string{"/serpwow", "/webscraper", "/hkube/api/v1", "/socialdata"} {
		if rest, ok := strings.CutPrefix(path, base); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}
