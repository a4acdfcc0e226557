package dashboard

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/job"
)

// accountRow is an account in the list.
type accountRow struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	CreatedAt string `json:"created_at"`
}

func (d *Dashboard) addAccounts() {
	d.show("/accounts", accountsPage)
	d.do("/accounts/portal-links", makePortalLink)
}

// accountsPage lists the accounts in the order of their ids, or those whose ids
// begin as asked for.
func accountsPage(v *visit) (page, error) {
	if err := v.mustReachAll(); err != nil {
		return page{}, err
	}
	begins := strings.TrimSpace(v.param("id"))
	found, err := readAccounts(v, begins)
	p := page{title: "Accounts", in: "/accounts"}
	if refused := refusalOf(err); refused != nil {
		p.status, p.body = refused.Status, g.Group{problemBox(refused), accountSearch(begins), jobSearch()}
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p.body = g.Group{accountSearch(begins), jobSearch(), accountTable(v, found.Items, noAccounts(begins)), v.pager(found.Next)}
	return p, nil
}

// readAccounts reads a page of accounts. Those whose ids begin with a text lie
// together: itself, and what comes after it.
func readAccounts(v *visit, begins string) (list[accountRow], error) {
	var found list[accountRow]
	after := v.param("after")
	q := v.listQuery(after)
	if begins == "" {
		err := v.get("/v1/accounts", q, &found)
		return found, err
	}
	var exact accountRow
	if after == "" {
		q.Set("after", begins)
		err := v.get("/v1/accounts/"+seg(begins), nil, &exact)
		var p *problem
		if err != nil && (!errors.As(err, &p) || p.Status != http.StatusNotFound) {
			return found, err
		}
	}
	if err := v.get("/v1/accounts", q, &found); err != nil {
		return found, err
	}
	for i, a := range found.Items {
		if !strings.HasPrefix(a.ID, begins) {
			found.Items, found.Next = found.Items[:i], ""
			break
		}
	}
	if exact.ID != "" {
		found.Items = append([]accountRow{exact}, found.Items...)
	}
	return found, nil
}

// listQuery are the parameters of a list that is no account's.
func (v *visit) listQuery(after string) url.Values {
	q := url.Values{"limit": {pageSize}}
	if after != "" {
		q.Set("after", after)
	}
	return q
}

func accountSearch(begins string) g.Node {
	return html.Form(html.Method("get"), html.Action("/accounts"), html.Class("bar"), html.Role("search"), html.Aria("label", "Find an account"),
		field("Account id, or its beginning", input("id", begins, html.MaxLength("256")), ""),
		submit("Find"), g.If(begins != "", link("/accounts", "Show all")))
}

// jobSearch finds a job of any account by its id.
func jobSearch() g.Node {
	return html.Form(html.Method("get"), html.Action("/job"), html.Class("bar"), html.Role("search"), html.Aria("label", "Find a job"),
		field("Job id, of any account", html.Input(html.ID("job-id"), html.Name("id"), html.Type("text"), html.Required(), html.MaxLength(strconv.Itoa(job.MaxIDBytes))), ""),
		submit("Find the job"))
}

func noAccounts(begins string) g.Node {
	if begins != "" {
		return html.P(g.Text("No account's id begins like this. Capital and small letters count. "), link("/accounts", "Show all"))
	}
	return html.P(g.Text("There is no account yet. The platform makes one for each customer: "), html.Code(g.Text(`PUT /v1/accounts/acme {"name": "Acme"}`)), g.Text("."))
}

func accountTable(v *visit, list []accountRow, empty g.Node) g.Node {
	return table("Accounts", []string{"Account", "Name", "Created", "Let the customer in"}, g.Map(list, func(a accountRow) g.Node {
		return row(link(lookAt(a.ID, "/"), a.ID), text(cmp.Or(a.Name, "-")), when(a.CreatedAt),
			html.Form(html.Method("post"), html.Action("/accounts/portal-links?"+url.Values{"account": {a.ID}}.Encode()), html.Class("act"),
				html.Button(html.Type("submit"), html.Class("quiet"), html.Aria("label", "Make a link for "+a.ID), g.Text("Make a link"))))
	}), empty)
}

// makePortalLink shows a link that lets a customer in. It is shown once, so it is
// on this page alone.
func makePortalLink(v *visit) (page, error) {
	if err := v.mustReachAll(); err != nil {
		return page{}, err
	}
	account := v.param("account")
	var made struct {
		URL       string `json:"url"`
		ExpiresAt string `json:"expires_at"`
	}
	if err := v.post("/v1/accounts/"+seg(account)+"/portal-links", nil, nil, &made); err != nil {
		return page{}, err
	}
	return page{title: "A link for " + visible(account), in: "/accounts", body: g.Group{
		html.P(g.Text("Give it to the customer. It works once, until "), when(made.ExpiresAt), g.Text(", and opens the dashboard of this account for one hour. It is not shown again.")),
		copyable("portal-link", "The link", made.URL),
		html.P(link("/accounts", "Back to the accounts")),
	}}, nil
}

// mustReachAll refuses who sees one account only.
func (v *visit) mustReachAll() error {
	if v.isPlatform() {
		return nil
	}
	return &problem{Status: http.StatusForbidden, Title: "Not for this session", Detail: "These pages are the platform's. Sign in with a key of the platform or the operator."}
}

// ofAnAccount is a page of one account: who sees all and looks at none chooses
// one first.
func ofAnAccount(show func(*visit) (page, error)) func(*visit) (page, error) {
	return func(v *visit) (page, error) {
		if v.account() == "" {
			return page{next: "/accounts"}, nil
		}
		return show(v)
	}
}

// lookAt is the address of a page of an account, whichever is looked at now.
func lookAt(account, path string) string {
	return path + "?" + url.Values{"account": {account}}.Encode()
}
