package dynamo_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/webhook"
)

// fault answers in place of the server, see wire.
type fault = func(operation string, n int, body []byte, send func([]byte) (*http.Response, error)) (*http.Response, error)

// troubles are what may befall a request and must not be taken for a lost race.
func troubles() map[string]fault {
	return map[string]fault{
		"lost answers": loseFirstAnswer, "throttled": throttleTwice,
		"in conflict with another transaction": cancelTwice("TransactionConflict", "None"),
		"a part of it throttled":               cancelTwice("None", "ThrottlingError"),
	}
}

// cancelTwice cancels the first two transactions, for what befell the first
// write of each and the others, and refuses the first two updates if their item
// is in a transaction.
func cancelTwice(first, others string) fault {
	return func(operation string, n int, _ []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
		const prefix = `{"__type":"com.amazonaws.dynamodb.v20120810#`
		switch {
		case n > 2:
			return nil, nil
		case operation == "TransactWriteItems":
			return answer(400, prefix+`TransactionCanceledException","Message":"canceled","CancellationReasons":[{"Code":"`+first+`"},{"Code":"`+others+`"}]}`)
		case operation == "UpdateItem" && first != "None":
			return answer(400, prefix+`TransactionConflictException","message":"`+first+`"}`)
		}
		return nil, nil
	}
}

func putEndpoint(t *testing.T, s *dynamo.Store, id string) webhook.Endpoint {
	t.Helper()
	e := webhook.Endpoint{
		ID: id, Account: "acme", URL: "https://example.com/" + id, Format: "standard", Status: webhook.EndpointEnabled,
		CreatedAt: moment(), UpdatedAt: moment(),
	}
	check(t, s.PutEndpoint(t.Context(), e))
	return e
}

// failingFor is the health that follows read.
func failingFor(read webhook.Health, reason string) webhook.Health {
	at := moment()
	return webhook.Health{
		Endpoint: "ep_1", State: webhook.Failing, Since: at, Reason: reason, Warned: 2,
		Circuit: webhook.Circuit{Opens: 3, OpenUntil: at.Add(time.Minute), ProbeUntil: at.Add(2 * time.Minute)}, PausedUntil: at.Add(time.Hour),
		Slow: 2, SlowAt: at, Version: read.Version + 1,
	}
}

func noticeOf(typ webhook.EventType, at time.Time) webhook.Notice {
	return webhook.Notice{
		Type: typ, Account: "acme", Endpoint: "ep_1", URL: "https://example.com/ep_1", At: at,
		Since: at.Add(-time.Hour), Reason: "the receiver answered 500", DisabledAt: at.Add(24 * time.Hour),
	}
}

func TestHealthInTroubleIsWrittenOnceWithItsNotices(t *testing.T) {
	for name, trouble := range troubles() {
		t.Run(name, func(t *testing.T) {
			s, w, _ := openWired(t, nil)
			putEndpoint(t, s, "ep_1")
			read := webhook.Health{Endpoint: "ep_1"}
			var want []webhook.Notice
			for i, told := range [][]webhook.Notice{nil, {noticeOf(webhook.EndpointFailingEvent, moment())}, nil, {
				noticeOf(webhook.EndpointRecoveredEvent, moment().Add(time.Second)), noticeOf(webhook.EndpointFailingEvent, moment().Add(2*time.Second)),
			}} {
				next := failingFor(read, name)
				w.set(trouble)
				if err := s.SetHealth(t.Context(), "acme", read, next, told...); err != nil {
					t.Fatalf("write %d: %v", i, err)
				}
				if err := s.SetHealth(t.Context(), "acme", read, next, told...); !errors.Is(err, webhook.ErrStale) {
					t.Errorf("the same write by another: got %v, want stale", err)
				}
				w.set(nil)
				got, err := s.HealthOf(t.Context(), "acme", "ep_1")
				check(t, err)
				same(t, "health", got, next)
				read, want = next, append(want, told...)
			}
			got, err := s.Notices(t.Context(), 10)
			check(t, err)
			same(t, "notices", got, want)
		})
	}
}

func TestOfManyWhoWriteTheSameHealthOneDoes(t *testing.T) {
	s, _, _ := openWired(t, nil)
	putEndpoint(t, s, "ep_1")
	next := failingFor(webhook.Health{}, "all claim one probe")
	for _, told := range [][]webhook.Notice{nil, {noticeOf(webhook.EndpointFailingEvent, moment())}} {
		read := webhook.Health{Endpoint: "ep_1", Version: next.Version - 1}
		same(t, "writers", writers(t, func() error { return s.SetHealth(t.Context(), "acme", read, next, told...) }), 1)
		next.Version++
	}
	host := webhook.HostHealth{Host: "example.com:443", Circuit: next.Circuit, Version: 1}
	same(t, "writers of a host", writers(t, func() error { return s.SetHost(t.Context(), webhook.HostHealth{}, host) }), 1)
}

