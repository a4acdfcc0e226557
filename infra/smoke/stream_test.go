package smoke

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/awstest"
)

const pollPause = 50 * time.Millisecond

// streamFeed polls the stream of a table, as Lambda does. It reads a shard
// batch by batch, and none before the one ahead of it was taken.
type streamFeed struct {
	mapping
	invoke invoke
	client *dynamodbstreams.Client
	files  *s3.Client
	stream string // of DynamoDB Local; the mapping's is moto's
	wanted []string
	tooOld func(events.DynamoDBEventRecord) bool // whose batch is given up
	shards map[string]*shard
}

// shard is a part of a stream.
type shard struct {
	id       string
	iterator *string // nil when it was read to its end
	begun    bool    // a record of it was read
}

// newStreamFeed makes the feed of a mapping.
func newStreamFeed(t *testing.T, m mapping, f invoke, database awstest.Server, files *s3.Client) *streamFeed {
	t.Helper()
	wanted, err := m.eventNames()
	if err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(strings.TrimPrefix(resourceOf(strings.SplitN(m.EventSourceArn, "/stream/", 2)[0]), "table/"), "/")
	got, err := dynamodb.NewFromConfig(database.Config()).DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		t.Fatalf("table of the mapping: %v", err)
	}
	if got.Table.LatestStreamArn == nil {
		t.Fatalf("table %s, which a mapping reads, has no stream", table)
	}
	return &streamFeed{
		mapping: m, invoke: f, files: files, stream: *got.Table.LatestStreamArn, wanted: wanted, shards: map[string]*shard{},
		client: dynamodbstreams.NewFromConfig(database.Config()), tooOld: func(events.DynamoDBEventRecord) bool { return false },
	}
}

// eventNames are those that the filter lets through; none is all. A filter of
// another form is an error.
func (m mapping) eventNames() (names []string, err error) {
	if m.FilterCriteria == nil {
		return nil, nil
	}
	for _, f := range m.FilterCriteria.Filters {
		var pattern struct{ EventName []string }
		d := json.NewDecoder(strings.NewReader(f.Pattern))
		d.DisallowUnknownFields()
		if err := d.Decode(&pattern); err != nil || len(pattern.EventName) == 0 {
			return nil, fmt.Errorf("filter %s is not about eventName alone, which is all that is understood here: %w", f.Pattern, err)
		}
		names = append(names, pattern.EventName...)
	}
	return names, nil
}

// run polls until the context ends.
func (f *streamFeed) run(ctx context.Context) error {
	for pause(ctx, pollPause) {
		if err := f.findShards(ctx); err != nil {
			return err
		}
		for _, s := range f.shards {
			if s.iterator == nil {
				continue
			}
			if err := f.poll(ctx, s); err != nil {
				return fmt.Errorf("shard %s: %w", s.id, err)
			}
		}
	}
	return nil
}

func (f *streamFeed) findShards(ctx context.Context) error {
	got, err := f.client.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &f.stream})
	if err != nil {
		return fmt.Errorf("describe stream: %w", err)
	}
	for _, s := range got.StreamDescription.Shards {
		if _, known := f.shards[*s.ShardId]; known {
			continue
		}
		f.shards[*s.ShardId] = &shard{id: *s.ShardId}
		if err := f.begin(ctx, f.shards[*s.ShardId]); err != nil {
			return err
		}
	}
	return nil
}

// begin goes to where the mapping starts.
func (f *streamFeed) begin(ctx context.Context, s *shard) error {
	got, err := f.client.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &f.stream, ShardId: &s.id, ShardIteratorType: streamtypes.ShardIteratorType(f.StartingPosition),
	})
	if err != nil {
		return fmt.Errorf("iterator of shard %s: %w", s.id, err)
	}
	s.iterator = got.ShardIterator
	return nil
}

