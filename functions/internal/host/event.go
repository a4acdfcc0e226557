package host

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Names of the standalone host's sources, in the form of AWS.
const (
	streamARN = "arn:aws:dynamodb:local:000000000000:table/jobs/stream/standalone"
	queueARN  = "arn:aws:sqs:local:000000000000:"
)

// streamRecord is a change as a DynamoDB stream carries it.
func streamRecord(c job.Written) events.DynamoDBEventRecord {
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
			OldImage:       image(c.Old), NewImage: image(c.New),
		},
	}
}

// image turns a record into attribute values. What is no JSON object has no
// attributes, and dispatch declines it.
func image(record []byte) map[string]events.DynamoDBAttributeValue {
	if len(record) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(record))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil
	}
	return attributes(object)
}

func attributes(object map[string]any) map[string]events.DynamoDBAttributeValue {
	m := make(map[string]events.DynamoDBAttributeValue, len(object))
	for name, value := range object {
		m[name] = attribute(value)
	}
	return m
}

func attribute(value any) events.DynamoDBAttributeValue {
	switch v := value.(type) {
	case string:
		return events.NewStringAttribute(v)
	case json.Number:
		return events.NewNumberAttribute(v.String())
	case bool:
		return events.NewBooleanAttribute(v)
	case map[string]any:
		return events.NewMapAttribute(attributes(v))
	case []any:
		list := make([]events.DynamoDBAttributeValue, len(v))
		for i, item := range v {
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
