package httpsend

import (
	"bytes"
	"io"
	"log"
)

// quiet keeps from the process's log what net/http's transport writes there:
// what a receiver sends unasked, in its own words and as often as it likes.
// The transport cannot be told to be silent or to write elsewhere.
type quiet struct{ io.Writer }

// keepQuiet puts quiet before the log of the log package, which slog.SetDefault
// sets anew: that comes first.
func keepQuiet() {
	if _, done := log.Writer().(quiet); !done {
		log.SetOutput(quiet{log.Writer()})
	}
}

// Write drops a line of the transport's and passes on every other.
func (q quiet) Write(line []byte) (int, error) {
	for _, words := range [...]string{
		"Unsolicited response received on idle HTTP channel", // HTTP/1: it quotes it
		"Transport: unhandled response frame type",           // HTTP/2: a line for each frame
		"protocol error: received ",                          // HTTP/2: what comes at the wrong time
		"http2: Transport received unsolicited ",             // HTTP/2: data of a stream that nobody opened
	} {
		if bytes.Contains(line, []byte(words)) {
			return len(line), nil
		}
	}
	return q.Writer.Write(line)
}
