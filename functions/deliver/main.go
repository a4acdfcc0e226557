// Command deliver is the Lambda on the two delivery queues: it makes the attempts.
package main

import (
	"os"

	"github.com/jobhook/jobhook/functions/internal/lambdahost"
)

func main() { os.Exit(lambdahost.Run(os.Getenv, wire)) }
