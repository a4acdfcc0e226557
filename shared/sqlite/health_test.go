package sqlite

import (
	"errors"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestHostsThatAreOverAreForgotten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	now := time.Now()
	for name, c := range map[string]webhook.Circuit{
		"closed:443": {}, "over:443": {Opens: 1, OpenUntil: now.Add(-time.Hour - time.Second)}, "open:443": {Opens: 1, OpenUntil: now.Add(-time.Hour + time.Minute)},
	} {
		check(t, s.SetHost(t.Context(), webhook.HostHealth{Host: name}, webhook.HostHealth{Host: name, Circuit: c, Version: 1}))
	}
	_, err := s.Expire(t.Context(), now, 10)
	check(t, err)
	for range 2 {
		if _, ok := s.hosts.byName["open:443"]; !ok || len(s.hosts.byName) != 1 {
			t.Errorf("kept %v, want the open one", s.hosts.byName)
		}
		check(t, s.Close())
		s = open(t, dir, Options{})
	}
}

func TestHealthAndHostsThatWereNotCommittedAreNotRemembered(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	check(t, s.PutEndpoint(t.Context(), webhook.Endpoint{ID: "ep_1", Account: "acme"}))
	broken := errors.New("broken")
	err := s.write(t.Context(), func(t *tx) error {
		return errors.Join(s.putHealth(t, webhook.Health{Endpoint: "ep_1", Slow: 1, Version: 1}),
			s.putHost(t, webhook.HostHealth{Host: "example.com:443", Version: 1}), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got error %v, want %v", err, broken)
	}
	if h := s.health.of("ep_1"); h != (webhook.Health{Endpoint: "ep_1"}) || !s.hosts.none() {
		t.Errorf("remembered %+v and %v, want nothing", h, s.hosts.byName)
	}
}
