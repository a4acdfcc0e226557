package smoke

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/errgroup"

	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/lambdatest"
)

func TestMain(m *testing.M) { os.Exit(awstest.Main(m)) }

// site is a stage that was deployed here and runs.
type site struct {
	*deployment
	database  awstest.Server
	functions functions
	front     *frontDoor
	feeds     *feeds
	receiver  *receiver
	example   example
	account   string // of the example
	secret    string // of its endpoint
	lost      string // the job whose change the stream gives up
}

func TestAJobWrittenToTheDeployedStackLeadsToAWebhook(t *testing.T) {
	s := newSite(t)
	s.settle(t)
	job := s.writeExample(t)
	s.feeds.eventually(t, "the refused webhook is delivered", func() bool { return s.state(t, job) == "delivered" })
	s.checkRetried(t, job)

	second := s.write(t, "smoke-second")
	s.feeds.eventually(t, "the second job's webhook is delivered", func() bool { return s.state(t, second) == "delivered" })
	s.resend(t, second)

	s.export(t)

	lost := s.example.of(s.lost)
	s.put(t, lost)
	s.replay(t)
	s.update(t, lost)
	s.replay(t)
	s.feeds.eventually(t, "the batch is dispatched after all", func() bool { return s.state(t, s.lost) == "delivered" })
	s.checkArrivals(t, s.lost)
	s.disable(t)
	s.checkQueues(t)
	if err := s.feeds.stop(); err != nil {
		t.Error(err)
	}
	s.functions.stop(t)
	s.checkLogs(t)
}

// newSite synthesises, deploys and starts a stage.
func newSite(t *testing.T) *site {
	t.Helper()
	needNode(t)
	s := &site{lost: "smoke-lost", example: readExample(t)}
	folder := t.TempDir()
	var synthesised assembly
	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() (err error) {
		synthesised, err = synthesise(ctx, folder)
		return err
	})
	t.Cleanup(func() { _ = group.Wait() }) // a test that is skipped still waits for it
	moto := awstest.Moto(t)
	s.database = awstest.DynamoDB(t)
	for _, name := range append(shipped(), "key") {
		lambdatest.Build(t, name)
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	checkStacks(t, synthesised)
	var err error
	if s.deployment, err = deploy(t.Context(), moto, synthesised); err != nil {
		t.Fatal(err)
	}
	createTables(t, s.deployment, s.jobs())
	s.functions = startFunctions(t, s.deployment, s.database)
	s.front = newFrontDoor(t, s.deployment, s.functions)
	s.front.key = operatorKey(t, s.deployment, s.database)
	s.receiver = newReceiver(t)
	s.poll(t)
	return s
}

// poll feeds the functions as their mappings say.
func (s *site) poll(t *testing.T) {
	t.Helper()
	s.feeds = newFeeds(t)
	for _, m := range carriedOf[mapping](t, s.deployment, mappingType) {
		f := s.functions.called(t, m.FunctionName)
		if !slices.Contains(m.FunctionResponseTypes, "ReportBatchItemFailures") {
			t.Fatalf("what %s says of failed items is lost: %+v", f.name, m)
		}
		switch service := strings.Split(m.EventSourceArn, ":")[2]; service {
		case "dynamodb":
			feed := newStreamFeed(t, m, f.Invoke, s.database, s.moto.S3())
			feed.tooOld = func(r events.DynamoDBEventRecord) bool { return r.Change.Keys["id"].String() == s.lost }
			s.feeds.add(feed.run)
		case "sqs":
			s.feeds.add(newQueueFeed(t, m, f.Invoke, s.moto).run)
		default:
			t.Fatalf("a mapping reads from %s", m.EventSourceArn)
		}
	}
}

func (s *site) jobs() *dynamodb.Client { return dynamodb.NewFromConfig(s.database.Config()) }

// settle makes the account of the example and its endpoint.
func (s *site) settle(t *testing.T) {
	t.Helper()
	s.account = s.example.put["account"].(*types.AttributeValueMemberS).Value
	s.front.call(t, http.MethodPut, "/v1/accounts/"+s.account, map[string]string{"name": "Smoke"}, http.StatusOK, nil)
	var endpoint struct{ ID, Format, Secret string }
	s.front.call(t, http.MethodPost, "/v1/endpoints?account="+s.account, map[string]string{"url": s.receiver.URL + hookPath}, http.StatusCreated, &endpoint)
	if endpoint.Format != "standard" || endpoint.Secret == "" {
		t.Fatalf("endpoint %s has format %q, and a secret: %t", endpoint.ID, endpoint.Format, endpoint.Secret != "")
	}
	s.secret = endpoint.Secret
	var again map[string]any
	s.front.call(t, http.MethodGet, "/v1/endpoints/"+endpoint.ID+"?account="+s.account, nil, http.StatusOK, &again)
	if again["secret"] != nil {
		t.Error("the secret is shown a second time")
	}
}

