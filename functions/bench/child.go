package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// operatorKey is good for the data folders of this bench only.
const operatorKey = "jh_live_bench_0123456789abcdefghijklmnop"

// logName is the file of the child's log, in its data folder.
const logName = "bench.log"

// build makes the binary that is measured, and returns its path.
func build(ctx context.Context, o options) (string, error) {
	if o.binary != "" {
		return o.binary, nil
	}
	path := filepath.Join("build", "bench-standalone")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./functions/standalone")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./functions/standalone: %w\n%s", err, out)
	}
	return path, nil
}

// child is a standalone host under load.
type child struct {
	cmd  *exec.Cmd
	addr string
	log  *os.File
	done chan error // receives when it has ended
}

// startup is how long a child may take until it answers.
const startup = time.Minute

// start runs the binary on a data folder and waits until it answers.
func start(ctx context.Context, binary, folder string) (*child, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(folder, logName))
	if err != nil {
		return nil, err
	}
	c := &child{addr: addr, log: log, done: make(chan error, 1)}
	c.cmd = exec.CommandContext(ctx, binary, "--addr", addr, "--data", folder, "--allow-private",
		"--log-level", "error", "--shutdown-grace", "1s")
	c.cmd.Env = append(os.Environ(), "JOBHOOK_OPERATOR_KEY="+operatorKey)
	c.cmd.Stderr = log
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", binary, err), log.Close())
	}
	go func() { c.done <- c.cmd.Wait() }()
	if err := c.ready(ctx); err != nil {
		c.stop()
		return nil, fmt.Errorf("%w\n%s", err, c.logTail())
	}
	return c, nil
}

// freeAddr finds a port that nobody uses at this moment.
func freeAddr() (string, error) {
	line, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return line.Addr().String(), line.Close()
}

func (c *child) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startup)
	defer cancel()
	for {
		resp, err := http.Get("http://" + c.addr + "/healthz")
		if err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case err := <-c.done:
			c.done <- err
			return fmt.Errorf("the standalone host ended at its start: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("the standalone host does not answer: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// patience is how long a child may take to stop before it is killed.
const patience = 10 * time.Second

// stop ends the child and waits for that.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	timer := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	<-c.done
	c.log.Close()
}

// logTail is the end of what the child logged, for an error message.
func (c *child) logTail() []byte {
	b, _ := os.ReadFile(c.log.Name())
	return b[max(0, len(b)-2000):]
}

// logLines counts what the child logged as errors.
func (c *child) logLines() int {
	b, _ := os.ReadFile(c.log.Name())
	return bytes.Count(b, []byte("\n"))
}

// prepare writes the accounts of a plan, each with one endpoint.
func (c *child) prepare(ctx context.Context, p plan, urls []string) error {
	for i, url := range urls {
		name := accountName(i)
		if err := c.call(ctx, "PUT", "/v1/accounts/"+name, map[string]any{"name": name}); err != nil {
			return err
		}
		endpoint := map[string]any{"url": url, "format": "standard", "policy": p.policy()}
		if err := c.call(ctx, "POST", "/v1/endpoints?account="+name, endpoint); err != nil {
			return err
		}
	}
	return nil
}

func (c *child) call(ctx context.Context, method, path string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.addr+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+operatorKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode > 299 {
		err = fmt.Errorf("%s %s: answer %d: %s", method, path, resp.StatusCode, answer)
	}
	return err
}
