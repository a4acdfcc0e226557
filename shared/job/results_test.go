package job_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/job"
)

func TestResultFilesAreNamedAsSerpWowNamesThem(t *testing.T) {
	set := job.ResultSet{ID: 4, CSVHash: "246f6e2e561c90958384aa76e455e2bc95ad3a01"}
	tests := []struct {
		kind   job.Kind
		id     string
		format string
		page   int
		want   string
	}{
		{job.KindBatch, "9E867FAA", job.FilesJSON, 1, "Batch_Results_9E867FAA_4_Page_1.json"},
		{job.KindBatch, "9E867FAA", job.FilesJSON, 0, "Batch_Results_9E867FAA_4_All_Pages.zip"},
		{job.KindBatch, "9E867FAA", job.FilesJSONLines, 2, "Batch_Results_9E867FAA_4_Page_2.jsonl"},
		{job.KindBatch, "9E867FAA", job.FilesJSONLines, 0, "Batch_Results_9E867FAA_4_All_Pages_jsonlines.zip"},
		{job.KindBatch, "9E867FAA", job.FilesCSV, 1, "Batch_Results_9E867FAA_4_Page_1_246f6e2e561c90958384aa76e455e2bc95ad3a01.csv"},
		{job.KindBatch, "9E867FAA", job.FilesCSV, 0, "Batch_Results_9E867FAA_4_All_Pages_246f6e2e561c90958384aa76e455e2bc95ad3a01.csv"},
		{job.KindScraping, "77", job.FilesJSONLines, 0, "Results_77_4_All_Pages.jsonl"},
		{job.KindAsync, "../a b/\u00e9?", job.FilesJSON, 1, "Results____a_b____4_Page_1.json"},
		{job.KindAsync, strings.Repeat("x", 300), job.FilesJSON, 1, "Results_" + strings.Repeat("x", 100) + "_4_Page_1.json"},
	}
	for _, test := range tests {
		if got := set.FileName(test.kind, test.id, test.format, test.page); got != test.want {
			t.Errorf("%s %s %s page %d: %s, want %s", test.kind, test.id, test.format, test.page, got, test.want)
		}
	}
}

func TestLinksFollowFromTheToken(t *testing.T) {
	set := job.ResultSet{ID: 1, Token: "tok", Pages: 2}
	got, ok := set.Links(job.KindAsync, "7", job.FilesJSON, "https://hooks.example.com/")
	want := job.ResultFiles{
		Pages: []string{
			"https://hooks.example.com/d/tok/Results_7_1_Page_1.json", "https://hooks.example.com/d/tok/Results_7_1_Page_2.json",
		},
		AllPages: "https://hooks.example.com/d/tok/Results_7_1_All_Pages.zip",
	}
	if diff := cmp.Diff(got, want); diff != "" || !ok {
		t.Errorf("links, %t (-got +want):\n%s", ok, diff)
	}
	own := job.ResultFiles{Pages: []string{"https://elsewhere.example/1"}}
	set.Files = map[string]job.ResultFiles{job.FilesJSON: own}
	if got, _ := set.Links(job.KindAsync, "7", job.FilesJSON, ""); !cmp.Equal(got, own) {
		t.Errorf("links %v, want those of the platform", got)
	}
	if _, ok := (job.ResultSet{ID: 1}).Links(job.KindAsync, "7", job.FilesCSV, ""); ok {
		t.Error("a set without token and files has links")
	}
}

func TestAnUploadOfRecordsIsNoProgress(t *testing.T) {
	old := `{"account":"a","kind":"pipeline","id":"1","status":"active","run":2,"progress":10}`
	next := strings.TrimSuffix(old, "}") + `,"records_run":2}`
	if got := transition(t, old, next); got != (job.Transition{Level: job.LevelDebug}) {
		t.Errorf("%+v, want that nothing happened", got)
	}
	if got := transition(t, old, strings.Replace(next, "10", "15", 1)); !got.Progress {
		t.Errorf("progress in the same write: %+v, want progress", got)
	}
	moved := strings.Replace(next, "10", "20", 1)
	if got := transition(t, next, moved); !got.Progress {
		t.Errorf("%+v, want progress", got)
	}
}

func TestAWholeWriteDoesNotForgetTheRecords(t *testing.T) {
	decode := func(record string) job.Job {
		j, err := job.Decode([]byte(record))
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	old := decode(`{"account":"a","kind":"async","id":"1","status":"processing","run":2,"records_run":2}`)
	tests := []struct {
		next string
		want int
	}{
		{`{"account":"a","kind":"async","id":"1","status":"success","run":2}`, 2},
		{`{"account":"a","kind":"async","id":"1","status":"success","run":3}`, 0},
		{`{"account":"a","kind":"async","id":"1","status":"success","run":2,"records_run":1}`, 1},
	}
	for _, test := range tests {
		if got := (job.Change{Old: &old, New: decode(test.next)}).CarryRecords().New.RecordsRun(); got != test.want {
			t.Errorf("%s: records of run %d, want %d", test.next, got, test.want)
		}
	}
}

func TestRecordsBelongToOneRun(t *testing.T) {
	tests := []struct {
		record string
		want   bool
	}{
		{`{"account":"a","kind":"async","id":"1","status":"success","run":2,"records_run":2}`, true},
		{`{"account":"a","kind":"async","id":"1","status":"success","run":2,"records_run":1}`, false},
		{`{"account":"a","kind":"async","id":"1","status":"success","run":2}`, false},
		{`{"account":"a","kind":"async","id":"1","status":"success","records_run":0}`, false},
		{`{"account":"a","kind":"async","id":"1","status":"success","run":2,"records_run":"two"}`, false},
	}
	for _, test := range tests {
		j, err := job.Decode([]byte(test.record))
		if err != nil {
			t.Fatal(err)
		}
		if got := j.HasRecords(); got != test.want {
			t.Errorf("%s: %t, want %t", test.record, got, test.want)
		}
	}
}

func transition(t *testing.T, old, next string) job.Transition {
	t.Helper()
	before, err := job.Decode([]byte(old))
	if err != nil {
		t.Fatal(err)
	}
	after, err := job.Decode([]byte(next))
	if err != nil {
		t.Fatal(err)
	}
	got, err := job.Change{Old: &before, New: after}.Transition()
	if err != nil {
		t.Fatal(err)
	}
	return got
}
