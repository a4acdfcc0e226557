package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Batch holds the attributes of a batch record (SerpWow's words).
type Batch struct {
	core
	Name                    string     `json:"name"`
	StartedAt               Instant    `json:"started_at"`
	EndedAt                 Instant    `json:"ended_at"`
	SearchesTotal           int        `json:"searches_total"`
	SearchesCompleted       int        `json:"searches_completed"`
	SearchesFailed          int        `json:"searches_failed"`
	NotificationWebhook     string     `json:"notification_webhook"`
	NotificationAsJSON      bool       `json:"notification_as_json"`
	NotificationAsJSONLines bool       `json:"notification_as_jsonlines"`
	NotificationAsCSV       bool       `json:"notification_as_csv"`
	NotificationCSVFields   string     `json:"notification_csv_fields"`
	ResultSet               *ResultSet `json:"result_set"`
}

// Scraping holds the attributes of a scraping job record (Web Scraper Cloud's words).
type Scraping struct {
	core
	SitemapID         Text       `json:"sitemap_id"`
	SitemapName       string     `json:"sitemap_name"`
	CustomID          Text       `json:"custom_id"`
	JobsScheduled     int        `json:"jobs_scheduled"`
	JobsExecuted      int        `json:"jobs_executed"`
	JobsFailed        int        `json:"jobs_failed"`
	JobsEmpty         int        `json:"jobs_empty"`
	StoredRecordCount int        `json:"stored_record_count"`
	TimeCreated       int64      `json:"time_created"` // unix seconds
	ResultSet         *ResultSet `json:"result_set"`
}

// Pipeline holds the attributes of a pipeline record (HKube's words).
type Pipeline struct {
	core
	Name        string          `json:"name"`
	Webhooks    PipelineHooks   `json:"webhooks"`
	Options     PipelineOptions `json:"options"`
	Level       Level           `json:"level"`
	Progress    *json.Number    `json:"progress"` // per cent, 0 to 100
	Details     string          `json:"details"`
	ActiveNodes []ActiveNode    `json:"activeNodes"`
	Nodes       json.RawMessage `json:"nodes"`
	Result      []NodeResult    `json:"result"`
	Error       string          `json:"error"`
	NodeName    string          `json:"nodeName"`
	Reason      string          `json:"reason"`
	ResultSet   *ResultSet      `json:"result_set"`
}

// PipelineHooks are the URLs that a pipeline names itself; both are optional.
type PipelineHooks struct {
	Progress string `json:"progress"`
	Result   string `json:"result"`
}

// PipelineOptions are the options of a pipeline that matter to webhooks.
type PipelineOptions struct {
	ProgressVerbosityLevel Level `json:"progressVerbosityLevel"` // default info
}

// ActiveNode is a node of a pipeline at work.
type ActiveNode struct {
	NodeName      string     `json:"nodeName"`
	AlgorithmName string     `json:"algorithmName"`
	Batch         *NodeBatch `json:"batch,omitempty"`
}

// NodeBatch counts the tasks of a batch node.
type NodeBatch struct {
	Active int `json:"active"`
	Total  int `json:"total"`
}

// NodeResult is the result of one node, or of one task of a batch node.
type NodeResult struct {
	NodeName      string          `json:"nodeName"`
	BatchID       string          `json:"batchID,omitempty"`
	AlgorithmName string          `json:"algorithmName"`
	Result        json.RawMessage `json:"result"`
}

// Async holds the attributes of an async job record (SocialData's words).
type Async struct {
	core
	Result    *AsyncResult `json:"result"`
	Message   string       `json:"message"`
	ResultSet *ResultSet   `json:"result_set"`
}

// AsyncResult says where the result of an async job lies.
type AsyncResult struct {
	DatafileURL string `json:"datafile_url"`
}

// ResultSet is what a run left behind. Either the platform names its files, by
// their format ("json", "jsonlines", "csv"), or Jobhook has exported them: then
// there is a token, and the links follow from it, see Links.
type ResultSet struct {
	ID    int                    `json:"id"` // the run's number
	Files map[string]ResultFiles `json:"files,omitempty"`

	Token     string  `json:"token,omitempty"`
	Pages     int     `json:"pages,omitempty"` // of up to PageRecords records
	Records   int     `json:"records,omitempty"`
	CSVHash   string  `json:"csv_hash,omitempty"` // of the columns; in the names of CSV files
	ExpiresAt Instant `json:"expires_at,omitzero"`
	Error     string  `json:"error,omitempty"` // why there is none: the export failed
}

// ResultFiles are the links of a result set in one format: one per page, and
// one to all pages together.
type ResultFiles struct {
	Pages    []string `json:"pages"`
	AllPages string   `json:"all_pages,omitempty"`
}

// Batch reads the attributes of a batch.
func (j Job) Batch() (Batch, error) { return attributes[Batch](j) }

// Scraping reads the attributes of a scraping job.
func (j Job) Scraping() (Scraping, error) { return attributes[Scraping](j) }

// Pipeline reads the attributes of a pipeline.
func (j Job) Pipeline() (Pipeline, error) { return attributes[Pipeline](j) }

// Async reads the attributes of an async job.
func (j Job) Async() (Async, error) { return attributes[Async](j) }

// attributes reads the attributes, unless Decode has kept them.
func attributes[T any](j Job) (T, error) {
	if kept, ok := j.attributes.(*T); ok {
		return *kept, nil
	}
	var a T
	err := unmarshal(j.Record, &a)
	return a, err
}

// ResultSet is what the record says of the run's results; nil when nothing.
func (j Job) ResultSet() (*ResultSet, error) {
	switch j.Kind {
	case KindBatch:
		a, err := j.Batch()
		return a.ResultSet, err
	case KindScraping:
		a, err := j.Scraping()
		return a.ResultSet, err
	case KindAsync:
		a, err := j.Async()
		return a.ResultSet, err
	}
	a, err := j.Pipeline()
	return a.ResultSet, err
}

// checkAttributes decodes the record with its kind's types, and looks at what
// types cannot say.
func (j Job) checkAttributes() error {
	switch j.Kind {
	case KindBatch:
		_, err := j.Batch()
		return err
	case KindScraping:
		_, err := j.Scraping()
		return err
	case KindAsync:
		_, err := j.Async()
		return err
	}
	if err := checkPipelineRecord(j.Record); err != nil {
		return err
	}
	p, err := j.Pipeline()
	if err != nil {
		return err
	}
	return p.check()
}

func (p Pipeline) check() error {
	if p.Progress != nil {
		if f, err := p.Progress.Float64(); err != nil || f < 0 || f > 100 {
			return &FieldError{Field: "progress", Problem: fmt.Sprintf("%.40s is no progress", *p.Progress), Cure: "write per cent, 0 to 100"}
		}
	}
	if p.Level != "" && !p.Level.Valid() {
		return levelError("level", p.Level)
	}
	if v := p.Options.ProgressVerbosityLevel; v != "" && !v.Valid() {
		return levelError("options.progressVerbosityLevel", v)
	}
	return nil
}

// checkPipelineRecord refuses a misspelt webhook, which would otherwise be a
// webhook that silently never comes, and a progress that is no number, which
// json.Number refuses too but without naming the field.
func checkPipelineRecord(record []byte) error {
	var r struct {
		Webhooks map[string]json.RawMessage `json:"webhooks"`
		Progress numeric                    `json:"progress"`
	}
	if err := unmarshal(record, &r); err != nil {
		return err
	}
	for name := range r.Webhooks {
		if name != "progress" && name != "result" {
			return &FieldError{Field: "webhooks." + name, Problem: "there is no such webhook",
				Cure: "a pipeline has the webhooks progress and result"}
		}
	}
	return nil
}

// unmarshal turns the errors of encoding/json into a *FieldError.
func unmarshal(record []byte, to any) error {
	err := json.Unmarshal(record, to)
	if err == nil {
		return nil
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return &FieldError{Field: wrongType.Field, Problem: wrongType.Value + " cannot stand here",
			Cure: "write a " + typeName(wrongType.Type.String())}
	}
	return &FieldError{Problem: "the record is no JSON object: " + err.Error(), Cure: "write one JSON object"}
}

func typeName(goType string) string {
	switch {
	case goType == "int", goType == "int64":
		return "whole number"
	case goType == "bool":
		return "boolean, true or false"
	case goType == "json.Number", goType == "job.numeric":
		return "number"
	case goType == "job.Text":
		return "string or a number"
	case goType == "job.Instant":
		return "time in RFC 3339, such as 2020-01-01T00:00:00.000Z"
	case strings.HasPrefix(goType, "[]"):
		return "list"
	case goType == "string", goType == "job.Level", goType == "job.Kind", goType == "job.Status":
		return "string"
	}
	return "JSON object"
}

// refuse is the error of a value that cannot be a T. encoding/json puts the
// path of the field into errors of this type, and of no other.
func refuse[T any](value []byte) error {
	return &json.UnmarshalTypeError{Value: fmt.Sprintf("%.40s", value), Type: reflect.TypeFor[T]()}
}

// numeric checks a value for json.Number: a number, alone or as text.
type numeric struct{}

func (numeric) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, new(json.Number)) != nil {
		return refuse[numeric](b)
	}
	return nil
}

