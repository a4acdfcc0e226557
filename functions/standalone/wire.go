package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/demo"
	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/erase"
	"github.com/jobhook/jobhook/functions/internal/export"
	"github.com/jobhook/jobhook/functions/internal/host"
	"github.com/jobhook/jobhook/functions/internal/notify"
	"github.com/jobhook/jobhook/functions/internal/resend"
	"github.com/jobhook/jobhook/functions/internal/site"
	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/shared/disk"
	"github.com/jobhook/jobhook/shared/httpsend"
	"github.com/jobhook/jobhook/shared/keyfile"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Names of the files in the data folder, beside the database.
const (
	lockFile     = "lock"
	sealFile     = "secrets.key"
	operatorFile = "operator.key"
	filesFolder  = "files" // uploads and results
)

// What a message may cost before it is taken for a defect of ours.
const (
	visibility  = 2 * time.Minute // six times the longest request and more
	maxReceives = 1000            // more than the waits and attempts of any schedule
)

// Exports take as long as their records need, so their messages stay hidden for
// longer than that; a failed one is brought back by its handler.
const (
	exportVisibility = 2 * time.Hour
	exportReceives   = 10
	exportsAtOnce    = 1 // each uses a processor
)

// eraseFor is how long one run of sweep goes on with erasures; its other parts
// wait for it.
const eraseFor = 200 * time.Millisecond

// wire puts the product together and runs it until ctx ends.
func wire(ctx context.Context, args []string) error {
	o, err := parseOptions(args)
	if errors.Is(err, errHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	log := o.logger()
	slog.SetDefault(log)
	unlock, err := lockFolder(o.Data)
	if err != nil {
		return err
	}
	defer unlock()
	p, err := open(ctx, o, log)
	if err != nil {
		return err
	}
	err = p.run(ctx, o)
	return errors.Join(err, p.close())
}

// lockFolder makes the data folder and keeps a second process out of it.
func lockFolder(folder string) (unlock func(), err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock := flock.New(filepath.Join(folder, lockFile))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("data folder %s: another process is using it; stop that one, or give this one another --data", folder)
	}
	return func() { _ = lock.Unlock() }, nil
}

// process is everything that runs.
type process struct {
	log   *slog.Logger
	store *sqlite.Store
	files *disk.Files
	first *sqlite.Queue
	retry *sqlite.Queue
	asked *sqlite.Queue // for exports
	key   string        // the operator's
	crew  *crew.Crew
	host  *host.Host
	api   http.Handler
}

func open(ctx context.Context, o options, log *slog.Logger) (*process, error) {
	key, err := sealKey(o.Data)
	if err != nil {
		return nil, err
	}
	p := &process{log: log, crew: crew.New(), files: disk.New(filepath.Join(o.Data, filesFolder))}
	p.store, err = sqlite.Open(ctx, o.Data, sqlite.Options{Durability: sqlite.Durability(o.Durability), Sealer: key, Log: log})
	if err != nil {
		return nil, err
	}
	if err := p.openQueues(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	if p.key, err = operatorKey(ctx, p.store, o); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.assemble(o)
	return p, nil
}

// sealKey opens the key of the secrets. A new one is made with a new database
// only: beside an old one it would open nothing.
func sealKey(folder string) (*keyfile.Key, error) {
	path := filepath.Join(folder, sealFile)
	_, noKey := os.Stat(path)
	_, noData := os.Stat(filepath.Join(folder, sqlite.FileName))
	if errors.Is(noKey, os.ErrNotExist) && noData == nil {
		return nil, fmt.Errorf("%s is missing, but there is a database whose secrets it sealed; restore it from a backup", path)
	}
	return keyfile.Open(path)
}

func (p *process) openQueues(ctx context.Context) (err error) {
	options := sqlite.QueueOptions{Visibility: visibility, MaxReceives: maxReceives}
	if p.first, err = p.store.OpenQueue(ctx, "first", options); err != nil {
		return err
	}
	if p.retry, err = p.store.OpenQueue(ctx, "retry", options); err != nil {
		return err
	}
	p.asked, err = p.store.OpenQueue(ctx, "export", sqlite.QueueOptions{Visibility: exportVisibility, MaxReceives: exportReceives})
	return err
}

// assemble joins the handlers to the store, the queues and the sender.
func (p *process) assemble(o options) {
	client := httpsend.New(httpsend.Options{AllowPrivate: o.AllowPrivate, MaxSockets: maxSockets()})
	health, traffic := &deliver.HealthLog{}, &deliver.Traffic{Share: o.MaxInFlight * host.MaxMessages / 4}
	rules := webhook.HealthRules{DisableAfter: o.disableAfter()}
	lane := func(name string, queue *sqlite.Queue, retry deliver.RetryQueue) host.Lane {
		return host.Lane{Name: name, Queue: queue, Handler: &deliver.Handler{
			Store: p.store, Queue: queue, Retry: retry, Sender: client, PublicURL: o.PublicURL,
			Health: health, Rules: rules, Traffic: traffic, Crew: p.crew, Log: p.log,
		}}
	}
	dispatch := &dispatch.Handler{
		Store: p.store, Queue: p.first, Exports: p.asked, Pace: &dispatch.Pace{}, Retention: o.Retention, Log: p.log,
	}
	p.host = &host.Host{
		Feed:     p.store,
		Dispatch: dispatch,
		Lanes:    []host.Lane{lane("first", p.first, p.retry), lane("retry", p.retry, nil), p.exports(dispatch)},
		Sweep: &sweep.Handler{
			Store: p.store, Queue: p.retry, Horizon: 2 * host.DefaultSweepEvery, Log: p.log,
			Resends: p.store, Resender: &resend.Sender{Store: p.store, Queue: p.retry, PublicURL: o.PublicURL, Log: p.log},
			Erasures: &erase.Eraser{Store: p.store, Files: p.files, Budget: eraseFor, Log: p.log},
			Notices:  p.store, Notifier: &notify.Teller{Store: p.store, Queue: p.first, Operator: o.Operator, Retention: o.Retention},
			Ledger: &sweep.Ledger{Books: p.store, Ends: dispatch, Retention: o.Retention, First: firstCheck},
		},
		Grace: o.ShutdownGrace, MaxBatches: o.MaxInFlight, Log: p.log,
	}
	config := api.Config{
		Retry: p.retry, Sender: client, Local: p.files, MaxUpload: maxUpload,
		Queues:    api.Queues{First: p.first, Retry: p.retry, Export: p.asked},
		PublicURL: o.PublicURL, Rate: o.Rate, CORSOrigins: o.CORSOrigins, Rules: rules, Version: api.Version, Log: p.log,
	}
	if !o.AllowPrivate {
		config.RefusedHost = httpsend.RefusedHost
	}
	p.api = site.New(p.store, p.files, config)
}

// firstCheck is when the ledger is checked after a start, besides every hour:
// what was lost before shows then.
const firstCheck = time.Minute

// maxUpload bounds one part of an upload: what a connection can send in time.
const maxUpload = 5 << 30

// exports is the lane of exports.
func (p *process) exports(d *dispatch.Handler) host.Lane {
	return host.Lane{Name: "export", Queue: p.asked, MaxBatches: exportsAtOnce, MaxMessages: 1, Handler: &export.Handler{
		Files: p.files, Store: p.store, Jobs: p.store, Dispatch: d, Queue: p.asked, Log: p.log,
	}}
}

// maxSockets leaves a quarter of the files that we may open to the database
// and the API. Attempts beyond wait for a socket, and spend nothing.
func maxSockets() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<20 {
		return 0
	}
	return int(limit.Cur / 4 * 3)
}

