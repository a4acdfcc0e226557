package dynamo_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
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

// happened is something that a job did which was created n milliseconds into a
// day, with a delivery to each of some URLs.
func happened(t *testing.T, n int, typ webhook.EventType, targets int, more string) webhook.Planned {
	t.Helper()
	j, err := job.Decode(fmt.Appendf(nil, `{"id":"j%d","account":"acme","kind":"async","status":"success","run":1,"created_at":"2026-03-01T10:00:00.%03dZ","message":%q}`, n, n, more))
	check(t, err)
	at := time.Now().UTC().Truncate(time.Microsecond)
	p := webhook.Planned{Event: webhook.Event{
		ID: webhook.EventID(j, typ, "1"), Type: typ, Account: "acme", Kind: j.Kind, JobID: j.ID,
		Run: 1, At: at, Level: job.LevelInfo, Sequence: "1", Record: j.Record,
	}}
	for i := range targets {
		target := webhook.Target{URL: "https://example.com/" + strconv.Itoa(i), Format: "socialdata"}
		p.Deliveries = append(p.Deliveries, webhook.Delivery{
			ID: webhook.DeliveryID(p.Event.ID, target), Account: "acme", EventID: p.Event.ID, EventType: typ, Kind: j.Kind, JobID: j.ID,
			Run: 1, Sequence: "1", Target: target, State: webhook.StateQueued, Generation: 1,
			Deadline: at.Add(time.Hour), CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(30 * 24 * time.Hour),
		})
	}
	return p
}

// history is what 20 jobs did: events with up to five deliveries, of which some
// have rows of their own. It returns all ids, the last first.
func history(t *testing.T, s *dynamo.Store) (events, deliveries []string) {
	t.Helper()
	var all []webhook.Planned
	for n := range 20 {
		all = append(all, happened(t, n, webhook.JobFinished, 1+n%5, ""))
		if n%3 == 0 {
			all = append(all, happened(t, n, webhook.ResultSetReady, 1, ""))
		}
	}
	_, err := s.Put(t.Context(), all)
	check(t, err)
	for n, p := range all {
		events = append(events, p.Event.ID)
		for i, d := range p.Deliveries {
			deliveries = append(deliveries, d.ID)
			if n%2 == 0 || i%2 == 0 {
				next, attempt := outcome(d, webhook.StateDelivered, 200)
				check(t, s.Record(t.Context(), d, next, attempt))
			}
		}
	}
	for _, ids := range [][]string{events, deliveries} {
		slices.Sort(ids)
		slices.Reverse(ids)
	}
	return events, deliveries
}

var (
	limitIn = regexp.MustCompile(`"Limit":\d+`)
	unitsIn = regexp.MustCompile(`"CapacityUnits":[0-9.]+`)
)

// dearPages lets every page of a list have three items and use more than a list may.
func dearPages(operation string, _ int, body []byte, send func([]byte) (*http.Response, error)) (*http.Response, error) {
	if operation != "Query" {
		return nil, nil
	}
	resp, err := send(limitIn.ReplaceAll(body, []byte(`"Limit":3`)))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return answer(resp.StatusCode, string(unitsIn.ReplaceAll(b, []byte(`"CapacityUnits":5000`))))
}

func TestAListThatEndsEarlyGoesOnWithoutLossOrRepetition(t *testing.T) {
	s, w, _ := openWired(t, nil)
	events, deliveries := history(t, s)
	short := 0
	for _, run := range []struct {
		limit int
		dear  bool
	}{{1, false}, {7, false}, {2, true}, {250, true}} {
		if w.set(nil); run.dear {
			w.set(dearPages)
		}
		var got []string
		for f, more := (webhook.Filter{Account: "acme", Limit: run.limit}), true; more; more = f.After != "" {
			list, next, err := s.Deliveries(t.Context(), f)
			check(t, err)
			for _, d := range list {
				got = append(got, d.ID)
			}
			if next != "" && f.After != "" && next >= f.After {
				t.Fatalf("cursor %s after %s", next, f.After)
			}
			if f.After = next; len(list) < run.limit && next != "" {
				short++
			}
		}
		same(t, fmt.Sprintf("deliveries of %v", run), got, deliveries)
		got = nil
		for f, more := (webhook.EventFilter{Account: "acme", Limit: run.limit}), true; more; more = f.After != "" {
			list, next, err := s.Events(t.Context(), f)
			check(t, err)
			for _, e := range list {
				got = append(got, e.ID)
			}
			f.After = next
		}
		same(t, fmt.Sprintf("events of %v", run), got, events)
	}
	if short == 0 {
		t.Error("no page was short: dear pages were not")
	}
}

