package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestASubjectIsVerifiedByItsHashAndNotReadFromIt(t *testing.T) {
	one, two := HashSubject("user-17"), HashSubject("user-17")
	if one == two {
		t.Errorf("the salt is the same: %s", one)
	}
	for _, tt := range []struct {
		hash, subject string
		want          bool
	}{
		{one, "user-17", true}, {two, "user-17", true}, {one, "user-18", false}, {one, "", false},
		{strings.Replace(one, "pbkdf2-sha256", "md5", 1), "user-17", false}, {"", "", false}, {"pbkdf2-sha256$0$00$00", "", false},
		{"pbkdf2-sha256$999999999$00$00", "", false}, {"pbkdf2-sha256$1$xx$00", "", false},
	} {
		if got := IsSubject(tt.hash, tt.subject); got != tt.want {
			t.Errorf("%s of %q: got %t", tt.hash, tt.subject, got)
		}
	}
	if strings.Contains(one, "user-17") {
		t.Errorf("the hash names the subject: %s", one)
	}
}

func TestAnErasureGoesThroughItsStagesTwiceAndForgetsItsSubject(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	for subject, want := range map[string]string{
		"":        "access jobs events rest settle access jobs events rest purge",
		"user-17": "jobs events rest settle jobs events rest purge",
	} {
		e := NewErasure("ers_1", "acme", subject, "k1", now)
		stages := []string{string(e.Stage)}
		for e.Stage != StagePurge && len(stages) < 20 {
			e = e.Turn(now, time.Hour)
			stages = append(stages, string(e.Stage))
		}
		if got := strings.Join(stages, " "); got != want {
			t.Errorf("subject %q: got %s, want %s", subject, got, want)
		}
		if e.Subject != "" || e.OfAccount() != (subject == "") || !e.SettledAt.Equal(now.Add(time.Hour)) || e.Version != len(stages) {
			t.Errorf("subject %q: at the end %+v", subject, e)
		}
	}
}

func TestTheReceiptIsCanonicalAndTheDigestChangesWithIt(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	e := NewErasure("ers_1", "a<b&c", "", "k1", now)
	e.Counts = Erased{ErasedJobs: 3, ErasedEvents: 2, ErasedKeys: 0}
	done := e.Done(now.Add(time.Hour))
	const want = `{"account":"a<b&c","counts":{"events":2,"jobs":3},"done_at":"2026-03-01T13:00:00.123Z","id":"ers_1",` +
		`"requested_at":"2026-03-01T12:00:00.123Z","requested_by":"k1","state":"done"}`
	if got := string(done.Receipt()); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if !json.Valid(done.Receipt()) {
		t.Error("the receipt is no JSON")
	}
	sum := sha256.Sum256([]byte(want))
	if done.Digest != hex.EncodeToString(sum[:]) {
		t.Errorf("digest %s", done.Digest)
	}
	forged := done
	forged.Counts = Erased{ErasedJobs: 2, ErasedEvents: 2}
	if sum := sha256.Sum256(forged.Receipt()); done.Digest == hex.EncodeToString(sum[:]) {
		t.Error("a forged receipt has the same digest")
	}
}

func TestAnErasureWantsJobsOfItsSubjectOnly(t *testing.T) {
	of := NewErasure("e", "acme", "17", "k", time.Now())
	all := NewErasure("e", "acme", "", "k", time.Now())
	for record, want := range map[string]bool{
		`{"subject":"17"}`: true, `{"id":"1","subject": "17" ,"x":2}`: true, `{"subject":17}`: true, `{"subject":"\u0031\u0037"}`: true,
		`{"subject":"170"}`: false, `{"subject":null}`: false, `{"x":{"subject":"17"}}`: false, `{"subject":["17"]}`: false, `{}`: false, ``: false, `no`: false,
	} {
		if got := of.Wants([]byte(record)); got != want {
			t.Errorf("%s: got %t", record, got)
		}
		if !all.Wants([]byte(record)) {
			t.Errorf("%s: the whole account does not want it", record)
		}
	}
	forgotten := of
	forgotten.Subject = ""
	if forgotten.Wants([]byte(`{}`)) {
		t.Error("without its subject it wants every job")
	}
}
