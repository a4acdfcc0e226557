package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// ResultSetStore keeps what is known of exported files.
type ResultSetStore interface {
	// ResultSet finds a set by its whole token, revoked and expired ones too.
	ResultSet(ctx context.Context, token string) (webhook.ResultSet, error)
	// ResultSets returns those of a job, the newest run first, at most webhook.MaxPage.
	ResultSets(ctx context.Context, account string, kind job.Kind, id string) ([]webhook.ResultSet, error)
	// RevokeResultSet ends the links of a run's set.
	RevokeResultSet(ctx context.Context, account string, kind job.Kind, id string, run int, at time.Time) error
	// AddDownload counts a download and keeps it.
	AddDownload(ctx context.Context, token string, d webhook.Download) error
	// Downloads returns the newest downloads of a set.
	Downloads(ctx context.Context, token string, limit int) ([]webhook.Download, error)
}

type (
	// JobOfAccount names a job of an account.
	JobOfAccount struct {
		JobPath
		Account string `query:"account"`
	}
	runOfAccount struct {
		JobOfAccount
		Run int `path:"run" minimum:"0" maximum:"1000000000"`
	}
	downloadsInput struct {
		JobOfAccount
		Run   int `path:"run" minimum:"0" maximum:"1000000000"`
		Limit int `query:"limit" minimum:"1" maximum:"250" default:"50"`
	}
)

type resultSetView struct {
	Run            int                     `json:"run"`
	State          webhook.ResultSetState  `json:"state" enum:"exporting,ready,failed"`
	Reason         string                  `json:"reason,omitempty" doc:"Why the export failed."`
	Pages          int                     `json:"pages" doc:"Of up to 1,000 records."`
	Records        int                     `json:"records"`
	Bytes          int64                   `json:"bytes" doc:"Of all files together."`
	Files          map[string]fileLinkView `json:"files,omitempty" doc:"By format: json, jsonlines, csv. Absent while there are none, and once the links have expired or were revoked."`
	CreatedAt      string                  `json:"created_at" format:"date-time"`
	UpdatedAt      string                  `json:"updated_at" format:"date-time"`
	ExpiresAt      string                  `json:"expires_at,omitempty" format:"date-time"`
	RevokedAt      string                  `json:"revoked_at,omitempty" format:"date-time"`
	Downloads      int                     `json:"downloads"`
	LastDownloadAt string                  `json:"last_download_at,omitempty" format:"date-time"`
}

type fileLinkView struct {
	AllPages string   `json:"all_pages"`
	Pages    []string `json:"pages,omitempty" doc:"Lists of sets leave them out."`
}

type downloadView struct {
	At     string `json:"at" format:"date-time"`
	File   string `json:"file"`
	Method string `json:"method" enum:"GET,HEAD"`
}

func (a *API) addResultSets() {
	everybody := scopes(webhook.ScopePlatform, webhook.ScopeAccount)
	tag := func(id, method, path, summary, details string) operation {
		return operation{id: id, method: method, path: path, tag: "Results", status: 200, summary: summary, details: details}
	}
	const job, run = "/v1/jobs/{id}", "/v1/jobs/{id}/runs/{run}"
	register(a, tag("list-runs", "GET", job+"/runs", "List the runs of a job, newest first", runsNote), everybody, a.listRuns)
	register(a, tag("list-result-sets", "GET", job+"/result-sets", "List the result sets of a job, newest run first", ""), everybody, a.listResultSets)
	register(a, tag("get-result-set", "GET", run+"/result-set", "Read a run's result set, with the links to its files", ""), everybody, a.getResultSet)
	register(a, tag("revoke-result-set", "POST", run+"/result-set:revoke", "End the links of a run's result set",
		"They answer with 410 from then on. One that was revoked before stays so."), everybody, a.revokeResultSet)
	register(a, tag("list-downloads", "GET", run+"/downloads", "List the newest downloads of a run's result set", ""), everybody, a.listDownloads)
}

// jobOf returns a job, for an account's own key only one of that account.
func (a *API) jobOf(ctx context.Context, in JobOfAccount) (job.Job, error) {
	account := in.Account
	if callerOf(ctx).scope == webhook.ScopeAccount {
		var err error
		if account, err = accountFor(ctx, account); err != nil {
			return job.Job{}, err
		}
	}
	return a.oneJob(ctx, in.ID, in.Kind, account)
}

// setOf returns the result set of a run.
func (a *API) setOf(ctx context.Context, in JobOfAccount, run int) (webhook.ResultSet, error) {
	j, err := a.jobOf(ctx, in)
	if err != nil {
		return webhook.ResultSet{}, err
	}
	list, err := a.Store.ResultSets(ctx, j.Account, j.Kind, j.ID)
	if err != nil {
		return webhook.ResultSet{}, err
	}
	at := slices.IndexFunc(list, func(s webhook.ResultSet) bool { return s.Run == run })
	if at < 0 {
		return webhook.ResultSet{}, webhook.ErrNotFound
	}
	return list[at], nil
}

func (a *API) listResultSets(ctx context.Context, in *JobOfAccount) (*result[page[resultSetView]], error) {
	j, err := a.jobOf(ctx, *in)
	if err != nil {
		return nil, err
	}
	list, err := a.Store.ResultSets(ctx, j.Account, j.Kind, j.ID)
	if err != nil {
		return nil, err
	}
	return pageOf(list, func(s webhook.ResultSet) resultSetView {
		v := a.viewResultSet(s)
		for format, f := range v.Files {
			v.Files[format] = fileLinkView{AllPages: f.AllPages}
		}
		return v
	}, ""), nil
}

