package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// stall keeps the writer busy until the returned function is called.
func stall(t *testing.T, s *Store) (resume func()) {
	begun, end := make(chan struct{}), make(chan struct{})
	s.writer.later(func(*tx) error {
		close(begun)
		<-end
		return nil
	})
	<-begun
	return func() { close(end) }
}

func insertAccount(id string) func(*tx) error {
	return func(t *tx) error {
		return prepare(t.Conn, `INSERT INTO accounts (id, name, created_at, updated_at) VALUES (?, '', 0, 0)`).text(id).exec()
	}
}

func TestAFailingOperationUndoesOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir(), Options{})
		broken := errors.New("broken")
		resume := stall(t, s)
		errs := map[string]chan error{}
		for _, id := range []string{"a", "error", "b", "panic", "c"} {
			done := make(chan error, 1)
			errs[id] = done
			go func() {
				done <- s.write(t.Context(), func(t *tx) error {
					if err := insertAccount(id)(t); err != nil {
						return err
					}
					switch id {
					case "error":
						return broken
					case "panic":
						panic(id)
					}
					return nil
				})
			}()
		}
		synctest.Wait() // all wait for one group
		resume()
		for id, done := range errs {
			err := <-done
			_, found := s.Account(t.Context(), id)
			if failing := id == "error" || id == "panic"; (err != nil) != failing || errors.Is(found, webhook.ErrNotFound) != failing {
				t.Errorf("%s: written with error %v, read with error %v", id, err, found)
			}
		}
	})
}

func TestAWriteIsNeverMadeAfterItsContextEndedItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir(), Options{})
		resume := stall(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.PutAccount(ctx, webhook.Account{ID: "a"})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want the context's", err)
		}
		resume()
		check(t, s.PutAccount(t.Context(), webhook.Account{ID: "b"}))
		if _, err := s.Account(t.Context(), "a"); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("reading what was given up: got error %v, want not found", err)
		}
	})
}

func TestAWriteThatHasBegunIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir(), Options{})
		ctx, cancel := context.WithCancel(t.Context())
		err := s.write(ctx, func(t *tx) error {
			cancel()
			return insertAccount("a")(t)
		})
		check(t, err)
		_, err = s.Account(t.Context(), "a")
		check(t, err)
	})
}

func TestAClosedStoreAnswersWithAnError(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	q := openQueue(t, s, QueueOptions{Visibility: time.Minute, MaxReceives: 5})
	check(t, q.Send(t.Context(), "a", "1", 0))
	q.Close()
	check(t, s.Close())
	check(t, s.Close())
	s.Dispatched(1)
	m := q.Receive(t.Context(), 1, 0)[0]
	for what, err := range map[string]error{
		"put":    s.PutAccount(t.Context(), webhook.Account{ID: "a"}),
		"send":   q.Send(t.Context(), "a", "1", 0),
		"hide":   q.Hide(t.Context(), m.Receipt, time.Second),
		"delete": q.Delete(t.Context(), []string{m.Receipt}),
	} {
		if !errors.Is(err, errClosed) {
			t.Errorf("%s: got error %v, want %v", what, err, errClosed)
		}
	}
	if _, err := s.Account(t.Context(), "a"); !errors.Is(err, errClosed) {
		t.Errorf("read: got error %v, want %v", err, errClosed)
	}
}

func TestAMessageWhoseDeletionFailedComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir(), Options{})
		q := openQueue(t, s, QueueOptions{Visibility: time.Minute, MaxReceives: 5})
		check(t, q.Send(t.Context(), "a", "1", 0))
		m := wantMessage(t, q, "1", 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		resume := stall(t, s)
		if err := q.Delete(ctx, []string{m.Receipt}); !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want the context's", err)
		}
		resume()
		wantMessage(t, q, "1", 2)
	})
}

func TestTheLogStaysBoundedUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir, Options{})
		filler, largest := strings.Repeat("x", 60<<10), int64(0)
		for i := range 80 { // 40 MB: half in jobs, half in the feed
			for k := range 4 {
				j := job.Job{ID: string(rune('a'+k)) + time.Duration(i).String(), Kind: job.KindAsync, Account: "acme", Record: []byte(filler)}
				check(t, s.write(t.Context(), func(t *tx) error { return s.putJob(t, 0, nil, j) }))
			}
			time.Sleep(checkpointEvery)
			info, err := os.Stat(filepath.Join(dir, FileName+"-wal"))
			check(t, err)
			largest = max(largest, info.Size())
		}
		if limit := int64(2 * checkpointPages * 4096); largest > limit {
			t.Errorf("the log grew to %d MB, want at most %d", largest>>20, limit>>20)
		}
	})
}

func TestAcknowledgedMeansSynced(t *testing.T) {
	for durability, want := range map[Durability]int{DurablePower: 2, DurableProcess: 1} {
		s := open(t, t.TempDir(), Options{Durability: durability})
		got := 0
		check(t, s.write(t.Context(), func(t *tx) (err error) {
			got, err = sqlitex.ResultInt(t.Prep("PRAGMA synchronous"))
			return err
		}))
		if got != want {
			t.Errorf("durability %s: got synchronous = %d, want %d", durability, got, want)
		}
	}
}

func TestAnOldFileIsMigrated(t *testing.T) {
	dir := t.TempDir()
	script(t, dir, "PRAGMA application_id = 0x4a48; PRAGMA user_version = 0;")
	s := open(t, dir, Options{})
	check(t, s.PutAccount(t.Context(), webhook.Account{ID: "a"}))
	check(t, s.Close())
	s = open(t, dir, Options{}) // nothing is left to migrate
	_, err := s.Account(t.Context(), "a")
	check(t, err)
}

func TestAFileThatIsNotOursIsRefused(t *testing.T) {
	for what, prepare := range map[string]func(dir string){
		"no Jobhook database": func(dir string) { script(t, dir, "CREATE TABLE recipes (name TEXT);") },
		"run a newer Jobhook": func(dir string) { script(t, dir, "PRAGMA application_id = 0x4a48; PRAGMA user_version = 99;") },
		"not a database": func(dir string) {
			check(t, os.WriteFile(filepath.Join(dir, FileName), []byte(strings.Repeat("a letter\n", 100)), 0o600))
		},
	} {
		dir := t.TempDir()
		prepare(dir)
		s, err := Open(t.Context(), dir, Options{Sealer: prefixSealer{}})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), FileName) {
			t.Errorf("got error %v, want one that names the file and says %q", err, what)
		}
	}
}

// script runs statements on the file as another program would.
func script(t *testing.T, dir, statements string) {
	t.Helper()
	c, err := sqlite.OpenConn(filepath.Join(dir, FileName))
	check(t, err)
	check(t, sqlitex.ExecuteScript(c, statements, nil))
	check(t, c.Close())
}

func TestSecretsAndHeadersDoNotStandInTheFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	check(t, s.PutEndpoint(t.Context(), webhook.Endpoint{
		ID: "ep_1", Account: "acme", Secrets: []webhook.Secret{"whsec_c2VjcmV0"}, Headers: []webhook.Header{{Name: "Authorization", Value: "Bearer b3BlbiBtZQ"}},
	}))
	for _, name := range []string{FileName, FileName + "-wal"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		check(t, err)
		if strings.Contains(string(content), "c2VjcmV0") || strings.Contains(string(content), "b3BlbiBtZQ") {
			t.Errorf("%s holds a secret in plain", name)
		}
	}
}

func TestADeliverysIDBeginsWithItsEvent(t *testing.T) {
	e := webhook.EventID(job.Job{ID: "j", Account: "acme", Kind: job.KindAsync, Run: 1}, webhook.JobFinished, "1")
	id := webhook.DeliveryID(e, webhook.Target{URL: "https://example.com/hook"})
	if prefix := siblingPrefix(e); !strings.HasPrefix(id, prefix) || len(prefix) < 20 {
		t.Errorf("got prefix %s of %s", prefix, id)
	}
}
