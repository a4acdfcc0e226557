package api_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestARevokedKeyFailsAtOnce(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys", `{"name":"ci"}`)
	key := made["key"].(string)
	s.must(t, 200, key, "GET", "/v1/endpoints", "")
	s.must(t, 204, s.platform, "DELETE", "/v1/accounts/acme/keys/"+made["id"].(string), "")
	if got := s.do(key, "GET", "/v1/endpoints", ""); got.status != 401 {
		t.Errorf("got %d after the revocation, want 401", got.status)
	}
}

func TestAKeyThatAnotherProcessRevokedFailsAtOnce(t *testing.T) {
	s := newSite(t)
	other := s.with(func(*api.Config) {})
	id, _, err := api.ParseKey(s.acme)
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, 200, s.acme, "GET", "/v1/endpoints", "")
	other.must(t, 204, s.platform, "DELETE", "/v1/accounts/acme/keys/"+id, "")
	if got := s.do(s.acme, "GET", "/v1/endpoints", ""); got.status != 401 {
		t.Errorf("got %d right after the revocation, want 401", got.status)
	}
}

func TestAKeyRotatedByAnotherProcessEndsWithItsOverlap(t *testing.T) {
	s := newSite(t)
	other := s.with(func(*api.Config) {})
	id, _, err := api.ParseKey(s.acme)
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, 200, s.acme, "GET", "/v1/endpoints", "")
	fresh := other.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys/"+id+":rotate", `{"overlap_seconds":2}`)["key"].(string)
	s.clock.move(2*time.Second - time.Millisecond)
	for _, key := range []string{s.acme, fresh} {
		s.must(t, 200, key, "GET", "/v1/endpoints", "")
	}
	s.clock.move(time.Millisecond)
	if got := s.do(s.acme, "GET", "/v1/endpoints", ""); got.status != 401 {
		t.Errorf("the old key at the end of its overlap: got %d, want 401", got.status)
	}
	s.must(t, 200, fresh, "GET", "/v1/endpoints", "")
}

// revoking is a store in which somebody revokes all keys of an account when it
// gets another.
type revoking struct {
	api.Store
	now func() time.Time
}

func (r revoking) PutKey(ctx context.Context, k webhook.Key) error {
	keys, err := r.Keys(ctx, k.Account)
	for _, old := range keys {
		err = errors.Join(err, r.RevokeKey(ctx, k.Account, old.ID, r.now()))
	}
	return errors.Join(err, r.Store.PutKey(ctx, k))
}

func TestARotationDoesNotReviveAKeyThatIsRevokedMeanwhile(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys", `{}`)
	key := made["key"].(string)
	s = s.with(func(c *api.Config) { c.Store = revoking{s.store, s.clock.now} })
	s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys/"+made["id"].(string)+":rotate", "")
	if got := s.do(key, "GET", "/v1/endpoints", ""); got.status != 401 {
		t.Errorf("got %d of the revoked key, want 401", got.status)
	}
}

func TestARotatedKeyWorksUntilItsOverlapEnds(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		name, by, list, body string
		overlap              time.Duration
	}{
		{"an account's, for a day", s.platform, "/v1/accounts/acme/keys", "", 24 * time.Hour},
		{"an account's, for an hour", s.platform, "/v1/accounts/acme/keys", `{"overlap_seconds":3600}`, time.Hour},
		{"an account's, at once", s.platform, "/v1/accounts/acme/keys", `{"overlap_seconds":0}`, 0},
		{"a platform's", s.operator, "/v1/keys", `{"overlap_seconds":60}`, time.Minute},
	} {
		scope, reads := "account", "/v1/endpoints"
		if tt.list == "/v1/keys" {
			scope, reads = "platform", "/v1/endpoints?account=acme"
		}
		old := s.must(t, 201, tt.by, "POST", tt.list, `{"name":"ci","scope":"`+scope+`"}`)
		s.do(old["key"].(string), "GET", reads, "")
		fresh := s.must(t, 201, tt.by, "POST", tt.list+"/"+old["id"].(string)+":rotate", tt.body)
		if fresh["id"] == old["id"] || fresh["name"] != "ci" || fresh["scope"] != old["scope"] || fresh["revoked_at"] != nil {
			t.Errorf("%s: got %v in place of %v", tt.name, fresh, old)
		}
		if tt.overlap > 0 {
			s.clock.move(tt.overlap - time.Second)
			s.must(t, 200, old["key"].(string), "GET", reads, "")
			s.clock.move(time.Second)
		}
		if got := s.do(old["key"].(string), "GET", reads, ""); got.status != 401 {
			t.Errorf("%s: the old key after its overlap: got %d, want 401", tt.name, got.status)
		}
		s.must(t, 200, fresh["key"].(string), "GET", reads, "")
		if got := s.do(tt.by, "POST", tt.list+"/"+old["id"].(string)+":rotate", ""); got.status != 409 || got.problem(t).Type != "/problems/key-ending" {
			t.Errorf("%s: rotated again: got %d %s, want 409", tt.name, got.status, got.body)
		}
	}
}

