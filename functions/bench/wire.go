package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// wire runs the scenarios that were asked for. Figures that were taken are
// reported even when a scenario fails.
func wire(ctx context.Context, args []string) error {
	o, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.bareURL != "" {
		return runBare(ctx, o.bareURL, os.Stdout)
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return err
	}
	binary, err := build(ctx, o)
	if err != nil {
		return err
	}
	r := &report{Date: time.Now().UTC().Format(time.RFC3339), Machine: thisMachine(), Scenarios: map[string]figures{}}
	failed := r.all(ctx, o, binary)
	r.print(os.Stdout, o.markdown)
	if err := r.save(o.out); err != nil {
		return errors.Join(failed, err)
	}
	return failed
}

// all runs the scenarios one after the other.
func (r *report) all(ctx context.Context, o options, binary string) error {
	var failed []error
	if o.run.MatchString(bareName) {
		b, err := measureBare(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", bareName, err)
		}
		r.Bare = &b
		r.progress(bareName, "%.0f posts/s", b.PostsPerS)
	}
	for _, p := range plans(o) {
		if !o.run.MatchString(p.name) {
			continue
		}
		f, err := r.one(ctx, o, binary, p)
		if ctx.Err() != nil {
			return errors.Join(append(failed, ctx.Err())...)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", p.name, err))
			fmt.Fprintf(os.Stderr, "%s: %v\n", p.name, err)
		}
		if calm, ok := r.Scenarios[p.calm()]; ok {
			f.compare(p.calm(), calm, p)
		}
		r.Order, r.Scenarios[p.name] = append(r.Order, p.name), f
		r.progress(p.name, "%.0f/s, %.3f CPU-s per 1,000, p50 %.1f ms, p99 %.1f ms, %.0f MiB",
			f.DeliveriesPerS, f.CPUsPer1000, f.P50ms, f.P99ms, f.RSSMiB)
	}
	if o.run.MatchString(readsName) && !o.skipPrefill {
		f, err := measureReads(ctx, o, binary)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", readsName, err))
		}
		r.Reads = &f
		r.progress(readsName, "p50 %.1f ms, p99 %.1f ms of %d reads", f.P50ms, f.P99ms, f.Requests)
	}
	if o.run.MatchString(exportName) {
		f, err := measureExport(ctx, o, binary)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", exportName, err))
		}
		r.Export = &f
		r.progress(exportName, "%.0f MiB in %.0f s, %.0f MB per CPU-s, peak %.0f MiB", f.MiB, f.Seconds, f.ExportMBs, f.PeakMiB)
	}
	return errors.Join(failed...)
}

// one runs a plan; that of a full store after the same on an empty one.
func (r *report) one(ctx context.Context, o options, binary string, p plan) (figures, error) {
	if p.stored == 0 {
		return measure(ctx, o, binary, p)
	}
	empty := p
	empty.stored = 0
	before, err := measure(ctx, o, binary, empty)
	if err != nil {
		return before, fmt.Errorf("on an empty store: %w", err)
	}
	f, err := measure(ctx, o, binary, p)
	f.EmptyCPUs = before.CPUsPer1000
	if before.CPUsPer1000 > 0 {
		f.CPURatio = f.CPUsPer1000 / before.CPUsPer1000
	}
	return f, err
}

func (r *report) progress(name, format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%-18s "+format+"\n", append([]any{name}, args...)...)
}

func thisMachine() machine {
	return machine{CPUs: runtime.NumCPU(), Model: cpuModel(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH}
}
