package lambdatest

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
)

// output is what a process prints, on both of its streams, in the order in
// which it came. It goes to a file, so that what a function printed before its
// answer is there when the answer is.
type output struct {
	lock sync.Mutex
	file *os.File // nil when the process has ended
	all  string   // then
}

// open returns the file for the process to write to.
func (o *output) open() (*os.File, error) {
	file, err := os.CreateTemp("", "jobhook-function-*")
	if err != nil {
		return nil, fmt.Errorf("file for the output: %w", err)
	}
	o.file = file
	return file, os.Remove(file.Name()) // it lives as long as it is open
}

// close keeps what was printed in memory.
func (o *output) close() {
	all := o.String()
	o.lock.Lock()
	defer o.lock.Unlock()
	if o.file != nil {
		_ = o.file.Close() // it was written by others
	}
	o.all, o.file = all, nil
}

// String is all that was printed so far.
func (o *output) String() string {
	o.lock.Lock()
	defer o.lock.Unlock()
	if o.file == nil {
		return o.all
	}
	all, err := io.ReadAll(io.NewSectionReader(o.file, 0, math.MaxInt64))
	if err != nil {
		return fmt.Sprintf("the output cannot be read: %v", err)
	}
	return string(all)
}

// lines returns the lines that have ended.
func (o *output) lines() []string {
	all := o.String()
	end := strings.LastIndexByte(all, '\n')
	if end < 0 {
		return nil
	}
	return strings.Split(all[:end], "\n")
}
