package dashboard_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// guarded complains of an answer that lacks what keeps strangers out of it.
func guarded(t *testing.T, what string, got shown) {
	t.Helper()
	want := map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
	if strings.HasPrefix(got.header.Get("Content-Type"), "text/html") && (got.status < 300 || got.status >= 400) {
		_, style, _ := strings.Cut(got.body, "<style>")
		style, _, _ = strings.Cut(style, "</style>")
		sum := sha256.Sum256([]byte(style))
		want["Content-Type"], want["Cross-Origin-Opener-Policy"] = "text/html; charset=utf-8", "same-origin"
		want["Content-Security-Policy"] = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; style-src 'sha256-" +
			base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	}
	for name, value := range want {
		if list := got.header.Values(name); len(list) != 1 || list[0] != value {
			t.Errorf("%s: %d: got %s %q, want %q", what, got.status, name, list, value)
		}
	}
	if to := got.location(); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//")) {
		t.Errorf("%s leads to %s", what, to)
	}
}

// unkept complains of an answer that a browser may keep.
func unkept(t *testing.T, what string, got shown) {
	t.Helper()
	if kept := got.header.Get("Cache-Control"); kept != "no-store" || got.header.Get("ETag") != "" {
		t.Errorf("%s: %d: got Cache-Control %q, ETag %q", what, got.status, kept, got.header.Get("ETag"))
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	w := newWorld(t)
	for name, key := range map[string]string{"account": w.acme, "another": w.other, "platform": w.platform, "operator": w.operator} {
		b := w.signIn(key)
		for _, r := range routesOf("GET") {
			target := w.at(r, key)
			w.later()
			got := b.get(target)
			guarded(t, name+": "+target, got)
			if got.status != http.StatusOK || r.path == "/portal" {
				unkept(t, name+": "+target, got)
				continue
			}
			if kept := got.header.Get("Cache-Control"); kept != "private, no-cache" || got.header.Get("ETag") == "" {
				t.Errorf("%s: %s: got Cache-Control %q, ETag %q", name, target, kept, got.header.Get("ETag"))
			}
		}
	}
	for _, r := range routes() { // and who has none
		b := &browser{s: w.tested}
		got := b.do(formOf(r.method, w.at(r, w.acme), r.form...))
		guarded(t, "signed out: "+r.method+" "+r.path, got)
		if r.method == "POST" {
			unkept(t, "signed out: "+r.path, got)
		}
	}
}

// formOf is a request as a browser sends it from this site's own page.
func formOf(method, target string, pairs ...string) *http.Request {
	if method == http.MethodGet {
		return httptest.NewRequest(method, target, nil)
	}
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func TestAPageOfOneSessionIsNeverThatOfAnother(t *testing.T) {
	w := newWorld(t)
	mine, theirs, nobodys := w.signIn(w.acme), w.signIn(w.other), &browser{s: w.tested}
	for _, r := range routesOf("GET") {
		target := w.at(r, w.acme)
		w.later()
		first := mine.get(target)
		tag := first.header.Get("ETag")
		if tag == "" || r.public() {
			continue
		}
		again := func(b *browser) shown {
			r := httptest.NewRequest("GET", target, nil)
			r.Header.Set("If-None-Match", tag)
			return b.do(r)
		}
		if got := again(mine); got.status != http.StatusNotModified && !strings.Contains(first.body, `name="once"`) || got.status == http.StatusNotModified && got.body != "" {
			t.Errorf("%s: the same session: got %d, want 304", target, got.status)
		}
		for name, b := range map[string]*browser{"another account": theirs, "nobody": nobodys} {
			if got := again(b); got.status == http.StatusNotModified || got.body == first.body {
				t.Errorf("%s: %s: got %d, and is shown the page of acme", target, name, got.status)
			}
		}
	}
}

func TestTheCookieIsKeptFromScriptsAndOtherSites(t *testing.T) {
	for public, secure := range map[string]bool{
		"https://jobhook.example": true, "": true, "https://localhost:8080": true, "http://localhost:8080": false, "http://127.0.0.1:8080": false,
		"http://jobhook.internal:8080": false, "http://10.0.0.7": false,
	} {
		t.Run(public, func(t *testing.T) {
			s := newSite(t)
			s.config.PublicURL = public
			s.over(s.store)
			b := &browser{s: s}
			in := b.post("/sign-in", "key", s.acme)
			var link struct{ URL string }
			decode(t, s.call(s.platform, "POST", "/v1/accounts/acme/portal-links", "").body, &link)
			_, token, _ := strings.Cut(link.URL, "token=")
			portal := (&browser{s: s}).post("/portal", "token", token)
			for name, got := range map[string]shown{"sign-in": in, "portal": portal, "sign-out": b.post("/sign-out")} {
				cookies := (&http.Response{Header: got.header}).Cookies()
				if len(cookies) != 1 {
					t.Fatalf("%s: got %d and %d cookies", name, got.status, len(cookies))
				}
				c := cookies[0]
				if !c.HttpOnly || c.Secure != secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || secure != strings.HasPrefix(c.Name, "__Host-") {
					t.Errorf("%s: got %s", name, got.header.Get("Set-Cookie"))
				}
				if name == "sign-out" {
					if c.MaxAge >= 0 || c.Value != "" {
						t.Errorf("sign-out keeps %s", got.header.Get("Set-Cookie"))
					}
				} else if left := c.Expires.Sub(s.now); left <= 0 || left > 12*time.Hour {
					t.Errorf("%s: it lasts %s", name, left)
				}
			}
		})
	}
}

func TestAFormOfAnotherSiteDoesNothing(t *testing.T) {
	w := newWorld(t)
	keys := map[string]string{"account": w.acme, "platform": w.platform, "operator": w.operator}
	for name, key := range keys {
		b := w.signIn(key)
		commits := w.commits()
		before, rung := commits(), len(w.bells.rung)
		for _, from := range []http.Header{
			{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Sec-Fetch-Site": {"nonsense"}},
			{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
			{"Origin": {"https://evil.example"}}, {"Origin": {"null"}}, {"Origin": {"https://sub.jobhook.example"}},
			{"Origin": {"https://jobhook.example.evil.example"}}, {"Origin": {"https://jobhook.example:8443"}}, {"Origin": {"https://evil.example/jobhook.example"}},
		} {
			for _, r := range routesOf("POST") {
				form := formOf("POST", w.at(r, key), r.form...)
				form.Header.Del("Sec-Fetch-Site")
				for h, v := range from {
					form.Header[h] = v
				}
				w.later()
				got := b.do(form)
				if got.status != http.StatusForbidden || commits() != before || len(w.bells.rung) != rung || w.target.got.URL != "" {
					t.Fatalf("%s: %s from %v: got %d, or something was done", name, r.path, from, got.status)
				}
				got.wants(t, "Another site sent this form. Nothing was done.")
			}
		}
		if b.open(w.at(route{path: "/"}, key)); b.cookie == nil {
			t.Errorf("%s: another site has ended the session", name)
		}
	}
}

func TestLookingChangesNothing(t *testing.T) {
	w := newWorld(t)
	for name, key := range map[string]string{"account": w.acme, "another": w.other, "platform": w.platform, "operator": w.operator} {
		b := w.signIn(key)
		commits := w.commits()
		before := commits()
		for _, r := range routes() {
			for _, method := range []string{"GET", "HEAD"} { // also of those that only forms go to
				target := w.at(r, key)
				w.later()
				got := b.do(httptest.NewRequest(method, target, nil))
				if commits() != before || len(w.bells.rung) != 0 || w.target.got.URL != "" || b.cookie == nil {
					t.Fatalf("%s: %s %s: got %d, and something was done", name, method, target, got.status)
				}
			}
		}
	}
}

func TestWhereToGoNextIsOnThisServer(t *testing.T) {
	s := newSite(t)
	for _, next := range []string{
		"https://evil.example", "http:evil.example", "https:/evil.example", "//evil.example", "///evil.example", "////evil.example/..", `/\evil.example`, `\\evil.example`, `/\/evil.example`,
		"/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example", "/.//evil.example", "/..//evil.example", "/a/..//evil.example", "/%2f/evil.example", "/%5cevil.example", "/%09/evil.example",
		"javascript:alert(1)", "data:text/html,x", "evil.example", "@evil.example", ":80", "?next=//evil.example", "#//evil.example", "/#//evil.example", "//", "/ /evil.example",
		"//evil.example@jobhook.example", "https://jobhook.example@evil.example", "http://jobhook.example", "/\x00//evil.example", "/\r\nLocation: https://evil.example", "/%0d%0aLocation:%20https://evil.example",
		"/\u2028/evil.example", "／／evil.example", "//\u3002evil.example", strings.Repeat("/", 500) + "evil.example", "/%zz", "",
	} {
		b := &browser{s: s}
		got := b.post("/sign-in", "key", s.acme, "next", next)
		isHere(t, next, got.location())
		form := b.get("/sign-in?" + url.Values{"next": {next}}.Encode())
		isHere(t, next+" in the form", hiddenIn(t, form, "next"))
		refused := (&browser{s: s}).post("/sign-in", "key", "wrong", "next", next)
		isHere(t, next+" in the form that was refused", hiddenIn(t, refused, "next"))
	}
	if got := (&browser{s: s}).post("/sign-in", "key", s.acme, "next", "/deliveries?state=dead"); got.location() != "/deliveries?state=dead&welcome=1" {
		t.Errorf("got %q", got.location())
	}
}

func TestAFormThatIsAskedToSignInLeadsBackToThisServer(t *testing.T) {
	s := newSite(t)
	for referer, want := range map[string]string{
		"https://jobhook.example/endpoints/ep_1?x=1": "/endpoints/ep_1?x=1", "https://evil.example/x": "", "https://jobhook.example.evil.example/x": "",
		"https://jobhook.example//evil.example": "", "https://u:p@jobhook.example//evil.example": "", "javascript:x()": "", `https://jobhook.example/\evil.example`: "", "https://jobhook.example:8443/x": "",
	} {
		form := formOf("POST", "/endpoints")
		form.Header.Set("Referer", referer)
		got := (&browser{s: s}).do(form)
		isHere(t, referer, got.location())
		u, err := url.Parse(got.location())
		if err != nil {
			t.Fatal(err)
		}
		if next := u.Query().Get("next"); next != "" {
			isHere(t, referer, next)
			if want != "" && next != want {
				t.Errorf("%s: got %q, want %q", referer, next, want)
			}
		} else if want != "" {
			t.Errorf("%s: got no way back, want %q", referer, want)
		}
	}
}

// isHere complains of an address that a browser takes for one of another host.
func isHere(t *testing.T, what, address string) {
	t.Helper()
	base := &url.URL{Scheme: "https", Host: "jobhook.example", Path: "/sign-in"}
	u, err := base.Parse(address)
	if err != nil || u.Host != base.Host || u.Scheme != base.Scheme || !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") || strings.ContainsAny(address, "\\\r\n\t\x00 ") {
		t.Errorf("%q leads to %q", what, address)
	}
}

func TestAnAddressCannotMakeAPageSayAnything(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	for _, said := range []string{"you are hacked", "<b>x</b>", "RESENT", "resent ", "resent\x00", "__proto__", "", strings.Repeat("resent", 2000)} {
		got := b.open("/jobs?" + url.Values{"said": {said}}.Encode())
		if strings.Contains(got.body, `class="said"`) || said != "" && strings.Contains(strings.Split(got.body, "<h1>")[1], said) {
			t.Errorf("it says %q", said)
		}
	}
	for _, known := range []string{"resent", "paused", "saved", "deleted"} {
		if got := b.open("/jobs?said=" + known); strings.Count(got.body, `class="said"`) != 1 {
			t.Errorf("it does not say %s", known)
		}
	}
}

func TestASessionThatHasEndedLeadsToTheSignIn(t *testing.T) {
	w := newWorld(t)
	out := w.signIn(w.acme)
	cookie := out.cookie
	out.post("/sign-out")
	ended := map[string]*browser{"signed out": {s: w.tested, cookie: cookie}}
	for _, junk := range []string{"", "jh_live_", "jh_live_a_b", w.acme + "x", "Bearer " + w.acme, "%00", strings.Repeat("j", 4000)} {
		ended["junk "+junk[:min(len(junk), 20)]] = &browser{s: w.tested, cookie: &http.Cookie{Name: "__Host-jobhook_session", Value: junk}}
	}
	good := w.signIn(w.acme).cookie.Value
	ended["planted by a neighbour in the domain"] = &browser{s: w.tested, cookie: &http.Cookie{Name: "jobhook_session", Value: good}}
	old := w.signIn(w.acme)
	revoked := w.signIn(w.operator)
	w.call(w.operator, "DELETE", "/v1/keys/"+strings.Split(revoked.cookie.Value, "_")[2], "")
	ended["revoked"] = revoked
	check := func(name string, b *browser) {
		for _, r := range routes() {
			if r.public() {
				continue
			}
			target := w.at(r, w.acme)
			cookie := b.cookie
			got := b.do(formOf(r.method, target, r.form...))
			b.cookie = cookie
			want := "/sign-in"
			if r.method == "GET" && target != "/" {
				want = "/sign-in?" + url.Values{"next": {target}}.Encode()
			}
			if got.status != http.StatusSeeOther || got.location() != want || strings.Contains(got.body, mine+".") {
				t.Errorf("%s: %s %s: got %d to %q", name, r.method, target, got.status, got.location())
			}
		}
	}
	for name, b := range ended {
		check(name, b)
	}
	w.now = w.now.Add(12*time.Hour + time.Second)
	check("expired", old)
}

func TestAWrongKeyIsToldNothing(t *testing.T) {
	s := newSite(t)
	revoked := s.mint(webhook.ScopeAccount, "acme")
	s.call(s.platform, "DELETE", "/v1/accounts/acme/keys/"+strings.Split(revoked, "_")[2], "")
	s.later()
	parts := strings.Split(s.acme, "_")
	var first string
	for _, key := range []string{
		"jh_live_nothing_" + parts[3], strings.TrimSuffix(s.acme, parts[3]) + strings.Repeat("a", len(parts[3])), revoked, "", "x", "jh_live_", s.acme[:len(s.acme)-1], s.acme + "a",
		"' OR 1=1 --", "\x00", strings.Repeat("k", 5000), "jh_live_\r\nX-Evil: 1_" + parts[3], "Bearer " + s.acme, "ключ",
	} {
		b := &browser{s: s}
		got := b.post("/sign-in", "key", key)
		if first == "" {
			first = got.body
		}
		if got.status != http.StatusUnauthorized || b.cookie != nil || got.body != first {
			t.Errorf("%.30q: got %d, or another page than other wrong keys:\n%s", key, got.status, got.text())
		}
		if len(key) > len("jh_live_") && strings.Contains(got.body, key) {
			t.Errorf("%.30q comes back", key)
		}
		unkept(t, fmt.Sprintf("%.30q", key), got)
	}
}