// poll hands over the next batch of a shard.
func (f *streamFeed) poll(ctx context.Context, s *shard) error {
	got, err := f.client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: s.iterator, Limit: aws.Int32(int32(f.BatchSize))})
	var trimmed *streamtypes.TrimmedDataAccessException
	if errors.As(err, &trimmed) && !s.begun {
		// DynamoDB Local counts the writes to all tables. An iterator that waits
		// for the first record of a shard points before it once others were written.
		return f.begin(ctx, s)
	}
	if err != nil {
		return fmt.Errorf("get records: %w", err)
	}
	s.iterator, s.begun = got.NextShardIterator, s.begun || len(got.Records) > 0
	var batch []events.DynamoDBEventRecord
	for _, r := range got.Records {
		record, err := f.record(r)
		if err != nil {
			return fmt.Errorf("record %s: %w", *r.EventID, err)
		}
		if f.wanted == nil || slices.Contains(f.wanted, record.EventName) {
			batch = append(batch, record)
		}
	}
	return f.deliver(ctx, s, batch)
}

// deliver hands over a batch until all of it was taken, or given up.
func (f *streamFeed) deliver(ctx context.Context, s *shard, batch []events.DynamoDBEventRecord) error {
	for len(batch) > 0 {
		if slices.ContainsFunc(batch, f.tooOld) {
			return f.giveUp(ctx, s.id, batch)
		}
		failed, err := hand(ctx, f.mapping, f.invoke, events.DynamoDBEvent{Records: batch})
		if err != nil {
			return err
		}
		if batch = rest(batch, failed); len(batch) > 0 && !pause(ctx, pollPause) {
			return nil
		}
	}
	return nil
}

// rest is what comes again: all from the first record that failed on, or all
// of it when the answer names none of its records.
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
func rest(batch []events.DynamoDBEventRecord, failed []string) []events.DynamoDBEventRecord {
	if len(failed) == 0 {
		return nil
	}
	i := slices.IndexFunc(batch, func(r events.DynamoDBEventRecord) bool { return slices.Contains(failed, r.Change.SequenceNumber) })
	return batch[max(i, 0):]
}

// record is what Lambda makes of a record.
func (f *streamFeed) record(r streamtypes.Record) (e events.DynamoDBEventRecord, err error) {
	keys, err := toImage(r.Dynamodb.Keys)
	if err != nil {
		return e, err
	}
	next, err := toImage(r.Dynamodb.NewImage)
	if err != nil {
		return e, err
	}
	old, err := toImage(r.Dynamodb.OldImage)
	if err != nil {
		return e, err
	}
	return events.DynamoDBEventRecord{
		AWSRegion: awstest.Region, EventID: *r.EventID, EventName: string(r.EventName), EventSource: "aws:dynamodb",
		EventVersion: *r.EventVersion, EventSourceArn: f.EventSourceArn,
		Change: events.DynamoDBStreamRecord{
			ApproximateCreationDateTime: events.SecondsEpochTime{Time: r.Dynamodb.ApproximateCreationDateTime.Truncate(time.Second)},
			Keys:                        keys, NewImage: next, OldImage: old,
			SequenceNumber: *r.Dynamodb.SequenceNumber, SizeBytes: *r.Dynamodb.SizeBytes, StreamViewType: string(r.Dynamodb.StreamViewType),
		},
	}, nil
}

// givenUp is what Lambda writes about a batch that it gave up.
// https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
type givenUp struct {
	RequestContext struct {
		RequestID              string `json:"requestId"`
		FunctionARN            string `json:"functionArn"`
		Condition              string `json:"condition"`
		ApproximateInvokeCount int    `json:"approximateInvokeCount"`
	} `json:"requestContext"`
	ResponseContext struct {
		StatusCode      int     `json:"statusCode"`
		ExecutedVersion string  `json:"executedVersion"`
		FunctionError   *string `json:"functionError"`
	} `json:"responseContext"`
	Version   string    `json:"version"`
	Timestamp time.Time `json:"timestamp"`
	Batch     struct {
		ShardID   string    `json:"shardId"`
		Start     string    `json:"startSequenceNumber"`
		End       string    `json:"endSequenceNumber"`
		First     time.Time `json:"approximateArrivalOfFirstRecord"`
		Last      time.Time `json:"approximateArrivalOfLastRecord"`
		BatchSize int       `json:"batchSize"`
		StreamARN string    `json:"streamArn"`
	} `json:"DDBStreamBatchInfo"`
	Payload string `json:"payload"`
}

