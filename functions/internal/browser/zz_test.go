package browser_test
import ("testing";"time";"github.com/chromedp/chromedp")
func TestZZ(t *testing.T) {
	p := newProduct(t)
	b := newTab(t, p)
	b.signIn(p.account("acme"))
	b.press("Deliveries")
	b.sees("Nothing was sent yet")
	b.press("Settings")
	b.sees("No URL is set")
	b.press("Sign out")
	b.sees("API key")
	value[bool](b, "setTimeout(() => history.back(), 10), true")
	time.Sleep(2*time.Second)
	t.Log(b.text()[:60], value[string](b, `document.title+" "+JSON.stringify(performance.getEntriesByType("navigation")[0])`))
	_ = chromedp.Reload
}
