package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// The paths that webhooks are sent to. Their first part is the format.
const (
	pathSerpWow    = "/serpwow"
	pathWebScraper = "/webscraper"
	pathProgress   = "/hkube/progress"
	pathResult     = "/hkube/result"
	pathSocialData = "/socialdata"
	pathStandard   = "/standard"
	pathFiles      = "/files/"
	pathDownloads  = "/d/" // of the API
)

// maxBody bounds a received body, in bytes.
const maxBody = 1 << 20

// expectation is what one job must cause at the receiver.
type expectation struct {
	format   string
	jobID    string
	webhooks int      // how many different ones
	refusals int      // how many requests are refused first, on purpose
	keys     []string // what they are signed with; nil: they are not signed

	accepted map[string]bool // by webhook-id
	attempts int
	refused  string // the webhook-id of what was refused
	wrong    string // the first thing that was wrong
}

// missing tells what has not arrived as expected, "" when all has.
func (e *expectation) missing() string {
	switch {
	case e.wrong != "":
		return e.format + ": " + e.wrong
	case e.refusals > 0:
		return e.format + ": no webhook arrived"
	case len(e.accepted) < e.webhooks:
		return fmt.Sprintf("%s: %d of %d webhooks arrived", e.format, len(e.accepted), e.webhooks)
	}
	return ""
}

// receiver is the customers' server, and the one where the demo's platform
// keeps its files. It answers, checks and prints one webhook at a time.
type receiver struct {
	url     string
	out     *printer
	files   files
	api     *client // where the links of result sets lead
	server  http.Server
	serving sync.WaitGroup
	started time.Time

	lock    sync.Mutex
	expects []*expectation
	count   int
	csv     string        // the link to a table of results, once it was told
	changed chan struct{} // closed and replaced when a webhook has been answered
}

// newReceiver listens at addr and serves. It follows links of result sets at api.
func newReceiver(addr string, api *client, out *printer, ids cast) (*receiver, error) {
	f, err := newFiles(ids)
	if err != nil {
		return nil, fmt.Errorf("demo: files: %w", err)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("demo: the receiver cannot listen; choose another address, such as --demo-addr 127.0.0.1:9191: %w", err)
	}
	r := &receiver{url: urlOf(listener.Addr()), out: out, api: api, files: f, started: time.Now(), changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.Handle("GET "+pathFiles, f)
	mux.Handle("POST "+pathGallery+"{name}", &gallery{})
	mux.HandleFunc("POST /", r.receive)
	r.server.Handler = mux
	r.server.ReadHeaderTimeout = 10 * time.Second
	r.serving.Go(func() { r.server.Serve(listener) }) // until close
	return r, nil
}

// urlOf is how the product reaches a listener; one on all addresses is on
// loopback too.
func urlOf(addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String()) // a listener's always splits
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// close ends the receiver, and lets an answer under way go out.
func (r *receiver) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if r.server.Shutdown(ctx) != nil {
		r.server.Close()
	}
	r.serving.Wait()
}

// expect announces a job, before its first write.
func (r *receiver) expect(e expectation) {
	e.accepted = map[string]bool{}
	r.lock.Lock()
	defer r.lock.Unlock()
	r.expects = append(r.expects, &e)
}

