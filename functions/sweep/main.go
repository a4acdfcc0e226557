// Command sweep is the Lambda that runs every minute: it rings for what is due,
// releases what was held, tells of endpoints that fail, and dispatches what
// dispatch could not take in time.
package main

import (
	"os"

	"github.com/jobhook/jobhook/functions/internal/lambdahost"
)

func main() { os.Exit(lambdahost.Run(os.Getenv, wire)) }
