package boot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/world"
	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/kmsseal"
	"github.com/jobhook/jobhook/shared/lambdatest"
	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/sqsqueue"
	"github.com/jobhook/jobhook/shared/webhook"
)

// fixtures is the folder of the payloads, as seen from here.
const fixtures = "../../../events"

// elsewhere is where the fixtures say that the receivers are.
const elsewhere = "https://receiver.example"

// solo is an account with one endpoint, signed.
const solo = "solo"

// site is all that the functions of one stage talk to.
type site struct {
	testing.TB
	env         map[string]string // of every function
	store       *dynamo.Store
	first       *sqsqueue.Queue
	retry       *sqsqueue.Queue
	exports     *sqsqueue.Queue
	files       *s3.Client
	receiver    *receiver
	operatorKey string
	made        int // jobs
}

// newSite makes tables, queues and a key, with the world of the fixtures in it
// and its receivers here.
func newSite(t testing.TB) *site {
	t.Helper()
	database, moto, files := awstest.DynamoDB(t), awstest.Moto(t), awstest.S3(t)
	client := dynamodb.NewFromConfig(database.Config())
	deliveries, jobs := awstest.Name("deliveries"), awstest.Name("jobs")
	if err := dynamo.CreateTables(t.Context(), client, deliveries, jobs); err != nil {
		t.Fatal(err)
	}
	messages := sqs.NewFromConfig(moto.Config())
	first, firstDead := awstest.Queue(t, messages, time.Minute, 50)
	retry, retryDead := awstest.Queue(t, messages, time.Minute, 50)
	exports, exportsDead := awstest.Queue(t, messages, time.Minute, 50)
	keys := kms.NewFromConfig(moto.Config())
	made, err := keys.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{
		TB: t, receiver: newReceiver(t), files: files.S3(),
		first: sqsqueue.New(messages, first), retry: sqsqueue.New(messages, retry), exports: sqsqueue.New(messages, exports),
		store: dynamo.New(dynamo.Options{Client: client, Deliveries: deliveries, Jobs: jobs, Sealer: kmsseal.New(keys, *made.KeyMetadata.Arn)}),
		env: map[string]string{
			"AWS_REGION": awstest.Region, "AWS_ACCESS_KEY_ID": awstest.AccessKey, "AWS_SECRET_ACCESS_KEY": awstest.SecretKey, "AWS_SESSION_TOKEN": "",
			"AWS_ENDPOINT_URL_DYNAMODB": database.URL, "AWS_ENDPOINT_URL_SQS": moto.URL, "AWS_ENDPOINT_URL_KMS": moto.URL, "AWS_ENDPOINT_URL_S3": files.URL,
			"AWS_ENDPOINT_URL_SNS": moto.URL, setting.NoticesTo: awstest.Topic(t, moto), setting.Operator: solo,
			setting.Deliveries: deliveries, setting.Jobs: jobs, setting.Stage: "test", setting.Retention: "48h",
			setting.FirstQueue: first, setting.RetryQueue: retry, setting.Queue: first, setting.Lane: setting.LaneFirst,
			setting.ExportQueue: exports, setting.Results: awstest.Bucket(t, files.S3()),
			setting.FirstDead: firstDead, setting.RetryDead: retryDead, setting.ExportDead: exportsDead,
			setting.Failures: awstest.Bucket(t, files.S3()), setting.SecretsKey: *made.KeyMetadata.Arn,
			setting.PublicURL: "https://hooks.example.com", setting.Private: "true",
		},
	}
	s.settle()
	return s
}

// settle stores the accounts and endpoints, and a key of the operator.
func (s *site) settle() {
	s.Helper()
	ctx := s.Context()
	if err := world.Apply(ctx, fixtures, s.store, time.Now()); err != nil {
		s.Fatal(err)
	}
	endpoints, err := s.store.Endpoints(ctx, "acme")
	if err != nil || len(endpoints) == 0 {
		s.Fatalf("endpoints %v, %v", endpoints, err)
	}
	for _, e := range endpoints {
		_, err := s.store.UpdateEndpoint(ctx, e.Account, e.ID, func(e webhook.Endpoint) (webhook.Endpoint, error) {
			e.URL = strings.Replace(e.URL, elsewhere, s.receiver.URL, 1)
			return e, nil
		})
		if err != nil {
			s.Fatal(err)
		}
	}
	err = errors.Join(s.store.PutAccount(ctx, webhook.Account{ID: solo, Name: "Solo"}), s.store.PutEndpoint(ctx, webhook.Endpoint{
		ID: "ep_solo", Account: solo, URL: s.receiver.URL + "/solo", Format: "standard", Status: webhook.EndpointEnabled,
		Secrets: []webhook.Secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
	}))
	if err != nil {
		s.Fatal(err)
	}
	full, key := api.MintKey(time.Now(), webhook.ScopeOperator, "", "boot")
	if err := s.store.PutKey(ctx, key); err != nil {
		s.Fatal(err)
	}
	s.operatorKey = full
}

// start starts a function in this site, with further variables.
func (s *site) start(name string, more map[string]string) *lambdatest.Function {
	s.Helper()
	o := lambdatest.Options{Binary: lambdatest.Build(s, name), Name: "jobhook-test-" + name, Env: maps.Clone(s.env)}
	if name == "export" {
		o.Env[setting.Queue] = s.env[setting.ExportQueue]
	}
	maps.Copy(o.Env, more)
	f, err := lambdatest.Start(s.Context(), o)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		f.Kill()
		if s.Failed() {
			s.Logf("%s printed:\n%s", name, f.Output())
		}
	})
	return f
}

