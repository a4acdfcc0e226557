package dynamo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// wire stands between a store and its server.
type wire struct {
	next aws.HTTPClient
	mu   sync.Mutex
	n    map[string]int // requests seen, by operation
	// fault may answer in place of the server, or nil. Send makes the request.
	fault func(operation string, n int, body []byte, send func([]byte) (*http.Response, error)) (*http.Response, error)
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.mu.Lock()
	if w.n == nil {
		w.n = map[string]int{}
	}
	w.n[operation]++
	n, fault := w.n[operation], w.fault
	w.mu.Unlock()
	send := func(b []byte) (*http.Response, error) {
		again := r.Clone(r.Context())
		again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		return w.next.Do(again)
	}
	if fault != nil {
		if resp, err := fault(operation, n, body, send); resp != nil || err != nil {
			return resp, err
		}
	}
	return send(body)
}

func (w *wire) set(f func(operation string, n int, body []byte, send func([]byte) (*http.Response, error)) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n, w.fault = nil, f
}

func answer(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
}

// openWired returns a store whose requests pass over the wire, and the options
// that it was opened with.
func openWired(t *testing.T, change func(*dynamo.Options)) (*dynamo.Store, *wire, dynamo.Options) {
	t.Helper()
	config := awstest.DynamoDB(t).Config()
	w := &wire{next: config.HTTPClient}
	config.HTTPClient = w
	config.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 10 * time.Millisecond })
	}
	o := dynamo.Options{
		Client: dynamodb.NewFromConfig(config), Deliveries: awstest.Name("deliveries"), Jobs: awstest.Name("jobs"),
		Sealer: prefixSealer{}, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	check(t, dynamo.CreateTables(t.Context(), o.Client, o.Deliveries, o.Jobs))
	return dynamo.New(o), w, o
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// ended is the end of a job with a delivery to one URL.
func ended(t *testing.T, id string) webhook.Planned {
	t.Helper()
	j, err := job.Decode([]byte(`{"id":"` + id + `","account":"acme","kind":"async","status":"success","run":1,"created_at":"2026-03-01T10:00:00.123Z"}`))
	check(t, err)
	at := time.Now().UTC().Truncate(time.Microsecond)
	e := webhook.Event{
		ID: webhook.EventID(j, webhook.JobFinished, "1"), Type: webhook.JobFinished, Account: "acme", Kind: j.Kind, JobID: j.ID,
		Run: 1, At: at, Level: job.LevelInfo, Sequence: "1", Record: j.Record,
	}
	target := webhook.Target{URL: "https://example.com/hook", Format: "socialdata"}
	return webhook.Planned{Event: e, Deliveries: []webhook.Delivery{{
		ID: webhook.DeliveryID(e.ID, target), Account: "acme", EventID: e.ID, EventType: e.Type, Kind: e.Kind, JobID: e.JobID,
		Run: 1, Sequence: "1", Target: target, State: webhook.StateQueued, Generation: 1,
		Deadline: at.Add(time.Hour), CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(30 * 24 * time.Hour),
	}}}
}

func put(t *testing.T, s *dynamo.Store, p webhook.Planned) webhook.Delivery {
	t.Helper()
	bells, err := s.Put(t.Context(), []webhook.Planned{p})
	check(t, err)
	same(t, "doorbells", bells, []webhook.Doorbell{p.Deliveries[0].Doorbell()})
	return p.Deliveries[0]
}

// outcome is the row after an attempt, and the attempt.
func outcome(d webhook.Delivery, state webhook.State, status int) (webhook.Delivery, *webhook.Attempt) {
	next := d
	at := time.Now().UTC().Truncate(time.Microsecond)
	next.State, next.Attempts, next.LastStatus, next.UpdatedAt = state, d.Attempts+1, status, at
	if state == webhook.StateDelivered {
		next.DeliveredAt = at
	}
	return next, &webhook.Attempt{Account: d.Account, Delivery: d.ID, Generation: d.Generation, At: at, URL: d.Target.URL,
		Result: webhook.Result{Status: status}, State: state}
}

// loseFirstAnswer applies the first request of each operation and loses its answer.
func loseFirstAnswer(operation string, n int, body []byte, send func([]byte) (*http.Response, error)) (*http.Response, error) {
	if n > 1 {
		return nil, nil
	}
	resp, err := send(body)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return nil, errors.New("connection reset by peer")
}

func TestAWriteWhoseAnswerWasLostIsNoLostRace(t *testing.T) {
	s, w, _ := openWired(t, nil)
	w.set(loseFirstAnswer)
	d := put(t, s, ended(t, "j1"))
	for _, step := range []struct {
		state  webhook.State
		status int
	}{{webhook.StateWaiting, 500}, {webhook.StateWaiting, 503}, {webhook.StateDelivered, 200}} {
		w.set(loseFirstAnswer)
		next, attempt := outcome(d, step.state, step.status)
		if err := s.Record(t.Context(), d, next, attempt); err != nil {
			t.Fatalf("record %d: %v", step.status, err)
		}
		d = next
	}
	w.set(nil)
	got, err := s.Delivery(t.Context(), d.Ref())
	check(t, err)
	same(t, "row", got, d)
	list, err := s.Attempts(t.Context(), d.Ref())
	check(t, err)
	var statuses []int
	for _, a := range list {
		statuses = append(statuses, a.Result.Status)
		if a.Late {
			t.Errorf("attempt with %d counts as late", a.Result.Status)
		}
	}
	same(t, "attempts", statuses, []int{500, 503, 200})
}

func TestAFirstSuccessWhoseAnswerWasLostIsRecordedOnce(t *testing.T) {
	s, w, _ := openWired(t, nil)
	d := put(t, s, ended(t, "j1"))
	w.set(loseFirstAnswer)
	next, attempt := outcome(d, webhook.StateDelivered, 200)
	check(t, s.Record(t.Context(), d, next, attempt))
	list, err := s.Attempts(t.Context(), d.Ref())
	check(t, err)
	same(t, "attempts", len(list), 1)
}

func TestAClaimWhoseAnswerWasLostIsHeld(t *testing.T) {
	s, w, _ := openWired(t, nil)
	d := put(t, s, ended(t, "j1"))
	next, attempt := outcome(d, webhook.StateWaiting, 500)
	check(t, s.Record(t.Context(), d, next, attempt))
	claimed := next
	claimed.LeaseUntil = next.UpdatedAt.Add(time.Minute)
	claimed.UpdatedAt = next.UpdatedAt.Add(time.Second)
	w.set(loseFirstAnswer)
	check(t, s.Record(t.Context(), next, claimed, nil))
	other := claimed
	other.LeaseUntil = claimed.LeaseUntil.Add(time.Second)
	if err := s.Record(t.Context(), next, other, nil); !errors.Is(err, webhook.ErrStale) {
		t.Errorf("a second claim: got %v, want stale", err)
	}
}

func TestAThrottledTableIsAskedAgain(t *testing.T) {
	s, w, _ := openWired(t, nil)
	d := put(t, s, ended(t, "j1"))
	throttle := func(_ string, n int, _ []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
		if n > 2 {
			return nil, nil
		}
		return answer(400, `{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}`)
	}
	w.set(throttle)
	works, err := s.Load(t.Context(), []webhook.Ref{d.Ref()})
	check(t, err)
	same(t, "delivery", works[0].Delivery, d)
	w.set(throttle)
	next, attempt := outcome(d, webhook.StateDelivered, 200)
	check(t, s.Record(t.Context(), d, next, attempt))
}

func TestATableThatNeverAnswersEndsWithTheContext(t *testing.T) {
	s, w, _ := openWired(t, nil)
	d := put(t, s, ended(t, "j1"))
	ctx, cancel := context.WithCancel(t.Context())
	w.set(func(_ string, _ int, _ []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
		cancel()
		return nil, errors.New("no route to host")
	})
	if _, err := s.Load(ctx, []webhook.Ref{d.Ref()}); err == nil {
		t.Error("loaded from a table that does not answer")
	}
	if _, err := s.Put(ctx, []webhook.Planned{ended(t, "j2")}); err == nil {
		t.Error("put into a table that does not answer")
	}
	next, attempt := outcome(d, webhook.StateDelivered, 200)
	if err := s.Record(ctx, d, next, attempt); err == nil || errors.Is(err, webhook.ErrStale) {
		t.Errorf("recorded in a table that does not answer: %v", err)
	}
}

// TestWhatATableDoesNotGetToIsAskedForAgain lets the table read one item of
// each request, and name the others as unprocessed.
func TestWhatATableDoesNotGetToIsAskedForAgain(t *testing.T) {
	s, w, o := openWired(t, nil)
	var refs []webhook.Ref
	for _, id := range []string{"j1", "j2", "j3"} {
		refs = append(refs, put(t, s, ended(t, id)).Ref())
	}
	w.set(func(operation string, _ int, body []byte, send func([]byte) (*http.Response, error)) (*http.Response, error) {
		var request struct {
			RequestItems map[string]struct {
				ConsistentRead bool
				Keys           []json.RawMessage
			}
		}
		if err := json.Unmarshal(body, &request); operation != "BatchGetItem" || err != nil || len(request.RequestItems[o.Deliveries].Keys) < 2 {
			return nil, err
		}
		part := request.RequestItems[o.Deliveries]
		rest := part
		part.Keys, rest.Keys = part.Keys[:1], part.Keys[1:]
		request.RequestItems[o.Deliveries] = part
		first, _ := json.Marshal(request)
		resp, err := send(first)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		var answered map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&answered); err != nil {
			return nil, err
		}
		answered["UnprocessedKeys"] = map[string]any{o.Deliveries: rest}
		b, _ := json.Marshal(answered)
		return answer(200, string(b))
	})
	works, err := s.Load(t.Context(), refs)
	check(t, err)
	for i, work := range works {
		same(t, "loaded", work.Delivery.Ref(), refs[i])
	}
}