// writeExample does what the README's example does, and returns its job.
func (s *site) writeExample(t *testing.T) string {
	t.Helper()
	return s.putAndUpdate(t, s.example)
}

// write does the same with another job.
func (s *site) write(t *testing.T, id string) string {
	t.Helper()
	return s.putAndUpdate(t, s.example.of(id))
}

func (s *site) putAndUpdate(t *testing.T, e example) string {
	t.Helper()
	s.put(t, e)
	s.update(t, e)
	return e.put["id"].(*types.AttributeValueMemberS).Value
}

// put writes the job, which begins.
func (s *site) put(t *testing.T, e example) {
	t.Helper()
	if _, err := s.jobs().PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(s.output(t, "JobsTable")), Item: e.put}); err != nil {
		t.Fatalf("put item: %v", err)
	}
}

// update writes what ends the job.
func (s *site) update(t *testing.T, e example) {
	t.Helper()
	e.update.TableName = aws.String(s.output(t, "JobsTable"))
	if _, err := s.jobs().UpdateItem(t.Context(), &e.update); err != nil {
		t.Fatalf("update item: %v", err)
	}
}

// delivery is one as the API shows it.
type delivery struct {
	ID, State, Reason string
	Generation        int
	Attempts          []struct{ Status, Generation int }
}

// deliveries are those of a job.
func (s *site) deliveries(t *testing.T, job string) []delivery {
	t.Helper()
	var page struct{ Items []delivery }
	s.front.call(t, http.MethodGet, fmt.Sprintf("/v1/deliveries?account=%s&job=%s", s.account, job), nil, http.StatusOK, &page)
	return page.Items
}

// state is that of a job's only delivery, "" when there is none yet.
func (s *site) state(t *testing.T, job string) string {
	t.Helper()
	list := s.deliveries(t, job)
	if len(list) > 1 {
		t.Fatalf("job %s has deliveries %+v, want one", job, list)
	}
	if len(list) == 0 {
		return ""
	}
	return list[0].State
}

// read returns a job's only delivery with its attempts.
func (s *site) read(t *testing.T, job string) (d delivery) {
	t.Helper()
	s.front.call(t, http.MethodGet, "/v1/deliveries/"+s.deliveries(t, job)[0].ID+"?account="+s.account, nil, http.StatusOK, &d)
	return d
}

// checkRetried looks at the job whose first webhook was refused.
func (s *site) checkRetried(t *testing.T, job string) {
	t.Helper()
	d := s.read(t, job)
	if len(d.Attempts) != 2 || d.Attempts[0].Status != http.StatusInternalServerError || d.Attempts[1].Status != http.StatusNoContent {
		t.Errorf("attempts %+v, want one refused and one accepted", d.Attempts)
	}
	got := s.receiver.of(job)
	if len(got) != 2 {
		t.Fatalf("%d webhooks came, want 2", len(got))
	}
	for _, a := range got {
		a.verify(t, s.secret)
	}
	if got[0].id() != got[1].id() || got[0].id() == "" {
		t.Errorf("webhook ids %q and %q, want one", got[0].id(), got[1].id())
	}
	if body := got[1].told(); body.Type != "job.finished" || body.Data.Status != "success" ||
		body.Data.Links.Job != s.output(t, "ApiUrl")+"/v1/jobs/"+job {
		t.Errorf("body %s, want that the job finished and a link to it", got[1].body)
	}
}

// resend sends a delivery once more, by the API.
func (s *site) resend(t *testing.T, job string) {
	t.Helper()
	before := s.receiver.of(job)
	if len(before) != 1 {
		t.Fatalf("%d webhooks came, want 1", len(before))
	}
	s.feeds.eventually(t, "another second begins", func() bool { return time.Now().Unix() > before[0].at.Unix() })
	d := s.read(t, job)
	s.front.call(t, http.MethodPost, "/v1/deliveries/"+d.ID+":resend?account="+s.account, nil, http.StatusAccepted, nil)
	s.feeds.eventually(t, "the webhook comes again", func() bool { return len(s.receiver.of(job)) == 2 })
	s.feeds.eventually(t, "the resend is recorded", func() bool {
		d = s.read(t, job)
		return d.State == "delivered" && d.Generation == 2 && len(d.Attempts) == 2
	})
	after := s.receiver.of(job)
	for _, a := range after {
		a.verify(t, s.secret)
	}
	if after[0].id() != after[1].id() || after[0].signature() == after[1].signature() {
		t.Errorf("webhook ids %s and %s, want one; signatures %s and %s, want two", after[0].id(), after[1].id(), after[0].signature(), after[1].signature())
	}
}

