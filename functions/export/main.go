// Command export is the Lambda that makes the files of a run's results, one run
// for each message of the export queue.
package main

import (
	"os"

	"github.com/jobhook/jobhook/functions/internal/lambdahost"
)

func main() { os.Exit(lambdahost.Run(os.Getenv, wire)) }
