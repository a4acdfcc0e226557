// Package boot starts the binaries of the Lambda functions as they are shipped,
// but for this machine, and feeds them events, as Lambda does.
package boot_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/world"
	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/lambdatest"
	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/sqsqueue"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestMain(m *testing.M) { os.Exit(awstest.Main(m)) }

// shipped are the binaries, with the variables that each must have.
func shipped() map[string][]string {
	return map[string][]string{
		"dispatch": {setting.Deliveries, setting.FirstQueue, setting.Stage},
		"deliver": {setting.Deliveries, setting.Lane, setting.Queue, setting.RetryQueue, setting.SecretsKey, setting.PublicURL,
			setting.Stage},
		"sweep":  {setting.Deliveries, setting.FirstQueue, setting.RetryQueue, setting.ExportQueue, setting.Failures, setting.Stage},
		"export": {setting.Deliveries, setting.FirstQueue, setting.Results, setting.Stage},
		"api": {setting.Deliveries, setting.FirstQueue, setting.RetryQueue, setting.ExportQueue, setting.FirstDead, setting.RetryDead, setting.ExportDead,
			setting.SecretsKey, setting.PublicURL},
	}
}

func TestABinaryWithoutItsVariablesNamesThemAllAndEnds(t *testing.T) {
	for name, variables := range shipped() {
		_, err := lambdatest.Start(t.Context(), lambdatest.Options{Binary: lambdatest.Build(t, name)})
		exit, ok := lambdatest.Exited(err)
		if !ok || exit.Status != "exit status 1" {
			t.Fatalf("%s: %v", name, err)
		}
		var line struct{ Level, Msg, Function, Error string }
		if err := json.Unmarshal([]byte(exit.Output), &line); err != nil || line.Level != "ERROR" || line.Function != name {
			t.Errorf("%s printed %q, %v; want one line of JSON", name, exit.Output, err)
		}
		for _, v := range variables {
			if !strings.Contains(line.Error, `"`+v+`"`) {
				t.Errorf("%s does not name %s: %s", name, v, line.Error)
			}
		}
	}
}

func TestDispatchTakesItsFixtures(t *testing.T) {
	s := newSite(t)
	f := s.start("dispatch", nil)
	for _, name := range world.Names(fixtures, "dispatch") {
		answer := invoke[events.DynamoDBEventResponse](t, f, s.payload(name))
		if len(answer.BatchItemFailures) != 0 {
			t.Errorf("%s: failed %+v", name, answer.BatchItemFailures)
		}
	}
	bells := s.first.Receive(t.Context(), 10, time.Second)
	if len(bells) == 0 {
		t.Fatal("nothing was rung for")
	}
	if bell, err := webhook.ParseDoorbell(bells[0].Body); err != nil || bells[0].Group != bell.Account {
		t.Errorf("message %+v, %v", bells[0], err)
	}
	log := read(t, f)
	if log.total("Records") == 0 || log.total("Events") == 0 || log.total("RecordsFailed") != 0 {
		t.Errorf("metrics %+v", log.metrics)
	}
	log.are(t, "dispatch")
}

func TestDispatchNamesTheFirstRecordThatFailed(t *testing.T) {
	s := newSite(t)
	f := s.start("dispatch", map[string]string{setting.FirstQueue: s.env[setting.FirstQueue] + "-gone"})
	payload := s.payload("dispatch-async-finished")
	var e events.DynamoDBEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		t.Fatal(err)
	}
	answer := invoke[events.DynamoDBEventResponse](t, f, payload)
	want := []events.DynamoDBBatchItemFailure{{ItemIdentifier: e.Records[0].Change.SequenceNumber}}
	if diff := cmp.Diff(answer.BatchItemFailures, want); diff != "" {
		t.Error(diff)
	}
	log := read(t, f)
	if !slices.Contains(log.messages, "batch.failed") || log.total("RecordsFailed") != 1 {
		t.Errorf("logged %q, metrics %+v", log.messages, log.metrics)
	}
	log.are(t, "dispatch")
}

