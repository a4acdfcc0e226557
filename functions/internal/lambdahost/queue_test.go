package lambdahost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// seen is what is read of a message.
type seen struct{ ID, Receipt, Body, Received string }

func seenIn(e events.SQSEvent) []seen {
	var all []seen
	for _, m := range e.Records {
		all = append(all, seen{m.MessageId, m.ReceiptHandle, m.Body, m.Attributes[receiveCount]})
	}
	return all
}

// readBy invokes the handler, and tells what it was given.
func readBy(ctx context.Context, payload []byte) (got []seen, answer string, err error) {
	b, err := Queue(func(_ context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
		got = seenIn(e)
		return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{{ItemIdentifier: "stays"}}}, nil
	}).Invoke(ctx, payload)
	return got, string(b), err
}

func TestEventsOfAQueueAreReadAsEncodingJSONReadsThem(t *testing.T) {
	files, err := filepath.Glob("../../../events/deliver-*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("fixtures %v, %v", files, err)
	}
	for _, file := range files {
		payload, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var e events.SQSEvent
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Fatal(err)
		}
		if _, quick := new(queue).read(payload); !quick {
			t.Errorf("%s is not read quickly", file)
		}
		got, answer, err := readBy(t.Context(), payload)
		if diff := cmp.Diff(seenIn(e), got); diff != "" || err != nil {
			t.Errorf("%s: %v, got (+), want (-):\n%s", file, err, diff)
		}
		if want := `{"batchItemFailures":[{"itemIdentifier":"stays"}]}`; answer != want {
			t.Errorf("%s: answer %s, want %s", file, answer, want)
		}
	}
}

func TestEventsOutOfTheOrdinaryAreLeftToEncodingJSON(t *testing.T) {
	for payload, want := range map[string][]seen{
		`{}`:                                   nil,
		`{"Records": null}`:                    nil,
		`{"records": [{"MESSAGEID": "m"}]}`:    {{ID: "m"}},
		`{"Records": [{"body": "{\"a\":1}"}]}`: {{Body: `{"a":1}`}},
		`{"Records": [{"messageId": "m", "receiptHandle": "r", "body": null, "attributes": {"ApproximateReceiveCount": "2"}}]}`: {{"m", "r", "", "2"}},
	} {
		got, _, err := readBy(t.Context(), []byte(payload))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, got (+), want (-):\n%s", payload, err, diff)
		}
	}
}

func TestWhatIsNoEventIsAnErrorThatSaysSo(t *testing.T) {
	for payload, want := range map[string]string{
		``:               "event of a queue: unexpected end of JSON input",
		`{"Records": [}`: "event of a queue: invalid character '}'",
		`{"Records": [{"messageId": 5, "receiptHandle": "r", "body": "b", "attributes": {}}]}`: "event of a queue: json: cannot unmarshal number",
	} {
		if _, _, err := readBy(t.Context(), []byte(payload)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", payload, err, want)
		}
	}
}

func TestAnErrorOfTheHandlerIsPassedOn(t *testing.T) {
	broken := errors.New("broken")
	b, err := Queue(func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
		return events.SQSEventResponse{}, broken
	}).Invoke(t.Context(), []byte(`{}`))
	if !errors.Is(err, broken) || b != nil {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestEscapesAreReadAsEncodingJSONReadsThem(t *testing.T) {
	for _, text := range []string{`\ud83d\ude00`, `\u00e4\u0000`, `\/\b\f\n\r\t`, `{\"a\": \"\\\\\"}`} {
		payload := []byte(`{"Records": [{"messageId": "m", "receiptHandle": "` + text + `", "body": "` + text + `", "attributes": {"ApproximateReceiveCount": "1"}}]}`)
		var want events.SQSEvent
		if err := json.Unmarshal(payload, &want); err != nil {
			t.Fatal(err)
		}
		got, quick := new(queue).read(payload)
		if diff := cmp.Diff(seenIn(want), seenIn(got)); diff != "" || !quick {
			t.Errorf("%s: quick %t, got (+), want (-):\n%s", text, quick, diff)
		}
	}
}

// FuzzQueueEvent: a message that encoding/json wrote is read as it was.
func FuzzQueueEvent(f *testing.F) {
	f.Add("m", "AQEB", `{"account":"ä😀\n"}`, "1")
	f.Add("\u2028", "\\\"\x00\xff", "<&>", "")
	f.Fuzz(func(t *testing.T, id, receipt, body, received string) {
		m := events.SQSMessage{MessageId: id, ReceiptHandle: receipt, Body: body, Attributes: map[string]string{receiveCount: received}}
		payload, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{m, {MessageId: "next", Attributes: m.Attributes}}})
		if err != nil {
			t.Fatal(err)
		}
		var want events.SQSEvent
		if err := json.Unmarshal(payload, &want); err != nil {
			t.Fatal(err)
		}
		got, quick := new(queue).read(payload)
		if diff := cmp.Diff(seenIn(want), seenIn(got)); diff != "" || !quick {
			t.Errorf("quick %t, got (+), want (-):\n%s", quick, diff)
		}
	})
}

// BenchmarkQueueEvent reads a batch of 100 messages as SQS writes them.
func BenchmarkQueueEvent(b *testing.B) {
	message := `{"messageId":"00000001-5e6f-4a7b-8c9d-000000000000","receiptHandle":%q,` +
		`"body":"{\"account\":\"acme\",\"delivery\":\"dlv_01kdvdna00aykghrtrg3y9am063vtqdwdfmt\",\"generation\":1}",` +
		`"attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1767225610123","SenderId":"AROAEXAMPLE:jobhook-dev-dispatch",` +
		`"ApproximateFirstReceiveTimestamp":"1767225610130","MessageGroupId":"acme"},"messageAttributes":{},` +
		`"md5OfBody":"098f6bcd4621d373cade4e832627b4f6","eventSource":"aws:sqs",` +
		`"eventSourceARN":"arn:aws:sqs:eu-central-1:123456789012:jobhook-dev-first","awsRegion":"eu-central-1"}`
	one := fmt.Sprintf(message, strings.Repeat("AQEB", 80))
	payload := []byte(`{"Records":[` + one + strings.Repeat(","+one, 99) + `]}`)
	b.Run("quick", func(b *testing.B) {
		b.ReportAllocs()
		q := new(queue)
		for b.Loop() {
			if e, ok := q.read(payload); !ok || len(e.Records) != 100 {
				b.Fatal("not read")
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var e events.SQSEvent
			if err := json.Unmarshal(payload, &e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
