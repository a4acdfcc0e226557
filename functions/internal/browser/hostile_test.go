package browser_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/functions/internal/child"
)

// payloads are what strangers would write where they may write something: each
// marks the page if any of it is run. They are at most 200 characters long, as
// that is what names may have.
func payloads() []string {
	return []string{
		`<script>window.pwned=1</script>`,
		`"><script>window.pwned=2</script>`,
		`'><script>window.pwned=3</script>`,
		`"><img src=x onerror=window.pwned=4>`,
		`' onmouseover='window.pwned=5' autofocus onfocus='window.pwned=5`,
		`" style="background:url(//evil.example)" onfocus="window.pwned=6" autofocus="`,
		`javascript:window.pwned=7`,
		`data:text/html,<script>parent.pwned=8</script>`,
		`<svg/onload=window.pwned=9><svg><script href=data:,window.pwned=9 />`,
		`</title><script>window.pwned=10</script>`,
		`</style><script>window.pwned=11</script><style>@import'//evil.example'`,
		`</script><script>window.pwned=12</script>`,
		`</textarea></select></pre><iframe srcdoc="<script>parent.pwned=13</script>"></iframe>`,
		`<template><img src=x onerror=window.pwned=14></template><!--><script>window.pwned=14</script>-->`,
		`{{constructor.constructor('window.pwned=15')()}}${window.pwned=15}#{window.pwned=15}<%=window.pwned=15%>`,
		`&lt;script&gt;window.pwned=16&lt;/script&gt;&#60;script&#62;&#x3c;img src=x onerror=window.pwned=16&#x3e;`,
		`<meta http-equiv=refresh content="0;url=//evil.example"><base href=//evil.example>`,
		`<link rel=stylesheet href=//evil.example/x.css><form action=//evil.example><button>Sign in</button></form>`,
		`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror=window.pwned=19&gt;">`,
		`<a href=//evil.example>Click here</a><object data=//evil.example></object><video src=//evil.example>`,
		`<input name=key><input name=next value=//evil.example><button formaction=//evil.example>`,
		`//evil.example/\\evil.example?a=1&said=resent#b`,
		`<x contenteditable onbeforeinput=window.pwned=23>` + "`${window.pwned=23}`" + `<main data-live data-part id=main>`,
		`<p class=said role=status>It is on its way once more.</p><ins id=news><b id=zone>`,
	}
}

// unprintable are texts that browsers show otherwise than they are.
func unprintable() []string {
	return []string{
		"a\r\nSet-Cookie: pwned=1\r\n\r\n<script>window.pwned=31</script>",
		"\u202egpj.exe\u2066\u2067\u2069\u200b\u200f\ufeff<script>window.pwned=32</script>",
		"\x01\x02\x1b[31m\x7f\u0085\u2028<script>window.pwned=33</script>",
		strings.Repeat("W", 16<<10),
	}
}

// asID is a payload as account and job ids can hold it: without spaces, which
// tags do not need.
func asID(payload string) string { return strings.ReplaceAll(payload, " ", "/") }

// asURL is a payload in the parts of a receiver's URL that can hold it.
func asURL(receiver, payload string) string {
	payload = strings.NewReplacer(" ", "/", "%", "").Replace(payload)
	return receiver + "/" + payload + "?q=" + payload
}

// hostileReceiver answers with payloads: in its body, its headers, their names
// and its content type, by the number in the path. Some answers are no HTTP.
func hostileReceiver(t *testing.T) string {
	t.Helper()
	list := append(payloads(), unprintable()...)
	list = append(list, "\xff\xfe<script>window.pwned=34</script>")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n int
		fmt.Sscanf(r.URL.Path, "/%d", &n) // 0 where there is none
		io.Copy(io.Discard, r.Body)       // a sender that goes away is no matter
		payload := list[n%len(list)]
		if n%7 == 6 {
			if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
				fmt.Fprintf(c, "HTTP/1.1 %s\r\n%s\r\n\r\n", strings.ReplaceAll(payload, "\r\n", " "), payload)
				c.Close()
			}
			return
		}
		h := w.Header()
		inHeader := strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f { // by which the answer would be no HTTP
				return -1
			}
			return r
		}, payload[:min(len(payload), 1000)])
		h["X-Evil"] = []string{inHeader, "javascript:window.pwned=35"}
		h["X-"+regexp.MustCompile(`[^a-z'!#$%&*.^|~]`).ReplaceAllString(inHeader, "")] = []string{"x"}
		h["Content-Type"] = []string{"text/html; charset=" + inHeader}
		h["Location"] = []string{"javascript:window.pwned=36"}
		h["Refresh"] = []string{"0;url=//evil.example"}
		w.WriteHeader([]int{500, 302, 400, 503}[n%4])
		io.WriteString(w, payload)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// plant writes payloads into everything of the account acme that somebody may
