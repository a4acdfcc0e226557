package browser_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/jobhook/jobhook/functions/internal/child"
	// What the binary is made of, so that no result of another one is taken from the cache.
	_ "github.com/jobhook/jobhook/functions/internal/dispatch"
	_ "github.com/jobhook/jobhook/functions/internal/export"
	_ "github.com/jobhook/jobhook/functions/internal/host"
	_ "github.com/jobhook/jobhook/functions/internal/notify"
	_ "github.com/jobhook/jobhook/functions/internal/site"
	_ "github.com/jobhook/jobhook/functions/internal/sweep"
	_ "github.com/jobhook/jobhook/shared/httpsend"
	_ "github.com/jobhook/jobhook/shared/sqlite"
)

// requireAll makes what is not installed a failure.
const requireAll = "JOBHOOK_REQUIRE_ALL"

// patience is how long anything may take that a test waits for.
const patience = 30 * time.Second

// What TestMain prepares for all tests.
var (
	binary  string          // the built program
	chrome  context.Context // a running Chromium; nil where none is installed
	axe     string          // axe-core, as a script; "" where it is not installed
	missing []string        // what is not installed, and how to get it
)

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "6") // they wait for most of their time
	code, err := prepareAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepareAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "jobhook-browser-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	script, err := os.ReadFile(filepath.Join("..", "..", "..", "build", "tools", "browser", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		missing = append(missing, "axe-core: run make tools")
	}
	axe = string(script)
	program, err := exec.LookPath("chromium-headless-shell") // half the work of the whole browser's
	if err != nil {
		program, err = exec.LookPath("chromium")
	}
	if err != nil {
		missing = append(missing, "Chromium: install it (Debian: chromium-headless-shell, or chromium)")
		return m.Run(), nil
	}
	binary = filepath.Join(dir, "standalone")
	if err := child.Build(context.Background(), binary); err != nil {
		return 1, err
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))...)
	defer stop()
	ctx, quit := chromedp.NewContext(allocator)
	defer quit()
	if err := chromedp.Do(ctx); err != nil {
		return 1, fmt.Errorf("%s does not start: %w", program, err)
	}
	chrome = ctx
	return m.Run(), nil
}

// needAll skips a test where something is not installed, and fails it in CI.
func needAll(t *testing.T) {
	t.Helper()
	if len(missing) == 0 {
		return
	}
	why := "not installed: " + strings.Join(missing, "; ")
	if os.Getenv(requireAll) != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// product is the product, running on an empty folder.
type product struct {
	t     *testing.T
	url   string
	child *child.Child
}

func newProduct(t *testing.T, flags ...string) *product {
	t.Helper()
	needAll(t)
	c, err := child.Start(t.Context(), binary, t.TempDir(), child.Options{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	return &product{t: t, url: "http://" + c.Addr, child: c}
}

// operatorKey is the key of the operator.
const operatorKey = child.OperatorKey

// raw is JSON that is written already.
type raw = json.RawMessage

// await waits until a condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// call is a request to the API by the operator; in and out may be nil.
func (p *product) call(method, path string, in, out any) {
	p.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(string(body)))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+child.OperatorKey)
	if r.Header.Set("Content-Type", "application/json"); strings.HasSuffix(path, "/records") {
		r.Header.Set("Content-Type", "application/x-ndjson")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		p.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, answer, err)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			p.t.Fatalf("%s %s: %v: %s", method, path, err, answer)
		}
	}
}

// account makes an account, and a key of it.
func (p *product) account(id string) (key string) {
	p.t.Helper()
	p.call("PUT", "/v1/accounts/"+id, map[string]string{"name": id}, nil)
	var made struct{ Key string }
	p.call("POST", "/v1/accounts/"+id+"/keys", map[string]string{"name": "test"}, &made)
	return made.Key
}

// portalLink makes a link to an account's dashboard.
func (p *product) portalLink(account string) string {
	p.t.Helper()
	var made struct{ URL string }
	p.call("POST", "/v1/accounts/"+account+"/portal-links", struct{}{}, &made)
	return made.URL
}

// tab is a page of the browser, with a profile of its own. What must never
// happen in it fails the test at its end: an error on the console, a script that
// a stranger brought in, a request to another host.
type tab struct {
	t   *testing.T
	p   *product
	ctx context.Context

	mu    sync.Mutex
	wrong []string // what must not happen
}

func newTab(t *testing.T, p *product) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(chrome, chromedp.WithNewBrowserContext())
	b := &tab{t: t, p: p, ctx: ctx}
	t.Cleanup(func() {
		closeTab()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, w := range b.wrong {
			t.Error(w)
		}
	})
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	b.run(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		return err
	}), chromedp.EmulateViewport(1280, 900))
	return b
}

