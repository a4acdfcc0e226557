// Package examples holds whole receivers of webhooks, to copy, in the languages
// whose public Standard Webhooks library they use. README.md shows a part of
// each. Its test sends them webhooks, signed as the product signs them.
package examples

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	jsonBody = `{"type":"job.finished","data":{"job":"Größe → 1"}}`
	formBody = "scrapingjob_id=1&status=finished&sitemap_name=a+b"
)

// keyring are the keys of an endpoint, and of others. The receiver knows older
// and public.
type keyring struct {
	newer, older, private, stranger webhook.Secret
	public                          string
}

func newKeyring() keyring {
	k := keyring{newer: webhook.NewSecret(), older: webhook.NewSecret()}
	k.private, k.public = webhook.NewKeyPair()
	k.stranger, _ = webhook.NewKeyPair()
	return k
}

func TestReceivers(t *testing.T) {
	for name, prepare := range programs() {
		t.Run(name, func(t *testing.T) {
			c, keys := prepare(t), newKeyring()
			t.Run("TakeWhatIsSignedAndNothingElse", func(t *testing.T) {
				takesWhatIsSigned(t, start(t, c, string(keys.older), keys.public), keys)
			})
			t.Run("TakeEitherOfTwoSecrets", func(t *testing.T) {
				p := start(t, c, string(keys.older), string(keys.newer))
				for i, s := range []webhook.Secret{keys.older, keys.newer} {
					accepted(t, p, signed(t, fmt.Sprint("msg_", i), time.Now(), jsonBody, s), jsonBody)
				}
			})
			t.Run("HandleAWebhookOnce", func(t *testing.T) {
				handlesOnce(t, start(t, c, string(keys.older)), keys.older)
			})
			t.Run("OutliveBrokenRequests", func(t *testing.T) {
				outlivesBrokenRequests(t, start(t, c, string(keys.older)), keys.older)
			})
			t.Run("DoNotStartWithoutAKey", func(t *testing.T) { needsAKey(t, c, keys) })
		})
	}
}

// sent is a webhook as somebody sends it, good or bad.
type sent struct {
	name    string
	secrets []webhook.Secret
	age     time.Duration
	body    string            // signed; empty: jsonBody
	altered string            // sent instead
	change  func(http.Header) // after signing
	want    int               // 0: http.StatusUnauthorized
}

func good(k keyring) []sent {
	return []sent{
		{name: "HMAC", secrets: []webhook.Secret{k.older}},
		{name: "HMAC, while the secret is changed", secrets: []webhook.Secret{k.newer, k.older}},
		{name: "HMAC, the other way round", secrets: []webhook.Secret{k.older, k.newer}},
		{name: "HMAC over a form", secrets: []webhook.Secret{k.older}, body: formBody},
		{name: "HMAC, nearly five minutes old", secrets: []webhook.Secret{k.older}, age: 4 * time.Minute},
		{name: "HMAC, from a clock that is ahead", secrets: []webhook.Secret{k.older}, age: -4 * time.Minute},
		{name: "ed25519", secrets: []webhook.Secret{k.private}},
		{name: "ed25519, after a secret that is not known", secrets: []webhook.Secret{k.newer, k.private}},
		{name: "ed25519, while the key is changed", secrets: []webhook.Secret{k.stranger, k.private}},
		{name: "ed25519 over a form", secrets: []webhook.Secret{k.private}, body: formBody},
		{name: "ed25519, nearly five minutes old", secrets: []webhook.Secret{k.private}, age: 4 * time.Minute},
	}
}

