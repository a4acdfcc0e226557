package dynamo

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Attributes of result sets and downloads.
const (
	attrToken        = "token"
	attrPages        = "pages"
	attrRecords      = "records"
	attrBytes        = "bytes"
	attrCSVHash      = "csv_hash"
	attrDownloads    = "downloads"
	attrLastDownload = "last_download"
	attrFile         = "file"
	attrMethod       = "method"
)

// keepResultSet is how much longer a set stays that has expired, so that its
// links can say so.
const keepResultSet = 7 * 24 * time.Hour

func keyOfRun(account string, kind job.Kind, id string, run int) key {
	return resultSetKey(files.JobHash(account, kind, id), run)
}

// BeginResultSet keeps the set unless its run has one, and returns what is kept.
func (s *Store) BeginResultSet(ctx context.Context, set webhook.ResultSet) (webhook.ResultSet, error) {
	i := keyOfRun(set.Account, set.Kind, set.JobID, set.Run).item().exported(set).
		text(attrAccount, set.Account).text(attrKind, string(set.Kind)).text(attrJob, set.JobID).int(attrRun, set.Run).
		text(attrToken, set.Token).time(attrCreated, set.CreatedAt).time(attrRevoked, set.RevokedAt).
		int(attrDownloads, set.Downloads).time(attrLastDownload, set.LastDownloadAt)
	old, err := s.putNew(ctx, i)
	if err != nil {
		return webhook.ResultSet{}, wrap(err, "job %s: result set of run %d: begin", set.JobID, set.Run)
	}
	if old != nil {
		i = old
	}
	return decodeResultSet(i), nil
}

// exported adds what an export finds out. Exporteds lists its attributes.
func (i item) exported(set webhook.ResultSet) item {
	i.text(attrState, string(set.State)).text(attrReason, set.Reason).int(attrPages, set.Pages).int(attrRecords, set.Records).
		int(attrBytes, int(set.Bytes)).text(attrCSVHash, set.CSVHash).time(attrUpdated, set.UpdatedAt).time(attrExpires, set.ExpiresAt)
	if set.ExpiresAt.IsZero() {
		return i
	}
	return i.ttl(set.ExpiresAt.Add(keepResultSet))
}

func exporteds() []string {
	return []string{attrState, attrReason, attrPages, attrRecords, attrBytes, attrCSVHash, attrUpdated, attrExpires, attrTTL}
}

func decodeResultSet(i item) webhook.ResultSet {
	return webhook.ResultSet{
		Account: i.getText(attrAccount), Kind: job.Kind(i.getText(attrKind)), JobID: i.getText(attrJob), Run: i.getInt(attrRun),
		Token: i.getText(attrToken), State: webhook.ResultSetState(i.getText(attrState)), Reason: i.getText(attrReason),
		Pages: i.getInt(attrPages), Records: i.getInt(attrRecords), Bytes: int64(i.getInt(attrBytes)), CSVHash: i.getText(attrCSVHash),
		CreatedAt: i.getTime(attrCreated), UpdatedAt: i.getTime(attrUpdated), ExpiresAt: i.getTime(attrExpires),
		RevokedAt: i.getTime(attrRevoked), Downloads: i.getInt(attrDownloads), LastDownloadAt: i.getTime(attrLastDownload),
	}
}

// FinishResultSet replaces what an export found out: State, Reason, Pages,
// Records, Bytes, CSVHash, UpdatedAt, ExpiresAt. It returns webhook.ErrNotFound
// when the run has no set, and webhook.ErrStale instead of taking back that a
// set is ready.
func (s *Store) FinishResultSet(ctx context.Context, set webhook.ResultSet) error {
	next := item{}.exported(set)
	c := newChange()
	for _, name := range exporteds() {
		c.to(name, next)
	}
	condition := "attribute_exists(pk)"
	if set.State != webhook.ResultSetExported {
		condition += " AND " + c.name(attrState) + " <> " + c.value(text(string(webhook.ResultSetExported)))
	}
	_, err := s.db.UpdateItem(ctx, s.update(keyOfRun(set.Account, set.Kind, set.JobID, set.Run), c, condition))
	if old, ok := refused(err); ok {
		if err = webhook.ErrNotFound; len(old) > 0 {
			err = webhook.ErrStale
		}
	}
	return wrap(err, "job %s: result set of run %d: finish", set.JobID, set.Run)
}

func (s *Store) updateResultSet(ctx context.Context, k key, c *change) error {
	_, err := s.db.UpdateItem(ctx, s.update(k, c, "attribute_exists(pk)"))
	if _, ok := refused(err); ok {
		return webhook.ErrNotFound
	}
	return err
}

