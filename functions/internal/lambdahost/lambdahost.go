// Package lambdahost is what the binaries of the Lambda functions share: how
// they start, end, thaw after a freeze, and stand behind an HTTP API.
package lambdahost

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/jobhook/jobhook/functions/internal/logline"
)

// flushTime is what Flush may take. Lambda kills a function 300 ms after
// SIGTERM, and 500 ms after it began to shut the environment down.
const flushTime = 250 * time.Millisecond

// Function is what a binary runs.
type Function struct {
	Handler any                         // as lambda.Start takes it
	Flush   func(context.Context) error // writes what was gathered in memory when the process must end; nil: nothing is
}

// Run runs the function that wire makes, until Lambda ends the process, and
// returns the exit status. What keeps wire from making it is one line of JSON
// on stderr, and status 1.
//
// A function with a Flush gets SIGTERM first, and ends by itself with status 0.
func Run(getenv func(string) string, wire func(getenv func(string) string) (Function, error)) (status int) {
	f, err := wire(getenv)
	if err != nil {
		logline.New(os.Stderr, slog.LevelInfo).Error("function.not_started", "function", getenv("AWS_LAMBDA_FUNCTION_NAME"), "error", err.Error())
		return 1
	}
	tune(getenv)
	if f.Flush == nil {
		lambda.Start(f.Handler) // until Lambda kills the process
		return 1
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	// Without a registered extension a function gets no SIGTERM. Registering
	// one is all that the option does when it is given no callbacks.
	go lambda.StartWithOptions(f.Handler, lambda.WithEnableSIGTERM())
	<-ended
	return end(f.Flush)
}

// end writes what was gathered. Losing it is allowed, so a failure is a line
// in the log and no more.
func end(flush func(context.Context) error) (status int) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := flush(ctx); err != nil {
		logline.New(os.Stderr, slog.LevelInfo).Warn("stats.lost", "error", err.Error())
	}
	return 0
}
