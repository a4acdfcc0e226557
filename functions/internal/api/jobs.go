package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

type (
	putJobInput struct {
		ID      string `path:"id" doc:"The platform's own, unique per kind across accounts."`
		RawBody []byte `contentType:"application/json"`
	}
	patchJobInput struct {
		ID      string   `path:"id"`
		Kind    job.Kind `query:"kind" enum:"batch,scraping,pipeline,async" doc:"Needed only when jobs of several kinds have this id."`
		RawBody []byte   `contentType:"application/json"`
	}
	jobInput struct {
		ID      string   `path:"id"`
		Kind    job.Kind `query:"kind" enum:"batch,scraping,pipeline,async" doc:"Needed only when jobs of several kinds have this id."`
		Account string   `query:"account"`
	}
	jobsInput struct {
		Account string     `query:"account" doc:"Required, but for an account's own key."`
		Kind    job.Kind   `query:"kind" enum:"batch,scraping,pipeline,async"`
		Status  job.Status `query:"status" doc:"A status word of the kind."`
		Paging
	}
)

// rawAnswer is an answer that is JSON already.
type rawAnswer struct {
	Status      int
	ContentType string `header:"Content-Type" hidden:"true"`
	Body        []byte
}

func answer(status int, body []byte) *rawAnswer {
	return &rawAnswer{Status: status, ContentType: contentJSON, Body: append(body, '\n')}
}

func (a *API) addJobs() {
	platform, everybody := scopes(webhook.ScopePlatform), scopes(webhook.ScopePlatform, webhook.ScopeAccount)
	register(a, operation{id: "put-job", method: "PUT", path: "/v1/jobs/{id}", tag: "Jobs", summary: "Write a job record",
		details: "What the change means for webhooks follows from the record before and after. A repeated write changes nothing.",
		status:  200, alsoStatus: 201, maxBody: job.MaxRecordBytes + 1, rawBody: ref("JobRecord"), rawAnswer: ref("Job")}, platform, a.putJob)
	register(a, operation{id: "patch-job", method: "PATCH", path: "/v1/jobs/{id}", tag: "Jobs", summary: "Change attributes of a job record",
		status: 200, maxBody: job.MaxRecordBytes + 1, rawBody: ref("JobPatch"), rawAnswer: ref("Job")}, platform, a.patchJob)
	register(a, operation{id: "get-job", method: "GET", path: "/v1/jobs/{id}", tag: "Jobs", summary: "Read a job",
		status: 200, rawAnswer: ref("Job")}, everybody, a.getJob)
	register(a, operation{id: "list-jobs", method: "GET", path: "/v1/jobs", tag: "Jobs", summary: "List the jobs of an account, newest first",
		status: 200, rawAnswer: ref("Jobs")}, everybody, a.listJobs)
}

func (a *API) putJob(ctx context.Context, in *putJobInput) (*rawAnswer, error) {
	list, err := split(in.RawBody)
	if err != nil {
		return nil, err
	}
	d, err := a.draftOf(in.ID, list)
	if err != nil {
		return nil, unlessMalformed(err, in.RawBody)
	}
	written, created, err := a.Store.WriteJob(ctx, d.ID, d.Kind, d.next)
	if err != nil {
		return nil, err
	}
	if created {
		return answer(http.StatusCreated, appendJob(nil, written)), nil
	}
	return answer(http.StatusOK, appendJob(nil, written)), nil
}

func (a *API) patchJob(ctx context.Context, in *patchJobInput) (*rawAnswer, error) {
	if !json.Valid(in.RawBody) {
		return nil, malformed("it is no JSON")
	}
	patch, err := split(slices.Clone(in.RawBody)) // the store may look at it after a cancelled request has returned
	if err != nil {
		return nil, err
	}
	stored, err := a.oneJob(ctx, in.ID, in.Kind, "")
	if err != nil {
		return nil, err
	}
	written, _, err := a.Store.WriteJob(ctx, in.ID, stored.Kind, func(old *job.Job) (job.Job, error) {
		if old == nil {
			return job.Job{}, webhook.ErrNotFound
		}
		return a.patched(*old, patch)
	})
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, appendJob(nil, written)), nil
}

