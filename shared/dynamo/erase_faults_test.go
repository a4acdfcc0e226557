package dynamo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
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

func TestAnErasureWhoseAnswersAreLostErasesAllAndCountsItOnce(t *testing.T) {
	s, w, o := openWired(t, nil)
	live(t, s, "acme")
	live(t, s, "other")
	theirs, steps := itemsNaming(t, o, "other"), 0
	done, failed := eraseAll(t, s, "acme", func(do func(context.Context) error) error {
		steps++
		w.set(loseFirstAnswer)
		defer w.set(nil)
		return do(t.Context())
	})
	if failed > 0 || steps < 10 {
		t.Errorf("%d of %d steps failed, want none of several", failed, steps)
	}
	wantErased(t, "answers lost", o, done)
	if !maps.Equal(itemsNaming(t, o, "other"), theirs) {
		t.Errorf("items of another account: %v, want %v", itemsNaming(t, o, "other"), theirs)
	}
}

// TestAnErasureThatIsThrottledInTheMiddleGoesOn lets every other step delete one
// item of what it has to, and no more.
func TestAnErasureThatIsThrottledInTheMiddleGoesOn(t *testing.T) {
	s, w, o := openWired(t, nil)
	live(t, s, "acme")
	steps := 0
	done, failed := eraseAll(t, s, "acme", func(do func(context.Context) error) error {
		if steps++; steps%2 == 0 {
			w.set(func(operation string, n int, _ []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
				if operation != "DeleteItem" || n == 1 {
					return nil, nil
				}
				return answer(400, `{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}`)
			})
			defer w.set(nil)
		}
		return do(t.Context())
	})
	if failed < 2 {
		t.Errorf("%d steps were throttled, want some", failed)
	}
	wantErased(t, "throttled", o, done)
}

// TestAProcessThatDiesBehindAnyWriteOfAnErasureErasesAllAndCountsItOnce lets a
// process die once it has written so often, and another go on.
func TestAProcessThatDiesBehindAnyWriteOfAnErasureErasesAllAndCountsItOnce(t *testing.T) {
	s, w, o := openWired(t, nil)
	for n, died := 1, true; died; n++ {
		if n > 300 {
			t.Fatal("it never gets through")
		}
		account := fmt.Sprintf("acme%03d", n)
		live(t, s, account)
		p := &mortal{left: n}
		done, failed := eraseAll(t, dynamo.New(o), account, func(do func(context.Context) error) error {
			if p.left <= 0 {
				return do(t.Context()) // another process
			}
			var ctx context.Context
			ctx, p.die = context.WithCancel(t.Context())
			defer p.die()
			w.set(p.fault)
			defer w.set(nil)
			return do(ctx)
		})
		if died = p.left <= 0; died != (failed == 1) {
			t.Errorf("death behind write %d: %d steps failed", n, failed)
		}
		wantErased(t, fmt.Sprintf("death behind write %d", n), o, done)
	}
}

// mortal is a process that dies behind the write that makes left 0: nobody reads
// the answer, and nothing is asked any more.
type mortal struct {
	mu   sync.Mutex
	left int
	die  context.CancelFunc
}

func (p *mortal) fault(operation string, _ int, body []byte, send func([]byte) (*http.Response, error)) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	dead := errors.New("the process died")
	if p.left <= 0 {
		return nil, dead
	}
	if !slices.Contains([]string{"DeleteItem", "UpdateItem", "TransactWriteItems"}, operation) {
		return nil, nil
	}
	resp, err := send(body)
	if p.left--; p.left > 0 || err != nil {
		return resp, err
	}
	resp.Body.Close()
	p.die()
	return nil, dead
}

// eraseAll takes the erasure of an account to its end by steps that may fail,
// and tells how many did. Each begins with what is stored.
func eraseAll(t *testing.T, s *dynamo.Store, account string, step func(do func(context.Context) error) error) (done webhook.Erasure, failed int) {
	t.Helper()
	id := "ers_" + account
	check(t, s.PutErasure(t.Context(), webhook.NewErasure(id, account, "", "key", time.Now())))
	for range 200 {
		e, err := s.Erasure(t.Context(), id)
		check(t, err)
		if e.State == webhook.ErasureDone {
			return e, failed
		}
		if step(func(ctx context.Context) error { return eraseOn(ctx, s, e) }) != nil {
			failed++
		}
	}
	t.Fatalf("the erasure of %s does not end", account)
	return done, failed
}

// eraseOn does what follows for an erasure whose pause is over at once.
func eraseOn(ctx context.Context, s *dynamo.Store, e webhook.Erasure) error {
	next := e
	switch {
	case len(e.JobHashes) > 0:
		next.JobHashes, next.Version = nil, e.Version+1
	case e.Stage == webhook.StageSettle:
		next = e.Turn(time.Now(), 0)
	case e.Stage == webhook.StagePurge:
		next = e.Done(time.Now())
	default:
		after, more, err := s.EraseStep(ctx, e, time.Now())
		if err != nil || more {
			return err
		}
		e, next = after, after.Turn(time.Now(), 0)
	}
	return s.UpdateErasure(ctx, e, next)
}

