package dispatch

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/job"
)

// FuzzDecodeChange gives the decoder any stream record. What it reads is a
// sound record, the same from equal images, that is read alike again.
func FuzzDecodeChange(f *testing.F) {
	files, err := filepath.Glob("../../../events/dispatch-*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("the fixtures of dispatch: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var all struct{ Records []json.RawMessage }
		if json.Unmarshal(b, &all) != nil {
			continue
		}
		for _, r := range all.Records {
			f.Add([]byte(r))
		}
	}
	for _, image := range []string{
		`{"id":{"S":"1"},"account":{"S":"a"},"kind":{"S":"async"},"status":{"S":"success"}}`,
		`{"id":{"S":"\ud800\u0000"},"account":{"S":"a\"\\"},"kind":{"S":"async"},"status":{"S":"success"},"x":{"N":"1e400"}}`,
		`{"id":{"S":"1"},"x":{"M":{"y":{"L":[{"NULL":true},{"BOOL":false},{"B":"AA=="},{"BS":["AA=="]},{"SS":["a"]},{"NS":["1","x"]}]}}}}`,
		`{"id":{"N":"NaN"},"run":{"N":"01"}}`, `{"id":{}}`, `{}`,
	} {
		f.Add([]byte(`{"eventName":"MODIFY","dynamodb":{"SequenceNumber":"1","NewImage":` + image + `,"OldImage":` + image + `}}`))
	}
	mapped, err := ParseAttributes("id=jobId,kind:=async")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		var r events.DynamoDBEventRecord
		if json.Unmarshal(record, &r) != nil {
			return // Lambda's own decoder refuses it
		}
		for _, a := range []Attributes{{}, mapped} {
			c, err := decodeChange(r, a)
			if err != nil {
				continue
			}
			if !json.Valid(c.New.Record) || bytes.ContainsAny(c.New.Record, "\n\r") {
				t.Fatalf("%s: the record is %q", record, c.New.Record)
			}
			again, err := job.Decode(c.New.Record)
			if diff := cmp.Diff(c.New, again, cmp.Comparer(job.Job.Equal)); err != nil || diff != "" {
				t.Errorf("%s: %v, read again (-first +second):\n%s", record, err, diff)
			}
			twice, err := decodeChange(r, a)
			if err != nil || !bytes.Equal(twice.New.Record, c.New.Record) {
				t.Errorf("%s: %s, then %s, %v", record, c.New.Record, twice.New.Record, err)
			}
		}
	})
}
