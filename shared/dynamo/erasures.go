package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Partitions of erasures: all of them, which stay as receipts, and the places of
// those that run.
const (
	erasuresPK = "erasures"
	erasingPK  = "erasing"
)

// attrPending has the keys that an erasure has counted, and that its next step
// deletes.
const attrPending = "pending"

func erasureKey(id string) key { return key{erasuresPK, id} }

func erasingKey(id string) key { return key{erasingPK, id} }

// erasureRow is an erasure as it is stored, beside its version.
type erasureRow struct {
	Account     string               `json:"account"`
	Subject     string               `json:"subject,omitempty"`
	SubjectHash string               `json:"subject_hash,omitempty"`
	State       webhook.ErasureState `json:"state"`
	Stage       webhook.ErasureStage `json:"stage,omitempty"`
	Again       bool                 `json:"again,omitempty"`
	Cursor      string               `json:"cursor,omitempty"`
	JobHashes   []string             `json:"job_hashes,omitempty"`
	Counted     bool                 `json:"counted,omitempty"`
	SettledAt   time.Time            `json:"settled_at,omitzero"`
	Counts      webhook.Erased       `json:"counts"`
	RequestedBy string               `json:"requested_by"`
	RequestedAt time.Time            `json:"requested_at"`
	UpdatedAt   time.Time            `json:"updated_at"`
	DoneAt      time.Time            `json:"done_at,omitzero"`
	Digest      string               `json:"digest,omitempty"`
}

// erasureAttributes are those of an erasure that change.
func erasureAttributes(e webhook.Erasure) (item, error) {
	b, err := json.Marshal(erasureRow{
		Account: e.Account, Subject: e.Subject, SubjectHash: e.SubjectHash, State: e.State, Stage: e.Stage, Again: e.Again, Cursor: e.Cursor,
		JobHashes: e.JobHashes, Counted: e.Counted, SettledAt: e.SettledAt.UTC(), Counts: e.Counts, RequestedBy: e.RequestedBy,
		RequestedAt: e.RequestedAt.UTC(), UpdatedAt: e.UpdatedAt.UTC(), DoneAt: e.DoneAt.UTC(), Digest: e.Digest,
	})
	return item{}.text(attrData, string(b)).int(attrVersion, e.Version), err
}

func decodeErasure(i item) (webhook.Erasure, error) {
	id := i.getText(attrSK)
	var r erasureRow
	if err := json.Unmarshal([]byte(i.getText(attrData)), &r); err != nil {
		return webhook.Erasure{}, fmt.Errorf("erasure %s: %w", id, err)
	}
	return webhook.Erasure{
		ID: id, Account: r.Account, Subject: r.Subject, SubjectHash: r.SubjectHash, State: r.State, Stage: r.Stage, Again: r.Again,
		Cursor: r.Cursor, JobHashes: r.JobHashes, Counted: r.Counted, SettledAt: r.SettledAt, Counts: r.Counts, RequestedBy: r.RequestedBy,
		RequestedAt: r.RequestedAt, UpdatedAt: r.UpdatedAt, DoneAt: r.DoneAt, Digest: r.Digest, Version: i.getInt(attrVersion),
	}, nil
}

// PutErasure keeps a new erasure, and while it runs, among those that run.
func (s *Store) PutErasure(ctx context.Context, e webhook.Erasure) error {
	i, err := erasureAttributes(e)
	if err != nil {
		return wrap(err, "erasure %s: put", e.ID)
	}
	k := erasureKey(e.ID)
	i[attrPK], i[attrSK] = text(k.pk), text(k.sk)
	writes := []types.TransactWriteItem{{Put: &types.Put{TableName: &s.deliveries, Item: i}}}
	if e.State == webhook.ErasureRunning {
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &s.deliveries, Item: erasingKey(e.ID).item()}})
	}
	_, err = s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	return wrap(err, "erasure %s: put", e.ID)
}

// Erasure returns an erasure, or webhook.ErrNotFound.
func (s *Store) Erasure(ctx context.Context, id string) (webhook.Erasure, error) {
	i, err := s.get(ctx, erasureKey(id))
	if err != nil {
		return webhook.Erasure{}, wrap(err, "erasure %s", id)
	}
	return decodeErasure(i)
}

// Erasures returns a page of erasures, the newest first, and the cursor of the
// next, "" at the end.
func (s *Store) Erasures(ctx context.Context, after string, limit int) (list []webhook.Erasure, next string, err error) {
	if after == "" {
		after = afterAll
	}
	out, err := s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.deliveries, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(int32(limit)),
		KeyConditionExpression:    aws.String("pk = :pk AND sk < :after"),
		ExpressionAttributeValues: item{":pk": text(erasuresPK), ":after": text(after)},
	})
	if err != nil {
		return nil, "", wrap(err, "erasures")
	}
	if len(out.LastEvaluatedKey) > 0 {
		next = item(out.LastEvaluatedKey).getText(attrSK)
	}
	list, err = decodeAll(decodeErasure, itemsOf(out.Items))
	return list, next, err
}

// RunningErasures returns those that are not done, the oldest first.
func (s *Store) RunningErasures(ctx context.Context, limit int) ([]webhook.Erasure, error) {
	items, err := s.named(ctx, erasingPK, limit, func(i item) key { return erasureKey(i.getText(attrSK)) })
	if err != nil {
		return nil, wrap(err, "running erasures")
	}
	list, err := decodeAll(decodeErasure, items)
	return slices.DeleteFunc(list, func(e webhook.Erasure) bool { return e.State != webhook.ErasureRunning }), err
}

// UpdateErasure replaces an erasure that was read; next.Version is one more than
// read.Version. It returns webhook.ErrStale when it has changed since, or is no
// more. A call that is repeated, since the answer to the first one was lost,
// finds its own work and is no loser.
func (s *Store) UpdateErasure(ctx context.Context, read, next webhook.Erasure) error {
	c := newChange()
	err := again(ctx, func() error { return s.updateErasure(ctx, c, read, next) })
	return wrap(err, "erasure %s: update", read.ID)
}

// updateErasure adds the erasure to a change, and makes that.
func (s *Store) updateErasure(ctx context.Context, with *change, read, next webhook.Erasure) error {
	i, err := erasureAttributes(next)
	if err != nil {
		return err
	}
	c := with.copy()
	c.to(attrData, i)
	c.to(attrVersion, i)
	update := s.update(erasureKey(read.ID), c, c.name(attrVersion)+" = "+c.value(number(read.Version)))
	var old item
	if next.State == webhook.ErasureDone {
		old, err = s.endResend(ctx, update, erasingKey(read.ID))
	} else if _, err = s.db.UpdateItem(ctx, update); err != nil {
		if was, ok := refused(err); ok {
			old, err = was, webhook.ErrStale
		}
	}
	if errors.Is(err, webhook.ErrStale) && old.getText(attrData) == i.getText(attrData) && old.getInt(attrVersion) == next.Version {
		return nil
	}
	return err
}

// copy lets a change be made more than once.
func (c *change) copy() *change {
	other := newChange()
	other.set, other.remove, other.add = slices.Clone(c.set), slices.Clone(c.remove), slices.Clone(c.add)
	for placeholder, name := range c.names {
		other.names[placeholder] = name
	}
	for placeholder, value := range c.values {
		other.values[placeholder] = value
	}
	return other
}
