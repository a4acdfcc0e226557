package export_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/export"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/functions/internal/worldtest"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// TestTheFixtureIsExportedAndTheJobSaysSo goes from the whole message of a queue
// to the links in the job's row.
func TestTheFixtureIsExportedAndTheJobSaysSo(t *testing.T) {
	w := newWorld(t)
	var line bytes.Buffer
	w.handler.Metrics = metrics.New(&line, "test", "export")
	e := w.ended(job.KindBatch, `,"notification_as_csv":true,"n":1.50`)
	w.upload(e, numbered(1, 600), "", numbered(601, 1001))
	if failed := w.invoke(t.Context(), rawJSON(worldtest.Payload(t, "export-one"))); failed > 0 {
		t.Fatalf("it failed: %s", &w.log)
	}
	set := w.set(e)
	if set.State != webhook.ResultSetExported || set.Pages != 2 || set.Records != 1001 || set.Bytes == 0 || !set.ExpiresAt.Equal(worldtest.Start().Add(14*24*time.Hour)) {
		t.Errorf("set %+v, want 2 pages of 1001 records for 14 days", set)
	}
	want := record(job.KindBatch, fmt.Sprintf(`,"notification_as_csv":true,"n":1.50,"result_set":{"id":2,"token":%q,"pages":2,"records":1001,"csv_hash":"d1854cae891ec7b29161ccaf79a24b00c274bdaa","expires_at":"2026-01-15T00:01:00Z"}`, set.Token))
	if got := string(w.job(e).Record); got != want {
		t.Errorf("row\ngot  %s\nwant %s", got, want)
	}
	result, err := w.job(e).ResultSet()
	w.check(err)
	exported, size := w.exported(e), int64(0)
	for _, text := range exported {
		size += int64(len(text))
	}
	for _, format := range job.FileFormats() {
		links, ok := result.Links(e.Kind, e.JobID, format, "https://hooks.example.com")
		if !ok || len(links.Pages) != 2 {
			t.Errorf("%s: got links %v, want 2 pages", format, links)
		}
		for _, link := range append(links.Pages, links.AllPages) {
			if _, there := exported[link[strings.LastIndex(link, "/")+1:]]; !there {
				t.Errorf("there is no file for %s", link)
			}
		}
	}
	if len(exported) != 9 || size != set.Bytes {
		t.Errorf("%d files of %d bytes, want 9 of %d", len(exported), size, set.Bytes)
	}
	if got := exported["Batch_Results_7_2_Page_2.json"]; got != "[\n{\"n\":1001}\n]\n" {
		t.Errorf("the second page is %q", got)
	}
	csv := "n\r\n1001\r\n"
	if got := exported["Batch_Results_7_2_Page_2_"+set.CSVHash+".csv"]; got != csv {
		t.Errorf("the second page is %q, want %q", got, csv)
	}
	if got := strings.Count(exported["Batch_Results_7_2_All_Pages_"+set.CSVHash+".csv"], "\r\n"); got != 1002 {
		t.Errorf("all pages have %d lines, want a head and 1001 rows", got)
	}
	for _, want := range []string{`"Exported":1`, `"ExportedRecords":1001`, `"ExportTime":[0]`, `"Messages":1`} {
		if !strings.Contains(line.String(), want) {
			t.Errorf("metrics %s, want %s", &line, want)
		}
	}
}

// rawJSON is a payload as it is.
type rawJSON []byte

func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

func TestAnExportMadeTwiceHasTheSameBytes(t *testing.T) {
	text := sample(t) + numbered(1, 2500)
	var first map[string]string
	for try := range 2 {
		w := newWorld(t)
		e := w.ended(job.KindBatch, "")
		w.upload(e, text)
		if failed := w.handle(1, e); failed > 0 {
			t.Fatalf("it failed: %s", &w.log)
		}
		got := w.exported(e)
		if try == 0 {
			first = got
		} else if diff := cmp.Diff(got, first); diff != "" || len(got) < 9 {
			t.Errorf("%d files (-second +first):\n%.1000s", len(got), diff)
		}
	}
}

func TestARepeatedMessageKeepsTheLinksAndExportsOnce(t *testing.T) {
	w := newWorld(t)
	e := w.ended(job.KindAsync, "")
	w.upload(e, numbered(1, 3))
	w.handler.Jobs = failingJobs{}
	if failed := w.handle(1, e); failed != 1 {
		t.Fatalf("%d messages come again although the row was not written", failed)
	}
	set := w.set(e)
	w.handler.Jobs, w.handler.Files = w.store, &faulty{Files: w.files, err: errors.New("nobody should ask")}
	for range 2 {
		if failed := w.handle(2, e); failed != 0 {
			t.Fatalf("the repeat failed: %s", &w.log)
		}
	}
	if diff := cmp.Diff(w.set(e), set); diff != "" || set.State != webhook.ResultSetExported {
		t.Errorf("set (-after +before):\n%s", diff)
	}
	result, err := w.job(e).ResultSet()
	if err != nil || result == nil || result.Token != set.Token {
		t.Errorf("the row has %+v, %v, want %s", result, err, set.Token)
	}
}

