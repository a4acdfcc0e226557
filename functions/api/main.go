// Command api is the Lambda behind the HTTP API: the native API under /v1.
package main

import (
	"os"

	"github.com/jobhook/jobhook/functions/internal/lambdahost"
)

func main() { os.Exit(lambdahost.Run(os.Getenv, wire)) }
