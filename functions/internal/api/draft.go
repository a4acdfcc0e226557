package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jobhook/jobhook/functions/internal/export"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// draft is a job record that was read and checked by itself, but not yet
// against the one it follows.
type draft struct {
	job.Job
	rest               []byte // the platform's own attributes as written, each after a comma
	written            kept   // what the write says of attributes that only Jobhook writes
	ownSet             bool   // rest has a result set that the platform named
	hasRun, hasCreated bool
	derived            bool  // the status follows from page counts
	badSubject         error // why no erasure could name the job's subject, see next
	now                time.Time
}

// draftOf reads the attributes of the job of that id.
func (a *API) draftOf(id string, list []member) (draft, error) {
	attrs, err := attributesOf(list)
	if err != nil {
		return draft{}, err
	}
	if err := job.CheckID("id", id); err != nil {
		return draft{}, err
	}
	if err := checkPathID(id, attrs.id); err != nil {
		return draft{}, err
	}
	text, restAt := attrs.text(id)
	if len(text) > maxWritten {
		return draft{}, tooLarge(len(text), maxWritten)
	}
	j, err := job.Decode(text)
	if err != nil {
		return draft{}, err
	}
	if err := a.checkHooks(j.Kind, attrs.rest); err != nil {
		return draft{}, err
	}
	if err := checkColumns(j.Kind, attrs.rest); err != nil {
		return draft{}, err
	}
	return draft{Job: j, rest: text[restAt : len(text)-1], now: a.Now(),
		written: kept{attrs.recordsRun, attrs.exported}, ownSet: attrs.ownSet,
		hasRun: attrs.run != nil, hasCreated: attrs.createdAt != nil, derived: attrs.status == nil,
		badSubject: checkSubject(attrs.rest)}, nil
}

// text is the record as it was written, for decoding, in memory of its own.
func (a attributes) text(id string) (text []byte, restAt int) {
	b := make([]byte, 0, a.size+len(id)+256)
	b = append(b, `{"id":`...)
	b = strconv.AppendQuote(b, id) // printable ASCII: the same as in JSON
	b = appendMember(b, "account", a.account)
	b = appendMember(b, "kind", a.kind)
	b = appendMember(b, "status", a.status)
	b = appendMember(b, "run", a.run)
	b = appendMember(b, "created_at", a.createdAt)
	restAt = len(b)
	return append(a.appendRest(b), '}'), restAt
}

// checkPathID refuses a record whose id is not the one in the path.
func checkPathID(id string, written []byte) error {
	if written == nil {
		return nil
	}
	var in job.Text
	if json.Unmarshal(written, &in) != nil || string(in) != id {
		return invalid("id", "it is not the id in the path", "leave it out, or write "+strconv.Quote(id))
	}
	return nil
}

// unlessMalformed returns err, unless the cause is a body that is no JSON.
func unlessMalformed(err error, body []byte) error {
	var f *job.FieldError
	if errors.As(err, &f) && !json.Valid(body) {
		return malformed("it is no JSON")
	}
	return err
}

