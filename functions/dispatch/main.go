// Command dispatch is the Lambda on the stream of the jobs table: it turns what changed
// into events and deliveries, and rings for them.
package main

import (
	"os"

	"github.com/jobhook/jobhook/functions/internal/lambdahost"
)

func main() { os.Exit(lambdahost.Run(os.Getenv, wire)) }
