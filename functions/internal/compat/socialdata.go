package compat

import (
	"errors"
	"net/http"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// socialData is SocialData's job status
// (https://docs.socialdata.tools, "Getting job status").
func (c *routes) socialData() system {
	return system{
		base: "/socialdata",
		key:  bearer,
		// The page lists status codes and shows no body of an error: we answer as
		// a job that failed looks there.
		envelope: func(f *refusal) any {
			return struct {
				Status  string `json:"status"`
				Message string `json:"message"`
			}{"error", f.message}
		},
		gets: map[string]handler{"/jobs/{id}": c.getAsync},
	}
}

// getAsync shows a job, byte for byte as its webhook does. Unlike all other
// routes, it tells another account's job from one that does not exist: the
// page says 403 and 404.
func (c *routes) getAsync(w http.ResponseWriter, r *http.Request, account string) error {
	j, err := c.anyonesJob(r.Context(), job.KindAsync, r.PathValue("id"))
	switch {
	case errors.Is(err, webhook.ErrNotFound):
		return refuse(http.StatusNotFound, "The requested job does not exist.")
	case err != nil:
		return err
	case j.Account != account:
		return refuse(http.StatusForbidden, "The requested job belongs to another user.")
	}
	body, err := format.SocialDataJob(j, c.PublicURL)
	if err != nil {
		return err
	}
	writeJSON(w, r, http.StatusOK, body)
	return nil
}
