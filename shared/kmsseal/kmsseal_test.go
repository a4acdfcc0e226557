package kmsseal

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/jobhook/jobhook/shared/awstest"
)

func TestMain(m *testing.M) { os.Exit(awstest.Main(m)) }

// calls counts the requests to KMS.
type calls struct {
	n    atomic.Int64
	next aws.HTTPClient
}

func (c *calls) Do(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.next.Do(r)
}

// open returns a sealer on a key of its own, its requests, and its clock.
func open(t *testing.T) (s *Sealer, counted *calls, now *time.Time) {
	t.Helper()
	config := awstest.Moto(t).Config()
	created, err := kms.NewFromConfig(config).CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	counted = &calls{next: config.HTTPClient}
	config.HTTPClient = counted
	s = New(kms.NewFromConfig(config), *created.KeyMetadata.Arn)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return at }
	return s, counted, &at
}

// again is the sealer of another process.
func again(s *Sealer) *Sealer { return New(s.kms, s.keyID) }

func seal(t *testing.T, s *Sealer, plain, account string) []byte {
	t.Helper()
	sealed, err := s.Seal(t.Context(), []byte(plain), account)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestASecretIsOpenedByAnotherProcessForItsAccountOnly(t *testing.T) {
	s, _, _ := open(t)
	sealed := seal(t, s, "whsec_c2VjcmV0", "acme")
	if bytes.Contains(sealed, []byte("whsec")) {
		t.Error("the secret can be read in what is sealed")
	}
	plain, err := again(s).Open(t.Context(), sealed, "acme")
	if err != nil || string(plain) != "whsec_c2VjcmV0" {
		t.Errorf("opened %q, %v", plain, err)
	}
	for what, s := range map[string]*Sealer{"this process": s, "another process": again(s)} {
		if _, err := s.Open(t.Context(), sealed, "other"); !errors.Is(err, ErrSealed) {
			t.Errorf("opened for another account by %s: got %v, want ErrSealed", what, err)
		}
	}
}

func TestWhatWasTamperedWithIsRefused(t *testing.T) {
	s, _, _ := open(t)
	sealed := seal(t, s, "secret", "acme")
	for _, at := range []int{0, 1, 2, 40, len(sealed) - 1} {
		bad := bytes.Clone(sealed)
		bad[at] ^= 1
		if _, err := again(s).Open(t.Context(), bad, "acme"); err == nil {
			t.Errorf("opened with byte %d changed", at)
		}
	}
	for n := range 4 {
		if _, err := s.Open(t.Context(), sealed[:n], "acme"); !errors.Is(err, ErrSealed) {
			t.Errorf("%d bytes: got %v, want ErrSealed", n, err)
		}
	}
}

func TestDataKeysAreKeptForMinutes(t *testing.T) {
	s, counted, now := open(t)
	var sealed []byte
	for range 10 {
		sealed = seal(t, s, "secret", "acme")
		if _, err := s.Open(t.Context(), sealed, "acme"); err != nil {
			t.Fatal(err)
		}
	}
	if n := counted.n.Load(); n != 1 {
		t.Errorf("%d requests for one account, want 1", n)
	}
	*now = now.Add(keepFor)
	if _, err := s.Open(t.Context(), sealed, "acme"); err != nil {
		t.Fatal(err)
	}
	if n := counted.n.Load(); n != 2 {
		t.Errorf("%d requests after the key's time, want 2", n)
	}
}

func TestWhenKMSCannotBeAskedTheErrorIsItsOwn(t *testing.T) {
	s, _, _ := open(t)
	sealed := seal(t, s, "secret", "acme")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := again(s).Open(ctx, sealed, "acme")
	if err == nil || errors.Is(err, ErrSealed) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancelled request's error", err)
	}
}
