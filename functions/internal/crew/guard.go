package crew

import (
	"fmt"
	"runtime/debug"
)

// Guarded runs f and makes a panic its error: in a goroutine it would end the
// process, in a batch the work beside it.
func Guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