// replay waits until the stream has given up a batch, and sweeps.
func (s *site) replay(t *testing.T) {
	t.Helper()
	s.feeds.eventually(t, "the stream gives up a batch", func() bool { return len(s.failures(t)) == 1 })
	tick(t, s.deployment, s.functions)
	if left := s.failures(t); len(left) != 0 {
		t.Errorf("%q is still in the failures bucket after its replay", left)
	}
}

// failures are the keys in the bucket of batches that were given up.
func (s *site) failures(t *testing.T) (keys []string) {
	t.Helper()
	got, err := s.moto.S3().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(s.output(t, "FailuresBucket"))})
	if err != nil {
		t.Fatalf("list the failures bucket: %v", err)
	}
	for _, o := range got.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

// disable lets the receiver say that it is gone, and reads what the topic of
// notices tells of that.
func (s *site) disable(t *testing.T) {
	t.Helper()
	heard := awstest.Subscribe(t, s.moto, s.output(t, "NoticesTopic"), `{"type":["endpoint.disabled"]}`)
	const job = "smoke-gone"
	s.receiver.goneTo(job)
	s.write(t, job)
	s.feeds.eventually(t, "the receiver is taken at its word", func() bool { return s.state(t, job) == "dead" })
	client := sqs.NewFromConfig(s.moto.Config())
	s.feeds.eventually(t, "the notice is published", func() bool {
		tick(t, s.deployment, s.functions)
		return left(t, client, heard) == 1
	})
}

// checkArrivals looks at the last job, and that nothing else came.
func (s *site) checkArrivals(t *testing.T, last string) {
	t.Helper()
	got := s.receiver.of(last)
	if len(got) != 1 {
		t.Fatalf("%d webhooks came of job %s, want 1", len(got), last)
	}
	got[0].verify(t, s.secret)
	if all := s.receiver.count(); all != 7 {
		t.Errorf("%d webhooks came in all, want 7", all)
	}
}

// checkQueues waits until all messages are done with; none may have become a
// dead letter.
func (s *site) checkQueues(t *testing.T) {
	t.Helper()
	client := sqs.NewFromConfig(s.moto.Config())
	for _, name := range []string{"FirstQueueUrl", "RetryQueueUrl", "ExportQueueUrl", "FirstDeadLettersUrl", "RetryDeadLettersUrl", "ExportDeadLettersUrl"} {
		url := s.output(t, name)
		s.feeds.eventually(t, name+" is empty", func() bool { return left(t, client, url) == 0 })
	}
	var told struct {
		Items []struct {
			Name                           string
			Visible, Hidden, Delayed, Dead int
		}
	}
	s.front.call(t, http.MethodGet, "/v1/queues", nil, http.StatusOK, &told)
	var names []string
	for _, q := range told.Items {
		names = append(names, q.Name)
		if q.Visible+q.Hidden+q.Delayed+q.Dead != 0 {
			t.Errorf("the API tells of messages: %+v", q)
		}
	}
	if !slices.Equal(names, []string{"first", "retry", "export"}) {
		t.Errorf("the API tells of queues %q", names)
	}
}

// checkLogs reads what all functions have printed. The webhooks: a refused and
// four accepted first attempts, two of them of the job with records, and one that
// the receiver was gone for; a retry and a resend.
func (s *site) checkLogs(t *testing.T) {
	t.Helper()
	key := strings.Split(s.front.key, "_")
	printed := listen(t, s.functions, map[string]string{
		"the endpoint's secret": strings.TrimPrefix(s.secret, "whsec_"), "the path of its URL": hookPath, "the operator's key": key[len(key)-1],
	})
	printed.want(t, map[string]float64{
		"deliver-first Retried": 1, "deliver-first Delivered": 4, "deliver-first Failed": 1, "deliver-first FirstAttemptLag values": 6, "deliver-first MessagesFailed": 0,
		"deliver-retry Delivered": 2, "deliver-retry MessagesFailed": 0, "dispatch Records": 10, "dispatch RecordsFailed": 0,
		"export Exported": 1, "export ExportedRecords": 2, "export ExportsFailed": 0, "export MessagesFailed": 0,
		"sweep Replayed": 2, "sweep ReplaysFailed": 0,
	})
}
