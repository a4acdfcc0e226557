package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Files keeps uploads, and the files of results.
type Files interface {
	// Put keeps a file whole or not at all, and replaces one of that key.
	Put(ctx context.Context, key string, body io.Reader, m files.Meta) error
	// List returns up to limit files below a prefix, in the order of their keys.
	List(ctx context.Context, prefix string, limit int) ([]files.Info, error)
	// UploadLink returns a URL that a file can be PUT to, "" when it is to be
	// sent to the API.
	UploadLink(ctx context.Context, key string, expires time.Duration) (string, error)
	// Link returns a URL that a file can be read from, "" when the API serves it.
	Link(ctx context.Context, key string, o files.LinkOptions) (string, error)
}

// uploadLinkTTL is how long a link to upload a part works.
const uploadLinkTTL = time.Hour

type (
	// JobPath names a job.
	JobPath struct {
		ID   string   `path:"id"`
		Kind job.Kind `query:"kind" enum:"batch,scraping,pipeline,async" doc:"Needed only when jobs of several kinds have this id."`
	}
	// RunPath names a run of a job.
	RunPath struct {
		JobPath
		Run int `path:"run" minimum:"1" maximum:"1000000000"`
	}
	// PartQuery numbers a part of an upload. Its maximum is files.MaxParts.
	PartQuery struct {
		Part int `query:"part" minimum:"1" maximum:"10000" default:"1" doc:"Parts are put together in the order of their numbers. Sent again, a part is replaced."`
	}
	partBody struct {
		Part int `json:"part,omitempty" minimum:"1" maximum:"10000" default:"1"`
	}
	recordsInput struct {
		RunPath
		PartQuery
		UploadBody
	}
	recordLinkInput struct {
		RunPath
		Body partBody
	}
	inputsInput struct {
		JobPath
		PartQuery
		UploadBody
	}
	inputLinkInput struct {
		JobPath
		Body partBody
	}
)

type uploadView struct {
	Part    int   `json:"part"`
	Records int   `json:"records" doc:"Lines that are records."`
	Bytes   int64 `json:"bytes"`
}

type partView struct {
	Part       int    `json:"part"`
	Bytes      int64  `json:"bytes"`
	UploadedAt string `json:"uploaded_at,omitempty" format:"date-time"`
}

type uploadLinkView struct {
	Part      int    `json:"part"`
	Method    string `json:"method" enum:"PUT,POST"`
	URL       string `json:"url"`
	NeedsKey  bool   `json:"needs_key" doc:"The URL is the API's own: send your key with the part."`
	ExpiresAt string `json:"expires_at,omitempty" format:"date-time"`
}

const (
	uploadNote = "JSON Lines: one JSON object on each line. The part is kept whole or not at all, and replaces one of its number, so that an upload can be taken up again. "
	linkNote   = "PUT the part to the URL, without a key, when needs_key is false; else send it to the API. " +
		"Parts that are uploaded so are checked when they are read."
)

func (a *API) addUploads() {
	platform := scopes(webhook.ScopePlatform)
	upload := func(id, path, summary, note string) operation {
		return operation{id: id, method: "POST", path: path, tag: "Records", status: 200, summary: summary, details: uploadNote + note, streams: true}
	}
	add := func(id, method, path, summary, details string, status int) operation {
		return operation{id: id, method: method, path: path, tag: "Records", status: status, summary: summary, details: details}
	}
	const records, inputs = "/v1/jobs/{id}/runs/{run}/records", "/v1/jobs/{id}/inputs"
	register(a, upload("put-records", records, "Upload a part of a run's records", "When the run ends, its records are exported to files."), platform, a.putRecords)
	register(a, add("list-records", "GET", records, "List the uploaded parts of a run's records", "", 200), platform, a.listRecords)
	register(a, add("link-records", "POST", "/v1/jobs/{id}/runs/{run}/record-links", "Get a URL to upload a part of a run's records to", linkNote, 200), platform, a.linkRecords)
	register(a, upload("put-inputs", inputs, "Upload a part of a job's inputs", "Such as the searches of a batch."), platform, a.putInputs)
	register(a, add("list-inputs", "GET", inputs, "List the uploaded parts of a job's inputs", "", 200), platform, a.listInputs)
	register(a, add("link-inputs", "POST", "/v1/jobs/{id}/input-links", "Get a URL to upload a part of a job's inputs to", linkNote, 200), platform, a.linkInputs)
	for _, path := range []string{records, inputs} {
		a.describeUpload(path)
	}
}

// describeUpload adds the body to the document alone: what huma knows of a body
// it would read whole.
func (a *API) describeUpload(path string) {
	item := a.huma.OpenAPI().Paths[path]
	described := *item.Post
	described.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
	for _, kind := range uploadTypes() {
		described.RequestBody.Content[kind] = &huma.MediaType{Schema: &huma.Schema{Type: "string", Format: "binary"}}
	}
	item.Post = &described
}

func (a *API) putRecords(ctx context.Context, in *recordsInput) (*result[uploadView], error) {
	j, err := a.openRun(ctx, in.RunPath)
	if err != nil {
		return nil, err
	}
	kept, err := a.keepLines(ctx, recordsFolder(j, in.Run)+files.Part(in.Part), in.UploadBody, func() error {
		now, err := a.oneJob(ctx, j.ID, j.Kind, j.Account)
		if err != nil {
			return err
		}
		return checkOpen(now, in.Run)
	})
	if err != nil {
		return nil, err
	}
	kept.Part = in.Part
	return &result[uploadView]{Body: kept}, a.noteRecords(ctx, j)
}