// Text is a string that a record may also hold as a number, such as the ids
// of scraping jobs.
type Text string

// UnmarshalJSON accepts a string or a number.
func (t *Text) UnmarshalJSON(b []byte) error {
	if plain, ok := plainText(b); ok {
		*t = Text(plain)
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		var s string
		err := json.Unmarshal(b, &s)
		*t = Text(s)
		return err
	}
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	if _, err := strconv.ParseFloat(string(b), 64); err != nil {
		return refuse[Text](b)
	}
	*t = Text(b)
	return nil
}

// plainText reads a JSON string of printable ASCII without escapes, which is
// what ids and times are, quicker than encoding/json does.
func plainText(b []byte) (string, bool) {
	if len(b) < 2 || b[0] != '"' {
		return "", false
	}
	inner := b[1 : len(b)-1]
	for _, c := range inner {
		if c < ' ' || c > '~' || c == '\\' {
			return "", false
		}
	}
	return string(inner), true
}

// String returns the text.
func (t Text) String() string { return string(t) }

// Instant is a time that a record holds as RFC 3339 text or as unix seconds.
type Instant time.Time

// UnmarshalJSON accepts RFC 3339 text, unix seconds, null or "".
func (i *Instant) UnmarshalJSON(b []byte) error {
	var text Text
	if err := text.UnmarshalJSON(b); err != nil {
		return refuse[Instant](b)
	}
	s := string(text)
	if s == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if f, err2 := strconv.ParseFloat(s, 64); err != nil && err2 == nil && f >= 0 && f < 1<<40 {
		t, err = time.UnixMilli(int64(math.Round(f*1000))), nil
	}
	// RFC 3339 knows four digits for the year, and we write the time again.
	if t = t.UTC(); err != nil || t.Year() < 0 || t.Year() > 9999 {
		return refuse[Instant](b)
	}
	*i = Instant(t)
	return nil
}

// Time returns the instant; it is zero when the record has none.
func (i Instant) Time() time.Time { return time.Time(i) }