// TestAnEventThatIsNotThereYetIsReadConsistently lets the cheap reads of first
// attempts find nothing, as they may for a moment.
func TestAnEventThatIsNotThereYetIsReadConsistently(t *testing.T) {
	s, w, _ := openWired(t, func(o *dynamo.Options) { o.Eventually = true })
	d := put(t, s, ended(t, "j1"))
	w.set(func(operation string, _ int, body []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
		if operation != "BatchGetItem" || bytes.Contains(body, []byte(`"ConsistentRead":true`)) {
			return nil, nil
		}
		return answer(200, `{"Responses":{},"UnprocessedKeys":{}}`)
	})
	works, err := s.Load(t.Context(), []webhook.Ref{d.Ref()})
	check(t, err)
	same(t, "delivery", works[0].Delivery, d)
}

func TestTroubleWithOneAccountsEndpointsIsNotAnothers(t *testing.T) {
	s, w, _ := openWired(t, nil)
	mine, theirs := ended(t, "j1"), ended(t, "j2")
	theirs.Event.Account, theirs.Deliveries[0].Account = "other", "other"
	refs := []webhook.Ref{put(t, s, mine).Ref(), put(t, s, theirs).Ref()}
	w.set(func(operation string, _ int, body []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
		if operation == "Query" && bytes.Contains(body, []byte(`a#other`)) {
			return answer(400, `{"__type":"com.amazonaws.dynamodb.v20120810#AccessDeniedException","message":"no"}`)
		}
		return nil, nil
	})
	works, err := s.Load(t.Context(), refs)
	check(t, err)
	if works[0].Err != nil || works[1].Err == nil {
		t.Errorf("errors: %v for the one, %v for the other", works[0].Err, works[1].Err)
	}
	same(t, "delivery of the other", works[1].Delivery.Ref(), refs[1])
}