// run serves until ctx ends, or until the demo has.
func (p *process) run(ctx context.Context, o options) error {
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return fmt.Errorf("--addr %s: %w", o.Addr, err)
	}
	debug, err := listenDebug(o.DebugAddr)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := &http.Server{Handler: p.api, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() { tuneMemory(ctx) })
	wait.Go(func() { serveDebug(ctx, debug) })
	wait.Go(func() { p.host.Run(ctx) })
	wait.Go(func() { p.cleanFiles(ctx, o.Retention) })
	served := make(chan error, 1)
	wait.Go(func() { served <- server.Serve(listener); stop() })
	p.log.Info("server.started", "addr", listener.Addr().String(), "data", o.Data, "version", api.Version)
	if o.Demo {
		err = p.demo(ctx, o, "http://"+listener.Addr().String())
	}
	if !o.DemoOnce && err == nil {
		<-ctx.Done()
	}
	p.log.Info("server.stopping", "grace", o.ShutdownGrace.String())
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.ShutdownGrace)
	defer cancel()
	if err2 := server.Shutdown(deadline); err2 != nil {
		_ = server.Close()
	}
	if err2 := <-served; !errors.Is(err2, http.ErrServerClosed) {
		err = errors.Join(err, err2)
	}
	return err
}

func (p *process) demo(ctx context.Context, o options, url string) error {
	c := demo.Config{API: url, Key: p.key, Addr: o.DemoAddr, Out: os.Stdout, Once: o.DemoOnce}
	if o.OperatorKey == "" {
		c.KeyFile = filepath.Join(o.Data, operatorFile)
	}
	return demo.Play(ctx, c)
}

func (p *process) close() error {
	p.crew.Close()
	for _, q := range []*sqlite.Queue{p.first, p.retry, p.asked} {
		if q != nil {
			q.Close()
		}
	}
	return p.store.Close()
}

// operatorKey makes sure that the operator has a key: the given one, the one
// in the data folder, or a new one. A key that was revoked stays revoked.
func operatorKey(ctx context.Context, store *sqlite.Store, o options) (string, error) {
	path := filepath.Join(o.Data, operatorFile)
	full := o.OperatorKey
	if full == "" {
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("operator key: %w", err)
		}
		full = string(bytes.TrimSpace(b))
	}
	revoked, err := isRevoked(ctx, store, full)
	switch {
	case err != nil:
		return "", fmt.Errorf("operator key: %w", err)
	case revoked && o.OperatorKey != "":
		return "", errors.New("--operator-key: this key was revoked; give another one")
	case revoked || full == "":
		full, _ = api.MintKey(time.Now(), webhook.ScopeOperator, "", "operator")
		if err := os.WriteFile(path, []byte(full), 0o600); err != nil {
			return "", fmt.Errorf("operator key: %w", err)
		}
	}
	key, err := api.ImportKey(full, time.Now(), webhook.ScopeOperator, "", "operator")
	if err != nil {
		return "", fmt.Errorf("operator key: %w", err)
	}
	return full, store.PutKey(ctx, key)
}

func isRevoked(ctx context.Context, store *sqlite.Store, full string) (bool, error) {
	if full == "" {
		return false, nil
	}
	id, _, err := api.ParseKey(full)
	if err != nil {
		return false, err
	}
	key, err := store.Key(ctx, id)
	if errors.Is(err, webhook.ErrNotFound) {
		return false, nil
	}
	return !key.RevokedAt.IsZero(), err
}
