package dynamo_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// throttleTwice refuses the first two requests of each operation.
func throttleTwice(_ string, n int, _ []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
	if n > 2 {
		return nil, nil
	}
	return answer(400, `{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}`)
}

// inTrouble runs a promise once with throttled requests and once with lost answers.
func inTrouble(t *testing.T, holds func(t *testing.T, s *dynamo.Store, again func())) {
	for name, fault := range map[string]func(string, int, []byte, func([]byte) (*http.Response, error)) (*http.Response, error){
		"throttled": throttleTwice, "lost answers": loseFirstAnswer,
	} {
		t.Run(name, func(t *testing.T) {
			s, w, _ := openWired(t, nil)
			holds(t, s, func() { w.set(fault) })
		})
	}
}

func moment() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func request() webhook.Once {
	at := moment()
	return webhook.Once{ID: "0123abcd", Fingerprint: "print", Account: "acme", StartedAt: at, ExpiresAt: at.Add(time.Hour)}
}

func TestARequestInTroubleIsBegunOnce(t *testing.T) {
	inTrouble(t, func(t *testing.T, s *dynamo.Store, again func()) {
		o := request()
		again()
		kept, begun, err := s.BeginOnce(t.Context(), o)
		check(t, err)
		same(t, "begun", begun, true)
		same(t, "kept", kept, o)
		again()
		kept, begun, err = s.BeginOnce(t.Context(), o) // another at the same moment
		check(t, err)
		same(t, "begun twice", begun, false)
		same(t, "kept", kept, o)
		o.Status, o.Header, o.Body = 201, map[string]string{"Location": "/v1/endpoints/ep_1"}, []byte(`{"secret":"whsec_x"}`)
		again()
		check(t, s.EndOnce(t.Context(), o))
		kept, begun, err = s.BeginOnce(t.Context(), request())
		check(t, err)
		same(t, "begun when it had ended", begun, false)
		same(t, "answer", kept, o)
		other := request()
		other.ID = "4567ef"
		_, _, err = s.BeginOnce(t.Context(), other)
		check(t, err)
		again()
		check(t, s.ForgetOnce(t.Context(), other))
		_, begun, err = s.BeginOnce(t.Context(), other)
		check(t, err)
		same(t, "begun when it was forgotten", begun, true)
	})
}

func TestARequestThatTookTooLongDoesNotEndItsSuccessor(t *testing.T) {
	s, _, _ := openWired(t, nil)
	slow := request()
	slow.StartedAt, slow.ExpiresAt = slow.StartedAt.Add(-2*time.Hour), slow.ExpiresAt.Add(-2*time.Hour)
	for _, o := range []webhook.Once{slow, request()} {
		_, begun, err := s.BeginOnce(t.Context(), o)
		check(t, err)
		same(t, "begun", begun, true)
	}
	slow.Status = 200
	check(t, s.EndOnce(t.Context(), slow))
	kept, _, err := s.BeginOnce(t.Context(), request())
	check(t, err)
	same(t, "status", kept.Status, 0)
}

func TestAnswersAreKeptSealed(t *testing.T) {
	s, _, o := openWired(t, nil)
	for _, account := range []string{"acme", ""} {
		r := request()
		r.ID, r.Account = "of "+account, account
		_, _, err := s.BeginOnce(t.Context(), r)
		check(t, err)
		r.Status, r.Body = 200, []byte("a secret")
		check(t, s.EndOnce(t.Context(), r))
		all, err := o.Client.Query(t.Context(), &dynamodb.QueryInput{
			TableName: &o.Deliveries, KeyConditionExpression: new("pk = :pk"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: "once#" + r.ID}},
		})
		check(t, err)
		body := all.Items[0]["body"].(*types.AttributeValueMemberB).Value
		same(t, "what is stored", string(body), account+"|a secret")
		kept, _, err := s.BeginOnce(t.Context(), r)
		check(t, err)
		same(t, "answer", string(kept.Body), "a secret")
	}
}

func TestAnAnswerTooLargeToKeepIsAnError(t *testing.T) {
	s, _, _ := openWired(t, nil)
	o := request()
	_, _, err := s.BeginOnce(t.Context(), o)
	check(t, err)
	o.Status, o.Body = 200, bytes.Repeat([]byte("x"), 400<<10)
	if err := s.EndOnce(t.Context(), o); err == nil {
		t.Error("it was kept")
	}
	o.Body = o.Body[:256<<10]
	check(t, s.EndOnce(t.Context(), o))
}

