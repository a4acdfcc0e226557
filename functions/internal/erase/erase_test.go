package erase_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/erase"
	"github.com/jobhook/jobhook/shared/disk"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// secret is what an erasure must leave nowhere.
const secret = "ada.lovelace@example.org"

// plain keeps secrets as they are.
type plain struct{}

func (plain) Seal(b []byte, _ string) ([]byte, error) { return b, nil }
func (plain) Open(b []byte, _ string) ([]byte, error) { return b, nil }

// world is a store and its files in one folder.
type world struct {
	*testing.T
	dir   string
	store *sqlite.Store
	files *disk.Files
	now   time.Time

	answers bool // accounts have kept answers of requests
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), answers: true, now: time.Now().UTC().Truncate(time.Millisecond)}
	var err error
	w.store, err = sqlite.Open(t.Context(), w.dir, sqlite.Options{Sealer: plain{}, Durability: sqlite.DurableProcess, Log: slog.New(slog.DiscardHandler)})
	w.ok(err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.files = disk.New(filepath.Join(w.dir, "files"))
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) eraser() *erase.Eraser {
	return &erase.Eraser{Store: w.store, Files: w.files, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler)}
}

// live gives an account a job of a subject with all that may lie about it:
// records that were rewritten, dispatched changes, a snapshot, attempts, files.
func (w *world) live(account, id, subject, datum string) {
	w.Helper()
	ctx := w.Context()
	w.ok(w.store.PutAccount(ctx, webhook.Account{ID: account, Name: datum, CreatedAt: w.now, UpdatedAt: w.now}))
	w.ok(w.store.PutKey(ctx, webhook.Key{ID: "k-" + id, Account: account, Scope: webhook.ScopeAccount, Name: datum, CreatedAt: w.now}))
	var j job.Job
	for n, status := range []job.Status{"pending", "processing", "success"} {
		var err error
		j, err = job.Decode(fmt.Appendf(nil, `{"id":%q,"account":%q,"kind":"async","status":%q,"run":1,"created_at":"2026-03-01T10:00:00.123Z","subject":%q,"note":%q}`,
			id, account, status, subject, strings.Repeat(datum+" ", 50*(3-n))))
		w.ok(err)
		_, _, err = w.store.WriteJob(ctx, id, job.KindAsync, func(*job.Job) (job.Job, error) { return j, nil })
		w.ok(err)
	}
	list, err := w.store.Changes(ctx, 0, 100)
	w.ok(err)
	w.store.Dispatched(list[len(list)-1].Seq - 1) // the last one waits
	target := webhook.Target{URL: "https://example.com/hook?mail=" + datum, Format: "standard"}
	e := webhook.Event{ID: webhook.EventID(j, webhook.JobFinished, "1"), Type: webhook.JobFinished, Account: account, Kind: j.Kind, JobID: id, Run: 1,
		At: w.now, Level: job.LevelInfo, Record: j.Record}
	d := webhook.Delivery{ID: webhook.DeliveryID(e.ID, target), Account: account, EventID: e.ID, EventType: e.Type, Kind: j.Kind, JobID: id, Run: 1,
		Target: target, State: webhook.StateQueued, Generation: 1, CreatedAt: w.now, UpdatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)}
	_, err = w.store.Put(ctx, []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}})
	w.ok(err)
	next := d
	next.State, next.Attempts, next.Reason = webhook.StateExhausted, 1, "no "+datum
	w.ok(w.store.Record(ctx, d, next, &webhook.Attempt{Account: account, Delivery: d.ID, Generation: 1, At: w.now, URL: target.URL, State: next.State,
		Result: webhook.Result{Status: 500, Header: map[string][]string{"X": {datum}}, Body: []byte(strings.Repeat(datum, 100))}}))
	set, err := w.store.BeginResultSet(ctx, webhook.ResultSet{Account: account, Kind: j.Kind, JobID: id, Run: 1,
		Token: webhook.NewResultSetToken(account, j.Kind, id, 1), State: webhook.ResultSetExported, CreatedAt: w.now, UpdatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)})
	w.ok(err)
	w.ok(w.store.AddDownload(ctx, set.Token, webhook.Download{At: w.now, File: datum + ".csv", Method: "GET"}))
	w.ok(w.store.PutPortalLink(ctx, webhook.PortalLink{ID: "l-" + id, Account: account, Hash: []byte("h"), CreatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)}))
	if w.answers {
		w.answer(account, id, datum)
	}
	for _, folder := range []string{files.ResultsFolder(account, j.Kind, id, 1), files.RecordsFolder(account, j.Kind, id, 1), files.InputsFolder(account, j.Kind, id)} {
		w.ok(w.files.Put(ctx, folder+"a", strings.NewReader(datum), files.Meta{FileName: datum}))
	}
}

