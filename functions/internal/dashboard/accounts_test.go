package dashboard_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func (s *tested) putAccount(id, name string) {
	s.t.Helper()
	if err := s.store.PutAccount(s.t.Context(), webhook.Account{ID: id, Name: name, CreatedAt: s.now, UpdatedAt: s.now}); err != nil {
		s.t.Fatal(err)
	}
}

func TestThePlatformSeesAllAccountsPageByPage(t *testing.T) {
	s := newSite(t)
	for i := range 60 {
		s.putAccount(fmt.Sprintf("b%02d", i), fmt.Sprintf("Customer %02d <i>", i))
	}
	b := s.signIn(s.platform)
	first := b.open("/accounts")
	first.wants(t, "acme", "b47 Customer 47 <i>", "Next page")
	first.lacks(t, "b49", "First page")
	first.holds(t, `href="/?account=b47"`)
	second := b.open(first.next(t, "/accounts"))
	second.wants(t, "b49", "other", "First page")
	second.lacks(t, "b47", "Next page")
}

func TestAccountsAreFoundByTheBeginningOfTheirIDs(t *testing.T) {
	s := newSite(t)
	for _, id := range []string{"acme-eu", "acme/1", "acmf", "ACME"} {
		s.putAccount(id, "the name of "+id)
	}
	b := s.signIn(s.platform)
	for _, row := range []struct {
		id    string
		finds []string
		not   []string
	}{
		{"acme", []string{"acme acme", "name of acme-eu", "name of acme/1"}, []string{"acmf", "ACME", "other"}},
		{"ac", []string{"acme acme", "name of acme-eu", "name of acme/1", "name of acmf"}, []string{"ACME", "other"}},
		{"acme/1", []string{"name of acme/1"}, []string{"acme-eu", "acmf"}},
		{"acme%2F1", []string{"name of acme/1"}, nil},
		{".", []string{"No account's id begins like this"}, nil},
		{"..", []string{"No account's id begins like this"}, nil},
		{"zzz", []string{"No account's id begins like this"}, []string{"acme"}},
	} {
		got := b.open("/accounts?id=" + row.id)
		got.wants(t, row.finds...)
		got.lacks(t, row.not...)
	}
}

func TestTheAccountsOfASearchStayTogetherOverPages(t *testing.T) {
	s := newSite(t)
	for i := range 60 {
		s.putAccount(fmt.Sprintf("b%02d", i), "")
	}
	b := s.signIn(s.platform)
	first := b.open("/accounts?id=b")
	first.wants(t, "b00", "b49", "Next page")
	_, rest, _ := strings.Cut(first.body, `href="/accounts?after=b49&amp;id=b"`)
	if rest == "" {
		t.Fatalf("there is no next page: %s", first.text())
	}
	second := b.open("/accounts?after=b49&id=b")
	second.wants(t, "b50", "b59")
	second.lacks(t, "b49", "other", "Next page")
}

func TestASearchThatIsNoIDIsRefusedInWords(t *testing.T) {
	s := newSite(t)
	got := s.signIn(s.platform).get("/accounts?id=a%20b")
	if got.status < 400 || got.status >= 500 {
		t.Errorf("got %d %s", got.status, got.text())
	}
	got.wants(t, "Account id", "Show all")
	got.holds(t, `value="a b"`)
}

func TestALinkLetsACustomerInOnce(t *testing.T) {
	s := newSite(t)
	s.putAccount("acme/eu", "")
	b := s.signIn(s.operator)
	b.open("/accounts").holds(t, `action="/accounts/portal-links?account=acme%2Feu"`)
	made := b.post("/accounts/portal-links?account=acme%2Feu")
	if made.status != http.StatusOK || made.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %q %s", made.status, made.header.Get("Cache-Control"), made.text())
	}
	made.wants(t, "A link for acme/eu", "It works once, until 2026-03-01 13:00:00")
	token := regexp.MustCompile(`https://jobhook\.example/portal\?token=([A-Za-z0-9_]+)`).FindStringSubmatch(made.text())
	if token == nil {
		t.Fatalf("no link: %s", made.text())
	}
	customer := &browser{s: s}
	if got := customer.post("/portal", "token", token[1]); got.status != http.StatusSeeOther {
		t.Fatalf("the link: got %d %s", got.status, got.text())
	}
	customer.open("/").wants(t, "acme/eu", "First steps")
	if got := (&browser{s: s}).post("/portal", "token", token[1]); got.status != http.StatusUnauthorized {
		t.Errorf("the link once more: got %d, want 401", got.status)
	}
	if got := b.post("/accounts/portal-links?account=nobody"); got.status != http.StatusNotFound {
		t.Errorf("for nobody: got %d, want 404", got.status)
	}
}

func TestACustomerSeesNoAccountsAndLetsNobodyIn(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	for _, got := range []shown{b.get("/accounts"), b.get("/accounts?id=other"), b.post("/accounts/portal-links?account=other"), b.post("/accounts/portal-links?account=acme")} {
		if got.status != http.StatusForbidden {
			t.Errorf("got %d, want 403", got.status)
		}
		got.wants(t, "Not for this session")
		got.lacks(t, "other", "token=")
	}
	s.now = s.now.Add(13 * time.Hour)
	if got := b.get("/accounts"); got.status != http.StatusSeeOther || !strings.HasPrefix(got.location(), "/sign-in") {
		t.Errorf("when the session has ended: got %d to %q", got.status, got.location())
	}
}

func TestAJobIsFoundAmongAllAccounts(t *testing.T) {
	s := newSite(t)
	s.putJob("42", `{"account":"other","kind":"async","status":"pending"}`)
	b := s.signIn(s.platform)
	got := b.open("/accounts")
	got.wants(t, "Job id, of any account", "Find the job")
	got.holds(t, `<form method="get" action="/job"`, `<input id="job-id" name="id"`)
	if n := strings.Count(got.body, `id="id"`); n != 1 {
		t.Errorf("%d controls have the id \"id\", want 1", n)
	}
	found := b.get("/job?id=42")
	if want := "/job?account=other&id=42&kind=async"; found.location() != want {
		t.Fatalf("got %d to %q, want %q", found.status, found.location(), want)
	}
	b.open(found.location()).wants(t, "Job 42")
	if got := b.get("/job?id=43"); got.status != http.StatusNotFound {
		t.Errorf("a job that nobody has: got %d, want 404", got.status)
	}
}
