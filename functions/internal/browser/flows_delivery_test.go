package browser_test

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestAFailingDeliveryIsWatchedUntilItArrives never loads the page again.
func TestAFailingDeliveryIsWatchedUntilItArrives(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusInternalServerError, "[1,2,2,2,2,2,2,2,2,2,2,2]")
	b := newTab(t, p)
	b.signIn(c.key)
	b.open("/deliveries")
	b.sees("Nothing was sent yet")
	b.stay()
	c.finishes("J-1")
	b.lists(1, "waiting")
	b.stayed()

	b.pointAt("#list") // where nothing changes then
	b.press("job.finished")
	b.sees("What it is")
	b.pointAway()
	b.stay()
	b.reads("State", "waiting")
	b.sees("the receiver answers 500")
	b.waitFor(factOf("Next attempt")+`.includes("(in ") || `+factOf("Next attempt")+`.includes("(due now)")`, "the countdown")
	c.receiver.answers(http.StatusOK)
	b.reads("State", "delivered")
	b.sees("200 OK")
	b.stayed()
	came := c.receiver.got()
	if first, last := came[0].header.Get("webhook-id"), came[len(came)-1].header.Get("webhook-id"); len(came) < 2 || first != last {
		t.Errorf("%d attempts came, with the ids %q and %q", len(came), first, last)
	}
}

func TestAGivenUpDeliveryIsResent(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusInternalServerError, "[]")
	c.finishes("J-1")
	b := newTab(t, p)
	b.signIn(c.key)
	b.open("/deliveries/" + c.has(1, "exhausted")[0])
	b.reads("State", "exhausted")
	c.receiver.answers(http.StatusOK)
	b.press("Resend")
	b.sees("It is on its way once more.")
	b.reads("State", "delivered")
	came := c.receiver.waits(2)
	if first, second := came[0].header.Get("webhook-id"), came[1].header.Get("webhook-id"); first != second {
		t.Errorf("the webhook-id was %q, and is %q", first, second)
	}
	if string(came[0].body) != string(came[1].body) {
		t.Errorf("the body was %s, and is %s", came[0].body, came[1].body)
	}
}

func TestTheCopiedCurlCommandSendsTheWebhook(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusOK, "[1]")
	c.finishes("J-1")
	b := newTab(t, p)
	b.hasFocus()
	b.mayUseTheClipboard()
	b.signIn(c.key)
	b.open("/deliveries/" + c.has(1, "delivered")[0])
	b.press("The request, and as curl")
	b.press("Copy")
	b.sees("Copied")
	command := exec.CommandContext(t.Context(), "sh", "-c", value[string](b, "navigator.clipboard.readText()"))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	came := c.receiver.waits(2)
	if string(came[0].body) != string(came[1].body) || came[0].header.Get("webhook-id") != came[1].header.Get("webhook-id") {
		t.Errorf("the webhook was %s, that of the command is %s", came[0].body, came[1].body)
	}
	if !came[1].isSignedBy(c.secret) {
		t.Error("the command's webhook is not signed by the endpoint's secret")
	}
}

func TestTimesAreLocalWithUTCBesides(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusOK, "[1]")
	c.finishes("J-1")
	delivery := c.has(1, "delivered")[0]
	b := newTab(t, p)
	b.livesIn("Asia/Kolkata")
	b.signIn(c.key)
	b.open("/deliveries/" + delivery)
	b.sees("Times are local (Asia/")
	created := "[...document.querySelectorAll('dt')].find(e => e.textContent === 'Created').nextElementSibling.querySelector('time')"
	at, err := time.Parse(time.RFC3339Nano, value[string](b, created+".dateTime"))
	if err != nil {
		t.Fatal(err)
	}
	const layout = "2006-01-02 15:04:05"
	if got, want := value[string](b, created+".textContent"), at.Add(5*time.Hour+30*time.Minute).Format(layout); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := value[string](b, created+".title"), at.Format(layout); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " UTC") {
		t.Errorf("pointed at: got %s, want %s UTC", got, want)
	}
}

// TestWithoutScriptsADeliveryIsFoundAndResent has a browser that runs no script.
func TestWithoutScriptsADeliveryIsFoundAndResent(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusInternalServerError, "[]")
	c.finishes("J-1")
	delivery := c.has(1, "exhausted")[0]
	b := newTab(t, p)
	b.withoutScripts()
	b.signIn(c.key)
	b.sees("Times are UTC.")
	b.press("Deliveries")
	b.lists(1, "exhausted")
	b.press("job.finished")
	b.sees("the receiver answers 500")
	c.receiver.answers(http.StatusOK)
	b.press("Resend")
	b.sees("It is on its way once more.")
	c.has(1, "delivered")
	b.open("/deliveries/" + delivery)
	b.reads("State", "delivered")
	b.press("Deliveries")
	b.fill("state", "exhausted")
	b.press("Filter")
	b.sees("No delivery is like this.")
	c.receiver.waits(2)
}

// withoutScripts turns scripts of pages off from the next page on.
func (b *tab) withoutScripts() {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		b.t.Fatal(err)
	}
}

// livesIn moves the browser to a time zone.
func (b *tab) livesIn(zone string) {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone}); err != nil {
		b.t.Fatal(err)
	}
}

// mayUseTheClipboard allows the page to write there, and the test to read.
func (b *tab) mayUseTheClipboard() {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		_, err := chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
}
