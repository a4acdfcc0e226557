package dynamo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Attributes of the jobs table that it is keyed by, and Jobhook's own.
const (
	jobID        = "id"
	jobKind      = "kind"
	jobStatus    = "status"
	jobAccount   = "account"
	jobCreated   = "created_at"
	ownPrefix    = "jobhook_"
	jobRevision  = ownPrefix + "rev" // counts the writes by the API
	accountIndex = "account"
)

// ErrNoJobs is returned where the platform keeps its job records in a table of
// its own, which Jobhook only hears of.
var ErrNoJobs = fmt.Errorf("the platform keeps its job records itself: %w", webhook.ErrNotFound)

// WriteJob reads a job record, lets f say what it becomes, and writes that.
// The stream of the table carries the change. F gets nil for a new job and may
// run more than once; its error is returned as it is, and then nothing is
// written. A record that says what it said is no change.
//
// Writers by WriteJob follow each other. One who writes to the table directly
// at the same moment may be overwritten, unless status or run changed.
func (s *Store) WriteJob(ctx context.Context, id string, kind job.Kind, f func(old *job.Job) (job.Job, error)) (written job.Job, created bool, err error) {
	if s.jobs == "" {
		return written, false, ErrNoJobs
	}
	var refusal error
	err = again(ctx, func() error {
		old, i, err := s.readJob(ctx, id, kind)
		if err != nil {
			return err
		}
		created = old == nil
		if written, refusal = f(old); refusal != nil {
			return nil
		}
		err = s.writeJob(ctx, i, written)
		var refused *job.FieldError
		if errors.As(err, &refused) {
			refusal, err = err, nil
		}
		return err
	})
	if err != nil {
		return written, created, wrap(err, "job %s: write", id)
	}
	return written, created, refusal
}

func jobKey(id string, kind job.Kind) map[string]types.AttributeValue {
	return item{jobID: text(id), jobKind: text(string(kind))}
}

// readJob returns nil for a job that does not exist.
func (s *Store) readJob(ctx context.Context, id string, kind job.Kind) (*job.Job, item, error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.jobs, Key: jobKey(id, kind), ConsistentRead: aws.Bool(true)})
	if err != nil || len(out.Item) == 0 {
		return nil, nil, err
	}
	j, err := decodeJob(out.Item)
	return &j, out.Item, err
}

// decodeJob reads a stored record. Should it fail, that is no *job.FieldError,
// which is a caller's.
func decodeJob(i item) (job.Job, error) {
	record, err := recordOf(i)
	if err != nil {
		return job.Job{}, fmt.Errorf("stored record: %w", err)
	}
	j, err := job.DecodeValid(record)
	if err != nil {
		return j, fmt.Errorf("stored record of job %.80s: %v", i.getText(jobID), err)
	}
	return j, nil
}

// writeJob writes a record over the item that was read, nil when there was
// none. It returns errChanged when the item is that no more.
func (s *Store) writeJob(ctx context.Context, old item, next job.Job) error {
	i, err := attributesOf(next.Record)
	if err != nil {
		return err
	}
	// Keys and the index want text, whatever the record's JSON says.
	i[jobID], i[jobKind] = text(next.ID), text(string(next.Kind))
	if _, ok := i[jobCreated].(*types.AttributeValueMemberN); ok {
		i[jobCreated] = text(next.CreatedAt.UTC().Format(time.RFC3339Nano))
	}
	if rev, ok := old[jobRevision]; ok {
		i[jobRevision] = rev
	}
	if old != nil && sameMap(i, old) {
		return nil
	}
	if err := s.noteIfStopped(ctx, old, next); err != nil {
		return err
	}
	i[jobRevision] = number(old.getInt(jobRevision) + 1)
	if err := s.storeJob(ctx, old, i); err != nil {
		if _, ok := refused(err); ok {
			return errChanged
		}
		return err
	}
	return nil
}

// maxJobChanges is how many attributes an update names: DynamoDB takes
// expressions of 4 KB.
const maxJobChanges = 100

// storeJob writes what differs, so that an attribute which the platform writes
// at the same moment stays; a new job, and one that differs much, whole.
func (s *Store) storeJob(ctx context.Context, old, next item) error {
	c := newChange()
	var changed []string
	for name := range next {
		if before, ok := old[name]; !ok || !sameValue(before, next[name]) {
			changed = append(changed, name)
		}
	}
	for name := range old {
		if _, ok := next[name]; !ok {
			changed = append(changed, name)
		}
	}
	if old == nil || len(changed) > maxJobChanges {
		in := &dynamodb.PutItemInput{TableName: &s.jobs, Item: next, ConditionExpression: aws.String(c.unchangedJob(old))}
		in.ExpressionAttributeNames = c.names
		if len(c.values) > 0 {
			in.ExpressionAttributeValues = c.values
		}
		_, err := s.db.PutItem(ctx, in)
		return err
	}
	for _, name := range changed {
		c.to(name, next)
	}
	in := &dynamodb.UpdateItemInput{TableName: &s.jobs, Key: item{jobID: next[jobID], jobKind: next[jobKind]},
		UpdateExpression: c.expression(), ConditionExpression: aws.String(c.unchangedJob(old))}
	in.ExpressionAttributeNames, in.ExpressionAttributeValues = c.names, c.values
	_, err := s.db.UpdateItem(ctx, in)
	return err
}