func TestAnEndpointChangedByAnotherProcessIsSeenInSeconds(t *testing.T) {
	now := time.Now()
	s, _, o := openWired(t, func(o *dynamo.Options) { o.Now = func() time.Time { return now } })
	other := dynamo.New(o)
	e := webhook.Endpoint{ID: "ep_1", Account: "acme", URL: "https://example.com/1", Format: "standard", Status: webhook.EndpointEnabled}
	check(t, other.PutEndpoint(t.Context(), e))
	p := ended(t, "j1")
	p.Deliveries[0].Target = webhook.Target{Endpoint: "ep_1", URL: e.URL, Format: "standard"}
	p.Deliveries[0].ID = webhook.DeliveryID(p.Event.ID, p.Deliveries[0].Target)
	d := put(t, s, p)
	status := func() webhook.EndpointStatus {
		works, err := s.Load(t.Context(), []webhook.Ref{d.Ref()})
		check(t, err)
		return works[0].Endpoint.Status
	}
	same(t, "status", status(), webhook.EndpointEnabled)
	check(t, other.Disable(t.Context(), "acme", "ep_1", e.URL, "gone"))
	now = now.Add(5 * time.Second)
	same(t, "status five seconds later", status(), webhook.EndpointDisabled)
}

func TestASecondDefaultEndpointIsRefused(t *testing.T) {
	s, _, _ := openWired(t, nil)
	e := webhook.Endpoint{ID: "ep_1", Account: "acme", URL: "https://example.com/1", Default: true, Status: webhook.EndpointEnabled}
	check(t, s.PutEndpoint(t.Context(), e))
	second := e
	second.ID = "ep_2"
	if err := s.PutEndpoint(t.Context(), second); err == nil {
		t.Error("two default endpoints")
	}
	e.Default = false
	check(t, s.PutEndpoint(t.Context(), e))
	check(t, s.PutEndpoint(t.Context(), second))
	check(t, s.DeleteEndpoint(t.Context(), "acme", "ep_2"))
	e.Default = true
	check(t, s.PutEndpoint(t.Context(), e))
}