// giveUp writes a batch to the mapping's destination.
func (f *streamFeed) giveUp(ctx context.Context, shard string, batch []events.DynamoDBEventRecord) error {
	if f.DestinationConfig == nil || !strings.HasPrefix(f.DestinationConfig.OnFailure.Destination, "arn:aws:s3:::") {
		return fmt.Errorf("the mapping has no bucket for batches that are given up: %+v", f.DestinationConfig)
	}
	payload, err := json.Marshal(events.DynamoDBEvent{Records: batch})
	if err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	now, first, last := time.Now().UTC(), batch[0].Change, batch[len(batch)-1].Change
	g := givenUp{Version: "1.0", Timestamp: now, Payload: string(payload)}
	g.RequestContext.RequestID, g.RequestContext.FunctionARN = "316aa6d0-8154-4e2c-9af7-85d5f4a6bc81", f.FunctionName
	g.RequestContext.Condition, g.RequestContext.ApproximateInvokeCount = "RecordAgeExceeded", 1847
	g.ResponseContext.StatusCode, g.ResponseContext.ExecutedVersion = 200, "$LATEST"
	g.Batch.ShardID, g.Batch.StreamARN, g.Batch.BatchSize = shard, f.EventSourceArn, len(batch)
	g.Batch.Start, g.Batch.End = first.SequenceNumber, last.SequenceNumber
	g.Batch.First, g.Batch.Last = first.ApproximateCreationDateTime.UTC(), last.ApproximateCreationDateTime.UTC()
	object, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	key := path.Join("aws/lambda/0f3b1c52-6f1d-4d55-9a53-6a1d0d1e2f30", shard, now.Format("2006/01/02"),
		now.Format("2006-01-02T15.04.05")+"-5b2a8f7e-2f0e-4a9c-8c38-1f6f0d9a7b11")
	bucket := resourceOf(f.DestinationConfig.OnFailure.Destination)
	if _, err := f.files.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(object)}); err != nil {
		return fmt.Errorf("write the batch that was given up: %w", err)
	}
	return nil
}

func TestWhatComesAgainOfABatch(t *testing.T) {
	var batch []events.DynamoDBEventRecord
	for _, n := range []string{"1", "2", "3"} {
		batch = append(batch, events.DynamoDBEventRecord{Change: events.DynamoDBStreamRecord{SequenceNumber: n}})
	}
	for _, tt := range []struct{ failed, want []string }{
		{nil, nil},
		{[]string{"1"}, []string{"1", "2", "3"}},
		{[]string{"3", "2"}, []string{"2", "3"}},
		{[]string{"9"}, []string{"1", "2", "3"}},
	} {
		var got []string
		for _, r := range rest(batch, tt.failed) {
			got = append(got, r.Change.SequenceNumber)
		}
		if diff := cmp.Diff(got, tt.want); diff != "" {
			t.Errorf("failed %q: %s", tt.failed, diff)
		}
	}
}

func TestAFilterThatIsNotUnderstoodIsRefused(t *testing.T) {
	for pattern, want := range map[string][]string{
		`{"eventName":["INSERT","MODIFY"]}`:                                {"INSERT", "MODIFY"},
		`{"eventName":["INSERT"],"dynamodb":{"Keys":{"id":{"S":["42"]}}}}`: nil,
		`{}`: nil,
	} {
		var m mapping
		raw, _ := json.Marshal(map[string]any{"FilterCriteria": map[string]any{"Filters": []any{map[string]string{"Pattern": pattern}}}})
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		got, err := m.eventNames()
		if diff := cmp.Diff(got, want); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%s: %v %s", pattern, err, diff)
		}
	}
}
