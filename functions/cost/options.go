package main

import (
	"errors"
	"flag"
	"fmt"
	"regexp"
)

// options are the flags.
type options struct {
	run      *regexp.Regexp
	n, rate  int
	dynamoDB string
	out      string
	markdown bool
	items    bool
}

func parseOptions(args []string) (options, error) {
	var o options
	var run string
	set := flag.NewFlagSet("cost", flag.ContinueOnError)
	set.StringVar(&run, "run", "", "count only the scenarios that match this regular `expression`")
	set.IntVar(&o.n, "n", 1000, "deliveries of each scenario")
	set.IntVar(&o.rate, "rate", 100, "deliveries a second")
	set.StringVar(&o.dynamoDB, "dynamodb", "", "`URL` of a DynamoDB Local that runs already; empty: start the one of build/tools")
	set.StringVar(&o.out, "out", "build/cost.json", "`file` for the figures")
	set.BoolVar(&o.markdown, "markdown", false, "print the table in Markdown")
	set.BoolVar(&o.items, "items", false, "tell the sizes of the items, attribute by attribute")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.run, err = regexp.Compile(run); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	return o, o.check()
}

func (o options) check() error {
	var all []error
	if o.n < deadJobs || o.n > 100_000 || o.n%deadJobs != 0 {
		all = append(all, fmt.Errorf("-n %d: use a multiple of %d up to 100000", o.n, deadJobs))
	}
	if o.rate < 10 || o.rate > 10_000 {
		all = append(all, fmt.Errorf("-rate %d: use 10 to 10000", o.rate))
	}
	return errors.Join(all...)
}