type failingJobs struct{}

func (failingJobs) WriteJob(context.Context, string, job.Kind, func(*job.Job) (job.Job, error)) (job.Job, bool, error) {
	return job.Job{}, false, errors.New("throttled")
}

func TestNoRecordsAreASetOfNoPages(t *testing.T) {
	for _, kind := range job.Kinds() {
		w := newWorld(t)
		e := w.ended(kind, `,"notification_csv_fields":"a, b"`)
		w.upload(e, "\n")
		if failed := w.handle(1, e); failed > 0 {
			t.Fatalf("it failed: %s", &w.log)
		}
		if set := w.set(e); set.State != webhook.ResultSetExported || set.Pages != 0 || set.Records != 0 {
			t.Errorf("%s: set %+v, want one without pages", kind, set)
		}
		all := w.exported(e)
		if len(all) != 3 {
			t.Errorf("%s: files %q, want three of all pages", kind, all)
		}
		for name, text := range all {
			if strings.HasSuffix(name, ".csv") && strings.TrimPrefix(text, "\ufeff") != "a,b\r\n" || strings.HasSuffix(name, ".jsonl") && text != "" ||
				strings.HasSuffix(name, ".zip") && len(unzip(t, text)) > 0 {
				t.Errorf("%s: %s is %q", kind, name, text)
			}
		}
	}
}

func TestAnExportThatCanNeverSucceedSaysWhyAtOnce(t *testing.T) {
	for _, test := range []struct {
		name, more string
		parts      []string
		want       string
	}{
		{"bad line", "", []string{numbered(1, 2), "{\"n\":3}\n[1]\n"},
			"records: part 000002.jsonl: line 2: it is no JSON object; write one JSON object a line, without a list around them and without commas between them"},
		{"no parts", "", nil, "records: no part of them was uploaded, or they have been removed since"},
		{"bad columns", `,"notification_csv_fields":"a..b"`, []string{"{}"}, `notification_csv_fields: path "a..b" has an empty name; write one dot between two names`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			var line bytes.Buffer
			w.handler.Metrics = metrics.New(&line, "test", "export")
			e := w.ended(job.KindBatch, test.more)
			w.upload(e, test.parts...)
			for range 2 {
				if failed := w.handle(1, e); failed != 0 {
					t.Fatalf("it comes again: %s", &w.log)
				}
			}
			if set := w.set(e); set.State != webhook.ResultSetFailed || set.Reason != test.want || len(w.exported(e)) > 0 {
				t.Errorf("set %+v, want failed: %s", set, test.want)
			}
			result, err := w.job(e).ResultSet()
			if err != nil || result == nil || result.ID != 2 || result.Error != test.want || result.Token != "" {
				t.Errorf("row: %+v, %v, want the reason", result, err)
			}
			if got := strings.Count(line.String(), `"ExportsFailed":1`); got != 1 || strings.Count(w.log.String(), "export.failed") != 1 {
				t.Errorf("%d failures are counted, want 1: %s", got, &w.log)
			}
		})
	}
}

func TestAnExportIsTriedThreeTimes(t *testing.T) {
	for name, fault := range map[string]*faulty{
		"files cannot be put":  {err: errors.New("bucket on fire")},
		"putting panics":       {panics: true},
		"a put ends too early": {short: true},
		"records change":       {changes: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.ended(job.KindScraping, "")
			w.upload(e, strings.Repeat(`{"a":"`+strings.Repeat("x", 5000)+"\"}\n", 200))
			fault.Files = w.files
			w.handler.Files = fault
			for try := 1; try <= export.MaxTries; try++ {
				if failed := w.handle(try, e); (failed == 1) != (try < export.MaxTries) {
					t.Errorf("try %d: %d come again: %s", try, failed, &w.log)
				}
			}
			set := w.set(e)
			if set.State != webhook.ResultSetFailed || set.Reason != "its files could not be written" {
				t.Errorf("set %+v, want a failed one with a reason for customers", set)
			}
			result, err := w.job(e).ResultSet()
			if err != nil || result == nil || result.Error != set.Reason || result.Token != "" {
				t.Errorf("row %+v, %v, want the reason", result, err)
			}
		})
	}
}

