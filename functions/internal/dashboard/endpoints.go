package dashboard

import (
	"maps"
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// endpoint is one as the API shows it.
type endpoint struct {
	ID           string              `json:"id"`
	URL          string              `json:"url"`
	Format       string              `json:"format"`
	Default      bool                `json:"default"`
	Types        []webhook.EventType `json:"types"`
	Policy       endpointPolicy      `json:"policy"`
	Headers      map[string]string   `json:"headers"` // masked
	Status       string              `json:"status"`
	StatusReason string              `json:"status_reason"`
	Signing      string              `json:"signing"`
	Secret       string              `json:"secret"` // once: when it was made
	PublicKey    string              `json:"public_key"`
	OldUntil     string              `json:"old_secret_until"`
	Health       endpointHealth      `json:"health"`
	CreatedAt    string              `json:"created_at"`
	UpdatedAt    string              `json:"updated_at"`
}

// endpointPolicy is what an endpoint changes of its format's policy.
type endpointPolicy struct {
	Success          *webhook.Success `json:"success,omitempty"`
	RetryOn          *webhook.RetryOn `json:"retry_on,omitempty"`
	TimeoutSeconds   *int             `json:"timeout_seconds,omitempty"`
	RetrySeconds     *[]int           `json:"retry_seconds,omitempty"`
	SilenceSeconds   *int             `json:"silence_seconds,omitempty"`
	HonourRetryAfter *bool            `json:"honour_retry_after,omitempty"`
	GoneDisables     *bool            `json:"gone_disables,omitempty"`
	Rate             *int             `json:"rate,omitempty"`
	MaxInFlight      *int             `json:"max_in_flight,omitempty"`
}

// endpointHealth is what is known of an endpoint from its answers.
type endpointHealth struct {
	State   string `json:"state"`
	Since   string `json:"since"`
	Reason  string `json:"reason"`
	Circuit struct {
		State string `json:"state"`
		Opens int    `json:"opens"`
		Until string `json:"until"`
	} `json:"circuit"`
	PausedUntil string `json:"paused_until"`
	SlowedTo    int    `json:"slowed_to"` // attempts a second; 0: it is not slowed
	DisabledAt  string `json:"disabled_at"`
}

// The ways to sign, and the statuses, as the API writes them.
const (
	signHMAC    = "hmac"
	signEd25519 = "ed25519"
	signNone    = "none"

	statusEnabled = string(webhook.EndpointEnabled)
	circuitClosed = "closed"
)

func (d *Dashboard) addEndpoints() {
	d.show("/endpoints", ofAnAccount(endpointsPage))
	d.show("/endpoints/new", ofAnAccount(newEndpointPage))
	d.do("/endpoints", makeEndpoint)
	d.show("/endpoints/{id}", ofAnAccount(endpointPage))
	d.show("/endpoints/{id}/edit", ofAnAccount(editEndpointPage))
	d.do("/endpoints/{id}/edit", saveEndpoint)
	for action, f := range map[string]func(*visit) (page, error){
		"test": testEndpoint, "pause": pauseEndpoint, "resume": resumeEndpoint, "rotate": rotateSecret, "delete": deleteEndpoint,
	} {
		d.do("/endpoints/{id}/"+action, f)
	}
}

// endpointPath is the path of an endpoint's page. That of its object in the API
// is the same below /v1.
func endpointPath(id string) string { return "/endpoints/" + seg(id) }

func endpointsPage(v *visit) (page, error) {
	var found list[endpoint]
	if err := v.get("/v1/endpoints", v.query(), &found); err != nil {
		return page{}, err
	}
	return page{title: "Endpoints", in: "/endpoints", live: true, body: g.Group{
		html.P(html.Class("soft"), g.Text("URLs of yours that are told what becomes of your jobs.")),
		html.Div(html.Class("actions"), html.A(html.Class("button"), html.Href(v.link("/endpoints/new")), g.Text("New endpoint"))),
		live("list", endpointTable(v, found.Items)),
	}}, nil
}

func endpointTable(v *visit, list []endpoint) g.Node {
	labels := endpointLabels(list)
	rows := g.Map(list, func(e endpoint) g.Node {
		return row(badge(e.Status), g.Group{link(v.link(endpointPath(e.ID)), labels[e.ID]), g.If(e.Default, html.Small(g.Text(" the account's URL")))},
			text(e.Format), text(e.subscribed()), e.Health.badges())
	})
	return table("Endpoints", []string{"Status", "URL", "Format", "Tells of", "Health"}, rows, noEndpoints(v))
}

// noEndpoints says how the first one is made.
func noEndpoints(v *visit) g.Node {
	return g.Group{
		html.P(g.Text("No endpoint yet, so nobody is told of anything. "), link(v.link("/endpoints/new"), "Make one"),
			g.Text(": write the URL of your receiver, keep the secret that you are shown, and send a test. Or do it from a program, with a key from the "), link(v.link("/settings"), "settings"), g.Text(":")),
		copyable("curl", "How to make an endpoint with curl", "curl -X POST "+quoted(strings.TrimRight(v.d.PublicURL, "/")+"/v1/endpoints")+
			" -H \"Authorization: Bearer $JOBHOOK_KEY\" -H 'Content-Type: application/json' -d '{\"url\": \"https://example.com/hook\"}'"),
	}
}

// subscribed says in a few words which event types the endpoint asked for.
func (e endpoint) subscribed() string {
	if len(e.Types) == 0 {
		return "the usual"
	}
	return typeNames(e.Types)
}

func typeNames(types []webhook.EventType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return strings.Join(names, ", ")
}

// badges show the state of health, and that of the circuit unless it is closed.
func (h endpointHealth) badges() g.Node {
	return g.Group{
		badge(h.State),
		g.If(h.Circuit.State != circuitClosed, g.Group{g.Text(" circuit "), badge(h.Circuit.State)}),
		g.If(h.PausedUntil != "", g.Group{g.Text(" asked to be left alone until "), when(h.PausedUntil)}),
	}
}

// headerLines are the endpoint's own headers as they are shown, one a line.
func (e endpoint) headerLines() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		list = append(list, name+": "+e.Headers[name])
	}
	return strings.Join(list, "\n")
}
