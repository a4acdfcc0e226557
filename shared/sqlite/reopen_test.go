package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// openAgain closes a store with its queue and opens both anew.
func openAgain(t *testing.T, dir string, s *Store, q *Queue) (*Store, *Queue) {
	t.Helper()
	q.Close()
	check(t, s.Close())
	s = open(t, dir, Options{})
	return s, openQueue(t, s, q.opts)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMessagesInFlightAreVisibleAtOnceAfterReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir, Options{})
		q := openQueue(t, s, QueueOptions{Visibility: time.Minute, MaxReceives: 5})
		check(t, q.Send(t.Context(), "a", "in flight", 0))
		wantMessage(t, q, "in flight", 1)
		check(t, q.Send(t.Context(), "a", "deleted", 0))
		check(t, q.Delete(t.Context(), []string{wantMessage(t, q, "deleted", 1).Receipt}))
		check(t, q.Send(t.Context(), "a", "hidden", 0))
		check(t, q.Hide(t.Context(), wantMessage(t, q, "hidden", 1).Receipt, 20*time.Second))
		check(t, q.Send(t.Context(), "a", "delayed", 10*time.Second))
		check(t, q.Send(t.Context(), "a", "long", 3*time.Minute))

		started := time.Now()
		_, q = openAgain(t, dir, s, q)
		check(t, q.Delete(t.Context(), []string{wantMessage(t, q, "in flight", 2).Receipt}))
		check(t, q.Delete(t.Context(), []string{wantMessage(t, q, "delayed", 1).Receipt}))
		after(t, started, 10*time.Second)
		check(t, q.Delete(t.Context(), []string{wantMessage(t, q, "hidden", 2).Receipt}))
		after(t, started, 20*time.Second)
		wantMessage(t, q, "long", 1)
		after(t, started, 3*time.Minute)
	})
}

// wantMessage waits for the next message, which must be this one.
func wantMessage(t *testing.T, q *Queue, body string, receives int) webhook.Message {
	t.Helper()
	list := q.Receive(t.Context(), 1, 2*time.Hour)
	if len(list) != 1 || list[0].Body != body || list[0].Receives != receives {
		t.Fatalf("got %+v, want %q received %d times", list, body, receives)
	}
	return list[0]
}

func after(t *testing.T, started time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(started); got < want || got > want+time.Second {
		t.Errorf("that came after %s, want %s", got, want)
	}
}

func TestDeadLettersSurviveReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir, Options{})
		q := openQueue(t, s, QueueOptions{Visibility: time.Second, MaxReceives: 1})
		check(t, q.Send(t.Context(), "a", "poison", 0))
		wantMessage(t, q, "poison", 1)
		if list := q.Receive(t.Context(), 1, 5*time.Second); len(list) > 0 {
			t.Fatalf("got %+v after as many receives as are allowed", list)
		}
		_, q = openAgain(t, dir, s, q)
		list, err := q.DeadLetters(t.Context(), 10)
		check(t, err)
		if len(list) != 1 || list[0].Body != "poison" {
			t.Errorf("dead letters: got %+v, want the poison", list)
		}
	})
}

func TestUndispatchedChangesComeAgainAndTheirNumbersNeverRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir, Options{})
		q := openQueue(t, s, QueueOptions{Visibility: time.Second, MaxReceives: 1})
		for _, id := range []string{"a", "b", "c"} {
			writeJob(t, s, id)
		}
		s.Dispatched(2)
		s, q = openAgain(t, dir, s, q)
		hasChanges(t, s, 3)
		<-s.ChangesReady() // a restart looks for what was left
		s.Dispatched(3)
		s, _ = openAgain(t, dir, s, q)
		hasChanges(t, s)
		writeJob(t, s, "d")
		hasChanges(t, s, 4)
	})
}

func writeJob(t *testing.T, s *Store, id string) {
	t.Helper()
	record := []byte(`{"id":"` + id + `","account":"acme","kind":"async","status":"pending"}`)
	_, _, err := s.WriteJob(t.Context(), id, job.KindAsync, func(*job.Job) (job.Job, error) { return job.Decode(record) })
	check(t, err)
}

func hasChanges(t *testing.T, s *Store, want ...int) {
	t.Helper()
	list, err := s.Changes(t.Context(), 0, 10)
	check(t, err)
	if len(list) != len(want) {
		t.Fatalf("got %d changes, want %d", len(list), len(want))
	}
	for i := range want {
		if list[i].Seq != want[i] {
			t.Errorf("change %d: got number %d, want %d", i, list[i].Seq, want[i])
		}
	}
}

func TestAnUnchangedRecordIsNoChange(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	writeJob(t, s, "a")
	writeJob(t, s, "a")
	hasChanges(t, s, 1)
}

