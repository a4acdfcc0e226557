// Package child runs the standalone host as a process of its own, for programs
// that put it under load and look at what it uses, and for tests that look at
// all that it says.
package child

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jobhook/jobhook/shared/freeport"
)

// OperatorKey is the operator's key of a child that is given no other. It is
// good for the data folders of tests and measurements only.
const OperatorKey = "jh_live_bench_0123456789abcdefghijklmnop"

// logName is the file of the child's log, in its data folder.
const logName = "child.log"

// standalone is the package of the host.
const standalone = "github.com/jobhook/jobhook/functions/standalone"

// Build makes the standalone binary. The working directory is of our module.
func Build(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, standalone)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", standalone, err, out)
	}
	return nil
}

// Options is what a child can be told. The zero value is right for measurements.
type Options struct {
	OperatorKey string    // empty: OperatorKey
	Log         io.Writer // takes what it prints; nil: a file in its data folder, after that of its predecessors
	Flags       []string  // further ones, which prevail
}

// Child is a standalone host.
type Child struct {
	Addr string // of its API

	key    string // the operator's
	cmd    *exec.Cmd
	log    string        // path of its log; empty: it is the caller's
	exited chan struct{} // closed when it has ended
	err    error         // of the process, once exited is closed
}

// startup is how long a child may take until it answers.
const startup = time.Minute

// Start runs the binary on a data folder and waits until it answers. The
// process gets none of our own settings from the environment.
func Start(ctx context.Context, binary, folder string, o Options) (*Child, error) {
	addr, err := freeport.Addr()
	if err != nil {
		return nil, err
	}
	c := &Child{Addr: addr, key: cmp.Or(o.OperatorKey, OperatorKey), exited: make(chan struct{})}
	c.cmd = exec.CommandContext(ctx, binary, append([]string{"--addr", c.Addr, "--data", folder, "--allow-private",
		"--log-level", "error", "--shutdown-grace", "1s"}, o.Flags...)...)
	c.cmd.Env = append(withoutSettings(os.Environ()), "JOBHOOK_OPERATOR_KEY="+c.key)
	c.cmd.Stdout, c.cmd.Stderr = o.Log, o.Log
	if o.Log == nil {
		c.log = filepath.Join(folder, logName)
		file, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		defer file.Close() // the process has its own
		c.cmd.Stdout, c.cmd.Stderr = nil, file
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	if err := c.ready(ctx); err != nil {
		c.Stop()
		return nil, fmt.Errorf("%w\n%s", err, c.LogTail())
	}
	return c, nil
}

// withoutSettings leaves out of an environment what would tell a child
// otherwise than its flags: the variables of the product.
func withoutSettings(env []string) []string {
	return slices.DeleteFunc(env, func(variable string) bool { return strings.HasPrefix(variable, "JOBHOOK_") })
}

func (c *Child) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startup)
	defer cancel()
	for {
		resp, err := http.Get("http://" + c.Addr + "/healthz")
		if err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-c.exited:
			return fmt.Errorf("the standalone host ended at its start: %w", c.err)
		case <-ctx.Done():
			return fmt.Errorf("the standalone host does not answer: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// patience is how long a child may take to stop before it is killed.
const patience = 10 * time.Second

// Stop ends the child and waits for that. It may have ended before.
func (c *Child) Stop() { c.end(syscall.SIGTERM) }

// Kill ends the child as a crash does, and waits for that.
func (c *Child) Kill() { c.end(syscall.SIGKILL) }

func (c *Child) end(signal os.Signal) {
	_ = c.cmd.Process.Signal(signal) // it may have ended already
	timer := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	<-c.exited
}

// Usage is what the child has used and holds.
func (c *Child) Usage() (Usage, error) { return UsageOf(c.cmd.Process.Pid) }

// LogTail is the end of the log in the data folder, for an error message.
func (c *Child) LogTail() []byte {
	b, _ := os.ReadFile(c.log)
	return b[max(0, len(b)-2000):]
}

// LogLines counts what was logged as errors in the data folder.
func (c *Child) LogLines() int {
	b, _ := os.ReadFile(c.log)
	return bytes.Count(b, []byte("\n"))
}

// Call makes a request of the API as the operator, with a body in JSON unless
// it is nil, and returns the answer's body. Statuses above 299 are errors.
func (c *Child) Call(ctx context.Context, method, path string, body any) ([]byte, error) {
	if body == nil {
		return c.Send(ctx, method, path, "", nil)
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return c.Send(ctx, method, path, "application/json", bytes.NewReader(b))
}

// Send is Call with a body of any type.
func (c *Child) Send(ctx context.Context, method, path, contentType string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.Addr+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode > 299 {
		err = fmt.Errorf("%s %s: answer %d: %s", method, path, resp.StatusCode, answer)
	}
	return answer, err
}
