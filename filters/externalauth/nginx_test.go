package externalauth_test

import (
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/porttest"
)

// authorizing answers as authorizers of nginx's auth_request do.
const authorizing = `
	location = /auth {
		if ($http_authorization = "Bearer good") { return 200; }
		if ($http_x_original_uri ~ ^/login-needed) { return 302 https://login.example.com/?rd=$http_x_original_url; }
		if ($http_authorization = "Bearer mallory") { return 403 "not you"; }
		add_header WWW-Authenticate 'Bearer realm="x"' always;
		add_header X-Internal secret always;
		return 401;
	}
	location = /echo {
		add_header X-Seen "$request_method|$http_x_forwarded_method|$http_x_forwarded_proto|$http_x_forwarded_host|$http_x_forwarded_uri|$http_x_forwarded_for|$http_x_original_url|$http_content_type|$http_x_custom|$content_length" always;
		add_header X-Auth-Request-User "ada" always;
		add_header X-Auth-Request-Groups "staff, admins" always;
		return 202;
	}
	location = /swap {
		add_header X-Saw "$http_authorization";
		add_header Authorization "Internal 1";
		return 200;
	}
	location = /keep { return 200; }
	location = /broken { return 500; }
`

func TestNginxAsAuthorizer(t *testing.T) {
	n := startNginx(t, authorizing)
	g := gateway(t, "http://"+n.Address+"/auth")

	resp, body := g.Get("/things?a=1", "Authorization: Bearer good")
	if resp.StatusCode != 200 || !strings.HasPrefix(body, "GET /things?a=1\n") || !strings.Contains(body, "Authorization: Bearer good") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	resp, body = g.Get("/things")
	if resp.StatusCode != 401 || resp.Header.Get("Www-Authenticate") != `Bearer realm="x"` || !strings.Contains(body, "401 Authorization Required") {
		t.Errorf("got %d %v %s", resp.StatusCode, resp.Header, body)
	}
	if resp.Header.Get("X-Internal") != "" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %v", resp.Header)
	}
	resp, body = g.Get("/things", "Authorization: Bearer mallory")
	if resp.StatusCode != 403 || body != "not you" {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	resp, _ = g.Get("/login-needed?x=1", "Host: shop.example.com:8443", "X-Original-URL: http://evil.example/")
	if resp.StatusCode != 302 || resp.Header.Get("Location") != "https://login.example.com/?rd=http://shop.example.com:8443/login-needed?x=1" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
	resp, body = g.Do("POST", "/things", "some body", "Authorization: Bearer good")
	if resp.StatusCode != 200 || !strings.HasSuffix(body, "\n\nsome body") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

func TestWhatTheAuthorizerSees(t *testing.T) {
	n := startNginx(t, authorizing)
	g := gateway(t, `{to: authz, path: /echo, response_headers: [X-Seen, X-Auth-Request-User], set: {X-Custom: "of {method}"},
		identity: {subject: X-Auth-Request-User, groups: X-Auth-Request-Groups}}`, "  authz: http://"+n.Address)
	resp, body := g.Do("PUT", "/a/b%20c?q=1&r=%0d%0aX:y", "12345", "Host: shop.example.com", "X-Seen: forged", "x-auth-request-user: eve",
		"X_Auth_Request_User: eve", "X-Forwarded-Uri: /public", "X_Forwarded_Uri: /public", "X-Forwarded-For: 6.6.6.6")
	want := "X-Seen: GET|PUT|http|shop.example.com|/a/b%20c?q=1&r=%0d%0aX:y|127.0.0.1|http://shop.example.com/a/b%20c?q=1&r=%0d%0aX:y||of PUT|\r\n"
	if resp.StatusCode != 200 || !strings.Contains(body, want) {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	if !strings.Contains(body, "X-Auth-Request-User: ada\r\n") || strings.Contains(body, "eve") || strings.Contains(body, "forged") {
		t.Errorf("got %s", body)
	}
}

// TestCredentialsAreSwapped shows the client's credentials to the authorizer, and the upstream only the authorizer's.
func TestCredentialsAreSwapped(t *testing.T) {
	n := startNginx(t, authorizing)
	for path, want := range map[string]string{"/swap": "Authorization: Internal 1\r\n", "/keep": ""} {
		g := gateway(t, `{url: "http://`+n.Address+path+`", response_headers: [Authorization, X-Saw]}`)
		_, body := g.Get("/", "Authorization: Bearer client")
		if !strings.Contains(body, want) || strings.Contains(body, "Authorization: Bearer client") || want != "" && !strings.Contains(body, "X-Saw: Bearer client") {
			t.Errorf("%s: got %s", path, body)
		}
	}
}

func TestFailures(t *testing.T) {
	n := startNginx(t, authorizing)
	for _, whom := range []string{"http://" + n.Address + "/broken", "http://" + porttest.Address(t) + "/"} {
		closed := gateway(t, whom)
		resp, body := closed.Get("/")
		if resp.StatusCode != 503 || !strings.Contains(body, "authentication_unavailable") || strings.Contains(body, "127.0.0.1") {
			t.Errorf("%s: got %d %s", whom, resp.StatusCode, body)
		}
		if !strings.Contains(closed.Log(), "cannot ask "+whom) {
			t.Errorf("the cause is not logged: %s", closed.Log())
		}
		open := gateway(t, "{url: '"+whom+"', on_failure: allow, response_headers: [X-User]}")
		if resp, body := open.Get("/", "X-User: eve"); resp.StatusCode != 200 || strings.Contains(body, "eve") {
			t.Errorf("%s: got %d %s", whom, resp.StatusCode, body)
		}
	}
}

// TestAuthorizerRestarts kills the authorizer under load: meanwhile requests are refused, and none passes that must not.
func TestAuthorizerRestarts(t *testing.T) {
	n := startNginx(t, authorizing)
	for _, policy := range []string{"http://" + n.Address + "/auth", "{to: authz, path: /auth}"} {
		g := gateway(t, policy, "  authz: http://"+n.Address)
		stop, done := make(chan struct{}), make(chan map[int]int, 4)
		for i := range 4 {
			fields := []string{"Authorization: Bearer good"}
			if i%2 == 1 {
				fields = nil
			}
			go load(g, fields, stop, done)
		}
		status := func() int { resp, _ := g.Get("/", "Authorization: Bearer good"); return resp.StatusCode }
		soon(t, "it lets requests pass", func() bool { return status() == 200 })
		n.stop()
		soon(t, "it refuses requests", func() bool { return status() == 503 })
		n.start()
		soon(t, "it lets requests pass again", func() bool { return status() == 200 })
		close(stop)
		for range 4 {
			seen := <-done
			if seen[200] > 0 && seen[401] > 0 || seen[200]+seen[401] == 0 {
				t.Errorf("%s: got %v", policy, seen)
			}
			for status := range seen {
				if status != 200 && status != 401 && status != 503 {
					t.Errorf("%s: got %v", policy, seen)
				}
			}
		}
	}
}

// load sends requests until it is stopped, and counts the statuses.
func load(g *gatewaytest.Gateway, fields []string, stop chan struct{}, done chan map[int]int) {
	seen := map[int]int{}
	defer func() { done <- seen }()
	for {
		select {
		case <-stop:
			return
		default:
		}
		r, _ := http.NewRequest("GET", g.URL+"/", nil)
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			r.Header.Set(name, value)
		}
		resp, err := g.Client.Do(r)
		if err != nil {
			seen[0]++
			continue
		}
		resp.Body.Close()
		seen[resp.StatusCode]++
	}
}