// TestAListReadsABoundedPartOfTheTable looks for the first of many events,
// whose snapshots are large.
func TestAListReadsABoundedPartOfTheTable(t *testing.T) {
	s, w, _ := openWired(t, nil)
	noise := make([]byte, 70_000)
	for n := range 160 {
		_, _ = rand.Read(noise) // it never fails
		typ := webhook.JobFinished
		if n == 0 {
			typ = webhook.JobStopped
		}
		put(t, s, happened(t, n, typ, 1, hex.EncodeToString(noise)))
	}
	used := &meter{}
	w.set(used.count)
	f, calls := webhook.Filter{Account: "acme", Type: webhook.JobStopped, Limit: 100}, 0
	for {
		list, next, err := s.Deliveries(t.Context(), f)
		check(t, err)
		if units := used.reset(); units > 8*(256+40) { // of each partition a page, which ends with the item that makes it 1 MB
			t.Errorf("a page used %.0f units", units)
		}
		if calls++; next == "" {
			same(t, "deliveries on the last page", len(list), 1)
			break
		}
		f.After = next
	}
	if calls < 2 {
		t.Error("11 MB were read for one page")
	}
}

// TestAPageCostsTheSameHoweverLongTheListIs compares the first pages of a short
// and a long list.
func TestAPageCostsTheSameHoweverLongTheListIs(t *testing.T) {
	s, w, _ := openWired(t, nil)
	used, put := &meter{}, 0
	w.set(used.count)
	for _, total := range []int{200, 900} {
		var all []webhook.Planned
		for ; put < total; put++ {
			all = append(all, happened(t, put, webhook.JobFinished, 1, "done"))
		}
		_, err := s.Put(t.Context(), all)
		check(t, err)
		list, next, err := s.Deliveries(t.Context(), webhook.Filter{Account: "acme", Limit: 20})
		check(t, err)
		same(t, "deliveries", len(list), 20)
		if units := used.reset(); units > 30 || next == "" {
			t.Errorf("20 of %d deliveries used %.1f units; cursor %q", total, units, next)
		}
		f := webhook.Filter{Account: "acme", EventID: all[0].Event.ID, Limit: 20}
		list, _, err = s.Deliveries(t.Context(), f)
		check(t, err)
		same(t, "deliveries of an event", len(list), 1)
		if units := used.reset(); units > 1 {
			t.Errorf("an event's deliveries of %d used %.1f units", total, units)
		}
	}
}

// meter sums what queries use.
type meter struct {
	mu  sync.Mutex
	sum float64
}

func (m *meter) count(operation string, _ int, body []byte, send func([]byte) (*http.Response, error)) (*http.Response, error) {
	if operation != "Query" {
		return nil, nil
	}
	resp, err := send(body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var page struct {
		ConsumedCapacity struct{ CapacityUnits float64 }
	}
	if err := json.Unmarshal(b, &page); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sum += page.ConsumedCapacity.CapacityUnits
	return answer(resp.StatusCode, string(b))
}

func (m *meter) reset() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := m.sum
	m.sum = 0
	return sum
}

func TestTheDeliveriesOfAnEventTakeOneQuery(t *testing.T) {
	s, w, _ := openWired(t, nil)
	history(t, s)
	want := happened(t, 4, webhook.JobFinished, 5, "")
	f := webhook.Filter{Account: "acme", EventID: want.Event.ID, Limit: 3}
	w.set(nil)
	first, next, err := s.Deliveries(t.Context(), f)
	check(t, err)
	same(t, "queries", w.count("Query"), 1)
	f.After = next
	second, next, err := s.Deliveries(t.Context(), f)
	check(t, err)
	same(t, "deliveries", len(first)+len(second), 5)
	same(t, "cursor", next, "")
	for _, id := range []string{"evt_", "nonsense", want.Event.ID + "0", strings.ToUpper(want.Event.ID), "evt_" + strings.Repeat("/", 26)} {
		list, next, err := s.Deliveries(t.Context(), webhook.Filter{Account: "acme", EventID: id, Limit: 3})
		check(t, err)
		if len(list) > 0 || next != "" {
			t.Errorf("%q: got %d deliveries and cursor %q", id, len(list), next)
		}
	}
}