func TestAKeyIsRotatedUnderItsOwnAccountOnly(t *testing.T) {
	s := newSite(t)
	id, _, _ := api.ParseKey(s.other)
	root, _, _ := api.ParseKey(s.platform)
	for _, target := range []string{"/v1/accounts/acme/keys/" + id, "/v1/accounts/acme/keys/none", "/v1/accounts/none/keys/" + id,
		"/v1/accounts/acme/keys/" + root, "/v1/keys/" + id, "/v1/keys/none"} {
		if got := s.do(s.operator, "POST", target+":rotate", ""); got.status != 404 {
			t.Errorf("%s: got %d %s, want 404", target, got.status, got.body)
		}
	}
	s.must(t, 200, s.other, "GET", "/v1/endpoints", "")
	if got := s.do(s.operator, "POST", "/v1/keys/"+root+":rotate", `{"overlap_seconds":2592001}`); got.status != 422 {
		t.Errorf("an overlap of more than 30 days: got %d, want 422", got.status)
	}
}

func TestTheKeyOfAnAccountWhoseIDHasAColonOrASlashIsRotated(t *testing.T) {
	s := newSite(t)
	for _, account := range []string{"a:b", "a%2Fb", "x:rotate", "keys"} {
		s.must(t, 200, s.platform, "PUT", "/v1/accounts/"+account, `{}`)
		old := s.must(t, 201, s.platform, "POST", "/v1/accounts/"+account+"/keys", `{}`)
		fresh := s.must(t, 201, s.platform, "POST", "/v1/accounts/"+account+"/keys/"+old["id"].(string)+":rotate", "")
		if fresh["account"] != old["account"] || fresh["id"] == old["id"] {
			t.Errorf("%s: got %v in place of %v", account, fresh, old)
		}
	}
}

func TestKeysAreShownWholeOnce(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys", `{"name":"ci"}`)
	key := made["key"].(string)
	list := s.do(s.platform, "GET", "/v1/accounts/acme/keys", "")
	_, secret, _ := api.ParseKey(key)
	if !strings.Contains(list.body, made["id"].(string)) || strings.Contains(list.body, secret) {
		t.Errorf("the list should name the key and keep its secret: %s", list.body)
	}
	if got := s.must(t, 200, key, "GET", "/v1/accounts/acme", ""); got["id"] != "acme" {
		t.Errorf("got %v", got)
	}
}

func TestKeysAreListedByPages(t *testing.T) {
	s := newSite(t)
	for i := range 5 {
		s.clock.move(time.Second)
		s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys", fmt.Sprintf(`{"name":"%d"}`, i))
	}
	var names []string
	for after := "&"; after != ""; {
		got := s.must(t, 200, s.platform, "GET", "/v1/accounts/acme/keys?limit=2"+after, "")
		for _, item := range got["items"].([]any) {
			names = append(names, item.(map[string]any)["name"].(string))
		}
		if after, _ = got["next"].(string); after != "" {
			after = "&after=" + after
		}
	}
	if got := strings.Join(names, " "); got != "test 0 1 2 3 4" {
		t.Errorf("got %s", got)
	}
	root, _, _ := api.ParseKey(s.platform)
	if got := s.do(s.platform, "GET", "/v1/accounts/acme/keys?after="+root, ""); got.status != 422 || got.problem(t).Errors[0].Field != "after" {
		t.Errorf("a key of nobody's as the cursor: got %d %s", got.status, got.body)
	}
}

