package main_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// batch is a batch that asks for JSON and CSV.
func batch(url string) object {
	return object{"account": "acme", "kind": "batch", "name": "My batch", "status": "running", "run": 1,
		"notification_webhook": url, "notification_as_json": true, "notification_as_csv": true}
}

// upload posts JSON Lines, as the operator.
func (s *server) upload(t *testing.T, path, lines string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+operatorKey)
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func download(t *testing.T, method, link, byteRange string) (status int, header http.Header, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// links is what a serpwow webhook says of its files.
type links struct {
	ResultSet struct {
		ID    int `json:"id"`
		Links map[string]struct {
			Pages    []string `json:"pages"`
			AllPages string   `json:"all_pages"`
		} `json:"download_links"`
	} `json:"result_set"`
}

func TestUploadedRecordsBecomeFilesWhoseLinksAreToldAndWork(t *testing.T) {
	r := newReceiver(t, nil)
	s := start(t, t.TempDir())
	s.account(t, "acme")
	s.must(t, "PUT", "/v1/jobs/B1", batch(r.URL+"/serpwow"), nil)
	if status, answer := s.upload(t, "/v1/jobs/B1/runs/1/records?part=1", "{\"q\":\"pizza\"}\nno json\n"); status != 422 || !strings.Contains(answer, "line 2") {
		t.Errorf("a broken line: %d %s", status, answer)
	}
	for part, lines := range map[int]string{1: `{"q":"pizza","hits":3}` + "\n", 2: `{"q":"pasta, \"fresh\"","hits":5}`} {
		if status, answer := s.upload(t, fmt.Sprintf("/v1/jobs/B1/runs/1/records?part=%d", part), lines); status != 200 {
			t.Fatalf("part %d: %d %s", part, status, answer)
		}
	}
	if len(r.all()) != 0 {
		t.Errorf("%d webhooks before the end, want none", len(r.all()))
	}
	s.must(t, "PATCH", "/v1/jobs/B1", object{"status": "idle"}, nil)
	eventually(t, "the webhook arrives", func() bool { return len(r.all()) == 1 })
	var told links
	if err := json.Unmarshal(r.all()[0].body, &told); err != nil {
		t.Fatal(err)
	}
	table, page := told.ResultSet.Links["csv"].AllPages, told.ResultSet.Links["json"].Pages
	status, header, body := download(t, "GET", table, "")
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || status != 200 || fmt.Sprint(rows) != `[[q hits] [pizza 3] [pasta, "fresh" 5]]` {
		t.Errorf("table %d %q, %v", status, body, err)
	}
	if got := header.Get("Content-Disposition"); !strings.HasPrefix(got, `attachment; filename="Batch_Results_B1_1_All_Pages_`) {
		t.Errorf("content-disposition %q", got)
	}
	if status, _, part := download(t, "GET", table, "bytes=0-3"); status != 206 || part != body[:4] {
		t.Errorf("range: %d %q", status, part)
	}
	if status, header, _ := download(t, "HEAD", table, ""); status != 200 || header.Get("Content-Length") != fmt.Sprint(len(body)) {
		t.Errorf("head: %d, length %s", status, header.Get("Content-Length"))
	}
	var records []object
	if _, _, body := download(t, "GET", page[0], ""); json.Unmarshal([]byte(body), &records) != nil || len(records) != 2 {
		t.Errorf("page %q, want two records", body)
	}
	if status, answer := s.upload(t, "/v1/jobs/B1/runs/1/records?part=3", "{}"); status != 409 {
		t.Errorf("an upload after the end: %d %s", status, answer)
	}
	s.must(t, "POST", "/v1/jobs/B1/runs/1/result-set:revoke?account=acme", nil, nil)
	if status, _, _ := download(t, "GET", table, ""); status != 410 {
		t.Errorf("a revoked link: %d, want 410", status)
	}
}

func TestAnExportThatCannotBeDoneIsDeclinedWithItsReason(t *testing.T) {
	r, data := newReceiver(t, nil), t.TempDir()
	s := start(t, data)
	s.account(t, "acme")
	s.must(t, "PUT", "/v1/jobs/B2", batch(r.URL+"/serpwow"), nil)
	if status, answer := s.upload(t, "/v1/jobs/B2/runs/1/records", `{"q":1}`); status != 200 {
		t.Fatalf("upload: %d %s", status, answer)
	}
	parts, err := filepath.Glob(filepath.Join(data, "files", "records", "*", "1", "000001.jsonl"))
	if err != nil || len(parts) != 1 {
		t.Fatalf("parts %v, %v", parts, err)
	}
	if err := os.WriteFile(parts[0], []byte("spoilt\n"), 0o600); err != nil { // as a part that was put by a link can be
		t.Fatal(err)
	}
	s.must(t, "PATCH", "/v1/jobs/B2", object{"status": "idle"}, nil)
	eventually(t, "the notification is declined", func() bool {
		for _, d := range s.deliveries(t, "acme", "declined") {
			if strings.HasPrefix(d.Reason, "export failed: ") && strings.Contains(d.Reason, "line 1") {
				return true
			}
		}
		return false
	})
	if len(r.all()) != 0 {
		t.Errorf("%d webhooks, want none", len(r.all()))
	}
}

func TestAnExportGoesOnAfterACrash(t *testing.T) {
	r, data := newReceiver(t, nil), t.TempDir()
	s := start(t, data)
	s.account(t, "acme")
	s.must(t, "PUT", "/v1/jobs/B3", batch(r.URL+"/serpwow"), nil)
	var lines strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&lines, `{"n":%d,"text":"%s"}`+"\n", i, strings.Repeat("x", 200))
	}
	if status, answer := s.upload(t, "/v1/jobs/B3/runs/1/records", lines.String()); status != 200 {
		t.Fatalf("upload: %d %s", status, answer)
	}
	s.must(t, "PATCH", "/v1/jobs/B3", object{"status": "idle"}, nil)
	s.kill()
	start(t, data)
	eventually(t, "the webhook arrives", func() bool { return len(r.all()) >= 1 })
	var told links
	if err := json.Unmarshal(r.all()[0].body, &told); err != nil || len(told.ResultSet.Links["json"].Pages) != 20 {
		t.Errorf("%d pages, %v; want 20", len(told.ResultSet.Links["json"].Pages), err)
	}
}

