package dynamo_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAnAccountThatAnotherProcessErasedIsListedWhenItIsPutAgain(t *testing.T) {
	s, _, o := openWired(t, nil)
	a := webhook.Account{ID: "acme", CreatedAt: time.UnixMicro(1).UTC(), UpdatedAt: time.UnixMicro(1).UTC()}
	check(t, s.PutAccount(t.Context(), a))
	other := dynamo.New(o)
	check(t, other.PutErasure(t.Context(), webhook.NewErasure("ers_1", "acme", "", "key", time.Now())))
	for {
		e, err := other.Erasure(t.Context(), "ers_1")
		check(t, err)
		if e.State == webhook.ErasureDone {
			break
		}
		check(t, eraseOn(t.Context(), other, e))
	}
	list, _, err := s.Accounts(t.Context(), "", 10)
	check(t, err)
	same(t, "accounts after the erasure", len(list), 0)
	check(t, s.PutAccount(t.Context(), a))
	list, _, err = s.Accounts(t.Context(), "", 10)
	check(t, err)
	same(t, "accounts", list, []webhook.Account{a})
}

func TestAccountsAreListedBehindManyThatNobodyPut(t *testing.T) {
	s, w, _ := openWired(t, nil)
	for i := range 250 {
		e := webhook.Endpoint{ID: fmt.Sprint("ep_", i), Account: fmt.Sprintf("a%03d", i), Status: webhook.EndpointEnabled}
		check(t, s.PutEndpoint(t.Context(), e))
	}
	check(t, s.PutAccount(t.Context(), webhook.Account{ID: "z"}))
	after, last := "", []webhook.Account(nil)
	for _, want := range []string{"a099", "a199", ""} {
		w.set(nil)
		list, next, err := s.Accounts(t.Context(), after, 10)
		check(t, err)
		same(t, "the one to go on after", next, want)
		if n := w.count("Query") + w.count("BatchGetItem"); n > 2 || w.count("Scan") > 0 {
			t.Errorf("%d requests and %d scans, want two for a hundred accounts and no scan", n, w.count("Scan"))
		}
		after, last = next, append(last, list...)
	}
	same(t, "accounts", last, []webhook.Account{{ID: "z"}})
}

func TestAListOfKeysLooksAtNoneOfSessions(t *testing.T) {
	s, w, _ := openWired(t, nil)
	now := time.Now().UTC().Truncate(time.Microsecond)
	key := webhook.Key{ID: "k", Account: "acme", Scope: webhook.ScopeAccount, CreatedAt: now}
	check(t, s.PutKey(t.Context(), key))
	for i := range 200 {
		check(t, s.PutKey(t.Context(), webhook.Key{
			ID: fmt.Sprint("s", i), Account: "acme", Scope: webhook.ScopeAccount, CreatedAt: now, RevokedAt: now.Add(time.Hour), Session: true,
		}))
	}
	looked := 0
	w.set(func(_ string, _ int, body []byte, send func([]byte) (*http.Response, error)) (*http.Response, error) {
		resp, err := send(body)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		var page struct{ ScannedCount int }
		err = json.Unmarshal(b, &page)
		looked += page.ScannedCount
		return &http.Response{StatusCode: resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(b))}, err
	})
	list, err := s.Keys(t.Context(), "acme")
	check(t, err)
	same(t, "keys", list, []webhook.Key{key})
	same(t, "items looked at", looked, 1)
}

// TestSessionsThatAnOlderReleaseOpenedAreSessions takes off what that release did
// not write: it kept the keys of portal sessions among the others.
func TestSessionsThatAnOlderReleaseOpenedAreSessions(t *testing.T) {
	s, _, _ := openWired(t, nil)
	now := time.Now().UTC().Truncate(time.Microsecond)
	key := func(id string, lasts time.Duration) webhook.Key {
		k := webhook.Key{ID: id, Account: "acme", Scope: webhook.ScopeAccount, Name: "portal session", CreatedAt: now}
		if lasts > 0 {
			k.RevokedAt = now.Add(lasts)
		}
		check(t, s.PutKey(t.Context(), k))
		return k
	}
	session, lasting, rotated := key("k1", time.Hour), key("k2", 0), key("k3", 2*time.Hour)
	list, err := s.Keys(t.Context(), "acme")
	check(t, err)
	same(t, "keys", list, []webhook.Key{lasting, rotated}) // which customers have named so
	session.Session = true
	got, err := s.Key(t.Context(), "k1")
	check(t, err)
	same(t, "key of the session", got, session)
	check(t, s.RevokeKey(t.Context(), "acme", "k1", now))
	session.RevokedAt = now
	got, err = s.Key(t.Context(), "k1")
	check(t, err)
	same(t, "key of the session that was ended", got, session)
}
