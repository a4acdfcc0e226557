// Command key makes an API key for a deployed stack and prints it, once. It is
// how an operator comes to the first key; the API makes all further ones.
//
//	go run ./functions/key -table NAME
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	err := wire(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "key:", err)
		os.Exit(1)
	}
}