func TestANumberThatDynamoDBCannotHoldIsRefused(t *testing.T) {
	s, _, _ := openWired(t, nil)
	for _, n := range []string{"1E+126", "1e-131", "123456789012345678901234567890123456789", "1E+999999999"} {
		_, _, err := s.WriteJob(t.Context(), "j1", job.KindAsync, func(*job.Job) (job.Job, error) {
			return job.Decode([]byte(`{"id":"j1","account":"acme","kind":"async","status":"pending","a":{"n":` + n + `}}`))
		})
		var field *job.FieldError
		if !errors.As(err, &field) || field.Field != "a.n" {
			t.Errorf("%s: got %v, want an error of the field a.n", n, err)
		}
	}
	list, err := s.JobsByID(t.Context(), "j1")
	check(t, err)
	same(t, "jobs", len(list), 0)
}

// TestWhatThePlatformWritesIsRead writes items as a platform does, with types
// that the API would not write, and one that nobody understands.
func TestWhatThePlatformWritesIsRead(t *testing.T) {
	s, _, o := openWired(t, nil)
	str := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	for _, i := range []map[string]types.AttributeValue{
		{"id": str("j1"), "kind": str("async"), "account": str("acme"), "status": str("success"), "created_at": str("2026-01-01T00:00:00Z"),
			"run": &types.AttributeValueMemberN{Value: "1"}, "tags": &types.AttributeValueMemberSS{Value: []string{"a", "b"}}},
		{"id": str("j2"), "kind": str("async"), "account": str("acme"), "status": str("nonsense"), "created_at": str("2026-01-02T00:00:00Z")},
	} {
		_, err := o.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &o.Jobs, Item: i})
		check(t, err)
	}
	list, next, err := s.Jobs(t.Context(), webhook.JobFilter{Account: "acme", Limit: 10})
	check(t, err)
	if len(list) != 1 || list[0].ID != "j1" || next != "" {
		t.Errorf("got %d jobs and cursor %q, want j1 alone", len(list), next)
	}
}

