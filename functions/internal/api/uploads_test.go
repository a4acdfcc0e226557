package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/disk"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
)

// fileSite is a site that keeps files, and a job of acme that runs.
type fileSite struct {
	*site
	files *disk.Files
}

func newFileSite(t testing.TB) *fileSite {
	t.Helper()
	s := &fileSite{site: newSite(t), files: disk.New(t.TempDir())}
	s.with(func(c *api.Config) { c.Files, c.Local = s.files, s.files })
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"batch","status":"running"}`)
	return s
}

// with changes the configuration.
func (s *fileSite) with(change func(*api.Config)) {
	change(&s.config)
	s.API = api.New(s.config)
}

func (s *fileSite) upload(target, contentType string, body io.Reader) answer {
	r := httptest.NewRequest("POST", target, body)
	r.Header.Set("Authorization", "Bearer "+s.platform)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return s.send(r)
}

func (s *fileSite) content(t testing.TB, key string) string {
	t.Helper()
	r, _, err := s.files.Open(t.Context(), key)
	if err != nil {
		return "absent"
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// runFolder has the records of run 1 of the job.
func runFolder() string { return files.RecordsFolder("acme", job.KindBatch, "1", 1) }

func TestRecordsAreUploadedInParts(t *testing.T) {
	s := newFileSite(t)
	const records = "/v1/jobs/1/runs/1/records"
	before := len(s.changes(t))
	for _, part := range []struct{ query, body, want string }{
		{"", "{\"n\":1}\n{\"n\":2}", `{"part":1,"records":2,"bytes":15}`},
		{"?part=10000", "{}\r\n\n", `{"part":10000,"records":1,"bytes":5}`},
		{"?part=2&kind=batch", "", `{"part":2,"records":0,"bytes":0}`},
		{"?part=1", "{\"n\":3}\n", `{"part":1,"records":1,"bytes":8}`}, // takes the place of the first
	} {
		got := s.upload(records+part.query, "application/x-ndjson", strings.NewReader(part.body))
		if got.status != 200 || strings.TrimSpace(got.body) != part.want {
			t.Errorf("%s: got %d %s, want %s", part.query, got.status, got.body, part.want)
		}
	}
	if got := s.content(t, runFolder()+files.Part(1)); got != "{\"n\":3}\n" {
		t.Errorf("part 1 is %q", got)
	}
	list := s.must(t, 200, s.platform, "GET", records, "")["items"].([]any)
	if len(list) != 3 || fmt.Sprint(list[2].(map[string]any)["part"]) != "10000" || list[0].(map[string]any)["uploaded_at"] == nil {
		t.Errorf("parts %v", list)
	}
	if got := s.must(t, 200, s.acme, "GET", "/v1/jobs/1", ""); fmt.Sprint(got["records_run"]) != "1" {
		t.Errorf("job %v, want records_run 1", got)
	}
	if n := len(s.changes(t)) - before; n != 1 {
		t.Errorf("%d changes of the job, want one for all parts", n)
	}
}

func TestInputsAreUploadedInParts(t *testing.T) {
	s := newFileSite(t)
	got := s.upload("/v1/jobs/1/inputs?part=3", "application/jsonl", strings.NewReader(`{"q":"pizza"}`))
	if got.status != 200 || s.content(t, files.InputsFolder("acme", job.KindBatch, "1")+files.Part(3)) != `{"q":"pizza"}` {
		t.Errorf("got %d %s", got.status, got.body)
	}
	list := s.must(t, 200, s.platform, "GET", "/v1/jobs/1/inputs", "")["items"].([]any)
	if len(list) != 1 || fmt.Sprint(list[0].(map[string]any)["part"]) != "3" {
		t.Errorf("parts %v", list)
	}
	if got := s.must(t, 200, s.acme, "GET", "/v1/jobs/1", ""); got["records_run"] != nil {
		t.Errorf("inputs count as records: %v", got)
	}
}

// patterned is a body of so many bytes of lines, which costs no memory.
func patterned(n int64) io.Reader { return io.LimitReader(&lines{}, n) }

type lines struct{ at int }

func (l *lines) Read(p []byte) (int, error) {
	const line = "{\"text\":\"0123456789012345678901234567890123456789012345\"}\n"
	for i := range p {
		p[i] = line[(l.at+i)%len(line)]
	}
	l.at += len(p)
	return len(p), nil
}

func TestARefusedUploadKeepsNothing(t *testing.T) {
	s := newFileSite(t)
	s.with(func(c *api.Config) { c.MaxUpload = 1 << 20 })
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/ended", `{"account":"acme","kind":"async","status":"success"}`)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/twice", `{"account":"acme","kind":"async","status":"pending"}`)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/twice", `{"account":"acme","kind":"batch","status":"running"}`)
	good := func() io.Reader { return strings.NewReader("{}\n") }
	for _, tt := range []struct {
		name, target, contentType string
		body                      io.Reader
		status                    int
		code, field               string
	}{
		{"a bad line", "/v1/jobs/1/runs/1/records", "application/jsonl", strings.NewReader("{}\n{}\n[1]\n{}\n"), 422, "invalid", "line 3"},
		{"a bad last line", "/v1/jobs/1/runs/1/records", "", strings.NewReader("{}\n{\"n\":"), 422, "invalid", "line 2"},
		{"no UTF-8", "/v1/jobs/1/inputs", "", strings.NewReader("{\"n\":\"\xff\"}"), 422, "invalid", "line 1"},
		{"binary", "/v1/jobs/1/inputs", "application/octet-stream", strings.NewReader("\x1f\x8b\x08\x00"), 422, "invalid", "line 1"},
		{"too large", "/v1/jobs/1/runs/1/records", "", patterned(1<<20 + 1), 413, "too-large", ""},
		{"breaks off", "/v1/jobs/1/runs/1/records", "", io.MultiReader(good(), breaking{}), 400, "malformed", ""},
		{"form", "/v1/jobs/1/runs/1/records", "application/x-www-form-urlencoded", good(), 415, "unsupported-media-type", "-"},
		{"a JSON document", "/v1/jobs/1/runs/1/records", "application/json", good(), 415, "unsupported-media-type", "-"},
		{"part zero", "/v1/jobs/1/runs/1/records?part=0", "", good(), 422, "invalid", "part"},
		{"part too high", "/v1/jobs/1/inputs?part=10001", "", good(), 422, "invalid", "part"},
		{"run zero", "/v1/jobs/1/runs/0/records", "", good(), 422, "invalid", "run"},
		{"no run", "/v1/jobs/1/runs/one/records", "", good(), 422, "invalid", "run"},
		{"another run", "/v1/jobs/1/runs/2/records", "", good(), 409, "other-run", "run"},
		{"a run that has ended", "/v1/jobs/ended/runs/1/records", "", good(), 409, "run-ended", "run"},
		{"no such job", "/v1/jobs/none/runs/1/records", "", good(), 404, "not-found", "-"},
		{"no such job for inputs", "/v1/jobs/none/inputs", "", good(), 404, "not-found", "-"},
		{"jobs of two kinds", "/v1/jobs/twice/runs/1/records", "", good(), 409, "ambiguous-kind", "kind"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.upload(tt.target, tt.contentType, tt.body)
			p := got.problem(t)
			if got.status != tt.status || p.Type != "/problems/"+tt.code || tt.field != "-" && (len(p.Errors) != 1 || p.Errors[0].Field != tt.field) {
				t.Errorf("got %d %s, want %d %s %s", got.status, got.body, tt.status, tt.code, tt.field)
			}
			if list, err := s.files.List(t.Context(), "", 10); err != nil || len(list) != 0 {
				t.Errorf("files %v, %v, want none", list, err)
			}
			if j := s.must(t, 200, s.platform, "GET", "/v1/jobs/1", ""); j["records_run"] != nil {
				t.Errorf("the job says that there are records: %v", j)
			}
		})
	}
}

func TestAFailedReplacementLeavesThePartAsItWas(t *testing.T) {
	s := newFileSite(t)
	s.upload("/v1/jobs/1/runs/1/records", "", strings.NewReader("{\"n\":1}\n"))
	s.upload("/v1/jobs/1/runs/1/records", "", strings.NewReader("{\"n\":2}\nx"))
	if got := s.content(t, runFolder()+files.Part(1)); got != "{\"n\":1}\n" {
		t.Errorf("part 1 is %q", got)
	}
}

func TestAnUploadStreams(t *testing.T) {
	s := newFileSite(t)
	const size = 58 * 200_000
	kept := &countingFiles{Files: s.files}
	s.with(func(c *api.Config) { c.Files = kept })
	body := &countingReader{Reader: patterned(size)}
	body.each = func() {
		if held := body.n.Load() - kept.taken.n.Load(); held > 1<<20 {
			t.Errorf("%d bytes of the body are read and not yet given to the files", held)
		}
	}
	got := s.upload("/v1/jobs/1/runs/1/records", "", body)
	if want := fmt.Sprintf(`{"part":1,"records":%d,"bytes":%d}`, size/58, size); got.status != 200 || strings.TrimSpace(got.body) != want {
		t.Errorf("got %d %s, want %s", got.status, got.body, want)
	}
	list, err := s.files.List(t.Context(), runFolder(), 2)
	if err != nil || len(list) != 1 || list[0].Size != size {
		t.Errorf("files %v, %v", list, err)
	}
}

// countingReader counts what it reads.
type countingReader struct {
	io.Reader
	n    atomic.Int64
	each func() // called before each read; nil: nothing is
}

func (r *countingReader) Read(p []byte) (int, error) {
	if r.each != nil {
		r.each()
	}
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}

// countingFiles count what they are given of one file.
type countingFiles struct {
	*disk.Files
	taken countingReader
}

func (f *countingFiles) Put(ctx context.Context, key string, body io.Reader, m files.Meta) error {
	f.taken.Reader = body
	return f.Files.Put(ctx, key, &f.taken, m)
}

// TestTheLargestRecordTakesWhatJobhookAdds: its run gets records, ends, and
// keeps what the export wrote.
func TestTheLargestRecordTakesWhatJobhookAdds(t *testing.T) {
	const limit = job.MaxRecordBytes - 1024
	s := newFileSite(t)
	write := func(pad int) answer {
		return s.do(s.platform, "PUT", "/v1/jobs/large", `{"account":"acme","kind":"batch","status":"running","x":"`+strings.Repeat("x", pad)+`"}`)
	}
	if got := write(0); got.status != 201 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	empty := len(s.record(t, "large"))
	if got := write(limit - empty + 1); got.status != 413 || !strings.Contains(got.body, fmt.Sprintf("has %d bytes with what is added to it, the limit is %d", limit+1, limit)) {
		t.Errorf("a byte too many: got %d %.300s", got.status, got.body)
	}
	if got := write(limit - empty); got.status != 200 || len(s.record(t, "large")) != limit {
		t.Fatalf("got %d %.300s, %d bytes", got.status, got.body, len(s.record(t, "large")))
	}
	if got := s.upload("/v1/jobs/large/runs/1/records", "", strings.NewReader("{}")); got.status != 200 {
		t.Errorf("its records: got %d %s", got.status, got.body)
	}
	if got := s.do(s.platform, "PATCH", "/v1/jobs/large", `{"status":"idle"}`); got.status != 200 {
		t.Errorf("the end of its run: got %d %.300s", got.status, got.body)
	}
	if n := len(s.record(t, "large")); n <= limit {
		t.Errorf("%d bytes, want more than a write may have", n)
	}
}

// record is a job's record as it is stored.
func (s *fileSite) record(t testing.TB, id string) []byte {
	t.Helper()
	jobs, err := s.store.JobsByID(t.Context(), id)
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	return jobs[0].Record
}

// faultyFiles fail where they are told to.
type faultyFiles struct {
	*disk.Files
	put    error
	during func() // called while a part is put
	after  func() // called when it was
}

func (f *faultyFiles) Put(ctx context.Context, key string, body io.Reader, m files.Meta) error {
	if f.put != nil {
		return f.put
	}
	if f.during != nil {
		f.during()
	}
	err := f.Files.Put(ctx, key, body, m)
	if f.after != nil {
		f.after()
	}
	return err
}

func TestAPlaceThatKeepsNothingIsOurFault(t *testing.T) {
	s := newFileSite(t)
	s.with(func(c *api.Config) { c.Files = &faultyFiles{Files: s.files, put: errors.New("disk full at /secret")} })
	got := s.upload("/v1/jobs/1/runs/1/records", "", patterned(10<<20))
	if got.status != 500 || strings.Contains(got.body, "secret") || !strings.Contains(s.log.String(), "disk full") {
		t.Errorf("got %d %s; log %s", got.status, got.body, s.log)
	}
}

func TestARunThatEndsDuringAnUploadRefusesIt(t *testing.T) {
	for name, tt := range map[string]struct {
		files func(f *faultyFiles, end func())
		want  string // of the part
	}{
		"before its end":  {func(f *faultyFiles, end func()) { f.during = end }, "absent"},
		"once it is kept": {func(f *faultyFiles, end func()) { f.after = end }, "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFileSite(t)
			s.with(func(c *api.Config) {
				f := &faultyFiles{Files: s.files}
				tt.files(f, func() { s.must(t, 200, s.platform, "PATCH", "/v1/jobs/1", `{"status":"idle"}`) })
				c.Files = f
			})
			got := s.upload("/v1/jobs/1/runs/1/records", "", strings.NewReader("{}"))
			if p := got.problem(t); got.status != 409 || p.Type != "/problems/run-ended" {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if got := s.content(t, runFolder()+files.Part(1)); got != tt.want {
				t.Errorf("the part is %q, want %q", got, tt.want)
			}
			if j := s.must(t, 200, s.platform, "GET", "/v1/jobs/1", ""); j["records_run"] != nil {
				t.Errorf("the ended run was changed: %v", j)
			}
		})
	}
}

// endingBody lets something happen before it ends.
type endingBody struct {
	io.Reader
	end func()
}

func (b *endingBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF && b.end != nil {
		b.end()
		b.end = nil
	}
	return n, err
}

func TestAPartOfARunThatHasEndedIsNotReplaced(t *testing.T) {
	s := newFileSite(t)
	s.upload("/v1/jobs/1/runs/1/records", "", strings.NewReader("{\"n\":1}\n"))
	slow := &endingBody{strings.NewReader("{\"n\":2}\n"), func() { s.must(t, 200, s.platform, "PATCH", "/v1/jobs/1", `{"status":"idle"}`) }}
	got := s.upload("/v1/jobs/1/runs/1/records", "", slow)
	if p := got.problem(t); got.status != 409 || p.Type != "/problems/run-ended" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := s.content(t, runFolder()+files.Part(1)); got != "{\"n\":1}\n" {
		t.Errorf("part 1 is %q", got)
	}
}

// vanishing is a store whose jobs are gone after the first look.
type vanishing struct {
	api.Store
	looks int
}

func (v *vanishing) JobsByID(ctx context.Context, id string) ([]job.Job, error) {
	if v.looks++; v.looks > 1 {
		return nil, nil
	}
	return v.Store.JobsByID(ctx, id)
}

func TestInputsOfAJobThatHasGoneAreNotKept(t *testing.T) {
	s := newFileSite(t)
	s.with(func(c *api.Config) { c.Store = &vanishing{Store: s.store} })
	got := s.upload("/v1/jobs/1/inputs", "", strings.NewReader("{}"))
	if kept := s.content(t, files.InputsFolder("acme", job.KindBatch, "1")+files.Part(1)); got.status != 404 || kept != "absent" {
		t.Errorf("got %d %s, kept %q", got.status, got.body, kept)
	}
}

// linking are files with links, as a bucket has.
type linking struct{ *disk.Files }

func (linking) UploadLink(_ context.Context, key string, _ time.Duration) (string, error) {
	return "https://bucket.example/up/" + key, nil
}

func (linking) Link(_ context.Context, key string, o files.LinkOptions) (string, error) {
	return "https://bucket.example/" + o.Method + "/" + key + "?name=" + o.FileName + "&type=" + o.ContentType, nil
}

func TestPartsGetLinksToUploadTo(t *testing.T) {
	s := newFileSite(t)
	own := s.must(t, 200, s.platform, "POST", "/v1/jobs/1/input-links", `{"part":2}`)
	if own["url"] != "https://jobhook.example/v1/jobs/1/inputs?kind=batch&part=2" || own["method"] != "POST" || own["needs_key"] != true || own["expires_at"] != nil {
		t.Errorf("without a bucket: %v", own)
	}
	own = s.must(t, 200, s.platform, "POST", "/v1/jobs/1/runs/1/record-links", `{}`)
	if own["url"] != "https://jobhook.example/v1/jobs/1/runs/1/records?kind=batch&part=1" {
		t.Errorf("without a bucket: %v", own)
	}
	s.with(func(c *api.Config) { c.Files = linking{s.files} })
	got := s.must(t, 200, s.platform, "POST", "/v1/jobs/1/runs/1/record-links", `{"part":10000}`)
	if got["url"] != "https://bucket.example/up/"+runFolder()+"010000.jsonl" || got["method"] != "PUT" || got["needs_key"] != false ||
		got["expires_at"] != stampOf(s.clock.now().Add(time.Hour)) {
		t.Errorf("with a bucket: %v", got)
	}
	if j := s.must(t, 200, s.platform, "GET", "/v1/jobs/1", ""); fmt.Sprint(j["records_run"]) != "1" {
		t.Errorf("nobody would export the records: %v", j)
	}
	for _, tt := range []struct {
		target, body string
		status       int
	}{
		{"/v1/jobs/1/runs/2/record-links", `{}`, 409},
		{"/v1/jobs/none/runs/1/record-links", `{}`, 404},
		{"/v1/jobs/none/input-links", `{}`, 404},
		{"/v1/jobs/1/input-links", `{"part":10001}`, 422},
	} {
		if got := s.do(s.platform, "POST", tt.target, tt.body); got.status != tt.status {
			t.Errorf("%s %s: got %d %s, want %d", tt.target, tt.body, got.status, got.body, tt.status)
		}
	}
}

func TestAServerWithoutFilesSaysSo(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"batch","status":"running"}`)
	for _, target := range []string{
		"POST /v1/jobs/1/runs/1/records", "GET /v1/jobs/1/runs/1/records", "POST /v1/jobs/1/runs/1/record-links",
		"POST /v1/jobs/1/inputs", "GET /v1/jobs/1/inputs", "POST /v1/jobs/1/input-links", "GET /d/token/file",
	} {
		method, path, _ := strings.Cut(target, " ")
		body := ""
		if strings.HasSuffix(path, "-links") {
			body = "{}"
		}
		if got := s.do(s.platform, method, path, body); got.status != 404 || got.problem(t).Type != "/problems/no-files" {
			t.Errorf("%s: got %d %s", target, got.status, got.body)
		}
	}
}
