// Command soak runs the standalone host for long in a hostile world: of its
// endpoints some are dead, some hang, flap, answer 500 at random or send huge
// bodies, and the process is killed or stopped every minute. Then the world
// heals, and everything that was accepted must have arrived. It prints a table
// of promises with what was seen, and ends with 1 when one was broken. All
// traffic stays on the loopback interface.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jobhook/jobhook/functions/internal/child"
)

// options are the flags.
type options struct {
	duration  time.Duration
	endpoints int
	rate      int
	restart   time.Duration
	data      string
	binary    string
	out       string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func parseOptions(args []string) (o options, err error) {
	set := flag.NewFlagSet("soak", flag.ContinueOnError)
	set.DurationVar(&o.duration, "duration", 30*time.Minute, "how long job changes are sent, at least 1m; waiting for the rest comes on top")
	set.IntVar(&o.endpoints, "endpoints", 200, "endpoints, each of an account of its own, at least 20")
	set.IntVar(&o.rate, "rate", 50, "job changes a second")
	set.DurationVar(&o.restart, "restart", time.Minute, "the process is killed, or stopped, so often")
	set.StringVar(&o.data, "data", "build/soak-data", "`folder` of the database; it is emptied first")
	set.StringVar(&o.binary, "binary", "", "soak this standalone `file` instead of building one")
	set.StringVar(&o.out, "out", "build/soak.json", "`file` for the figures")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	var bad []error
	if o.duration < time.Minute {
		bad = append(bad, fmt.Errorf("-duration %s: use at least 1m", o.duration))
	}
	if o.endpoints < 20 || o.endpoints > 1000 {
		bad = append(bad, fmt.Errorf("-endpoints %d: use 20 to 1000", o.endpoints))
	}
	if o.rate < 1 || o.rate > 1000 {
		bad = append(bad, fmt.Errorf("-rate %d: use 1 to 1000", o.rate))
	}
	if o.restart < 10*time.Second {
		bad = append(bad, fmt.Errorf("-restart %s: use at least 10s", o.restart))
	}
	return o, errors.Join(bad...)
}

func run(ctx context.Context, args []string) error {
	o, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(o.data), os.MkdirAll(o.data, 0o700), os.MkdirAll(filepath.Dir(o.out), 0o755)); err != nil {
		return err
	}
	if o.binary == "" {
		o.binary = filepath.Join("build", "soak-standalone")
		if err := child.Build(ctx, o.binary); err != nil {
			return err
		}
	}
	s, err := newSoak(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.play(ctx); err != nil {
		return err
	}
	return s.report()
}
