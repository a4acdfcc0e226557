package main_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAChangeOfStatusArrivesSignedAndItsAttemptCanBeSeen(t *testing.T) {
	r := newReceiver(t, nil)
	s := start(t, t.TempDir())
	s.account(t, "acme")
	_, secret := s.endpoint(t, "acme", r.URL+"/hook", nil)
	s.must(t, "PUT", "/v1/jobs/42", object{"account": "acme", "kind": "async", "status": "processing"}, nil)
	s.must(t, "PATCH", "/v1/jobs/42", object{"status": "success"}, nil)
	eventually(t, "the webhook arrives", func() bool { return len(r.all()) == 1 })
	h := r.all()[0]
	if err := webhook.Verify(h.header, []string{secret}, time.Now(), h.body); err != nil {
		t.Errorf("signature: %v", err)
	}
	var body struct {
		Type string `json:"type"`
		Data struct {
			JobID string `json:"job_id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(h.body, &body); err != nil || body.Type != "job.finished" || body.Data.JobID != "42" {
		t.Errorf("body %s, %v", h.body, err)
	}
	eventually(t, "the delivery is recorded", func() bool { return len(s.deliveries(t, "acme", "delivered")) == 1 })
	var d delivery
	s.must(t, "GET", "/v1/deliveries/"+s.deliveries(t, "acme", "")[0].ID+"?account=acme", nil, &d)
	if len(d.Attempts) != 1 || d.Attempts[0].Status != 200 {
		t.Errorf("attempts %+v, want one of 200", d.Attempts)
	}
}

func TestARetryWaitsThroughARestart(t *testing.T) {
	r := newReceiver(t, func(_ hook, n int) int {
		if n == 1 {
			return 503
		}
		return 200
	})
	data := t.TempDir()
	s := start(t, data)
	s.account(t, "acme")
	s.endpoint(t, "acme", r.URL, object{"retry_seconds": []int{3}})
	s.must(t, "PUT", "/v1/jobs/1", object{"account": "acme", "kind": "async", "status": "success"}, nil)
	eventually(t, "the first attempt is recorded", func() bool { return len(s.deliveries(t, "acme", "waiting")) == 1 })
	if err := s.stop(t); err != nil {
		t.Errorf("graceful stop: %v\n%s", err, s.output)
	}
	if got := len(r.all()); got != 1 {
		t.Fatalf("%d requests before the restart, want 1", got)
	}
	s = start(t, data)
	eventually(t, "the retry succeeds", func() bool { return len(s.deliveries(t, "acme", "delivered")) == 1 })
	if hooks := r.all(); len(hooks) != 2 || hooks[0].id != hooks[1].id {
		t.Errorf("%d requests, want 2 with one webhook-id", len(hooks))
	}
}

func TestWhatAPausedEndpointHeldIsDeliveredWhenItIsResumed(t *testing.T) {
	r := newReceiver(t, func(_ hook, n int) int { return map[bool]int{true: 500, false: 200}[n == 1] })
	s := start(t, t.TempDir())
	s.account(t, "acme")
	id, _ := s.endpoint(t, "acme", r.URL, nil)
	s.must(t, "PATCH", "/v1/endpoints/"+id+"?account=acme", object{"status": "paused", "status_reason": "a test"}, nil)
	s.must(t, "PUT", "/v1/jobs/1", object{"account": "acme", "kind": "async", "status": "error", "message": "no"}, nil)
	eventually(t, "the delivery is held", func() bool { return len(s.deliveries(t, "acme", "held")) == 1 })
	s.must(t, "PATCH", "/v1/endpoints/"+id+"?account=acme", object{"status": "enabled", "policy": object{"retry_seconds": []int{1}}}, nil)
	eventually(t, "the released delivery is delivered at its second attempt",
		func() bool { return len(s.deliveries(t, "acme", "delivered")) == 1 })
	if got := len(r.all()); got != 2 {
		t.Errorf("%d requests, want 2: none while it was paused, one refused, one accepted", got)
	}
}

func TestAResendGoesOutOnceMoreWithTheSameID(t *testing.T) {
	r := newReceiver(t, nil)
	s := start(t, t.TempDir())
	s.account(t, "acme")
	s.endpoint(t, "acme", r.URL, nil)
	s.must(t, "PUT", "/v1/jobs/1", object{"account": "acme", "kind": "async", "status": "success"}, nil)
	eventually(t, "it is delivered", func() bool { return len(s.deliveries(t, "acme", "delivered")) == 1 })
	s.must(t, "POST", "/v1/deliveries/"+s.deliveries(t, "acme", "")[0].ID+":resend?account=acme", nil, nil)
	eventually(t, "it arrives again", func() bool { return len(r.all()) == 2 })
	if hooks := r.all(); hooks[0].id != hooks[1].id {
		t.Errorf("webhook ids %s and %s, want one", hooks[0].id, hooks[1].id)
	}
}

func TestHangingReceiversDoNotHoldBackOthers(t *testing.T) {
	slow := newReceiver(t, func(hook, int) int { return 0 })
	quick := newReceiver(t, nil)
	s := start(t, t.TempDir())
	for account, url := range map[string]string{"slow": slow.URL, "quick": quick.URL} {
		s.account(t, account)
		s.endpoint(t, account, url, object{"timeout_seconds": 30})
	}
	const n = 50
	for i := range n {
		s.must(t, "PUT", "/v1/jobs/slow-"+strconv.Itoa(i), object{"account": "slow", "kind": "async", "status": "success"}, nil)
	}
	eventually(t, "all slow requests hang", func() bool { return len(slow.all()) == n })
	for i := range n {
		s.must(t, "PUT", "/v1/jobs/quick-"+strconv.Itoa(i), object{"account": "quick", "kind": "async", "status": "success"}, nil)
	}
	eventually(t, "all quick ones are delivered meanwhile", func() bool { return len(s.deliveries(t, "quick", "delivered")) == n })
	if got := len(s.deliveries(t, "slow", "queued")); got != n {
		t.Errorf("%d slow deliveries are still under way, want all %d", got, n)
	}
}

func TestAPrivateTargetIsRefusedWithoutAllowPrivate(t *testing.T) {
	s := start(t, t.TempDir(), "--allow-private=false")
	s.account(t, "acme")
	status, err := s.call(t.Context(), "POST", "/v1/endpoints?account=acme", object{"url": "http://127.0.0.1:9/x", "format": "standard"}, nil)
	if status != http.StatusUnprocessableEntity || !strings.Contains(err.Error(), "url") {
		t.Errorf("literal private address: status %d, %v; want 422 that names the url", status, err)
	}
}

func TestAPrivateAddressIsRefusedWhenItIsDialled(t *testing.T) {
	r := newReceiver(t, nil)
	data := t.TempDir()
	s := start(t, data)
	s.account(t, "acme")
	s.endpoint(t, "acme", strings.Replace(r.URL, "127.0.0.1", "localhost", 1), nil)
	if err := s.stop(t); err != nil {
		t.Fatal(err)
	}
	s = start(t, data, "--allow-private=false")
	s.must(t, "PUT", "/v1/jobs/1", object{"account": "acme", "kind": "async", "status": "success"}, nil)
	eventually(t, "the delivery ends", func() bool { return len(s.deliveries(t, "acme", "dead")) == 1 })
	if d := s.deliveries(t, "acme", "dead")[0]; !strings.Contains(d.Reason, "refused_address") || len(r.all()) != 0 {
		t.Errorf("reason %q, %d requests; want a refused address and none", d.Reason, len(r.all()))
	}
}

func TestASecondProcessOnTheSameFolderIsRefused(t *testing.T) {
	data := t.TempDir()
	start(t, data)
	second := launch(t, data)
	<-second.exited
	if exitCode(second.err) != 1 || !contains(second, "another process is using it") {
		t.Errorf("exit code %d, output %s", exitCode(second.err), second.output)
	}
}

func TestALostOrWrongKeyOfTheSecretsIsRefused(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	s.account(t, "acme")
	s.endpoint(t, "acme", "http://127.0.0.1:9/", nil)
	if err := s.stop(t); err != nil {
		t.Fatal(err)
	}
	for what, damage := range map[string]func(string) error{
		"missing":     os.Remove,
		"another key": func(path string) error { return os.WriteFile(path, make([]byte, 32), 0o600) },
	} {
		if err := damage(filepath.Join(data, "secrets.key")); err != nil {
			t.Fatal(err)
		}
		s := launch(t, data)
		<-s.exited
		if exitCode(s.err) != 1 || !contains(s, "restore it") {
			t.Errorf("%s: exit code %d, output %s", what, exitCode(s.err), s.output)
		}
	}
}

func TestARevokedOperatorKeyStaysRevoked(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	s.must(t, "DELETE", "/v1/keys/e2eoperator000000", nil, nil)
	if err := s.stop(t); err != nil {
		t.Fatal(err)
	}
	s = launch(t, data)
	<-s.exited
	if exitCode(s.err) != 1 || !contains(s, "revoked") {
		t.Errorf("exit code %d, output %s", exitCode(s.err), s.output)
	}
}

func TestAStopLeavesTheDataInOneFile(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	s.account(t, "acme")
	if err := s.stop(t); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(data, "jobhook.db-wal")); err == nil && info.Size() > 0 {
		t.Errorf("the write-ahead log still holds %d bytes", info.Size())
	}
}

func TestBadFlagsAreNamedAllAtOnce(t *testing.T) {
	s := launch(t, t.TempDir(), "--public-url", "nowhere", "--retention", "1m")
	<-s.exited
	if exitCode(s.err) != 1 || !contains(s, "--public-url") || !contains(s, "--retention") {
		t.Errorf("exit code %d, output %s", exitCode(s.err), s.output)
	}
}

func TestTheDemoEndsWithAllWebhooksAsExpected(t *testing.T) {
	s := launch(t, t.TempDir(), "--demo-once", "--demo-addr", freeAddr(t))
	<-s.exited
	if s.err != nil {
		t.Fatalf("the demo failed: %v\n%s", s.err, s.output)
	}
	for _, format := range []string{"serpwow", "webscraper", "hkube", "socialdata", "standard"} {
		if !contains(s, format) {
			t.Errorf("the demo shows no %s webhook:\n%s", format, s.output)
		}
	}
}
