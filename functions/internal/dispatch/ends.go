package dispatch

import (
	"context"
	"slices"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// EndOf plans once more what the end of a job's present run leads to, and its
// result set if it has one. The job was last written at the given time. There is
// nothing for a job that has not ended, and for one whose runs nobody counts:
// the ids of its events name a change that is gone.
//
// It is what dispatch planned then, or less, for the same endpoints: where the
// end and the result set came with two changes, each was explained by itself to
// endpoints that hear of the other.
func (h *Handler) EndOf(j job.Job, at time.Time, endpoints []webhook.Endpoint, q webhook.Quotas) []webhook.Planned {
	if j.Run == 0 || !j.Ended() {
		return nil
	}
	planned := h.planner(q).plan(job.Change{New: j, At: at}, endpoints)
	return slices.DeleteFunc(planned, func(p webhook.Planned) bool { return !p.Event.Type.Derivable(j.Run) })
}

// Again stores what EndOf planned and rings for it, and asks for the run's
// export where that is still to come. What is there stays as it is.
func (h *Handler) Again(ctx context.Context, j job.Job, planned []webhook.Planned) error {
	var exports []webhook.Export
	if e, ok := exportOf(job.Change{New: j}); ok && h.Exports != nil {
		if set, err := j.ResultSet(); err == nil && set == nil {
			exports = append(exports, e)
		}
	}
	return h.commit(ctx, planned, exports)
}
