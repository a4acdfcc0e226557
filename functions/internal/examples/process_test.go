package examples

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// requireAll makes a runtime that is not installed a failure.
const requireAll = "JOBHOOK_REQUIRE_ALL"

// patience is how long a receiver may run; one that hangs is ended by then.
const patience = time.Minute

// command says how a receiver is started.
type command []string

// programs returns the receivers by the runtime that they need. Each is made
// ready where the test that needs it may be skipped.
func programs() map[string]func(*testing.T) command {
	return map[string]func(*testing.T) command{"Go": goReceiver, "Node": nodeReceiver, "Python": pythonReceiver}
}

func goReceiver(t *testing.T) command {
	compiler, err := exec.LookPath("go")
	need(t, "go", err)
	binary := filepath.Join(t.TempDir(), "receiver")
	if out, err := exec.CommandContext(t.Context(), compiler, "build", "-o", binary, "./receiver").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return command{binary}
}

// nodeReceiver runs from a folder where its packages lie beside it: that is
// where Node looks for them, and they shall not lie among our sources.
func nodeReceiver(t *testing.T) command {
	node, err := exec.LookPath("node")
	need(t, "node", err)
	packages := tool(t, "node", "node_modules")
	dir := t.TempDir()
	if err := os.Symlink(packages, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "receiver.mjs")
	if err := os.WriteFile(script, read(t, "node/receiver.mjs"), 0o600); err != nil {
		t.Fatal(err)
	}
	return command{node, script}
}

func pythonReceiver(t *testing.T) command {
	return command{tool(t, "venv", "bin", "python"), filepath.Join("python", "receiver.py")}
}

// tool returns the path of something that .ci/tools has installed.
func tool(t *testing.T, name string, rest ...string) string {
	t.Helper()
	installed, err := filepath.Abs(filepath.Join("..", "..", "..", "build", "tools", "receivers", name))
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(installed + ".version") // written last
	need(t, "build/tools/receivers/"+name, err)
	return filepath.Join(append([]string{installed}, rest...)...)
}

// need ends the test when something is not installed: skipped, or failed when
// all must be there.
func need(t *testing.T, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv(requireAll) == "":
		t.Skipf("%s is missing: %v; run `make tools` (.ci/tools)", what, err)
	default:
		t.Fatalf("%s is missing: %v; run `make tools` (.ci/tools), as %s is set", what, err, requireAll)
	}
}

// process is a receiver that was started.
type process struct {
	url    string
	lines  chan string // what it prints, closed at its end
	errors *bytes.Buffer
	cmd    *exec.Cmd
}

// launch starts a receiver, which ends with the test.
func launch(t *testing.T, c command, keys ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	p := &process{cmd: exec.CommandContext(ctx, c[0], c[1:]...), lines: make(chan string), errors: &bytes.Buffer{}}
	p.cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+strings.Join(keys, " "), "PORT=0")
	p.cmd.Stderr = p.errors
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = p.end()
	})
	return p
}

// end waits for the process to end, and says what it wrote to standard error.
func (p *process) end() error {
	for range p.lines { // Wait comes after the last read
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, p.errors)
	}
	return nil
}

// start launches a receiver and waits until it listens.
func start(t *testing.T, c command, keys ...string) *process {
	t.Helper()
	p := launch(t, c, keys...)
	line, ok := <-p.lines
	address, listens := strings.CutPrefix(line, "listening on ")
	switch {
	case !ok:
		t.Fatalf("it ended: %v", p.end())
	case !listens:
		t.Fatalf("it printed %q, want where it listens", line)
	}
	p.url = "http://" + address + "/"
	return p
}

// printed returns the lines that the receiver prints up to the wanted one.
func (p *process) printed(t *testing.T, last string) (lines []string) {
	t.Helper()
	for line := range p.lines {
		lines = append(lines, line)
		if line == last {
			return lines
		}
	}
	t.Fatalf("got %q and no more, want %q: %v", lines, last, p.end())
	return nil
}

// post sends a webhook as it stands, on a connection of its own, and returns the answer's status.
func (p *process) post(ctx context.Context, h http.Header, body string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header = h.Clone()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
