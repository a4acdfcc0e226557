package smoke

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// hookPath is what nobody but the receiver and Jobhook should know.
const hookPath = "/hook/c0ffee-unguessable"

// receiver takes webhooks. It refuses the very first, and is gone to one job's.
type receiver struct {
	*httptest.Server
	lock sync.Mutex
	all  []arrival
	gone string // the job
}

// arrival is a request as it came.
type arrival struct {
	path   string
	header http.Header
	body   []byte
	at     time.Time
	status int // that it was answered with
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// ServeHTTP takes one.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.lock.Lock()
	defer r.lock.Unlock()
	a := arrival{path: req.URL.Path, header: req.Header, body: body, at: time.Now(), status: http.StatusNoContent}
	if len(r.all) == 0 || err != nil {
		a.status = http.StatusInternalServerError
	}
	if r.gone != "" && a.told().Data.JobID == r.gone {
		a.status = http.StatusGone
	}
	r.all = append(r.all, a)
	w.WriteHeader(a.status)
}

// goneTo makes it answer that it is gone.
func (r *receiver) goneTo(job string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.gone = job
}

// of returns what came about a job.
func (r *receiver) of(job string) (list []arrival) {
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, a := range r.all {
		if a.told().Data.JobID == job {
			list = append(list, a)
		}
	}
	return list
}

func (r *receiver) count() int {
	r.lock.Lock()
	defer r.lock.Unlock()
	return len(r.all)
}

// told is a body in the standard format.
type told struct {
	Type string
	Data struct {
		JobID   string `json:"job_id"`
		Account string
		Status  string
		Links   struct{ Job string }
		// ResultSet tells of the job's files by their formats.
		ResultSet struct {
			Files map[string]struct {
				AllPages string `json:"all_pages"`
			}
		} `json:"result_set"`
	}
}

func (a arrival) told() (body told) {
	_ = json.Unmarshal(a.body, &body) // what is no such body tells of no job
	return body
}

func (a arrival) id() string        { return a.header.Get(webhook.HeaderID) }
func (a arrival) signature() string { return a.header.Get(webhook.HeaderSignature) }

// verify fails unless the webhook is signed with the secret, as of its arrival.
func (a arrival) verify(t testing.TB, secret string) {
	t.Helper()
	if a.path != hookPath {
		t.Errorf("a webhook came to %s", a.path)
	}
	if err := webhook.Verify(a.header, []string{secret}, a.at, a.body); err != nil {
		t.Errorf("signature of %s: %v", a.body, err)
	}
}
