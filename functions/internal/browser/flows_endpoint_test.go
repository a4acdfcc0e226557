package browser_test

import (
	"fmt"
	"net/http"
	"testing"
)

// TestTheURLIsSetTestedAndToldOfAJob goes the way of a new customer.
func TestTheURLIsSetTestedAndToldOfAJob(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := &customer{p: p, name: "acme", key: p.account("acme"), receiver: newReceiver(t, http.StatusOK)}
	b := newTab(t, p)
	b.signIn(c.key)
	b.press("Settings")
	b.sees("No URL is set")
	b.fill("webhook_url", c.receiver.url)
	b.press("Save the URL")
	b.sees("The URL is saved.")
	secret := b.secret()
	b.press("Send a test")
	b.sees("it arrived")
	b.sees("the receiver answers 200")
	if !c.receiver.waits(1)[0].isSignedBy(secret) {
		t.Error("the test webhook is not signed by the secret that was shown")
	}

	b.press("Deliveries")
	b.sees("Nothing was sent yet")
	b.stay()
	c.finishes("J-1")
	b.lists(1, "delivered")
	b.stayed()
	if !c.receiver.waits(2)[1].isSignedBy(secret) {
		t.Error("the webhook is not signed by the secret that was shown")
	}
	b.press("Settings")
	b.sees("Send a test")
	b.lacks(secret)
}

func TestWhileASecretIsRotatedTheOldAndTheNewVerify(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := &customer{p: p, name: "acme", key: p.account("acme"), receiver: newReceiver(t, http.StatusOK)}
	b := newTab(t, p)
	b.signIn(c.key)
	b.press("Endpoints")
	b.press("New endpoint")
	b.fill("url", c.receiver.url)
	b.press("Make the endpoint")
	b.sees("The endpoint is made.")
	first := b.secret()

	second := b.rotate("86400")
	b.sees("The secret before signs too until")
	c.finishes("J-1")
	came := c.receiver.waits(1)[0]
	for name, secret := range map[string]string{"old": first, "new": second} {
		if !came.isSignedBy(secret) {
			t.Errorf("while both sign, the %s secret does not verify", name)
		}
	}

	third := b.rotate("0")
	c.finishes("J-2")
	came = c.receiver.waits(2)[1]
	for secret, want := range map[string]bool{first: false, second: false, third: true} {
		if got := came.isSignedBy(secret); got != want {
			t.Errorf("after a secret has leaked, one of three verifies: got %t, want %t", got, want)
		}
	}
}

func TestAPausedEndpointHoldsAndIsDrained(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusOK, "[1]")
	b := newTab(t, p)
	b.signIn(c.key)
	b.press("Endpoints")
	b.press(c.receiver.url)
	b.press("Pause")
	b.fill("reason", "we move house")
	b.press("Pause the endpoint")
	b.sees("The endpoint is paused.")
	b.pointAway()
	b.sees("we move house")
	for i := range 3 {
		c.finishes(fmt.Sprintf("J-%d", i))
	}
	b.reads("Held", "3 deliveries")
	if came := c.receiver.got(); len(came) > 0 {
		t.Errorf("%d webhooks came to a paused endpoint", len(came))
	}

	b.press("Resume and drain")
	b.sees("The endpoint is called again.")
	b.pointAway()
	b.stay()
	c.receiver.waits(3)
	b.waitFor(`["", "nothing"].includes(`+factOf("Held")+`)`, "nothing to be held")
	b.reads("Status", "enabled")
	b.stayed()
	c.has(3, "delivered")
}

// secret is the one that the page shows this once.
func (b *tab) secret() string {
	b.t.Helper()
	b.sees("The secret, shown this once")
	return value[string](b, `document.getElementById("secret").textContent`)
}

// rotate makes a new secret on the endpoint's page; the present one signs on for
// so many seconds.
func (b *tab) rotate(overlap string) string {
	b.t.Helper()
	old := b.secret()
	b.press("Rotate the secret")
	b.fill("overlap", overlap)
	b.press("Make a new secret")
	b.waitFor(fmt.Sprintf(`document.getElementById("secret")?.textContent.startsWith("whsec_") && document.getElementById("secret").textContent !== %s`, quoted(old)), "another secret")
	return b.secret()
}