func TestAJobChangedDirectlyMeanwhileIsReadAgain(t *testing.T) {
	s, _, o := openWired(t, nil)
	write := func(f func(old *job.Job) (job.Job, error)) {
		t.Helper()
		_, _, err := s.WriteJob(t.Context(), "j1", job.KindAsync, f)
		check(t, err)
	}
	record := func(status string) (job.Job, error) {
		return job.Decode([]byte(`{"id":"j1","account":"acme","kind":"async","run":1,"status":"` + status + `"}`))
	}
	write(func(*job.Job) (job.Job, error) { return record("pending") })
	var seen []job.Status
	write(func(old *job.Job) (job.Job, error) {
		seen = append(seen, old.Status)
		if len(seen) == 1 {
			_, err := o.Client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName:        &o.Jobs,
				Key:              map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "j1"}, "kind": &types.AttributeValueMemberS{Value: "async"}},
				UpdateExpression: aws.String("SET #s = :s"), ExpressionAttributeNames: map[string]string{"#s": "status"},
				ExpressionAttributeValues: map[string]types.AttributeValue{":s": &types.AttributeValueMemberS{Value: "processing"}},
			})
			check(t, err)
		}
		return record("success")
	})
	same(t, "statuses that the writer saw", seen, []job.Status{"pending", "processing"})
}

func TestAnAttributeThatThePlatformWritesMeanwhileStays(t *testing.T) {
	s, _, o := openWired(t, nil)
	const base = `{"id":"j1","account":"acme","kind":"batch","run":1,"status":"idle","searches_completed":1`
	write := func(record string, meanwhile func()) {
		t.Helper()
		_, _, err := s.WriteJob(t.Context(), "j1", job.KindBatch, func(*job.Job) (job.Job, error) {
			meanwhile()
			return job.Decode([]byte(record))
		})
		check(t, err)
	}
	write(base+`,"notes":"x"}`, func() {})
	write(base+`,"result_set":{"id":1,"token":"t"}}`, func() {
		_, err := o.Client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName:        &o.Jobs,
			Key:              map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "j1"}, "kind": &types.AttributeValueMemberS{Value: "batch"}},
			UpdateExpression: aws.String("SET searches_completed = :n"), ExpressionAttributeValues: map[string]types.AttributeValue{":n": &types.AttributeValueMemberN{Value: "2"}},
		})
		check(t, err)
	})
	list, err := s.JobsByID(t.Context(), "j1")
	check(t, err)
	same(t, "jobs", len(list), 1)
	b, err := list[0].Batch()
	check(t, err)
	same(t, "searches", b.SearchesCompleted, 2)
	if b.ResultSet == nil || b.ResultSet.Token != "t" || strings.Contains(string(list[0].Record), "notes") {
		t.Errorf("record %s, want the result set, and no notes", list[0].Record)
	}
}

func TestAJobThatChangesMuchIsWrittenWhole(t *testing.T) {
	s, _, _ := openWired(t, nil)
	for _, prefix := range []string{"a", "b"} {
		record := `{"id":"j1","account":"acme","kind":"async","run":1,"status":"pending"`
		for i := range 200 {
			record += fmt.Sprintf(`,"%s%d":%d`, prefix, i, i)
		}
		_, _, err := s.WriteJob(t.Context(), "j1", job.KindAsync, func(*job.Job) (job.Job, error) { return job.Decode([]byte(record + "}")) })
		check(t, err)
	}
	list, err := s.JobsByID(t.Context(), "j1")
	check(t, err)
	if record := string(list[0].Record); !strings.Contains(record, `"b199":199`) || strings.Contains(record, `"a0"`) {
		t.Errorf("record %.200s", record)
	}
}

func TestWhereThePlatformKeepsItsJobsThereAreNone(t *testing.T) {
	s, _, _ := openWired(t, func(o *dynamo.Options) { o.Jobs = "" })
	if _, _, err := s.WriteJob(t.Context(), "j1", job.KindAsync, func(*job.Job) (job.Job, error) { return job.Job{}, nil }); !errors.Is(err, dynamo.ErrNoJobs) {
		t.Errorf("write: got %v, want ErrNoJobs", err)
	}
	list, err := s.JobsByID(t.Context(), "j1")
	check(t, err)
	same(t, "jobs", len(list), 0)
	n, err := s.Shelve(t.Context(), time.Now(), 10)
	check(t, err)
	same(t, "shelved", n, 0)
}