// answer keeps what an account's own key was answered.
func (w *world) answer(account, id, datum string) {
	w.Helper()
	o := webhook.Once{ID: "o-" + id, Account: account, StartedAt: w.now, ExpiresAt: w.now.Add(time.Hour)}
	_, _, err := w.store.BeginOnce(w.Context(), o)
	w.ok(err)
	o.Status, o.Body = 200, []byte(datum)
	w.ok(w.store.EndOnce(w.Context(), o))
}

func (w *world) ask(account, subject string) webhook.Erasure {
	w.Helper()
	e := webhook.NewErasure("ers_"+webhook.TimePrefix(w.now)+"0123456789abcdef", account, subject, "k", w.now)
	w.ok(w.store.PutErasure(w.Context(), e))
	return e
}

func (w *world) read(e webhook.Erasure) webhook.Erasure {
	w.Helper()
	got, err := w.store.Erasure(w.Context(), e.ID)
	w.ok(err)
	return got
}

// lies tells in which files of the folder a text lies.
func (w *world) lies(text string) (names []string) {
	w.Helper()
	w.ok(filepath.WalkDir(w.dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(at)
		if bytes.Contains(b, []byte(text)) || strings.Contains(at, text) {
			names = append(names, filepath.Base(at))
		}
		return err
	}))
	return names
}

func TestAfterAnErasureNothingPersonalIsInTheDatabaseItsLogOrTheFiles(t *testing.T) {
	for _, subject := range []string{"", "mail:" + secret} {
		t.Run(fmt.Sprintf("subject %.4q", subject), func(t *testing.T) {
			w := newWorld(t)
			w.answers = subject == "" // they are no subject's, and end within a day
			const theirs = "grace.hopper@example.org"
			w.live("other", "o1", "mail:"+theirs, theirs)
			for i := range 20 {
				w.live("other", fmt.Sprint("p", i), "x", strings.Repeat("filler ", 100))
			}
			w.live("acme", "a1", "mail:"+secret, secret)
			if subject != "" { // what is of the account itself stays
				w.ok(w.store.PutAccount(t.Context(), webhook.Account{ID: "acme", Name: "acme"}))
				w.ok(w.store.PutKey(t.Context(), webhook.Key{ID: "k-a1", Account: "acme", Name: "acme"}))
			}
			before, event := len(w.lies(theirs)), w.events("other")
			if len(w.lies(secret)) < 4 {
				t.Fatalf("the datum lies in %q only", w.lies(secret))
			}
			e := w.ask("acme", subject)
			w.runToTheEnd()
			got := w.read(e)
			if got.State != webhook.ErasureDone {
				t.Fatalf("it is not done: %+v", got)
			}
			if left := w.lies(secret); len(left) > 0 {
				t.Errorf("the datum lies in %q", left)
			}
			if got.Counts[webhook.ErasedFiles] != 3 || got.Counts[webhook.ErasedChanges] != 1 {
				t.Errorf("counts %v", got.Counts)
			}
			if after := len(w.lies(theirs)); after < before-1 { // the log is empty now
				t.Errorf("what is theirs lies in %d files, before in %d", after, before)
			}
			quick := cmp.Comparer(func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) // else it takes seconds
			if diff := cmp.Diff(w.events("other"), event, quick); diff != "" {
				t.Errorf("events of another account (-got +want):\n%s", diff)
			}
		})
	}
}

func (w *world) events(account string) []webhook.Event {
	w.Helper()
	list, _, err := w.store.Events(w.Context(), webhook.EventFilter{Account: account, Records: true, Limit: 100})
	w.ok(err)
	if len(list) == 0 {
		w.Errorf("%s has no events", account)
	}
	return list
}

// runToTheEnd runs erasures, with time enough between, until none is left.
func (w *world) runToTheEnd() {
	w.Helper()
	for range 5 {
		w.ok(w.eraser().Run(w.Context()))
		w.now = w.now.Add(erase.Settles)
	}
}

var errDied = errors.New("the process died")

// dying is a store and files of a process that dies at its nth call, before or
// after the call has done its work.
type dying struct {
	erase.Store
	erase.Files
	left  int
	after bool
}

func (d *dying) call(f func() error) error {
	d.left--
	if d.left < 0 && !(d.left == -1 && d.after) {
		return errDied
	}
	if err := f(); err != nil {
		return err
	}
	if d.left == -1 {
		return errDied
	}
	return nil
}

func (d *dying) UpdateErasure(ctx context.Context, read, next webhook.Erasure) error {
	return d.call(func() error { return d.Store.UpdateErasure(ctx, read, next) })
}