// write into.
func plant(p *product, receiver string) {
	p.t.Helper()
	const acme = "?account=acme"
	id := func(s string) string { return strings.ReplaceAll(url.PathEscape(s), ".", "%2E") }
	for i, evil := range payloads() {
		p.call("PUT", "/v1/accounts/"+id(asID(evil)), map[string]string{"name": evil}, nil)
		p.call("POST", "/v1/accounts/acme/keys", map[string]string{"name": evil}, nil)
		var made struct{ ID string }
		in := map[string]any{"url": asURL(fmt.Sprintf("%s/%d", receiver, i), evil), "headers": map[string]string{"X-Evil": evil}, "policy": map[string]any{"retry_seconds": []int{}}}
		switch i % 3 {
		case 0:
			in["policy"] = map[string]any{"retry_seconds": []int{3600}}
		case 1:
			in["types"] = []string{"job.finished", "job.failed"}
		}
		p.call("POST", "/v1/endpoints"+acme, in, &made)
		if i%5 == 0 {
			p.call("POST", "/v1/endpoints/"+made.ID+":pause"+acme, map[string]string{"reason": evil}, nil)
		}
		if i%6 == 0 { // ten may be under way at a time
			p.call("POST", "/v1/resends"+acme, map[string]any{"filter": map[string]string{"job": evil, "event": evil, "endpoint": evil}}, nil)
		}
		p.call("PUT", "/v1/jobs/"+id(asID(evil)), hostileRecord(i, receiver, evil), nil)
	}
	for i := range len(unprintable()) + 1 { // whose answers are no text, see hostileReceiver
		p.call("POST", "/v1/endpoints"+acme, map[string]any{"url": fmt.Sprintf("%s/%d", receiver, len(payloads())+i), "policy": map[string]any{"retry_seconds": []int{}}}, nil)
	}
	for i, evil := range unprintable() {
		record := hostileRecord(i, receiver, evil)
		if len(evil) > 10_000 { // once is enough for a record
			record = map[string]any{"account": "acme", "kind": "async", "status": "processing", "name": evil}
		}
		p.call("PUT", fmt.Sprintf("/v1/jobs/unprintable-%d", i), record, nil)
		p.call("POST", "/v1/accounts/acme/keys", map[string]string{"name": evil[:min(len(evil), 200)]}, nil)
	}
	p.call("PUT", "/v1/accounts/acme", map[string]string{"name": payloads()[0], "webhook_url": asURL(receiver+"/3", payloads()[3]), "webhook_format": "auto"}, nil)
	for i := range 5 { // its receivers cannot be reached, or are none
		bad := []string{"https://" + strings.TrimPrefix(receiver, "http://"), "http://xn--<script>.invalid", "http://evil'\"><b>.invalid", "http://127.0.0.1:1", "http://[::1%25<b>]:1"}[i]
		p.try("POST", "/v1/endpoints"+acme, map[string]any{"url": bad + "/" + payloads()[i], "policy": map[string]any{"retry_seconds": []int{}}})
	}
	ends := "/v1/jobs/" + id(endedID())
	p.call("PUT", ends, map[string]any{"account": "acme", "kind": "batch", "status": "running", "run": 1}, nil)
	p.call("POST", ends+"/runs/1/records", map[string]string{payloads()[1]: payloads()[3]}, nil)
	for _, kind := range []string{"async", "batch", "scraping", "pipeline"} { // these end, so that everybody is told
		p.call("PUT", ends, endedRecord(kind, receiver), nil)
	}
	await(p.t, "the files of its results", func() bool {
		var sets struct{ Items []struct{ State string } }
		p.call("GET", ends+"/result-sets?kind=batch&account=acme", nil, &sets)
		return len(sets.Items) == 1 && sets.Items[0].State == "ready"
	})
}

// endedID is the id of jobs that have ended.
func endedID() string { return "ends-as-" + asID(payloads()[1]) }