func TestDeliverPostsWhatItsFixturesRingFor(t *testing.T) {
	s := newSite(t)
	d := s.start("dispatch", nil)
	for _, name := range world.Names(fixtures, "dispatch") {
		invoke[events.DynamoDBEventResponse](t, d, s.payload(name))
	}
	f := s.start("deliver", nil)
	for name, failed := range map[string][]events.SQSBatchItemFailure{
		"deliver-one":            nil,
		"deliver-all-formats":    nil,
		"deliver-poison-between": {{ItemIdentifier: "00000002-5e6f-4a7b-8c9d-000000000000"}},
	} {
		answer := invoke[events.SQSEventResponse](t, f, s.payload(name))
		if diff := cmp.Diff(answer.BatchItemFailures, failed); diff != "" && len(answer.BatchItemFailures)+len(failed) > 0 {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for {
		messages := s.first.Receive(t.Context(), 10, time.Second)
		if len(messages) == 0 {
			break
		}
		if answer := invoke[events.SQSEventResponse](t, f, batch(t, bellsOf(t, messages))); len(answer.BatchItemFailures) != 0 {
			t.Errorf("failed %+v", answer.BatchItemFailures)
		}
	}
	got := s.receiver.all()
	signed := slices.IndexFunc(got, func(w taken) bool { return w.path == "/standard" })
	if len(got) < 2 || signed < 0 {
		t.Fatalf("received %d webhooks %+v, want one signed among them", len(got), got)
	}
	for _, name := range []string{webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature} {
		if got[signed].header.Get(name) == "" {
			t.Errorf("the signed webhook has no %s", name)
		}
	}
	log := read(t, f)
	if log.total("Delivered") != len(got) || log.total("MessagesFailed") != 1 || !slices.Contains(log.messages, "delivery.gone") {
		t.Errorf("%d webhooks arrived; metrics %+v, logged %q", len(got), log.metrics, log.messages)
	}
	log.are(t, "deliver-first")
}

func TestDeliverWritesItsStatisticsWhenItMustEnd(t *testing.T) {
	s := newSite(t)
	bells := s.deliveries(3)
	f := s.start("deliver", nil)
	if answer := invoke[events.SQSEventResponse](t, f, batch(t, bells)); len(answer.BatchItemFailures) != 0 {
		t.Fatalf("failed %+v", answer.BatchItemFailures)
	}
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	stats, err := s.store.Stats(t.Context(), solo, "ep_solo", now.Add(-2*time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	delivered := 0
	for _, hour := range stats {
		delivered += hour.Delivered
	}
	if delivered != 3 {
		t.Errorf("statistics tell of %d deliveries, want 3: %+v", delivered, stats)
	}
}

func TestTheRetryLaneHidesWhatFailsAgain(t *testing.T) {
	s := newSite(t)
	bells := s.deliveries(1)
	s.receiver.Close() // refuses connections from now on
	first := s.start("deliver", nil)
	if answer := invoke[events.SQSEventResponse](t, first, batch(t, bells)); len(answer.BatchItemFailures) != 0 {
		t.Fatalf("failed %+v", answer.BatchItemFailures)
	}
	d, err := s.store.Delivery(t.Context(), bells[0].Ref())
	if err != nil || d.Attempts != 1 || d.State.Final() {
		t.Fatalf("delivery %+v, %v; want it waiting for its second attempt", d, err)
	}
	log := read(t, first)
	if log.total("Retried") != 1 || !slices.Contains(log.messages, "delivery.attempted") {
		t.Errorf("metrics %+v, logged %q", log.metrics, log.messages)
	}
	retry := s.start("deliver", map[string]string{setting.Lane: setting.LaneRetry, setting.Queue: s.env[setting.RetryQueue], setting.RetryQueue: ""})
	answer := invoke[events.SQSEventResponse](t, retry, batch(t, bells))
	if !d.DueAt.IsZero() {
		t.Fatalf("the wait is too long to be hidden: %+v", d)
	}
	if len(answer.BatchItemFailures) != 1 {
		t.Errorf("answer %+v, want the message to stay, as it is not due", answer)
	}
}

func TestSweepTakesItsFixture(t *testing.T) {
	s := newSite(t)
	f := s.start("sweep", nil)
	if _, err := f.Invoke(t.Context(), s.payload("sweep-tick")); err != nil {
		t.Fatal(err)
	}
	log := read(t, f)
	if _, ok := log.metrics["DueBacklogAge"]; !ok {
		t.Errorf("metrics %+v", log.metrics)
	}
	log.are(t, "sweep")
}

func TestSweepTellsTheOperatorOfAFailingEndpointByTopicAndByWebhook(t *testing.T) {
	s := newSite(t)
	moto := awstest.Moto(t)
	queue := awstest.Subscribe(t, moto, s.env[setting.NoticesTo], `{"type":["endpoint.failing"]}`)
	s.failing("acme", "ep_standard")
	f := s.start("sweep", nil)
	if _, err := f.Invoke(t.Context(), s.payload("sweep-tick")); err != nil {
		t.Fatal(err)
	}
	if log := read(t, f); !slices.Contains(log.messages, "notice.told") {
		t.Errorf("logged %q", log.messages)
	}
	published := sqsqueue.New(sqs.NewFromConfig(moto.Config()), queue).Receive(t.Context(), 10, 5*time.Second)
	if len(published) != 1 || !strings.Contains(published[0].Body, "ep_standard") {
		t.Errorf("published %+v, want what happened to ep_standard", published)
	}
	rung := s.first.Receive(t.Context(), 10, 5*time.Second)
	if len(rung) != 1 || rung[0].Group != solo {
		t.Fatalf("rung for %+v, want a delivery of the operator's account", rung)
	}
	deliver := s.start("deliver", nil)
	if answer := invoke[events.SQSEventResponse](t, deliver, batch(t, bellsOf(t, rung))); len(answer.BatchItemFailures) != 0 {
		t.Fatalf("failed %+v", answer.BatchItemFailures)
	}
	got := s.receiver.all()
	if len(got) != 1 || got[0].path != "/solo" || !strings.Contains(got[0].body, `"type":"endpoint.failing"`) || !strings.Contains(got[0].body, `"endpoint_id":"ep_standard"`) {
		t.Errorf("received %+v, want what happened to ep_standard", got)
	}
}

func TestSweepDispatchesABatchThatLambdaGaveUp(t *testing.T) {
	s := newSite(t)
	failed, err := os.ReadFile("../sweep/testdata/failed-batch.json")
	if err != nil {
		t.Fatal(err)
	}
	bucket, key := s.env[setting.Failures], "aws/lambda/0c5b8e2c-7d1a-4f4e-9b1d-1f0f3d6a2b11/shardId-1/2026/01/01/2026-01-01T00.01.00-1"
	if _, err := s.files.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(failed)}); err != nil {
		t.Fatal(err)
	}
	f := s.start("sweep", nil)
	if _, err := f.Invoke(t.Context(), s.payload("sweep-tick")); err != nil {
		t.Fatal(err)
	}
	if log := read(t, f); log.total("Replayed") != 1 || log.total("ReplaysFailed") != 0 {
		t.Errorf("metrics %+v, logged %q", log.metrics, log.messages)
	}
	if rung := s.first.Receive(t.Context(), 10, time.Second); len(rung) == 0 {
		t.Error("nothing was rung for")
	}
	left, err := s.files.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil || len(left.Contents) != 0 {
		t.Errorf("the bucket still holds %d objects, %v", len(left.Contents), err)
	}
}

func TestTheAPITakesTheKeyThatTheKeyCommandMakes(t *testing.T) {
	s := newSite(t)
	mint := func(table string) (key, problem string, err error) {
		var out, complaint bytes.Buffer
		cmd := exec.CommandContext(t.Context(), lambdatest.Build(t, "key"), "-table", table)
		cmd.Stdout, cmd.Stderr = &out, &complaint
		for name, value := range s.env {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		err = cmd.Run()
		return strings.TrimSpace(out.String()), complaint.String(), err
	}
	key, problem, err := mint(s.env[setting.Deliveries])
	if err != nil || !strings.HasPrefix(key, "jh_live_") {
		t.Fatalf("key %q, %v: %s", key, err, problem)
	}
	s.operatorKey = key
	answer := invoke[events.APIGatewayV2HTTPResponse](t, s.start("api", nil), s.request("api-list"))
	if answer.StatusCode != 200 {
		t.Errorf("with that key: %d %s", answer.StatusCode, answer.Body)
	}
	if key, problem, err := mint("nowhere"); err == nil || key != "" || !strings.Contains(problem, "there is no table nowhere") {
		t.Errorf("no such table: key %q, %v: %s", key, err, problem)
	}
}

func TestTheAPIShowsDeadLettersToTheOperatorAndSendsThemBack(t *testing.T) {
	s := newSite(t)
	messages := sqs.NewFromConfig(awstest.Moto(t).Config())
	bell := webhook.Doorbell{Account: solo, Delivery: "dlv_dead", Generation: 1}
	if err := sqsqueue.New(messages, s.env[setting.RetryDead]).Ring(t.Context(), []webhook.Doorbell{bell}); err != nil {
		t.Fatal(err)
	}
	f := s.start("api", nil)
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/v1/queues", 200, `"name":"retry","visible":0,"hidden":0,"delayed":0,"dead":1`},
		{"GET", "/v1/queues/first/dead-letters", 200, `"items":[]`},
		{"GET", "/v1/queues/retry/dead-letters", 200, `"account":"solo","delivery":"dlv_dead"`},
		{"GET", "/v1/queues/retry/dead-letters", 200, `"account":"solo","delivery":"dlv_dead"`}, // it was put back
		{"POST", "/v1/queues/retry:redrive", 202, `"redriven":1`},
		{"POST", "/v1/queues/retry:redrive", 202, `"redriven":0`},
		{"GET", "/v1/holders", 200, `"items":[]`},
	} {
		answer := invoke[events.APIGatewayV2HTTPResponse](t, f, s.request("api-operator", "{{method}}", c.method, "{{path}}", c.path))
		if answer.StatusCode != c.status || !strings.Contains(answer.Body, c.want) {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.path, answer.StatusCode, answer.Body, c.status, c.want)
		}
	}
	if got := bellsOf(t, s.retry.Receive(t.Context(), 10, 5*time.Second)); !slices.Equal(got, []webhook.Doorbell{bell}) {
		t.Errorf("received %+v, want %+v", got, bell)
	}
	if log := read(t, f); !slices.Contains(log.messages, "queue.redriven") {
		t.Errorf("logged %q", log.messages)
	}
}

func TestTheAPIAnswers(t *testing.T) {
	s := newSite(t)
	bells := s.deliveries(1)
	f := s.start("api", nil)
	for _, c := range []struct {
		name   string
		status int
		want   string
	}{
		{"api-health", 200, `"ok"`},
		{"api-put-job", 201, `"id":"batch/7"`},
		{"api-get-job", 200, `"id":"batch/7"`},
		{"api-patch-job", 200, `"status":"success"`}, // its body is in base64
		{"api-unknown", 404, `"/problems/not-found"`},
		{"api-resend", 409, `"/problems/in-flight"`}, // the first attempt is still to come
	} {
		answer := invoke[events.APIGatewayV2HTTPResponse](t, f, s.request(c.name, "{{delivery}}", bells[0].Delivery))
		if answer.StatusCode != c.status || !strings.Contains(answer.Body, c.want) {
			t.Errorf("%s: %d %s, want %d with %s", c.name, answer.StatusCode, answer.Body, c.status, c.want)
		}
	}
	d := s.start("deliver", nil)
	invoke[events.SQSEventResponse](t, d, batch(t, bells))
	answer := invoke[events.APIGatewayV2HTTPResponse](t, f, s.request("api-resend", "{{delivery}}", bells[0].Delivery))
	if answer.StatusCode != 202 {
		t.Errorf("resend: %d %s", answer.StatusCode, answer.Body)
	}
	if rung := s.retry.Receive(t.Context(), 10, time.Second); len(rung) != 1 || !strings.Contains(rung[0].Body, bells[0].Delivery) {
		t.Errorf("retry queue %+v, want the doorbell of the delivery", rung)
	}
	for _, line := range f.Lines() {
		if !json.Valid([]byte(line)) {
			t.Errorf("line %q is no JSON", line)
		}
	}
}

func TestAnEventOfNoKnownFormIsAFailureAndNotTheEnd(t *testing.T) {
	s := newSite(t)
	f := s.start("dispatch", nil)
	_, err := f.Invoke(t.Context(), []byte(`{"Records":"none"}`))
	var failure *lambdatest.FunctionError
	if !errors.As(err, &failure) {
		t.Errorf("got %v, want what the function reports", err)
	}
	if answer := invoke[events.DynamoDBEventResponse](t, f, s.payload("dispatch-expired-row")); len(answer.BatchItemFailures) != 0 {
		t.Errorf("afterwards: %+v", answer)
	}
}

// log is what a function printed.
type log struct {
	messages []string             // of its log lines
	metrics  map[string][]float64 // of its metric lines, by name
	functs   []string             // the dimension of each metric line
	bare     []string             // log lines without the request's id
}

// read reads what a function printed, which must be JSON lines: logs, and
// metrics in the embedded metric format.
func read(t testing.TB, f *lambdatest.Function) (l log) {
	t.Helper()
	l.metrics = map[string][]float64{}
	for _, line := range f.Lines() {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("line %q is no JSON: %v", line, err)
			continue
		}
		if fields["_aws"] != nil {
			l.readMetrics(t, line, fields)
			continue
		}
		message, _ := fields["msg"].(string)
		l.messages = append(l.messages, message)
		if id, _ := fields["request_id"].(string); len(id) != 36 {
			l.bare = append(l.bare, line)
		}
	}
	return l
}