// TestWhatDynamoDBRemovesFirstBringsNothingBack lets TTL take the row of a
// delivered webhook before its event, or the event before the row.
func TestWhatDynamoDBRemovesFirstBringsNothingBack(t *testing.T) {
	now := time.Now()
	s, _, o := openWired(t, func(o *dynamo.Options) { o.Now = func() time.Time { return now } })
	for _, id := range []string{"row first", "event first"} {
		d := put(t, s, ended(t, strings.ReplaceAll(id, " ", "-")))
		next, attempt := outcome(d, webhook.StateDelivered, 200)
		check(t, s.Record(t.Context(), d, next, attempt))
	}
	all, err := o.Client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &o.Deliveries})
	check(t, err)
	if len(all.Items) != 4 {
		t.Fatalf("%d items, want two events and two rows", len(all.Items))
	}
	var last int64
	for _, i := range all.Items {
		n, err := strconv.ParseInt(i["ttl"].(*types.AttributeValueMemberN).Value, 10, 64)
		check(t, err)
		last = max(last, n)
	}
	for _, i := range all.Items {
		isRow := len(i["sk"].(*types.AttributeValueMemberS).Value) > 26
		wantRow := strings.HasPrefix(i["job"].(*types.AttributeValueMemberS).Value, "row")
		if isRow == wantRow {
			_, err := o.Client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &o.Deliveries,
				Key: map[string]types.AttributeValue{"pk": i["pk"], "sk": i["sk"]}})
			check(t, err)
		}
	}
	now = time.Unix(last, 0)
	list, next, err := s.Deliveries(t.Context(), webhook.Filter{Account: "acme", Limit: 10})
	check(t, err)
	same(t, "deliveries", list, nil)
	same(t, "cursor", next, "")
}

// TestFirstOutcomesOfABatchShareARequest records many at once. One that has a
// row already is stale, and the others are recorded once, also when the answer
// to their request is lost.
func TestFirstOutcomesOfABatchShareARequest(t *testing.T) {
	for name, fault := range map[string]func(string, int, []byte, func([]byte) (*http.Response, error)) (*http.Response, error){
		"no fault": nil, "a lost answer": loseFirstAnswer,
	} {
		t.Run(name, func(t *testing.T) {
			const taken = 7
			s, w, o := openWired(t, nil)
			dynamo.Gather(s, 200*time.Millisecond)
			works := loadNew(t, s, 30)
			early, attempt := outcome(works[taken].Delivery, webhook.StateDelivered, 201)
			check(t, dynamo.New(o).Record(t.Context(), works[taken].Delivery, early, attempt))
			w.set(fault)
			errs := recordAll(t, s, works)
			if n := w.count("BatchExecuteStatement"); n == 0 {
				t.Error("nobody shared a request")
			}
			for i, err := range errs {
				if (i == taken) != errors.Is(err, webhook.ErrStale) || i != taken && err != nil {
					t.Errorf("record %d: %v", i, err)
				}
				list, err := s.Attempts(t.Context(), works[i].Delivery.Ref())
				check(t, err)
				if i != taken && len(list) != 1 {
					t.Errorf("delivery %d has %d attempts, want 1", i, len(list))
				}
			}
		})
	}
}

// TestTheLastOutcomeOfABatchDoesNotWait: nobody comes after it. Only for one that
// was put off it waits, its time.
func TestTheLastOutcomeOfABatchDoesNotWait(t *testing.T) {
	for _, tt := range []struct {
		name                     string
		loaded, recorded, groups int
		wait                     time.Duration
	}{
		{"one", 1, 1, 0, time.Hour},
		{"ten", 10, 10, 1, time.Hour},
		{"more than a group", 27, 27, 2, time.Hour},
		{"one put off", 10, 9, 1, 200 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, w, _ := openWired(t, nil)
			dynamo.Gather(s, tt.wait)
			for i, err := range recordAll(t, s, loadNew(t, s, tt.loaded)[:tt.recorded]) {
				if err != nil {
					t.Errorf("record %d: %v", i, err)
				}
			}
			if got := w.count("BatchExecuteStatement"); got != tt.groups {
				t.Errorf("%d requests for groups, want %d", got, tt.groups)
			}
		})
	}
}

