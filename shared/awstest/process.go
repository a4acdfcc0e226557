package awstest

import (
	"fmt"
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/freeport"
)

const (
	startTries = 3               // another process may take the port first
	startWait  = 2 * time.Minute // a JVM, on a machine that is busy with builds
	keptOutput = 4 << 10
)

// running are the processes to end.
var running struct {
	sync.Mutex
	stops []func()
}

// start runs a program until it answers.
func start(p program) (Server, error) {
	tools, err := toolsDir()
	if err != nil {
		return Server{}, err
	}
	for try := 1; ; try++ {
		s, err := startOnce(p, tools)
		if err == nil || try == startTries || !isExit(err) {
			return s, err
		}
	}
}

func startOnce(p program, tools string) (Server, error) {
	port, err := freeport.Find()
	if err != nil {
		return Server{}, err
	}
	cmd, remove, err := p(tools, port)
	if err != nil {
		return Server{}, err
	}
	run, err := launch(cmd)
	if err != nil {
		remove()
		return Server{}, err
	}
	stop := func() {
		run.stop()
		remove()
	}
	s := Server{URL: fmt.Sprintf("http://localhost:%d", port)}
	if err := run.waitFor(s.URL); err != nil {
		stop()
		return Server{}, err
	}
	running.Lock()
	defer running.Unlock()
	running.stops = append(running.stops, stop)
	return s, nil
}

// stopAll ends what was started.
func stopAll() {
	running.Lock()
	defer running.Unlock()
	for _, stop := range running.stops {
		stop()
	}
	running.stops = nil
}

// process is a program that was started.
type process struct {
	cmd    *exec.Cmd
	output *tail
	ended  chan struct{} // closed when it has ended
}

// launch starts cmd from a thread that lives as long as it: Linux sends the
// signal of Pdeathsig when the thread, not the process, that started it ends.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, output: &tail{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	endWithParent(cmd)
	started := make(chan error, 1)
	go func() {
		defer close(p.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // that it ended is all that matters
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// stop kills the process and waits for its end; there is nothing to save.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// waitFor waits until the process answers.
func (p *process) waitFor(url string) error {
	client := http.Client{Timeout: startWait}
	deadline := time.After(startWait)
	for {
		answered := answers(&client, url)
		select {
		case <-p.ended:
			return exitError{path: p.cmd.Path, output: p.output.String()}
		case <-deadline:
			return fmt.Errorf("%s does not answer after %v: %s", p.cmd.Path, startWait, p.output)
		default:
		}
		if answered {
			return nil
		}
		<-time.After(20 * time.Millisecond)
	}
}

func answers(client *http.Client, url string) bool {
	response, err := client.Get(url)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil
}

// exitError: the process ended instead of answering.
type exitError struct{ path, output string }

func (e exitError) Error() string { return fmt.Sprintf("%s ended: %s", e.path, e.output) }

func isExit(err error) bool {
	_, ok := err.(exitError)
	return ok
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - keptOutput; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept))
}
