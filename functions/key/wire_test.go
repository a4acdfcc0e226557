package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/webhook"
)

// drawer keeps one key.
type drawer struct {
	key webhook.Key
	err error
}

func (d *drawer) PutKey(_ context.Context, k webhook.Key) error {
	d.key = k
	return d.err
}

func TestTheKeyThatIsPrintedIsTheOneThatIsStored(t *testing.T) {
	var out bytes.Buffer
	var d drawer
	if err := mint(t.Context(), &d, order{table: "t", scope: webhook.ScopeAccount, account: "acme", name: "first"}, &out); err != nil {
		t.Fatal(err)
	}
	again, err := api.ImportKey(strings.TrimSuffix(out.String(), "\n"), d.key.CreatedAt, webhook.ScopeAccount, "acme", "first")
	if err != nil {
		t.Fatalf("printed %q: %v", out.String(), err)
	}
	if again.ID != d.key.ID || !bytes.Equal(again.Hash, d.key.Hash) || d.key.Account != "acme" || d.key.Scope != webhook.ScopeAccount || d.key.Name != "first" {
		t.Errorf("stored %+v, printed %+v", d.key, again)
	}
}

func TestAKeyThatIsNotStoredIsNotPrinted(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&types.ResourceNotFoundException{}, "there is no table jobs-x"},
		{&smithy.GenericAPIError{Code: "AccessDeniedException"}, "dynamodb:PutItem"},
		{errors.New("out of order"), "store the key in table jobs-x: out of order"},
	} {
		var out bytes.Buffer
		err := mint(t.Context(), &drawer{err: c.err}, order{table: "jobs-x", scope: webhook.ScopeOperator}, &out)
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) || out.Len() != 0 {
			t.Errorf("%v: got %v and printed %q; want %q", c.err, err, out.String(), c.want)
		}
	}
}

func TestAWrongArgumentIsAnsweredWithTheRightOne(t *testing.T) {
	for args, want := range map[string]string{
		"":                             "add -table",
		"-scope admin":                 `there is no scope "admin"; use operator, platform or account`,
		"-table t -scope account":      "add -account",
		"-table t -account acme":       "leave -account out",
		"-table t deliveries":          `"deliveries" is left over`,
		"-scope account -account acme": "add -table",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}

func TestWithoutRegionOrCredentialsItSaysWhatToDo(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
	none := t.TempDir() + "/none"
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, c := range []struct{ args, want string }{
		{"-table t", "add -region"},
		{"-table t -region eu-central-1", "aws sso login"},
		{"-table t -region eu-central-1 -profile nobody", "nobody"},
	} {
		if err := wire(t.Context(), strings.Fields(c.args), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.args, err, c.want)
		}
	}
}
