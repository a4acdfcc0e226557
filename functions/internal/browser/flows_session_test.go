package browser_test

import (
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

func TestAKeyOpensTheDashboardOfItsAccountAndAWrongOneNothing(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	key := p.account("acme")
	b := newTab(t, p)
	b.open("/deliveries")
	b.isAskedIn()
	b.fill("key", "jh_live_none_0123456789abcdefghijklmnopqr")
	b.press("Sign in")
	b.sees("This key does not work")
	b.fill("key", key)
	b.press("Sign in")
	b.waitFor(`location.pathname === "/deliveries"`, "the page that was asked for")
	b.sees("acme")
	b.sees("Nothing was sent yet")
}

// TestSignOutEndsTheSession looks whether the session is over for somebody who
// has kept its cookie, too.
func TestSignOutEndsTheSession(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	b := newTab(t, p)
	b.signIn(p.account("acme"))
	cookie := b.sessionCookie()
	if !cookie.HTTPOnly || cookie.SameSite != network.CookieSameSiteLax {
		t.Errorf("the cookie is HttpOnly %t, SameSite %q", cookie.HTTPOnly, cookie.SameSite)
	}
	if got := p.statusWith(cookie.Value); got != http.StatusOK {
		t.Fatalf("with the cookie: got %d", got)
	}
	b.press("Sign out")
	b.isAskedIn()
	if left := b.sessionCookie(); left != nil {
		t.Errorf("the browser still has the cookie %s", left.Name)
	}
	if got := p.statusWith(cookie.Value); got != http.StatusSeeOther {
		t.Errorf("with the old cookie: got %d, want to be asked to sign in", got)
	}
	b.open("/deliveries")
	b.isAskedIn()
}

func TestAPortalLinkOpensTheDashboardOnce(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	p.account("acme")
	link := p.portalLink("acme")
	first := newTab(t, p)
	first.open(link)
	first.press("Open the dashboard")
	first.sees("Sign out")
	first.sees("acme")

	second := newTab(t, p)
	second.open(link)
	second.press("Open the dashboard")
	second.sees("This link does not work")
	second.open("/")
	second.isAskedIn()

	first.open("/deliveries")
	first.sees("Nothing was sent yet")
}

func TestWhatIsAnothersIsNotFound(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusInternalServerError, "[]")
	c.finishes("J-1")
	delivery := c.has(1, "exhausted")[0]
	var events struct{ Items []struct{ ID string } }
	p.call("GET", "/v1/events?account=acme", nil, &events)
	var resend struct{ ID string }
	p.call("POST", "/v1/resends?account=acme", raw(`{"filter":{"state":"delivered"}}`), &resend)

	b := newTab(t, p)
	b.signIn(p.account("other"))
	for _, path := range []string{
		"/deliveries/" + delivery, "/deliveries/" + delivery + "?account=acme", "/events/" + events.Items[0].ID, "/job?kind=async&id=J-1",
		"/endpoints/" + c.endpoint, "/endpoints/" + c.endpoint + "/edit", "/resends/" + resend.ID,
	} {
		b.open(path)
		b.sees("Nothing here")
		if got := value[int](b, statusOf); got != http.StatusNotFound {
			t.Errorf("%s: got %d", path, got)
		}
		b.lacks(c.receiver.url)
	}
	for _, path := range []string{"/deliveries/" + delivery + "/resend", "/endpoints/" + c.endpoint + "/pause", "/endpoints/" + c.endpoint + "/delete", "/resends/" + resend.ID + "/cancel"} {
		if got := value[int](b, `fetch(`+quoted(path)+`, {method: "POST"}).then(r => r.status)`); got != http.StatusNotFound {
			t.Errorf("POST %s: got %d", path, got)
		}
	}
	c.receiver.waits(1)
	c.has(1, "exhausted")
	p.call("GET", "/v1/endpoints/"+c.endpoint+"?account=acme", nil, nil)
}

// TestWhoHasSignedOutIsNotReadByGoingBack is of a computer that several use.
func TestWhoHasSignedOutIsNotReadByGoingBack(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	b := newTab(t, p)
	b.signIn(p.account("acme"))
	b.press("Settings")
	b.sees("No URL is set")
	b.press("Sign out")
	b.isAskedIn()
	value[bool](b, "setTimeout(() => history.back()), true")
	b.waitFor(`location.search.includes("next=") || location.pathname !== "/sign-in"`, "the page before")
	b.isAskedIn()
}

// isAskedIn waits for the page that asks who has no session to sign in.
func (b *tab) isAskedIn() {
	b.t.Helper()
	b.waitFor(`location.pathname === "/sign-in"`, "the page to sign in")
	b.sees("API key")
}

// sessionCookie is the cookie of the session; nil when there is none.
func (b *tab) sessionCookie() *network.Cookie {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	kept, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range kept.Cookies {
		if c.Name == "jobhook_session" {
			return c
		}
	}
	return nil
}

// statusWith is the status of the list of deliveries for who has a cookie.
func (p *product) statusWith(cookie string) int {
	p.t.Helper()
	return p.withCookie(http.MethodGet, "/deliveries", cookie)
}

// signOut ends the session of a cookie, as another window does.
func (p *product) signOut(cookie string) {
	p.t.Helper()
	if got := p.withCookie(http.MethodPost, "/sign-out", cookie); got != http.StatusSeeOther {
		p.t.Fatalf("sign out: got %d", got)
	}
}

// withCookie is the status of a request with the cookie of a session.
func (p *product) withCookie(method, path, cookie string) int {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "jobhook_session", Value: cookie})
	resp, err := http.DefaultTransport.RoundTrip(r) // which follows nowhere
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
