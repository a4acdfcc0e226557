package host

import (
	"strconv"

	"github.com/aws/aws-lambda-go/events"
	"github.com/valyala/fastjson"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Names of the standalone host's sources, in the form of AWS.
const (
	streamARN = "arn:aws:dynamodb:local:000000000000:table/jobs/stream/standalone"
	queueARN  = "arn:aws:sqs:local:000000000000:"
)

// recorder makes stream records. It keeps the parser's memory, so it is for
// one goroutine.
type recorder struct{ parser fastjson.Parser }

// record is a change as a DynamoDB stream carries it.
func (r *recorder) record(c job.Written) events.DynamoDBEventRecord {
	name := events.DynamoDBOperationTypeInsert
	if len(c.Old) > 0 {
		name = events.DynamoDBOperationTypeModify
	}
	seq := strconv.Itoa(c.Seq)
	return events.DynamoDBEventRecord{
		EventID: seq, EventName: string(name), EventSource: "aws:dynamodb", EventVersion: "1.1",
		EventSourceArn: streamARN, AWSRegion: "local",
		Change: events.DynamoDBStreamRecord{
			ApproximateCreationDateTime: events.SecondsEpochTime{Time: c.At},
			SequenceNumber:              seq, SizeBytes: int64(len(c.Old) + len(c.New)),
			StreamViewType: string(events.DynamoDBStreamViewTypeNewAndOldImages),
			OldImage:       r.image(c.Old), NewImage: r.image(c.New),
		},
	}
}

// image turns a record into attribute values. What is no JSON object has no
// attributes, and dispatch declines it.
func (r *recorder) image(record []byte) map[string]events.DynamoDBAttributeValue {
	if len(record) == 0 {
		return nil
	}
	value, err := r.parser.ParseBytes(record)
	if err != nil || value.Type() != fastjson.TypeObject {
		return nil
	}
	return attribute(value).Map()
}

// attribute copies what it keeps: the parser's memory serves the next record.
func attribute(v *fastjson.Value) events.DynamoDBAttributeValue {
	switch v.Type() {
	case fastjson.TypeString:
		return events.NewStringAttribute(string(v.GetStringBytes()))
	case fastjson.TypeNumber:
		return events.NewNumberAttribute(v.String()) // as it is written
	case fastjson.TypeTrue, fastjson.TypeFalse:
		return events.NewBooleanAttribute(v.GetBool())
	case fastjson.TypeObject:
		object := v.GetObject()
		m := make(map[string]events.DynamoDBAttributeValue, object.Len())
		object.Visit(func(name []byte, v *fastjson.Value) { m[string(name)] = attribute(v) })
		return events.NewMapAttribute(m)
	case fastjson.TypeArray:
		items := v.GetArray()
		list := make([]events.DynamoDBAttributeValue, len(items))
		for i, item := range items {
			list[i] = attribute(item)
		}
		return events.NewListAttribute(list)
	}
	return events.NewNullAttribute()
}

// sqsMessage is a message as SQS hands it to Lambda.
func sqsMessage(queue string, m webhook.Message) events.SQSMessage {
	return events.SQSMessage{
		MessageId: m.ID, ReceiptHandle: m.Receipt, Body: m.Body,
		EventSource: "aws:sqs", EventSourceARN: queueARN + queue, AWSRegion: "local",
		Attributes: map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(m.Receives),
			"SentTimestamp":           strconv.FormatInt(m.SentAt.UnixMilli(), 10),
			"MessageGroupId":          m.Group,
		},
	}
}