// writers tells how many of six who write at once are not stale.
func writers(t *testing.T, write func() error) (n int) {
	t.Helper()
	errs := make([]error, 6)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = write() })
	}
	all.Wait()
	for _, err := range errs {
		if err == nil {
			n++
		} else if !errors.Is(err, webhook.ErrStale) {
			t.Error(err)
		}
	}
	return n
}

func TestAnEndpointInTroubleIsDisabledOnceWithItsNotice(t *testing.T) {
	for name, trouble := range troubles() {
		t.Run(name, func(t *testing.T) {
			s, w, _ := openWired(t, nil)
			e := putEndpoint(t, s, "ep_1")
			told := noticeOf(webhook.EndpointDisabledEvent, moment())
			w.set(trouble)
			check(t, s.Disable(t.Context(), "acme", "ep_1", e.URL, "gone", told))
			check(t, s.Disable(t.Context(), "acme", "ep_1", e.URL, "gone once more", noticeOf(webhook.EndpointDisabledEvent, moment().Add(time.Second))))
			w.set(nil)
			got, err := s.Endpoint(t.Context(), "acme", "ep_1")
			check(t, err)
			same(t, "reason", got.StatusReason, "gone")
			notices, err := s.Notices(t.Context(), 10)
			check(t, err)
			same(t, "notices", notices, []webhook.Notice{told})
		})
	}
}

// TestForgottenHealthIsNotBroughtBack lets an answer of the URL before come
// late.
func TestForgottenHealthIsNotBroughtBack(t *testing.T) {
	s, _, _ := openWired(t, nil)
	e := putEndpoint(t, s, "ep_1")
	read := webhook.Health{Endpoint: "ep_1"}
	for what, change := range map[string]func(){
		"another URL": func() { e.URL += "/moved"; check(t, s.PutEndpoint(t.Context(), e)) },
		"enabled again": func() {
			check(t, s.Disable(t.Context(), "acme", "ep_1", e.URL, "gone"))
			check(t, s.PutEndpoint(t.Context(), e))
		},
	} {
		known := failingFor(read, what)
		check(t, s.SetHealth(t.Context(), "acme", read, known))
		change()
		list, err := s.Health(t.Context(), "acme")
		check(t, err)
		same(t, what+": health", list, nil)
		if err := s.SetHealth(t.Context(), "acme", known, failingFor(known, "late")); !errors.Is(err, webhook.ErrStale) {
			t.Errorf("%s: what was read before: got %v, want stale", what, err)
		}
		read, err = s.HealthOf(t.Context(), "acme", "ep_1")
		check(t, err)
		same(t, what+": health of it", read, webhook.Health{Endpoint: "ep_1", Version: known.Version + 1})
	}
}

func TestHealthOfIsReadNow(t *testing.T) {
	s, w, _ := openWired(t, func(o *dynamo.Options) { o.Eventually = true })
	putEndpoint(t, s, "ep_1")
	w.set(func(operation string, _ int, body []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
		if !bytes.Contains(body, []byte(`"ConsistentRead":true`)) {
			t.Errorf("%s may be late", operation)
		}
		return nil, nil
	})
	for range 2 { // from no memory
		_, err := s.HealthOf(t.Context(), "acme", "ep_1")
		check(t, err)
	}
	same(t, "reads", w.count("GetItem"), 2)
}

// TestAHealthyWorldReadsNoHosts loads a delivery before a host fails, while it
// is known to have failed, and when that is forgotten.
func TestAHealthyWorldReadsNoHosts(t *testing.T) {
	now := moment()
	s, w, _ := openWired(t, func(o *dynamo.Options) { o.Now = func() time.Time { return now } })
	d := put(t, s, ended(t, "j1"))
	open := webhook.HostHealth{Host: "example.com:443", Circuit: webhook.Circuit{Opens: 1, OpenUntil: now.Add(time.Minute)}, Version: 1}
	loads := func(reads int, want webhook.HostHealth) {
		t.Helper()
		w.set(nil)
		works, err := s.Load(t.Context(), []webhook.Ref{d.Ref()})
		check(t, err)
		same(t, "host", works[0].Host, want)
		same(t, "reads of rows, and of hosts", w.count("BatchGetItem"), reads)
	}
	loads(1, webhook.HostHealth{})
	check(t, s.SetHost(t.Context(), webhook.HostHealth{}, open))
	loads(2, open)
	now = open.OpenUntil.Add(time.Hour - time.Microsecond)
	loads(2, open)
	now = now.Add(time.Microsecond)
	loads(1, webhook.HostHealth{})
	check(t, s.SetHost(t.Context(), webhook.HostHealth{}, webhook.HostHealth{Host: open.Host, Circuit: webhook.Circuit{Opens: 1, OpenUntil: now.Add(time.Minute)}, Version: 1}))
}

