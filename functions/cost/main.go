// Command cost counts what a webhook costs on AWS. It runs the real handlers of
// dispatch, deliver and sweep, with the real store on DynamoDB Local and the
// real client of SQS, counts their requests, the capacity that they consume and
// the bytes that they log and send, and prices them per million webhooks.
//
// Nothing leaves the machine. Time is a clock of its own, so that three days of
// retries take none, and every count is the same in every run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/jobhook/jobhook/shared/awstest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := wire(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
}

func wire(ctx context.Context, args []string, w io.Writer) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.dynamoDB == "" {
		server, err := startDynamoDB(ctx)
		if err != nil {
			return err
		}
		defer server.stop()
		o.dynamoDB = server.url
	}
	r, err := measure(ctx, o, w)
	if err != nil {
		return err
	}
	r.print(w, o.markdown)
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return err
	}
	return r.save(o.out)
}

// measure runs the scenarios one after another.
func measure(ctx context.Context, o options, w io.Writer) (*report, error) {
	server := awstest.Server{URL: o.dynamoDB}.Config()
	r := newReport(o.rate)
	for _, s := range scenarios() {
		if !o.run.MatchString(s.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s: %s\n", s.name, s.about())
		got, err := run(ctx, s, server, o.n, o.rate)
		if err != nil {
			return nil, fmt.Errorf("scenario %s: %w", s.name, err)
		}
		r.add(got)
		if o.items {
			printItems(w, got)
		}
	}
	if len(r.order) == 0 {
		return nil, fmt.Errorf("-run %s: no scenario has such a name", o.run)
	}
	return r, r.addIdle(ctx, server)
}