// patched is the record after the patch.
func (a *API) patched(old job.Job, patch []member) (job.Job, error) {
	if err := checkUnchanged(old, patch); err != nil {
		return job.Job{}, err
	}
	list, err := split(old.Record)
	if err != nil {
		return job.Job{}, err
	}
	derived := slices.ContainsFunc(list, func(m member) bool { return string(m.Name) == statusDerived })
	list = slices.DeleteFunc(list, func(m member) bool {
		return derived && string(m.Name) == "status" || old.Kind == job.KindPipeline && isLevel(m)
	})
	if list, err = mergeMembers(list, patch); err != nil {
		return job.Job{}, err
	}
	d, err := a.draftOf(old.ID, list)
	if err != nil {
		return job.Job{}, err
	}
	return d.next(&old)
}

// isLevel finds the attribute that tells how severe one change is. It is not
// kept for the next: a failure would pass for as harmless as the progress before.
func isLevel(m member) bool { return string(m.Name) == "level" }

func (a *API) getJob(ctx context.Context, in *jobInput) (*rawAnswer, error) {
	account := in.Account
	if callerOf(ctx).scope == webhook.ScopeAccount {
		var err error
		if account, err = accountFor(ctx, account); err != nil {
			return nil, err
		}
	}
	j, err := a.oneJob(ctx, in.ID, in.Kind, account)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, appendJob(nil, j)), nil
}

// oneJob returns the job of that id; kind and account narrow it down unless
// they are empty.
func (a *API) oneJob(ctx context.Context, id string, kind job.Kind, account string) (job.Job, error) {
	jobs, err := a.Store.JobsByID(ctx, id)
	if err != nil {
		return job.Job{}, err
	}
	jobs = slices.DeleteFunc(jobs, func(j job.Job) bool {
		return kind != "" && j.Kind != kind || account != "" && j.Account != account
	})
	switch len(jobs) {
	case 0:
		return job.Job{}, webhook.ErrNotFound
	case 1:
		return jobs[0], nil
	}
	var kinds []string
	for _, j := range jobs {
		kinds = append(kinds, string(j.Kind))
	}
	return job.Job{}, conflict("ambiguous-kind", "Jobs of several kinds have this id.").
		field("kind", "it could be "+strings.Join(kinds, " or "), "add ?kind=")
}

func (a *API) listJobs(ctx context.Context, in *jobsInput) (*rawAnswer, error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	if err := checkStatus(in.Kind, in.Status); err != nil {
		return nil, err
	}
	jobs, next, err := a.Store.Jobs(ctx, webhook.JobFilter{Account: account, Kind: in.Kind, Status: in.Status, After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	b := []byte(`{"items":[`)
	for i, j := range jobs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJob(b, j)
	}
	b = append(b, ']')
	if next != "" {
		quoted, _ := json.Marshal(next) // a string always marshals
		b = appendMember(b, "next", quoted)
	}
	return answer(http.StatusOK, append(b, "}\n"...)), nil
}

// checkStatus refuses a filter that can match nothing.
func checkStatus(k job.Kind, s job.Status) error {
	if s == "" {
		return nil
	}
	kinds := job.Kinds()
	if k != "" {
		kinds = []job.Kind{k}
	}
	var words []string
	for _, k := range kinds {
		if slices.Contains(job.Statuses(k), s) {
			return nil
		}
		for _, w := range job.Statuses(k) {
			words = append(words, string(w))
		}
	}
	return invalid("status", "there is no such status", "use one of "+strings.Join(words, ", "))
}

// appendJob writes a record with what its status means.
func appendJob(b []byte, j job.Job) []byte {
	end := bytes.LastIndexByte(j.Record, '}')
	b = slices.Grow(b, end+64)
	b = append(b, j.Record[:end]...)
	b = append(append(append(b, `,"phase":"`...), j.Phase()...), '"')
	if o := j.Outcome(); o != "" {
		b = append(append(append(b, `,"outcome":"`...), o...), '"')
	}
	return append(b, '}')
}