// receive handles one webhook from its body to its answer. The lock is held
// for all of it: what is printed is in the order of what is counted.
func (r *receiver) receive(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q := webhookRequest{path: req.URL.Path, header: req.Header, body: body}
	r.lock.Lock()
	defer r.lock.Unlock()
	r.count++
	v := r.judge(q)
	r.out.webhook(r.count, time.Since(r.started), q, v)
	w.WriteHeader(v.status)
	if v.status >= 300 {
		io.WriteString(w, v.checks+"; "+v.note+"\n") // shown with the attempt
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// verdict is what the receiver thinks of a webhook.
type verdict struct {
	format string
	status int
	checks string // what was found, for people
	wrong  bool
	note   string // about the answer
}

func (r *receiver) judge(q webhookRequest) verdict {
	name, _, _ := strings.Cut(strings.TrimPrefix(q.path, "/"), "/")
	e := r.expected(name)
	if e == nil {
		return verdict{format: "unknown", status: http.StatusOK, checks: "not checked: no job of the demo sends to this path"}
	}
	if q.isTest() {
		return verdict{format: name, status: http.StatusOK, checks: "a test, sent by hand"}
	}
	got, err := q.read(name, r.linked)
	if err == nil && got.jobID != e.jobID {
		return verdict{format: name, status: http.StatusOK, checks: "not checked: job " + got.jobID + " is none of this demo's"}
	}
	e.attempts++
	signed := ""
	if err == nil {
		signed, err = q.verifySignature(e.keys, time.Now())
	}
	id := q.header.Get(webhook.HeaderID)
	if err == nil && e.refused != "" && e.refused != id {
		err = errors.New("the retry has another webhook-id than the request that was refused")
	}
	if err != nil {
		return e.fail(r.count, err)
	}
	return e.admit(id, got.says+"; "+signed)
}

// fail is the verdict on a webhook that is not what it should be.
func (e *expectation) fail(n int, err error) verdict {
	if e.wrong == "" {
		e.wrong = fmt.Sprintf("webhook #%d is wrong: %v", n, err)
	}
	return verdict{format: e.format, status: http.StatusUnprocessableEntity, checks: err.Error(), wrong: true}
}

// admit is the verdict on a webhook that is right.
func (e *expectation) admit(id, checks string) verdict {
	v := verdict{format: e.format, status: http.StatusOK, checks: checks}
	switch {
	case e.refusals > 0:
		e.refusals--
		e.refused = id
		v.status, v.note = http.StatusServiceUnavailable, "on purpose: a retry follows in 5 to 6 s"
		return v
	case e.accepted[id]:
		v.note = "received before: this is a resend or a duplicate, by its webhook-id"
	case e.refused != "":
		v.note = "the retry, with the webhook-id of the first request"
	}
	e.accepted[id] = true
	return v
}

func (r *receiver) expected(format string) *expectation {
	for _, e := range r.expects {
		if e.format == format {
			return e
		}
	}
	return nil
}

// linked tells whether a link leads to a file: one of the demo's platform, or
// one of a result set, which is looked for at the API only, whoever sent it.
func (r *receiver) linked(link string) bool {
	if name, ok := strings.CutPrefix(link, r.url+pathFiles); ok {
		return r.files[name] != nil
	}
	u, err := url.Parse(link)
	if err != nil || !strings.HasPrefix(u.Path, pathDownloads) || !r.api.has(u.EscapedPath()) {
		return false
	}
	if strings.Contains(path.Base(u.Path), "_All_Pages_") && path.Ext(u.Path) == ".csv" {
		r.csv = link
	}
	return true
}

// table is the link to a table of results, "" when none was told.
func (r *receiver) table() string {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.csv
}

// waitFor waits until the format has so many webhooks or a wrong one, or the
// context ends.
func (r *receiver) waitFor(ctx context.Context, format string, webhooks int) {
	r.wait(ctx, func() bool {
		e := r.expected(format)
		return len(e.accepted) >= webhooks || e.wrong != ""
	})
}

// await waits for all that is expected, or for the first thing that is wrong,
// and returns what is missing when the context ends.
func (r *receiver) await(ctx context.Context) []string {
	var missing []string
	r.wait(ctx, func() bool {
		missing = missing[:0]
		wrong := false
		for _, e := range r.expects {
			if m := e.missing(); m != "" {
				missing = append(missing, m)
			}
			wrong = wrong || e.wrong != ""
		}
		return wrong || len(missing) == 0
	})
	if len(missing) > 0 && ctx.Err() != nil {
		missing = append(missing, context.Cause(ctx).Error())
	}
	return missing
}

// wait looks after every webhook until done says so, or the context ends.
func (r *receiver) wait(ctx context.Context, done func() bool) {
	for {
		r.lock.Lock()
		enough, changed := done(), r.changed
		r.lock.Unlock()
		if enough {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// total is one line of the summary.
type total struct {
	format             string
	webhooks, attempts int
}

func (r *receiver) totals() []total {
	r.lock.Lock()
	defer r.lock.Unlock()
	var list []total
	for _, e := range r.expects {
		list = append(list, total{e.format, len(e.accepted), e.attempts})
	}
	return list
}
