package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/jobhook/jobhook/shared/webhook"
)

// visit is one request of somebody who has signed in.
type visit struct {
	d   *Dashboard
	r   *http.Request
	key string // of the session
	who who
}

// who has signed in.
type who struct {
	Scope     webhook.Scope `json:"scope"`
	Account   string        `json:"account"` // of an account's session
	ExpiresAt string        `json:"expires_at"`
}

// begin finds out who it is.
func (v *visit) begin() error {
	if v.key == "" {
		return &problem{Status: http.StatusUnauthorized}
	}
	return v.get("/v1/session", nil, &v.who)
}

// account is the one that is looked at; "" when a platform or an operator has
// chosen none.
func (v *visit) account() string {
	if v.who.Scope == webhook.ScopeAccount {
		return v.who.Account
	}
	return v.param("account")
}

// isOperator tells whether the pages of the operator are shown.
func (v *visit) isOperator() bool { return v.who.Scope == webhook.ScopeOperator }

// isPlatform tells whether the session reaches all accounts.
func (v *visit) isPlatform() bool { return v.who.Scope == webhook.ScopePlatform || v.isOperator() }

// param is a parameter of the page's address.
func (v *visit) param(name string) string { return v.r.URL.Query().Get(name) }

// without is the page's address but for one parameter.
func (v *visit) without(name string) string {
	u := *v.r.URL
	q := u.Query()
	q.Del(name)
	u.RawQuery = q.Encode()
	return u.RequestURI()
}

// form is a field of the form that was sent.
func (v *visit) form(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// query makes the parameters of a call from names and values, without those
// that are empty, and adds the account that is looked at.
func (v *visit) query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if v.isPlatform() && v.account() != "" {
		q.Set("account", v.account())
	}
	return q
}

// link is the address of a page, for the account that is looked at.
func (v *visit) link(path string, pairs ...string) string {
	if q := v.query(pairs...); len(q) > 0 {
		return path + "?" + q.Encode()
	}
	return path
}

// seg writes a part of a path, whatever it holds: also dots, which would be a
// step up.
func seg(id string) string { return strings.ReplaceAll(url.PathEscape(id), ".", "%2E") }

// get reads from the API. What it refuses is a *problem.
func (v *visit) get(path string, query url.Values, out any) error {
	return v.call(http.MethodGet, path, query, nil, out)
}

// post sends in, unless it is nil, as JSON.
func (v *visit) post(path string, query url.Values, in, out any) error {
	return v.call(http.MethodPost, path, query, in, out)
}

// call is one request to the API in this process; out may be nil.
func (v *visit) call(method, path string, query url.Values, in, out any) error {
	return v.callAs(v.key, method, path, query, in, out)
}

// callAs calls with another key than the session's.
func (v *visit) callAs(key, method, path string, query url.Values, in, out any) error {
	_, err := v.send(apiCall{key: key, method: method, path: path, query: query, in: in, out: out})
	return err
}

// apiCall is a request to the API with all that one may have.
type apiCall struct {
	key          string // "" is none
	method, path string
	query        url.Values
	ifMatch      string // the ETag that is to be changed, and no other; "" whatever is there
	once         string // what is called with the same text again is done once; "" each time
	in, out      any    // as call takes them
}

// send makes a call, and returns the ETag of what came back.
func (v *visit) send(c apiCall) (etag string, err error) {
	r, err := c.request(v)
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", c.method, c.path, err)
	}
	w := &answer{header: http.Header{}, status: http.StatusOK}
	v.d.API.ServeHTTP(w, r)
	if w.status >= http.StatusBadRequest {
		return "", w.problem()
	}
	if c.out == nil {
		return "", nil
	}
	if err := json.Unmarshal(w.body.Bytes(), c.out); err != nil {
		return "", fmt.Errorf("%s %s: answer: %w", c.method, c.path, err)
	}
	return w.header.Get("ETag"), nil
}

func (c apiCall) request(v *visit) (*http.Request, error) {
	var body bytes.Buffer
	if c.in != nil {
		if err := json.NewEncoder(&body).Encode(c.in); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(v.r.Context(), c.method, c.path+"?"+c.query.Encode(), &body)
	if err != nil {
		return nil, err
	}
	r.Host, r.RemoteAddr = v.r.Host, v.r.RemoteAddr
	set := func(name, value string) {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if c.key != "" {
		set("Authorization", "Bearer "+c.key)
	}
	if c.in != nil {
		set("Content-Type", "application/json")
	}
	set("If-Match", c.ifMatch)
	set("Idempotency-Key", c.once)
	return r, nil
}

// answer is what the API writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the header of the answer.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader takes the status.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write takes a part of the body.
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

func (a *answer) problem() error {
	p := &problem{}
	if err := json.Unmarshal(a.body.Bytes(), p); err != nil {
		p.Detail = "The answer of the API cannot be read."
	}
	p.Status = a.status
	p.RetryAfter = a.header.Get("Retry-After")
	return p
}

// problem is what the API refuses, as its Problem tells it.
type problem struct {
	Type       string         `json:"type"`
	Title      string         `json:"title"`
	Status     int            `json:"status"`
	Detail     string         `json:"detail"`
	RequestID  string         `json:"request_id"`
	Errors     []fieldProblem `json:"errors"`
	RetryAfter string         `json:"-"` // seconds
}

type fieldProblem struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
	Cure    string `json:"cure"`
}

// Error makes it an error.
func (p *problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Type, p.Detail) }