// openRun returns the job when records can be added to the run.
func (a *API) openRun(ctx context.Context, in RunPath) (job.Job, error) {
	if a.Files == nil {
		return job.Job{}, noFiles()
	}
	j, err := a.oneJob(ctx, in.ID, in.Kind, "")
	if err != nil {
		return job.Job{}, err
	}
	return j, checkOpen(j, in.Run)
}

func checkOpen(j job.Job, run int) error {
	switch {
	case j.Run != run:
		return conflict("other-run", fmt.Sprintf("Run %d is not the job's current run.", run)).
			field("run", fmt.Sprintf("the current run is %d", j.Run), "upload the records of a run while it is the current one")
	case j.Ended():
		return conflict("run-ended", "The run has ended; its records are being exported, or have been.").
			field("run", "it has ended", "upload all records first, then write the status that ends the run")
	}
	return nil
}

// noteRecords notes on the job that its run has records. It does so after each
// part, though the run was open when the part had come: a run that ended meanwhile may be exported without this one, so that
// the upload must not seem to have been in time.
func (a *API) noteRecords(ctx context.Context, j job.Job) error {
	run := j.Run
	_, _, err := a.Store.WriteJob(ctx, j.ID, j.Kind, func(old *job.Job) (job.Job, error) {
		if old == nil || old.Account != j.Account {
			return job.Job{}, webhook.ErrNotFound
		}
		if err := checkOpen(*old, run); err != nil {
			return job.Job{}, err
		}
		return a.withRecords(*old)
	})
	return err
}

func (a *API) listRecords(ctx context.Context, in *RunPath) (*result[page[partView]], error) {
	j, err := a.oneJob(ctx, in.ID, in.Kind, "")
	if err != nil {
		return nil, err
	}
	return a.parts(ctx, recordsFolder(j, in.Run))
}

func (a *API) linkRecords(ctx context.Context, in *recordLinkInput) (*result[uploadLinkView], error) {
	j, err := a.openRun(ctx, in.RunPath)
	if err != nil {
		return nil, err
	}
	if err := a.noteRecords(ctx, j); err != nil { // nobody tells us of the upload itself
		return nil, err
	}
	part := max(in.Body.Part, 1)
	own := fmt.Sprintf("/v1/jobs/%s/runs/%d/records?kind=%s&part=%d", url.PathEscape(j.ID), in.Run, j.Kind, part)
	return a.uploadLink(ctx, recordsFolder(j, in.Run), part, own)
}

func (a *API) putInputs(ctx context.Context, in *inputsInput) (*result[uploadView], error) {
	j, err := a.jobWithFiles(ctx, in.JobPath)
	if err != nil {
		return nil, err
	}
	kept, err := a.keepLines(ctx, inputsFolder(j)+files.Part(in.Part), in.UploadBody, func() error {
		_, err := a.oneJob(ctx, j.ID, j.Kind, j.Account)
		return err
	})
	kept.Part = in.Part
	return &result[uploadView]{Body: kept}, err
}

func (a *API) listInputs(ctx context.Context, in *JobPath) (*result[page[partView]], error) {
	j, err := a.oneJob(ctx, in.ID, in.Kind, "")
	if err != nil {
		return nil, err
	}
	return a.parts(ctx, inputsFolder(j))
}

func (a *API) linkInputs(ctx context.Context, in *inputLinkInput) (*result[uploadLinkView], error) {
	j, err := a.jobWithFiles(ctx, in.JobPath)
	if err != nil {
		return nil, err
	}
	part := max(in.Body.Part, 1)
	return a.uploadLink(ctx, inputsFolder(j), part, fmt.Sprintf("/v1/jobs/%s/inputs?kind=%s&part=%d", url.PathEscape(j.ID), j.Kind, part))
}

func (a *API) jobWithFiles(ctx context.Context, in JobPath) (job.Job, error) {
	if a.Files == nil {
		return job.Job{}, noFiles()
	}
	return a.oneJob(ctx, in.ID, in.Kind, "")
}

func (a *API) uploadLink(ctx context.Context, folder string, part int, own string) (*result[uploadLinkView], error) {
	link, err := a.Files.UploadLink(ctx, folder+files.Part(part), uploadLinkTTL)
	if err != nil {
		return nil, fmt.Errorf("link to upload to: %w", err)
	}
	if link == "" {
		return &result[uploadLinkView]{Body: uploadLinkView{Part: part, Method: http.MethodPost, URL: strings.TrimRight(a.PublicURL, "/") + own, NeedsKey: true}}, nil
	}
	return &result[uploadLinkView]{Body: uploadLinkView{Part: part, Method: http.MethodPut, URL: link, ExpiresAt: stamp(a.Now().Add(uploadLinkTTL))}}, nil
}

// parts lists what was uploaded to a folder.
func (a *API) parts(ctx context.Context, folder string) (*result[page[partView]], error) {
	if a.Files == nil {
		return nil, noFiles()
	}
	list, err := a.Files.List(ctx, folder, files.MaxParts)
	if err != nil {
		return nil, fmt.Errorf("list parts: %w", err)
	}
	return pageOf(list, func(i files.Info) partView {
		var part int
		fmt.Sscanf(strings.TrimPrefix(i.Key, folder), "%d", &part) // of a key that files.Part made
		return partView{Part: part, Bytes: i.Size, UploadedAt: stamp(i.Modified)}
	}, ""), nil
}

func recordsFolder(j job.Job, run int) string {
	return files.RecordsFolder(j.Account, j.Kind, j.ID, run)
}

func inputsFolder(j job.Job) string { return files.InputsFolder(j.Account, j.Kind, j.ID) }

// noFiles is the answer of a server without a place for files.
func noFiles() *Problem {
	return problem(http.StatusNotFound, "This server keeps no files.").as("no-files")
}
