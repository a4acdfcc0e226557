package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/export"
	"github.com/jobhook/jobhook/functions/internal/notify"
	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/functions/internal/world"
	"github.com/jobhook/jobhook/shared/disk"
	"github.com/jobhook/jobhook/shared/keyfile"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// bench holds a fresh store with the handlers on it.
type bench struct {
	store    *sqlite.Store
	first    *sqlite.Queue
	retry    *sqlite.Queue
	files    *disk.Files
	dispatch *dispatch.Handler
	handlers map[string]lambda.Handler
}

// invoke runs the handler on the fixture and prints its answer, the requests
// it made, and where the deliveries stand. For all but dispatch its fixtures are
// run first, so that there are deliveries; for export there are records too.
func invoke(ctx context.Context, folder, fn, event string, out io.Writer) error {
	dir, err := os.MkdirTemp("", "jobhook-invoke-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := open(ctx, dir, out)
	if err != nil {
		return err
	}
	return errors.Join(b.run(ctx, folder, fn, event, out), b.close())
}

func open(ctx context.Context, dir string, out io.Writer) (*bench, error) {
	key, err := keyfile.Open(filepath.Join(dir, "key"))
	if err != nil {
		return nil, err
	}
	b := &bench{files: disk.New(filepath.Join(dir, "files"))}
	if b.store, err = sqlite.Open(ctx, dir, sqlite.Options{Sealer: key}); err != nil {
		return nil, err
	}
	options := sqlite.QueueOptions{Visibility: time.Minute, MaxReceives: 50}
	if b.first, err = b.store.OpenQueue(ctx, "first", options); err != nil {
		return nil, err
	}
	if b.retry, err = b.store.OpenQueue(ctx, "retry", options); err != nil {
		return nil, err
	}
	b.dispatch = &dispatch.Handler{Store: b.store, Queue: b.first}
	b.handlers = map[string]lambda.Handler{
		"dispatch": lambda.NewHandler(b.dispatch.Handle),
		"deliver":  lambda.NewHandler((&deliver.Handler{Store: b.store, Queue: b.first, Retry: b.retry, Sender: &printer{out: out}}).Handle),
		"sweep":    lambda.NewHandler((&sweep.Handler{Store: b.store, Queue: b.retry, Horizon: time.Minute, Notices: b.store, Notifier: &notify.Teller{Store: b.store, Queue: b.first}}).Handle),
		"export":   lambda.NewHandler((&export.Handler{Files: b.files, Store: b.store, Jobs: b.store, Dispatch: b.dispatch}).Handle),
	}
	return b, nil
}

func (b *bench) close() error {
	b.first.Close()
	b.retry.Close()
	return b.store.Close()
}

func (b *bench) run(ctx context.Context, folder, fn, event string, out io.Writer) error {
	handler, ok := b.handlers[fn]
	if !ok {
		return fmt.Errorf("there is no handler %q; use FN=dispatch, deliver, sweep or export", fn)
	}
	payload, err := world.Payload(folder, event)
	if err != nil {
		return err
	}
	if err := world.Apply(ctx, folder, b.store, time.Now()); err != nil {
		return err
	}
	if fn != "dispatch" {
		if err := b.dispatchAll(ctx, folder); err != nil {
			return err
		}
	}
	if fn == "export" {
		if err := b.upload(ctx, payload); err != nil {
			return err
		}
	}
	answer, err := handler.Invoke(ctx, payload)
	if err != nil {
		return fmt.Errorf("%s: %w", fn, err)
	}
	fmt.Fprintf(out, "%s answered %s\n", fn, answer)
	return errors.Join(b.show(ctx, out), b.showFiles(ctx, out))
}

func (b *bench) dispatchAll(ctx context.Context, folder string) error {
	for _, name := range world.Names(folder, "dispatch") {
		payload, err := world.Payload(folder, name)
		if err != nil {
			return err
		}
		if _, err := b.handlers["dispatch"].Invoke(ctx, payload); err != nil {
			return fmt.Errorf("dispatch %s: %w", name, err)
		}
	}
	return nil
}

func (b *bench) show(ctx context.Context, out io.Writer) error {
	for _, account := range []string{"acme", "unknown"} {
		list, _, err := b.store.Deliveries(ctx, webhook.Filter{Account: account, Limit: webhook.MaxPage})
		if err != nil {
			return err
		}
		for _, d := range list {
			fmt.Fprintf(out, "%-11s %s %-16s job %s -> %s %s\n", d.State, d.ID, d.EventType, d.JobID, d.Target.URL, d.Reason)
		}
	}
	return nil
}

// printer is a sender that prints the request and takes it for accepted.
type printer struct {
	mu  sync.Mutex
	out io.Writer
}

// Post prints.
func (p *printer) Post(_ context.Context, r webhook.Request) (webhook.Result, webhook.Timing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "POST %s\nContent-Type: %s\n", r.URL, r.ContentType)
	for _, name := range []string{webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature} {
		if v := r.Header.Get(name); v != "" {
			fmt.Fprintf(p.out, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintf(p.out, "\n%s\n\n", r.Body)
	return webhook.Result{Status: 200}, webhook.Timing{}
}
