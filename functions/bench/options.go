package main

import (
	"errors"
	"flag"
	"fmt"
	"regexp"
	"time"
)

// options are the flags.
type options struct {
	run         *regexp.Regexp
	quick       bool
	changes     int
	seconds     int
	prefill     int
	skipPrefill bool
	exported    int
	connections int
	backlog     int
	data        string
	keep        bool
	binary      string
	out         string
	markdown    bool

	bareURL string // hidden: be the bare client of the scenario bare
}

// Sizes of a quick run, which shows that everything works rather than figures.
const (
	quickChanges = 2000
	quickSeconds = 9
	quickPrefill = 50_000

	quickExported = 5_000
)

func parseOptions(args []string) (options, error) {
	var o options
	var run string
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.StringVar(&run, "run", "", "run only the scenarios that match this regular `expression`")
	set.BoolVar(&o.quick, "quick", false, "a short run: see that it works, do not trust the figures")
	set.IntVar(&o.changes, "changes", 10_000, "job changes of a burst")
	set.IntVar(&o.seconds, "seconds", 60, "length of the sustained load; an open loop takes two thirds")
	set.IntVar(&o.prefill, "prefill", 1_000_000, "deliveries stored before stored-1m and reads-1m are measured")
	set.BoolVar(&o.skipPrefill, "skip-prefill", false, "leave out stored-1m and reads-1m, which take minutes to prepare")
	set.IntVar(&o.exported, "exported", 200_000, "records of export-1g, of 5 KB each")
	set.IntVar(&o.connections, "connections", 64, "connections of a closed loop")
	set.IntVar(&o.backlog, "backlog", 0, "job changes that a closed loop may be ahead of their webhooks; 0: no limit")
	set.StringVar(&o.data, "data", "build/bench-data", "`folder` of the data folders; choose the disk to measure")
	set.BoolVar(&o.keep, "keep", false, "do not remove the data folders")
	set.StringVar(&o.binary, "binary", "", "measure this standalone `file` instead of building one")
	set.StringVar(&o.out, "out", "build/bench.json", "`file` for the figures")
	set.BoolVar(&o.markdown, "markdown", false, "print the table in Markdown")
	set.StringVar(&o.bareURL, "bare-client", "", "for internal use")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		o.changes, o.seconds, o.prefill, o.exported = quickChanges, quickSeconds, quickPrefill, quickExported
	}
	var err error
	if o.run, err = regexp.Compile(run); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	return o, o.check()
}

func (o options) check() error {
	var all []error
	for _, n := range []struct {
		flag             string
		value, low, high int
	}{
		{"changes", o.changes, 100, 1_000_000},
		{"seconds", o.seconds, 3, 600},
		{"prefill", o.prefill, 1, 10_000_000},
		{"exported", o.exported, 1, 10_000_000},
		{"connections", o.connections, 1, 1024},
		{"backlog", o.backlog, 0, 1_000_000},
	} {
		if n.value < n.low || n.value > n.high {
			all = append(all, fmt.Errorf("-%s %d: use %d to %d", n.flag, n.value, n.low, n.high))
		}
	}
	return errors.Join(all...)
}

// sustained is the length of the closed loop that is measured by time.
func (o options) sustained() time.Duration { return time.Duration(o.seconds) * time.Second }

// open is the length of an open loop.
func (o options) open() time.Duration { return o.sustained() / 3 * 2 }
