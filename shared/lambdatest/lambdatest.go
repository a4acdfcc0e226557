// Package lambdatest runs the binary of a Lambda function as Lambda runs it: a
// process of its own that asks the Runtime API for one event after another.
// Tests only import it, and the commands that measure.
//
// Runtime API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
package lambdatest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Defaults of Options.
const (
	DefaultTimeout = time.Minute
	DefaultStart   = 10 * time.Second // as long as Lambda lets a start take
	DefaultGrace   = 2 * time.Second  // Lambda has 300 ms; a busy machine is given more
	DefaultRegion  = "us-east-1"
	defaultMemory  = "256"
	accountID      = "123456789012"
)

// Options say what to run.
type Options struct {
	Binary  string            // path of the executable
	Name    string            // of the function; empty: the executable's
	Env     map[string]string // the function's variables; they win over those that Lambda sets
	Timeout time.Duration     // of one invocation, after which the process is killed; 0: DefaultTimeout
	Start   time.Duration     // until the process asks for its first event; 0: DefaultStart
	Grace   time.Duration     // between SIGTERM and SIGKILL; 0: DefaultGrace
}

// Function is one execution environment: a process that handles one event at a
// time. Its methods may be called by many goroutines.
type Function struct {
	options Options
	runtime *runtimeAPI
	server  *http.Server
	served  chan struct{} // closed when the server has ended
	cmd     *exec.Cmd
	output  output
	turn    sync.Mutex    // held during an invocation
	exited  chan struct{} // closed when the process has ended
	stop    sync.Once
	stopped error // what Stop returns
	began   time.Time

	lock        sync.Mutex
	firstAnswer time.Duration
}

