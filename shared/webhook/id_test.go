package webhook_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func batchJob() job.Job {
	return job.Job{
		Account: "acme", Kind: job.KindBatch, ID: "b1", Run: 1,
		CreatedAt: time.Date(2020, 1, 2, 3, 4, 5, 6e6, time.UTC),
	}
}

// Ids must never change: a stream record that is replayed after a deployment
// would make a second delivery.
func TestIDsStayAsTheyAre(t *testing.T) {
	noTime := batchJob()
	noTime.CreatedAt = time.Time{}
	uncounted := batchJob()
	uncounted.Run = 0
	for _, tt := range []struct {
		name     string
		job      job.Job
		event    webhook.EventType
		sequence string
		target   webhook.Target
		wantID   string
		wantDlv  string
	}{
		{"an end", batchJob(), webhook.JobFinished, "100", webhook.Target{Endpoint: "ep_1"}, "evt_01dxj3bk4ennj2w0zth7whpq7b", "dlv_01dxj3bk4ennj2w0zth7whpq7bpf79nfqpjr"},
		{"progress", batchJob(), webhook.JobProgress, "100", webhook.Target{Endpoint: "ep_1"}, "evt_01dxj3bk4ehhy3fygsg1ezh7fp", "dlv_01dxj3bk4ehhy3fygsg1ezh7fppf79nfqpjr"},
		{"a job without a run", uncounted, webhook.JobFinished, "100", webhook.Target{URL: "https://example.com/h"}, "evt_01dxj3bk4en0m1ff75q6fnbwr2", "dlv_01dxj3bk4en0m1ff75q6fnbwr24eyq7n1f7h"},
		{"a job without a time", noTime, webhook.ResultSetReady, "", webhook.Target{Endpoint: "ep_1", URL: "https://example.com/h"}, "evt_0000000000c2r0p9d5n5zp7tqf", "dlv_0000000000c2r0p9d5n5zp7tqfpf79nfqpjr"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := webhook.EventID(tt.job, tt.event, tt.sequence)
			if got != tt.wantID {
				t.Errorf("event: got %s, want %s", got, tt.wantID)
			}
			if got := webhook.DeliveryID(got, tt.target); got != tt.wantDlv {
				t.Errorf("delivery: got %s, want %s", got, tt.wantDlv)
			}
		})
	}
}

func TestWhatTellsEventsApart(t *testing.T) {
	with := func(change func(*job.Job)) job.Job {
		j := batchJob()
		change(&j)
		return j
	}
	uncounted := with(func(j *job.Job) { j.Run = 0 })
	for _, tt := range []struct {
		name         string
		a, b         job.Job
		typeA, typeB webhook.EventType
		seqA, seqB   string
		same         bool
	}{
		{"the same change", batchJob(), batchJob(), webhook.JobFinished, webhook.JobFinished, "1", "1", true},
		{"once per run is once, wherever in the feed", batchJob(), batchJob(), webhook.JobFinished, webhook.JobFinished, "1", "2", true},
		{"the status and the record do not matter", batchJob(), with(func(j *job.Job) { j.Status, j.Record = "idle", []byte("{}") }),
			webhook.JobFinished, webhook.JobFinished, "1", "1", true},
		{"type", batchJob(), batchJob(), webhook.JobFinished, webhook.ResultSetReady, "1", "1", false},
		{"run", batchJob(), with(func(j *job.Job) { j.Run = 2 }), webhook.JobFinished, webhook.JobFinished, "1", "1", false},
		{"account", batchJob(), with(func(j *job.Job) { j.Account = "acm" }), webhook.JobFinished, webhook.JobFinished, "1", "1", false},
		{"kind", batchJob(), with(func(j *job.Job) { j.Kind = job.KindAsync }), webhook.JobFinished, webhook.JobFinished, "1", "1", false},
		{"job", batchJob(), with(func(j *job.Job) { j.ID = "b2" }), webhook.JobFinished, webhook.JobFinished, "1", "1", false},
		{"job and run that read alike", batchJob(), with(func(j *job.Job) { j.ID, j.Run = "b", 11 }), webhook.JobFinished, webhook.JobFinished, "1", "1", false},
		{"progress, by its place in the feed", batchJob(), batchJob(), webhook.JobProgress, webhook.JobProgress, "1", "2", false},
		{"progress read twice", batchJob(), batchJob(), webhook.JobProgress, webhook.JobProgress, "1", "1", true},
		{"unreadable changes, by their place in the feed", batchJob(), batchJob(), webhook.JobUnreadable, webhook.JobUnreadable, "1", "2", false},
		{"ends of a job without runs, by their place in the feed", uncounted, uncounted, webhook.JobFinished, webhook.JobFinished, "1", "2", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := webhook.EventID(tt.a, tt.typeA, tt.seqA), webhook.EventID(tt.b, tt.typeB, tt.seqB)
			if got := a == b; got != tt.same {
				t.Errorf("%s and %s: got the same id %v, want %v", a, b, got, tt.same)
			}
		})
	}
}

