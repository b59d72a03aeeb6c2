package transform_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// TestWhatAnswersAreMadeOf: what is made of the one who asks goes to nobody else, from the gateway's cache or from caches behind it.
func TestWhatAnswersAreMadeOf(t *testing.T) {
	for _, test := range []struct{ policy, vary, control string }{
		{`response: {set: {of: "{header.x-tenant}"}}`, "X-Tenant", "max-age=60, s-maxage=60"},
		{`response: {set: {of: "{header.x-tenant} by {cookie.tenant}"}}`, "X-Tenant|Cookie", "max-age=60, s-maxage=60"},
		{`response: {set: {of: "{address}"}}`, "", "private, max-age=60"},
		{`response: '.of = $header["x-tenant"]'`, "X-Tenant", "max-age=60, s-maxage=60"},
		{`response: {jq: '.of = ($header | ."x-tenant")'}`, "*", "max-age=60, s-maxage=60"},
		{`response: {jq: '.of = $identity.subject'}`, "", "private, max-age=60"},
		{`response: {template: 'of {header.x-tenant}: {body.n}'}`, "X-Tenant", "max-age=60, s-maxage=60"},
		{`response: {set: {of: ada}, when: 'header["x-tenant"] == "ada"'}`, "X-Tenant", "max-age=60, s-maxage=60"},
		{`request: {set: {of: "{header.x-tenant}"}, create: true, method: POST}`, "X-Tenant", "max-age=60, s-maxage=60"},
		{`response: {set: {of: "{query.tenant}"}}`, "", "max-age=60, s-maxage=60"},
		{`response: {jq: '.of = $params'}`, "", "max-age=60, s-maxage=60"},
	} {
		g := gatewaytest.New(t, strings.Replace(upstream(t, test.policy, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60, s-maxage=60")
			if strings.Contains(test.control, "private") {
				w.Header().Set("CDN-Cache-Control", "max-age=60")
			}
			w.Header().Set("Content-Type", "application/json")
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, `{"n": 1, "got": %s}`, cmp.Or(string(body), "null"))
		}), "transform:", "cache: {}\n  transform:", 1))
		of := func(who string) (*http.Response, string) {
			return g.Get("/x", "X-Tenant: "+who, "Cookie: tenant="+who)
		}
		resp, _ := of("ada")
		if got := strings.Join(resp.Header["Vary"], "|"); resp.StatusCode != 200 || got != test.vary {
			t.Errorf("%s: %d, Vary is %q", test.policy, resp.StatusCode, got)
		}
		if got := strings.TrimPrefix(resp.Header.Get("Cache-Control"), "public, "); got != test.control {
			t.Errorf("%s: Cache-Control is %q", test.policy, got)
		}
		varies := test.vary != "" || strings.Contains(test.control, "private")
		if eve, body := of("eve"); strings.Contains(eve.Header.Get("Cache-Status"), "hit") == varies || varies && strings.Contains(body, "ada") {
			t.Errorf("%s: eve gets %s, %v", test.policy, body, eve.Header)
		}
		if again, _ := of("ada"); test.vary != "*" && test.control[0] == 'm' && !strings.Contains(again.Header.Get("Cache-Status"), "hit") {
			t.Errorf("%s: ada's is not stored: %v", test.policy, again.Header)
		}
	}
}
