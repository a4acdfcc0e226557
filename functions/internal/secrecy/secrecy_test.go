// Package secrecy_test runs the whole product with secrets planted wherever one
// can be, and looks for them in all that it says and keeps.
package secrecy_test

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/shared/webhook"
)

// secret is a planted text.
type secret struct {
	what  string
	text  string
	shown string // the one answer that has to show it, as method and path; empty: none may

	// Its owner, and who runs the platform, may read it by the API: a URL, a
	// record, a receiver's answer. It has no place in logs, problems and pages.
	readable bool

	// It has been erased, so no file may hold it, though it was readable.
	erased bool
}

// world is a product with secrets in it.
type world struct {
	*product
	operator, acme, rival, nobody caller
	secrets                       []secret
}

const operatorSecret = "plantedoperator0123456789abcdefghijklmnop"

func (w *world) plant(s secret) string {
	w.t.Helper()
	if len(s.text) < 16 {
		w.t.Fatalf("%s: %q is too short to be looked for", s.what, s.text)
	}
	w.secrets = append(w.secrets, s)
	return s.text
}

// once plants what an answer showed: no other may. It is looked for without the
// name that it begins with.
func (w *world) once(what, shown string, value any) string {
	w.t.Helper()
	text, _ := value.(string)
	w.plant(secret{what: what, text: text[strings.LastIndexByte(text, '_')+1:], shown: shown})
	return text
}

func TestNoSecretComesOutOfAFullRun(t *testing.T) {
	key := "jh_live_planted_" + operatorSecret
	w := &world{product: newProduct(t, key)}
	w.plant(secret{what: "the operator's key", text: operatorSecret})
	w.operator = caller{w.product, "operator", key}
	w.nobody = caller{w.product, "", ""}
	w.accounts()
	w.listener()
	w.endpoints()
	w.jobs()
	w.export()
	w.erasure()
	w.garbage()
	w.notices()
	w.readEverything(w.acme, "")
	w.readEverything(w.operator, "account=acme")
	w.readEverything(w.rival, "")
	w.stop()
	w.look()
}

// accounts makes two accounts and their keys, one of them by a portal link.
func (w *world) accounts() {
	for _, id := range []string{"acme", "rival"} {
		w.operator.must("PUT", "/v1/accounts/"+id, `{"name":"`+id+`"}`)
	}
	path := "/v1/accounts/acme/keys"
	first := w.operator.must("POST", path, `{"name":"planted"}`, "Idempotency-Key", "once-1")
	full := w.once("an account's key", "POST "+path, first["key"])
	w.acme = caller{w.product, "acme", full}
	path += "/" + first["id"].(string) + ":rotate"
	w.once("a rotated key", "POST "+path, w.operator.must("POST", path, `{"overlap_seconds":3600}`)["key"])
	w.once("a platform's key", "POST /v1/keys", w.operator.must("POST", "/v1/keys", `{"scope":"platform"}`)["key"])

	path = "/v1/accounts/rival/portal-links"
	link := w.once("a portal link", "POST "+path, w.operator.must("POST", path, "")["url"])
	_, token, _ := strings.Cut(link, "token=")
	session := w.nobody.must("POST", "/v1/portal-sessions", `{"token":"`+token+`"}`)
	w.rival = caller{w.product, "rival", w.once("a session's key", "POST /v1/portal-sessions", session["key"])}
	w.nobody.send("GET", "/portal?token="+token, "")
	w.nobody.send("POST", "/v1/portal-sessions", `{"token":"`+token+`"}`) // used up
}

