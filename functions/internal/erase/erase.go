// Package erase removes accounts, and what accounts have of one subject, for
// good. Sweep runs it: each run goes on where the one before it ended, step by
// step. An erasure goes through its stages twice, with a pause between, so that
// it also finds what was on its way when it began.
package erase

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Settles is the pause between the two times through the stages. It is longer
// than a link for uploads or into the portal works (an hour), than a function
// may run (15 minutes), and than anybody takes an account for one that is not
// being erased.
const Settles = 65 * time.Minute

const (
	// maxRunning is how many erasures one run goes on with, those first that have
	// waited longest.
	maxRunning = 20
	// maxSteps bounds a run, however quick its steps are.
	maxSteps = 5_000
	// DefaultBudget is how long one run goes on, unless Eraser says otherwise.
	DefaultBudget = 10 * time.Second
	// stepTime is how much of a function's time a further step must have.
	stepTime = 5 * time.Second
	// foldersAtOnce is how many folders are looked at, or removed, at a time.
	foldersAtOnce = 16
	// maxFiles bounds how many files of a folder are counted. Those beyond go too.
	maxFiles = 1_000_000
)

// Store keeps erasures, and erases what it keeps.
type Store interface {
	// RunningErasures returns those that are not done.
	RunningErasures(ctx context.Context, limit int) ([]webhook.Erasure, error)
	// UpdateErasure replaces one that was read; next.Version is read.Version + 1.
	// It returns webhook.ErrStale when it has changed since.
	UpdateErasure(ctx context.Context, read, next webhook.Erasure) error
	// EraseStep erases a bounded part of what read.Stage names, from read.Cursor
	// on, and returns the erasure as it is kept after it: with what was counted,
	// and in JobHashes the jobs whose files are to go. It tells whether the stage
	// may have more. It returns webhook.ErrStale when the erasure has changed
	// since it was read, and then erases nothing. Nothing is counted twice,
	// whenever the process dies.
	EraseStep(ctx context.Context, read webhook.Erasure, now time.Time) (next webhook.Erasure, more bool, err error)
	// PurgeErased removes what is left of rows that are gone, as far as the store
	// can tell where that is.
	PurgeErased(ctx context.Context) error
}

// Files keeps the files of jobs.
type Files interface {
	// List returns the first files whose keys begin with prefix.
	List(ctx context.Context, prefix string, limit int) ([]files.Info, error)
	// RemoveFolder deletes all files whose keys begin with prefix, which ends
	// with a slash. That there are none is no error.
	RemoveFolder(ctx context.Context, prefix string) error
}

// Eraser goes on with erasures.
type Eraser struct {
	Store  Store
	Files  Files            // nil: there are none
	Settle time.Duration    // 0 is Settles
	Budget time.Duration    // how long a run goes on; 0 is DefaultBudget
	Now    func() time.Time // nil is time.Now
	Log    *slog.Logger     // nil is slog.Default
}

// Run goes on with those that are running, in turn by step, until it has nothing
// more to do or has used up its time. What fails, or another run has taken, waits
// for the next run.
func (e *Eraser) Run(ctx context.Context) error {
	running, err := e.Store.RunningErasures(ctx, webhook.MaxPage)
	if err != nil {
		return fmt.Errorf("running erasures: %w", err)
	}
	now := e.now()
	running = slices.DeleteFunc(running, func(r webhook.Erasure) bool { return r.Waits(now) })
	slices.SortFunc(running, func(a, b webhook.Erasure) int {
		return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.ID, b.ID))
	})
	running = running[:min(len(running), maxRunning)]
	end := now.Add(cmp.Or(e.Budget, DefaultBudget))
	var errs []error
	for steps := 0; len(running) > 0; {
		going := running[:0]
		for _, read := range running {
			if steps == maxSteps || steps > 0 && (!e.now().Before(end) || !deadline.Allows(ctx, stepTime)) {
				return errors.Join(errs...)
			}
			steps++
			next, more, err := e.step(ctx, read)
			if err != nil && !errors.Is(err, webhook.ErrStale) {
				errs = append(errs, fmt.Errorf("erasure %s: %s: %w", read.ID, read.Stage, err))
			}
			if err == nil && more {
				going = append(going, next)
			}
		}
		running = going
	}
	return errors.Join(errs...)
}

