package webhook_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/jobhook/jobhook/shared/webhook"
)

// The reference message of the Standard Webhooks libraries' own tests.
const (
	refSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	refID      = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	refPayload = `{"test": 2432232314}`
)

var refTime = time.Unix(1614265330, 0)

func hmacSecret(size int) webhook.Secret {
	return webhook.Secret(webhook.PrefixHMAC + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, size)))
}

func signed(t *testing.T, at time.Time, body string, secrets ...webhook.Secret) http.Header {
	t.Helper()
	h := http.Header{}
	if err := webhook.Sign(h, secrets, refID, at, []byte(body)); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTheReferenceMessageHasTheReferenceSignature(t *testing.T) {
	h := signed(t, refTime, refPayload, refSecret)
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := h.Get("webhook-signature"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	library, err := standardwebhooks.NewWebhook(refSecret)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := library.Sign(refID, refTime, []byte(refPayload)); got != want || err != nil {
		t.Errorf("the library: got %s and error %v, want %s", got, err, want)
	}
}

func TestThePublicLibraryVerifiesOurSignature(t *testing.T) {
	secret := webhook.NewSecret()
	key, _ := webhook.NewKeyPair()
	library, err := standardwebhooks.NewWebhook(string(secret))
	if err != nil {
		t.Fatal(err)
	}
	for name, secrets := range map[string][]webhook.Secret{
		"one secret":            {secret},
		"the newer of two":      {secret, webhook.NewSecret()},
		"the older of two":      {webhook.NewSecret(), secret},
		"beside an ed25519 key": {key, secret},
	} {
		h := signed(t, time.Now(), refPayload, secrets...)
		if err := library.Verify([]byte(refPayload), h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	h := signed(t, time.Now(), refPayload, webhook.NewSecret())
	if err := library.Verify([]byte(refPayload), h); err == nil {
		t.Error("the library accepts a signature of another secret")
	}
}

func TestWeVerifyThePublicLibrarysSignature(t *testing.T) {
	library, err := standardwebhooks.NewWebhook(refSecret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := library.Sign(refID, refTime, []byte(refPayload))
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set(standardwebhooks.HeaderWebhookID, refID)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(refTime.Unix()))
	h.Set(standardwebhooks.HeaderWebhookSignature, signature)
	if err := webhook.Verify(h, []string{refSecret}, refTime, []byte(refPayload)); err != nil {
		t.Error(err)
	}
}

func TestSignSetsTheThreeHeaders(t *testing.T) {
	key, public := webhook.NewKeyPair()
	h := signed(t, refTime, refPayload, refSecret, key)
	if got := h.Get(webhook.HeaderID); got != refID {
		t.Errorf("id: got %s, want %s", got, refID)
	}
	if got, want := h.Get(webhook.HeaderTimestamp), "1614265330"; got != want {
		t.Errorf("timestamp: got %s, want %s", got, want)
	}
	first, second, _ := strings.Cut(h.Get(webhook.HeaderSignature), " ")
	if !strings.HasPrefix(first, "v1,") || !strings.HasPrefix(second, "v1a,") {
		t.Errorf("signatures: got %q, want v1 and v1a in the order of the secrets", h.Get(webhook.HeaderSignature))
	}
	for _, key := range []string{refSecret, public} {
		if err := webhook.Verify(h, []string{key}, refTime, []byte(refPayload)); err != nil {
			t.Errorf("%.6s: %v", key, err)
		}
	}
}

func TestWithoutASecretNothingIsSigned(t *testing.T) {
	h := signed(t, refTime, refPayload)
	if h.Get(webhook.HeaderID) == "" || h.Get(webhook.HeaderTimestamp) == "" || len(h) != 2 {
		t.Errorf("got headers %v, want id and timestamp", h)
	}
}

func TestASecretThatCannotSignIsNamedByItsPlace(t *testing.T) {
	err := webhook.Sign(http.Header{}, []webhook.Secret{refSecret, "whsec_short"}, refID, refTime, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "secret 2: ") || strings.Contains(err.Error(), "short") {
		t.Errorf("got error %v, want one of secret 2 that does not show it", err)
	}
}

func TestEachOfTwoLiveSecretsVerifies(t *testing.T) {
	newer, older := webhook.NewSecret(), webhook.NewSecret()
	h := signed(t, refTime, refPayload, newer, older)
	for name, keys := range map[string][]string{
		"the newer":              {string(newer)},
		"the older":              {string(older)},
		"both":                   {string(older), string(newer)},
		"another and the older":  {string(webhook.NewSecret()), string(older)},
		"no key, then the newer": {"", string(newer)},
	} {
		if err := webhook.Verify(h, keys, refTime, []byte(refPayload)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	private, public := webhook.NewKeyPair()
	_, otherPublic := webhook.NewKeyPair()
	set := func(name, value string) func(http.Header) {
		return func(h http.Header) { h.Set(name, value) }
	}
	emptyKey, err := standardwebhooks.NewWebhook("whsec_")
	if err != nil {
		t.Fatal(err)
	}
	forged, err := emptyKey.Sign(refID, refTime, []byte(refPayload))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		keys   []string
		change func(http.Header)
		body   string
		now    time.Time
	}{
		{name: "no keys", keys: []string{}},
		{name: "another secret", keys: []string{string(hmacSecret(32))}},
		{name: "another public key", keys: []string{otherPublic}},
		{name: "the private key, which no receiver has", keys: []string{string(private)}},
		{name: "an empty secret, which anybody can sign with", keys: []string{"whsec_"}, change: set(webhook.HeaderSignature, forged)},
		{name: "a secret that is no base64", keys: []string{"whsec_?"}},
		{name: "a public key that is no base64", keys: []string{"whpk_?"}},
		{name: "a public key that is too short", keys: []string{"whpk_AAAA"}},
		{name: "a key without a prefix", keys: []string{strings.TrimPrefix(refSecret, "whsec_")}},
		{name: "a changed body", body: `{"test": 2432232315}`},
		{name: "an empty body", body: " "},
		{name: "a changed id", change: set(webhook.HeaderID, "msg_other")},
		{name: "a changed timestamp", change: set(webhook.HeaderTimestamp, "1614265331")},
		{name: "an old timestamp", now: refTime.Add(webhook.Tolerance + time.Second)},
		{name: "a timestamp of the future", now: refTime.Add(-webhook.Tolerance - time.Second)},
		{name: "a huge timestamp", change: set(webhook.HeaderTimestamp, "9223372036854775807")},
		{name: "a garbage timestamp", change: set(webhook.HeaderTimestamp, "yesterday")},
		{name: "no id", change: func(h http.Header) { h.Del(webhook.HeaderID) }},
		{name: "no timestamp", change: func(h http.Header) { h.Del(webhook.HeaderTimestamp) }},
		{name: "no signature", change: func(h http.Header) { h.Del(webhook.HeaderSignature) }},
		{name: "no headers", change: func(h http.Header) { clear(h) }},
		{name: "a garbage signature", change: set(webhook.HeaderSignature, "garbage")},
		{name: "signatures without a value", change: set(webhook.HeaderSignature, "v1 v1, v1a v1a, ,")},
		{name: "signatures that are no base64", change: set(webhook.HeaderSignature, "v1,??? v1a,???")},
		{name: "a signature under an unknown version", change: func(h http.Header) {
			h.Set(webhook.HeaderSignature, strings.ReplaceAll(h.Get(webhook.HeaderSignature), "v1", "v2"))
		}},
		{name: "signatures under each other's version", change: func(h http.Header) {
			h.Set(webhook.HeaderSignature, strings.NewReplacer("v1a,", "v1,", "v1,", "v1a,").Replace(h.Get(webhook.HeaderSignature)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := signed(t, refTime, refPayload, refSecret, private)
			keys, body, now := []string{refSecret, public}, refPayload, refTime
			if tt.keys != nil {
				keys = tt.keys
			}
			if tt.change != nil {
				tt.change(h)
			}
			if tt.body != "" {
				body = tt.body
			}
			if !tt.now.IsZero() {
				now = tt.now
			}
			if err := webhook.Verify(h, keys, now, []byte(body)); !errors.Is(err, webhook.ErrSignature) {
				t.Errorf("got error %v, want ErrSignature", err)
			}
		})
	}
}

func TestVerifyToleratesFiveMinutesEitherWay(t *testing.T) {
	h := signed(t, refTime, refPayload, refSecret)
	for _, now := range []time.Time{refTime.Add(5 * time.Minute), refTime.Add(-5 * time.Minute)} {
		if err := webhook.Verify(h, []string{refSecret}, now, []byte(refPayload)); err != nil {
			t.Errorf("%v: %v", now.Sub(refTime), err)
		}
	}
}

func TestSecretCheck(t *testing.T) {
	keyOf := func(size int) webhook.Secret {
		return webhook.Secret(webhook.PrefixPrivate + base64.StdEncoding.EncodeToString(make([]byte, size)))
	}
	_, public := webhook.NewKeyPair()
	for _, tt := range []struct {
		name   string
		secret webhook.Secret
		ok     bool
	}{
		{"23 bytes", hmacSecret(23), false},
		{"24 bytes", hmacSecret(24), true},
		{"64 bytes", hmacSecret(64), true},
		{"65 bytes", hmacSecret(65), false},
		{"no base64", "whsec_!!!", false},
		{"only a prefix", "whsec_", false},
		{"empty", "", false},
		{"no prefix", webhook.Secret(strings.TrimPrefix(string(hmacSecret(32)), "whsec_")), false},
		{"an ed25519 seed", keyOf(ed25519.SeedSize), true},
		{"an ed25519 key", keyOf(ed25519.PrivateKeySize), true},
		{"an ed25519 key cut off", keyOf(ed25519.PrivateKeySize - 1), false},
		{"an ed25519 key that is no base64", "whsk_!!!", false},
		{"a public key", webhook.Secret(public), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.secret.Check(); (err == nil) != tt.ok {
				t.Errorf("got error %v, want none: %v", err, tt.ok)
			}
		})
	}
}

func TestNewSecretsAreUsableAndDiffer(t *testing.T) {
	a, b := webhook.NewSecret(), webhook.NewSecret()
	if err := a.Check(); err != nil || a == b {
		t.Errorf("got error %v and the same secret twice: %v", err, a == b)
	}
	private, public := webhook.NewKeyPair()
	if err := private.Check(); err != nil {
		t.Error(err)
	}
	if got := private.Public(); got != public {
		t.Errorf("public key: got %s, want %s", got, public)
	}
}

func TestASeedAndItsFullKeyAreTheSameKey(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))
	full := webhook.Secret(webhook.PrefixPrivate + base64.StdEncoding.EncodeToString(key))
	seed := webhook.Secret(webhook.PrefixPrivate + base64.StdEncoding.EncodeToString(key.Seed()))
	want := webhook.PrefixPublic + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	if got := full.Public(); got != want {
		t.Errorf("full key: got %s, want %s", got, want)
	}
	if got := seed.Public(); got != want {
		t.Errorf("seed: got %s, want %s", got, want)
	}
	a, b := signed(t, refTime, refPayload, full), signed(t, refTime, refPayload, seed)
	if got, want := b.Get(webhook.HeaderSignature), a.Get(webhook.HeaderSignature); got != want {
		t.Errorf("signature by the seed: got %s, want %s", got, want)
	}
}

func TestOnlyAnEd25519SecretHasAPublicKey(t *testing.T) {
	for _, s := range []webhook.Secret{"", refSecret, "whsk_", "whsk_!!!", "whsk_AAAA"} {
		if got := s.Public(); got != "" {
			t.Errorf("got %s, want none", got)
		}
	}
}

func TestASecretNeverPrintsItself(t *testing.T) {
	secret := webhook.Secret(refSecret)
	endpoint := webhook.Endpoint{Secrets: []webhook.Secret{secret}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&out, verb+"\n", secret)
		fmt.Fprintf(&out, verb+"\n", endpoint)
	}
	fmt.Fprintln(&out, secret, endpoint, fmt.Errorf("secret %v", secret))
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "secret", secret, slog.Group("g", "secret", secret))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "secret", secret, slog.Group("g", "secret", secret))
	if got := out.String(); strings.Contains(got, refSecret[len("whsec_"):]) || !strings.Contains(got, "whsec_***") {
		t.Errorf("got %s, want the secret hidden", got)
	}
}

func TestJSONKeepsTheRealSecretForStores(t *testing.T) {
	b, err := json.Marshal([]webhook.Secret{refSecret})
	if err != nil {
		t.Fatal(err)
	}
	var got []webhook.Secret
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || string(got[0]) != refSecret {
		t.Errorf("got %s, want the secret as it was", b)
	}
}
