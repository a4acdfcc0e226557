package format_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestStandardBodyIsSmallWhateverTheRecordHolds(t *testing.T) {
	const bound = 64 << 10
	filled := func(start, unit, end string) string {
		n := (job.MaxRecordBytes - len(start) - len(end)) / len(unit)
		return start + strings.Repeat(unit, n) + end
	}
	text := strings.Repeat("\u2028", 10_000)
	tests := []struct {
		name   string
		event  webhook.EventType
		record string
	}{
		{"a page link a record", webhook.ResultSetReady, filled(
			`{"account":"a","kind":"batch","id":"1","run":1,"status":"idle","result_set":{"id":1,"files":{"json":{"all_pages":"https://e.example/all.zip","pages":[""`,
			`,"https://e.example/1"`, `]}}}}`)},
		{"endless links", webhook.ResultSetReady, filled(
			`{"account":"a","kind":"async","id":"1","run":1,"status":"success","result_set":{"id":1,"files":{"csv":{"pages":[],"all_pages":"`, "\u2028", `"}}}}`)},
		{"a format nobody knows", webhook.ResultSetReady, filled(
			`{"account":"a","kind":"batch","id":"1","run":1,"status":"idle","result_set":{"id":1,"files":{"`, "\u2028", `":{"pages":[]}}}}`)},
		{"endless results", webhook.JobFinished, filled(
			`{"account":"a","kind":"pipeline","id":"1","run":1,"status":"completed","result":[{"nodeName":"n"}`, `,{"nodeName":"n"}`, `]}`)},
		{"endless message", webhook.JobFailed, filled(
			`{"account":"a","kind":"async","id":"1","run":1,"status":"error","message":"`, "\u2028", `"}`)},
		{"endless digits", webhook.JobProgress, filled(
			`{"account":"a","kind":"pipeline","id":"1","run":1,"status":"active","progress":1.`, `3`, `}`)},
		{"endless texts", webhook.JobProgress, fmt.Sprintf(
			`{"account":"a","kind":"pipeline","id":"%s","run":1,"status":"active","progress":99.999,"error":%q,"reason":%[2]q,"details":%[2]q}`,
			strings.Repeat("%", job.MaxIDBytes), text)},
	}
	for _, tt := range tests {
		e := webhook.Event{ID: "evt_1", Type: tt.event, At: time.Unix(0, 0), Level: job.LevelInfo, Record: json.RawMessage(tt.record)}
		if got := len(encode(t, format.Standard, e).Bytes); got > bound {
			t.Errorf("%s: got a body of %d bytes from a record of %d, want at most %d", tt.name, got, len(tt.record), bound)
		}
	}
}