func TestABulkResendSendsWhatFailedAndTellsHowFarItIs(t *testing.T) {
	broken := true
	r := newReceiver(t, func(hook, int) int {
		if broken {
			return 500
		}
		return 200
	})
	s := start(t, t.TempDir())
	s.account(t, "acme")
	s.endpoint(t, "acme", r.URL, object{"retry_seconds": []int{}})
	for i := range 5 {
		s.must(t, "PUT", fmt.Sprintf("/v1/jobs/%d", i), object{"account": "acme", "kind": "async", "status": "success"}, nil)
	}
	eventually(t, "all have failed", func() bool { return len(s.deliveries(t, "acme", "exhausted")) == 5 })
	r.mu.Lock()
	broken = false
	r.mu.Unlock()
	var count struct {
		Matched int `json:"matched"`
	}
	ask := object{"filter": object{"state": "exhausted"}, "dry_run": true}
	if s.must(t, "POST", "/v1/resends?account=acme", ask, &count); count.Matched != 5 {
		t.Errorf("%d would be resent, want 5", count.Matched)
	}
	var made struct {
		ID     string `json:"id"`
		State  string `json:"state"`
		Resent int    `json:"resent"`
	}
	s.must(t, "POST", "/v1/resends?account=acme", object{"filter": object{"state": "exhausted"}, "rate": 100}, &made)
	eventually(t, "the bulk resend is done", func() bool {
		s.must(t, "GET", "/v1/resends/"+made.ID+"?account=acme", nil, &made)
		return made.State == "done"
	})
	if made.Resent != 5 {
		t.Errorf("%d were resent, want 5", made.Resent)
	}
	eventually(t, "all are delivered", func() bool { return len(s.deliveries(t, "acme", "delivered")) == 5 })
}

func TestAClientOfSerpWowFindsItsBatchHere(t *testing.T) {
	r := newReceiver(t, nil)
	s := start(t, t.TempDir())
	s.account(t, "acme")
	var minted struct {
		Key string `json:"key"`
	}
	s.must(t, "POST", "/v1/accounts/acme/keys", object{"name": "client"}, &minted)
	s.must(t, "PUT", "/v1/jobs/B4", batch(r.URL+"/serpwow"), nil)
	s.upload(t, "/v1/jobs/B4/runs/1/records", `{"q":"pizza"}`)
	s.must(t, "PATCH", "/v1/jobs/B4", object{"status": "idle"}, nil)
	eventually(t, "the webhook arrives", func() bool { return len(r.all()) == 1 })
	eventually(t, "it is recorded", func() bool { return len(s.deliveries(t, "acme", "delivered")) == 1 })
	status, _, body := download(t, "GET", s.url+"/serpwow/batches/B4/results/1/resendwebhook?api_key="+minted.Key, "")
	if status != 200 || !strings.Contains(body, `"message":"Webhook POST resent successfully."`) {
		t.Errorf("resendwebhook: %d %s", status, body)
	}
	if got := r.all(); len(got) != 2 || got[0].id != got[1].id {
		t.Errorf("%d webhooks, want the same twice", len(got))
	}
	if status, _, body := download(t, "GET", s.url+"/serpwow/batches/B4?api_key=wrong", ""); status != 401 || !strings.Contains(body, `"success":false`) {
		t.Errorf("a wrong key: %d %s", status, body)
	}
}