func TestWhatTellsDeliveriesApart(t *testing.T) {
	const event = "evt_00000000000123456789abcdef"
	one := webhook.Target{Endpoint: "ep_1", URL: "https://example.com/1", Format: "standard"}
	for _, tt := range []struct {
		name  string
		event string
		other webhook.Target
		same  bool
	}{
		{"an endpoint stays itself with a new URL and format", event, webhook.Target{Endpoint: "ep_1", URL: "https://example.com/2", Format: "hkube"}, true},
		{"another endpoint with the same URL", event, webhook.Target{Endpoint: "ep_2", URL: "https://example.com/1"}, false},
		{"the URL without the endpoint", event, webhook.Target{URL: "https://example.com/1"}, false},
		{"another event", "evt_00000000000123456789abcdeg", one, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := webhook.DeliveryID(event, one), webhook.DeliveryID(tt.event, tt.other)
			if got := a == b; got != tt.same {
				t.Errorf("%s and %s: got the same id %v, want %v", a, b, got, tt.same)
			}
		})
	}
}

func TestTimePrefixSortsAsTimeDoes(t *testing.T) {
	ms := rapid.Int64Range(0, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMilli())
	rapid.Check(t, func(t *rapid.T) {
		a, b := time.UnixMilli(ms.Draw(t, "a")), time.UnixMilli(ms.Draw(t, "b"))
		textA, textB := webhook.TimePrefix(a), webhook.TimePrefix(b)
		if got, want := strings.Compare(textA, textB), a.Compare(b); got != want {
			t.Fatalf("%v is %s and %v is %s: got order %d, want %d", a, textA, b, textB, got, want)
		}
		if len(textA) != 10 {
			t.Fatalf("%v: got %d characters, want 10", a, len(textA))
		}
	})
}

func TestTimesBefore1970CountAs1970(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Unix(-1, 0)} {
		if got, want := webhook.TimePrefix(at), "0000000000"; got != want {
			t.Errorf("%v: got %s, want %s", at, got, want)
		}
	}
}

func TestDeliveriesAreFoundByTheirJobsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := batchJob()
		j.ID = rapid.StringMatching(`[!-~]{1,20}`).Draw(t, "job")
		j.CreatedAt = time.UnixMilli(rapid.Int64Range(-1, 1<<47).Draw(t, "created"))
		event := webhook.EventID(j, webhook.JobFinished, "")
		delivery := webhook.DeliveryID(event, webhook.Target{URL: rapid.String().Draw(t, "url")})
		of, at := webhook.DeliveryPrefixOf(event), webhook.DeliveryPrefix(j.CreatedAt)
		if of != at || !strings.HasPrefix(delivery, of) {
			t.Fatalf("delivery %s: prefixes %s by event and %s by time, want one that begins it", delivery, of, at)
		}
		if len(event) != len("evt_")+26 || len(delivery) != len("dlv_")+36 {
			t.Fatalf("got ids %s and %s, want 26 and 36 characters after the prefix", event, delivery)
		}
	})
}

func TestAShortEventIDGivesAShortPrefix(t *testing.T) {
	if got, want := webhook.DeliveryPrefixOf("evt_01"), "dlv_01"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
