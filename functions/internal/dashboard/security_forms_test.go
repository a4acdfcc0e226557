package dashboard_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func TestNothingOfAnAccountReachesAnother(t *testing.T) {
	w := newWorld(t)
	b := w.signIn(w.other)
	commits := w.commits()
	for _, r := range routes() {
		if r.public() || !strings.Contains(r.path+r.query, "{") {
			continue
		}
		for _, more := range []string{"", "account=acme", "account=acme&account=other", "account=%61cme"} {
			target := w.at(r, w.other)
			if more != "" {
				target = withQuery(target, more)
			}
			before := commits()
			w.later()
			form := []string{"account", "acme"}
			for _, s := range r.form {
				form = append(form, strings.ReplaceAll(s, "jh_live_nonsense", w.other)) // a key that works
			}
			got := b.do(formOf(r.method, target, form...))
			refused := got.status == http.StatusNotFound || got.status == http.StatusForbidden
			leads := r.method == "GET" && got.status == http.StatusSeeOther // to a page that does not know it either
			if !refused && !leads {
				t.Errorf("%s %s: got %d %s", r.method, target, got.status, got.text())
			}
			if hidden(got.body) || commits() != before || len(w.bells.rung) != 0 || w.target.got.URL != "" {
				t.Errorf("%s %s: something of acme is shown or done:\n%s", r.method, target, got.text())
			}
		}
	}
	for _, r := range routesOf("GET") { // lists, which name the account by a parameter alone
		if got := b.get(withQuery(w.ids.Replace(r.path), "account=acme")); hidden(got.body) || strings.Contains(got.text(), "acme") && !strings.Contains(got.location(), "acme") && r.path != "/sign-in" {
			t.Errorf("%s: something of acme is shown:\n%s", r.path, got.text())
		}
	}
}

// hidden tells whether a page shows what acme alone has.
func hidden(page string) bool {
	return strings.Contains(page, mine+".example") || strings.Contains(page, mine+"-header")
}

func withQuery(target, more string) string {
	if strings.Contains(target, "?") {
		return target + "&" + more
	}
	return target + "?" + more
}

func TestASecretIsShownOnceAndNeverAgain(t *testing.T) {
	w := newWorld(t)
	b := w.signIn(w.platform)
	endpoint := w.at(route{path: "/endpoints/{endpoint}"}, w.acme)
	secrets := map[string]string{"the header of an endpoint": mine + "-header", "the key of the session": b.cookie.Value, "the key of the platform": w.platform}
	took := func(name, secret string, got shown) {
		t.Helper()
		if secret == "" || got.status != http.StatusOK || got.location() != "" {
			t.Fatalf("%s: got %d %q and no secret: %s", name, got.status, got.location(), got.text())
		}
		unkept(t, name, got)
		secrets[name] = secret
	}
	got := b.post("/endpoints?account=acme", "url", "https://second.example/hook", "format", "standard", "signing", "hmac")
	took("a new endpoint", secretIn(got), got)
	got = b.post(endpoint+"/rotate?account=acme", "overlap", "3600", "etag", hiddenIn(t, b.open(endpoint+"?account=acme"), "etag"))
	took("a new secret", secretIn(got), got)
	got = b.post("/settings?account=acme", "webhook_url", "https://third.example/hook", "webhook_format", "auto", "signing", "hmac")
	took("the account's URL", secretIn(got), got)
	got = b.post("/settings/keys?account=acme", "name", "n", "present", w.platform)
	took("a new key", keyIn(got), got)
	got = b.post("/accounts/portal-links?account=acme")
	took("a link", regexp.MustCompile(`pl_[a-z0-9]+_[a-z0-9]+`).FindString(got.text()), got)
	for _, key := range []string{w.acme, w.platform, w.operator} {
		b := w.signIn(key)
		secrets["the key of the present session"] = b.cookie.Value
		for _, r := range routesOf("GET") {
			target := w.at(r, key)
			w.later()
			got := b.get(target)
			for name, secret := range secrets {
				if strings.Contains(got.body, secret) || strings.Contains(fmt.Sprint(got.header), secret) {
					t.Errorf("%s shows %s", target, name)
				}
			}
		}
	}
	for name, secret := range secrets {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log has %s", name)
		}
	}
}

// strange are values that no field expects.
func strange() []string {
	return []string{"", " ", "\x00", "\xff\xfe\xfd", "a\r\nb: c", "\u202e\u2066\u200b\ufeff", "%zz%00%", "-1", "99999999999999999999", "1e309", "NaN", "null", "[]", `{"a":1}`, "true", "..", ".", "/", "../../x", "//evil.example",
		`"><script>x()</script>`, "javascript:x()", "data:text/html,x", "http://", "https://%", "http://[::1", "2026-02-30T25:61", "0000-00-00", "9999-12-31T23:59:59.999999999Z", strings.Repeat("x", 5000), strings.Repeat("é", 100_000)}
}

