// Command bench measures the standalone host: deliveries per second, CPU time,
// memory, and the time from an acknowledged job change to its webhook, with
// receivers that answer, hang or fail. It builds the binary and starts it anew
// for every scenario, with an empty data folder on a real disk.
//
// The load and the receivers are in this process, on the same cores, so both
// speak HTTP/1.1 by hand, as cheaply as can be. All traffic is on loopback.
// CPU time and memory are read from /proc, so it needs Linux.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	debug.SetGCPercent(400) // the cores belong to what is measured
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := wire(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
