package browser_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// sight is a page and what is to be seen there.
type sight struct {
	name string // of its pictures
	path string
	sees string
}

// TestEveryPageIsAccessibleInBothThemes looks at every page, wide and narrow,
// light and dark, with axe-core, and takes pictures of it.
func TestEveryPageIsAccessibleInBothThemes(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	s := furnish(t, p)
	account := func(path string) string { return path + "?account=acme" }
	delivery, event := s.delivery(t, "exhausted"), s.event(t)
	for _, group := range []struct {
		name   string
		in     func(b *tab)
		sights []sight
	}{
		{"signed out", func(*tab) {}, []sight{
			{"sign-in", "/sign-in", "API key"},
			{"portal", "/portal?token=pl_1", "works once"},
			{"help", "/help", "What the words mean"},
		}},
		{"new customer", func(b *tab) { b.signIn(p.account("new")) }, []sight{
			{"overview-empty", "/", "Overview"},
			{"jobs-empty", "/jobs", "Jobs"},
			{"deliveries-empty", "/deliveries", "Deliveries"},
			{"endpoints-empty", "/endpoints", "Endpoints"},
			{"not-found", "/deliveries/dlv_none", "Nothing here"},
		}},
		{"customer", func(b *tab) { b.signIn(s.key) }, []sight{
			{"overview", "/", "delivered"},
			{"jobs", "/jobs", "J-1"},
			{"job", "/job?kind=scraping&id=J-1", "J-1"},
			{"events", "/events", "job.finished"},
			{"event", "/events/" + event, "job.finished"},
			{"deliveries", "/deliveries", "delivered"},
			{"delivery", "/deliveries/" + delivery, "the database is down"},
			{"resends", "/resends", "Bulk resends"},
			{"resend-new", "/resends/new?state=exhausted", "exhausted"},
			{"resend", "/resends/" + s.resend, "done"},
			{"endpoints", "/endpoints", "/broken"},
			{"endpoint-new", "/endpoints/new", "Format"},
			{"endpoint", "/endpoints/" + s.broken, "/broken"},
			{"endpoint-edit", "/endpoints/" + s.broken + "/edit", "Save"},
			{"settings", "/settings", "Settings"},
		}},
		{"operator", func(b *tab) { b.signIn(operatorKey) }, []sight{
			{"accounts", "/accounts", "acme"},
			{"operator", "/operator", "Queues"},
			{"dead-letters", "/operator/queues/first", "first"},
			{"overview-of", account("/"), "delivered"},
		}},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			b := newTab(t, p)
			group.in(b)
			for _, look := range group.sights {
				b.open(look.path)
				b.sees(look.sees)
				b.standsStill()
				b.isAccessible()
				b.run(inScheme("dark"), chromedp.EmulateViewport(360, 800))
				b.isAccessible()
				b.fits()
				b.photograph(look.name)
			}
		})
	}
}

// maxShift is how far a page may move by itself while it is loaded: what Core Web
// Vitals call good.
const maxShift = 0.1

// standsStill complains of a page that has moved since it was opened.
func (b *tab) standsStill() {
	b.t.Helper()
	shift := value[float64](b, `new Promise(done => {
		let sum = 0;
		const add = (list) => { for (const e of list.getEntries ? list.getEntries() : list) sum += e.value; };
		const watch = new PerformanceObserver(add);
		watch.observe({type: "layout-shift", buffered: true});
		requestAnimationFrame(() => setTimeout(() => { add(watch.takeRecords()); done(sum); }));
	})`)
	if shift > maxShift {
		b.t.Errorf("%s: the layout shifts by %.3f", value[string](b, "location.pathname"), shift)
	}
}

// fits complains of a page that is wider than the window.
func (b *tab) fits() {
	b.t.Helper()
	if wide := value[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
		b.t.Errorf("%s is %d pixels wider than a window of 360", value[string](b, "location.pathname"), wide)
	}
}

// furnished is a customer with a bit of everything.
type furnished struct {
	p              *product
	key            string
	broken, resend string // ids
}

// furnish makes one.
func furnish(t *testing.T, p *product) *furnished {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/broken") {
			http.Error(w, "the database is down", http.StatusInternalServerError)
		}
	}))
	t.Cleanup(receiver.Close)
	s := &furnished{p: p, key: p.account("acme")}
	for path, more := range map[string]string{"/works": "", "/broken": `"policy":{"retry_seconds":[]},`, "/paused": `"status":"paused",`, "/slow": `"policy":{"retry_seconds":[3600]},`} {
		var made struct{ ID string }
		p.call("POST", "/v1/endpoints?account=acme", raw(`{`+more+`"url":"`+receiver.URL+path+`"}`), &made)
		if path == "/broken" {
			s.broken = made.ID
		}
	}
	p.call("PUT", "/v1/accounts/acme", raw(`{"webhook_url":"`+receiver.URL+`/default"}`), nil)
	p.call("PUT", "/v1/jobs/J-1", raw(`{"account":"acme","kind":"scraping","status":"started","sitemap_id":12,"sitemap_name":"prices","jobs_scheduled":10}`), nil)
	p.call("PATCH", "/v1/jobs/J-1", raw(`{"status":"finished","jobs_executed":10}`), nil)
	p.call("PUT", "/v1/jobs/B-1", raw(`{"account":"acme","kind":"batch","status":"running","run":1,"name":"weekly","notification_as_csv":true}`), nil)
	p.call("POST", "/v1/jobs/B-1/runs/1/records", raw(`{"a":1,"b":"x"}`), nil)
	p.call("PATCH", "/v1/jobs/B-1", raw(`{"status":"idle"}`), nil)
	p.call("PUT", "/v1/jobs/P-1", raw(`{"account":"acme","kind":"pipeline","status":"active","progress":40}`), nil)
	s.delivery(t, "exhausted")
	s.delivery(t, "delivered")
	var made struct{ ID string }
	p.call("POST", "/v1/resends?account=acme", raw(`{"filter":{"state":"exhausted"}}`), &made)
	s.resend = made.ID
	await(t, "the bulk resend's end", func() bool {
		var r struct{ State string }
		p.call("GET", "/v1/resends/"+made.ID+"?account=acme", nil, &r)
		return r.State == "done"
	})
	return s
}

// delivery waits until there is one in a state, and returns its id.
func (s *furnished) delivery(t *testing.T, state string) string {
	t.Helper()
	var list struct{ Items []struct{ ID string } }
	await(t, "a delivery that is "+state, func() bool {
		s.p.call("GET", "/v1/deliveries?"+url.Values{"account": {"acme"}, "state": {state}}.Encode(), nil, &list)
		return len(list.Items) > 0
	})
	return list.Items[0].ID
}

// event is the end of a job.
func (s *furnished) event(t *testing.T) string {
	t.Helper()
	var list struct{ Items []struct{ ID string } }
	s.p.call("GET", "/v1/events?account=acme&type=job.finished", nil, &list)
	if len(list.Items) == 0 {
		t.Fatal("there is no event")
	}
	return list.Items[0].ID
}