// bad are webhooks that are refused whichever key has signed them.
func bad(k keyring, version string, secret, wrong webhook.Secret) []sent {
	set := func(name, value string) func(http.Header) {
		return func(h http.Header) { h.Set(name, value) }
	}
	list := []sent{
		{name: "another key", secrets: []webhook.Secret{wrong}},
		{name: "a changed body", altered: strings.Replace(jsonBody, "1", "2", 1)},
		{name: "a body cut off", altered: jsonBody[:10]},
		{name: "no body", altered: " "},
		{name: "an old timestamp", age: 6 * time.Minute},
		{name: "a timestamp of the future", age: -6 * time.Minute},
		{name: "a timestamp changed to now", age: 6 * time.Minute, change: set(webhook.HeaderTimestamp, fmt.Sprint(time.Now().Unix()))},
		{name: "a timestamp in words", change: set(webhook.HeaderTimestamp, "yesterday")},
		{name: "a huge timestamp", change: set(webhook.HeaderTimestamp, strings.Repeat("9", 400))},
		{name: "a changed id", change: set(webhook.HeaderID, "msg_other")},
		{name: "no id", change: func(h http.Header) { h.Del(webhook.HeaderID) }},
		{name: "no timestamp", change: func(h http.Header) { h.Del(webhook.HeaderTimestamp) }},
		{name: "no signature", change: func(h http.Header) { h.Del(webhook.HeaderSignature) }},
		{name: "a garbage signature", change: set(webhook.HeaderSignature, "garbage")},
		{name: "signatures without a value", change: set(webhook.HeaderSignature, "v1 v1, v1a v1a, ,")},
		{name: "a signature that is no base64", change: set(webhook.HeaderSignature, version+",???")},
		{name: "a signature under another version", change: func(h http.Header) {
			_, value, _ := strings.Cut(h.Get(webhook.HeaderSignature), ",")
			h.Set(webhook.HeaderSignature, map[string]string{"v1": "v1a,", "v1a": "v1,"}[version]+value)
		}},
	}
	for i := range list {
		list[i].name, list[i].want = version+": "+list[i].name, http.StatusUnauthorized
		if list[i].secrets == nil {
			list[i].secrets = []webhook.Secret{secret}
		}
	}
	return list
}

func takesWhatIsSigned(t *testing.T, p *process, k keyring) {
	all := append(good(k), bad(k, "v1", k.older, k.newer)...)
	all = append(all, bad(k, "v1a", k.private, k.stranger)...)
	all = append(all, sent{name: "the last, which is good again", secrets: []webhook.Secret{k.older}})
	var want []string
	for i, s := range all {
		id := fmt.Sprintf("msg_%03d", i)
		body := s.body
		if body == "" {
			body = jsonBody
		}
		h := signed(t, id, time.Now().Add(-s.age), body, s.secrets...)
		if s.change != nil {
			s.change(h)
		}
		status := http.StatusNoContent
		if s.want != 0 {
			status = s.want
		} else {
			want = append(want, handled(id, body))
		}
		if s.altered != "" {
			body = s.altered
		}
		if got, err := p.post(t.Context(), h, body); err != nil || got != status {
			t.Errorf("%s: got %d, %v; want %d", s.name, got, err, status)
		}
	}
	if diff := cmp.Diff(want, p.printed(t, want[len(want)-1])); diff != "" {
		t.Errorf("handled (-want +got):\n%s", diff)
	}
}

func handlesOnce(t *testing.T, p *process, secret webhook.Secret) {
	const id = "msg_again"
	first := signed(t, id, time.Now(), jsonBody, secret)
	if got, err := p.post(t.Context(), first, jsonBody+" "); err != nil || got != http.StatusUnauthorized {
		t.Fatalf("got %d, %v for a changed body", got, err) // which must not use up the id
	}
	accepted(t, p, first, jsonBody)
	accepted(t, p, first, jsonBody)
	accepted(t, p, signed(t, id, time.Now().Add(-time.Minute), jsonBody, secret), jsonBody) // a retry is signed anew
	for _, ids := range [][]string{{id, "msg_other"}, {"msg_other", id}} {
		h := first.Clone()
		h[webhook.HeaderID] = ids
		if _, err := p.post(t.Context(), h, jsonBody); err != nil { // taken or refused, but not handled as another
			t.Errorf("two ids: %v", err)
		}
	}
	twin := signed(t, "msg_twin", time.Now(), jsonBody, secret)
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			got, err := p.post(t.Context(), twin, jsonBody)
			if err == nil && got != http.StatusNoContent {
				err = fmt.Errorf("got %d", got)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Errorf("the same at once: %v", err)
	}
	accepted(t, p, signed(t, "msg_last", time.Now(), jsonBody, secret), jsonBody)
	want := []string{handled(id, jsonBody), handled("msg_twin", jsonBody), handled("msg_last", jsonBody)}
	if diff := cmp.Diff(want, p.printed(t, want[2])); diff != "" {
		t.Errorf("handled (-want +got):\n%s", diff)
	}
}