func TestAChangeTellsTheRecordBeforeAndAfter(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	writeJob(t, s, "a")
	const next = `{"id":"a","account":"acme","kind":"async","status":"success"}`
	_, _, err := s.WriteJob(t.Context(), "a", job.KindAsync, func(*job.Job) (job.Job, error) { return job.Decode([]byte(next)) })
	check(t, err)
	list, err := s.Changes(t.Context(), 0, 10)
	check(t, err)
	if len(list) != 2 || len(list[0].Old) > 0 || !bytes.Equal(list[0].New, list[1].Old) || string(list[1].New) != next {
		t.Errorf("got %+v", list)
	}
}

func TestSilencesHealthHostsAndStatisticsSurviveReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir, Options{})
		q := openQueue(t, s, QueueOptions{Visibility: time.Second, MaxReceives: 1})
		until, hour := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond), time.Now().Truncate(time.Hour)
		check(t, s.Silence(t.Context(), "https://example.com/hook", until))
		check(t, s.PutEndpoint(t.Context(), webhook.Endpoint{ID: "ep_1", Account: "acme"}))
		check(t, s.SetHealth(t.Context(), "acme", webhook.Health{}, webhook.Health{Endpoint: "ep_1", State: webhook.Failing, Version: 1}))
		host := webhook.HostHealth{Host: "example.com:443", Circuit: webhook.Circuit{Opens: 1, OpenUntil: until}, Version: 1}
		check(t, s.SetHost(t.Context(), webhook.HostHealth{}, host))
		check(t, s.AddStats(t.Context(), []webhook.Stats{{Account: "acme", Hour: hour, Delivered: 3}}))
		s, _ = openAgain(t, dir, s, q)
		if got := s.silences.get("https://example.com/hook"); !got.Equal(until) {
			t.Errorf("silent until %s, want %s", got, until)
		}
		if got := s.health.of("ep_1"); got.State != webhook.Failing || got.Version != 1 {
			t.Errorf("health: got %+v, want the failing one", got)
		}
		if got := s.hosts.of("https://example.com/hook", time.Now()); got != host {
			t.Errorf("host: got %+v, want %+v", got, host)
		}
		list, err := s.Stats(t.Context(), "acme", "", hour, hour.Add(time.Hour))
		check(t, err)
		if len(list) != 1 || list[0].Delivered != 3 {
			t.Errorf("statistics: got %+v, want 3 delivered", list)
		}
	})
}

func TestSilencesThatAreOverAreForgotten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	check(t, s.Silence(t.Context(), "https://example.com/hook", time.Now().Add(-time.Second)))
	_, err := s.Expire(t.Context(), time.Now(), 10)
	check(t, err)
	check(t, s.Close())
	if n := len(open(t, dir, Options{}).silences.until); n != 0 {
		t.Errorf("%d silences are kept, want 0", n)
	}
}

// The files are copied as a killed process leaves them.
func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	dir, killed := t.TempDir(), t.TempDir()
	s := open(t, dir, Options{})
	q := openQueue(t, s, QueueOptions{Visibility: time.Minute, MaxReceives: 5})
	writeJob(t, s, "a")
	check(t, q.Send(t.Context(), "a", "message", 0))
	for _, name := range []string{FileName, FileName + "-wal"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(killed, name), content, 0o600))
	}
	s = open(t, killed, Options{})
	hasChanges(t, s, 1)
	wantMessage(t, openQueue(t, s, q.opts), "message", 1)
}

func TestAJobRecordIsKeptByteForByte(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	record := []byte(`{"id":"j1","account":"acme","kind":"async","status":"pending","run":1,  "zz":1,"n":1.50,"e":1E+400,"neg":-0,"dup":[ ],"text":"\u00e9 \u0000 <é 🚚>"}`)
	want, err := job.Decode(record)
	check(t, err)
	_, _, err = s.WriteJob(t.Context(), "j1", job.KindAsync, func(*job.Job) (job.Job, error) { return want, nil })
	check(t, err)
	list, err := s.JobsByID(t.Context(), "j1")
	check(t, err)
	if len(list) != 1 || !bytes.Equal(list[0].Record, record) {
		t.Errorf("got %d jobs, want this one: %s", len(list), record)
	}
}

func TestExpireSeesToNoMoreThanItIsAskedTo(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	at := time.Now()
	for i := range 5 {
		e := webhook.Event{ID: webhook.EventID(job.Job{ID: string(rune('a' + i))}, webhook.JobFinished, "1"), Account: "acme"}
		target := webhook.Target{URL: "https://example.com/hook"}
		_, err := s.Put(t.Context(), []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{{
			ID: webhook.DeliveryID(e.ID, target), Account: "acme", EventID: e.ID, Target: target,
			State: webhook.StateDead, Generation: 1, ExpiresAt: at,
		}}}})
		check(t, err)
	}
	for _, want := range []int{2, 2, 1, 0} {
		n, err := s.Expire(t.Context(), at.Add(time.Hour), 2)
		check(t, err)
		if n != want {
			t.Errorf("expired %d, want %d", n, want)
		}
	}
}