func (d *dying) EraseStep(ctx context.Context, read webhook.Erasure, now time.Time) (next webhook.Erasure, more bool, err error) {
	err = d.call(func() (err error) {
		next, more, err = d.Store.EraseStep(ctx, read, now)
		return err
	})
	return next, more, err
}

func (d *dying) PurgeErased(ctx context.Context) error {
	return d.call(func() error { return d.Store.PurgeErased(ctx) })
}

func (d *dying) List(ctx context.Context, prefix string, limit int) (list []files.Info, err error) {
	return d.Files.List(ctx, prefix, limit)
}

func (d *dying) RemoveFolder(ctx context.Context, prefix string) error {
	return d.Files.RemoveFolder(ctx, prefix) // deaths beside it are those of the writes around it
}

func TestAProcessThatDiesBetweenAnyTwoStepsErasesAllAndCountsItOnce(t *testing.T) {
	var want webhook.Erased
	for n, finished := 0, false; !finished; n++ {
		if n > 100 {
			t.Fatal("it never gets through")
		}
		for _, after := range []bool{false, true} {
			w := newWorld(t)
			w.live("acme", "a1", "user-17", secret)
			w.live("acme", "a2", "user-17", secret)
			e := w.ask("acme", "")
			died := false
			for range 2 { // the second time through is behind the pause
				d := &dying{Store: w.store, Files: w.files, left: n, after: after}
				mortal := w.eraser()
				mortal.Store, mortal.Files = d, d
				died = errors.Is(mortal.Run(t.Context()), errDied) || died
				w.now = w.now.Add(erase.Settles)
			}
			finished = !died
			w.runToTheEnd()
			got := w.read(e)
			if want == nil {
				want = got.Counts
			}
			if got.State != webhook.ErasureDone || len(w.lies(secret)) > 0 {
				t.Errorf("death at call %d, after it %t: %s, the datum lies in %q", n, after, got.State, w.lies(secret))
			}
			if diff := cmp.Diff(got.Counts, want); diff != "" {
				t.Errorf("death at call %d, after it %t: counts (-got +want):\n%s", n, after, diff)
			}
			w.ok(w.store.Close())
		}
	}
	if want[webhook.ErasedJobs] != 2 || want[webhook.ErasedFiles] != 6 || want[webhook.ErasedAttempts] != 2 {
		t.Errorf("counts %v", want)
	}
}

func TestWhatAnExportLeavesWhileItsAccountIsErasedGoesTheSecondTime(t *testing.T) {
	w := newWorld(t)
	w.live("acme", "a1", "user-17", secret)
	e := w.ask("acme", "")
	w.ok(w.eraser().Run(t.Context()))
	if got := w.read(e); got.Stage != webhook.StageSettle || len(w.lies(secret)) > 1 {
		t.Fatalf("after the first time it is at %s, and the datum lies in %q", got.Stage, w.lies(secret))
	}
	w.live("acme", "a1", "user-17", secret) // an export, an upload by a link, and dispatch, that were on their way
	w.now = w.now.Add(erase.Settles - time.Second)
	w.ok(w.eraser().Run(t.Context()))
	if got := w.read(e); got.Stage != webhook.StageSettle {
		t.Fatalf("before the pause is over it is at %s", got.Stage)
	}
	w.now = w.now.Add(time.Second)
	w.ok(w.eraser().Run(t.Context()))
	if got := w.read(e); got.State != webhook.ErasureDone || len(w.lies(secret)) > 0 {
		t.Errorf("it is %s, the datum lies in %q", got.State, w.lies(secret))
	}
}

// posted keeps messages.
type posted []string

func (p *posted) Send(_ context.Context, _, body string, _ time.Duration) error {
	*p = append(*p, body)
	return nil
}

func TestTheBellRingsWhileThereIsSomethingToErase(t *testing.T) {
	w := newWorld(t)
	var sent posted
	bell := &erase.Bell{Store: w.store, Queue: &sent, Now: func() time.Time { return w.now }}
	rings := func(what string, want int) {
		t.Helper()
		sent = nil
		w.ok(bell.Run(t.Context()))
		if len(sent) != want || want > 0 && sent[0] != erase.Message {
			t.Errorf("%s: got %q", what, sent)
		}
	}
	rings("nothing to erase", 0)
	w.ask("acme", "")
	rings("an erasure", 1)
	w.ok(w.eraser().Run(t.Context()))
	rings("its pause", 0)
	w.now = w.now.Add(erase.Settles)
	rings("the end of its pause", 1)
	w.ok(w.eraser().Run(t.Context()))
	rings("its end", 0)
}
