package browser_test

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestNothingChangesUnderThePointer(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusOK, "[1]")
	c.finishes("J-1")
	c.has(1, "delivered")
	b := newTab(t, p)
	b.signIn(c.key)
	b.open("/deliveries")
	b.lists(1, "delivered")
	b.pointAt("#list tbody tr")
	value[bool](b, `document.querySelector("#list tbody tr").stays = true`)
	c.finishes("J-2")
	b.sees("Something has changed.")
	b.lists(1, "delivered")
	if !value[bool](b, `document.querySelector("#list tbody tr:hover").stays === true`) {
		t.Error("what is under the pointer has changed")
	}
	b.pointAway()
	b.lists(2, "delivered")
	b.lacks("Something has changed")
}

// TestAClickIntoAListDoesNotStopIt clicks where there is no link, and goes away.
func TestAClickIntoAListDoesNotStopIt(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusOK, "[1]")
	c.finishes("J-1")
	c.has(1, "delivered")
	b := newTab(t, p)
	b.hasFocus()
	b.signIn(c.key)
	b.open("/deliveries")
	b.lists(1, "delivered")
	b.run(chromedp.EmulateViewport(360, 800)) // where the list scrolls by itself
	b.run(chromedp.Click(chromedp.CSS("#list tbody td:nth-child(3)")))
	b.pointAway()
	c.finishes("J-2")
	b.lists(2, "delivered")
}

func TestNothingChangesWhereTheKeyboardIs(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusOK, "[1]")
	c.finishes("J-1")
	c.has(1, "delivered")
	b := newTab(t, p)
	b.hasFocus()
	b.signIn(c.key)
	b.open("/deliveries")
	b.lists(1, "delivered")
	b.tabTo("Skip to the content")
	b.types(kb.Enter)
	b.tabTo("job.finished")
	c.finishes("J-2")
	b.sees("Something has changed.")
	b.lists(1, "delivered")
	if got := value[string](b, "document.activeElement.textContent"); got != "job.finished" {
		t.Errorf("the focus has gone to %q", got)
	}
	b.tabTo("Show it")
	b.types(kb.Enter)
	b.lists(2, "delivered")
}

func TestALivePageTellsThatItsSessionHasEnded(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	b := newTab(t, p)
	key := p.account("acme")
	b.signIn(key)
	b.open("/deliveries")
	b.sees("Nothing was sent yet")
	p.signOut(b.sessionCookie().Value)
	b.sees("You are signed out.")
	b.sees("Nothing was sent yet")
	b.run(chromedp.Click(chromedp.CSS("#news a")))
	b.isAskedIn()
	b.fill("key", key)
	b.press("Sign in")
	b.waitFor(`location.pathname === "/deliveries"`, "the page that was left")
}
