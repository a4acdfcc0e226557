// Package job holds what is known about the jobs that a platform runs: their
// kinds, the status words of each kind, what a status means, how runs are
// counted, and which writes to a job record are possible.
//
// The words are those of four existing systems (SerpWow batches, Web Scraper
// Cloud scraping jobs, HKube pipelines, SocialData jobs).
package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Kind is the family a job belongs to. It fixes the job's status words.
type Kind string

// The kinds. Each speaks the words of the system named beside it.
const (
	KindBatch    Kind = "batch"    // SerpWow
	KindScraping Kind = "scraping" // Web Scraper Cloud
	KindPipeline Kind = "pipeline" // HKube
	KindAsync    Kind = "async"    // SocialData
)

// Kinds returns all kinds, in the order of the documentation.
func Kinds() []Kind { return []Kind{KindBatch, KindScraping, KindPipeline, KindAsync} }

// Status is a status word of one kind, in the vendor's spelling.
type Status string

// Phase is where a run stands, whatever its kind.
type Phase string

// The phases. Within one run they only move forward.
const (
	PhaseWaiting Phase = "waiting"
	PhaseRunning Phase = "running"
	PhaseEnded   Phase = "ended"
)

// Outcome is how an ended run ended; it is empty before.
type Outcome string

// The outcomes of a run.
const (
	OutcomeSucceeded Outcome = "succeeded"
	OutcomeFailed    Outcome = "failed"
	OutcomeStopped   Outcome = "stopped"
)

// MaxRecordBytes bounds a job record, all attributes together, as JSON. It
// stays under DynamoDB's item limit of 400 KB.
const MaxRecordBytes = 256 << 10

// MaxDepth bounds how deep the lists and objects of a record are nested, the
// record itself included. It is DynamoDB's limit.
const MaxDepth = 32

// UnknownAccount owns what cannot be attributed to anybody. No account may
// have this id.
const UnknownAccount = "unknown"

// MaxIDBytes bounds a job id and an account id.
const MaxIDBytes = 256

// Job is a unit of work as its record says. Record holds every attribute, the
// ones named here included, as one JSON object in the vendor's words.
type Job struct {
	Account   string
	Kind      Kind
	ID        string // the platform's own, unique per kind across accounts
	Status    Status
	Run       int       // 1, 2, 3; 0 when the job never ran or its table has no run attribute
	CreatedAt time.Time // zero when the record does not say
	Record    json.RawMessage

	attributes any // *Batch, *Scraping or *Async as Decode read them, or nil
}

// Equal tells whether two jobs say the same.
func (j Job) Equal(other Job) bool {
	return j.Account == other.Account && j.Kind == other.Kind && j.ID == other.ID && j.Status == other.Status &&
		j.Run == other.Run && j.CreatedAt.Equal(other.CreatedAt) && bytes.Equal(j.Record, other.Record)
}

// core is the part of a record that every kind has.
type core struct {
	Account   string  `json:"account"`
	Kind      Kind    `json:"kind"`
	ID        Text    `json:"id"`
	Status    Status  `json:"status"`
	Run       int     `json:"run"`
	CreatedAt Instant `json:"created_at"`
}

// Decode reads a job record. A record that misses what every job needs, whose
// status is none of its kind's words, or whose attributes have wrong types
// gives a *FieldError.
func Decode(record []byte) (Job, error) {
	j, ok := decodeQuickly(record)
	return decode(record, j, ok && json.Valid(record))
}

// DecodeValid is Decode for a record that is JSON for certain, since Decode took
// it before or we wrote it: it does without the search for errors of syntax, a
// third of the time. Of one that is no JSON it may read what it understands.
func DecodeValid(record []byte) (Job, error) {
	j, ok := decodeQuickly(record)
	return decode(record, j, ok)
}

// decode checks what was read quickly, or else reads the record closely.
func decode(record []byte, j Job, ok bool) (Job, error) {
	if !ok {
		if err := CheckDepth(record); err != nil {
			return Job{}, err
		}
		var c core
		if err := unmarshal(record, &c); err != nil {
			return Job{}, err
		}
		j = c.job(record)
	}
	if err := j.checkNames(); err != nil {
		return Job{}, err
	}
	if !ok {
		if err := j.checkAttributes(); err != nil {
			return Job{}, err
		}
	}
	return j.withStatus()
}

func (c *core) base() *core { return c }

func (c core) job(record []byte) Job {
	return Job{
		Account: c.Account, Kind: c.Kind, ID: string(c.ID), Status: c.Status,
		Run: c.Run, CreatedAt: c.CreatedAt.Time(), Record: record,
	}
}

func (j Job) checkNames() error {
	if len(j.Record) > MaxRecordBytes {
		return &FieldError{Problem: fmt.Sprintf("the record has %d bytes, the limit is %d", len(j.Record), MaxRecordBytes),
			Cure: "keep large results out of the job record and name where they lie"}
	}
	if words(j.Kind)[0].status == "" {
		return &FieldError{Field: "kind", Problem: fmt.Sprintf("%.40q is no kind of job", j.Kind),
			Cure: "use one of batch, scraping, pipeline, async"}
	}
	if err := CheckID("id", j.ID); err != nil {
		return err
	}
	if err := CheckID("account", j.Account); err != nil {
		return err
	}
	if j.Account == UnknownAccount {
		return &FieldError{Field: "account", Problem: "this id is reserved", Cure: "choose another id"}
	}
	if j.Run < 0 {
		return &FieldError{Field: "run", Problem: fmt.Sprintf("%d is no run number", j.Run), Cure: "count runs 1, 2, 3"}
	}
	return nil
}

// CheckID tells whether an account id or job id can be used: 1 to MaxIDBytes
// bytes of printable ASCII without spaces. Field names the attribute in the error.
func CheckID(field, id string) error {
	if id == "" {
		return &FieldError{Field: field, Problem: "it is missing", Cure: "give an id of 1 to 256 printable characters"}
	}
	if len(id) > MaxIDBytes {
		return &FieldError{Field: field, Problem: fmt.Sprintf("it has %d bytes", len(id)), Cure: "use at most 256 bytes"}
	}
	if strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return &FieldError{Field: field, Problem: "it holds a space, a control character or a character outside ASCII",
			Cure: "use printable ASCII without spaces"}
	}
	return nil
}

// withStatus checks the status word, or derives it where the platform of a
// scraping job writes page counts only.
func (j Job) withStatus() (Job, error) {
	if j.Status == "" && j.Kind == KindScraping {
		s, err := j.Scraping()
		if err != nil {
			return Job{}, err
		}
		j.Status = DeriveScraping(s.JobsScheduled, s.JobsExecuted, s.JobsFailed, s.JobsEmpty)
	}
	if !isWord(j.Kind, j.Status) {
		return Job{}, &FieldError{Field: "status", Problem: fmt.Sprintf("%.40q is no status word of %s jobs", j.Status, j.Kind),
			Cure: "use one of " + strings.Join(wordList(j.Kind), ", ")}
	}
	return j, nil
}

// FieldError says which attribute of a record cannot be accepted and what to
// write instead. Field is empty when the record as a whole is meant.
type FieldError struct {
	Field   string // path in the record, such as "webhooks.progress"
	Problem string
	Cure    string
}

// Error puts field, problem and cure in one line.
func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Problem + "; " + e.Cure
	}
	return e.Field + ": " + e.Problem + "; " + e.Cure
}