// unchangedJob is the condition that a job is as it was read, as far as can be
// told of a table that the platform writes too.
func (c *change) unchangedJob(old item) string {
	if old == nil {
		return "attribute_not_exists(" + c.name(jobID) + ")"
	}
	var all []string
	for _, name := range []string{jobRevision, jobStatus, attrRun} {
		if v, ok := old[name]; ok {
			all = append(all, c.name(name)+" = "+c.value(v))
		} else {
			all = append(all, "attribute_not_exists("+c.name(name)+")")
		}
	}
	return strings.Join(all, " AND ")
}

func (s *Store) noteIfStopped(ctx context.Context, old item, next job.Job) error {
	if next.Kind != job.KindScraping || next.Status != stopped || old.getText(jobStatus) == stopped {
		return nil
	}
	return wrap(s.noteStoppedJob(ctx, next.ID, s.now()), "note the stopped job")
}

const (
	stopped = "stopped"
	shelved = "shelved"
)

// JobsByID returns the jobs with an id, at most one of each kind.
func (s *Store) JobsByID(ctx context.Context, id string) (list []job.Job, err error) {
	items, err := s.jobItems(ctx, id)
	if err != nil {
		return nil, wrap(err, "job %s", id)
	}
	for _, i := range items {
		j, err := decodeJob(i)
		if err != nil {
			return nil, err
		}
		list = append(list, j)
	}
	return list, nil
}

func (s *Store) jobItems(ctx context.Context, id string) ([]map[string]types.AttributeValue, error) {
	if s.jobs == "" || id == "" || len(id) > maxPK {
		return nil, nil
	}
	out, err := s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.jobs, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("id = :id"),
		ExpressionAttributeValues: item{":id": text(id)},
	})
	if err != nil {
		return nil, err
	}
	return out.Items, nil
}

// maxPageBytes is the size of the records from which on a page of jobs ends:
// an answer of Lambda ends at 6 MB.
const maxPageBytes = 4 << 20

// Jobs returns a page of an account's jobs, those created last first, and the
// cursor of the next page, empty when this is the last one. A page of large
// records has fewer of them than asked for. A job that was just created may be
// missing for a moment: the index follows the table.
func (s *Store) Jobs(ctx context.Context, f webhook.JobFilter) (jobs []job.Job, next string, err error) {
	if s.jobs == "" {
		return nil, "", nil
	}
	from, err := decodeCursor(f)
	if err != nil {
		return nil, "", err
	}
	size := 0
	for {
		page, err := s.db.Query(ctx, &dynamodb.QueryInput{
			TableName: &s.jobs, IndexName: aws.String(accountIndex), ScanIndexForward: aws.Bool(false),
			KeyConditionExpression: aws.String("account = :account"), ExpressionAttributeValues: item{":account": text(f.Account)},
			Limit: aws.Int32(int32(f.Limit)), ExclusiveStartKey: from,
		})
		if err != nil {
			return nil, "", wrap(err, "jobs of account %s", f.Account)
		}
		list, err := s.jobsOf(ctx, page.Items)
		if err != nil {
			return nil, "", wrap(err, "jobs of account %s", f.Account)
		}
		for n, j := range list {
			if len(jobs) == f.Limit || size > maxPageBytes {
				return jobs, encodeCursor(page.Items[n-1]), nil
			}
			if j.ID != "" && (f.Kind == "" || j.Kind == f.Kind) && (f.Status == "" || j.Status == f.Status) {
				jobs, size = append(jobs, j), size+len(j.Record)
			}
		}
		if from = page.LastEvaluatedKey; len(from) == 0 {
			return jobs, "", nil
		}
		if len(jobs) == f.Limit || size > maxPageBytes {
			return jobs, encodeCursor(page.Items[len(page.Items)-1]), nil
		}
	}
}

// jobsOf reads the records that an index names, in its order. One that is gone,
// or that the platform wrote in a way that cannot be understood, is a zero job.
func (s *Store) jobsOf(ctx context.Context, index []map[string]types.AttributeValue) ([]job.Job, error) {
	keys := make([]map[string]types.AttributeValue, len(index))
	for n, i := range index {
		keys[n] = item{jobID: i[jobID], jobKind: i[jobKind]}
	}
	items, err := s.batchGet(ctx, s.jobs, keys, true)
	if err != nil {
		return nil, err
	}
	list := make([]job.Job, len(index))
	for _, i := range items {
		n := slices.IndexFunc(index, func(k map[string]types.AttributeValue) bool {
			return item(k).getText(jobID) == i.getText(jobID) && item(k).getText(jobKind) == i.getText(jobKind)
		})
		j, err := decodeJob(i)
		if err != nil {
			s.log.WarnContext(ctx, "job.unreadable", "job", i.getText(jobID), "error", err)
			continue
		}
		list[n] = j
	}
	return list, nil
}

// cursor names the last job of a page as the index does.
type cursor struct {
	Account string `json:"a"`
	Created string `json:"c"`
	ID      string `json:"i"`
	Kind    string `json:"k"`
}

func encodeCursor(last item) string {
	b, _ := json.Marshal(cursor{last.getText(jobAccount), last.getText(jobCreated), last.getText(jobID), last.getText(jobKind)}) // texts always marshal
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(f webhook.JobFilter) (item, error) {
	if f.After == "" {
		return nil, nil
	}
	var c cursor
	b, err := base64.RawURLEncoding.DecodeString(f.After)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || c.Account != f.Account || c.ID == "" || c.Kind == "" || c.Created == "" {
		return nil, fmt.Errorf("cursor %.40q: %w", f.After, webhook.ErrCursor)
	}
	return item{jobAccount: text(c.Account), jobCreated: text(c.Created), jobID: text(c.ID), jobKind: text(c.Kind)}, nil
}
