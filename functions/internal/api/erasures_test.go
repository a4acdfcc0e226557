package api_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/functions/internal/erase"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// eraseAll runs erasures to their end.
func (s *site) eraseAll(t *testing.T) {
	t.Helper()
	e := &erase.Eraser{Store: s.store, Now: s.clock.now, Log: slog.New(slog.DiscardHandler)}
	for range 4 {
		if err := e.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.clock.move(erase.Settles)
	}
}

func TestAnErasureIsAskedForPolledAndItsReceiptVerifies(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"success","subject":"user-17"}`)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/2", `{"account":"acme","kind":"async","status":"success","subject":"user-18"}`)
	made := s.must(t, 202, s.platform, "POST", "/v1/erasures", `{"account":"acme","subject":"user-17"}`)
	id := made["id"].(string)
	if !regexp.MustCompile(`^ers_[0-9a-z]{26}$`).MatchString(id) || made["state"] != "running" || made["digest"] != nil || made["done_at"] != nil {
		t.Errorf("got %v", made)
	}
	platform, _, err := api.ParseKey(s.platform)
	if err != nil || made["requested_by"] != platform || made["requested_at"] != stampOf(s.clock.now()) {
		t.Errorf("requested by %v at %v, %v", made["requested_by"], made["requested_at"], err)
	}
	s.clock.move(time.Second)
	whole := s.must(t, 202, s.operator, "POST", "/v1/erasures", `{"account":"other"}`)["id"].(string)
	if diff := cmp.Diff(s.ids(t, s.operator, "/v1/erasures?limit=1&"), []string{whole, id}); diff != "" {
		t.Errorf("list (-got +want):\n%s", diff)
	}
	s.eraseAll(t)
	s.must(t, 404, s.platform, "GET", "/v1/jobs/1?account=acme", "")
	s.must(t, 200, s.platform, "GET", "/v1/jobs/2?account=acme", "")
	s.must(t, 404, s.platform, "GET", "/v1/accounts/other", "")
	receipt := s.must(t, 200, s.platform, "GET", "/v1/erasures/"+id, "")
	if receipt["state"] != "done" || receipt["account"] != "acme" || !webhook.IsSubject(receipt["subject_hash"].(string), "user-17") {
		t.Errorf("receipt %v", receipt)
	}
	for _, id := range []string{id, whole} {
		receipt := s.must(t, 200, s.platform, "GET", "/v1/erasures/"+id, "")
		digest := receipt["digest"]
		delete(receipt, "digest")
		delete(receipt, "$schema")
		if got := digestOf(t, receipt); got != digest {
			t.Errorf("the digest of %v is %s", receipt, got)
		}
	}
}

// digestOf is a stranger's way to a receipt's digest: names sorted, no spaces.
func digestOf(t *testing.T, receipt map[string]any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(receipt); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(bytes.TrimSpace(b.Bytes()))
	return hex.EncodeToString(sum[:])
}

func TestNoAnswerNamesTheSubjectOfAnErasure(t *testing.T) {
	s := newSite(t)
	got := s.do(s.platform, "POST", "/v1/erasures", `{"account":"acme","subject":"ada@example.org"}`)
	list := s.do(s.platform, "GET", "/v1/erasures", "")
	for _, body := range []string{got.body, list.body, s.log.String()} {
		if strings.Contains(body, "ada@") {
			t.Errorf("it is named: %s", body)
		}
	}
	again := s.do(s.platform, "POST", "/v1/erasures", `{"account":"acme","subject":"ada@example.org"}`)
	if again.status != 409 || again.problem(t).Type != "/problems/erasure-running" {
		t.Errorf("asked again: got %d %s", again.status, again.body)
	}
}

func TestWritesOfAnAccountThatIsBeingErasedAreRefusedUntilItIsDone(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"pending"}`)
	endpoint := s.must(t, 201, s.acme, "POST", "/v1/endpoints", `{"url":"https://a.example"}`)["id"].(string)
	token := portalToken(t, s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/portal-links", "")["url"].(string))
	elsewhere := s.with(func(*api.Config) {}) // another process
	elsewhere.must(t, 200, s.platform, "PUT", "/v1/accounts/other", `{"name":"x"}`)
	s.must(t, 202, s.platform, "POST", "/v1/erasures", `{"account":"acme"}`)
	s.must(t, 401, s.acme, "GET", "/v1/endpoints", "")
	writes := []struct{ method, target, body string }{
		{"PUT", "/v1/accounts/acme", `{"name":"x"}`},
		{"POST", "/v1/accounts/acme/keys", `{}`},
		{"POST", "/v1/accounts/acme/portal-links", ``},
		{"PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"success"}`},
		{"PATCH", "/v1/jobs/1", `{"status":"success"}`},
		{"PUT", "/v1/jobs/new", `{"account":"acme","kind":"async","status":"success"}`},
		{"POST", "/v1/endpoints?account=acme", `{"url":"https://b.example"}`},
		{"POST", "/v1/endpoints/" + endpoint + ":pause?account=acme", ``},
		{"POST", "/v1/resends?account=acme", `{"filter":{"state":"dead"}}`},
		{"POST", "/v1/erasures", `{"account":"acme","subject":"user-17"}`},
	}
	for _, w := range writes {
		got := s.do(s.platform, w.method, w.target, w.body)
		if got.status != 409 || !strings.Contains(got.problem(t).Detail, "ers_") {
			t.Errorf("%s %s: got %d %s, want 409 that names the erasure", w.method, w.target, got.status, got.body)
		}
	}
	if got := s.do("", "POST", "/v1/portal-sessions", `{"token":"`+token+`"}`); got.status == 201 {
		t.Errorf("a link let somebody in: %s", got.body)
	}
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/other", `{"name":"y"}`)
	s.clock.move(6 * time.Second)
	if got := elsewhere.do(s.platform, "PUT", "/v1/accounts/acme", `{"name":"x"}`); got.status != 409 {
		t.Errorf("by another process, seconds later: got %d %s", got.status, got.body)
	}
	s.eraseAll(t)
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"name":"a new life"}`)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"pending"}`)
}

