// Command invoke runs one handler on one fixture of events/, as Lambda would,
// against a fresh store, and prints what it would send. No request leaves the
// machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
)

func main() {
	fn := flag.String("fn", "", "handler: dispatch, deliver or sweep")
	event := flag.String("event", "", "fixture, such as dispatch-async-finished")
	folder := flag.String("events", "events", "folder of the fixtures")
	flag.Parse()
	if err := invoke(context.Background(), *folder, *fn, *event, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "invoke:", err)
		os.Exit(1)
	}
}