func TestOnlyAnOperatorMintsKeysThatBelongToNoAccount(t *testing.T) {
	s := newSite(t)
	for _, scope := range []string{"platform", "operator"} {
		body := `{"scope":"` + scope + `"}`
		if got := s.do(s.platform, "POST", "/v1/accounts/acme/keys", body); got.status != 403 {
			t.Errorf("%s key by a platform: got %d, want 403", scope, got.status)
		}
		made := s.must(t, 201, s.operator, "POST", "/v1/accounts/acme/keys", body)
		if made["account"] != nil {
			t.Errorf("%s key: account %v, want none", scope, made["account"])
		}
		s.must(t, 200, made["key"].(string), "GET", "/v1/accounts/other/keys", "")
		s.must(t, 204, s.operator, "DELETE", "/v1/keys/"+made["id"].(string), "")
		if got := s.do(made["key"].(string), "GET", "/v1/accounts/other/keys", ""); got.status != 401 {
			t.Errorf("%s key after its revocation: got %d, want 401", scope, got.status)
		}
	}
	if got := s.do(s.operator, "POST", "/v1/keys", `{}`); got.status != 422 {
		t.Errorf("an account's key without an account: got %d, want 422", got.status)
	}
}

func TestACustomerLooksAfterTheKeysOfHisAccount(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 201, s.acme, "POST", "/v1/accounts/acme/keys", `{"name":"ci"}`)
	if made["account"] != "acme" || made["scope"] != "account" {
		t.Errorf("got %v", made)
	}
	path := "/v1/accounts/acme/keys/" + made["id"].(string)
	fresh := s.must(t, 201, s.acme, "POST", path+":rotate", `{"overlap_seconds":0}`)
	if fresh["account"] != "acme" || fresh["scope"] != "account" {
		t.Errorf("got %v", fresh)
	}
	s.must(t, 204, s.acme, "DELETE", "/v1/accounts/acme/keys/"+fresh["id"].(string), "")
	for _, key := range []any{made["key"], fresh["key"]} {
		if got := s.do(key.(string), "GET", "/v1/endpoints", ""); got.status != 401 {
			t.Errorf("got %d, want 401", got.status)
		}
	}
	if list := s.must(t, 200, s.acme, "GET", "/v1/accounts/acme/keys", ""); len(list["items"].([]any)) != 3 {
		t.Errorf("got %v", list)
	}
	for _, scope := range []string{"platform", "operator"} {
		if got := s.do(s.acme, "POST", "/v1/accounts/acme/keys", `{"scope":"`+scope+`"}`); got.status != 403 || got.problem(t).Type != "/problems/forbidden" {
			t.Errorf("a %s key: got %d %s, want 403", scope, got.status, got.body)
		}
	}
}

func TestAnAccountsKeyThatIsAboutToEndMakesNoOther(t *testing.T) {
	s := newSite(t)
	id, _, _ := api.ParseKey(s.acme)
	fresh := s.must(t, 201, s.acme, "POST", "/v1/accounts/acme/keys/"+id+":rotate", "")
	for _, target := range []string{"/v1/accounts/acme/keys", "/v1/accounts/acme/keys/" + fresh["id"].(string) + ":rotate"} {
		if got := s.do(s.acme, "POST", target, `{}`); got.status != 403 || got.problem(t).Type != "/problems/key-ends" {
			t.Errorf("%s: got %d %s, want 403", target, got.status, got.body)
		}
		s.must(t, 201, fresh["key"].(string), "POST", target, `{}`)
	}
}

func TestAPlatformsKeyMakesOthersWhileItIsRotated(t *testing.T) {
	s := newSite(t)
	id, _, _ := api.ParseKey(s.platform)
	s.must(t, 201, s.operator, "POST", "/v1/keys/"+id+":rotate", "")
	s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys", `{}`)
}

func TestAKeyMadeElsewhereCanBeImported(t *testing.T) {
	s := newSite(t)
	full := "jh_live_root_" + strings.Repeat("aB3", 8)
	k, err := api.ImportKey(full, s.clock.now(), webhook.ScopeOperator, "", "host")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.PutKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	s.must(t, 200, full, "GET", "/v1/keys", "")
	for _, bad := range []string{"", "jh_live_", "jh_live_root_short", "root_" + strings.Repeat("a", 30), full + "_x", full + "é"} {
		if _, err := api.ImportKey(bad, s.clock.now(), webhook.ScopeOperator, "", ""); err == nil {
			t.Errorf("%q was imported", bad)
		}
	}
}