func TestNoFormBreaksAPage(t *testing.T) {
	for _, r := range routesOf("POST") {
		t.Run(r.path, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for name, key := range map[string]string{"account": w.acme, "operator": w.operator} {
				b := w.signIn(key)
				cookie := b.cookie
				target := w.at(r, key)
				for i, pairs := range garbled(r.form) {
					if name == "operator" && i%4 != 0 {
						continue // the pages are those of accounts
					}
					b.cookie = cookie
					w.later()
					fine(t, w, name+" "+target+" "+fmt.Sprintf("%.60q", pairs), b.do(formOf("POST", target, pairs...)))
				}
				for what, body := range bodies() {
					b.cookie = cookie
					w.later()
					form := httptest.NewRequest("POST", target, strings.NewReader(body.text))
					form.Header.Set("Content-Type", body.kind)
					form.Header.Set("Sec-Fetch-Site", "same-origin")
					fine(t, w, name+" "+target+" "+what, b.do(form))
				}
			}
		})
	}
}

// fine complains of an answer that is our fault.
func fine(t *testing.T, w world, what string, got shown) {
	t.Helper()
	if got.status >= http.StatusInternalServerError {
		t.Errorf("%s: got %d %s\n%s", what, got.status, got.text(), w.log)
		w.log.Reset()
	}
	if strings.Contains(got.body, "<script>x()") {
		t.Errorf("%s: what was sent comes back as it is", what)
	}
	if got.status != http.StatusNotFound || got.header.Get("Content-Type") != "application/problem+json" { // else the address is none of ours
		leadsHome(t, what, got)
		guarded(t, what, got)
	}
}

// leadsHome complains of an address in a page that is none of this site's, and
// of what scripts and styles could stand in.
func leadsHome(t *testing.T, what string, got shown) {
	t.Helper()
	for tokens := html.NewTokenizer(strings.NewReader(got.body)); tokens.Next() != html.ErrorToken; {
		token := tokens.Token()
		if token.Type != html.StartTagToken && token.Type != html.SelfClosingTagToken {
			continue
		}
		for _, a := range token.Attr {
			switch a.Key {
			case "href", "src", "action", "formaction", "xlink:href", "data", "poster", "srcset", "content":
				if token.Data != "meta" && !isOurs(a.Val) {
					t.Errorf("%s: <%s> leads to %s", what, token.Data, a.Val)
				}
			case "style", "srcdoc", "http-equiv", "ping", "background":
				t.Errorf("%s: <%s> has %s", what, token.Data, a.Key)
			}
			if strings.HasPrefix(a.Key, "on") {
				t.Errorf("%s: <%s> has %s", what, token.Data, a.Key)
			}
		}
	}
}

// isOurs tells whether an address is on this site, its icon, or in its README.
func isOurs(address string) bool {
	return strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//") && !strings.HasPrefix(address, `/\`) || strings.HasPrefix(address, "#") ||
		strings.HasPrefix(address, "https://github.com/jobhook/jobhook#") || strings.HasPrefix(address, "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'")
}

// garbled are a form with one field at a time missing, doubled or strange, and
// with all of them so.
func garbled(form []string) [][]string {
	list := [][]string{nil, slices.Concat(form, form)}
	for i := 0; i+1 < len(form); i += 2 {
		list = append(list, slices.Concat(form[:i], form[i+2:]), slices.Concat(form, []string{form[i], "other"}))
		for _, s := range strange() {
			list = append(list, slices.Concat(form[:i+1], []string{s}, form[i+2:]))
		}
	}
	for _, s := range strange() {
		all := slices.Clone(form)
		for i := 1; i < len(all); i += 2 {
			all[i] = s
		}
		list = append(list, all)
	}
	return list
}

type sentBody struct{ kind, text string }