func TestAPortalLinkInTroubleIsSpentOnce(t *testing.T) {
	inTrouble(t, func(t *testing.T, s *dynamo.Store, again func()) {
		at, hash := moment(), sha256.Sum256([]byte("secret"))
		link := webhook.PortalLink{ID: "pl_1", Account: "acme", Hash: hash[:], CreatedAt: at, ExpiresAt: at.Add(time.Minute)}
		again()
		check(t, s.PutPortalLink(t.Context(), link))
		again()
		used, err := s.UsePortalLink(t.Context(), link.ID, hash[:], at)
		check(t, err)
		link.UsedAt = at
		same(t, "link", used, link)
		if _, err := s.UsePortalLink(t.Context(), link.ID, hash[:], at); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("a second time: %v", err)
		}
	})
}

func exporting(run int) webhook.ResultSet {
	at := moment()
	return webhook.ResultSet{
		Account: "acme", Kind: job.KindBatch, JobID: "b1", Run: run, State: webhook.ResultSetExporting,
		Token:     webhook.NewResultSetToken("acme", job.KindBatch, "b1", run),
		CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(14 * 24 * time.Hour),
	}
}

func TestADownloadInTroubleIsCountedOnce(t *testing.T) {
	inTrouble(t, func(t *testing.T, s *dynamo.Store, again func()) {
		set := exporting(1)
		again()
		kept, err := s.BeginResultSet(t.Context(), set)
		check(t, err)
		same(t, "kept", kept, set)
		again()
		d := webhook.Download{At: moment(), File: "page_1.json", Method: "GET"}
		check(t, s.AddDownload(t.Context(), set.Token, d))
		check(t, s.AddDownload(t.Context(), set.Token, d)) // by who does not know that it was
		set.Downloads, set.LastDownloadAt = 1, d.At
		kept, err = s.ResultSet(t.Context(), set.Token)
		check(t, err)
		same(t, "set", kept, set)
		list, err := s.Downloads(t.Context(), set.Token, 10)
		check(t, err)
		same(t, "downloads", list, []webhook.Download{d})
	})
}

func TestDownloadsAtOnceAreAllCounted(t *testing.T) {
	const n = 20
	s, _, _ := openWired(t, nil)
	set := exporting(1)
	_, err := s.BeginResultSet(t.Context(), set)
	check(t, err)
	at := moment()
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			d := webhook.Download{At: at.Add(time.Duration(i) * time.Microsecond), File: "page_1.json", Method: "GET"}
			if err := s.AddDownload(t.Context(), set.Token, d); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	kept, err := s.ResultSet(t.Context(), set.Token)
	check(t, err)
	same(t, "downloads", kept.Downloads, n)
}

func TestAListOfResultSetsReadsNoDownloads(t *testing.T) {
	s, w, _ := openWired(t, nil)
	var want []webhook.ResultSet
	for _, run := range []int{2, 10, 9} {
		set := exporting(run)
		_, err := s.BeginResultSet(t.Context(), set)
		check(t, err)
		for i := range 20 {
			d := webhook.Download{At: moment().Add(time.Duration(i) * time.Second), File: strings.Repeat("f", 10_000), Method: "GET"}
			check(t, s.AddDownload(t.Context(), set.Token, d))
			set.Downloads, set.LastDownloadAt = i+1, d.At
		}
		want = append(want, set)
	}
	w.set(func(operation string, _ int, body []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
		if operation == "Query" && !bytes.Contains(body, []byte(`"set#"`)) {
			t.Errorf("it asks for %s", body)
		}
		return nil, nil
	})
	list, err := s.ResultSets(t.Context(), "acme", job.KindBatch, "b1")
	check(t, err)
	same(t, "sets", list, []webhook.ResultSet{want[1], want[2], want[0]})
}

