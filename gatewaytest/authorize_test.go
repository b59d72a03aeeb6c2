package gatewaytest_test

import (
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
)

func TestAuthorization(t *testing.T) {
	const yaml = `
consumers:
  shop:    {groups: [partners], keys: [{key: shop-0123456789abcdef, scopes: [read]}]}
  finance: {groups: [staff], tags: {region: eu}, keys: [{key: finance-0123456789abcdef, scopes: [read, write]}]}
  intern:  {groups: [staff], keys: [{key: intern-0123456789abcdef, scopes: [read]}]}
api_key: {}
deny: {consumers: [intern], methods: [DELETE], message: Not yet.}
routes:
  - match: /orders/**
    respond: orders
    allow:
      - {methods: [GET, HEAD], scopes: [read]}
      - {groups: [staff], scopes: [write]}
      - {groups: [staff], methods: [DELETE]}
  - {match: '/p/{a}/{b}', respond: params, api_key: off, deny: off, allow: 'path.exists(k, k == "b") && size(path) == 2'}
  - {match: /eu/**, respond: eu, allow: 'identity.tags.region == "eu"'}
  - {match: /claims/**, respond: claims, allow: 'jwt.role == "x"'}
  - {match: /night/**, respond: night, authenticate: {optional: true}, deny: 'jwt.role == "x"'}
  - {match: /free/**, respond: free, authenticate: {optional: true}, deny: {groups: [staff]}}
  - {match: /open/**, respond: open, api_key: off, deny: off}
  - match: /in/**
    allow: {groups: [staff]}
    routes: [{match: /out/**, respond: out, allow: {groups: [partners]}}, {match: /**, respond: in}]
`
	g := gatewaytest.New(t, yaml)
	for _, c := range []struct {
		method, path, key string
		status            int
		code              string // or the body
	}{
		{"GET", "/orders/7", "shop", 200, "orders"},
		{"GET", "/orders/7", "", 401, "credentials_missing"},
		{"POST", "/orders/7", "shop", 403, "access_denied"},
		{"POST", "/orders/7", "finance", 200, "orders"},
		{"POST", "/orders/7", "intern", 403, "insufficient_scope"},
		{"DELETE", "/orders/7", "intern", 403, "Not yet."},
		{"DELETE", "/orders/7", "finance", 200, "orders"},
		{"GET", "/p/1/2", "", 200, "params"},
		{"GET", "/eu/", "finance", 200, "eu"},
		{"GET", "/eu/", "shop", 403, "access_denied"},
		{"GET", "/claims/", "finance", 403, "access_denied"},
		{"GET", "/night/", "finance", 403, "access_denied"},
		{"GET", "/night/", "", 401, "credentials_missing"},
		{"GET", "/free/", "", 200, "free"},
		{"GET", "/free/", "finance", 403, "access_denied"},
		{"GET", "/open/", "", 200, "open"},
		{"GET", "/in/x", "finance", 200, "in"},
		{"GET", "/in/x", "shop", 403, "access_denied"},
		{"GET", "/in/out/x", "shop", 200, "out"},
		{"GET", "/in/out/x", "finance", 403, "access_denied"},
	} {
		var fields []string
		if c.key != "" {
			fields = append(fields, "X-Api-Key: "+c.key+"-0123456789abcdef")
		}
		resp, body := g.Do(c.method, c.path, "", fields...)
		if resp.StatusCode != c.status || !strings.Contains(body, c.code) {
			t.Errorf("%s %s by %q: got %d %s, want %d %s", c.method, c.path, c.key, resp.StatusCode, body, c.status, c.code)
		}
		challenge := resp.Header.Get("Www-Authenticate")
		switch {
		case c.status == 401 && challenge != "ApiKey", c.code == "insufficient_scope" && challenge != `Bearer error="insufficient_scope", scope="write"`:
			t.Errorf("%s %s by %q: the challenge is %q", c.method, c.path, c.key, challenge)
		}
	}
}

func TestAllowIsRefusedWhereNobodyIsKnown(t *testing.T) {
	_, err := gatewaytest.Start(t, "routes: [{match: /a, respond: a, allow: {groups: [staff]}}]")
	if err == nil || !strings.Contains(err.Error(), "nothing on this route says who calls") {
		t.Errorf("got %v", err)
	}
}

func TestCedarIsReadAgainWithEachReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.cedar")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`permit(principal in Group::"staff", action, resource);`)
	text := `
consumers: {ada: {groups: [staff], keys: [ada-0123456789abcdef]}}
api_key: {}
routes: [{name: orders, match: "/orders/{id}", respond: orders, cedar: {policies: ` + file + `}}]
`
	g := gatewaytest.New(t, text)
	status := func() int {
		resp, _ := g.Get("/orders/7", "X-Api-Key: ada-0123456789abcdef")
		return resp.StatusCode
	}
	if got := status(); got != 200 {
		t.Errorf("got %d", got)
	}
	write(`permit(principal in Group::"staff", action, resource) when { resource.params.id == "8" };`)
	if err := g.SetConfig(text); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != 403 {
		t.Errorf("after the change: got %d", got)
	}
	write(`permit(principal`)
	if err := g.SetConfig(text); err == nil || !strings.Contains(err.Error(), "a.cedar:1:") {
		t.Errorf("a broken file: %v", err)
	}
	if got := status(); got != 403 {
		t.Errorf("after a reload that failed: got %d", got)
	}
	if resp, _ := g.Get("/orders/8", "X-Api-Key: ada-0123456789abcdef"); resp.StatusCode != 200 {
		t.Errorf("the parameter: got %d", resp.StatusCode)
	}
}

// Whoever is taken for a consumer that stands for all without credentials is asked for some, and not told that they may not.
func TestAnonymousCallersAreAskedForCredentials(t *testing.T) {
	g := gatewaytest.New(t, `
consumers: {guest: {groups: [guests]}, ada: {groups: [staff], keys: [ada-0123456789abcdef]}}
api_key: {}
authenticate: {anonymous: guest}
routes:
  - {match: /a, respond: a, allow: {groups: [staff]}}
  - {match: /b, respond: b, allow: {groups: [guests]}}
  - {match: /c, respond: c, cedar: 'permit(principal in Group::"staff", action, resource);'}
`)
	for _, c := range []struct {
		path, key string
		status    int
	}{
		{"/a", "", 401},
		{"/a", "ada", 200},
		{"/b", "", 200},
		{"/b", "ada", 403},
		{"/c", "", 401},
		{"/c", "ada", 200},
	} {
		var fields []string
		if c.key != "" {
			fields = append(fields, "X-Api-Key: "+c.key+"-0123456789abcdef")
		}
		resp, body := g.Get(c.path, fields...)
		if resp.StatusCode != c.status || c.status == 401 && resp.Header.Get("Www-Authenticate") != "ApiKey" {
			t.Errorf("%s by %q: got %d %s", c.path, c.key, resp.StatusCode, body)
		}
	}
}

// Where explain cannot say who calls, it cannot say who may, and says so.
func TestExplainOfUnknownCallers(t *testing.T) {
	remote := filter.Define("remote", filter.Authenticate, func(env *filter.Env, _ *struct{}) (*filter.Filter, error) {
		return env.Join("remote", filter.Authenticator{
			Authenticate: func(*filter.Exchange) (*filter.Identity, error) { return &filter.Identity{Subject: "ada"}, nil },
			Explain:      func(*filter.Exchange) (*filter.Identity, error) { return nil, filter.ErrUnsaid },
		}), nil
	})
	g := gatewaytest.New(t, `
remote: {}
routes: [{match: /a, respond: a, deny: {groups: [x]}, allow: 'identity.subject == "ada"', cedar: 'permit(principal, action, resource);'}]
`, remote)
	if resp, _ := g.Get("/a"); resp.StatusCode != 200 {
		t.Errorf("got %d", resp.StatusCode)
	}
	r, err := http.NewRequest("GET", "http://h/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range g.Engine.Snapshot().Explain(r, netip.Addr{}).Policies {
		if p.Policy != "log" && p.Policy != "overload" && p.Action != filter.Unknown {
			t.Errorf("%s: %s %s", p.Policy, p.Action, p.Note)
		}
	}
}