func TestAFailedTryComesAgainSoon(t *testing.T) {
	w := newWorld(t)
	e := w.ended(job.KindScraping, "")
	w.upload(e, numbered(1, 10))
	hidden := &hides{}
	w.handler.Files, w.handler.Queue = &faulty{Files: w.files, err: errors.New("bucket on fire")}, hidden
	for try := 1; try <= export.MaxTries; try++ {
		w.handle(try, e)
	}
	if want := []string{"receipt 30s", "receipt 2m0s"}; !slices.Equal(hidden.list, want) {
		t.Errorf("hidden %q, want %q: each try but the last", hidden.list, want)
	}
}

// hides remembers what was hidden.
type hides struct{ list []string }

func (h *hides) Hide(_ context.Context, receipt string, d time.Duration) error {
	h.list = append(h.list, receipt+" "+d.String())
	return nil
}

func TestAnExportThatIsCutOffEachTimeIsGivenUp(t *testing.T) {
	w := newWorld(t)
	e := w.ended(job.KindScraping, "")
	w.upload(e, numbered(1, 10))
	if failed := w.handle(export.MaxTries+1, e); failed != 0 {
		t.Errorf("%d come again, want none", failed)
	}
	if set := w.set(e); set.State != webhook.ResultSetFailed {
		t.Errorf("the set is %s, want failed", set.State)
	}
}

func TestATryAfterAFailedOneSucceedsWithTheSameLinks(t *testing.T) {
	w := newWorld(t)
	e := w.ended(job.KindScraping, "")
	w.upload(e, numbered(1, 1500))
	broken := &faulty{Files: w.files, after: 3, err: errors.New("bucket on fire")}
	w.handler.Files = broken
	if failed := w.handle(1, e); failed != 1 {
		t.Fatal("it did not fail")
	}
	token := w.set(e).Token
	broken.err = nil
	if failed := w.handle(2, e); failed != 0 || w.set(e).Token != token || w.set(e).State != webhook.ResultSetExported || len(w.exported(e)) != 9 {
		t.Errorf("%d come again; set %+v of %d files, want token %s", failed, w.set(e), len(w.exported(e)), token)
	}
}

func TestWhatAnotherInvocationExportedDoesNotFail(t *testing.T) {
	w := newWorld(t)
	e := w.ended(job.KindScraping, "")
	w.upload(e, numbered(1, 3))
	w.handler.Files = &faulty{Files: w.files, err: errors.New("bucket on fire"), before: func() {
		set := w.set(e)
		set.State, set.Pages, set.Records = webhook.ResultSetExported, 1, 3
		w.check(w.store.FinishResultSet(t.Context(), set))
	}}
	if failed := w.handle(export.MaxTries, e); failed != 0 || w.set(e).State != webhook.ResultSetExported {
		t.Errorf("%d come again, set %+v, want a ready one", failed, w.set(e))
	}
	if result, err := w.job(e).ResultSet(); err != nil || result == nil || result.Records != 3 {
		t.Errorf("row %+v, %v, want the ready set", result, err)
	}
}

func TestAJobThatMovedOnIsToldOfByDispatch(t *testing.T) {
	for _, test := range []struct {
		name  string
		jobs  bool
		text  string
		wants string // in the change's new record
	}{
		{"ready", true, numbered(1, 3), `"result_set":{"id":2,"token":`},
		{"failed", true, "[]", `"result_set":{"id":2,"error":"records: part`},
		{"the platform keeps the jobs", false, numbered(1, 3), `"result_set":{"id":2,"token":`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			e := w.ended(job.KindAsync, "")
			w.upload(e, test.text)
			row := `{"account":"acme","kind":"async","id":"7","status":"processing","run":3}`
			w.write(row)
			if !test.jobs {
				w.handler.Jobs = nil
			}
			if failed := w.handle(1, e); failed != 0 || len(w.applied) != 1 {
				t.Fatalf("%d come again, %d changes: %s", failed, len(w.applied), &w.log)
			}
			c := w.applied[0]
			if string(c.Old.Record) != record(job.KindAsync, "") || !strings.Contains(string(c.New.Record), test.wants) || c.Sequence != sequence || !c.At.Equal(worldtest.Start()) {
				t.Errorf("change of %s to %s, %s at %s", c.Old.Record, c.New.Record, c.Sequence, c.At)
			}
			if got := string(w.job(e).Record); got != row {
				t.Errorf("the row became %s", got)
			}
		})
	}
}

