package secrecy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/jobhook/jobhook/functions/internal/erase"
	"github.com/jobhook/jobhook/shared/disk"
	"github.com/jobhook/jobhook/shared/keyfile"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// listener makes an endpoint that hears how the others do. What it is sent is
// looked through as answers are.
func (w *world) listener() {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var text bytes.Buffer
		r.Header.Write(&text)
		body, _ := io.ReadAll(r.Body) // what is cut off is sent again
		text.Write(body)
		var told struct{ Type string }
		_ = json.Unmarshal(body, &told) // notices does not find it then
		w.hear(answer{asked: "webhook " + told.Type, status: http.StatusOK, text: text.String(), body: body})
	}))
	w.t.Cleanup(s.Close)
	made := w.acme.must("POST", "/v1/endpoints", `{"url":"`+s.URL+`","types":["endpoint.failing","endpoint.disabled","endpoint.recovered"]}`)
	w.once("the listener's secret", "POST /v1/endpoints", made["secret"])
}

// notices waits until the listener was told what the others' receivers led to,
// and that is on record.
func (w *world) notices() {
	for _, event := range []webhook.EventType{webhook.EndpointFailingEvent, webhook.EndpointDisabledEvent} {
		w.eventually("a webhook tells of "+string(event), func() bool { return w.hasHeard("webhook " + string(event)) })
		if len(w.acme.ids("/v1/events?type="+string(event))) == 0 {
			w.t.Errorf("no event is of the type %s", event)
		}
	}
}

// exported is the job whose results are exported.
const exported = "4"

// export exports a record and downloads it, by a link that then is revoked.
func (w *world) export() {
	const run = "/v1/jobs/" + exported + "/runs/1"
	const record = "plantedrecord001"
	told := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w.t.Cleanup(told.Close)
	hook := w.plant(secret{what: "the URL that a batch notifies", text: "plantedbatchhook", readable: true})
	w.operator.must("PUT", "/v1/jobs/"+exported, `{"account":"acme","kind":"batch","name":"My batch","status":"running","run":1,
		"notification_webhook":"`+told.URL+`/`+hook+`","notification_as_json":true}`)
	w.operator.must("POST", run+"/records?part=1", `{"q":"`+record+`"}`+"\n", "Content-Type", "application/x-ndjson")
	w.operator.must("PATCH", "/v1/jobs/"+exported, `{"status":"idle"}`)
	var set struct {
		Files map[string]struct {
			AllPages string `json:"all_pages"`
		}
	}
	w.eventually("the records are exported", func() bool {
		a := w.acme.send("GET", run+"/result-set", "")
		return a.status == http.StatusOK && json.Unmarshal(a.body, &set) == nil && set.Files["json"].AllPages != ""
	})
	link, err := url.Parse(set.Files["json"].AllPages)
	if err != nil {
		w.t.Fatal(err)
	}
	w.plant(secret{what: "an exported record", text: record, shown: "GET " + link.Path, readable: true})
	token := strings.Split(link.Path, "/")[2]
	w.plant(secret{what: "a download's token", text: token, readable: true})
	w.nobody.must("HEAD", link.Path, "")
	w.nobody.send("GET", link.Path, "")
	w.nobody.send("GET", link.Path, "", "Range", "bytes=99999-")
	w.nobody.send("GET", "/d/"+token+"/none.json", "")
	w.acme.must("POST", run+"/result-set:revoke", "")
	if got := w.nobody.send("GET", link.Path, ""); got.status != http.StatusGone {
		w.t.Errorf("a revoked link: %d %s, want 410", got.status, got.body)
	}
	w.settled()
}

// erasure erases what there is of a subject, up to the receipt.
func (w *world) erasure() {
	subject := w.plant(secret{what: "an erased subject", text: "plantedsubject01", readable: true, erased: true})
	w.operator.must("PUT", "/v1/jobs/5", `{"account":"acme","kind":"async","status":"success","subject":"`+subject+`"}`)
	w.settled()
	asked := `{"account":"acme","subject":"` + subject + `"}`
	path := "/v1/erasures/" + w.operator.must("POST", "/v1/erasures", asked)["id"].(string)
	for _, body := range []string{asked, strings.Replace(asked, subject, strings.Repeat(subject, 17), 1)} { // it runs already; too long
		if got := w.operator.send("POST", "/v1/erasures", body); got.status < 400 {
			w.t.Errorf("%s: %d, want that it is refused", body, got.status)
		}
	}
	w.acme.send("POST", "/v1/erasures", asked)
	w.operator.must("GET", path, "")
	w.eventually("the job is gone", func() bool { return w.acme.send("GET", "/v1/jobs/5", "").status == http.StatusNotFound })
	w.stop()
	w.later(2 * erase.Settles)
	w.start()
	w.operator.must("PUT", "/v1/jobs/6", `{"account":"acme","kind":"async","status":"success"}`) // fails once more
	receipt := w.operator.must("GET", path, "")
	if hash := fmt.Sprint(receipt["subject_hash"]); receipt["state"] != "done" || !webhook.IsSubject(hash, subject) {
		w.t.Errorf("the receipt is %v, want that it is done and has the subject's hash", receipt)
	}
}

// later does to the folder of the stopped product what a time does: the second
// look of erasures is an hour after the first, and that an endpoint fails is told
// once it has for minutes.
func (w *world) later(d time.Duration) {
	t, ctx := w.t, w.t.Context()
	t.Helper()
	key, err := keyfile.Open(filepath.Join(w.data, "secrets.key"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(w.output, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store, err := sqlite.Open(ctx, w.data, sqlite.Options{Sealer: key, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	e := &erase.Eraser{Store: store, Files: disk.New(filepath.Join(w.data, "files")), Log: log, Budget: time.Minute, Now: func() time.Time { return now }}
	for range 2 { // the first look may not have ended yet
		now = now.Add(d)
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := age(ctx, store, d); err != nil {
		t.Error(err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// age moves what is known of failing endpoints into the past.
func age(ctx context.Context, store *sqlite.Store, d time.Duration) error {
	endpoints, err := store.Endpoints(ctx, "acme")
	for _, e := range endpoints {
		read, err2 := store.HealthOf(ctx, "acme", e.ID)
		if err2 == nil && read.State == webhook.Failing {
			next := read
			next.Since, next.OpenUntil, next.Version = read.Since.Add(-d), read.OpenUntil.Add(-d), read.Version+1
			err2 = store.SetHealth(ctx, "acme", read, next)
		}
		err = errors.Join(err, err2)
	}
	return err
}