// Start starts the binary and waits until it asks for its first event. A
// binary that ends before it does is an ExitError.
func Start(ctx context.Context, o Options) (*Function, error) {
	f := &Function{options: withDefaults(o), runtime: newRuntimeAPI(), exited: make(chan struct{}), served: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("runtime api: %w", err)
	}
	f.server = &http.Server{Handler: f.runtime.routes(), ReadHeaderTimeout: DefaultStart}
	go func() {
		defer close(f.served)
		_ = f.server.Serve(listener) // ends by Close
	}()
	if err := f.startProcess(listener.Addr().String()); err != nil {
		f.closeServer()
		return nil, err
	}
	if err := f.awaitReady(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

func withDefaults(o Options) Options {
	if o.Name == "" {
		o.Name = filepath.Base(o.Binary)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Start == 0 {
		o.Start = DefaultStart
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	return o
}

func (f *Function) startProcess(address string) error {
	f.cmd = exec.Command(f.options.Binary)
	f.cmd.Env = f.environment(address)
	f.cmd.Dir = os.TempDir()
	file, err := f.output.open()
	if err != nil {
		return err
	}
	f.cmd.Stdout, f.cmd.Stderr = file, file
	f.began = time.Now()
	if err := f.cmd.Start(); err != nil {
		f.output.close()
		return fmt.Errorf("start %s: %w", f.options.Binary, err)
	}
	go func() {
		defer close(f.exited)
		_ = f.cmd.Wait() // ProcessState tells
		f.output.close()
	}()
	return nil
}

// environment holds nothing of our own: what a function reads must be given.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func (f *Function) environment(address string) []string {
	env := map[string]string{
		"AWS_LAMBDA_RUNTIME_API": address, "_HANDLER": "bootstrap", "LAMBDA_TASK_ROOT": filepath.Dir(f.options.Binary),
		"AWS_LAMBDA_FUNCTION_NAME": f.options.Name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": defaultMemory, "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/" + f.options.Name, "AWS_LAMBDA_LOG_STREAM_NAME": "local",
		"AWS_REGION": DefaultRegion, "AWS_DEFAULT_REGION": DefaultRegion,
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "test",
		"TZ": ":UTC", "PATH": "/usr/local/bin:/usr/bin:/bin",
	}
	maps.Copy(env, f.options.Env)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

func (f *Function) awaitReady(ctx context.Context) error {
	late := time.NewTimer(f.options.Start)
	defer late.Stop()
	select {
	case <-f.runtime.ready:
		return nil
	case <-f.exited:
		f.closeServer()
		return f.exitError()
	case <-ctx.Done():
		f.Kill()
		return fmt.Errorf("start %s: %w", f.options.Name, ctx.Err())
	case <-late.C:
		f.Kill()
		return fmt.Errorf("start %s: it asked for no event within %s; it printed:\n%s", f.options.Name, f.options.Start, f.Output())
	}
}

// Invoke hands over one event and returns the answer. A failure that the
// function reports is a FunctionError. A process that ends is an ExitError, as
// is one that takes longer than its timeout and is killed for it.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	limited, cancel := context.WithTimeout(ctx, f.options.Timeout)
	defer cancel()
	call := newInvocation(payload, time.Now().Add(f.options.Timeout), f.arn())
	select {
	case f.runtime.calls <- call:
	case <-f.exited:
		return nil, f.exitError()
	case <-limited.Done():
		return nil, f.tooLate(ctx)
	}
	select {
	case answer := <-call.answer:
		f.answered()
		return answer.body, answer.err
	case <-f.exited:
		return nil, f.exitError()
	case <-limited.Done():
		return nil, f.tooLate(ctx)
	}
}

func (f *Function) arn() string {
	return "arn:aws:lambda:" + DefaultRegion + ":" + accountID + ":function:" + f.options.Name
}

// tooLate ends the process, as Lambda does: its state is not to be trusted.
func (f *Function) tooLate(ctx context.Context) error {
	f.Kill()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("invoke %s: %w", f.options.Name, err)
	}
	return fmt.Errorf("invoke %s: timed out after %s: %w", f.options.Name, f.options.Timeout, f.exitError())
}

func (f *Function) answered() {
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.firstAnswer == 0 {
		f.firstAnswer = time.Since(f.began)
	}
}

// StartToReady is the time from the start of the process until it first asked
// for an event.
func (f *Function) StartToReady() time.Duration { return f.runtime.readyAt().Sub(f.began) }

// StartToFirstAnswer is the time from the start of the process to its first
// answer, the wait for the first Invoke included; 0 before that.
func (f *Function) StartToFirstAnswer() time.Duration {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.firstAnswer
}

// SIGTERMEnabled tells whether the process registered an extension, without
// which Lambda would end it by SIGKILL alone.
func (f *Function) SIGTERMEnabled() bool { return f.runtime.registered() }

// Stop ends the environment as Lambda does: SIGKILL, and SIGTERM a grace before
// if the process registered for that. An invocation under way is lost. It
// returns an error when the process had ended before, and when it registered
// for SIGTERM but did not end by itself with status 0.
func (f *Function) Stop() error {
	f.stop.Do(func() { f.stopped = f.end() })
	return f.stopped
}

func (f *Function) end() error {
	select {
	case <-f.exited:
		return f.exitError()
	default:
	}
	if !f.SIGTERMEnabled() {
		f.Kill()
		return nil
	}
	_ = f.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	late := time.NewTimer(f.options.Grace)
	defer late.Stop()
	select {
	case <-f.exited:
	case <-late.C:
	}
	f.Kill()
	if f.cmd.ProcessState.Success() {
		return nil
	}
	return f.exitError()
}

// Kill ends the process at once.
func (f *Function) Kill() {
	_ = f.cmd.Process.Kill() // it may have ended
	<-f.exited
	f.closeServer()
}

func (f *Function) closeServer() {
	_ = f.server.Close() // nothing to be done about it
	<-f.served
}

// PID is the process id.
func (f *Function) PID() int { return f.cmd.Process.Pid }

// Output is everything that the process printed so far.
func (f *Function) Output() string { return f.output.String() }

// Lines are the whole lines that the process printed so far.
func (f *Function) Lines() []string { return f.output.lines() }

// CPU is the processor time that the process used so far. While it runs, only
// Linux tells, in hundredths of a second; elsewhere it is 0 until the end.
func (f *Function) CPU() time.Duration {
	select {
	case <-f.exited:
		return f.cmd.ProcessState.UserTime() + f.cmd.ProcessState.SystemTime()
	default:
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", f.PID())) // empty where there is none
		return cpuOf(string(stat))
	}
}

// cpuOf reads user and system time of /proc/PID/stat, see proc_pid_stat(5): the
// 14th and 15th field. The second is the program's name, in parentheses, which
// may hold spaces.
func cpuOf(stat string) time.Duration {
	const ticksPerSecond = 100 // of every Linux that Go runs on
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11]) // the kernel writes numbers
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / ticksPerSecond
}

// ExitError tells that the process ended.
type ExitError struct {
	Function string
	Status   string // such as "exit status 1"
	Output   string // all that it printed
}

// Error names the function and what it printed.
func (e *ExitError) Error() string {
	return fmt.Sprintf("function %s ended: %s; it printed:\n%s", e.Function, e.Status, e.Output)
}

func (f *Function) exitError() error {
	<-f.exited
	return &ExitError{Function: f.options.Name, Status: f.cmd.ProcessState.String(), Output: f.Output()}
}

// Exited tells whether the error is about a process that ended, and how.
func Exited(err error) (*ExitError, bool) {
	var exit *ExitError
	ok := errors.As(err, &exit)
	return exit, ok
}
