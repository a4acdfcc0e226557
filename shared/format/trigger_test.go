package format_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func eventTypes() []webhook.EventType {
	return append(webhook.OfJobs(), webhook.WebhookTest, webhook.JobUnreadable)
}

// plain returns a job of the kind, in its kind's first status.
func plain(t *testing.T, k job.Kind) job.Job {
	t.Helper()
	return decode(t, fmt.Sprintf(`{"account":"acme","kind":%q,"id":"1","run":1,"status":%q}`, k, job.Statuses(k)[0]))
}

func decode(t *testing.T, record string) job.Job {
	t.Helper()
	j, err := job.Decode([]byte(record))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestFormatSendsItsEventsOfItsKindAndNoOthers(t *testing.T) {
	want := map[string][]string{
		format.SerpWow:    {"batch result_set.ready"},
		format.WebScraper: {"scraping job.finished", "scraping job.failed", "scraping job.stopped"},
		format.HKube:      {"pipeline job.progress", "pipeline job.finished", "pipeline job.failed", "pipeline job.stopped"},
		format.SocialData: {"async job.finished", "async job.failed"},
		format.Standard: {
			"batch job.progress", "batch job.finished", "batch job.failed", "batch job.stopped", "batch result_set.ready", "batch webhook.test",
			"scraping job.progress", "scraping job.finished", "scraping job.failed", "scraping job.stopped", "scraping result_set.ready", "scraping webhook.test",
			"pipeline job.progress", "pipeline job.finished", "pipeline job.failed", "pipeline job.stopped", "pipeline result_set.ready", "pipeline webhook.test",
			"async job.progress", "async job.finished", "async job.failed", "async job.stopped", "async result_set.ready", "async webhook.test",
		},
	}
	got := map[string][]string{}
	for _, f := range format.All() {
		for _, k := range job.Kinds() {
			for _, typ := range eventTypes() {
				e := webhook.Event{Type: typ, Kind: k, Level: job.LevelInfo}
				if f.Declines(e, plain(t, k)) == "" {
					got[f.Name] = append(got[f.Name], fmt.Sprintf("%s %s", k, typ))
				}
			}
		}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("events sent (-got +want):\n%s", diff)
	}
}

func TestReasonNamesWhatTheFormatSendsInstead(t *testing.T) {
	tests := []struct {
		format string
		kind   job.Kind
		event  webhook.EventType
		level  job.Level
		want   string
	}{
		{format.SerpWow, job.KindPipeline, webhook.JobFinished, "", "the serpwow format describes batch jobs only"},
		{format.SocialData, job.KindAsync, webhook.JobProgress, "", "the socialdata format does not send job.progress, only job.finished, job.failed, result_set.ready"},
		{format.HKube, job.KindPipeline, webhook.JobProgress, job.LevelDebug, "level debug is below the job's options.progressVerbosityLevel, which is info"},
		{format.Standard, job.KindBatch, webhook.JobUnreadable, "", "a change that cannot be read is not sent"},
	}
	for _, tt := range tests {
		f, _ := format.Lookup(tt.format)
		got := f.Declines(webhook.Event{Type: tt.event, Level: tt.level}, plain(t, tt.kind))
		if got != tt.want {
			t.Errorf("%s of %s: got %q, want %q", tt.format, tt.event, got, tt.want)
		}
	}
}

func TestSocialDataTellsOfAJobOnceWhenItsDataFileExists(t *testing.T) {
	const ended = `{"account":"a","kind":"async","id":"1","run":1,"status":"success"`
	tests := []struct {
		name, record string
		want         webhook.EventType // the one that is sent
	}{
		{"no records", ended + `}`, webhook.JobFinished},
		{"records", ended + `,"records_run":1}`, webhook.ResultSetReady},
		{"records of an earlier run", ended[:len(ended)-len(`"run":1,"status":"success"`)] + `"run":2,"status":"success","records_run":1}`, webhook.JobFinished},
		{"records and a data file of the platform's", ended + `,"records_run":1,"result":{"datafile_url":"https://example.com/x"}}`, webhook.ResultSetReady},
		{"exported, and the row replaced since", ended + `,"result_set":{"id":1,"token":"t"}}`, webhook.ResultSetReady},
		{"a result set of the platform's", ended + `,"result_set":{"id":1,"files":{}}}`, webhook.JobFinished},
	}
	f, _ := format.Lookup(format.SocialData)
	for _, test := range tests {
		j := decode(t, test.record)
		for _, typ := range []webhook.EventType{webhook.JobFinished, webhook.ResultSetReady} {
			if sent := f.Declines(webhook.Event{Type: typ}, j) == ""; sent != (typ == test.want) {
				t.Errorf("%s: %s is sent: %t", test.name, typ, sent)
			}
		}
	}
	failed := decode(t, `{"account":"a","kind":"async","id":"1","run":1,"status":"error","records_run":1}`)
	if f.Declines(webhook.Event{Type: webhook.JobFailed}, failed) != "" || f.Declines(webhook.Event{Type: webhook.ResultSetReady}, failed) == "" {
		t.Error("a failure is told of at its end, and then only")
	}
}

// The levels stand here once more, from least to most severe, so that turning
// their order around is noticed.
func TestProgressIsSentWhenAtLeastAsSevereAsTheClientAsked(t *testing.T) {
	levels := []job.Level{"trace", "debug", "info", "warn", "error", "critical"}
	f, _ := format.Lookup(format.HKube)
	for wanted, verbosity := range levels {
		j := decode(t, fmt.Sprintf(`{"account":"acme","kind":"pipeline","id":"1","status":"active",
			"options":{"progressVerbosityLevel":%q}}`, verbosity))
		for had, level := range levels {
			reason := f.Declines(webhook.Event{Type: webhook.JobProgress, Level: level}, j)
			if got, want := reason == "", had >= wanted; got != want {
				t.Errorf("level %s to a client who asked for %s: got sent %t, want %t", level, verbosity, got, want)
			}
		}
	}
}

func TestVerbosityIsInfoUnlessTheJobSaysOtherwise(t *testing.T) {
	want := map[job.Level]bool{"trace": false, "debug": false, "info": true, "warn": true, "error": true, "critical": true, "": false}
	f, _ := format.Lookup(format.HKube)
	for level, sent := range want {
		reason := f.Declines(webhook.Event{Type: webhook.JobProgress, Level: level}, plain(t, job.KindPipeline))
		if got := reason == ""; got != sent {
			t.Errorf("level %q: got sent %t, want %t", level, got, sent)
		}
	}
}

func TestResultIsSentWhateverTheLevel(t *testing.T) {
	f, _ := format.Lookup(format.HKube)
	j := decode(t, `{"account":"acme","kind":"pipeline","id":"1","status":"completed","options":{"progressVerbosityLevel":"critical"}}`)
	for _, typ := range []webhook.EventType{webhook.JobFinished, webhook.JobFailed, webhook.JobStopped} {
		if got := f.Declines(webhook.Event{Type: typ, Level: job.LevelTrace}, j); got != "" {
			t.Errorf("%s: got declined as %q, want sent", typ, got)
		}
	}
}

func TestWhatAFormatHasNoBodyForIsAnError(t *testing.T) {
	tests := []struct {
		name   string
		format string
		event  webhook.Event
		want   string
	}{
		{"another kind's job", format.SerpWow,
			webhook.Event{ID: "evt_1", Type: webhook.ResultSetReady, Record: []byte(`{"account":"a","kind":"async","id":"1","status":"success"}`)},
			"describes batch jobs only"},
		{"another type", format.SocialData,
			webhook.Event{ID: "evt_1", Type: webhook.JobStopped, Record: []byte(`{"account":"a","kind":"async","id":"1","status":"success"}`)},
			"does not send job.stopped"},
		{"no snapshot", format.Standard, webhook.Event{ID: "evt_1", Type: webhook.JobFinished}, "evt_1: read its record"},
		{"an unreadable change", format.Standard,
			webhook.Event{ID: "evt_1", Type: webhook.JobUnreadable, Record: []byte(`{"account":"a","kind":"async","id":"1","status":"success"}`)},
			"is not sent"},
		{"no notice", format.Standard, webhook.Event{ID: "evt_1", Type: webhook.EndpointFailingEvent}, "evt_1: encode as standard: read its notice"},
		{"a test", format.WebScraper, webhook.Event{ID: "evt_1", Type: webhook.WebhookTest}, "describes scraping jobs only"},
		{"a progress beyond numbers", format.HKube,
			webhook.Event{ID: "evt_1", Type: webhook.JobProgress, Record: []byte(`{"account":"a","kind":"pipeline","id":"1","status":"active","progress":1e999}`)},
			"progress"},
	}
	for _, tt := range tests {
		f, _ := format.Lookup(tt.format)
		if b, err := f.Encode(tt.event, ""); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %s, error %v, want an error with %q", tt.name, b.Bytes, err, tt.want)
		}
	}
}

func TestNamesAreThoseOfTheFormatsAndAuto(t *testing.T) {
	want := []string{"serpwow", "webscraper", "hkube", "socialdata", "standard", "auto"}
	if diff := cmp.Diff(format.Names(), want); diff != "" {
		t.Errorf("names (-got +want):\n%s", diff)
	}
	for _, name := range want {
		f, ok := format.Lookup(name)
		if ok != (name != format.Auto) || ok && f.Name != name {
			t.Errorf("lookup %s: got %q, %t", name, f.Name, ok)
		}
	}
	if _, ok := format.Lookup("xml"); ok {
		t.Error("lookup xml: got a format, want none")
	}
}

func TestEveryKindHasItsOwnFormat(t *testing.T) {
	want := map[job.Kind]string{
		job.KindBatch: format.SerpWow, job.KindScraping: format.WebScraper,
		job.KindPipeline: format.HKube, job.KindAsync: format.SocialData,
		"unheard-of": format.Standard,
	}
	for k, name := range want {
		if got := format.ForKind(k).Name; got != name {
			t.Errorf("kind %s: got format %s, want %s", k, got, name)
		}
	}
}
