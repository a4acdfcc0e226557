package browser_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func TestABulkResendIsCountedFirst(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusInternalServerError, "[]")
	for i := range 3 {
		c.finishes(fmt.Sprintf("J-%d", i))
	}
	c.has(3, "exhausted")
	c.receiver.answers(http.StatusOK)
	b := newTab(t, p)
	b.signIn(c.key)
	b.press("Deliveries")
	b.lists(3, "exhausted")
	b.fill("state", "exhausted")
	b.press("Filter")
	b.sees("Clear the filters")
	b.press("Resend these...")
	b.press("Count")
	b.sees("Counted: 3 deliveries")
	c.receiver.waits(3) // of the first time: nothing was sent by counting

	b.press("Send 3 deliveries again")
	b.sees("The bulk resend is under way.")
	b.pointAway()
	b.reads("State", "done")
	b.reads("Looked at", "3 of 3")
	b.reads("Sent again", "3")
	c.receiver.waits(6)
	c.has(3, "delivered")
}

func TestALongBulkResendShowsItsProgressAndIsCancelled(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	c := newCustomer(t, p, http.StatusOK, "[1]")
	const all = 40 // which take as many seconds
	for i := range all {
		c.finishes(fmt.Sprintf("J-%d", i))
	}
	c.has(all, "delivered")
	b := newTab(t, p)
	b.signIn(c.key)
	b.open("/resends/new?state=delivered")
	b.fill("rate", "1")
	b.press("Count")
	b.sees("Counted: 40 deliveries")
	b.sees("At 1 a second they take 40 s.")
	b.press("Send 40 deliveries again")
	b.sees("The bulk resend is under way.")
	b.pointAway()
	b.stay()
	b.reads("State", "running")
	b.waitFor("Number("+factOf("Sent again")+") > 0 && document.querySelector('progress').value > 0", "progress")
	b.stayed()
	b.pointAt("#progress") // where nothing changes then
	b.press("Cancel")
	b.sees("The bulk resend is stopped.")
	b.reads("State", "cancelled")
	b.lacks("What is queued already is still sent.")
	id := strings.TrimPrefix(value[string](b, "location.pathname"), "/resends/")
	var after struct {
		State  string
		Resent int
	}
	p.call("GET", "/v1/resends/"+id+"?account=acme", nil, &after)
	if shown := value[string](b, factOf("Sent again")); after.State != "cancelled" || strconv.Itoa(after.Resent) != shown || after.Resent >= all {
		t.Errorf("it is %s, with %d sent again; the page says %s of %d", after.State, after.Resent, shown, all)
	}
	await(t, "what was sent again before", func() bool { return len(c.receiver.got()) >= all+after.Resent })
}
