package browser_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/jobhook/jobhook/shared/webhook"
)

// The tests in flows_*_test.go do what people do: each is one promise, kept
// between a person at a browser, the running product and a real receiver.

// receiver is a customer's server. It keeps what comes, and answers as it was
// told last.
type receiver struct {
	t   *testing.T
	url string

	mu     sync.Mutex
	status int
	came   []arrival
}

// arrival is a webhook that came.
type arrival struct {
	header http.Header
	body   []byte
}

func newReceiver(t *testing.T, status int) *receiver {
	t.Helper()
	r := &receiver{t: t, status: status}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL + "/hook"
	return r
}

// ServeHTTP keeps a webhook.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // it was cut off, so the sender knows that it has not arrived
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.came = append(r.came, arrival{request.Header, body})
	w.WriteHeader(r.status)
	fmt.Fprintf(w, "the receiver answers %d", r.status)
}

// answers says with which status from now on.
func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// got is what has come so far.
func (r *receiver) got() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.came)
}

// waits until so many have come, and returns them. More are too many.
func (r *receiver) waits(n int) []arrival {
	r.t.Helper()
	await(r.t, fmt.Sprintf("webhook %d", n), func() bool { return len(r.got()) >= n })
	came := r.got()
	if len(came) > n {
		r.t.Fatalf("%d webhooks came, want %d", len(came), n)
	}
	return came
}

// isSignedBy tells whether a secret verifies the webhook.
func (a arrival) isSignedBy(secret string) bool {
	return webhook.Verify(a.header, []string{secret}, time.Now(), a.body) == nil
}

// customer is an account with an endpoint of its own.
type customer struct {
	p        *product
	name     string
	key      string
	receiver *receiver
	endpoint string // its id
	secret   string // of the endpoint
}

// newCustomer makes a customer whose receiver answers with a status, and whose
// endpoint is tried again after the given waits, in JSON.
func newCustomer(t *testing.T, p *product, status int, waits string) *customer {
	t.Helper()
	c := &customer{p: p, name: "acme", receiver: newReceiver(t, status)}
	c.key = p.account(c.name)
	var made struct{ ID, Secret string }
	p.call("POST", "/v1/endpoints?account="+c.name, raw(`{"url":`+quoted(c.receiver.url)+`,"policy":{"retry_seconds":`+waits+`}}`), &made)
	c.endpoint, c.secret = made.ID, made.Secret
	return c
}

// finishes writes a job of the customer that has ended well.
func (c *customer) finishes(job string) {
	c.p.t.Helper()
	c.p.call("PUT", "/v1/jobs/"+job, raw(`{"account":`+quoted(c.name)+`,"kind":"async","status":"success"}`), nil)
}

// has waits until so many deliveries are in a state, and returns their ids, the
// newest first.
func (c *customer) has(n int, state string) []string {
	c.p.t.Helper()
	var list struct{ Items []struct{ ID string } }
	await(c.p.t, fmt.Sprintf("%d deliveries that are %s", n, state), func() bool {
		c.p.call("GET", "/v1/deliveries?"+url.Values{"account": {c.name}, "state": {state}}.Encode(), nil, &list)
		return len(list.Items) == n
	})
	var ids []string
	for _, d := range list.Items {
		ids = append(ids, d.ID)
	}
	return ids
}

// factOf is an expression for what a page says beside a name; "" when there is
// no such name.
func factOf(name string) string {
	return fmt.Sprintf(`([...document.querySelectorAll("dt")].find(e => e.textContent === %s)?.nextElementSibling.innerText ?? "")`, quoted(name))
}

// reads waits until what the page says beside a name begins with a text.
func (b *tab) reads(name, begin string) {
	b.t.Helper()
	b.waitFor(factOf(name)+".startsWith("+quoted(begin)+")", name+" to be "+begin)
}

// lists waits until the list of deliveries has so many, all in a state.
func (b *tab) lists(n int, state string) {
	b.t.Helper()
	b.waitFor(fmt.Sprintf(`%d === document.querySelectorAll("#list tbody tr").length && [...document.querySelectorAll("#list tbody tr")].every(e => e.querySelector(".badge").textContent === %s)`, n, quoted(state)),
		fmt.Sprintf("a list of %d that are %s", n, state))
}

// stay marks the page, so that stayed can tell that it was not loaded again.
func (b *tab) stay() {
	b.t.Helper()
	value[bool](b, "window.stays = true")
}

// stayed complains when the page was loaded again after stay.
func (b *tab) stayed() {
	b.t.Helper()
	if !value[bool](b, "window.stays === true") {
		b.t.Error("the page was loaded again")
	}
}

// statusOf is the status that the page came with.
const statusOf = `performance.getEntriesByType("navigation")[0].responseStatus`

// pointAt moves the pointer to the middle of what a selector finds.
func (b *tab) pointAt(selector string) {
	b.t.Helper()
	at := value[[]float64](b, fmt.Sprintf(`(() => { const r = document.querySelector(%s).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`, quoted(selector)))
	b.run(chromedp.MouseEvent(chromedp.MouseMoved, at[0], at[1]))
}

// pointAway moves the pointer to the corner of the window, where nothing changes.
func (b *tab) pointAway() {
	b.t.Helper()
	b.run(chromedp.MouseEvent(chromedp.MouseMoved, 1, 1))
}

// within bounds a command of the browser.
func (b *tab) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, patience)
}