// payload reads a fixture, with its receivers here.
func (s *site) payload(name string) []byte {
	s.Helper()
	raw, err := world.Payload(fixtures, name)
	if err != nil {
		s.Fatal(err)
	}
	return bytes.ReplaceAll(raw, []byte(elsewhere), []byte(s.receiver.URL))
}

// request reads a request to the API from testdata, with the operator's key.
func (s *site) request(name string, replace ...string) []byte {
	s.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		s.Fatal(err)
	}
	return []byte(strings.NewReplacer(append(replace, "{{key}}", s.operatorKey)...).Replace(string(raw)))
}

// invoke hands over an event and reads the answer.
func invoke[A any](t testing.TB, f *lambdatest.Function, payload []byte) (answer A) {
	t.Helper()
	raw, err := f.Invoke(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("answer %s: %v", raw, err)
	}
	return answer
}

// deliveries dispatches n jobs of the account solo that finished, one delivery
// each, and returns their doorbells.
func (s *site) deliveries(n int) []webhook.Doorbell {
	s.Helper()
	bells := &belfry{}
	h := &dispatch.Handler{Store: s.store, Queue: bells}
	for len(bells.rung) < n {
		var e events.DynamoDBEvent
		for range min(n-len(bells.rung), 100) {
			s.made++
			e.Records = append(e.Records, s.finished(s.made))
		}
		answer, err := h.Handle(s.Context(), e)
		if err != nil || len(answer.BatchItemFailures) > 0 {
			s.Fatalf("dispatch: %+v, %v", answer, err)
		}
	}
	return bells.rung
}

// finished is a record of a job that has just ended.
func (s *site) finished(n int) events.DynamoDBEventRecord {
	image := func(status string) map[string]events.DynamoDBAttributeValue {
		return map[string]events.DynamoDBAttributeValue{
			"account": events.NewStringAttribute(solo), "kind": events.NewStringAttribute("async"), "id": events.NewStringAttribute("boot-" + strconv.Itoa(n)),
			"status": events.NewStringAttribute(status), "run": events.NewNumberAttribute("1"),
			"created_at": events.NewStringAttribute(time.Now().UTC().Format(time.RFC3339Nano)),
			"message":    events.NewStringAttribute(strings.Repeat("x", 700)), // so that a body has about 1 KB
		}
	}
	return events.DynamoDBEventRecord{EventName: "MODIFY", Change: events.DynamoDBStreamRecord{
		ApproximateCreationDateTime: events.SecondsEpochTime{Time: time.Now()}, SequenceNumber: fmt.Sprintf("%026d", n),
		OldImage: image("processing"), NewImage: image("success"),
	}}
}

// failing records that an endpoint is failing, and that somebody is to hear of
// it: the account solo asks for it.
func (s *site) failing(account, endpoint string) {
	s.Helper()
	_, err := s.store.UpdateEndpoint(s.Context(), solo, "ep_solo", func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Types = webhook.OfEndpoints()
		return e, nil
	})
	if err != nil {
		s.Fatal(err)
	}
	read, err := s.store.HealthOf(s.Context(), account, endpoint)
	if err != nil {
		s.Fatal(err)
	}
	now := time.Now()
	next := webhook.Health{Endpoint: endpoint, State: webhook.Failing, Since: now, Reason: "the receiver answered 500", Version: read.Version + 1}
	told := webhook.Notice{Type: webhook.EndpointFailingEvent, Account: account, Endpoint: endpoint, URL: "https://receiver.example/", At: now, Since: now}
	if err := s.store.SetHealth(s.Context(), account, read, next, told); err != nil {
		s.Fatal(err)
	}
}

// bellsOf are the doorbells that messages carry.
func bellsOf(t testing.TB, messages []webhook.Message) []webhook.Doorbell {
	t.Helper()
	bells := make([]webhook.Doorbell, len(messages))
	for i, m := range messages {
		var err error
		if bells[i], err = webhook.ParseDoorbell(m.Body); err != nil {
			t.Fatal(err)
		}
	}
	return bells
}

// belfry gathers doorbells.
type belfry struct{ rung []webhook.Doorbell }

func (b *belfry) Ring(_ context.Context, bells []webhook.Doorbell) error {
	b.rung = append(b.rung, bells...)
	return nil
}

// batch is an event of SQS with these doorbells.
func batch(t testing.TB, bells []webhook.Doorbell) []byte {
	t.Helper()
	var e events.SQSEvent
	for i, b := range bells {
		e.Records = append(e.Records, events.SQSMessage{
			MessageId: fmt.Sprintf("%08d-5e6f-4a7b-8c9d-000000000000", i), ReceiptHandle: "AQEB" + strconv.Itoa(i), Body: b.Message(),
			EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:123456789012:jobhook-test-first", AWSRegion: awstest.Region,
			Attributes: map[string]string{"ApproximateReceiveCount": "1", "MessageGroupId": b.Account},
		})
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// receiver takes webhooks.
type receiver struct {
	*httptest.Server
	lock  sync.Mutex
	taken []taken
}

type taken struct {
	path   string
	header http.Header
	body   string
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Server.Close)
	return r
}

// ServeHTTP takes one.
func (r *receiver) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.lock.Lock()
	defer r.lock.Unlock()
	r.taken = append(r.taken, taken{req.URL.Path, req.Header, string(body)})
}

func (r *receiver) all() []taken {
	r.lock.Lock()
	defer r.lock.Unlock()
	return append([]taken(nil), r.taken...)
}
