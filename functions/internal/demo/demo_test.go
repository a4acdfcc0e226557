package demo

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestPlayEndsWellWhenEverythingArrives(t *testing.T) {
	var out bytes.Buffer
	c := Config{API: newProduct(t).url, Key: "jh_live_a_b", Addr: "127.0.0.1:0", Out: &out, Once: true}
	for range 2 { // the second start finds what the first one left
		if err := Play(t.Context(), c); err != nil {
			t.Fatalf("Play: %v\n%s", err, out.String())
		}
	}
	for _, want := range []string{
		"serpwow             1        1\n",
		"webscraper          1        1\n",
		"hkube               5        5\n",
		"socialdata          1        1\n",
		"standard            1        2\n",
		"<- 503, on purpose",
		"<- 200, the retry, with the webhook-id of the first request",
		"4 links to files",
	} {
		if n := strings.Count(out.String(), want); n != 2 {
			t.Errorf("%q is printed %d times in two plays, want 2", want, n)
		}
	}
	if strings.Contains(out.String(), "Try next") {
		t.Error("a play that ends offers what to try next")
	}
}

func TestPlayNamesWhatIsWrong(t *testing.T) {
	rows := []struct {
		name  string
		spoil func(*product)
		want  []string
	}{
		{"forged signature", func(p *product) { p.forge = true }, []string{"standard: webhook #9 is wrong: the signature does not match"}},
		{"new webhook-id on the retry", func(p *product) { p.renumber = true }, []string{"standard: webhook #10 is wrong: the retry has another webhook-id"}},
		{"refused write", func(p *product) { p.refuse = "/v1/accounts/demo-hkube" }, []string{"hkube: PUT /v1/accounts/demo-hkube: answered 422: No. name: it is odd; write another."}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := newProduct(t)
			row.spoil(p)
			var out bytes.Buffer
			err := Play(t.Context(), Config{API: p.url, Key: "jh_live_a_b", Addr: "127.0.0.1:0", Out: &out, Once: true})
			if err == nil {
				t.Fatalf("Play succeeded:\n%s", out.String())
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Play: %v, want it to say %q", err, want)
				}
				if !strings.Contains(out.String(), "NOT as expected: "+err.Error()) {
					t.Error("the reason is not printed")
				}
			}
		})
	}
}

func TestPlayStaysAndOffersCommandsThatWork(t *testing.T) {
	p := newProduct(t)
	out := &watched{}
	ctx, cancel := context.WithCancel(t.Context())
	out.when("Ctrl-C ends everything", cancel)
	if err := Play(ctx, Config{API: p.url, Key: "jh_live_a_b", Addr: "127.0.0.1:0", Out: out, KeyFile: "keys/operator.key"}); err != nil {
		t.Fatalf("Play: %v\n%s", err, out.String())
	}
	var commands []string
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "KEY=") {
			commands = append(commands, line)
		}
	}
	if len(commands) != 3 {
		t.Fatalf("%d commands are printed, want 3:\n%s", len(commands), out.String())
	}
	for _, want := range []string{"http://localhost:8080/portal?token=pl_1", "keys/operator.key", p.url + "/sign-in"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("where the dashboard is misses %q:\n%s", want, out.String())
		}
	}
	if got := len(p.endpoints); got != 1+len(exhibits()) {
		t.Errorf("%d endpoints are made, want the demo's and those of the gallery", got)
	}
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("JOBHOOK_REQUIRE_ALL") != "" {
			t.Fatal("curl is missing; install it")
		}
		t.Skip("curl is missing: the printed commands are not tried")
	}
	for _, command := range commands {
		got, err := exec.Command("sh", "-c", command).CombinedOutput()
		if err != nil || !bytes.Contains(got, []byte("delivered")) {
			t.Errorf("%s gave %q, %v", command, got, err)
		}
	}
}

func TestPlayTellsOfABusyPort(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	err = Play(t.Context(), Config{Addr: busy.Addr().String(), Out: &bytes.Buffer{}})
	if err == nil || !strings.Contains(err.Error(), "--demo-addr") {
		t.Errorf("Play: %v, want an error that names --demo-addr", err)
	}
}

func TestIDsAreNewAtEveryStart(t *testing.T) {
	now := time.Now()
	a, b := newCast(now), newCast(now.Add(10*time.Millisecond))
	if a.batch == b.batch || a.scraping == b.scraping || a.pipeline == b.pipeline || a.async == b.async || a.signed == b.signed {
		t.Errorf("two starts share an id: %+v, %+v", a, b)
	}
	if a.scraping == a.async || a.scraping == a.signed || a.async == a.signed {
		t.Errorf("jobs share an id, which a PATCH could not tell apart: %+v", a)
	}
}