// hostileRecord is a job that goes on, with a payload in all that a platform
// may write.
func hostileRecord(i int, receiver, evil string) map[string]any {
	r := map[string]any{"account": "acme", "name": evil, "message": evil, "details": evil, "error": evil, "reason": evil, "sitemap_name": evil, "description": evil, "nodeName": evil,
		evil: evil, "nested": map[string]any{evil: []any{evil, map[string]string{evil: evil}}}, "data": map[string]string{"x": evil}, "results_url": "javascript:window.pwned=40", "file_name": evil}
	switch i % 4 {
	case 0:
		r["kind"], r["status"], r["progress"] = "async", "processing", evil
	case 1:
		r["kind"], r["status"], r["run"] = "batch", "running", 1
		r["notification_webhook"], r["notification_email"] = receiver+"/1", evil
	case 2:
		r["kind"], r["status"], r["custom_id"] = "scraping", "started", evil
	case 3:
		r["kind"], r["status"] = "pipeline", "active"
		r["webhooks"] = map[string]string{"progress": receiver + "/2", "result": receiver + "/3"}
	}
	return r
}

// endedRecord is a job that has ended, with all payloads in it.
func endedRecord(kind, receiver string) map[string]any {
	all := strings.Join(append(payloads(), unprintable()[:3]...), "\n")
	r := map[string]any{"account": "acme", "kind": kind, "name": all, "error": all, "message": all, "data": payloads(), "results": payloads()}
	switch kind {
	case "async":
		r["status"] = "error"
	case "batch":
		r["status"], r["run"], r["notification_webhook"] = "idle", 1, asURL(receiver+"/5", payloads()[5])
	case "scraping":
		r["status"] = "finished"
	case "pipeline":
		r["status"], r["webhooks"] = "failed", map[string]string{"result": asURL(receiver+"/4", payloads()[4])}
	}
	return r
}

// try is a call that may be refused.
func (p *product) try(method, path string, in any) {
	p.t.Helper()
	if _, err := p.child.Call(p.t.Context(), method, path, in); err != nil && !strings.Contains(err.Error(), "answer 4") {
		p.t.Fatal(err)
	}
}

// inspection is what a script of ours finds on a page.
type inspection struct {
	Pwned   bool     `json:"pwned"`   // a payload was run
	Strange []string `json:"strange"` // elements and attributes that none of our pages has
	Links   []string `json:"links"`   // to pages of ours
	Text    string   `json:"text"`    // all of it, and what its fields hold
}

// inspect looks at the page as it is now.
const inspect = `(() => {
  const strange = [], links = [];
  const ours = (a) => /^\/(?![\/\\])/.test(a) || a.startsWith("#") || a.startsWith("https://github.com/jobhook/jobhook") || a.startsWith("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'");
  for (const e of document.querySelectorAll("*")) {
    if (/^(IFRAME|OBJECT|EMBED|BASE|FRAME|PORTAL|VIDEO|AUDIO|IMG|TEMPLATE|MATH|APPLET|X|INS)$/i.test(e.tagName)) strange.push("<" + e.tagName + ">");
    for (const a of e.attributes) {
      if (/^(on|style$|srcdoc$|http-equiv$|contenteditable$|background$|ping$)/i.test(a.name)) strange.push(e.tagName + " has " + a.name + "=" + a.value);
      if (/^(href|src|action|formaction|xlink:href|data|poster|srcset|cite)$/i.test(a.name) && !ours(a.value)) strange.push(e.tagName + " leads to " + a.value.slice(0, 200));
    }
    if (e.tagName === "A" && e.getAttribute("href")?.startsWith("/")) links.push(e.getAttribute("href"));
  }
  if (document.scripts.length !== 1) strange.push(document.scripts.length + " scripts");
  if (document.querySelectorAll("style,link[rel=stylesheet]").length !== 1) strange.push("more than one style sheet");
  if (document.documentElement.scrollWidth > innerWidth) strange.push("wider than the window: " + [...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll,pre")).slice(0, 3).map(e => e.outerHTML.slice(0, 150)));
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i);
  if (ids.length) strange.push("the id " + ids[0] + " twice");
  const fields = [...document.querySelectorAll("input,textarea")].map(e => e.value).join("\n");
  return { pwned: window.pwned !== undefined || document.cookie !== "", strange, links, text: document.documentElement.textContent + "\n" + fields + "\n" + document.title };
})()`

// crawler visits all pages that it finds links to.
type crawler struct {
	b        *tab
	visited  map[string]bool
	patterns map[string]int // how many of a kind
	most     int            // pages of a kind
	text     strings.Builder
}

// kindOf is an address without what tells it from others of its kind.
func kindOf(address string) string {
	path, query, _ := strings.Cut(address, "?")
	path = regexp.MustCompile(`/(ep_|evt_|dlv_|rsd_|whd_|msg_)?[a-z0-9_]{12,}`).ReplaceAllString(path, "/{id}")
	values, _ := url.ParseQuery(query) // what is no query has no names
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return path + "?" + strings.Join(names, "&")
}

