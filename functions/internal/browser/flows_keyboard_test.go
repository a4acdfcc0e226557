package browser_test

import (
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestADeliveryIsResentByTheKeyboardAlone presses Tab and Enter, types a key,
// and sees at each step where it is.
func TestADeliveryIsResentByTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusInternalServerError, "[]")
	c.finishes("J-1")
	c.has(1, "exhausted")
	c.receiver.answers(http.StatusOK)
	b := newTab(t, p)
	b.hasFocus()
	b.open("/sign-in")
	b.waitFor(`document.activeElement.id === "key"`, "the field of the key")
	b.types(c.key)
	b.tabTo("Sign in")
	b.types(kb.Enter)
	b.sees("Sign out")
	b.tabTo("Deliveries")
	b.types(kb.Enter)
	b.lists(1, "exhausted")
	b.tabTo("Skip to the content")
	b.types(kb.Enter)
	b.tabTo("job.finished")
	b.types(kb.Enter)
	b.sees("the receiver answers 500")
	b.tabTo("Resend")
	b.types(kb.Enter)
	b.sees("It is on its way once more.")
	b.reads("State", "delivered")
	c.receiver.waits(2)
	b.tabTo("Sign out")
	b.types(kb.Enter)
	b.isAskedIn()
}

// hasFocus makes the window the one that is typed in.
func (b *tab) hasFocus() {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		b.t.Fatal(err)
	}
}

// types presses keys.
func (b *tab) types(keys string) {
	b.t.Helper()
	b.run(chromedp.KeyEvent(keys))
}

// maxStops is how often somebody presses Tab before he gives up.
const maxStops = 60

// tabTo presses Tab until it is at what says something. Wherever it stops, it
// must be seen.
func (b *tab) tabTo(label string) {
	b.t.Helper()
	var stops []string
	for range maxStops {
		b.types(kb.Tab)
		at := value[struct {
			Label   string
			Visible bool
		}](b, `(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
			return {label: (e.innerText || e.labels?.[0]?.innerText || e.ariaLabel || e.tagName).trim().split("\n")[0],
				visible: e === document.body || s.outlineStyle !== "none" && s.outlineWidth !== "0px" && r.right > 0 && r.bottom > 0 && r.top < innerHeight} })()`)
		stops = append(stops, at.Label)
		if !at.Visible {
			b.t.Errorf("%s has the focus, and does not show it", at.Label)
		}
		if at.Label == label {
			return
		}
	}
	b.t.Fatalf("no Tab leads to %s, but to %q", label, stops)
}
