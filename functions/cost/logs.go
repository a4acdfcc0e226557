package main

import (
	"bytes"
	"fmt"
	"sync"
)

const (
	// timeBytes is the length of a line's time on Lambda: UTC, nine digits of a
	// second. Here it depends on the time zone and on the last digits.
	timeBytes = len("2026-03-02T09:00:00.123456789Z")
	// eventBytes is what CloudWatch Logs counts beside each line.
	// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
	eventBytes = 26
)

// logs counts the bytes of what the functions log, their metrics included.
type logs struct {
	mu    sync.Mutex
	lines int
	bytes int
	fault error
}

// Write counts one line. One of level ERROR is a fault of the run.
func (l *logs) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines++
	l.bytes += eventBytes + lineBytes(line)
	if l.fault == nil && bytes.Contains(line, []byte(`"level":"ERROR"`)) {
		l.fault = fmt.Errorf("a function logged %s", bytes.TrimSpace(line))
	}
	return len(line), nil
}

func (l *logs) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines, l.bytes = 0, 0
}

// lineBytes is the length of a line on Lambda, without its end.
func lineBytes(line []byte) int {
	line = bytes.TrimSuffix(line, []byte("\n"))
	rest, ok := bytes.CutPrefix(line, []byte(`{"time":"`))
	if !ok {
		return len(line)
	}
	return len(line) - bytes.IndexByte(rest, '"') + timeBytes
}