// TestOutcomesThatAreTriedAgainShareARequest: none could be written at first.
func TestOutcomesThatAreTriedAgainShareARequest(t *testing.T) {
	s, w, _ := openWired(t, nil)
	dynamo.Gather(s, time.Hour)
	works := loadNew(t, s, 5)
	w.set(func(string, int, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) {
		return answer(http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#AccessDeniedException"}`)
	})
	for i, err := range recordAll(t, s, works) {
		if err == nil {
			t.Errorf("record %d: no error, want that of the store", i)
		}
	}
	w.set(nil)
	for i, err := range recordAll(t, s, works) {
		if err != nil {
			t.Errorf("record %d, once more: %v", i, err)
		}
	}
	if got := w.count("BatchExecuteStatement"); got != 1 {
		t.Errorf("%d requests for groups, want one for all five", got)
	}
}

// loadNew reads so many deliveries to which nothing was done yet.
func loadNew(t *testing.T, s *dynamo.Store, n int) []webhook.Work {
	t.Helper()
	var refs []webhook.Ref
	for i := range n {
		refs = append(refs, put(t, s, ended(t, "j"+strconv.Itoa(i))).Ref())
	}
	works, err := s.Load(t.Context(), refs)
	check(t, err)
	return works
}

// recordAll records a success of each, all at once.
func recordAll(t *testing.T, s *dynamo.Store, works []webhook.Work) []error {
	errs := make([]error, len(works))
	var wait sync.WaitGroup
	for i, w := range works {
		wait.Go(func() {
			next, attempt := outcome(w.Delivery, webhook.StateDelivered, 200)
			errs[i] = s.Record(t.Context(), w.Delivery, next, attempt)
		})
	}
	wait.Wait()
	return errs
}

func (w *wire) count(operation string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n[operation]
}

// TestANewEndpointIsNoDeletedOne lets another process make an endpoint just
// after this one has read the account's.
func TestANewEndpointIsNoDeletedOne(t *testing.T) {
	s, _, o := openWired(t, func(o *dynamo.Options) { o.Eventually = true })
	other := dynamo.New(o)
	refOf := func(id, endpoint string) webhook.Ref {
		t.Helper()
		e := webhook.Endpoint{ID: endpoint, Account: "acme", URL: "https://example.com/" + endpoint, Status: webhook.EndpointEnabled}
		check(t, other.PutEndpoint(t.Context(), e))
		p := ended(t, id)
		p.Deliveries[0].Target = webhook.Target{Endpoint: endpoint, URL: e.URL, Format: "standard"}
		p.Deliveries[0].ID = webhook.DeliveryID(p.Event.ID, p.Deliveries[0].Target)
		return put(t, s, p).Ref()
	}
	for i, endpoint := range []string{"ep_1", "ep_2"} {
		works, err := s.Load(t.Context(), []webhook.Ref{refOf("j"+strconv.Itoa(i), endpoint)})
		check(t, err)
		if !works[0].HasEndpoint {
			t.Errorf("%s counts as deleted", endpoint)
		}
	}
}

// TestAPageOfLargeJobsThatAFilterThinsOutEndsInTime has more bytes than a page
// takes, and the last of them at the end of what the index hands out at once.
func TestAPageOfLargeJobsThatAFilterThinsOutEndsInTime(t *testing.T) {
	s, _, _ := openWired(t, nil)
	const n = 40
	for i := range n {
		status := []string{"success", "pending"}[i%2]
		j, err := job.Decode([]byte(`{"id":"j` + strconv.Itoa(100+i) + `","account":"acme","kind":"async","status":"` + status +
			`","created_at":"2026-01-01T00:00:00.` + strconv.Itoa(100+i) + `Z","message":"` + strings.Repeat("x", 250_000) + `"}`))
		check(t, err)
		_, _, err = s.WriteJob(t.Context(), j.ID, j.Kind, func(*job.Job) (job.Job, error) { return j, nil })
		check(t, err)
	}
	for limit := 15; limit <= 20; limit++ {
		f, seen := webhook.JobFilter{Account: "acme", Status: "success", Limit: limit}, 0
		for range n {
			jobs, next, err := s.Jobs(t.Context(), f)
			check(t, err)
			seen += len(jobs)
			if f.After = next; next == "" {
				break
			}
		}
		if seen != n/2 {
			t.Errorf("pages of %d: %d jobs in all, want %d", limit, seen, n/2)
		}
	}
}
