package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// apiKey is a key as the API shows it.
type apiKey struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Key       string    `json:"key"` // once: when it was made
	CreatedAt string    `json:"created_at"`
	RevokedAt time.Time `json:"revoked_at"` // which may be to come
}

// keyForm is what is typed into the form of a new key, but for the present one;
// or which key was to be revoked.
type keyForm struct {
	name     string
	revoking string // a key's id; "" when one is made
	refused  *problem
}

// of is what was refused of the form that revokes a key, or with "" of that which
// makes one.
func (f keyForm) of(key string) *problem {
	if f.revoking != key {
		return nil
	}
	return f.refused
}

// makeKey makes a key with one that is typed in: a session, which ends, must not
// become a key for ever. The new one is shown here alone.
func makeKey(v *visit) (page, error) {
	if err := v.chosen(); err != nil {
		return page{}, err
	}
	f, made := keyForm{name: v.form("name")}, apiKey{}
	_, err := v.send(apiCall{key: v.form("present"), method: http.MethodPost, path: v.accountPath() + "/keys", once: v.form("once"),
		in: map[string]string{"name": f.name}, out: &made})
	if f.refused = keyRefusal(err, "No key was made", "this key makes no others, as it ends itself"); f.refused != nil {
		return showSettings(v, settingsNews{keyForm: &f})
	}
	if err != nil {
		return page{}, err
	}
	return showSettings(v, settingsNews{top: html.Section(html.Class("card"), html.H2(g.Text("The key, shown this once")),
		html.P(g.Text("Keep it now: no page shows it again. Programs send it as "), html.Code(g.Text("Authorization: Bearer ...")), g.Text(".")),
		copyable("key", "The key", made.Key))})
}

// keyRefusal says what is wrong with the key that was typed, or with the name.
// Ends is said of one that may not do this, as it ends.
func keyRefusal(err error, title, ends string) *problem {
	var p *problem
	if !errors.As(err, &p) || p.Status >= http.StatusInternalServerError {
		return nil
	}
	why := map[int]fieldProblem{
		http.StatusUnauthorized: {"present", "this key does not work: it is mistyped, was revoked, or has ended", "copy it whole, from jh_live_ on"},
		http.StatusForbidden:    {"present", ends, "use one without an end"},
		http.StatusNotFound:     {"present", "this key is of another account", "use one of this account"},
	}[p.Status]
	if why.Field != "" {
		return &problem{Status: http.StatusUnprocessableEntity, Title: title, Errors: []fieldProblem{why}}
	}
	return p.titled(title)
}

// revokeKey revokes a key with one that is typed in, as a session revokes none. An
// id that is not found is the page's fault only if the typed key would have found it.
func revokeKey(v *visit) (page, error) {
	if err := v.chosen(); err != nil {
		return page{}, err
	}
	f, present := keyForm{revoking: v.r.PathValue("key")}, v.form("present")
	err := v.callAs(present, http.MethodDelete, v.accountPath()+"/keys/"+seg(f.revoking), nil, nil, nil)
	var p *problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound && v.callAs(present, http.MethodGet, v.accountPath(), nil, nil, nil) == nil {
		return page{}, err
	}
	if f.refused = keyRefusal(err, "The key was not revoked", "this key revokes no others, as it is a session's"); f.refused != nil {
		return showSettings(v, settingsNews{keyForm: &f})
	}
	return page{next: v.link("/settings", "said", "revoked")}, err
}

// keysSection lists the keys, and has the form that makes one.
func keysSection(v *visit, typed *keyForm) (g.Node, error) {
	query := url.Values{"limit": {pageSize}}
	if after := v.param("after"); after != "" {
		query.Set("after", after)
	}
	var found list[apiKey]
	if err := v.get(v.accountPath()+"/keys", query, &found); err != nil {
		return nil, err
	}
	f := keyForm{}
	if typed != nil {
		f = *typed
	}
	making := f.of("")
	return section("API keys",
		html.P(g.Text("Programs of yours read, resend and look after endpoints with a key. Whoever has one can do all that you can do here.")),
		table("API keys", []string{"Name", "Begins with", "Made", "State", "Action"}, g.Map(found.Items, func(k apiKey) g.Node { return k.row(v, f) }),
			g.Text("None that this page shows: sessions are left out. Make one below, if you have a key already, or ask your platform.")),
		v.pager(found.Next),
		html.H3(g.Text("New key")), problemBox(making),
		html.Form(html.Method("post"), html.Action(v.link("/settings/keys")), html.Class("card stack"), onceField(),
			asking(making, "name", "Name", func(more g.Node) g.Node { return input("name", f.name, html.MaxLength("200"), more) }, "Where it will be used, so that you know later whether it can go."),
			askingKey(making, "present", "Asked for once more, since your session alone may not make keys. It is not kept."),
			html.Div(submit("Make a key"))),
	), nil
}

// askingKey is a field for a key that one has, which is sent as present.
func askingKey(p *problem, id, hint string) g.Node {
	return asking(p, "present", "A key that you have now", func(more g.Node) g.Node {
		return html.Input(html.ID(id), html.Name("present"), html.Type("password"), html.AutoComplete("current-password"), html.Required(), html.MaxLength("300"), more)
	}, hint)
}

// row shows a key, which can be revoked unless it is.
func (k apiKey) row(v *visit, f keyForm) g.Node {
	state, revoke := g.Node(g.Text("works")), g.Node(nil)
	switch now := v.d.Now(); {
	case k.RevokedAt.IsZero():
	case k.RevokedAt.After(now):
		state = g.Group{g.Text("works until "), when(k.RevokedAt.Format(stampLayout))}
	default:
		state = g.Group{g.Text("revoked "), when(k.RevokedAt.Format(stampLayout))}
	}
	if k.RevokedAt.IsZero() || k.RevokedAt.After(v.d.Now()) {
		revoke = k.revokeForm(v, f.of(k.ID))
	}
	name := k.Name
	if name == "" {
		name = "no name"
	}
	return row(g.Text(name), code("jh_live_"+k.ID+"_"), when(k.CreatedAt), state, revoke)
}

// revokeForm asks once more, and for a key, below what was refused.
func (k apiKey) revokeForm(v *visit, refused *problem) g.Node {
	return html.Details(html.ID("revoke-"+k.ID), g.If(refused != nil, g.Attr("open")), html.Summary(g.Text("Revoke")),
		problemBox(refused),
		html.Form(html.Method("post"), html.Action(v.link("/settings/keys/"+seg(k.ID)+"/revoke", "after", v.param("after"))), html.Class("stack"),
			html.P(g.Text("Whatever uses it is refused at once, for good, and so are the sessions that were opened with it.")),
			askingKey(refused, "present-"+k.ID, "Asked for once more, since a session revokes no keys. Without one, ask your platform. It is not kept."),
			html.Div(html.Button(html.Type("submit"), html.Class("danger"), g.Text("Revoke this key")))))
}