// portalToken is the token of a link.
func portalToken(t *testing.T, link string) string {
	t.Helper()
	_, token, found := strings.Cut(link, "token=")
	if !found {
		t.Fatalf("%s has no token", link)
	}
	return token
}

func TestAnErasureOfNobodyCanBeAskedForAndOfNonsenseCannot(t *testing.T) {
	s := newSite(t)
	s.must(t, 202, s.platform, "POST", "/v1/erasures", `{"account":"never-seen"}`)
	for _, body := range []string{`{}`, `{"account":""}`, `{"account":"a b"}`, `{"account":"acme","subject":"` + strings.Repeat("é", 200) + `"}`,
		`{"account":"acme","subject":7}`, `{"account":"acme","more":1}`} {
		if got := s.do(s.platform, "POST", "/v1/erasures", body); got.status != 422 {
			t.Errorf("%s: got %d %s", body, got.status, got.body)
		}
	}
	s.must(t, 404, s.platform, "GET", "/v1/erasures/ers_none", "")
}

// TestEverySubjectThatAJobMayHaveCanBeErased takes the longest, in bytes and as
// it is written. A job may have none.
func TestEverySubjectThatAJobMayHaveCanBeErased(t *testing.T) {
	s := newSite(t)
	for id, subject := range map[string]string{"plain": strings.Repeat("x", webhook.MaxSubjectBytes), "wide": strings.Repeat("é", webhook.MaxSubjectBytes/2),
		"escaped": strings.Repeat(`\u0031`, webhook.MaxSubjectBytes)} {
		s.must(t, 201, s.platform, "PUT", "/v1/jobs/"+id, `{"account":"acme","kind":"async","status":"success","subject":"`+subject+`"}`)
		s.must(t, 202, s.platform, "POST", "/v1/erasures", `{"account":"acme","subject":"`+subject+`"}`)
	}
	for id, subject := range map[string]string{"null": `null`, "empty": `""`} {
		s.must(t, 201, s.platform, "PUT", "/v1/jobs/"+id, `{"account":"acme","kind":"async","status":"success","subject":`+subject+`}`)
	}
	s.eraseAll(t)
	if diff := cmp.Diff(slices.Sorted(slices.Values(s.ids(t, s.platform, "/v1/jobs?account=acme&"))), []string{"empty", "null"}); diff != "" {
		t.Errorf("jobs that are left (-got +want):\n%s", diff)
	}
}