func TestDispatchMakesTheWebhookOfARunThatIsOver(t *testing.T) {
	w := newWorld(t)
	e := w.ended(job.KindAsync, "")
	w.upload(e, numbered(1, 3))
	w.write(`{"account":"acme","kind":"async","id":"7","status":"processing","run":3}`)
	w.handler.Dispatch = &dispatch.Handler{Store: w.store, Queue: quiet{}, Now: worldtest.Start}
	for range 2 {
		if failed := w.handle(1, e); failed != 0 {
			t.Fatalf("it failed: %s", &w.log)
		}
	}
	list, _, err := w.store.Events(t.Context(), webhook.EventFilter{Account: "acme", Type: webhook.ResultSetReady, Records: true, Limit: 10})
	if err != nil || len(list) != 1 || list[0].Run != 2 || !strings.Contains(string(list[0].Record), w.set(e).Token) {
		t.Errorf("events %+v, %v, want one of run 2 with its set", list, err)
	}
}

type quiet struct{}

func (quiet) Ring(context.Context, []webhook.Doorbell) error { return nil }

func TestAnExportAnswersInTime(t *testing.T) {
	for _, test := range []struct {
		tries int
		state webhook.ResultSetState
	}{{1, webhook.ResultSetExporting}, {export.MaxTries, webhook.ResultSetFailed}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			e := w.ended(job.KindAsync, "")
			w.upload(e, numbered(1, 3))
			w.handler.Files = &faulty{Files: w.files, hangs: true}
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
			defer cancel()
			began := time.Now()
			failed := w.invoke(ctx, message(e, test.tries))
			if got := time.Since(began); (failed == 1) != (test.tries < export.MaxTries) || ctx.Err() != nil || got != 15*time.Minute-15*time.Second {
				t.Errorf("try %d: %d come again after %s, %v", test.tries, failed, got, ctx.Err())
			}
			if set := w.set(e); set.State != test.state {
				t.Errorf("try %d: %s, want %s", test.tries, set.State, test.state)
			}
		})
	}
}

func TestAHostThatStopsFailsNoExport(t *testing.T) {
	w := newWorld(t)
	e := w.ended(job.KindAsync, "")
	w.upload(e, numbered(1, 3))
	ctx, stop := context.WithCancel(t.Context())
	w.handler.Files = &faulty{Files: w.files, hangs: true, before: stop}
	if failed := w.invoke(ctx, message(e, export.MaxTries)); failed != 1 || w.set(e).State != webhook.ResultSetExporting {
		t.Errorf("%d come again, %s", failed, w.set(e).State)
	}
}

func TestAMessageThatMeansNothingComesAgain(t *testing.T) {
	w := newWorld(t)
	good := w.ended(job.KindAsync, "")
	w.upload(good, numbered(1, 3))
	bad := good
	bad.EventID = "evt_none"
	if failed := w.handle(1, bad, good, webhook.Export{}); failed != 2 || w.set(good).State != webhook.ResultSetExported {
		t.Errorf("%d come again, want 2, and the good one exported", failed)
	}
	if failed := w.invoke(t.Context(), rawJSON(`{"Records":[{"messageId":"1","body":"no JSON"}]}`)); failed != 1 {
		t.Errorf("%d come again, want 1", failed)
	}
}

func message(e webhook.Export, receives int) rawJSON {
	body := fmt.Sprintf(`{"account":%q,"kind":%q,"job":%q,"run":%d,"event":%q}`, e.Account, e.Kind, e.JobID, e.Run, e.EventID)
	return rawJSON(fmt.Sprintf(`{"Records":[{"messageId":"1","body":%q,"attributes":{"ApproximateReceiveCount":"%d"}}]}`, body, receives))
}

// faulty are files that cannot be put.
type faulty struct {
	export.Files
	before  func() // a put
	lock    sync.Mutex
	after   int // puts that succeed
	err     error
	panics  bool
	hangs   bool
	short   bool
	changes bool // what is read the second time
	opened  int
}

func (f *faulty) Put(ctx context.Context, key string, body io.Reader, m files.Meta) error {
	if f.before != nil {
		f.before()
	}
	f.lock.Lock()
	f.after--
	spent := f.after < 0
	f.lock.Unlock()
	switch {
	case f.hangs:
		<-ctx.Done()
		return ctx.Err()
	case f.panics:
		panic("boom")
	case f.short:
		return nil
	case spent && f.err != nil:
		return f.err
	}
	return f.Files.Put(ctx, key, body, m)
}

func (f *faulty) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	if f.opened++; f.changes && f.opened%2 == 0 {
		return io.NopCloser(strings.NewReader("{}")), 2, nil
	}
	return f.Files.Open(ctx, key)
}