func outlivesBrokenRequests(t *testing.T, p *process, secret webhook.Secret) {
	address, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\ncut off",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
		"nonsense\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", address.Host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Error(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	large := `{"large":"` + strings.Repeat("x", 2<<20) + `"}`
	got, err := p.post(t.Context(), signed(t, "msg_large", time.Now(), large, secret), large)
	if err == nil && got != http.StatusRequestEntityTooLarge { // an error: it hung up before all was sent
		t.Errorf("a body of 2 MiB: got %d", got)
	}
	accepted(t, p, signed(t, "msg_last", time.Now(), jsonBody, secret), jsonBody)
	if got := p.printed(t, handled("msg_last", jsonBody)); len(got) != 1 {
		t.Errorf("handled %.200q, want the last alone", got)
	}
}

func needsAKey(t *testing.T, c command, k keyring) {
	for name, keys := range map[string][]string{
		"none":                   {""},
		"an empty secret":        {"whsec_"},
		"a short secret":         {"whsec_c2hvcnQ="},
		"a secret of no base64":  {"whsec_" + strings.Repeat("?", 40)},
		"a short public key":     {"whpk_AAAA"},
		"the private key":        {string(k.private)},
		"a good one and another": {string(k.older), "another"},
	} {
		p := launch(t, c, keys...)
		if line, ok := <-p.lines; ok {
			t.Errorf("%s: it printed %q, want an error", name, line)
			continue
		}
		said := fmt.Sprint(p.end())
		if !strings.HasPrefix(said, "exit status 1: ") || !strings.Contains(said, "WEBHOOK_SECRET: ") {
			t.Errorf("%s: it ended with %s", name, said)
		}
		for _, key := range keys {
			if _, value, _ := strings.Cut(key, "_"); value != "" && strings.Contains(said, value) {
				t.Errorf("%s: it shows the key: %s", name, said)
			}
		}
	}
}

// accepted sends a webhook that must be taken, be it handled or not.
func accepted(t *testing.T, p *process, h http.Header, body string) {
	t.Helper()
	if got, err := p.post(t.Context(), h, body); err != nil || got != http.StatusNoContent {
		t.Errorf("%s: got %d, %v; want %d", h.Get(webhook.HeaderID), got, err, http.StatusNoContent)
	}
}

// signed returns the headers of a webhook as the product sends it.
func signed(t *testing.T, id string, at time.Time, body string, secrets ...webhook.Secret) http.Header {
	t.Helper()
	h := http.Header{"Content-Type": {"application/json"}}
	if err := webhook.Sign(h, secrets, id, at, []byte(body)); err != nil {
		t.Fatal(err)
	}
	return h
}

// handled is the line that a receiver prints for a webhook.
func handled(id, body string) string { return "handled " + id + " " + body }

func TestREADMEShowsWhatIsTested(t *testing.T) {
	readme := string(read(t, "../../../README.md"))
	for _, file := range []string{"receiver/receiver.go", "node/receiver.mjs", "python/receiver.py"} {
		part, err := snippet(string(read(t, file)))
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if !strings.Contains(readme, "\n"+part+"\n```\n") {
			t.Errorf("README.md does not show this part of %s:\n%s", file, part)
		}
		if !strings.Contains(readme, "functions/internal/examples/"+file) {
			t.Errorf("README.md does not say where %s is", file)
		}
	}
}

// snippet returns what stands between the marks, without empty lines around.
func snippet(text string) (string, error) {
	_, rest, begins := strings.Cut(text, "snippet begin\n")
	part, _, ends := strings.Cut(rest, "snippet end\n")
	if !begins || !ends {
		return "", errors.New("the marks of the snippet are missing")
	}
	lines := strings.TrimSpace(part)
	lines = strings.TrimSpace(lines[:strings.LastIndexByte(lines, '\n')+1]) // the comment sign of the second mark
	if lines == "" {
		return "", errors.New("the snippet is empty")
	}
	return lines, nil
}
