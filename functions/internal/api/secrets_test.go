package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// planted stands in every secret of a request that is refused.
const planted = "pLaNtEd0123456789pLaNtEd"

func TestNoRefusalRepeatsASecret(t *testing.T) {
	s := newSite(t)
	path, _ := s.endpoint(t, `{"url":"https://a.example"}`)
	endpoint := func(more string) string { return `{"url":"https://a.example/` + planted + `",` + more + `}` }
	job := func(more string) string { return `{"account":"acme","kind":"batch","status":"queued",` + more + `}` }
	for _, tt := range []struct {
		name, method, target, body string
		header                     [2]string
		status                     int
	}{
		{"a secret that is none", "POST", "/v1/endpoints", endpoint(`"secret":"` + planted + `"`), [2]string{}, 422},
		{"a secret too short", "POST", "/v1/endpoints", endpoint(`"secret":"whsec_cExhTnRFZA=="`), [2]string{}, 422},
		{"a private key for a secret", "PATCH", path, `{"secret":"whsk_` + planted + `"}`, [2]string{}, 422},
		{"a secret for ed25519", "PATCH", path, `{"signing":"ed25519","secret":"whsec_` + planted + `"}`, [2]string{}, 422},
		{"a list for a secret", "PATCH", path, `{"secret":["` + planted + `"]}`, [2]string{}, 422},
		{"an object for a secret", "PATCH", path, `{"secret":{"value":"` + planted + `"}}`, [2]string{}, 422},
		{"a rotation's secret that is none", "POST", path + ":rotate-secret", `{"secret":"` + planted + `"}`, [2]string{}, 422},
		{"a secret in what is no JSON", "PATCH", path, `{"secret":"` + planted, [2]string{}, 400},
		{"a secret before what is no JSON", "PATCH", path, `{"secret":"` + planted + `"]`, [2]string{}, 400},
		{"a secret beside a misspelt field", "PATCH", path, `{"secret":"whsec_` + planted + `","sceret":"` + planted + `"}`, [2]string{}, 422},
		{"a header with a line", "PATCH", path, `{"headers":{"Authorization":"` + planted + `\r\n"}}`, [2]string{}, 422},
		{"a header beyond ASCII", "PATCH", path, `{"headers":{"Authorization":"` + planted + `é"}}`, [2]string{}, 422},
		{"a header that ends with a space", "PATCH", path, `{"headers":{"Authorization":"` + planted + ` "}}`, [2]string{}, 422},
		{"a header too long", "PATCH", path, `{"headers":{"Authorization":"` + strings.Repeat(planted, 100) + `"}}`, [2]string{}, 422},
		{"a header that is ours", "PATCH", path, `{"headers":{"Cookie":"` + planted + `"}}`, [2]string{}, 422},
		{"a header twice", "PATCH", path, `{"headers":{"X-Key":"` + planted + `","x-key":"` + planted + `"}}`, [2]string{}, 422},
		{"a list for a header", "PATCH", path, `{"headers":{"Authorization":["` + planted + `"]}}`, [2]string{}, 422},
		{"a whole header as its name", "PATCH", path, `{"headers":{"Authorization: Bearer ` + planted + `":"x"}}`, [2]string{}, 422},
		{"an assignment as a name", "PATCH", path, `{"headers":{"Authorization=` + planted + `":"x"}}`, [2]string{}, 422},
		{"a list of headers", "PATCH", path, `{"headers":["Authorization: ` + planted + `"]}`, [2]string{}, 422},
		{"a password in a URL", "POST", "/v1/endpoints", `{"url":"https://u:` + planted + `@a.example"}`, [2]string{}, 422},
		{"a password in a URL that is none", "POST", "/v1/endpoints", `{"url":"https://u:` + planted + `@a b"}`, [2]string{}, 422},
		{"a token in a URL's path", "POST", "/v1/endpoints", `{"url":"ftp://a.example/` + planted + `"}`, [2]string{}, 422},
		{"a token in a private URL", "POST", "/v1/endpoints", `{"url":"http://10.0.0.1/?token=` + planted + `"}`, [2]string{}, 422},
		{"a token in a URL too long", "POST", "/v1/endpoints", `{"url":"https://a.example/` + strings.Repeat(planted, 100) + `"}`, [2]string{}, 422},
		{"a token for a URL", "PATCH", path, `{"url":"` + planted + `"}`, [2]string{}, 422},
		{"a token after a host", "PATCH", path, `{"url":"https://a.example:` + planted + `/"}`, [2]string{}, 422},
		{"a token in an account's URL", "PUT", "/v1/accounts/acme", `{"webhook_url":"ftp://a.example/` + planted + `"}`, [2]string{}, 422},
		{"a token in a job's URL", "PUT", "/v1/jobs/1", job(`"notification_webhook":"http://10.0.0.1/` + planted + `"`), [2]string{}, 422},
		{"a password in a job's URL", "PUT", "/v1/jobs/1", job(`"notification_webhook":"https://u:` + planted + `@a.example"`), [2]string{}, 422},
		{"a token in a list of URLs", "PUT", "/v1/jobs/1", job(`"notification_webhook":["https://a.example/` + planted + `"]`), [2]string{}, 422},
		{"a token in a record that is cut", "PUT", "/v1/jobs/1", `{"account":"acme","kind":"batch","notification_webhook":"https://a.example/` + planted, [2]string{}, 400},
		{"a link's token that is wrong", "POST", "/v1/portal-sessions", `{"token":"jhp_` + planted + `_` + planted + `"}`, [2]string{}, 401},
		{"a link's token that is none", "POST", "/v1/portal-sessions", `{"token":{"token":"` + planted + `"}}`, [2]string{}, 422},
		{"a key that is unknown", "GET", "/v1/endpoints", "", [2]string{"Authorization", "Bearer jh_live_abcdefgh_" + planted}, 401},
		{"a key that is none", "GET", "/v1/endpoints", "", [2]string{"Authorization", "Bearer " + planted}, 401},
		{"a password", "GET", "/v1/endpoints", "", [2]string{"Authorization", "Basic " + planted}, 401},
		{"a key in the query", "GET", "/v1/endpoints?api_key=" + planted, "", [2]string{}, 422},
		{"an Idempotency-Key that is none", "POST", "/v1/endpoints", endpoint(`"types":[]`), [2]string{"Idempotency-Key", planted + "\x7f"}, 422},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body))
			r.Header.Set("Authorization", "Bearer "+s.operator)
			if strings.HasPrefix(tt.target, "/v1/endpoints") {
				r.Header.Set("Authorization", "Bearer "+s.acme)
			}
			if tt.header[0] != "" {
				r.Header.Set(tt.header[0], tt.header[1])
			}
			got := s.send(r)
			if got.status != tt.status {
				t.Errorf("got %d, want %d: %s", got.status, tt.status, got.body)
			}
			got.problem(t)
			for _, secret := range []string{planted, "cExhTnRFZA"} {
				if strings.Contains(got.body, secret) || strings.Contains(s.log.String(), secret) {
					t.Errorf("it is repeated: %s\nlogged: %s", got.body, s.log)
				}
			}
		})
	}
}