// live gives an account something of everything.
func live(t *testing.T, s *dynamo.Store, account string) {
	t.Helper()
	ctx, at := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
	check(t, s.PutAccount(ctx, webhook.Account{ID: account, Name: account, CreatedAt: at, UpdatedAt: at}))
	check(t, s.PutKey(ctx, webhook.Key{ID: "key-" + account, Account: account, Scope: webhook.ScopeAccount, CreatedAt: at}))
	check(t, s.PutKey(ctx, webhook.Key{ID: "session-" + account, Account: account, Scope: webhook.ScopeAccount, CreatedAt: at, RevokedAt: at.Add(time.Hour), Session: true}))
	endpoint := "ep-" + account
	check(t, s.PutEndpoint(ctx, webhook.Endpoint{ID: endpoint, Account: account, URL: "https://example.com/", Format: "standard", Status: webhook.EndpointEnabled,
		CreatedAt: at, UpdatedAt: at}))
	health := webhook.Health{Endpoint: endpoint, State: webhook.Failing, Since: at, Version: 1}
	check(t, s.SetHealth(ctx, account, webhook.Health{Endpoint: endpoint}, health, webhook.Notice{Type: webhook.EndpointFailingEvent, Account: account, Endpoint: endpoint, At: at}))
	check(t, s.PutResend(ctx, webhook.Resend{ID: "rsd-" + account, Account: account, State: webhook.ResendRunning, Rate: 1, Version: 1, CreatedAt: at, UpdatedAt: at}))
	for i, typ := range []webhook.EventType{webhook.JobFinished, webhook.JobFinished, webhook.JobProgress} {
		p := ended(t, fmt.Sprintf("j%d-%s", i, account))
		j, err := job.Decode([]byte(strings.Replace(string(p.Event.Record), `"acme"`, strconv.Quote(account), 1)))
		check(t, err)
		_, _, err = s.WriteJob(ctx, j.ID, j.Kind, func(*job.Job) (job.Job, error) { return j, nil })
		check(t, err)
		p.Event.ID, p.Event.Account, p.Event.Type, p.Event.Record = webhook.EventID(j, typ, "1"), account, typ, j.Record
		d := &p.Deliveries[0]
		d.Account, d.EventID, d.EventType, d.ID = account, p.Event.ID, typ, webhook.DeliveryID(p.Event.ID, d.Target)
		next, attempt := outcome(put(t, s, p), webhook.StateWaiting, 500)
		check(t, s.Record(ctx, *d, next, attempt))
	}
	set, err := s.BeginResultSet(ctx, webhook.ResultSet{Account: account, Kind: job.KindAsync, JobID: "j0-" + account, Run: 1,
		Token: webhook.NewResultSetToken(account, job.KindAsync, "j0-"+account, 1), State: webhook.ResultSetExported, CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(time.Hour)})
	check(t, err)
	check(t, s.AddDownload(ctx, set.Token, webhook.Download{At: at, File: "a.csv", Method: "GET"}))
	check(t, s.AddStats(ctx, []webhook.Stats{{Account: account, Endpoint: endpoint, Hour: at.Truncate(time.Hour), Delivered: 1}}))
	check(t, s.Flush(ctx))
	check(t, s.PutLedger(ctx, webhook.Ledger{Account: account, CheckedAt: at, Accepted: 3}))
	liveShortly(t, s, account, endpoint, at)
}

// liveShortly gives an account what ends by itself.
func liveShortly(t *testing.T, s *dynamo.Store, account, endpoint string, at time.Time) {
	t.Helper()
	check(t, s.PutPortalLink(t.Context(), webhook.PortalLink{ID: "link-" + account, Account: account, Hash: []byte("h"), CreatedAt: at, ExpiresAt: at.Add(time.Hour)}))
	_, _, err := s.BeginOnce(t.Context(), webhook.Once{ID: "once-" + account, Account: account, StartedAt: at, ExpiresAt: at.Add(24 * time.Hour)})
	check(t, err)
	_, err = s.Lease(t.Context(), account, endpoint, 1, 1)
	check(t, err)
}

// wantErased wants all that live gives to be counted once, and nothing to be
// left but what ends by itself within a day, and the receipt.
func wantErased(t *testing.T, what string, o dynamo.Options, done webhook.Erasure) {
	t.Helper()
	same(t, what+": counts", done.Counts, webhook.Erased{
		webhook.ErasedAccounts: 1, webhook.ErasedKeys: 2, webhook.ErasedEndpoints: 1, webhook.ErasedNotices: 1, webhook.ErasedResends: 1,
		webhook.ErasedJobs: 3, webhook.ErasedEvents: 3, webhook.ErasedDeliveries: 3, webhook.ErasedAttempts: 3,
		webhook.ErasedResultSets: 1, webhook.ErasedDownloads: 1, webhook.ErasedStats: 1,
	})
	for name, i := range itemsNaming(t, o, done.Account) {
		kind, _, _ := strings.Cut(name, "#")
		if kind == "erasures "+done.ID {
			continue
		}
		ends, err := strconv.ParseInt(i.ttl, 10, 64)
		if !slices.Contains([]string{"once", "link", "l"}, kind) || err != nil || time.Until(time.Unix(ends, 0)) > 25*time.Hour {
			t.Errorf("%s: %s is left: %s", what, name, i.text)
		}
	}
}

// stored is an item as JSON, and when it ends by itself.
type stored struct{ text, ttl string }

// itemsNaming are the items that have a text somewhere, by their keys.
func itemsNaming(t *testing.T, o dynamo.Options, text string) map[string]stored {
	t.Helper()
	found := map[string]stored{}
	for table, names := range map[string][2]string{o.Deliveries: {"pk", "sk"}, o.Jobs: {"id", "kind"}} {
		pages := dynamodb.NewScanPaginator(o.Client, &dynamodb.ScanInput{TableName: &table})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			check(t, err)
			for _, i := range page.Items {
				b, err := json.Marshal(i)
				check(t, err)
				if strings.Contains(string(b), text) {
					found[textOf(i[names[0]])+" "+textOf(i[names[1]])] = stored{string(b), textOf(i["ttl"])}
				}
			}
		}
	}
	return found
}

// textOf is a text, or a number as it is written.
func textOf(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}