// endpoints makes endpoints whose receivers behave in every way, and works on them.
func (w *world) endpoints() {
	t := w.t
	says := func(status int, name string) string {
		cookie := w.plant(secret{what: "a header of a receiver: " + name, text: "plantedcookie" + name, readable: true})
		body := w.plant(secret{what: "an answer of a receiver: " + name, text: "plantedanswer" + name, readable: true})
		s := httptest.NewServer(http.HandlerFunc(func(r http.ResponseWriter, _ *http.Request) {
			r.Header().Set("Set-Cookie", "a="+cookie)
			r.Header().Set("Location", "http://127.0.0.1:1/?"+cookie)
			r.WriteHeader(status)
			fmt.Fprint(r, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	unasked := w.plant(secret{what: "an answer that nobody asked for", text: "plantedunasked01", readable: true})
	garbage := w.plant(secret{what: "an answer that is no HTTP", text: "plantedgarbage01", readable: true})
	for i, url := range []string{
		says(200, "good"), says(500, "failing"), says(302, "redirecting"), says(410, "gone"), "http://127.0.0.1:1", "http://nowhere.invalid",
		raw(t, "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"+unasked), raw(t, garbage+"\r\n\r\n"), strings.Replace(says(200, "tlsless"), "http:", "https:", 1),
	} {
		query := w.plant(secret{what: "a URL's query", text: fmt.Sprintf("plantedquery%04d", i), readable: true})
		path := w.plant(secret{what: "a URL's path", text: fmt.Sprintf("plantedpath%05d", i), readable: true})
		header := w.plant(secret{what: "a header of an endpoint", text: fmt.Sprintf("plantedheader%04d", i)})
		own := w.plant(secret{what: "an endpoint's own secret", text: base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "planted secret of 24 bytes%04d", i)), shown: "POST /v1/endpoints"})
		made := w.acme.must("POST", "/v1/endpoints", fmt.Sprintf(`{"url":"%s/%s?token=%s","headers":{"Authorization":"Bearer %s-tail"},"secret":"whsec_%s","types":["job.finished","job.failed","job.progress"],
			"policy":{"retry_seconds":[1],"timeout_seconds":2}}`, url, path, query, header, own), "Idempotency-Key", fmt.Sprint("endpoint-", i))
		id := "/v1/endpoints/" + made["id"].(string)
		w.acme.send("POST", id+":test", "")
		if i == 0 {
			w.workOn(id)
		}
	}
	w.once("an endpoint's secret", "POST /v1/endpoints", w.acme.must("POST", "/v1/endpoints", `{"url":"http://127.0.0.1:1/a","policy":{"retry_seconds":[]}}`)["secret"])
	w.acme.must("POST", "/v1/endpoints", `{"url":"http://127.0.0.1:1/b","signing":"ed25519","policy":{"retry_seconds":[]}}`)
}

// workOn does to an endpoint all that can be done.
func (w *world) workOn(path string) {
	w.once("a rotated secret", "POST "+path+":rotate-secret", w.acme.must("POST", path+":rotate-secret", "")["secret"])
	w.acme.must("POST", path+":pause", "")
	w.acme.must("POST", path+":resume", "")
	w.acme.must("PATCH", path, `{"headers":{"X-Api-Key":"`+w.plant(secret{what: "a changed header", text: "plantedchanged01"})+`","Authorization":"Bearer plantedheader0000-tail"}}`)
	w.acme.must("GET", path, "")
}

// jobs makes jobs that end, with records, and one with a URL of its own: enough
// for an endpoint that never answers well to be failing.
func (w *world) jobs() {
	attribute := w.plant(secret{what: "a job's attribute", text: "plantedattribute", readable: true})
	message := w.plant(secret{what: "a job's error", text: "plantedmessage01", readable: true})
	hook := w.plant(secret{what: "a job's own URL", text: "plantedownhook01", readable: true})
	w.operator.must("PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"processing","custom_id":"c","password":"`+attribute+`"}`)
	w.operator.must("PATCH", "/v1/jobs/1", `{"status":"error","message":"`+message+`"}`)
	w.operator.must("PUT", "/v1/jobs/2", `{"account":"acme","kind":"batch","status":"queued","notification_webhook":"http://127.0.0.1:1/`+hook+`?`+hook+`"}`)
	w.operator.send("PATCH", "/v1/jobs/2", `{"status":"all_complete"}`)
	w.operator.send("PUT", "/v1/jobs/3", `{"account":"acme","kind":"async","status":"nonsense","password":"`+attribute+`"}`)
	for i := range webhook.FailingAfter {
		w.operator.must("PUT", fmt.Sprintf("/v1/jobs/more-%d", i), `{"account":"acme","kind":"async","status":"success"}`)
	}
	w.settled()
}

// settled waits until all webhooks have been tried as often as they are.
func (w *world) settled() {
	w.eventually("nothing is queued", func() bool {
		return len(w.acme.ids("/v1/events")) >= 1 && len(w.acme.ids("/v1/deliveries?state=queued")) == 0 && len(w.acme.ids("/v1/deliveries?state=waiting")) == 0
	})
}

// garbage sends what is refused, with secrets in it.
func (w *world) garbage() {
	wrong := w.plant(secret{what: "a key that is none", text: "plantedwrongkey0123456789abcdef"})
	junk := w.plant(secret{what: "a value that is refused", text: "plantedjunk00001"})
	for _, by := range []caller{{w.product, "", "jh_live_planted_" + wrong}, {w.product, "", "jh_live_x_" + wrong}, {w.product, "", wrong}} {
		by.send("GET", "/v1/endpoints", "")
		by.send("POST", "/v1/portal-sessions", `{"token":"pl_planted_`+wrong+`"}`)
	}
	w.nobody.send("GET", "/v1/endpoints", "", "Authorization", "Basic "+wrong)
	w.nobody.send("GET", "/v1/endpoints", "", "Cookie", wrong)
	for _, path := range []string{"/serpwow/batches?api_key=", "/webscraper/sitemaps?api_token=", "/hkube/api/v1/exec?key=", "/socialdata/x?api_key=", "/v1/endpoints?key=", "/nowhere?key="} {
		w.nobody.send("GET", path+wrong, "")
		w.nobody.send("GET", path+w.operator.key, "")
	}
	w.nobody.send("GET", "/d/"+wrong+"/all.json", "")
	w.nobody.send("HEAD", "/d/"+wrong+"/all.json", "")
	for _, body := range []string{
		`{"url":"https://a.example","headers":{"Cookie":"` + junk + `"}}`, `{"url":"https://a.example","headers":{"X-A":"` + junk + `\r\n"}}`,
		`{"url":"https://a.example","headers":{"X-A: ` + junk + `":"b"}}`, `{"url":"https://a.example","headers":{"X-A":["` + junk + `"]}}`,
		`{"url":"https://a.example","headers":"` + junk + `"}`, `{"url":"https://a.example","secret":"` + junk + `"}`, `{"url":"https://a.example","secret":["` + junk + `"]}`,
		`{"url":"https://a.example","secret":"whsec_` + junk + `","signing":"none"}`, `{"url":"https://user:` + junk + `@a.example"}`, `{"secret":"` + junk, `"` + junk + `"`,
		`{"url":"https://a.example","headers":{"Authorization":"` + junk + strings.Repeat("x", 3000) + `"}}`,
	} {
		w.acme.send("POST", "/v1/endpoints", body)
	}
	w.operator.send("PUT", "/v1/jobs/9", `{"account":"acme","kind":"batch","status":"queued","notification_webhook":"https://user:`+junk+`@a.example"}`)
	w.acme.send("GET", "/v1/deliveries?after="+junk, "")
	w.acme.send("GET", "/v1/deliveries?state="+junk, "")
	w.acme.send("GET", "/v1/jobs/"+junk, "")
	w.acme.send("POST", "/v1/resends", `{"filter":{"since":"`+junk+`"}}`)
	w.acme.send("POST", "/v1/endpoints", `{"url":"https://a.example"}`, "Idempotency-Key", strings.Repeat(junk, 40))
	w.acme.send("PATCH", "/v1/endpoints/"+junk, `{}`, "If-Match", junk)
}

// readEverything reads all that a key can.
func (w *world) readEverything(c caller, query string) {
	with := func(path string) string { return strings.TrimSuffix(path+"?"+query, "?") }
	for _, list := range []string{"/v1/endpoints", "/v1/events", "/v1/deliveries", "/v1/jobs"} {
		for _, id := range c.ids(with(list)) {
			c.send("GET", with(list+"/"+id), "")
		}
	}
	for _, run := range []string{"/result-set", "/downloads"} {
		c.send("GET", with("/v1/jobs/"+exported+"/runs/1"+run), "")
	}
	for _, path := range []string{"/v1/keys", "/v1/accounts/acme", "/v1/accounts/acme/keys", "/v1/resends", "/v1/hosts", "/v1/ledger", "/v1/erasures", "/v1/jobs/" + exported + "/runs", "/v1/jobs/" + exported + "/result-sets",
		"/", "/healthz", "/docs", "/openapi.json", "/problems", "/problems/invalid-request", "/metrics", "/portal", "/debug/pprof/cmdline", "/debug/vars"} {
		c.send("GET", with(path), "")
	}
}

// look looks for every secret in all that was said and kept.
func (w *world) look() {
	t, logged := w.t, w.output.String()
	if !strings.Contains(logged, "level=") {
		t.Fatalf("there are no log lines:\n%s", logged)
	}
	kept := files(t, w.data)
	for _, s := range w.secrets {
		if at := strings.Index(logged, s.text); at >= 0 {
			t.Errorf("%s is logged: %s", s.what, around(logged, at))
		}
		w.lookAtAnswers(s)
		for path, content := range kept {
			if (!s.readable || s.erased) && strings.Contains(content, s.text) {
				t.Errorf("%s is in the file %s as it is", s.what, path)
			}
		}
	}
	if strings.Contains(logged, "token=") || strings.Contains(logged, "Bearer ") || strings.Contains(logged, "whsec_") || strings.Contains(logged, "whsk_") {
		t.Errorf("the log speaks of tokens:\n%s", logged)
	}
	if readable := strings.Join(values(kept), ""); !strings.Contains(readable, "plantedattribute") || !strings.Contains(readable, "plantedrecord") {
		t.Error("the files do not even hold a job's attribute and a record: the test looks at the wrong ones")
	}
}

func (w *world) lookAtAnswers(s secret) {
	w.mu.Lock()
	defer w.mu.Unlock()
	shown := false
	for _, a := range w.heard {
		at := strings.Index(a.text, s.text)
		switch {
		case at < 0:
		case s.shown != "" && a.asked == s.shown:
			shown = true
		case s.readable && a.mayBeRead():
		default:
			w.t.Errorf("%s is in the answer %d to %q by %q: %s", s.what, a.status, a.asked, a.by, around(a.text, at))
		}
	}
	if s.shown != "" && !shown {
		w.t.Errorf("%s is not in the answer to %s: the test looks for the wrong text", s.what, s.shown)
	}
}

// mayBeRead tells whether an answer may show what is readable: one to who may
// read it, but neither a receipt, which stays for ever, nor the event of a
// notice, which tells others than the endpoint's owner.
func (a answer) mayBeRead() bool {
	notice := strings.HasPrefix(a.asked, "GET /v1/events/") && strings.Contains(a.text, `"type":"endpoint.`)
	return a.status < 300 && (a.by == "acme" || a.by == "operator") && strings.Contains(a.asked, " /v1/") &&
		!strings.Contains(a.asked, " /v1/erasures") && !notice
}

func around(text string, at int) string {
	return fmt.Sprintf("%q", text[max(at-150, 0):min(at+80, len(text))])
}

// files reads all that is in a folder, by path.
func files(t *testing.T, folder string) map[string]string {
	all := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func values(m map[string]string) (all []string) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

func TestRevokedKeyIsRefusedAtOnce(t *testing.T) {
	key := "jh_live_planted_" + operatorSecret
	p := newProduct(t, key)
	operator := caller{p, "operator", key}
	operator.must("PUT", "/v1/accounts/acme", `{"name":"acme"}`)
	made := operator.must("POST", "/v1/accounts/acme/keys", `{}`)
	acme := caller{p, "acme", made["key"].(string)}
	acme.must("GET", "/v1/endpoints", "")
	operator.must("DELETE", "/v1/accounts/acme/keys/"+made["id"].(string), "")
	if got := acme.send("GET", "/v1/endpoints", ""); got.status != http.StatusUnauthorized {
		t.Errorf("the next request: %d %s, want 401", got.status, got.body)
	}
}