func TestAResendInTroubleIsAdvancedOnce(t *testing.T) {
	inTrouble(t, func(t *testing.T, s *dynamo.Store, again func()) {
		at := moment()
		first := webhook.Resend{
			ID: "rsd_1", Account: "acme", State: webhook.ResendRunning, Rate: 50, Version: 1, CreatedAt: at, UpdatedAt: at,
			Filter: webhook.Filter{State: webhook.StateDead, Type: webhook.JobFailed, StatusClass: webhook.Class5xx, Since: at.Add(-time.Hour), Until: at,
				Endpoint: "ep_1", JobID: "j1", EventID: "evt_1"},
		}
		again()
		check(t, s.PutResend(t.Context(), first))
		next := first
		next.Version, next.Looked, next.Resent, next.Skipped, next.Cursor, next.UpdatedAt = 2, 10, 8, 2, "dlv_1", at.Add(time.Second)
		again()
		check(t, s.UpdateResend(t.Context(), first, next))
		other := next
		other.Looked = 11
		if err := s.UpdateResend(t.Context(), first, other); !errors.Is(err, webhook.ErrStale) {
			t.Errorf("somebody else's: got %v, want stale", err)
		}
		again()
		running, err := s.RunningResends(t.Context(), 10)
		check(t, err)
		same(t, "running", running, []webhook.Resend{next})
		done := next
		done.Version, done.State, done.EndedAt = 3, webhook.ResendDone, at.Add(time.Minute)
		again()
		check(t, s.UpdateResend(t.Context(), next, done))
		other = done
		other.State = webhook.ResendCancelled
		if err := s.UpdateResend(t.Context(), next, other); !errors.Is(err, webhook.ErrStale) {
			t.Errorf("somebody else's end: got %v, want stale", err)
		}
		kept, err := s.Resend(t.Context(), "acme", "rsd_1")
		check(t, err)
		same(t, "at its end", kept, done)
		running, err = s.RunningResends(t.Context(), 10)
		check(t, err)
		same(t, "running", len(running), 0)
	})
}

func TestQuotasSetByAnotherProcessAreSeenInAMinute(t *testing.T) {
	now := time.Now()
	s, w, o := openWired(t, func(o *dynamo.Options) { o.Now = func() time.Time { return now } })
	other := dynamo.New(o)
	quotas := func() webhook.Quotas {
		t.Helper()
		q, err := s.Quotas(t.Context(), "acme")
		check(t, err)
		return q
	}
	w.set(nil)
	same(t, "quotas of nobody", quotas(), webhook.Quotas{})
	want := webhook.Quotas{Endpoints: 3, RequestRate: 5, EventsPerMinute: 60, RetentionDays: 7, Retries: new(0)}
	check(t, other.PutAccount(t.Context(), webhook.Account{ID: "acme", Quotas: want}))
	now = now.Add(59 * time.Second)
	same(t, "quotas within the minute", quotas(), webhook.Quotas{})
	same(t, "reads", w.count("GetItem"), 1)
	now = now.Add(time.Second)
	same(t, "quotas a minute later", quotas(), want)
	same(t, "quotas again", quotas(), want)
	same(t, "reads", w.count("GetItem"), 2)
	check(t, s.PutAccount(t.Context(), webhook.Account{ID: "acme"}))
	same(t, "quotas that were taken away here", quotas(), webhook.Quotas{})
}

// TestAnOldSecretStopsSigningInTime lets its time pass while the endpoint is
// not read again.
func TestAnOldSecretStopsSigningInTime(t *testing.T) {
	now := moment()
	s, w, _ := openWired(t, func(o *dynamo.Options) { o.Now = func() time.Time { return now } })
	e := webhook.Endpoint{
		ID: "ep_1", Account: "acme", URL: "https://example.com/1", Format: "standard", Status: webhook.EndpointEnabled,
		Secrets: []webhook.Secret{"whsec_bmV3", "whsec_b2xk"}, OldUntil: now.Add(2 * time.Second),
	}
	check(t, s.PutEndpoint(t.Context(), e))
	p := ended(t, "j1")
	p.Deliveries[0].Target = webhook.Target{Endpoint: "ep_1", URL: e.URL, Format: "standard"}
	p.Deliveries[0].ID = webhook.DeliveryID(p.Event.ID, p.Deliveries[0].Target)
	d := put(t, s, p)
	w.set(nil)
	for _, secrets := range []int{2, 1} {
		works, err := s.Load(t.Context(), []webhook.Ref{d.Ref()})
		check(t, err)
		same(t, "secrets", len(works[0].Secrets), secrets)
		now = e.OldUntil
	}
	same(t, "reads of endpoints", w.count("Query"), 1)
}

// TestIDsThatNobodyMintedAreNotFound asks for keys longer than DynamoDB takes.
func TestIDsThatNobodyMintedAreNotFound(t *testing.T) {
	s, _, _ := openWired(t, nil)
	long := strings.Repeat("x", 5000)
	for what, err := range map[string]error{
		"resend":      second(s.Resend(t.Context(), "acme", long)),
		"endpoint":    second(s.Endpoint(t.Context(), "acme", long)),
		"portal link": second(s.UsePortalLink(t.Context(), long, []byte("hash"), time.Now())),
		"result set":  second(s.ResultSet(t.Context(), long)),
	} {
		if !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("%s: got %v, want not found", what, err)
		}
	}
	list, _, err := s.Deliveries(t.Context(), webhook.Filter{Account: "acme", JobID: long, Limit: 1})
	check(t, err)
	same(t, "deliveries", len(list), 0)
}

func second[T any](_ T, err error) error { return err }