// TestAJobWhoseRecordCannotBeReadHasDeliveries lets a platform write nonsense.
func TestAJobWhoseRecordCannotBeReadHasDeliveries(t *testing.T) {
	s, _, o := openWired(t, nil)
	d := put(t, s, happened(t, 1, webhook.JobFinished, 1, ""))
	str := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	_, err := o.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &o.Jobs, Item: map[string]types.AttributeValue{
		"id": str("j1"), "kind": str("async"), "account": str("acme"), "status": str("nonsense"), "created_at": str("2026-03-01T10:00:00.001Z"),
	}})
	check(t, err)
	list, _, err := s.Deliveries(t.Context(), webhook.Filter{Account: "acme", JobID: "j1", Limit: 10})
	check(t, err)
	same(t, "deliveries", list, []webhook.Delivery{d})
}

// TestACursorOfElsewhereEndsAList gives a list of one job, or event, the cursor
// of another, older or newer.
func TestACursorOfElsewhereEndsAList(t *testing.T) {
	s, _, _ := openWired(t, nil)
	_, deliveries := history(t, s)
	_, _, err := s.WriteJob(t.Context(), "j4", job.KindAsync, func(*job.Job) (job.Job, error) {
		return job.Decode([]byte(`{"id":"j4","account":"acme","kind":"async","status":"success","run":1,"created_at":"2026-03-01T10:00:00.004Z"}`))
	})
	check(t, err)
	event := happened(t, 4, webhook.JobFinished, 1, "").Event.ID
	for cursor, want := range map[string]int{deliveries[0]: 5, deliveries[len(deliveries)-1]: 0} {
		for _, f := range []webhook.Filter{{JobID: "j4"}, {EventID: event}} {
			f.Account, f.Limit, f.After = "acme", 10, cursor
			list, _, err := s.Deliveries(t.Context(), f)
			check(t, err)
			same(t, "deliveries", len(list), want)
		}
	}
}

func TestACursorThatNoListReturnedIsRefused(t *testing.T) {
	s, _, _ := openWired(t, nil)
	p := happened(t, 1, webhook.JobFinished, 1, "")
	event, delivery := p.Event.ID, p.Deliveries[0].ID
	for _, cursor := range []string{"nonsense", event, delivery + "0", delivery[:39] + "A", delivery[:39], delivery[:38] + "é"} {
		if _, _, err := s.Deliveries(t.Context(), webhook.Filter{Account: "acme", After: cursor, Limit: 1}); !errors.Is(err, webhook.ErrCursor) {
			t.Errorf("deliveries after %q: %v", cursor, err)
		}
	}
	for _, cursor := range []string{"nonsense", delivery, event + "0", event[:29] + "~", event[:29]} {
		if _, _, err := s.Events(t.Context(), webhook.EventFilter{Account: "acme", After: cursor, Limit: 1}); !errors.Is(err, webhook.ErrCursor) {
			t.Errorf("events after %q: %v", cursor, err)
		}
	}
}

func TestAPageOfEventsWithLargeSnapshotsEndsEarly(t *testing.T) {
	s, w, _ := openWired(t, nil)
	const n, large = 40, 250_000
	for i := range n {
		put(t, s, happened(t, i, webhook.JobFinished, 1, strings.Repeat("x", large)))
	}
	f, seen, pages := webhook.EventFilter{Account: "acme", Records: true, Limit: 100}, 0, 0
	for more := true; more; more = f.After != "" {
		list, next, err := s.Events(t.Context(), f)
		check(t, err)
		size := 0
		for _, e := range list {
			size += len(e.Record)
		}
		if size < large || size > 5<<20 {
			t.Errorf("a page of %d bytes", size)
		}
		f.After, seen, pages = next, seen+len(list), pages+1
	}
	same(t, "events", seen, n)
	if pages < 2 {
		t.Error("all on one page")
	}
	w.set(func(operation string, _ int, body []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
		if operation == "Query" && bytes.Contains(body, []byte("#record")) {
			t.Error("snapshots travel although nobody wants them")
		}
		return nil, nil
	})
	list, _, err := s.Events(t.Context(), webhook.EventFilter{Account: "acme", Limit: 100})
	check(t, err)
	same(t, "events without snapshots", len(list), n)
	same(t, "snapshot", list[0].Record, nil)
}