func TestStandardBodyCountsPagesAndLinksThemTogether(t *testing.T) {
	e := event(webhook.ResultSetReady, `{"account":"a","kind":"batch","id":"1","run":2,"status":"idle","result_set":{"id":2,"files":{
		"csv":{"pages":["https://e.example/1","https://e.example/2"],"all_pages":"https://e.example/all"},"json":{"pages":[]}}}}`)
	got := field(t, encode(t, format.Standard, e), "data", "result_set")
	want := `{"id":2,"files":{"json":{"pages":0},"csv":{"pages":2,"all_pages":"https://e.example/all"}}}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestStandardBodyOfABatchThatAskedForNoFiles(t *testing.T) {
	e := event(webhook.ResultSetReady, `{"account":"a","kind":"batch","id":"1","run":2,"status":"idle"}`)
	got, want := field(t, encode(t, format.Standard, e), "data", "result_set"), `{"id":2,"files":{}}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestStandardTextIsCutBetweenCharacters(t *testing.T) {
	tests := []struct {
		name, text string
		want       int // bytes
	}{
		{"as long as may be", strings.Repeat("a", 1024), 1024},
		{"one byte too long", strings.Repeat("a", 1025), 1024},
		{"two-byte characters", "a" + strings.Repeat("é", 600), 1023},
		{"four-byte characters", "abc" + strings.Repeat("😀", 300), 1023},
	}
	for _, tt := range tests {
		record, _ := json.Marshal(map[string]any{"account": "a", "kind": "async", "id": "1", "status": "error", "message": tt.text})
		var got string
		if err := json.Unmarshal([]byte(field(t, encode(t, format.Standard, event(webhook.JobFailed, string(record))), "data", "message")), &got); err != nil {
			t.Fatal(err)
		}
		if len(got) != tt.want || !utf8.ValidString(got) || !strings.HasPrefix(tt.text, got) {
			t.Errorf("%s: got %d bytes, want the first %d", tt.name, len(got), tt.want)
		}
	}
}

func TestStandardCountsAreThoseTheRecordHolds(t *testing.T) {
	tests := []struct{ name, record, want string }{
		{"batch", `{"account":"a","kind":"batch","id":"1","run":1,"status":"idle","searches_failed":0,"searches_total":7}`,
			`{"searches_total":7,"searches_failed":0}`},
		{"batch with a stranger's counter", `{"account":"a","kind":"batch","id":"1","run":1,"status":"idle","jobs_failed":"many"}`, ""},
		{"scraping", `{"account":"a","kind":"scraping","id":"1","status":"finished","stored_record_count":5,"jobs_empty":null,"jobs_scheduled":1}`,
			`{"jobs_scheduled":1,"stored_record_count":5}`},
		{"async", `{"account":"a","kind":"async","id":"1","status":"success","searches_total":7}`, ""},
	}
	for _, tt := range tests {
		got := field(t, encode(t, format.Standard, event(webhook.JobFinished, tt.record)), "data", "counts")
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestStandardLinkIsLeftOutWithoutAPublicURLAndEscapesTheJob(t *testing.T) {
	e := event(webhook.JobFinished, `{"account":"a","kind":"async","id":"a/b?c","status":"success"}`)
	f, _ := format.Lookup(format.Standard)
	for publicURL, want := range map[string]string{
		"":                     "",
		"https://e.example":    `{"job":"https://e.example/v1/jobs/a%2Fb%3Fc"}`,
		"https://e.example/x/": `{"job":"https://e.example/x/v1/jobs/a%2Fb%3Fc"}`,
	} {
		b, err := f.Encode(e, publicURL)
		if err != nil {
			t.Fatal(err)
		}
		if got := field(t, b, "data", "links"); got != want {
			t.Errorf("public URL %q: got %s, want %s", publicURL, got, want)
		}
	}
}

func TestSocialDataJobIsTheWebhooksData(t *testing.T) {
	tests := []struct{ name, record, want string }{
		{"success", `{"account":"a","kind":"async","id":42,"status":"success","result":{"datafile_url":"https://e.example/?a=1&b=<2>"}}`,
			`{"job_id":42,"status":"success","result":{"datafile_url":"https://e.example/?a=1&b=<2>"}}`},
		{"success without a file", `{"account":"a","kind":"async","id":"42","status":"success","result":{}}`,
			`{"job_id":42,"status":"success"}`},
		{"error", `{"account":"a","kind":"async","id":0,"status":"error","message":"no such user"}`,
			`{"job_id":0,"status":"error","message":"no such user"}`},
		{"error without a message", `{"account":"a","kind":"async","id":7,"status":"error"}`, `{"job_id":7,"status":"error"}`},
		{"a number beyond 64 bits", `{"account":"a","kind":"async","id":"123456789012345678901234567890","status":"error"}`,
			`{"job_id":123456789012345678901234567890,"status":"error"}`},
		{"leading zero", `{"account":"a","kind":"async","id":"007","status":"error"}`, `{"job_id":"007","status":"error"}`},
		{"no number", `{"account":"a","kind":"async","id":"job-7","status":"error"}`, `{"job_id":"job-7","status":"error"}`},
		{"a fraction", `{"account":"a","kind":"async","id":1.5,"status":"error"}`, `{"job_id":"1.5","status":"error"}`},
	}
	for _, tt := range tests {
		j := decode(t, tt.record)
		got, err := format.SocialDataJob(j, publicURL)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		sent := string(encode(t, format.SocialData, event(webhook.EndOf(j.Outcome()), tt.record)).Bytes)
		if want := `{"event":"job_finished","data":` + tt.want + `}`; sent != want {
			t.Errorf("%s: sent %s, want %s", tt.name, sent, want)
		}
	}
}

func TestSocialDataJobUnderWayHasNeitherResultNorMessage(t *testing.T) {
	got, err := format.SocialDataJob(decode(t, `{"account":"a","kind":"async","id":42,"status":"processing","message":"m","result":{"datafile_url":"u"}}`), publicURL)
	if want := `{"job_id":42,"status":"processing"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestSerpWowLinksAreThoseAskedForAndThere(t *testing.T) {
	const files = `"result_set":{"id":1,"files":{"json":{"pages":["j"],"all_pages":"J"},"jsonlines":{"pages":["l"]},"csv":{}}}`
	tests := []struct{ name, asked, want string }{
		{"nothing asked for", files, `{}`},
		{"json", `"notification_as_json":true,` + files, `{"json":{"pages":["j"],"all_pages":"J"}}`},
		{"all, asked for in another order", `"notification_as_csv":true,"notification_as_jsonlines":true,"notification_as_json":true,` + files,
			`{"json":{"pages":["j"],"all_pages":"J"},"jsonlines":{"pages":["l"]},"csv":{"pages":[]}}`},
		{"asked for, but not there", `"notification_as_csv":true,"result_set":{"id":1,"files":{}}`, `{}`},
	}
	for _, tt := range tests {
		e := event(webhook.ResultSetReady, `{"account":"a","kind":"batch","id":"1","run":1,"status":"idle",`+tt.asked+`}`)
		if got := field(t, encode(t, format.SerpWow, e), "result_set", "download_links"); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestSerpWowResultSetIsTheRunOrWhatTheResultSetSays(t *testing.T) {
	for record, want := range map[string]string{
		`{"account":"a","kind":"batch","id":"1","status":"idle","run":3}`:                                      "3",
		`{"account":"a","kind":"batch","id":"1","status":"idle","result_set":{"id":9,"files":{}}}`:             "9",
		`{"account":"a","kind":"batch","id":"1","status":"idle","run":3,"result_set":{"id":9,"files":{}}}`:     "3",
		`{"account":"a","kind":"batch","id":"1","status":"idle","notification_webhook":"https://e.example/1"}`: "0",
	} {
		if got := field(t, encode(t, format.SerpWow, event(webhook.ResultSetReady, record)), "result_set", "id"); got != want {
			t.Errorf("%s: got result set %s, want %s", record, got, want)
		}
	}
}

func TestHKubeProgressIsAStringWithTwoDecimals(t *testing.T) {
	tests := []struct{ name, status, progress, want string }{
		{"whole", "active", `,"progress":50`, `{"progress":"50.00"}`},
		{"nothing done yet", "active", `,"progress":0`, `{"progress":"0.00"}`},
		{"long", "active", `,"progress":66.66666`, `{"progress":"66.67"}`},
		{"a string already", "active", `,"progress":"33.33"`, `{"progress":"33.33"}`},
		{"unknown", "active", ``, `{}`},
		{"null", "active", `,"progress":null`, `{}`},
		{"completed", "completed", ``, `{"progress":"100.00"}`},
		{"failed on the way", "failed", ``, `{}`},
	}
	for _, tt := range tests {
		e := event(webhook.JobProgress, fmt.Sprintf(`{"account":"a","kind":"pipeline","id":"1","status":%q%s}`, tt.status, tt.progress))
		if got := field(t, encode(t, format.HKube, e), "data"); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestHKubeEndsWithResultsOrErrorOrReason(t *testing.T) {
	const rest = `,"name":"p","error":"e","nodeName":"n","reason":"r"`
	tests := []struct{ name, status, more, want string }{
		{"completed", "completed", rest + `,"result":[{"nodeName":"n","algorithmName":"a","result":{"b":[1]}}]`,
			`"status":"completed","data":{"result":[{"nodeName":"n","algorithmName":"a","result":{"b":[1]}}]}}`},
		{"completed with nothing to show", "completed", rest, `"status":"completed","data":{"result":[]}}`},
		{"failed", "failed", rest, `"status":"failed","error":"e","nodeName":"n"}`},
		{"stopped", "stopped", rest, `"status":"stopped","reason":"r"}`},
	}
	for _, tt := range tests {
		record := fmt.Sprintf(`{"account":"a","kind":"pipeline","id":"1","status":%q%s}`, tt.status, tt.more)
		got := string(encode(t, format.HKube, event(webhook.EndOf(decode(t, record).Outcome()), record)).Bytes)
		want := `{"jobId":"1","timestamp":"2026-01-01T00:00:00.000Z","pipeline":"p",` + tt.want
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", tt.name, diff)
		}
	}
}

func TestHKubeAnswersAreTheWebhooksBodies(t *testing.T) {
	const record = `{"account":"a","kind":"pipeline","id":"1","status":"completed","name":"p"}`
	e := event(webhook.JobProgress, record)
	status, err := format.HKubeStatus(decode(t, record), e.At, e.Level)
	if sent := encode(t, format.HKube, e).Bytes; err != nil || !bytes.Equal(status, sent) {
		t.Errorf("status: got %s, %v, want %s", status, err, sent)
	}
	e.Type = webhook.JobFinished
	result, err := format.HKubeResult(decode(t, record), e.At)
	if sent := encode(t, format.HKube, e).Bytes; err != nil || !bytes.Equal(result, sent) {
		t.Errorf("result: got %s, %v, want %s", result, err, sent)
	}
}

func TestCharactersOfLinksAreNotEscaped(t *testing.T) {
	const url = "https://e.example/?a=1&b=<2>"
	tests := []struct {
		format string
		event  webhook.EventType
		record string
	}{
		{format.SerpWow, webhook.ResultSetReady, `{"account":"a","kind":"batch","id":"1","run":1,"status":"idle","notification_as_json":true,"result_set":{"id":1,"files":{"json":{"all_pages":"` + url + `"}}}}`},
		{format.HKube, webhook.JobFinished, `{"account":"a","kind":"pipeline","id":"1","status":"completed","result":[{"result":"` + url + `"}]}`},
		{format.HKube, webhook.JobProgress, `{"account":"a","kind":"pipeline","id":"1","status":"active","details":"` + url + `"}`},
		{format.SocialData, webhook.JobFinished, `{"account":"a","kind":"async","id":"1","status":"success","result":{"datafile_url":"` + url + `"}}`},
		{format.Standard, webhook.ResultSetReady, `{"account":"a","kind":"batch","id":"1","run":1,"status":"idle","result_set":{"id":1,"files":{"json":{"all_pages":"` + url + `"}}}}`},
	}
	for _, tt := range tests {
		got := string(encode(t, tt.format, event(tt.event, tt.record)).Bytes)
		if !strings.Contains(got, `"`+url+`"`) || strings.HasSuffix(got, "\n") {
			t.Errorf("%s, %s: got %q, want %s as it is and no newline", tt.format, tt.event, got, url)
		}
	}
}

func TestWebScraperFormIsReadBackAsGiven(t *testing.T) {
	got := string(encode(t, format.WebScraper, event(webhook.JobStopped,
		`{"account":"a","kind":"scraping","id":1,"status":"stopped","sitemap_id":2,"sitemap_name":"a b&c=d+ä","custom_id":3}`)).Bytes)
	want := "scrapingjob_id=1&status=stopped&sitemap_id=2&sitemap_name=a+b%26c%3Dd%2B%C3%A4&custom_id=3"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// event returns an event at the first moment of 2026, of level info.
func event(t webhook.EventType, record string) webhook.Event {
	return webhook.Event{
		ID: "evt_1", Type: t, Level: job.LevelInfo, Record: json.RawMessage(record),
		At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

// field returns the JSON at the path in a body, "" when there is none.
func field(t *testing.T, b format.Body, path ...string) string {
	t.Helper()
	value := json.RawMessage(b.Bytes)
	for _, name := range path {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(value, &object); err != nil {
			t.Fatalf("%s: %v", b.Bytes, err)
		}
		value = object[name]
	}
	return string(value)
}
