// Command standalone is the whole of Jobhook in one process, on SQLite: the
// API, dispatch, deliver and sweep, with the handlers that run as Lambdas on AWS.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := wire(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "jobhook:", err)
		os.Exit(1)
	}
}