// TestASilentURLAndAFailingHostAreBothSeen ends one before the other.
func TestASilentURLAndAFailingHostAreBothSeen(t *testing.T) {
	now := moment()
	s, _, _ := openWired(t, func(o *dynamo.Options) { o.Now = func() time.Time { return now } })
	d := put(t, s, ended(t, "j1"))
	open := webhook.HostHealth{Host: "example.com:443", Circuit: webhook.Circuit{Opens: 1, OpenUntil: now.Add(time.Minute)}, Version: 1}
	check(t, s.SetHost(t.Context(), webhook.HostHealth{}, open))
	check(t, s.Silence(t.Context(), d.Target.URL, now.Add(time.Minute)))
	for _, silent := range []time.Time{now.Add(time.Minute), {}} {
		works, err := s.Load(t.Context(), []webhook.Ref{d.Ref()})
		check(t, err)
		same(t, "silent until", works[0].SilentUntil, silent)
		same(t, "host", works[0].Host, open)
		now = now.Add(2 * time.Minute)
	}
}

// TestAHostInTroubleIsWrittenOnce loses the answers of both writes, the one of
// the mark that there is trouble and the host's own, or throttles them.
func TestAHostInTroubleIsWrittenOnce(t *testing.T) {
	loseOddAnswers := func(operation string, n int, body []byte, send func([]byte) (*http.Response, error)) (*http.Response, error) {
		return loseFirstAnswer(operation, 2-n%2, body, send)
	}
	for name, trouble := range map[string]fault{"lost answers": loseOddAnswers, "throttled": throttleTwice} {
		t.Run(name, func(t *testing.T) {
			s, w, _ := openWired(t, nil)
			var read webhook.HostHealth
			for range 3 {
				next := webhook.HostHealth{
					Host: "example.com:443", Version: read.Version + 1,
					Circuit: webhook.Circuit{Opens: 2, OpenUntil: moment().Add(time.Minute), ProbeUntil: moment().Add(2 * time.Minute)},
				}
				w.set(trouble)
				check(t, s.SetHost(t.Context(), read, next))
				w.set(nil)
				if err := s.SetHost(t.Context(), read, next); !errors.Is(err, webhook.ErrStale) {
					t.Errorf("the same write by another: got %v, want stale", err)
				}
				list, err := s.Hosts(t.Context(), 10)
				check(t, err)
				same(t, "hosts", list, []webhook.HostHealth{next})
				read = next
			}
		})
	}
}

// TestHeadersAreKeptSealed looks for them in all that is stored.
func TestHeadersAreKeptSealed(t *testing.T) {
	s, _, o := openWired(t, func(o *dynamo.Options) { o.Sealer = turnedSealer{} })
	e := putEndpoint(t, s, "ep_1")
	e.Headers = []webhook.Header{{Name: "Authorization", Value: "Bearer geheim"}}
	check(t, s.PutEndpoint(t.Context(), e))
	all, err := o.Client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &o.Deliveries})
	check(t, err)
	for _, i := range all.Items {
		for name, v := range i {
			if text := plain(v); bytes.Contains(text, []byte("geheim")) || bytes.Contains(text, []byte("Authorization")) {
				t.Errorf("%s holds a header: %q", name, text)
			}
		}
	}
	got, err := s.Endpoint(t.Context(), "acme", "ep_1")
	check(t, err)
	same(t, "headers", got.Headers, e.Headers)
	o.Sealer = nil
	if err := dynamo.New(o).PutEndpoint(t.Context(), e); err == nil {
		t.Error("headers were written without a key to seal them with")
	}
}

// turnedSealer seals by turning each byte.
type turnedSealer struct{}

func (turnedSealer) Seal(_ context.Context, plain []byte, _ string) ([]byte, error) {
	sealed := bytes.Clone(plain)
	for i := range sealed {
		sealed[i] ^= 0xa5
	}
	return sealed, nil
}

func (s turnedSealer) Open(ctx context.Context, sealed []byte, account string) ([]byte, error) {
	return s.Seal(ctx, sealed, account)
}

// plain is what a value says to who reads the table.
func plain(v types.AttributeValue) []byte {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return []byte(v.Value)
	case *types.AttributeValueMemberB:
		return v.Value
	}
	return nil
}