// isClean complains of what a stranger has brought onto the page, and keeps its text.
func (b *tab) isClean(what string, text *strings.Builder) []string {
	b.t.Helper()
	found := value[inspection](b, inspect)
	if found.Pwned || len(found.Strange) > 0 {
		b.t.Errorf("%s: a script ran: %v; %q", what, found.Pwned, found.Strange)
	}
	text.WriteString(found.Text)
	return found.Links
}

// crawl visits what the pages lead to, beginning with some.
func (c *crawler) crawl(queue ...string) {
	c.b.t.Helper()
	for len(queue) > 0 {
		address := queue[0]
		queue = queue[1:]
		address, _, _ = strings.Cut(address, "#")
		kind := kindOf(address)
		if c.visited[address] || c.patterns[kind] >= c.most || strings.HasPrefix(address, "/d/") || address == "" {
			continue
		}
		c.visited[address] = true
		c.patterns[kind]++
		c.b.open(address)
		queue = append(queue, c.b.isClean(address, &c.text)...)
	}
}

func TestWhatStrangersWriteIsTextOnEveryPage(t *testing.T) {
	t.Parallel()
	p := newProduct(t, "--rate", "100000")
	key := p.account("acme")
	var platform struct{ Key string }
	p.call("POST", "/v1/keys", map[string]string{"scope": "platform", "name": payloads()[2]}, &platform)
	plant(p, hostileReceiver(t))
	await(t, "all attempts", func() bool {
		var queued struct{ Items []struct{ ID string } }
		p.call("GET", "/v1/deliveries?account=acme&state=queued", nil, &queued)
		var exhausted struct{ Items []struct{ ID string } }
		p.call("GET", "/v1/deliveries?account=acme&state=exhausted", nil, &exhausted)
		return len(queued.Items) == 0 && len(exhausted.Items) > 10
	})
	for _, who := range []struct {
		name, key, first string
		most             int // the pages are the same for all, but for those of all accounts
	}{{"account", key, "/", 6}, {"platform", platform.Key, "/?account=acme", 1}, {"operator", child.OperatorKey, "/?account=acme", 1}} {
		t.Run(who.name, func(t *testing.T) {
			b := newTab(t, p)
			b.signIn(who.key)
			c := &crawler{b: b, visited: map[string]bool{}, patterns: map[string]int{}, most: who.most}
			begin := []string{who.first, "/job/files?" + url.Values{"id": {endedID()}, "kind": {"batch"}, "run": {"1"}, "account": {"acme"}}.Encode()}
			if who.name != "account" {
				begin = append(begin, "/accounts", "/settings?account=acme")
			}
			if who.name == "operator" {
				begin = append(begin, "/operator", "/operator/queues/first", "/operator/queues/retry", "/operator/queues/export")
			}
			c.crawl(begin...)
			c.knows(t, who.name)
			text := c.text.String()
			for _, evil := range payloads() {
				if !strings.Contains(text, evil) {
					t.Errorf("no page shows %s", evil)
				}
			}
			if who.name == "account" {
				for _, shown := range []string{"X-Evil: javascript:window.pwned=35", "Location: javascript:window.pwned=36", "[U+202E]gpj.exe", "\u241b[31m\u2421[U+0085]", "Refresh: 0;url=//evil.example"} {
					if !strings.Contains(text, shown) {
						t.Errorf("no page shows %s, which receivers answered", shown)
					}
				}
			}
			t.Logf("%d pages: %v", len(c.visited), c.patterns)
		})
	}
}