// embedded is the part of a line that says which of its members are metrics.
type embedded struct {
	AWS struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	} `json:"_aws"`
}

func (l *log) readMetrics(t testing.TB, line string, fields map[string]any) {
	t.Helper()
	var e embedded
	if err := json.Unmarshal([]byte(line), &e); err != nil || len(e.AWS.CloudWatchMetrics) != 1 || e.AWS.Timestamp == 0 {
		t.Errorf("metrics %s: %v", line, err)
		return
	}
	m := e.AWS.CloudWatchMetrics[0]
	if diff := cmp.Diff(m.Dimensions, [][]string{{"stage"}}); m.Namespace != "Jobhook" || diff != "" || fields["stage"] != "test" {
		t.Errorf("metrics %s: %s", line, diff)
	}
	function, _ := fields["function"].(string)
	l.functs = append(l.functs, function)
	for _, metric := range m.Metrics {
		switch v := fields[metric.Name].(type) {
		case float64:
			l.metrics[metric.Name] = append(l.metrics[metric.Name], v)
		case []any:
			for _, one := range v {
				number, ok := one.(float64)
				if !ok {
					t.Errorf("metric %s holds %v", metric.Name, one)
				}
				l.metrics[metric.Name] = append(l.metrics[metric.Name], number)
			}
		default:
			t.Errorf("metric %s is announced and not told: %s", metric.Name, line)
		}
	}
}

// total is the sum of a metric over all lines.
func (l log) total(name string) (sum int) {
	for _, v := range l.metrics[name] {
		sum += int(v)
	}
	return sum
}

// are checks what every line of a function has.
func (l log) are(t testing.TB, function string) {
	t.Helper()
	if len(l.functs) == 0 {
		t.Error("there is no line of metrics")
	}
	for _, f := range l.functs {
		if f != function {
			t.Errorf("metrics of function %q, want %q", f, function)
		}
	}
	for _, line := range l.bare {
		t.Errorf("a line without request_id: %s", line)
	}
}