// step does the next bounded part of an erasure. It reports false when there is
// nothing to do now.
func (e *Eraser) step(ctx context.Context, read webhook.Erasure) (next webhook.Erasure, more bool, err error) {
	switch {
	case len(read.JobHashes) > 0:
		next, err = e.removeFiles(ctx, read)
		return next, true, err
	case read.Waits(e.now()):
		return read, false, nil
	case read.Stage == webhook.StageSettle:
		next, err = e.turn(ctx, read)
		return next, true, err
	case read.Stage == webhook.StagePurge:
		return read, false, e.finish(ctx, read)
	}
	next, more, err = e.Store.EraseStep(ctx, read, e.now())
	if err == nil && !more {
		next, err = e.turn(ctx, next)
	}
	return next, true, err
}

func (e *Eraser) turn(ctx context.Context, read webhook.Erasure) (webhook.Erasure, error) {
	next := read.Turn(e.now(), cmp.Or(e.Settle, Settles))
	return next, e.Store.UpdateErasure(ctx, read, next)
}

// removeFiles first notes how many there are, then removes them, and then notes
// that they are gone: whenever it is cut off, they are counted once and removed.
func (e *Eraser) removeFiles(ctx context.Context, read webhook.Erasure) (webhook.Erasure, error) {
	next := read
	next.Version++
	next.UpdatedAt = e.now()
	if !read.Counted {
		n, err := e.countFiles(ctx, read.Folders())
		if err != nil {
			return read, err
		}
		next.Counts, next.Counted = read.Counts.Plus(webhook.Erased{webhook.ErasedFiles: n}), true
		return next, e.Store.UpdateErasure(ctx, read, next)
	}
	if e.Files != nil {
		if err := inParallel(read.Folders(), func(folder string) error { return e.Files.RemoveFolder(ctx, folder) }); err != nil {
			return read, err
		}
	}
	next.JobHashes, next.Counted = nil, false
	return next, e.Store.UpdateErasure(ctx, read, next)
}

func (e *Eraser) countFiles(ctx context.Context, folders []string) (n int, err error) {
	if e.Files == nil {
		return 0, nil
	}
	var lock sync.Mutex
	err = inParallel(folders, func(folder string) error {
		list, err := e.Files.List(ctx, folder, maxFiles)
		lock.Lock()
		defer lock.Unlock()
		n += len(list)
		return err
	})
	return n, err
}

// finish makes the erasure its own receipt.
func (e *Eraser) finish(ctx context.Context, read webhook.Erasure) error {
	if err := e.Store.PurgeErased(ctx); err != nil {
		return err
	}
	done := read.Done(e.now())
	if err := e.Store.UpdateErasure(ctx, read, done); err != nil {
		return err
	}
	e.log().InfoContext(ctx, "erasure.done", "erasure", done.ID, "account", done.Account, "digest", done.Digest)
	return nil
}

// inParallel calls f for each folder, some at once.
func inParallel(folders []string, f func(folder string) error) error {
	var errs []error
	for chunk := range slices.Chunk(folders, foldersAtOnce) {
		results := make([]error, len(chunk))
		var all sync.WaitGroup
		for i, folder := range chunk {
			all.Go(func() { results[i] = crew.Guarded(func() error { return f(folder) }) })
		}
		all.Wait()
		errs = append(errs, results...)
	}
	return errors.Join(errs...)
}

func (e *Eraser) now() time.Time {
	if e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

func (e *Eraser) log() *slog.Logger {
	if e.Log == nil {
		return slog.Default()
	}
	return e.Log
}
