package dashboard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// formatWords say of each format what it is.
func formatWords() map[string]string {
	return map[string]string{
		format.SerpWow:    "the body that SerpWow sends, JSON, for batches",
		format.WebScraper: "the body that Web Scraper sends, a form, for scraping jobs",
		format.HKube:      "the body that HKube sends, JSON, for pipelines",
		format.SocialData: "the body that SocialData sends, JSON, for async jobs",
		format.Standard:   "our own body, JSON as Standard Webhooks have it, for jobs of every kind",
		format.Auto:       "the format of each job's own kind",
	}
}

// formatNames are the formats in the order of forms: those that fit every
// account first.
func formatNames() []string {
	names := format.Names()
	rest := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == format.Standard || n == format.Auto })
	return append([]string{format.Standard, format.Auto}, rest...)
}

// autoKinds are the kinds that auto has a format for: a pipeline names its URLs
// itself.
func autoKinds() []job.Kind { return []job.Kind{job.KindBatch, job.KindScraping, job.KindAsync} }

// policyIn says how webhooks of a format are delivered to who subscribes to the
// types, with what the endpoint changes of the format's policy.
func policyIn(name string, own endpointPolicy, types []webhook.EventType) g.Node {
	if f, ok := format.Lookup(name); ok {
		return policyFacts(f, own, types)
	}
	return g.Group{
		html.P(g.Text("Each kind of job is told of in its own format. Pipelines are not: they name their URLs themselves. What happens to endpoints comes in the standard format, to those who ask for it by name.")),
		g.Map(autoKinds(), func(k job.Kind) g.Node {
			f := format.ForKind(k)
			return g.Group{html.P(html.Strong(g.Text(kindName(k) + ": " + f.Name))), policyFacts(f, own, types)}
		}),
	}
}

// kindName is what people call the jobs of a kind.
func kindName(k job.Kind) string {
	switch k {
	case job.KindBatch:
		return "Batches"
	case job.KindScraping:
		return "Scraping jobs"
	case job.KindPipeline:
		return "Pipelines"
	case job.KindAsync:
		return "Async jobs"
	}
	return "Jobs of every kind"
}

func policyFacts(f format.Format, own endpointPolicy, types []webhook.EventType) g.Node {
	p := f.Policy.With(webhook.PolicyPatch(own))
	return facts(
		fact{"Tells of", text(kindName(f.Kind) + ": " + toldOf(f, types))},
		fact{"A success is", text(successWords(p.Success))},
		fact{"Timeout", text(timeoutWords(p))},
		fact{"Retries", text(retryWords(p))},
		fact{"If it asks to wait", text(waitWords(p))},
		fact{"If it answers 410", text(goneWords(p))},
		fact{"Attempts at a time", text(fmt.Sprintf("%s in each process%s", number(parallelOf(p)), rateWords(p)))},
	)
}

// toldOf names the event types that an endpoint of the format hears of, if it
// subscribes to these.
func toldOf(f format.Format, types []webhook.EventType) string {
	all, e := f.Types, webhook.Endpoint{Types: types}
	if all == nil {
		all = webhook.Subscribable()
	}
	var told []webhook.EventType
	for _, t := range all {
		if f.Types != nil && len(types) == 0 || e.Subscribes(t) || e.Subscribes(f.StandsFor(t)) {
			told = append(told, t)
		}
	}
	if len(told) == 0 {
		return "nothing, as the format sends none of the event types that were chosen"
	}
	return typeNames(told)
}

func successWords(s webhook.Success) string {
	switch s {
	case webhook.Success200:
		return "an answer of exactly 200"
	case webhook.SuccessBelow400:
		return "any answer below 400"
	}
	return "any answer from 200 to 299"
}

func timeoutWords(p webhook.Policy) string {
	s := spell(p.Timeout) + " for the whole answer"
	if p.Silence > 0 {
		s += "; then nobody calls that exact URL for " + spell(p.Silence)
	}
	return s
}

// retryWords say the schedule: "9, after 5 s, 5 min and 30 min".
func retryWords(p webhook.Policy) string {
	waits := p.Schedule.Waits
	if len(waits) == 0 {
		return "none: there is one attempt"
	}
	s := fmt.Sprintf("%d, %s", len(waits), spellWaits(waits))
	if p.Schedule.Jitter > 0 {
		s += fmt.Sprintf(", each up to %.0f %% longer", p.Schedule.Jitter*100)
	}
	if p.RetryOn == webhook.RetryTransient {
		return s + "; only after 429, 5xx, or no answer"
	}
	return s + "; after any failure"
}

func spellWaits(waits []time.Duration) string {
	if len(waits) > 1 && slices.Min(waits) == slices.Max(waits) {
		return spell(waits[0]) + " apart"
	}
	list := make([]string, len(waits))
	for i, w := range waits {
		list[i] = spell(w)
	}
	last := len(list) - 1
	if last == 0 {
		return "after " + list[0]
	}
	return "after " + strings.Join(list[:last], ", ") + " and " + list[last]
}

func waitWords(p webhook.Policy) string {
	if p.HonourRetryAfter {
		return "by Retry-After, the whole endpoint waits, at most " + spell(webhook.MaxRetryAfter) + ", and no attempt is spent"
	}
	return "Retry-After is not looked at"
}

func goneWords(p webhook.Policy) string {
	if p.GoneDisables {
		return "the endpoint is disabled"
	}
	return "that is a failure like others"
}

func parallelOf(p webhook.Policy) int {
	if p.MaxInFlight > 0 {
		return p.MaxInFlight
	}
	return webhook.DefaultMaxInFlight
}

func rateWords(p webhook.Policy) string {
	if p.Rate > 0 {
		return fmt.Sprintf(", and at most %s a second", number(p.Rate))
	}
	return ""
}

// spell says a duration of whole seconds in the greatest unit that fits it.
func spell(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// signingWords say how webhooks are signed.
func signingWords(signing string) string {
	switch signing {
	case signHMAC:
		return "HMAC-SHA256 with a secret that you and we share (v1)"
	case signEd25519:
		return "ed25519: we sign, you verify with the public key (v1a)"
	}
	return "not signed"
}
