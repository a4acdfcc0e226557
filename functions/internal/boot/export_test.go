package boot_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/lambdatest"
	"github.com/jobhook/jobhook/shared/setting"
)

// exported is a job whose records are uploaded, in the account solo.
const exported = "boot/exported"

// records of one part.
const records = `{"title":"A","price":1}` + "\n" + `{"title":"B","price":2}` + "\n"

func TestUploadedRecordsBecomeFilesWithLinks(t *testing.T) {
	s := newSite(t)
	a := s.start("api", nil)
	s.upload(a)
	d := s.start("dispatch", nil)
	ended, err := json.Marshal(s.ended(exported))
	if err != nil {
		t.Fatal(err)
	}
	if answer := invoke[events.DynamoDBEventResponse](t, d, ended); len(answer.BatchItemFailures) != 0 {
		t.Fatalf("dispatch failed %+v", answer.BatchItemFailures)
	}
	f := s.start("export", nil)
	if answer := invoke[events.SQSEventResponse](t, f, s.asked()); len(answer.BatchItemFailures) != 0 {
		t.Fatalf("export failed %+v", answer.BatchItemFailures)
	}
	set := s.resultSet(t)
	if set.Token == "" || set.Pages != 1 {
		t.Fatalf("result set %+v, want one of a page", set)
	}
	s.follow(a, set, job.FilesJSON, `{"title":"B","price":2}`)
	s.follow(a, set, job.FilesCSV, "\nB,2")
	log := read(t, f)
	if log.total("Exported") != 1 || log.total("ExportedRecords") != 2 || log.total("ExportsFailed") != 0 {
		t.Errorf("metrics %+v, logged %q", log.metrics, log.messages)
	}
	log.are(t, "export")
}

func TestRecordsThatAreNoJSONAreAFailedExport(t *testing.T) {
	s := newSite(t)
	payload := s.export(exported, "no JSON\n")
	f := s.start("export", nil)
	if answer := invoke[events.SQSEventResponse](t, f, payload); len(answer.BatchItemFailures) != 0 {
		t.Errorf("failed %+v, want that it is not tried again", answer.BatchItemFailures)
	}
	if set := s.resultSet(t); set.Error == "" {
		t.Errorf("result set %+v, want an error", set)
	}
	if log := read(t, f); log.total("ExportsFailed") != 1 {
		t.Errorf("metrics %+v, logged %q", log.metrics, log.messages)
	}
}

// upload writes the job and uploads its records through the API.
func (s *site) upload(a *lambdatest.Function) {
	s.Helper()
	path := "/v1/jobs/" + url.PathEscape(exported)
	s.call(a, "PUT", path, "application/json", `{"kind":"async","account":"`+solo+`","status":"processing","run":1}`, http.StatusCreated)
	s.call(a, "POST", path+"/runs/1/records", "application/x-ndjson", records, http.StatusOK)
}

// ended is the stream's record of a job's end.
func (s *site) ended(id string) events.DynamoDBEvent {
	s.made++
	r := s.finished(s.made)
	for _, image := range []map[string]events.DynamoDBAttributeValue{r.Change.OldImage, r.Change.NewImage} {
		image["id"], image["records_run"] = events.NewStringAttribute(id), events.NewNumberAttribute("1")
	}
	return events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{r}}
}

// exportAnother is the export of a job that was not exported yet.
func (s *site) exportAnother() []byte {
	return s.export(exported+strconv.Itoa(s.made), records)
}

// export makes a job with records whose run has ended, and returns the event
// that asks for its files.
func (s *site) export(id, lines string) []byte {
	s.Helper()
	ctx := s.Context()
	_, _, err := s.store.WriteJob(ctx, id, job.KindAsync, func(*job.Job) (job.Job, error) {
		return job.Decode([]byte(`{"id":"` + id + `","kind":"async","account":"` + solo + `","status":"success","run":1,"records_run":1}`))
	})
	if err != nil {
		s.Fatal(err)
	}
	bucket, key := s.env[setting.Results], files.RecordsFolder(solo, job.KindAsync, id, 1)+files.Part(1)
	if _, err := s.files.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(lines)}); err != nil {
		s.Fatal(err)
	}
	h := &dispatch.Handler{Store: s.store, Queue: &belfry{}, Exports: s.exports}
	if answer, err := h.Handle(ctx, s.ended(id)); err != nil || len(answer.BatchItemFailures) > 0 {
		s.Fatalf("dispatch: %+v, %v", answer, err)
	}
	return s.asked()
}

// asked is an event of SQS with the only message of the export queue.
func (s *site) asked() []byte {
	s.Helper()
	messages := s.exports.Receive(s.Context(), 10, time.Second)
	if len(messages) != 1 {
		s.Fatalf("%d exports are asked for, want 1", len(messages))
	}
	raw, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: "00000000-5e6f-4a7b-8c9d-000000000000", ReceiptHandle: messages[0].Receipt, Body: messages[0].Body, EventSource: "aws:sqs",
		EventSourceARN: "arn:aws:sqs:us-east-1:123456789012:jobhook-test-export", Attributes: map[string]string{"ApproximateReceiveCount": "1"},
	}}})
	if err != nil {
		s.Fatal(err)
	}
	return raw
}

// resultSet is what the job's row says of its files.
func (s *site) resultSet(t testing.TB) job.ResultSet {
	t.Helper()
	list, err := s.store.JobsByID(t.Context(), exported)
	if err != nil || len(list) != 1 {
		t.Fatalf("jobs %+v, %v", list, err)
	}
	var row struct {
		ResultSet job.ResultSet `json:"result_set"`
	}
	if err := json.Unmarshal(list[0].Record, &row); err != nil {
		t.Fatal(err)
	}
	return row.ResultSet
}

// follow clicks on the link to the first page, which leads to a file that holds
// the text.
func (s *site) follow(a *lambdatest.Function, set job.ResultSet, format, text string) {
	s.Helper()
	links, ok := set.Links(job.KindAsync, exported, format, s.env[setting.PublicURL])
	if !ok || len(links.Pages) != 1 {
		s.Fatalf("links %+v, %t", links, ok)
	}
	answer := s.call(a, "GET", strings.TrimPrefix(links.Pages[0], s.env[setting.PublicURL]), "", "", http.StatusFound)
	got, err := http.Get(answer.Headers["Location"])
	if err != nil {
		s.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != http.StatusOK || !strings.Contains(string(body), text) {
		s.Errorf("%s: %d %q, %v; want %q", links.Pages[0], got.StatusCode, body, err, text)
	}
}

// call makes a request to the API, with the operator's key. API Gateway hands
// over the path decoded.
func (s *site) call(a *lambdatest.Function, method, target, contentType, body string, status int) events.APIGatewayV2HTTPResponse {
	s.Helper()
	u, err := url.Parse(target)
	if err != nil {
		s.Fatal(err)
	}
	e := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "$default", RawPath: u.Path, RawQueryString: u.RawQuery, Body: body,
		Headers: map[string]string{"authorization": "Bearer " + s.operatorKey, "content-type": contentType, "host": "hooks.example.com"},
	}
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.Path, e.RequestContext.HTTP.SourceIP = method, u.Path, "192.0.2.7"
	e.RequestContext.Stage = "$default"
	payload, err := json.Marshal(e)
	if err != nil {
		s.Fatal(err)
	}
	answer := invoke[events.APIGatewayV2HTTPResponse](s, a, payload)
	if answer.StatusCode != status {
		s.Fatalf("%s %s: %d %s, want %d", method, target, answer.StatusCode, answer.Body, status)
	}
	return answer
}