func (a *API) getResultSet(ctx context.Context, in *runOfAccount) (*result[resultSetView], error) {
	set, err := a.setOf(ctx, in.JobOfAccount, in.Run)
	if err != nil {
		return nil, err
	}
	return &result[resultSetView]{Body: a.viewResultSet(set)}, nil
}

func (a *API) revokeResultSet(ctx context.Context, in *runOfAccount) (*result[resultSetView], error) {
	set, err := a.setOf(ctx, in.JobOfAccount, in.Run)
	if err != nil {
		return nil, err
	}
	if set.RevokedAt.IsZero() {
		set.RevokedAt = a.Now()
		if err := a.Store.RevokeResultSet(ctx, set.Account, set.Kind, set.JobID, set.Run, set.RevokedAt); err != nil {
			return nil, err
		}
	}
	return &result[resultSetView]{Body: a.viewResultSet(set)}, nil
}

func (a *API) listDownloads(ctx context.Context, in *downloadsInput) (*result[page[downloadView]], error) {
	set, err := a.setOf(ctx, in.JobOfAccount, in.Run)
	if err != nil {
		return nil, err
	}
	list, err := a.Store.Downloads(ctx, set.Token, in.Limit)
	if err != nil {
		return nil, err
	}
	return pageOf(list, func(d webhook.Download) downloadView {
		return downloadView{At: stamp(d.At), File: d.File, Method: d.Method}
	}, ""), nil
}

func (a *API) viewResultSet(s webhook.ResultSet) resultSetView {
	v := resultSetView{
		Run: s.Run, State: s.State, Reason: s.Reason, Pages: s.Pages, Records: s.Records, Bytes: s.Bytes,
		CreatedAt: stamp(s.CreatedAt), UpdatedAt: stamp(s.UpdatedAt), ExpiresAt: stamp(s.ExpiresAt), RevokedAt: stamp(s.RevokedAt),
		Downloads: s.Downloads, LastDownloadAt: stamp(s.LastDownloadAt),
	}
	if s.State != webhook.ResultSetExported || over(s, a.Now()) {
		return v
	}
	v.Files = map[string]fileLinkView{}
	for _, format := range job.FileFormats() {
		if links, ok := namesOf(s).Links(s.Kind, s.JobID, format, a.PublicURL); ok {
			v.Files[format] = fileLinkView{AllPages: links.AllPages, Pages: links.Pages}
		}
	}
	return v
}

// namesOf is the set as job records have it, which knows the names of its files.
func namesOf(s webhook.ResultSet) job.ResultSet {
	return job.ResultSet{ID: s.Run, Token: s.Token, Pages: s.Pages, Records: s.Records, CSVHash: s.CSVHash}
}

// over tells whether the links of a set have ended.
func over(s webhook.ResultSet, now time.Time) bool {
	return !s.RevokedAt.IsZero() && !now.Before(s.RevokedAt) || !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt)
}

// maxRunPages bounds how many pages of a job's events are read for its runs.
const maxRunPages = 20

const runsNote = "Those that ended while Jobhook knew of the job, as long as their events are kept, and the current one. " +
	"complete is false where the job has too many events to look at them all."

type runsView struct {
	Items    []runView `json:"items" nullable:"false"`
	Complete bool      `json:"complete"`
}

type runView struct {
	Run     int         `json:"run"`
	Phase   job.Phase   `json:"phase" enum:"waiting,running,ended"`
	Outcome job.Outcome `json:"outcome,omitempty" enum:"succeeded,failed,stopped" doc:"Only of an ended run."`
	EndedAt string      `json:"ended_at,omitempty" format:"date-time"`
	Event   string      `json:"event,omitempty" doc:"The id of the event of its end."`
}

func (a *API) listRuns(ctx context.Context, in *JobOfAccount) (*result[runsView], error) {
	j, err := a.jobOf(ctx, *in)
	if err != nil {
		return nil, err
	}
	ends, complete, err := a.endsOf(ctx, j)
	if err != nil {
		return nil, err
	}
	view := runsView{Items: []runView{}, Complete: complete}
	for _, e := range ends {
		view.Items = append(view.Items, runView{Run: e.Run, Phase: job.PhaseEnded, Outcome: outcomeOf(e.Type), EndedAt: stamp(e.At), Event: e.ID})
	}
	if j.Run > 0 && !slices.ContainsFunc(view.Items, func(r runView) bool { return r.Run == j.Run }) {
		view.Items = append(view.Items, runView{Run: j.Run, Phase: j.Phase(), Outcome: j.Outcome()})
	}
	slices.SortFunc(view.Items, func(x, y runView) int {
		return cmp.Or(cmp.Compare(y.Run, x.Run), cmp.Compare(y.EndedAt, x.EndedAt))
	})
	return &result[runsView]{Body: view}, nil
}

// endsOf reads the events of the ends of a job's runs.
func (a *API) endsOf(ctx context.Context, j job.Job) (ends []webhook.Event, complete bool, err error) {
	f := webhook.EventFilter{Account: j.Account, Kind: j.Kind, JobID: j.ID, Limit: webhook.MaxPage}
	for range maxRunPages {
		list, next, err := a.Store.Events(ctx, f)
		if err != nil {
			return nil, false, err
		}
		for _, e := range list {
			if outcomeOf(e.Type) != "" {
				ends = append(ends, e)
			}
		}
		if f.After = next; next == "" {
			return ends, true, nil
		}
	}
	return ends, false, nil
}

// outcomeOf is the outcome of a run that such an event ends; "" for other events.
func outcomeOf(t webhook.EventType) job.Outcome {
	for _, o := range []job.Outcome{job.OutcomeSucceeded, job.OutcomeFailed, job.OutcomeStopped} {
		if webhook.EndOf(o) == t {
			return o
		}
	}
	return ""
}