// putErasures lets so many run, of another account each.
func (s *site) putErasures(t *testing.T, n int, subjectHash string) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("%s%d", subjectHash, i)
		e := webhook.Erasure{ID: "ers_" + id, Account: "a" + id, SubjectHash: subjectHash, State: webhook.ErasureRunning, Stage: webhook.StageJobs, Version: 1}
		if err := s.store.PutErasure(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestErasuresOfSubjectsKeepNoErasureOfAnAccountOut(t *testing.T) {
	s := newSite(t)
	tooMany := func(body string) {
		t.Helper()
		if got := s.do(s.platform, "POST", "/v1/erasures", body); got.status != 409 || got.problem(t).Type != "/problems/too-many-erasures" {
			t.Errorf("%s: got %d %s, want that there are too many", body, got.status, got.body)
		}
	}
	s.putErasures(t, 150, "subject")
	tooMany(`{"account":"acme","subject":"user-17"}`)
	s.must(t, 202, s.platform, "POST", "/v1/erasures", `{"account":"acme"}`)
	s.putErasures(t, 99, "")
	tooMany(`{"account":"other"}`)
	s.clock.move(6 * time.Second)
	s.must(t, 409, s.platform, "PUT", "/v1/accounts/a98", `{"name":"x"}`) // the list holds them all
}

func TestAnErasuresRoomIsItsOwn(t *testing.T) {
	s := newSite(t)
	s.putErasures(t, 100, "")
	s.must(t, 202, s.platform, "POST", "/v1/erasures", `{"account":"acme","subject":"user-17"}`)
}

func TestOfTwoEqualRequestsToEraseAtOnceOneIsTaken(t *testing.T) {
	for _, body := range []string{`{"account":"acme"}`, `{"account":"acme","subject":"user-17"}`} {
		s, store := newSite(t).guarded()
		store.asked = func() error {
			store.asked = nil
			elsewhere := s.with(func(*api.Config) {}) // another process
			if got := elsewhere.do(s.platform, "POST", "/v1/erasures", body); got.status != 409 || got.problem(t).Type != "/problems/erasure-running" {
				t.Errorf("%s meanwhile: got %d %s, want 409", body, got.status, got.body)
			}
			elsewhere.must(t, 202, s.platform, "POST", "/v1/erasures", `{"account":"other"}`)
			return nil
		}
		s.must(t, 202, s.platform, "POST", "/v1/erasures", body)
		if store.asked != nil {
			t.Error("nothing came meanwhile")
		}
		if got := s.do(s.platform, "POST", "/v1/erasures", body); got.status != 409 || !strings.Contains(got.body, "ers_") {
			t.Errorf("%s afterwards: got %d %s, want 409 that names it", body, got.status, got.body)
		}
	}
}

func TestARequestToEraseThatFailedKeepsNoOtherOut(t *testing.T) {
	s, store := newSite(t).guarded()
	store.asked = func() error { return errors.New("disk on fire") }
	s.must(t, 500, s.platform, "POST", "/v1/erasures", `{"account":"acme"}`)
	store.asked = nil
	s.must(t, 202, s.platform, "POST", "/v1/erasures", `{"account":"acme"}`)
}

// TestASubjectOfAnEarlierReleaseKeepsNoJobFromEnding writes jobs as the release
// did to which the attribute was any other.
func TestASubjectOfAnEarlierReleaseKeepsNoJobFromEnding(t *testing.T) {
	s := newSite(t)
	for n, subject := range []string{`42`, `{"id": "17"}`, `"` + strings.Repeat("x", 257) + `"`} {
		target := fmt.Sprintf("/v1/jobs/%d", n)
		record := fmt.Sprintf(`{"account":"acme","kind":"async","id":"%d","status":"pending","run":1,"created_at":"2026-03-01T00:00:00.000Z","subject":%s}`, n, subject)
		if _, _, err := s.store.WriteJob(t.Context(), fmt.Sprint(n), job.KindAsync, func(*job.Job) (job.Job, error) { return job.Decode([]byte(record)) }); err != nil {
			t.Fatal(err)
		}
		put := func(more string) string {
			return `{"account":"acme","kind":"async","status":"processing","subject":` + subject + more + `}`
		}
		s.must(t, 200, s.platform, "PATCH", target, `{"note":"x"}`)
		s.must(t, 200, s.platform, "PUT", target, put(``))
		s.must(t, 200, s.platform, "PATCH", target, `{"status":"success"}`)
		s.must(t, 422, s.platform, "PATCH", target, `{"subject":43}`)
		s.must(t, 422, s.platform, "PATCH", target, `{"subject":{"more":1}}`)
		s.must(t, 422, s.platform, "PUT", "/v1/jobs/new", put(``))
		s.must(t, 200, s.platform, "PATCH", target, `{"subject":"user-17"}`)
		s.must(t, 422, s.platform, "PATCH", target, `{"subject":`+subject+`}`)
	}
}
