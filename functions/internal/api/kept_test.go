package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/shared/job"
)

const exportedSet = `{"id":1,"token":"t-1-secret","pages":2,"records":1500,"csv_hash":"abc","expires_at":"2026-03-15T12:00:00Z"}`

// export writes a result set to the job, as the export function does.
func (s *site) export(t testing.TB, id, set string) {
	t.Helper()
	_, _, err := s.store.WriteJob(t.Context(), id, job.KindBatch, func(old *job.Job) (job.Job, error) {
		return job.Decode([]byte(strings.TrimSuffix(string(old.Record), "}") + `,"result_set":` + set + `}`))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatJobhookWroteOutlivesThePlatformsWrites(t *testing.T) {
	s := newFileSite(t)
	s.upload("/v1/jobs/1/runs/1/records", "", strings.NewReader("{}"))
	const put = `{"account":"acme","kind":"batch","status":"idle","run":1,"name":"n"}`
	keeps := func(what, body string, set bool) {
		t.Helper()
		got := object(t, body)
		if fmt.Sprint(got["records_run"]) != "1" || (got["result_set"] != nil) != set || strings.Count(body, "records_run") != 1 || strings.Count(body, "result_set") > 1 {
			t.Errorf("after %s: %s", what, body)
		}
	}
	keeps("a patch", s.do(s.platform, "PATCH", "/v1/jobs/1", `{"searches_total":5}`).body, false)
	keeps("the end", s.do(s.platform, "PUT", "/v1/jobs/1", put).body, false)
	s.export(t, "1", exportedSet)
	for what, write := range map[string][2]string{
		"a PUT":                 {"PUT", put},
		"a PATCH":               {"PATCH", `{"name":"m"}`},
		"a PATCH that removes":  {"PATCH", `{"result_set":null,"records_run":null}`},
		"a PUT that removes":    {"PUT", strings.TrimSuffix(put, "}") + `,"result_set":null,"records_run":null}`},
		"a PUT of what is read": {"PUT", s.do(s.platform, "GET", "/v1/jobs/1", "").body},
		"a PUT of the same in another order": {"PUT", strings.TrimSuffix(put, "}") +
			`,"result_set":{"token":"t-1-secret","id":1,"pages":2,"records":1500,"csv_hash":"abc","expires_at":"2026-03-15T12:00:00Z"}}`},
	} {
		got := s.do(s.platform, write[0], "/v1/jobs/1", write[1])
		if got.status != 200 {
			t.Errorf("%s: got %d %s", what, got.status, got.body)
		}
		keeps(what, got.body, true)
	}
	before := len(s.changes(t))
	s.clock.move(1e9)
	s.must(t, 200, s.platform, "PUT", "/v1/jobs/1", put)
	s.must(t, 200, s.platform, "PUT", "/v1/jobs/1", put)
	if n := len(s.changes(t)) - before; n > 1 {
		t.Errorf("%d changes by one write and its repeat", n)
	}
}

func TestANewRunBeginsWithoutWhatTheLastOneLeft(t *testing.T) {
	for name, write := range map[string][2]string{
		"PUT":   {"PUT", `{"account":"acme","kind":"batch","status":"running","run":2}`},
		"PATCH": {"PATCH", `{"status":"running","run":2}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFileSite(t)
			s.upload("/v1/jobs/1/runs/1/records", "", strings.NewReader("{}"))
			s.must(t, 200, s.platform, "PATCH", "/v1/jobs/1", `{"status":"idle"}`)
			s.export(t, "1", exportedSet)
			got := s.must(t, 200, s.platform, write[0], "/v1/jobs/1", write[1])
			if got["records_run"] != nil || got["result_set"] != nil {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestOnlyJobhookWritesWhatItWrites(t *testing.T) {
	s := newFileSite(t)
	s.upload("/v1/jobs/1/runs/1/records", "", strings.NewReader("{}"))
	s.must(t, 200, s.platform, "PATCH", "/v1/jobs/1", `{"status":"idle"}`)
	s.export(t, "1", exportedSet)
	put := func(more string) string {
		return `{"account":"acme","kind":"batch","status":"idle","run":1,` + more + `}`
	}
	for _, tt := range []struct{ method, id, body, field string }{
		{"PUT", "1", put(`"records_run":2`), "records_run"},
		{"PUT", "1", put(`"records_run":"1"`), "records_run"},
		{"PUT", "1", put(`"Records_Run":1`), "Records_Run"},
		{"PUT", "new", put(`"records_run":1`), "records_run"},
		{"PUT", "new", put(`"result_set":{"id":1,"token":"mine"}`), "result_set"},
		{"PUT", "new", put(`"result_set":{"id":1,"error":"mine"}`), "result_set"},
		{"PUT", "new", put(`"result_set":{"id":1,"TOKEN":"mine"}`), "result_set"},
		{"PUT", "new", put(`"RESULT_SET":{"id":1,"token":"mine"}`), "RESULT_SET"},
		{"PUT", "1", put(`"result_set":{"id":1,"token":"another"}`), "result_set"},
		{"PUT", "1", put(`"result_set":{"id":1,"files":{"csv":{"pages":[]}}}`), "result_set"},
		{"PATCH", "1", `{"result_set":{"token":"another"}}`, "result_set"},
		{"PATCH", "1", `{"result_set":{"files":{"csv":{"pages":[]}}}}`, "result_set"},
		{"PATCH", "1", `{"records_run":7}`, "records_run"},
	} {
		before := s.stored(t)
		got := s.do(s.platform, tt.method, "/v1/jobs/"+tt.id, tt.body)
		p := got.problem(t)
		if got.status != 422 || len(p.Errors) != 1 || p.Errors[0].Field != tt.field || s.stored(t) != before {
			t.Errorf("%s %s: got %d %s, want 422 for %s", tt.method, tt.body, got.status, got.body, tt.field)
		}
	}
}

func TestAPlatformNamesFilesOfItsOwn(t *testing.T) {
	s := newSite(t)
	const files = `"result_set":{"id":1,"files":{"csv":{"pages":["https://files.example/1.csv"]}}}`
	got := s.do(s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"batch","status":"idle","run":1,`+files+`,"name":"n"}`)
	if got.status != 201 || !strings.Contains(got.body, files+`,"name"`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	got = s.do(s.platform, "PATCH", "/v1/jobs/1", `{"name":"m"}`)
	if got.status != 200 || !strings.Contains(got.body, files) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