// bodies are no forms, or none of ours.
func bodies() map[string]sentBody {
	const form = "application/x-www-form-urlencoded"
	var parts bytes.Buffer
	m := multipart.NewWriter(&parts)
	f, _ := m.CreateFormFile("url", "../../etc/passwd") // a buffer takes everything
	f.Write([]byte("\x00\xff"))
	m.WriteField("reason", "x")
	m.Close()
	return map[string]sentBody{
		"nothing": {form, ""}, "no type": {"", "a=b"}, "percent signs": {form, "%zz=%&%=%00"}, "semicolons": {form, "url=x;format=y"}, "binary": {form, "\x00\x01\xff\xfe=\x00"},
		"many fields": {form, strings.Repeat("a=b&", 20_000)}, "nameless": {form, "=&=&=x"}, "json": {"application/json", `{"url":"https://x.example"}`}, "text": {"text/plain", "url=x"},
		"a file": {m.FormDataContentType(), parts.String()}, "half a file": {m.FormDataContentType(), parts.String()[:60]}, "a file without a boundary": {"multipart/form-data", parts.String()},
		"a strange type": {"application/x-www-form-urlencoded; charset=\"\x00", "a=b"}, "another charset": {form + "; charset=utf-7", "url=+ADw-script+AD4-"},
	}
}

func TestAFormThatIsTooLongOrUnreadableIsRefusedAndDoesNothing(t *testing.T) {
	for _, r := range routesOf("POST") {
		w := newWorld(t)
		b := w.signIn(w.operator)
		commits := w.commits()
		before := commits()
		long := url.Values{"reason": {strings.Repeat("x", 300<<10)}}.Encode()
		for body, want := range map[string]int{long: http.StatusRequestEntityTooLarge, "reason=%zz": http.StatusBadRequest, "a;b=%": http.StatusBadRequest} {
			form := httptest.NewRequest("POST", w.at(r, w.operator), strings.NewReader(body))
			form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			form.Header.Set("Sec-Fetch-Site", "same-origin")
			got := b.do(form)
			if got.status != want || commits() != before || len(w.bells.rung) != 0 || w.target.got.URL != "" || b.cookie == nil {
				t.Errorf("%s: %.10q: got %d, want %d and nothing done: %s", r.path, body, got.status, want, got.text())
				break
			}
			guarded(t, r.path, got)
		}
	}
}

func TestNoAddressBreaksAPage(t *testing.T) {
	w := newWorld(t)
	parameters := []string{"account", "after", "said", "welcome", "next", "token", "id", "kind", "run", "status", "state", "endpoint", "type", "status_class", "job", "event", "since", "until", "rate", "count", "of", "attempts", "no-cookie"}
	for name, key := range map[string]string{"account": w.acme, "operator": w.operator} {
		b := w.signIn(key)
		for _, r := range routesOf("GET") {
			for i, s := range strange() {
				if len(s) > 10_000 || name == "operator" && i%4 != 0 {
					continue // no server takes such an address; the pages are those of accounts
				}
				q := url.Values{}
				for _, p := range parameters {
					q.Set(p, s)
				}
				var targets []string
				for n, one := range []string{"account", "after", "id", "run", "state", "since"} {
					if !strings.Contains(r.path, "{") && n%3 == i%3 { // each sees a third of them on each page
						targets = append(targets, withQuery(w.at(r, key), url.Values{one: {s}}.Encode()))
					}
				}
				plain := w.ids.Replace(r.path)
				targets = append(targets, plain+"?"+q.Encode())
				if i := strings.Index(r.path, "{"); i > 0 && s != "" {
					rest := r.path[strings.Index(r.path, "}")+1:]
					targets = append(targets, r.path[:i]+strings.ReplaceAll(url.PathEscape(s), ".", "%2E")+rest+"?account=acme")
				}
				for _, target := range targets {
					w.later()
					fine(t, w, name+" "+target[:min(len(target), 120)], b.get(target))
				}
			}
		}
	}
}

func TestAnAccountMayBeCalledAnything(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.operator)
	for _, id := range []string{".", "..", "a/b", "//evil.example", `"><script>x()</script>`, "'onclick=x()", "%2e%2e", "a?b#c&d=e", "javascript:x()", `\\evil`, "{{7*7}}", "&lt;b&gt;", "a;b,c:d@e"} {
		s.putAccount(id, "\u202e<b>\x01")
		s.later()
		at := "?" + url.Values{"account": {id}}.Encode()
		for _, path := range []string{"/", "/jobs", "/events", "/deliveries", "/resends", "/endpoints", "/settings"} {
			got := b.get(path + at)
			if got.status != http.StatusOK || !strings.Contains(got.text(), id) && !strings.ContainsAny(id, `<>&"'`) || strings.Contains(got.body, "<script>x()") {
				t.Errorf("%s of %q: got %d", path, id, got.status)
			}
			s.later()
		}
		made := b.do(formOf("POST", "/accounts/portal-links"+at))
		if made.status != http.StatusOK || !strings.Contains(made.body, "token=pl_") {
			t.Errorf("a link for %q: got %d", id, made.status)
		}
	}
}