// checkHooks refuses URLs on the job that can be no target.
func (a *API) checkHooks(k job.Kind, rest []member) error {
	for _, m := range rest {
		switch {
		case k == job.KindBatch && strings.EqualFold(string(m.Name), "notification_webhook"):
			var url string
			if json.Unmarshal(m.Value, &url) == nil {
				if err := a.checkHook("notification_webhook", url); err != nil {
					return err
				}
			}
		case k == job.KindPipeline && strings.EqualFold(string(m.Name), "webhooks"):
			var hooks job.PipelineHooks
			if json.Unmarshal(m.Value, &hooks) != nil {
				continue
			}
			if err := a.checkHook("webhooks.progress", hooks.Progress); err != nil {
				return err
			}
			if err := a.checkHook("webhooks.result", hooks.Result); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkColumns refuses columns of a CSV that cannot be written, as the export
// would.
func checkColumns(k job.Kind, rest []member) error {
	for _, m := range rest {
		if k != job.KindBatch || !strings.EqualFold(string(m.Name), csvFields) {
			continue
		}
		var paths string
		if json.Unmarshal(m.Value, &paths) != nil {
			continue // whoever decodes the record says so
		}
		if _, err := export.ParsePaths(paths); err != nil {
			what, cure, _ := strings.Cut(err.Error(), "; ")
			return invalid(csvFields, what, cure)
		}
	}
	return nil
}

// csvFields is the attribute of a batch that names the columns of its CSV.
const csvFields = "notification_csv_fields"

// checkSubject refuses a subject that no erasure could name. A number is none: a
// store may write it in another way.
func checkSubject(list []member) error {
	value := subjectIn(list)
	if value == nil || isNull(value) {
		return nil
	}
	const cure = "write the id that you erase this person's data by, as text"
	var subject string
	if json.Unmarshal(value, &subject) != nil {
		return invalid(subjectAttribute, "it is no text", cure)
	}
	if len(subject) > webhook.MaxSubjectBytes {
		return invalid(subjectAttribute, fmt.Sprintf("it has %d bytes, the limit is %d", len(subject), webhook.MaxSubjectBytes), cure)
	}
	return nil
}

// subjectIn is the subject among attributes as it is written, nil for none.
func subjectIn(list []member) []byte {
	for _, m := range list {
		if string(m.Name) == subjectAttribute {
			return m.Value
		}
	}
	return nil
}

// checkNewSubject refuses a subject that no erasure could name, unless the job
// has it already: before there were erasures it was an attribute like any other,
// and such a job must be able to go on.
func (d draft) checkNewSubject(old *job.Job) error {
	if d.badSubject == nil || old == nil {
		return d.badSubject
	}
	was, _ := job.Members(old.Record)
	is, _ := job.Members(append(append([]byte("{"), d.rest[1:]...), '}')) // each after a comma
	if bytes.Equal(subjectIn(was), subjectIn(is)) {
		return nil
	}
	return d.badSubject
}

// subjectAttribute is the attribute that names whom a job's data is about, see
// job.Subject.
const subjectAttribute = "subject"

func (a *API) checkHook(field, url string) error {
	if url == "" {
		return nil
	}
	return a.checkURL(field, url)
}

// checkURL tells why a URL can be no target.
func (a *API) checkURL(field, url string) error {
	if err := webhook.CheckURL(url); err != nil {
		what, cure, found := strings.Cut(err.Error(), "; ")
		if !found {
			cure = "write one such as https://example.com/hook"
		}
		return invalid(field, what, cure)
	}
	if a.RefusedHost == nil {
		return nil
	}
	if err := a.RefusedHost(url); err != nil {
		return invalid(field, err.Error(), "use a public address; only a server that allows private ones calls them")
	}
	return nil
}

// next is the record that follows old, which is nil for a new job. It depends
// on nothing else: a store may ask again.
func (d draft) next(old *job.Job) (job.Job, error) {
	j := d.Job
	if err := d.keep(&j, old); err != nil {
		return job.Job{}, err
	}
	if err := d.checkNewSubject(old); err != nil {
		return job.Job{}, err
	}
	if err := job.Check(old, j); err != nil {
		return job.Job{}, impossible(err)
	}
	ours, err := d.ours(j, old)
	if err != nil {
		return job.Job{}, err
	}
	j.Record = d.record(j, ours)
	if written := len(j.Record) - len(ours.appendTo(nil)); written > maxWritten {
		return job.Job{}, tooLarge(written, maxWritten)
	}
	if old != nil && sameButTime(old.Record, j.Record) {
		return *old, nil
	}
	if !ours.none() { // the draft was decoded without it
		return job.Decode(j.Record)
	}
	return j, nil
}

// keep settles what a write does not say, or may not change.
func (d draft) keep(j *job.Job, old *job.Job) error {
	if old != nil && old.Account != j.Account {
		return webhook.ErrTaken
	}
	if !d.hasCreated {
		j.CreatedAt = d.now
	}
	if old != nil && !old.CreatedAt.IsZero() {
		if d.hasCreated && old.CreatedAt.UnixMilli() != j.CreatedAt.UnixMilli() {
			return invalid("created_at", "it cannot be changed", "leave it out, or write "+stamp(old.CreatedAt))
		}
		j.CreatedAt = old.CreatedAt
	}
	j.CreatedAt = j.CreatedAt.UTC().Truncate(time.Millisecond)
	if !d.hasRun {
		j.Run = runAfter(old, *j)
	}
	return nil
}

// runAfter is the run of a write that names none: the current one, or the
// first. A batch has none before it first leaves idle.
func runAfter(old *job.Job, j job.Job) int {
	idle := j.Kind == job.KindBatch && j.Status == "idle"
	switch {
	case old == nil && idle:
		return 0
	case old == nil, old.Run == 0 && j.Kind == job.KindBatch && !idle:
		return 1
	}
	return old.Run
}

func impossible(err error) error {
	var f *job.FieldError
	if !errors.As(err, &f) {
		return err
	}
	return conflict("transition", "The job cannot become so.").field(f.Field, f.Problem, f.Cure)
}

// maxWritten bounds what a platform's write makes of a record, in bytes. It
// leaves room for records_run and result_set, which Jobhook adds when the run's
// records come and are exported: nobody could be told of an export that the
// record cannot take.
const maxWritten = job.MaxRecordBytes - 1024

func tooLarge(size, limit int) error {
	return problem(http.StatusRequestEntityTooLarge, "The record is too large.").
		field("", fmt.Sprintf("the record has %d bytes with what is added to it, the limit is %d", size, limit),
			"keep large results out of the record and name where they lie")
}

// record writes the whole record: first what every job has, then the
// platform's own, last when it was written.
func (d draft) record(j job.Job, ours kept) []byte {
	b := make([]byte, 0, len(d.rest)+len(j.Account)+len(j.ID)+256)
	b = strconv.AppendQuote(append(b, `{"account":`...), j.Account) // printable ASCII, as the id
	b = strconv.AppendQuote(append(b, `,"kind":`...), string(j.Kind))
	b = strconv.AppendQuote(append(b, `,"id":`...), j.ID)
	b = strconv.AppendQuote(append(b, `,"status":`...), string(j.Status))
	if d.derived {
		b = append(b, `,"`+statusDerived+`":true`...)
	}
	b = strconv.AppendInt(append(b, `,"run":`...), int64(j.Run), 10)
	b = append(j.CreatedAt.AppendFormat(append(b, `,"created_at":"`...), stampLayout), '"')
	b = append(b, d.rest...)
	b = ours.appendTo(b)
	return append(d.now.UTC().AppendFormat(append(b, updatedAt...), stampLayout), `"}`...)
}

// updatedAt begins the end of every record that the API wrote.
const updatedAt = `,"updated_at":"`

// sameButTime tells whether two records differ at most in their last attribute.
func sameButTime(old, next []byte) bool {
	end := len(next) - len(updatedAt+stampLayout+`"}`)
	return len(old) == len(next) && string(old[:end+len(updatedAt)]) == string(next[:end+len(updatedAt)])
}

// checkUnchanged refuses a patch of what makes the job that job.
func checkUnchanged(old job.Job, patch []member) error {
	fixed := map[string]string{"account": old.Account, "kind": string(old.Kind), "id": old.ID}
	for _, m := range patch {
		name := string(m.Name)
		same := true
		if want, found := fixed[name]; found {
			var text job.Text
			same = !isNull(m.Value) && json.Unmarshal(m.Value, &text) == nil && string(text) == want
		}
		if name == "created_at" {
			var at job.Instant
			same = json.Unmarshal(m.Value, &at) == nil && at.Time().UnixMilli() == old.CreatedAt.UnixMilli()
		}
		if !same {
			return invalid(name, "it cannot be changed", "leave it out")
		}
	}
	return nil
}