// ResultSet finds a set by its whole token, revoked and expired ones too, or
// returns webhook.ErrNotFound.
func (s *Store) ResultSet(ctx context.Context, token string) (webhook.ResultSet, error) {
	i, err := s.resultSet(ctx, token)
	return decodeResultSet(i), wrap(err, "result set")
}

func (s *Store) resultSet(ctx context.Context, token string) (item, error) {
	hash, run, ok := webhook.ParseResultSetToken(token)
	if !ok {
		return nil, webhook.ErrNotFound
	}
	i, err := s.get(ctx, resultSetKey(hash, run))
	if err != nil {
		return nil, err
	}
	if i.gone(s.now()) || subtle.ConstantTimeCompare([]byte(i.getText(attrToken)), []byte(token)) == 0 {
		return nil, webhook.ErrNotFound
	}
	return i, nil
}

// ResultSets returns those of a job, the newest run first, at most webhook.MaxPage.
func (s *Store) ResultSets(ctx context.Context, account string, kind job.Kind, id string) ([]webhook.ResultSet, error) {
	items, err := s.newest(ctx, keyOfRun(account, kind, id, 0).pk, skSet, webhook.MaxPage)
	var list []webhook.ResultSet
	for _, i := range items {
		if !i.gone(s.now()) {
			list = append(list, decodeResultSet(i))
		}
	}
	return list, wrap(err, "result sets of job %s", id)
}

// RevokeResultSet ends the links of a run's set, or returns webhook.ErrNotFound.
func (s *Store) RevokeResultSet(ctx context.Context, account string, kind job.Kind, id string, run int, at time.Time) error {
	next := item{}.time(attrRevoked, at)
	c := newChange()
	c.to(attrRevoked, next)
	return wrap(s.updateResultSet(ctx, keyOfRun(account, kind, id, run), c), "job %s: result set of run %d: revoke", id, run)
}

// AddDownload counts a download and keeps it, or returns webhook.ErrNotFound.
// One transaction does both: alone, the count could not be repeated when its
// answer is lost, as nothing would tell that it was done.
func (s *Store) AddDownload(ctx context.Context, token string, d webhook.Download) error {
	err := again(ctx, func() error {
		set, err := s.resultSet(ctx, token)
		if err != nil {
			return err
		}
		return s.addDownload(ctx, set, d)
	})
	return wrap(err, "result set: add a download")
}

// addDownload returns errChanged when the set is not as it was read.
func (s *Store) addDownload(ctx context.Context, set item, d webhook.Download) error {
	k := set.key()
	i := key{k.pk, k.downloads() + sortable(d.At)}.item().time(attrAt, d.At).text(attrFile, d.File).text(attrMethod, d.Method)
	if ttl, ok := set[attrTTL]; ok {
		i[attrTTL] = ttl
	}
	c := newChange()
	c.plus(attrDownloads, 1)
	condition := c.name(attrToken) + " = " + c.value(set[attrToken])
	if d.At.After(set.getTime(attrLastDownload)) {
		c.to(attrLastDownload, item{}.time(attrLastDownload, d.At))
		last := c.name(attrLastDownload)
		condition += " AND (attribute_not_exists(" + last + ") OR " + last + " < " + c.value(number(micros(d.At))) + ")"
	}
	_, err := s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		inTransaction(s.update(k, c, condition)),
		{Put: &types.Put{TableName: &s.deliveries, Item: i, ConditionExpression: aws.String("attribute_not_exists(pk)")}},
	}})
	var canceled *types.TransactionCanceledException
	switch {
	case !errors.As(err, &canceled):
		return err
	case isConditionAt(canceled, 1):
		return nil // it was counted before
	}
	return errChanged // others download at the same moment, or throttled
}

// Downloads returns the newest downloads of a set; none for an unknown token.
func (s *Store) Downloads(ctx context.Context, token string, limit int) ([]webhook.Download, error) {
	set, err := s.resultSet(ctx, token)
	if errors.Is(err, webhook.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(err, "result set: downloads")
	}
	items, err := s.newest(ctx, set.key().pk, set.key().downloads(), limit)
	var list []webhook.Download
	for _, i := range items {
		if !i.gone(s.now()) {
			list = append(list, webhook.Download{At: i.getTime(attrAt), File: i.getText(attrFile), Method: i.getText(attrMethod)})
		}
	}
	return list, wrap(err, "result set: downloads")
}
