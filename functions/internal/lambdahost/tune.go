package lambdahost

import (
	"runtime"
	"runtime/debug"
	"strconv"
)

// A function is billed for its memory, used or not, so garbage is collected at
// five times the live heap, and more often only when memory runs short.
const (
	garbagePercent = 400
	limitPercent   = 75 // of the memory, for what Go counts; the rest is for what it does not
)

// wholeCPU is the memory with which a function has one virtual CPU to itself,
// in MB. With less it has a share of one, though it sees two: goroutines that
// wake each other across two threads then cost an eighth more.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
const wholeCPU = 1769

// tune fits Go's runtime to the function's memory, unless the environment says
// how it is to be.
func tune(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	megabytes, err := strconv.ParseInt(getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 64)
	if err != nil || megabytes <= 0 {
		return
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(megabytes << 20 / 100 * limitPercent)
	}
	if getenv("GOMAXPROCS") == "" && megabytes <= wholeCPU {
		runtime.GOMAXPROCS(1)
	}
}