// knows complains of a route of the dashboard that was not visited.
func (c *crawler) knows(t *testing.T, who string) {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join("..", "dashboard", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	shows := regexp.MustCompile(`d\.show\("(/[^"]*)",`)
	for _, file := range sources {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shows.FindAllStringSubmatch(string(source), -1) {
			pattern := regexp.MustCompile("^" + regexp.MustCompile(`\\\{[^}]*\\\}`).ReplaceAllString(regexp.QuoteMeta(strings.ReplaceAll(m[1], "{$}", "")), `[^/?]+`) + `(\?|$)`)
			forAll := strings.HasPrefix(m[1], "/accounts") && who == "account" || strings.HasPrefix(m[1], "/operator") && who != "operator"
			if forAll {
				continue
			}
			found := false
			for address := range c.visited {
				found = found || pattern.MatchString(address)
			}
			if !found {
				t.Errorf("%s was not visited", m[1])
			}
		}
	}
}

func TestWhatAnAddressSaysIsTextOnEveryPage(t *testing.T) {
	t.Parallel()
	p := newProduct(t, "--rate", "100000")
	b := newTab(t, p)
	list := append(payloads(), unprintable()[:3]...)
	pages := []string{"/sign-in", "/portal", "/help", "/", "/jobs", "/job", "/job/files", "/events", "/deliveries", "/resends", "/resends/new", "/endpoints", "/endpoints/new", "/settings", "/accounts", "/operator", "/nothing"}
	names := []string{"account", "state", "after", "said", "next", "token", "id", "kind", "run", "status", "endpoint", "type", "status_class", "job", "event", "since", "until", "rate", "of", "count", "attempts"}
	var text strings.Builder
	p.account("acme")
	for _, signedIn := range []bool{false, true} {
		if signedIn {
			b.signIn(child.OperatorKey)
		}
		for i, evil := range list {
			for j, at := range pages {
				if signedIn && (i+j)%9 != 0 || !signedIn && j > 2 { // each payload on a ninth of the pages is enough
					continue
				}
				q := url.Values{}
				for k, name := range names {
					q.Set(name, list[(i+k)%len(list)])
				}
				if j%2 == 0 {
					q.Set("account", "acme")
				}
				for _, name := range []string{"said", "id", "after"} {
					q.Set(name, evil)
				}
				b.open(at + "?" + q.Encode())
				if at == "/nothing" {
					if value[bool](b, "window.pwned !== undefined") {
						t.Errorf("%s: a script ran", at)
					}
					continue
				}
				b.isClean(at+" with "+evil, &text)
			}
		}
	}
	b.open("/help#" + url.PathEscape(`"><script>window.pwned=1</script>`))
	b.isClean("a fragment", &text)
}

func TestWhatIsTypedOrAnsweredIsTextOnThePageOfAForm(t *testing.T) {
	t.Parallel()
	p := newProduct(t, "--rate", "100000")
	key := p.account("acme")
	receiver := hostileReceiver(t)
	var made struct{ ID string }
	b := newTab(t, p)
	b.signIn(key)
	var text strings.Builder
	for i, evil := range append(payloads(), unprintable()...) {
		if i%5 == 0 || i >= len(payloads()) { // a test, whose answer is shown
			p.call("POST", "/v1/endpoints?account=acme", map[string]any{"url": fmt.Sprintf("%s/%d", receiver, i)}, &made)
			b.open("/endpoints/" + made.ID)
			b.press("Send a test")
			b.waitFor(`document.querySelector("h1")?.textContent === "Test of an endpoint"`, "the result of the test")
			b.isClean("a test", &text)
		}
		for j, at := range []string{"/endpoints/new", "/settings", "/resends/new"} {
			if (i+j)%3 != 0 || len(evil) > 10_000 && at == "/resends/new" {
				continue // each in turn; no address is so long
			}
			b.open(at)
			b.typeEverywhere(evil)
			b.isClean(at+" with "+evil[:min(len(evil), 80)], &text)
		}
	}
	for _, evil := range payloads() {
		if !strings.Contains(text.String(), evil) {
			t.Errorf("no form shows again what was typed: %s", evil)
		}
	}
}

// typeEverywhere writes a text into every field of the page's first form, hidden
// ones too, and sends it.
func (b *tab) typeEverywhere(what string) {
	b.t.Helper()
	value[bool](b, fmt.Sprintf(`(() => {
	  const form = document.querySelector("main form");
	  for (const e of form.elements) {
	    if (e.tagName === "SELECT") e.append(new Option(%[1]s, %[1]s, true, true));
	    else if (e.name && e.type !== "checkbox") { e.type = e.type === "hidden" ? "hidden" : e.tagName === "TEXTAREA" ? e.type : "text"; e.value = %[1]s; }
	  }
	  window.sent = true;
	  HTMLFormElement.prototype.submit.call(form);
	  return true })()`, quoted(what)))
	b.waitFor(`window.sent === undefined && document.querySelector(".problem") && document.readyState === "complete"`, "what was refused")
}

func TestWhatComesToALivePageIsTextToo(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	key := p.account("acme")
	b := newTab(t, p)
	b.signIn(key)
	b.open("/jobs")
	b.stay()
	var text strings.Builder
	for _, evil := range []string{payloads()[1], payloads()[3], payloads()[8], payloads()[13]} {
		p.call("PUT", "/v1/jobs/"+strings.ReplaceAll(url.PathEscape(asID(evil)), ".", "%2E"), raw(`{"account":"acme","kind":"async","status":"processing"}`), nil)
	}
	b.sees(asID(payloads()[13]))
	b.stayed()
	b.isClean("/jobs, refreshed", &text)
}