// watch notes what must not happen.
func (b *tab) watch(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		what := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			what += ": " + e.ExceptionDetails.Exception.Description
		}
		b.note("a script failed: " + what)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			for _, a := range e.Args {
				b.note(fmt.Sprintf("the console says: %s%s", a.Value, a.Description))
			}
		}
	case *log.EventEntryAdded:
		// The browser itself tells of every page whose status is an error.
		if e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.Text, "the server responded with a status of 4") {
			b.note("the console says: " + e.Entry.Text + " " + e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		b.note("a dialog was opened: " + e.Message)
	case *network.EventRequestWillBeSent:
		if url := e.Request.URL; !strings.HasPrefix(url, b.p.url+"/") && !strings.HasPrefix(url, "data:") && !strings.HasPrefix(url, "about:") {
			b.note("a request to another host: " + url)
		}
	}
}

func (b *tab) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, what)
}

// run takes steps one after the other. When a page is replaced between the look
// for a part of it and its use, the step has done nothing and is taken again.
func (b *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for _, step := range steps {
		err := chromedp.Do(ctx, step)
		for err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "No node with given id") {
			err = chromedp.Do(ctx, step)
		}
		if err != nil {
			b.t.Fatalf("%v\nthe page:\n%s", err, b.text())
		}
	}
}

// open goes to a path of the product, or to a whole URL of it.
func (b *tab) open(path string) {
	b.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = b.p.url + path
	}
	b.run(chromedp.Navigate(path))
	b.waitFor(`document.readyState === "complete"`, "the end of the page") // the event may have been that of the page before
}

// text is what the page says.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`)) // the page may be gone
	return text
}

// sees waits until the page says something, without a click.
func (b *tab) sees(what string) {
	b.t.Helper()
	b.waitFor(fmt.Sprintf("document.body.innerText.includes(%s)", quoted(what)), "the page to say "+what)
}

// lacks complains when the page says something.
func (b *tab) lacks(what string) {
	b.t.Helper()
	if text := b.text(); strings.Contains(text, what) {
		b.t.Errorf("the page says %q:\n%s", what, text)
	}
}

// waitFor waits until an expression is true, also of the pages that come next.
func (b *tab) waitFor(expression, what string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && is {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.t.Fatalf("waiting for %s: %v\nthe page:\n%s", what, err, b.text())
		}
	}
}

// value evaluates an expression, which may be a promise.
func value[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// fill writes into the field of a name.
func (b *tab) fill(name, value string) {
	b.t.Helper()
	b.run(chromedp.SetValue(chromedp.CSS(fmt.Sprintf(`[name=%q]`, name)), value))
}

// press clicks the button or link that says something. The page that comes may
// not be there yet.
func (b *tab) press(label string) {
	b.t.Helper()
	find := fmt.Sprintf(`//main//*[self::button or self::a or self::summary][normalize-space(.)=%s] | //header//*[self::button or self::a][normalize-space(.)=%[1]s]`, xpath(label))
	b.run(chromedp.Click(find, chromedp.NodeVisible))
}

// signIn opens a session with a key.
func (b *tab) signIn(key string) {
	b.t.Helper()
	b.open("/sign-in")
	b.fill("key", key)
	b.press("Sign in")
	b.waitFor(`location.pathname !== "/sign-in" && document.readyState === "complete"`, "being signed in")
}

// violation is a rule of accessibility that a page breaks.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// isAccessible has axe-core look at the page.
func (b *tab) isAccessible() {
	b.t.Helper()
	value[int](b, axe+";0")
	found := value[[]violation](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations)`)
	at := value[string](b, "location.pathname")
	for _, f := range found {
		for _, n := range f.Nodes {
			b.t.Errorf("%s: %s: %s: %s\n%s", at, f.ID, f.Help, n.HTML, n.Summary)
		}
	}
}

// screenshots are written where CI keeps them.
var screenshots = filepath.Join("..", "..", "..", "build", "screenshots")

// photograph takes pictures of the page, light and dark, wide and narrow.
func (b *tab) photograph(name string) {
	b.t.Helper()
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		for label, width := range map[string]int64{"wide": 1280, "narrow": 360} {
			b.run(inScheme(scheme), chromedp.EmulateViewport(width, 900))
			ctx, cancel := context.WithTimeout(b.ctx, patience)
			picture, err := chromedp.Run(ctx, fullScreenshot)
			cancel()
			if err == nil {
				err = os.WriteFile(filepath.Join(screenshots, name+"-"+scheme+"-"+label+".png"), picture, 0o644)
			}
			if err != nil {
				b.t.Fatal(err)
			}
		}
	}
	b.run(inScheme(""), chromedp.EmulateViewport(1280, 900))
}

// fullScreenshot is a picture of the whole page, which is packed in a hurry.
func fullScreenshot(ctx context.Context, t *chromedp.Target) ([]byte, error) {
	yes := true
	shot, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: &yes, OptimizeForSpeed: &yes})
	if err != nil {
		return nil, err
	}
	return shot.Data, nil
}

// inScheme has the page in dark or light.
func inScheme(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

// quoted writes a text for a script.
func quoted(s string) string {
	b, _ := json.Marshal(s) // a text always marshals
	return string(b)
}

// xpath writes a text for an XPath, which has no escapes.
func xpath(s string) string {
	if !strings.Contains(s, `"`) {
		return `"` + s + `"`
	}
	return `'` + s + `'`
}
